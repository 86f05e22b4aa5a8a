"""Settling a hold after a call has been paid: nothing here may take the answer from the caller."""

from __future__ import annotations

import logging
from contextlib import suppress

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.caller_warnings import warn
from budgetledger.errors import (
    BudgetledgerWarning,
    HoldAlreadyClosed,
    UnreadableResponse,
    UnrecordedWarning,
)
from budgetledger.holds import BaseHold, Hold
from budgetledger.ledger import Ledger
from budgetledger.responses.response import Reading, model_of, read_response

_log = logging.getLogger("budgetledger")


def reading_of(response: object) -> Reading:
    """What *response* says; if it says nothing, without usage, to be recorded as unpriced."""
    try:
        return read_response(response)
    except UnreadableResponse:
        return Reading(model_of(response), None, None)


def settled(ledger: Ledger, hold: Hold, paid: Reading) -> None:
    """Settle *hold* of *ledger*, or say why not.

    A reading that names no model is of the one asked for.
    """
    paid = paid._replace(model=paid.model or hold.model)
    try:
        try:
            hold.settle(paid)
        except HoldAlreadyClosed:  # by another call with the same key; this one was paid too
            tags = hold.entry.tags or None
            ledger.charge(hold.account, paid, model=hold.model, tags=tags)
    except Exception as error:
        _say(hold, error)


async def asettled(ledger: Ledger, hold: AsyncHold, paid: Reading) -> None:
    """`settled`, awaited."""
    paid = paid._replace(model=paid.model or hold.model)
    try:
        try:
            await hold.settle(paid)
        except HoldAlreadyClosed:
            tags = hold.entry.tags or None
            charge = AsyncLedger(ledger).charge
            await charge(hold.account, paid, model=hold.model, tags=tags)
    except Exception as error:
        _say(hold, error)


def _say(hold: BaseHold, error: Exception) -> None:
    if isinstance(error, BudgetledgerWarning):  # warnings are errors here; the cost is recorded
        _log.warning("%s", error)
        return
    message = (
        f"a call of {hold.account!r} was answered, and its cost could not be recorded ({error}); "
        f"hold {hold.id} counts until {hold.expires_at:%Y-%m-%d %H:%M:%S} UTC; settle it, found by "
        f"ledger.holds({hold.account!r}), with the cost in USD"
    )
    _log.error(message, exc_info=error)
    with suppress(UnrecordedWarning):
        warn(message, UnrecordedWarning)
