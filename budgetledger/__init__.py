"""Budgets for LLM calls that hold: an append-only ledger in one SQLite file.

`BudgetManager` has the methods of LiteLLM's, over a `Ledger`; `Ledger` is the ledger itself.
Names are loaded when first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from budgetledger.aio import AsyncLedger
    from budgetledger.errors import AccountFrozen, BudgetExceededError, BudgetledgerError
    from budgetledger.ledger import Ledger
    from budgetledger.manager import BudgetManager
    from budgetledger.tokens import count_tokens
    from budgetledger.usage import Usage
    from budgetledger.wrapping import wrap

__version__ = "0.1.0"

_HOMES = {
    "AccountFrozen": "budgetledger.errors",
    "AsyncLedger": "budgetledger.aio",
    "BudgetExceededError": "budgetledger.errors",
    "BudgetManager": "budgetledger.manager",
    "BudgetledgerError": "budgetledger.errors",
    "Ledger": "budgetledger.ledger",
    "Usage": "budgetledger.usage",
    "count_tokens": "budgetledger.tokens",
    "wrap": "budgetledger.wrapping",
}

__all__ = [
    "AccountFrozen",
    "AsyncLedger",
    "BudgetExceededError",
    "BudgetManager",
    "BudgetledgerError",
    "Ledger",
    "Usage",
    "count_tokens",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'budgetledger' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
