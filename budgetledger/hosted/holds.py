"""The `Hold` of hosted mode: the server keeps it, and each of its methods calls the server."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from budgetledger.caller_warnings import say
from budgetledger.entries import Entry
from budgetledger.errors import (
    BudgetledgerWarning,
    HoldAlreadyClosed,
    ServerRefused,
    ServerUnavailable,
    StoreError,
    UnrecordedWarning,
)
from budgetledger.holds import Hold
from budgetledger.journal.drafts import draft_increase
from budgetledger.journal.holding import Granted
from budgetledger.journal.increasing import Increased
from budgetledger.journal.nesting import counted_by
from budgetledger.journal.rows.rules import Draft
from budgetledger.money import Amount
from budgetledger.names import checked_reason
from budgetledger.responses.stream import StreamReading
from budgetledger.windows import span_us, to_us

if TYPE_CHECKING:
    from budgetledger.hosted.api import Api
    from budgetledger.journal.journal import Journal
    from budgetledger.pricing.estimates import Estimate


class HoldKeeper(Protocol):
    """What a `HostedHold` needs from the `HostedBooks` that took it."""

    @property
    def journal(self) -> Journal:
        """The outbox's journal, in the local ledger."""

    @property
    def api(self) -> Api:
        """The server's API."""

    def settle(self, account: str, hold_id: int, draft: Draft, key: str) -> Entry:
        """Close a hold. Raises `Kept` if the server does not accept the settle now."""


class Kept(Exception):
    """The local ledger keeps a settle, as *entry*, until the server accepts it."""

    def __init__(self, entry: Entry, error: ServerUnavailable | ServerRefused) -> None:
        super().__init__(entry, error)
        self.entry = entry
        self.error = error


class HostedHold(Hold):
    """A hold that the server grants and keeps."""

    def __init__(self, keeper: HoldKeeper, granted: Granted, estimate: Estimate | None) -> None:
        super().__init__(keeper.journal, granted, estimate)
        self._keeper = keeper
        self._key = uuid4().hex
        self._kept: Entry | None = None  # its settle, in the local ledger

    def _with_basis(self, draft: Draft) -> Draft:
        """Send what is unknown as such: the server decides."""
        return draft

    def _record(self, draft: Draft) -> Entry:
        if draft.kind == "release":  # the call failed, or an inner one counts it
            return self._settled(self._release(draft.note, counted_by(draft)))
        key = self._key_of(draft)
        if self._kept is not None and self._kept.idempotency_key != key:
            raise HoldAlreadyClosed(
                f"hold {self.id} of {self.account!r} was settled with {self._kept.cost} USD, but "
                "the budget server has not received this yet; call save_data() to send it",
                hold_id=self.id,
                entry=self._kept,
            )
        self._unrecorded = draft
        try:
            entry = self._keeper.settle(self.account, self.id, draft, key)
        except HoldAlreadyClosed as error:
            self.closed_by, self._unrecorded = error.entry, None
            raise
        except Kept as kept:  # the settle is durable locally; the caller still gets the error
            self._kept = self.closed_by = kept.entry
            self._unrecorded = None
            self._report(kept.entry._replace(id=0))  # the server has no such entry
            raise kept.error from None
        return self._settled(entry)

    def _key_of(self, draft: Draft) -> str:
        """A deterministic idempotency key: equal for equal settles of this hold."""
        return f"settle-{self._key}-{sha256(ascii(draft).encode()).hexdigest()[:16]}"

    def release(self, *, reason: str | None = None) -> Entry:
        """See `Hold.release`."""
        note = None if reason is None else checked_reason(reason)
        self.closed_by = self._release(note)
        return self.closed_by

    def _release(self, note: str | None, counted_by_id: int | None = None) -> Entry:
        key = f"release-{self._key}"
        return self._keeper.api.release(self.account, self.id, note, key, counted_by_id)

    def extend(self, expires_in: float | timedelta) -> datetime:
        """See `Hold.extend`."""
        in_us = span_us(expires_in, "expires_in")
        until = self._keeper.api.extend(self.account, self.id, in_us, f"extend-{uuid4().hex}")
        self._expires_at_us = to_us(until)
        return self.expires_at

    def increase(
        self, amount: Amount | None = None, *, tokens: int | None = None, key: str | None = None
    ) -> Decimal:
        """See `Hold.increase`."""
        draft = draft_increase(self.id, amount, tokens, key)
        key = key or f"increase-{uuid4().hex}"
        pico, tokens = self._keeper.api.increase(self.account, self.id, draft, key)
        return self._increased(Increased(self.entry, pico, tokens))

    def _settle_stream(self, reading: StreamReading) -> None:
        try:
            self._record(self._stream_settling(reading))
        except (ServerUnavailable, ServerRefused) as error:  # the settle is kept
            say(str(error), UnrecordedWarning)
        except (HoldAlreadyClosed, StoreError, BudgetledgerWarning) as error:
            self._not_recorded(error)
