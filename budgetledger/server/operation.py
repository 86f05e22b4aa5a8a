"""What the JSON API's table is made of: the requests that are understood, and one of them read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from budgetledger.aio import AsyncLedger
from budgetledger.journal.journal import Journal, journal_of
from budgetledger.server.request_fields import Field
from budgetledger.server.state import Service


@dataclass(slots=True)
class Call:
    """A request, once it was let in and read."""

    service: Service
    ledger: AsyncLedger
    project: str
    account: str
    number: int
    """Of the hold or entry that the path names; 0 where it names none."""
    name: str
    """Of the budget or price that the path names; empty where it names none."""
    given: dict[str, Any]
    key: str | None

    @property
    def journal(self) -> Journal:
        """The journal of the project."""
        return journal_of(self.ledger.ledger)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request that is understood. *answers*: the schema of its answer, by name."""

    method: str
    path: str
    run: Callable[[Call], Awaitable[object]]
    answers: str
    status: int = 200
    body: Mapping[str, Field] = field(default_factory=dict)
    query: Mapping[str, Field] = field(default_factory=dict)
    has_key: bool = False
    one_of: tuple[tuple[str, ...], ...] = ()
    """Fields of the body of which it takes at least one group."""

    @property
    def name(self) -> str:
        """As in the description and the metrics."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does."""
        return (self.run.__doc__ or "").strip()
