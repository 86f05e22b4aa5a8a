"""The records of `BudgetManager` in hosted mode: on a server, changed through the outbox."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from budgetledger.caller_warnings import warn
from budgetledger.callers import holds_around
from budgetledger.entries import DefaultBudget, Entry
from budgetledger.errors import (
    InvalidInput,
    ServerRefused,
    ServerUnavailable,
    StoreError,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.hosted.api import Api
from budgetledger.hosted.holds import HostedHold, Kept
from budgetledger.hosted.http import Server
from budgetledger.hosted.outbox import Outbox, changes_of, settle_note
from budgetledger.hosted.records import Creation, Record, Reset, shown, turned, with_changes
from budgetledger.hosted.sending import Seen, Sender
from budgetledger.journal.drafts import DEFAULT_EXPIRY_SECONDS, HoldRequest, draft_charge
from budgetledger.journal.holding import Granted
from budgetledger.journal.journal import Journal, books_of
from budgetledger.journal.rows.accounts import Ref, no_budget
from budgetledger.journal.rows.rules import Draft
from budgetledger.ledger import Ledger
from budgetledger.litellm.records import DAYS
from budgetledger.money import Amount, Sum, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.usage import Usage
from budgetledger.verbs.hold_requests import prepare, seconds_of
from budgetledger.windows import span_us

E = TypeVar("E", bound=StoreError)


class HostedBooks:
    """What `BudgetManager` works with in hosted mode.

    Reads return the records as last received, plus the changes not sent yet. Every change
    refreshes them; after a settle the next read requests them again. A change is a row of the
    local ledger before it is sent.
    """

    def __init__(self, project: str, server: Server, outbox: Outbox) -> None:
        self.project = project
        self._server = server
        self._sender = Sender(project, server, outbox)
        self._outbox = outbox
        self._seen = Seen()
        self._is_outdated = False  # a hold was settled since they were received
        self._failure: tuple[float, StoreError] | None = None
        self.load()

    # -- reading --------------------------------------------------------------------------------

    def load(self) -> None:
        """Send the changes not sent yet, and read the records again."""
        self._send(anew=True)

    def users(self) -> list[str]:
        """The users that have a record."""
        return [*self._records()]

    def has(self, user: str) -> bool:
        """Whether *user* has a record."""
        return user in self._records()

    def record(self, user: str) -> Record:
        """The record of *user*. Raises `UnknownAccount`."""
        records = self._records()
        if user not in records:
            raise no_budget(self.project, user, None)
        return shown(user, records[user], time.time())

    def current_pico(self, user: str) -> int:
        """What *user* spent in the active window, in picodollars."""
        return to_pico(self.record(user)["current_cost"], signed=True)

    def _records(self) -> dict[str, Record]:
        if self._is_outdated:
            self._send()
        seen = self._seen
        unseen = changes_of(self._outbox.after(seen.through))
        return with_changes(seen.records, unseen, time.time())

    # -- changing -------------------------------------------------------------------------------

    def set_budget(
        self, user: str, limit: Sum, duration: str | None, created_at: float | None
    ) -> None:
        """Set the budget of *user*."""
        self._outbox.record(
            Creation(
                user,
                float(to_usd(limit.total_pico)),
                None if duration is None else DAYS[duration],
                created_at,
                time.time(),
            )
        )
        self._send_change()

    def set_default_budget(self, kind: str, limit: Sum, duration: str | None) -> None:
        """Set the default budget of *kind* on the server, which must have the API."""
        days = None if duration is None else DAYS[duration]
        self.api.set_default_budget(kind, limit, days)

    def remove_default_budget(self, kind: str) -> None:
        """End it. Raises `UnknownAccount`."""
        self.api.remove_default_budget(kind)

    def default_budgets(self) -> list[DefaultBudget]:
        """The default budgets in force on the server."""
        return self.api.default_budgets()

    def charge(
        self, user: str, response: object, model: str | None = None, usage: Usage | None = None
    ) -> None:
        """Record what a call of *user* cost."""
        journal = self._outbox.journal
        draft = draft_charge(
            response, None, model, usage, None, None, None, journal.clock, journal.prices
        )
        entry = self._outbox.add(user, draft)
        self._send_change()
        self._warn(entry)

    def shift(self, user: str) -> None:
        """Reset the cost of *user* to 0. Raises `UnknownAccount`."""
        self.record(user)
        self._outbox.record(Reset(user, time.time()))
        self._send_change()

    def shift_if_due(self, user: str) -> None:
        """Record that the window of *user* has turned, if the server's record is older.

        A server with the API turns its windows by itself; a reset sent there would remove from
        the active window what was spent since its start.
        """
        if self._sender.has_api:
            return
        written = self._seen.records.get(user, {})
        since = turned(user, written, time.time()).get("last_updated_at")
        if since is not None and since != written.get("last_updated_at"):
            self._outbox.record(Reset(user, since))
            self._send_change()

    # -- holds, which the hosted protocol does not have ------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The local ledger that contains the outbox."""
        return self._outbox.ledger

    @property
    def api(self) -> Api:
        """The server's API. Raises `InvalidInput` if it has none."""
        if not self._sender.has_api:
            raise InvalidInput(
                f"the budget server {self._server.address} has only LiteLLM's hosted protocol, "
                "which has no holds and no default budgets; run `budgetledger serve` there to use "
                "them"
            )
        return self._sender.api

    def hold(
        self,
        user: str,
        amount: Amount | None = None,
        *,
        expires_in: float | timedelta = DEFAULT_EXPIRY_SECONDS,
        wait: float | timedelta = 0,
        **options: Any,
    ) -> HostedHold:
        """See `Ledger.hold`."""
        api = self.api
        checked_name(user, "user")
        request = HoldRequest(amount, **options)
        prepared = prepare(self._outbox.journal, request)
        if prepared.unpriced is not None:
            raise prepared.unpriced
        if any(self._outbox.after(self._seen.through)):
            self._send(only_changes=True)  # so that these costs count in the decision
        in_us = span_us(expires_in, "expires_in")
        key, around = request.key or f"hold-{uuid4().hex}", holds_around(books_of(self.journal))
        entry = api.hold(user, prepared.draft, in_us, key, around, seconds_of(wait))
        granted = Granted(entry, Ref(0, 0, self.project, user, 0))
        return HostedHold(self, granted, prepared.estimate)

    @property
    def journal(self) -> Journal:
        """The outbox's journal, in the local ledger."""
        return self._outbox.journal

    def settle(self, account: str, hold_id: int, draft: Draft, key: str) -> Entry:
        """Close a hold. Raises `Kept` if the server is unavailable or refuses the settle."""
        try:
            entry = self.api.settle(account, hold_id, draft, key)
            self._is_outdated = True
            return entry
        except (ServerUnavailable, ServerRefused) as error:
            charge = draft._replace(
                kind="charge", hold_id=None, note=settle_note(hold_id), idempotency_key=key
            )
            raise Kept(self._outbox.add(account, charge), self._is_kept(error)) from error

    # -- sending --------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Send the changes not sent yet."""
        self._send()
        return {"status": "success"}

    def close(self) -> None:
        """Close the connections and the local ledger."""
        self._server.close()
        self.ledger.close()

    def _warn(self, entry: Entry) -> None:
        if entry.cost_pico is None and entry.id not in self._seen.priced:
            warn(
                f"no price is known for {entry.model!r}, so the budget server added no cost; "
                f"entry {entry.id} of {self.ledger!r} records the call: adjust it there by the "
                "cost, which is then sent to the server",
                UnpricedWarning,
            )
        if entry.account in self._seen.strangers:
            warn(
                f"user {entry.account!r} of project {self.project!r} had no budget on the budget "
                "server; call create_budget for it",
                UnknownAccountWarning,
            )

    def _send_change(self) -> None:
        try:
            self._send(only_changes=True)
        except StoreError as error:
            raise self._is_kept(error) from error

    def _is_kept(self, error: E) -> E:
        return type(error)(
            f"{error}; the change is saved in {self.ledger.path} and sent with the next change "
            "or save_data(): do not repeat it",
            **error.__dict__,
        )

    def _send(self, *, only_changes: bool = False, anew: bool = False) -> None:
        started = time.monotonic()
        with self._outbox.sending():
            if self._failure is not None and self._failure[0] > started:
                raise self._failure[1]  # another thread tried while this call waited
            # Clear it before the request, so that a hold settled meanwhile sets it again.
            was_outdated, self._is_outdated = self._is_outdated, False
            only_changes = only_changes and not was_outdated
            try:
                self._seen = self._server.retrying(
                    lambda: self._sender.exchange(self._seen, anew=anew, only_changes=only_changes)
                )
            except StoreError as error:
                self._is_outdated |= was_outdated
                self._failure = time.monotonic(), error
                raise
