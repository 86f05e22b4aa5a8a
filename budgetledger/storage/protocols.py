"""The driver interface that the store uses: connection, cursor, and running one statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Cursor(Protocol):
    """The rows of a statement: the part of sqlite3's cursor that is used."""

    @property
    def lastrowid(self) -> int | None:
        """The id of the inserted row."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All remaining rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection of sqlite3, or one with the same methods."""

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
        """Run *sql* and return its rows."""
