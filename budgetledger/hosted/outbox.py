"""Changes made in hosted mode: rows of the local ledger until the server has acknowledged them.

The project ``<project> at <server>`` has the changes made here, in order; the project of that
name with ``: sent`` has how many of them the server has acknowledged. Before a request whose
answer may get lost, a row states what the server will show if the request arrived, so neither a
lost answer nor a killed process makes a cost count twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

from budgetledger.entries import Entry
from budgetledger.errors import StoreBusy
from budgetledger.hosted.records import Change, Cost, Creation, Reset
from budgetledger.journal.append import find_or_open
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.journal import Journal, journal_of
from budgetledger.journal.posting import post, post_once
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.storage.dialect import compiled
from budgetledger.storage.process_lock import LockTimeout, ProcessLock
from budgetledger.storage.protocols import Execute
from budgetledger.verbs.listing import project_entries

_SENT = "sent"  # the account whose last row has the state
_CREATION, _RESET = "create_budget", "reset_cost"
_SETTLES = "settles the server's hold "


class State(NamedTuple):
    """Which changes the server has acknowledged, and which are in flight.

    ``through`` is the id of the last acknowledged row, ``trying`` that of the last row sent
    since, and ``targets`` what the server's records show, by user, if those rows arrived.
    """

    through: int = 0
    trying: int | None = None
    targets: dict[str, dict[str, Any]] = {}  # noqa: RUF012


class Outbox:
    """The changes of *project* for the server at *address*, in *ledger*'s file."""

    def __init__(self, ledger: Ledger, project: str, address: str) -> None:
        name = f"{project} at {address}"
        self.journal = journal_of(ledger).for_project(name)
        self.ledger = ledger_on(self.journal, like=ledger)
        self._sent = self.journal.for_project(f"{name}: sent")
        self._in_memory = threading.Lock()

    # -- changes --------------------------------------------------------------------------------

    def add(self, user: str, draft: Draft) -> Entry:
        """Record a cost, once for each key."""
        if draft.idempotency_key is None:  # the server's too, which makes retries safe
            draft = draft._replace(idempotency_key=f"{draft.kind}-{uuid4().hex}")

        def operation(tx: Transaction) -> Entry:
            account = find_or_open(tx, self.journal.project, user)
            return post_once(tx, account, draft).entry

        return self.journal.write(operation)

    def record(self, change: Creation | Reset) -> None:
        """Record a change that is not a cost."""
        note = _CREATION if isinstance(change, Creation) else _RESET
        self._note(self.journal, change.user, note, change._asdict())

    def _note(self, journal: Journal, account: str, note: str, what: dict[str, Any]) -> None:
        draft = Draft("opening", cost_pico=0, tags_json=json.dumps(what), note=note)
        journal.write(lambda tx: post(tx, find_or_open(tx, journal.project, account), draft))

    # -- acknowledgements -----------------------------------------------------------------------

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Admit one sender at a time, of all threads and processes that use the file.

        Raises `StoreBusy` if another process sends for a minute.
        """
        if self.ledger.path == ":memory:":
            with self._in_memory:
                yield
            return
        lock = ProcessLock(f"{self.ledger.path}.hosted.lock")
        try:
            try:
                lock.acquire()
                yield
            finally:
                lock.release()
        except LockTimeout:
            raise StoreBusy(
                "another process has been sending to the budget server for a minute; "
                "the change is saved and sent later",
                target=self.ledger.path,
            ) from None
        finally:
            lock.close()

    def state(self) -> State:
        """Which changes the server has acknowledged, and which are in flight."""

        def operation(execute: Execute) -> State:
            account = accounts.find(execute, self._sent.project, _SENT)
            if account is None:
                return State()
            row = execute(compiled(statements.LAST_ENTRY), (account.id,)).fetchone()
            return State(**Entry._make(row).tags)

        return self.journal.read(operation)

    def acknowledge(self, through: int) -> None:
        """Record that the server has all rows up to *through*."""
        self._note(self._sent, _SENT, "acknowledged", State(through)._asdict())

    def announce(self, state: State) -> None:
        """Record that the rows after ``state.through`` are about to be sent and may arrive."""
        self._note(self._sent, _SENT, "about to be sent", state._asdict())

    def entry(self, entry_id: int | None) -> Entry:
        """The row with that id."""
        return next(self.after((entry_id or 0) - 1))

    def after(self, through: int) -> Iterator[Entry]:
        """The rows after the row *through*, in order."""
        return project_entries(self.journal, after_id=through)


def changes_of(entries: Iterable[Entry]) -> Iterator[Change]:
    """The changes that rows make; none for costs that are not known (yet) and for other rows."""
    for entry in entries:
        if entry.kind == "opening" and entry.note == _CREATION:
            yield Creation(**entry.tags)
        elif entry.kind == "opening" and entry.note == _RESET:
            yield Reset(**entry.tags)
        elif entry.cost_pico:
            yield Cost(entry.account, entry.model or UNKNOWN_MODEL, entry.cost_pico)


def draft_of(entry: Entry) -> Draft:
    """The content of *entry*, to record it elsewhere."""
    return Draft._make(getattr(entry, name) for name in Draft._fields)


def settle_note(hold_id: int) -> str:
    """The note on a row that settles a hold of the server."""
    return f"{_SETTLES}{hold_id}"


def hold_of(entry: Entry) -> int | None:
    """The id of the server's hold that a row settles, or None."""
    note = entry.note or ""
    return int(note.removeprefix(_SETTLES)) if note.startswith(_SETTLES) else None
