"""An operation of the JSON API, and a request for it."""

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
    """A request, after it was admitted and parsed."""

    service: Service
    ledger: AsyncLedger
    project: str
    account: str
    number: int
    """The id of the hold or entry in the path; 0 if the path has none."""
    name: str
    """The name of the budget or price, or the key, in the path; empty if the path has none."""
    fields: dict[str, Any]
    """The fields of the body, or the query parameters."""
    key: str | None
    """The ``Idempotency-Key``."""

    @property
    def journal(self) -> Journal:
        """The journal of the project."""
        return journal_of(self.ledger.ledger)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: *run* performs it, and the return type of *run* describes the answer."""

    method: str
    path: str
    run: Callable[[Call], Awaitable[Any]]
    status: int = 200
    body: type[Fields] = Fields
    query: type[Fields] = Fields
    has_key: bool = False

    @property
    def name(self) -> str:
        """Its name in the description and the metrics."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does: the docstring of *run*."""
        return (self.run.__doc__ or "").strip()

    @property
    def answers(self) -> Any:
        """The type of the answer's document."""
        return get_type_hints(self.run)["return"]
