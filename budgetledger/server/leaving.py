"""Ends a request that waits when its client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request

from budgetledger.server.http import Refused

T = TypeVar("T")


async def unless_left(request: Request, work: Awaitable[T]) -> T:
    """Run *work*; cancel it and raise `Refused` if the client leaves meanwhile.

    The body must have been read.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            raise Refused(499, "ClientLeft", "the client left while its hold waited for room")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
