"""Runs an operation and rolls it back, to show what it would record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from budgetledger.journal.journal import Journal
from budgetledger.journal.transaction import Transaction

T = TypeVar("T")


class _RollBack(Exception):
    """Ends the transaction of a rehearsal."""


def rehearsed(journal: Journal, operation: Callable[[Transaction], T]) -> T:
    """What *operation* returns on the ledger as it is. Its rows are not recorded.

    Raises what the operation raises.
    """
    outcome: list[T] = []

    def roll_back(tx: Transaction) -> None:
        outcome.append(operation(tx))
        raise _RollBack

    try:
        journal.write(roll_back)
    except _RollBack:
        return outcome[-1]
    raise AssertionError("a rehearsal is always rolled back")
