"""Budgets for LLM calls that hold: an append-only ledger in one SQLite file.

`BudgetManager` has the methods of LiteLLM's, over a `Ledger`; `Ledger` is the ledger itself.
Names are loaded when first used, so that importing the package costs next to nothing.

The modules beside this file are public. The folders are the works, from the ground up; each
says in its ``__init__`` what it holds, and imports only rooms above it in this list:
    tokens      how many tokens a prompt has
    responses   what an answer says: model, usage, cost
    pricing     what a call costs, and by whose price
    storage     where rows are kept, and who writes when
    journal     which row follows, and how budgets stand
    verbs       what each verb of a ledger does
    (ledger, holds, aio: the verbs themselves)
    render      how values are shown: JSON, tables, text
    clients     calls under a hold
    litellm     all that is LiteLLM's: wrapping, max_budget, its files, its Proxy
    hosted      BudgetManager against a server
    server      budgetledger serve
    cli         the command line
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from budgetledger.litellm.package import Package

if TYPE_CHECKING:
    from budgetledger.aio import AsyncLedger
    from budgetledger.errors import AccountFrozen, BudgetExceededError, BudgetledgerError
    from budgetledger.ledger import Ledger
    from budgetledger.litellm.cap import (
        acompletion,
        aembedding,
        atext_completion,
        completion,
        embedding,
        text_completion,
    )
    from budgetledger.litellm.cap_ledger import CapTarget
    from budgetledger.manager import BudgetManager
    from budgetledger.metering import metered
    from budgetledger.money import Amount
    from budgetledger.tokens import count_tokens
    from budgetledger.usage import Usage
    from budgetledger.wrapping import wrap

    max_budget: Amount | None
    max_budget_ledger: CapTarget
    _current_cost: float

__version__ = "0.1.0"

_HOMES = {
    "AccountFrozen": "budgetledger.errors",
    "AsyncLedger": "budgetledger.aio",
    "BudgetExceededError": "budgetledger.errors",
    "BudgetManager": "budgetledger.manager",
    "BudgetledgerError": "budgetledger.errors",
    "Ledger": "budgetledger.ledger",
    "Usage": "budgetledger.usage",
    "acompletion": "budgetledger.litellm.cap",
    "aembedding": "budgetledger.litellm.cap",
    "atext_completion": "budgetledger.litellm.cap",
    "completion": "budgetledger.litellm.cap",
    "count_tokens": "budgetledger.tokens",
    "embedding": "budgetledger.litellm.cap",
    "metered": "budgetledger.metering",
    "text_completion": "budgetledger.litellm.cap",
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
    "acompletion",
    "aembedding",
    "atext_completion",
    "completion",
    "count_tokens",
    "embedding",
    "metered",
    "text_completion",
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


# LiteLLM's globals are set on the module: the budget that `completion` and the others may use.
sys.modules[__name__].__class__ = Package
