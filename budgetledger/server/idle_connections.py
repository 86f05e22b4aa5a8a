"""Closes connections that send no request: a few hundred of them would keep other clients out."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_TO_ASK = 30.0


class Connection(H11Protocol):
    """Closes after `SECONDS_TO_ASK` with no new request head and no request in progress.

    Uses h11 even where httptools is installed: httptools accepts malformed requests.
    """

    _looking: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._looking.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._looking = self.loop.call_later(SECONDS_TO_ASK, self._look, self.cycle)

    def _look(self, before: Any) -> None:
        """Close if idle. *before*: the latest request at the previous check."""
        if self.cycle is before and (before is None or before.response_complete):
            self.transport.close()
        else:
            self._look_later()
