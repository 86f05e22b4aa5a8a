"""The budgets of a LiteLLM Proxy: name ``budgetledger.proxy.handler`` under ``callbacks``.

The settings are read from the environment, and the ledger is opened, when ``handler`` is first
asked for.
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
