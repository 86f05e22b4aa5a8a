"""What the store asks of a driver: a connection, a cursor, and running one statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Cursor(Protocol):
    """What a statement found; of sqlite3's interface as much as is used."""

    @property
    def lastrowid(self) -> int | None:
        """The number of the row that was inserted."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection of sqlite3, or one that takes the same calls."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""

    def close(self) -> None:
        """Close the connection."""


class Execute(Protocol):
    """Runs one statement inside the transaction."""

    def __call__(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run *sql* and return what it found."""
