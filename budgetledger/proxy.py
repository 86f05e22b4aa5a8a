"""Budgets for a LiteLLM Proxy: list ``budgetledger.proxy.handler`` under ``callbacks``.

The first access to ``handler`` reads the settings from the environment and opens the ledger.
"""

from __future__ import annotations

import os
from typing import Any

try:
    from budgetledger.litellm.proxy.handler import BudgetHandler
except ModuleNotFoundError as error:
    if error.name is not None and error.name.startswith("budgetledger"):
        raise
    raise ModuleNotFoundError(
        f"a LiteLLM Proxy needs the package {error.name}; run: pip install 'litellm[proxy]'",
        name=error.name,
    ) from error
from budgetledger.litellm.proxy.settings import settings

__all__ = ["BudgetHandler"]


def __getattr__(name: str) -> Any:
    if name != "handler":
        raise AttributeError(f"module 'budgetledger.proxy' has no attribute {name!r}")
    handler = globals()[name] = BudgetHandler(settings(os.environ))
    return handler
