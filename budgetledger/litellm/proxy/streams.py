"""The cost of a stream behind the Proxy, of which the client may have received a part only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from budgetledger.entries import Entry
from budgetledger.litellm.proxy.costs import Paid, of_failure, of_stream
from budgetledger.litellm.proxy.requests import Call
from budgetledger.responses.stream import StreamReading


async def paid_for_stream(call: Call, data: Mapping[str, Any], *, is_broken: bool) -> Paid | None:
    """The cost of the arrived part of a stream; None if nothing arrived and nothing is reported.

    LiteLLM's figure, if the whole stream arrived; otherwise the larger of each count, since
    LiteLLM may report only the count at the start of a stream.
    """
    broken = (of_failure(data) or call.broken) if is_broken else None
    if call.stream is None or not call.stream.started:
        return broken or call.reported
    if call.reported is not None and _covers(call.reported, call.stream):
        return call.reported
    quoted = call.quote
    return await asyncio.to_thread(
        of_stream, call.stream, call.model, quoted.input_tokens or None, data,
        is_free=quoted.is_free, billed=broken or call.reported,
    )  # fmt: skip


def _covers(reported: Paid, stream: StreamReading) -> bool:
    """Whether LiteLLM's figure is of a whole answer; it may leave out the output of a text."""
    if reported.cost == 0:  # from the cache, or free
        return True
    if reported.cost is None or not stream.is_whole:
        return False
    return reported.usage is None or reported.usage.output_tokens > 0


def rest_of_stream(call: Call, entry: Entry, paid: Paid) -> Decimal | None:
    """USD to add to the row of a stream of which a part arrived, by LiteLLM's count of more."""
    if call.stream is None or call.stream.is_whole or paid.cost is None or paid.usage is None:
        return None
    if entry.cost is not None and paid.usage.output_tokens <= entry.output_tokens:
        return None  # LiteLLM logs the arrived part of a broken stream as a success, too
    return max(paid.cost - (entry.cost or 0), Decimal(0)) or None
