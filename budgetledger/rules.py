"""The heart: given an account's last row and what happened, the row that follows. Pure.

A row is decided from its predecessor alone. Its running totals, its time (never before the
predecessor's) and its hash (sha256 over the predecessor's hash and the row's evidence) follow
from it, so that `verify` can decide every row again and compare.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from budgetledger.money import PICO


class Head(NamedTuple):
    """An account's last row, as far as the next one needs it.

    ``usd`` to ``requests`` are the account's running totals (whole dollars, picodollars above
    them, tokens, requests), ``model_*`` those of the next row's model.
    """

    hash: bytes
    recorded_at_us: int = 0
    usd: int = 0
    pico: int = 0
    tokens: int = 0
    requests: int = 0
    model_usd: int | None = None
    model_pico: int | None = None
    model_tokens: int | None = None
    model_requests: int | None = None


class Draft(NamedTuple):
    """What happened, before it has a place in the journal. Field meanings: see `Entry`.

    With the row's time before it, this is the row's evidence: what its hash covers, in order.
    """

    kind: str
    model: str | None = None
    cost_pico: int | None = None
    price_source: str | None = None
    occurred_at_us: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    usage_json: str | None = None
    price_json: str | None = None
    tags_json: str | None = None
    note: str | None = None
    corrects_id: int | None = None
    idempotency_key: str | None = None


def genesis(project: str, account: str, created_at_us: int) -> Head:
    """The head of an account without rows: the chain starts from what its own row says."""
    return Head(sha256(ascii((project, account, created_at_us)).encode()).digest())


def next_time(head: Head, now_us: int) -> int:
    """The time of the next row: now, but never before the row it follows."""
    return now_us if now_us > head.recorded_at_us else head.recorded_at_us


def chained_hash(
    previous: bytes, recorded_at_us: int, draft: Draft, detail: tuple[object, ...] = ()
) -> bytes:
    """sha256 over *previous* and the row's time, evidence and detail.

    These are written as one Python tuple in ASCII: integers, floats, None and quoted text.
    (JSON would do as well, and take twice the time of hashing it.)
    """
    return sha256(previous + ascii((recorded_at_us, *draft, *detail)).encode()).digest()


def totals_after(head: Head, draft: Draft) -> tuple[int | None, ...]:
    """The row's running totals, in `Head`'s order; None for the model of a row without one."""
    cost = draft.cost_pico or 0
    tokens = draft.input_tokens + draft.output_tokens
    requests = draft.requests
    usd, pico = divmod(head.pico + cost, PICO)
    of_account = (head.usd + usd, pico, head.tokens + tokens, head.requests + requests)
    if draft.model is None:
        return (*of_account, None, None, None, None)
    usd, pico = divmod((head.model_pico or 0) + cost, PICO)
    return (
        *of_account,
        (head.model_usd or 0) + usd,
        pico,
        (head.model_tokens or 0) + tokens,
        (head.model_requests or 0) + requests,
    )
