"""Takes the hold of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from budgetledger.aio import AsyncHold, AsyncLedger


async def held(
    ledger: AsyncLedger,
    account: str,
    call: Mapping[str, Any],
    tags: Mapping[str, Any] | None,
    wait: float,
    on_wait: Callable[[], None],
) -> AsyncHold:
    """The hold of a *call*, the arguments of `Ledger.hold`. Raises its errors.

    *wait*: seconds to wait for open holds that are in the way; *on_wait* is called if it does.
    """
    return await ledger.hold(account, **call, tags=tags)
