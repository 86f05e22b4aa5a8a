"""A response charged by a ledger in memory, and the same response as objects instead of dicts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from budgetledger import Ledger
from budgetledger.entries import Entry


def charged(answer: object, model: str | None = None, **own: Any) -> Entry:
    """The entry of *answer*; *own* is a price of all models of xAI, as for `Ledger.set_price`."""
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 100)
        if own:
            ledger.set_price("grok-*", **own)
        return ledger.charge("alice", answer, model=model)


def objects(value: Any) -> Any:
    """*value* with attributes where it has fields."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: objects(inner) for name, inner in value.items()})
    return [objects(item) for item in value] if isinstance(value, list) else value
