"""What the JSON API's table is made of: the requests that are understood, and one of them read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from budgetledger.aio import AsyncLedger
from budgetledger.journal.journal import Journal, journal_of
from budgetledger.server.request_fields import Fields
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
    """The fields of the body, or the parameters of the query."""
    key: str | None

    @property
    def journal(self) -> Journal:
        """The journal of the project."""
        return journal_of(self.ledger.ledger)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request that is understood, by a function whose return type describes the answer."""

    method: str
    path: str
    run: Callable[[Call], Awaitable[Any]]
    status: int = 200
    body: type[Fields] = Fields
    query: type[Fields] = Fields
    has_key: bool = False

    @property
    def name(self) -> str:
        """As in the description and the metrics."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does."""
        return (self.run.__doc__ or "").strip()

    @property
    def answers(self) -> Any:
        """The type of the answer's document."""
        return get_type_hints(self.run)["return"]
