"""Which holds wait for room, in which order, and which is decided next. Pure.

A hold waits for the budgets that refuse it while open holds are in the way. First come, first
served; one that fits may overtake those before it that wait for a budget it counts against, each
of them at most `MOST_OVERTAKEN` times. Holds that wait for other budgets are not in its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from typing import NamedTuple, TypeAlias

MOST_OVERTAKEN = 8

BudgetKey: TypeAlias = tuple[int, str]
"""The id of an account, and the name of a budget of it."""


class Room(NamedTuple):
    """What a budget lacks to grant a hold, in its units.

    ``at_most``: what would be available without the open holds of other calls.
    """

    requested: int
    available: int
    at_most: int


class Waiter:
    """A hold that waits: ``room`` of the budgets that refused it, and all that ``apply`` to it."""

    __slots__ = ("applies", "overtaken", "room")

    def __init__(self) -> None:
        self.applies: Set[BudgetKey] = frozenset()
        self.room: Mapping[BudgetKey, Room] = {}
        self.overtaken = 0


class Line:
    """The waiting holds of a ledger in this process, oldest first."""

    def __init__(self) -> None:
        self._waiters: dict[Waiter, None] = {}
        self._awaited: Counter[BudgetKey] = Counter()

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters)

    def __contains__(self, waiter: Waiter) -> bool:
        return waiter in self._waiters

    def awaited(self, applies: Collection[BudgetKey]) -> set[BudgetKey]:
        """Those of *applies* that holds wait for, so that a new hold queues behind them."""
        return {key for key in applies if self._awaited[key] > 0} if self._waiters else set()

    def join(self, waiter: Waiter) -> None:
        """Add *waiter*, which was refused, at the end."""
        self._waiters[waiter] = None
        self._awaited.update(waiter.room.keys())

    def refused(self, waiter: Waiter, room: Mapping[BudgetKey, Room]) -> None:
        """Note the budgets that refuse *waiter* now; it keeps its place."""
        self._awaited.subtract(waiter.room.keys())
        waiter.room = room
        self._awaited.update(room.keys())

    def granted(self, waiter: Waiter) -> None:
        """Remove *waiter*, which overtakes those before it that wait for one of its budgets."""
        for earlier in self._waiters:
            if earlier is waiter:
                break
            if not waiter.applies.isdisjoint(earlier.room):
                earlier.overtaken += 1
        self.leave(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Remove *waiter*."""
        del self._waiters[waiter]
        self._awaited.subtract(waiter.room.keys())
        self._awaited = +self._awaited if not self._waiters else self._awaited

    def budgets(self) -> set[BudgetKey]:
        """All budgets that are waited for."""
        return {key for key, count in self._awaited.items() if count > 0}

    def next(self, tried: Set[Waiter], room: Mapping[BudgetKey, Room]) -> Waiter | None:
        """The hold to decide next, or None.

        *tried*: those decided since the last change of the ledger, and *room*: what they found.
        A hold that needs more than that is left out, unless it needs more than can become
        available: then it need not wait any longer.
        """
        barred: set[BudgetKey] = set()
        for waiter in self._waiters:
            if (
                waiter not in tried
                and barred.isdisjoint(waiter.applies)
                and not _lacks(waiter, room)
            ):
                return waiter
            if waiter.overtaken >= MOST_OVERTAKEN:
                barred.update(waiter.room)
        return None


def _lacks(waiter: Waiter, room: Mapping[BudgetKey, Room]) -> bool:
    return any(
        key in room and room[key].available < lacking.requested <= room[key].at_most
        for key, lacking in waiter.room.items()
    )
