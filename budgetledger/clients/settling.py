"""Settles a hold after a paid call. No error here may keep the answer from the caller."""

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
from budgetledger.holds import BaseHold, Hold, called_at, report
from budgetledger.ledger import Ledger
from budgetledger.responses.called_at import called_at as places_of
from budgetledger.responses.failures import is_failure
from budgetledger.responses.readings import FailedAnswer
from budgetledger.responses.response import Reading, id_of, model_of, read_response

_log = logging.getLogger("budgetledger")


def reading_for(hold: BaseHold, response: object) -> Reading:
    """`reading_of`; where LiteLLM says the call was made is noted on *hold*, for its price."""
    called_at(hold, *places_of(response))
    return reading_of(response)


def reading_of(response: object) -> Reading:
    """The model, usage and cost in *response*; if unreadable, the model only.

    A `FailedAnswer`, if it says that the call failed.
    """
    try:
        return read_response(response)
    except UnreadableResponse:
        kind = FailedAnswer if is_failure(response) else Reading
        return kind(model_of(response), None, None).with_id(id_of(response))


def settled(ledger: Ledger, hold: Hold, paid: Reading) -> None:
    """Settle *hold* of *ledger*; a failure is logged and warned of, never raised.

    A reading without a model gets the hold's model.
    """
    paid = paid._replace(model=paid.model or hold.model)
    try:
        try:
            hold.settle(paid)
        except HoldAlreadyClosed:  # by another call with the same key; this one was paid too
            tags = hold.entry.tags or None
            report(hold, ledger.charge(hold.account, paid, model=hold.model, tags=tags))
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
            report(hold, await charge(hold.account, paid, model=hold.model, tags=tags))
    except Exception as error:
        _say(hold, error)


def _say(hold: BaseHold, error: Exception) -> None:
    if isinstance(error, BudgetledgerWarning):  # warnings are errors here; the cost is recorded
        _log.warning("%s", error)
        return
    message = (
        f"a call of {hold.account!r} was answered, but its cost could not be recorded ({error}); "
        f"hold {hold.id} counts until {hold.expires_at:%Y-%m-%d %H:%M:%S} UTC; get it from "
        f"ledger.holds({hold.account!r}) and settle it with the cost in USD"
    )
    _log.error(message, exc_info=error)
    with suppress(UnrecordedWarning):
        warn(message, UnrecordedWarning)
