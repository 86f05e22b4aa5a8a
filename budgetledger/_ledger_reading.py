"""The part of a ledger that reads: balances, entries, alerts, the whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from budgetledger.entries import Account, Alert, Balance, Budget, Entry
from budgetledger.journal import reports as _reports
from budgetledger.journal import statements as _sql
from budgetledger.journal import verify as _verify
from budgetledger.journal.alerts import alert_of
from budgetledger.journal.journal import LedgerCore
from budgetledger.journal.reports import EVER, Ref
from budgetledger.journal.standing import crossing
from budgetledger.journal.statements import compiled
from budgetledger.journal.verify import Verification
from budgetledger.money import to_usd
from budgetledger.storage.writer import Execute
from budgetledger.windows import to_us

if TYPE_CHECKING:
    from sqlmodel import Session


T = TypeVar("T")
_PAGE = 1000


class ReadingLedger(LedgerCore):
    """See `Ledger`."""

    def balance(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> Balance:
        """What the account spent and may still spend, in the windows that hold *at* (now).

        With *as_of*, as the ledger stood at that moment. Raises `UnknownAccount`.
        """

        def operation(execute: Execute, ref: Ref) -> Balance:
            return self._balance(execute, ref, at, as_of)[0]

        return self._read_known(account, operation)

    def model_costs(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> dict[str, Decimal]:
        """USD by model, in the window that `balance` reports. Raises `UnknownAccount`."""

        return self._snapshot(account, at, as_of)[1]

    def _snapshot(
        self, account: str, at: datetime | None = None, as_of: datetime | None = None
    ) -> tuple[Balance, dict[str, Decimal]]:
        """The balance, and what its window's posted is made of by model."""

        def operation(execute: Execute, ref: Ref) -> tuple[Balance, dict[str, Decimal]]:
            balance, known_us = self._balance(execute, ref, at, as_of)
            used = _reports.model_costs(execute, ref, balance.window, known_us)
            return balance, {model: to_usd(posted.pico) for model, posted in used.items()}

        return self._read_known(account, operation)

    def _balance(
        self, execute: Execute, ref: Ref, at: datetime | None, as_of: datetime | None
    ) -> tuple[Balance, int]:
        """The balance, and the moment of knowing: in the past if one was asked about."""
        moment_us, known_us = self._moments(execute, ref, at, as_of)
        # What is held ends at deadlines, which go by the clock as it is.
        now_us = self._clock()
        if known_us < now_us:
            return _reports.balance(execute, ref, moment_us, known_us, None), known_us
        now_us = max(now_us, moment_us) if at is not None else now_us
        return _reports.balance(execute, ref, moment_us, known_us, now_us), known_us

    def accounts(self) -> list[Account]:
        """The project's accounts, by name."""

        def operation(execute: Execute) -> list[Account]:
            project_id = _reports.find_project(execute, self.project)
            rows = execute(compiled(_sql.ACCOUNTS), (project_id,)).fetchall()
            return [Account(self.project, *row) for row in rows]

        return self._store.read(operation)

    def _projects(self) -> list[str]:
        """The projects in the file, by name."""
        statement = compiled(_sql.PROJECTS)
        return self._store.read(lambda execute: [name for (name,) in execute(statement)])

    def _accounts_with_budget(self, budget: str) -> list[str]:
        """The accounts on which *budget* stands, in the order they were opened."""

        def operation(execute: Execute) -> list[str]:
            project_id = _reports.find_project(execute, self.project)
            rows = execute(compiled(_sql.ACCOUNTS_WITH_BUDGET), (project_id, budget)).fetchall()
            return [name for (name,) in rows]

        return self._store.read(operation)

    def entries(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Entry]:
        """The rows of *account*, or of the project, recorded in [*since*, *until*), in order.

        Reads page by page, so it takes no more memory for a long history, and sees rows that
        are appended meanwhile. Raises `UnknownAccount`, at once.
        """
        since_us = 0 if since is None else to_us(since)
        until_us = EVER if until is None else to_us(until)
        if account is None:
            return self._project_entries(since_us, until_us)
        ref = self._read_known(account, lambda _, ref: ref)
        return self._account_entries(ref, since_us, until_us)

    def _account_entries(self, ref: Ref, since_us: int, until_us: int) -> Iterator[Entry]:
        statement = compiled(_sql.ACCOUNT_ENTRIES)
        after = (since_us, -1)
        while page := self._page(statement, (ref.id, *after, until_us, _PAGE)):
            yield from page
            after = (page[-1].recorded_at_us, page[-1].id)

    def _project_entries(self, since_us: int, until_us: int) -> Iterator[Entry]:
        statement = compiled(_sql.PROJECT_ENTRIES)
        project_id = self._store.read(lambda e: _reports.find_project(e, self.project))
        after_id = -1
        while page := self._page(statement, (project_id, after_id, since_us, until_us, _PAGE)):
            yield from page
            after_id = page[-1].id

    def _page(self, statement: str, parameters: tuple[object, ...]) -> list[Entry]:
        rows = self._store.read(lambda execute: execute(statement, parameters).fetchall())
        return [Entry._make(row) for row in rows]

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Recount everything in the file, all projects, and report differences; repairs nothing.

        Every row's time, totals and hash are decided again from the rows before it, and the
        schema's tables, triggers and views compared. *progress* is called with the number of
        rows done and the number there are.
        """
        with self._store.reading_apart() as connection:
            return _verify.verify(connection.execute, self._store.inspection, progress)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """An SQLModel session for queries of your own over `budgetledger.tables`; read-only.

        It sees the ledger as it is at the start of the ``with`` block. It costs the import of
        SQLModel, about half a second.
        """
        from sqlmodel import Session

        with self._store.session_engine() as engine, Session(engine) as session:
            yield session

    def alerts(self, account: str | None = None) -> list[Alert]:
        """The alerts raised and resolved on *account*, or in the project, in their order.

        Raises `UnknownAccount`.
        """

        def operation(execute: Execute, ref: Ref | None) -> list[Alert]:
            project_id = _reports.find_project(execute, self.project)
            only = None if ref is None else ref.id
            rows = execute(compiled(_sql.ALERTS), (project_id, only, only)).fetchall()
            return [alert_of(self.project, row[-1], *crossing(row), row[-2]) for row in rows]

        if account is None:
            return self._store.read(lambda execute: operation(execute, None))
        return self._read_known(account, operation)

    def budgets(self, account: str) -> list[Budget]:
        """The account's budgets in force, by name. Raises `UnknownAccount`."""
        return self._read_known(
            account, lambda execute, ref: _reports.budgets_in_force(execute, ref.id, ref.name)
        )
