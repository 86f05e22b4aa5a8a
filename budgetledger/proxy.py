"""Budgets for a LiteLLM Proxy: list ``budgetledger.proxy.handler`` under ``callbacks``.

The first access to ``handler`` reads the settings from the environment and opens the ledger.
"""

from __future__ import annotations

import os
from typing import Any

from budgetledger.litellm.proxy.handler import BudgetHandler
from budgetledger.litellm.proxy.settings import settings

__all__ = ["BudgetHandler"]


def __getattr__(name: str) -> Any:
    if name != "handler":
        raise AttributeError(f"module 'budgetledger.proxy' has no attribute {name!r}")
    handler = globals()[name] = BudgetHandler(settings(os.environ))
    return handler
