"""`Journal`: an open ledger as one project sees it, and transactions on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

from budgetledger.entries import Alert
from budgetledger.errors import StoreError
from budgetledger.journal import price_rows
from budgetledger.journal.holding import Granted
from budgetledger.journal.rows import accounts
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import EVER
from budgetledger.journal.transaction import Memory, Transaction
from budgetledger.names import checked_name
from budgetledger.prices import PriceBook
from budgetledger.pricing.hosts import Host
from budgetledger.pricing.sources import Prices, Registered
from budgetledger.storage.protocols import Execute
from budgetledger.storage.store import Store
from budgetledger.storage.waking import wake
from budgetledger.windows import to_us

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Microseconds since 1970."""

Taking: TypeAlias = Callable[[Transaction], Granted]
"""The operation that takes a hold."""

_log = logging.getLogger("budgetledger")


def system_clock() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1000


@dataclass(slots=True, eq=False)
class Journal:
    """The state behind a `Ledger`. ``dataclasses.replace`` makes another view of the same file.

    *around_hold* is called with each operation that takes a hold, and returns the one to run.
    *places*: where the calls of this view are made, for their price (see `Prices`); *registered*
    finds prices that LiteLLM has.
    """

    store: Store
    project: str
    clock: Clock
    enforce: bool
    default_output_tokens: int
    on_alert: Callable[[Alert], object] | None = None
    around_hold: Callable[[Taking], Taking] | None = None
    places: tuple[str | Host, ...] = ()
    registered: Registered | None = None
    memory: Memory = field(default_factory=Memory)
    refs: dict[str, Ref] = field(init=False)
    """The project's cached accounts, by name; a part of *memory*."""

    def __post_init__(self) -> None:
        self.refs = self.memory.accounts.setdefault(self.project, {})

    def for_project(self, project: str) -> Journal:
        """The same open file, under another project."""
        return replace(self, project=checked_name(project, "project"))

    # -- writing --------------------------------------------------------------------------------

    def write(self, operation: Callable[[Transaction], T]) -> T:
        """Run *operation* in a write transaction; durable on return. Then call ``on_alert``."""
        result, alerts = self.store.write(self.inside(operation))
        if alerts:
            self.tell(alerts)
        return result

    def inside(
        self, operation: Callable[[Transaction], T]
    ) -> Callable[[Execute], tuple[T, tuple[Alert, ...]]]:
        """*operation* as the store runs it; its result comes with the alerts to `tell`."""
        begin, path = self.begin, self.store.path

        def run(execute: Execute) -> tuple[T, tuple[Alert, ...]]:
            tx = begin(execute)
            result = operation(tx)
            if tx.makes_room:
                wake(path)
            return result, tx.alerts

        return run

    def begin(self, execute: Execute) -> Transaction:
        """The transaction that the store has begun, with the caches that are still valid."""
        memory, store = self.memory, self.store
        if memory.generation != store.generation:  # cached rows may have been rolled back
            memory.settings.clear()
            memory.heads.clear()
            memory.generation = store.generation
            memory.forget_before(store.renewals)  # each follows a failure, so a new generation
        if store.data_version is None:
            memory.heads.clear()
        else:
            (version,) = execute(store.data_version).fetchone()
            if memory.data_version != version:
                memory.heads.clear()
                memory.data_version = version
        return Transaction(execute, self.clock(), memory)

    def write_known(self, account: str, operation: Callable[[Transaction, Ref], T]) -> T:
        """`write` for an account that must exist. Raises `UnknownAccount`."""
        checked_name(account, "account")
        return self.write(
            lambda tx: operation(tx, accounts.known(tx.execute, self.project, account))
        )

    def tell(self, alerts: tuple[Alert, ...]) -> None:
        """Call ``on_alert``. Its exceptions are logged: the rows are written already."""
        if self.on_alert is None:
            return
        for alert in alerts:
            try:
                self.on_alert(alert)
            except Exception:
                _log.exception("on_alert failed for %s", alert)

    # -- reading --------------------------------------------------------------------------------

    def read(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* on one snapshot of the ledger."""
        return self.store.read(operation)

    def read_known(self, account: str, operation: Callable[[Execute, Ref], T]) -> T:
        """`read` for an account that must exist. Raises `UnknownAccount`."""
        checked_name(account, "account")

        def with_account(execute: Execute) -> T:
            self.memory.forget_before(self.store.renewals)
            ref = self.refs.get(account) or accounts.known(execute, self.project, account)
            return operation(execute, ref)

        return self.store.read(with_account)

    def moments(
        self, execute: Execute, ref: Ref, at: datetime | None, as_of: datetime | None
    ) -> tuple[int, int]:
        """The moment to report and the moment of knowledge, in microseconds since 1970."""
        known_us = EVER if as_of is None else to_us(as_of)
        clock_us = self.clock()
        if at is not None and to_us(at) != clock_us:
            return to_us(at), known_us
        # An account's time never runs back, even if the clock does.
        now_us = max(clock_us, accounts.last_time(execute, ref.id))
        return (min(now_us, known_us) if at is None else now_us), known_us

    @property
    def prices(self) -> Prices:
        """What prices the calls of this view."""
        return Prices(self.book, self.places, self.registered)

    def book(self) -> PriceBook:
        """The current own prices, cached until there are more of them.

        If they cannot be read now (for example in a finaliser inside a read), returns them as
        last read. Raises `StoreError` if they were never read.
        """
        books = self.memory.books

        def operation(execute: Execute) -> tuple[int | None, PriceBook]:
            self.memory.forget_before(self.store.renewals)
            kept, newest = books.get(self.project), price_rows.last_id(execute)
            if kept is not None and kept[0] == newest:
                return kept
            return newest, PriceBook(price_rows.rows(execute, self.project))

        try:
            newest_book = self.store.read(operation)
        except StoreError:
            kept = books.get(self.project)
            if kept is None:
                raise
            return kept[1]
        books[self.project] = newest_book
        return newest_book[1]


class OnJournal(Protocol):
    """A ledger, or a hold of one."""

    _journal: Journal


def books_of(journal: Journal) -> object:
    """The ledger and the project of *journal*, to compare: another object may be of the same."""
    store = journal.store
    return store.path if store.path != ":memory:" else id(store), journal.project


def journal_of(face: OnJournal) -> Journal:
    """The journal behind a ledger or a hold, whose public face is verbs only."""
    return face._journal
