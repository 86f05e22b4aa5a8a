"""Connections that ask for nothing do not stay, or a few hundred of them would keep others out."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_TO_ASK = 30.0


class Connection(H11Protocol):
    """Closed once it has not brought the head of a request, and not been served, for that long.

    On h11 even where httptools is installed, which takes more for HTTP than it should.
    """

    _looking: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._looking.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._looking = self.loop.call_later(SECONDS_TO_ASK, self._look, self.cycle)

    def _look(self, before: Any) -> None:
        """*before*: the request that was the last one when it was looked before."""
        if self.cycle is before and (before is None or before.response_complete):
            self.transport.close()
        else:
            self._look_later()
