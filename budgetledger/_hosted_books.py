"""The records of `BudgetManager` in hosted mode: kept by a server, changed through the outbox."""

from __future__ import annotations

import itertools
import time
from typing import Any, NamedTuple

from budgetledger._charging import draft_charge
from budgetledger._hosted_http import Server
from budgetledger._hosted_records import (
    DAYS,
    Change,
    Cost,
    Creation,
    Record,
    Reset,
    contains,
    shown,
    target_of,
    turned,
    with_changes,
    with_seen,
)
from budgetledger._outbox import Outbox, State, changes_of
from budgetledger._reports import no_budget
from budgetledger._warnings import warn
from budgetledger.entries import Entry
from budgetledger.errors import (
    ServerRefused,
    StoreError,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.money import Sum, to_pico, to_usd
from budgetledger.usage import Usage


class Seen(NamedTuple):
    """The server's records when last seen, with the changes up to the row ``through``."""

    records: dict[str, Record] = {}  # noqa: RUF012
    through: int = 0
    strangers: frozenset[str] = frozenset()
    """Users who had no record there before their cost was written."""


class HostedBooks:
    """What `BudgetManager` works with in hosted mode.

    Reads are of the records as last seen, which every change brings up to date, with what was
    not sent yet. A change is a row of the local ledger before it is sent: each record is read
    anew, changed by what was done here, and written, so that others' changes stay.
    """

    def __init__(self, project: str, server: Server, outbox: Outbox) -> None:
        self.project = project
        self._server = server
        self._outbox = outbox
        self._seen = Seen()
        self._failure: tuple[float, StoreError] | None = None
        self.load()

    # -- reading --------------------------------------------------------------------------------

    def load(self) -> None:
        """Send what was not sent, and read the records anew."""
        self._send(anew=True)

    def users(self) -> list[str]:
        """Who has a record."""
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
        return to_pico(self.record(user)["current_cost"])

    def _records(self) -> dict[str, Record]:
        seen = self._seen
        unseen = changes_of(self._outbox.after(seen.through))
        return with_changes(seen.records, unseen, time.time())

    # -- changing -------------------------------------------------------------------------------

    def set_budget(
        self, user: str, limit: Sum, duration: str | None, created_at: float | None
    ) -> None:
        """Give *user* a budget."""
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

    def charge(
        self, user: str, response: object, model: str | None = None, usage: Usage | None = None
    ) -> None:
        """Record what a call of *user* cost."""
        draft = draft_charge(response, None, model, usage, None, None, None, self._outbox.clock)
        entry = self._outbox.add(user, draft)
        self._send_change()
        self._warn(entry)

    def shift(self, user: str) -> None:
        """Set the cost of *user* back to 0. Raises `UnknownAccount`."""
        self.record(user)
        self._outbox.record(Reset(user, time.time()))
        self._send_change()

    def shift_if_due(self, user: str) -> None:
        """Write down that the window of *user* has turned, if the server's record is older."""
        written = self._seen.records.get(user, {})
        since = turned(user, written, time.time()).get("last_updated_at")
        if since is not None and since != written.get("last_updated_at"):
            self._outbox.record(Reset(user, since))
            self._send_change()

    def save(self) -> dict[str, Any]:
        """Send what was not sent."""
        self._send()
        return {"status": "success"}

    def close(self) -> None:
        """Close the connections and the local ledger."""
        self._server.close()
        self._outbox.ledger.close()

    def _warn(self, entry: Entry) -> None:
        if entry.cost_pico is None:
            warn(
                f"no price is known for {entry.model!r}, so that nothing was added on the budget "
                f"server; entry {entry.id} of {self._outbox.ledger!r} keeps the call: adjust "
                "it there with the cost, and the server is told",
                UnpricedWarning,
            )
        if entry.account in self._seen.strangers:
            warn(
                f"user {entry.account!r} of project {self.project!r} had no budget on the budget "
                "server; call create_budget for it",
                UnknownAccountWarning,
            )

    # -- sending --------------------------------------------------------------------------------

    def _send_change(self) -> None:
        try:
            self._send(only_changes=True)
        except StoreError as error:
            raise type(error)(
                f"{error}; what you did is kept in {self._outbox.ledger.path} and sent with the "
                "next change or save_data(): do not do it again",
                **error.__dict__,
            ) from error

    def _send(self, *, only_changes: bool = False, anew: bool = False) -> None:
        asked = time.monotonic()
        with self._outbox.sending():
            if self._failure is not None and self._failure[0] > asked:
                raise self._failure[1]  # it was tried while this call waited
            try:
                self._seen = self._server.retrying(lambda: self._exchange(only_changes, anew))
            except StoreError as error:
                self._failure = time.monotonic(), error
                raise

    def _exchange(self, only_changes: bool, anew: bool) -> Seen:
        """Read the records, resolve what is in doubt, write what is new or was undone."""
        outbox = self._outbox
        state = outbox.state()
        rows = [*outbox.after(state.through)]
        if only_changes and not rows and self._seen.through == state.through:
            return self._seen  # sent, and seen, by who held the lock before
        stored = self._get()
        if not stored and self._seen.records and not anew:
            raise self._forgotten()
        records = with_seen(stored, self._seen.records) if stored else {}
        through = state.through
        if state.trying is not None and all(
            contains(stored.get(user), target) for user, target in state.targets.items()
        ):
            through = state.trying
            outbox.acknowledged(through)
            rows = [row for row in rows if row.id > through]
        by_user: dict[str, list[Change]] = {}
        for change in changes_of(rows):
            by_user.setdefault(change.user, []).append(change)
        strangers = {
            user for user, (first, *_) in by_user.items()
            if user not in records and isinstance(first, Cost)
        }  # fmt: skip
        if by_user:
            changes = itertools.chain.from_iterable(by_user.values())
            records = with_changes(records, changes, time.time())
            targets = {user: target_of(records[user], done) for user, done in by_user.items()}
            outbox.trying(State(through, rows[-1].id, targets))
        if records != stored:
            self._set(records)
        if rows:
            through = rows[-1].id
            outbox.acknowledged(through)
        return Seen(records, through, frozenset(strangers))

    # -- the hosted protocol --------------------------------------------------------------------

    def _get(self) -> dict[str, Record]:
        path = "/get_budget"
        answer = self._server.post(path, {"project_name": self.project})
        if answer.status >= 400:
            raise self._server.refused(path, answer)
        told = answer.document
        status = told.get("status") if isinstance(told, dict) else None
        records = told.get("data") if status == "success" else {}
        if status not in ("success", "error") or not isinstance(records, dict):
            raise self._server.misunderstood(path, told)
        return records

    def _forgotten(self) -> ServerRefused:
        """The error for an answer that would make this client save its own change alone."""
        return ServerRefused(
            f"the budget server {self._server.address} has nothing stored for project "
            f"{self.project!r} any more, and had {len(self._seen.records)} users; if that is "
            "right, call load_data()",
            target=self._server.address,
            status=200,
        )

    def _set(self, records: dict[str, Record]) -> None:
        path = "/set_budget"
        answer = self._server.post(path, {"project_name": self.project, "user_dict": records})
        if answer.status >= 400:
            raise self._server.refused(path, answer)
        told = answer.document
        if isinstance(told, dict) and told.get("status") == "error":
            raise ServerRefused(
                f"the budget server {self._server.address}{path} did not save: {told!r:.200}",
                target=self._server.address,
                status=answer.status,
            )
