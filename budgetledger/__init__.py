"""Budgets for LLM calls, in an append-only ledger: one SQLite file, or a PostgreSQL schema.

Start with `Ledger` (or `AsyncLedger`), or with `BudgetManager` if you come from LiteLLM. `wrap`
and `metered` put a hold around the calls of a client or a function. Names are loaded at their
first use, so importing the package is fast.

The modules in this folder are public:
    ledger, aio, holds       Ledger, AsyncLedger and their holds
    manager                  BudgetManager, with the API of LiteLLM's
    wrapping, metering       wrap and metered
    entries, usage, prices   the values that methods return and accept
    reporting                the values of reports
    errors                   every exception and warning
    windows, money, names    windows of time, amounts, checked names
    tables                   the database tables, for your own queries
    testing                  a clock for your tests
    proxy                    the callback for a LiteLLM Proxy

The packages below it are internal; each imports only the packages above it in this list:
    tokens      counts the tokens of a prompt
    responses   reads model, usage and cost from a response
    pricing     finds the price of a call
    storage     opens databases, and orders their writers
    journal     decides which row is appended next
    verbs       one operation of the ledger each
    reports     sums of calls, and the pace of budgets
    (ledger, aio, holds)
    render      values as JSON, tables and text
    clients     calls under a hold
    litellm     everything for LiteLLM: wrapping, max_budget, its files, its Proxy
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
    from budgetledger.errors import (
        AccountFrozen,
        BudgetExceededError,
        BudgetledgerError,
        HoldRefused,
    )
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
    "HoldRefused": "budgetledger.errors",
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
    "HoldRefused",
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


# The module has LiteLLM's globals, such as the `max_budget` that `completion` enforces.
sys.modules[__name__].__class__ = Package
