"""Notices that another process closes a hold, by LISTEN."""

from __future__ import annotations

from select import select
from time import monotonic

from budgetledger.errors import StoreError
from budgetledger.storage.dialect import CHANNEL
from budgetledger.storage.postgres.connection import connect, psycopg
from budgetledger.storage.postgres.url import Address

_RECONNECT_SECONDS = 1.0


class Listener:
    """A connection of its own, which the server notifies when a hold is closed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._driver: psycopg.Connection[tuple[object, ...]] | None = None
        self._retry_at = 0.0

    def has_changed(self) -> bool:
        """Whether a hold was closed since the last call, or the connection was lost meanwhile."""
        try:
            if self._driver is None:
                return self._connect()
            if not select([self._driver.fileno()], [], [], 0)[0]:
                return False
            schema = self._address.schema
            return any(note.payload == schema for note in self._driver.notifies(timeout=0))
        except (psycopg.Error, OSError, ValueError):
            self.close()
            return True

    def _connect(self) -> bool:
        if monotonic() < self._retry_at:
            return False
        self._retry_at = monotonic() + _RECONNECT_SECONDS
        try:
            self._driver = connect(self._address)
            self._driver.execute(f"LISTEN {CHANNEL}".encode())
        except (StoreError, psycopg.Error):
            self.close()
        return True

    def close(self) -> None:
        """Close the connection."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
