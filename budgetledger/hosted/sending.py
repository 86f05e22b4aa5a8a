"""Sends the changes in the outbox to the server, and reads the server's records.

If the server has only the hosted protocol, the sender reads the records, applies the changes
made here and writes the result, so other clients' changes stay. If it has budgetledger's API,
each cost is a request with its own key, which nothing can overwrite.
"""

from __future__ import annotations

import itertools
import time
from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import (
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidInput,
    ServerRefused,
    UnknownAccount,
    UnknownEntry,
)
from budgetledger.hosted.api import Api
from budgetledger.hosted.http import Server
from budgetledger.hosted.outbox import Outbox, State, changes_of, draft_of, hold_of
from budgetledger.hosted.records import (
    Change,
    Cost,
    Creation,
    Record,
    Reset,
    contains,
    target_of,
    with_changes,
    with_seen,
)

_FINAL = (HoldAlreadyClosed, IdempotencyConflict, InvalidInput, UnknownAccount, UnknownEntry)


class Seen(NamedTuple):
    """The server's records as last read, with the changes up to the row ``through``."""

    records: dict[str, Record] = {}  # noqa: RUF012
    through: int = 0
    strangers: frozenset[str] = frozenset()
    """Users without a record there before their cost was written."""
    priced: frozenset[int] = frozenset()
    """Rows without a price here whose calls the server has priced."""


class Sender:
    """Not thread-safe: callers enter `Outbox.sending` first."""

    def __init__(self, project: str, server: Server, outbox: Outbox) -> None:
        self._project = project
        self._server = server
        self._outbox = outbox
        self.api = Api(server, project)
        self.has_api = False
        """Whether the server had budgetledger's API when last checked."""

    def exchange(self, seen: Seen, *, anew: bool, only_changes: bool) -> Seen:
        """Read the records, find out whether a lost write arrived, send what is new or undone.

        *anew*: whether the server may have lost what was *seen*. *only_changes*: whether to
        return without a request if everything is sent.
        """
        outbox = self._outbox
        state = outbox.state()
        rows = [*outbox.after(state.through)]
        if only_changes and not rows and seen.through == state.through:
            return seen  # an earlier sender sent and read all
        if self.has_api and only_changes and state.trying is None:
            return self._send_each(rows, state.through)
        stored = self._get()
        if anew:
            self.has_api = self.api.is_there()
        if not stored and seen.records and not anew and not self.has_api:
            raise self._forgotten(len(seen.records))
        through = state.through
        if state.trying is not None and all(
            contains(stored.get(user), target) for user, target in state.targets.items()
        ):
            through = state.trying
            outbox.acknowledge(through)
            rows = [row for row in rows if row.id > through]
        if self.has_api:
            return self._send_each(rows, through) if rows else Seen(stored, through)
        records = with_seen(stored, seen.records) if stored else {}
        return self._send_all(stored, records, rows, through)

    def _send_all(
        self,
        stored: dict[str, Record],
        records: dict[str, Record],
        rows: list[Entry],
        through: int,
    ) -> Seen:
        by_user = _by_user(rows)
        strangers = _strangers(by_user, records)
        if by_user:
            changes = itertools.chain.from_iterable(by_user.values())
            records = with_changes(records, changes, time.time())
            targets = {user: target_of(records[user], done) for user, done in by_user.items()}
            self._outbox.announce(State(through, rows[-1].id, targets))
        if records != stored:
            self._set(records)
        if rows:
            through = rows[-1].id
            self._outbox.acknowledge(through)
        return Seen(records, through, strangers)

    def _send_each(self, rows: list[Entry], through: int) -> Seen:
        done, priced = through, set()
        try:
            for row in rows:
                try:
                    if self._send_one(row):
                        priced.add(row.id)
                except _FINAL:
                    done = row.id  # a retry would be refused too, and block the rows behind it
                    raise
                done = row.id
        finally:
            if done > through:
                self._outbox.acknowledge(done)
        records = self._get()
        strangers = _strangers(_by_user(rows), records)
        records |= {user: self.api.record(user) for user in strangers}
        return Seen(records, done, strangers, frozenset(priced))

    def _send_one(self, row: Entry) -> bool:
        """Send a row. Returns whether the server priced a call that has no price here."""
        if row.kind == "charge":
            draft, hold_id = draft_of(row), hold_of(row)
            if hold_id is None:
                entry = self.api.charge(row.account, draft, _key(row))
            else:
                entry = self.api.settle(row.account, hold_id, draft, _key(row))
            return row.cost_pico is None and entry.cost_pico is not None
        if row.kind == "adjustment":
            self._correct(row)
        for change in changes_of([row]):
            if isinstance(change, Creation):
                self.api.set_budget(change)
            elif isinstance(change, Reset):
                self.api.shift(row.account, _key(row))
        return False

    def _correct(self, row: Entry) -> None:
        """Make a correction of the local ledger on the server.

        The server may have priced an entry that had no price here, before the correction or
        since: then the sum of the corrections here is the total cost of the call.
        """
        corrected = self._outbox.entry(row.corrects_id)
        there = self.api.entry_with_key(_key(corrected))
        amount = row.cost_pico or 0
        if there is None:  # sent through the hosted protocol, which has no entries
            if amount > 0:
                self.api.charge(row.account, draft_of(row), _key(row))
            return
        is_total = corrected.cost_pico is None
        if is_total:
            since = itertools.takewhile(
                lambda one: one.id <= row.id, self._outbox.after(corrected.id)
            )
            amount = sum(one.cost_pico or 0 for one in since if one.corrects_id == corrected.id)
        self.api.adjust(there, amount, row.note or "corrected", _key(row), is_total=is_total)

    # -- the hosted protocol --------------------------------------------------------------------

    def _get(self) -> dict[str, Record]:
        path = "/get_budget"
        answer = self._server.post(path, {"project_name": self._project})
        if answer.status >= 400:
            raise self._server.refused(path, answer)
        document = answer.document
        status = document.get("status") if isinstance(document, dict) else None
        records = document.get("data") if status == "success" else {}
        if status not in ("success", "error") or not isinstance(records, dict):
            raise self._server.misunderstood(path, document)
        return records

    def _forgotten(self, count: int) -> ServerRefused:
        """The error for an empty answer: this client would save only its own change there."""
        return ServerRefused(
            f"the budget server {self._server.address} no longer has records of project "
            f"{self._project!r}, which had {count} users; if that is correct, call load_data()",
            target=self._server.address,
            status=200,
        )

    def _set(self, records: dict[str, Record]) -> None:
        path = "/set_budget"
        document = {"project_name": self._project, "user_dict": records}
        answer = self._server.post(path, document)
        if answer.status >= 400:
            raise self._server.refused(path, answer)
        reply = answer.document
        if isinstance(reply, dict) and reply.get("status") == "error":
            raise ServerRefused(
                f"the budget server {self._server.address}{path} did not save it: {reply!r:.200}",
                target=self._server.address,
                status=answer.status,
            )


def _key(row: Entry) -> str:
    """The idempotency key of a row on the server."""
    return row.idempotency_key or row.hash.hex()


def _by_user(rows: list[Entry]) -> dict[str, list[Change]]:
    by_user: dict[str, list[Change]] = {}
    for change in changes_of(rows):
        by_user.setdefault(change.user, []).append(change)
    return by_user


def _strangers(by_user: dict[str, list[Change]], records: dict[str, Record]) -> frozenset[str]:
    return frozenset(
        user
        for user, (first, *_) in by_user.items()
        if user not in records and isinstance(first, Cost)
    )
