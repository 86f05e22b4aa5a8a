"""Takes the hold of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.ledger import Ledger

_SECONDS_UNNOTICED = 0.3
_MODELS = ("gpt-4o", "claude-opus-4-5", "gemini-2.5-pro")


def load_prices(ledger: Ledger) -> None:
    """Load prices and vocabularies, so that the first call takes no longer than the others."""
    for model in _MODELS:
        ledger.estimate(model, messages=[{"role": "user", "content": "Hello"}])


async def held(
    ledger: AsyncLedger,
    account: str,
    call: Mapping[str, Any],
    tags: Mapping[str, Any] | None,
    wait: float,
    on_wait: Callable[[], None],
) -> AsyncHold:
    """The hold of a *call*, the arguments of `Ledger.hold`. Raises its errors.

    *wait*: seconds to wait for open holds that are in the way; *on_wait* is called if that takes
    longer than a person notices.
    """
    if not wait:
        return await ledger.hold(account, **call, tags=tags)
    noting = asyncio.get_running_loop().call_later(_SECONDS_UNNOTICED, on_wait)
    try:
        return await ledger.hold(account, **call, tags=tags, wait=wait)
    finally:
        noting.cancel()
