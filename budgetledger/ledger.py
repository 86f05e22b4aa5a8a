"""The ledger: each method is one transaction, and decides by asking the rules."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from budgetledger import _journal, _reports, _sql, _verify
from budgetledger._charging import draft_charge
from budgetledger._journal import Appended, Clock
from budgetledger._reports import EVER, Ref
from budgetledger._sql import compiled
from budgetledger._sqlite import Synchronous
from budgetledger._store import Store
from budgetledger._verify import Verification
from budgetledger._writer import Execute
from budgetledger.entries import Account, Balance, Budget, Entry, Measure
from budgetledger.errors import (
    ClockWarning,
    InvalidInput,
    InvalidPeriod,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.money import Amount, Sum, count, limit_sum, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.pricing import Usage
from budgetledger.rules import Draft
from budgetledger.windows import UNITS, Period, Window, make_period, to_us

if TYPE_CHECKING:
    from sqlmodel import Session

T = TypeVar("T")
_PAGE = 1000
_WHY = "why, in a few words"
_TOLERATED_US = 1_000_000  # clocks are corrected by less than this all the time


def system_clock() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1000


class Ledger:
    """An append-only ledger of what LLM calls cost, and the budgets on it.

    *target* is a path, an ``sqlite:///`` URL or ``:memory:``; the file is created if it is
    missing. *project* separates accounts and keys inside one file. *synchronous*: ``"FULL"``
    survives power loss, ``"NORMAL"`` a killed process. *clock* returns microseconds since
    1970 (for tests: `budgetledger.testing.FakeClock`).

    Safe to share between threads, and by processes that each open it. All methods may raise
    `StoreError`; names and amounts that cannot be used raise `InvalidInput`.
    """

    def __init__(
        self,
        target: str | PathLike[str],
        *,
        project: str = "default",
        synchronous: Synchronous = "FULL",
        clock: Clock = system_clock,
    ) -> None:
        self.project = checked_name(project, "project")
        self._clock = clock
        self._accounts: dict[str, Ref] = {}
        self._store = Store(target, synchronous)

    def _of_project(self, project: str) -> Ledger:
        """The same open file, under another project."""
        other = object.__new__(Ledger)
        other.project = checked_name(project, "project")
        other._clock, other._accounts, other._store = self._clock, {}, self._store
        return other

    @property
    def path(self) -> str:
        """The ledger's file, absolute; or ``:memory:``."""
        return self._store.path

    # -- budgets ------------------------------------------------------------------------------

    def set_budget(
        self,
        account: str,
        limit: Amount | None = None,
        *,
        tokens: int | None = None,
        requests: int | None = None,
        per: str | timedelta | None = None,
        timezone: str = "UTC",
        week_start: str | int = "monday",
        anchor: datetime | Literal["creation"] | None = None,
        model: str | None = None,
        name: str | None = None,
    ) -> Budget:
        """Limit what *account* may use in a window; open the account if it is new.

        One of *limit* (USD), *tokens* or *requests* says how much, of one *model* if given.
        *per*: minute, hour, day, week, month, year (by the calendar of *timezone*, or stepped
        from *anchor*), a timedelta (the span that ends now), or None (for ever).

        The same *name* again revises the budget and keeps what is spent; another name adds a
        budget. The name defaults to what is limited: ``usd/month``, ``tokens/day/gpt-4o``.
        """
        checked_name(account, "account")
        if model is not None:
            checked_name(model, "model")
        measure, amount = _limit(limit, tokens, requests)
        anchored = anchor == "creation"
        at_us = None if anchor is None or isinstance(anchor, str) else to_us(anchor)
        if isinstance(anchor, str) and not anchored:
            raise InvalidInput(f"anchor must be a datetime or 'creation', got {anchor!r}")
        if anchored and per not in UNITS:
            raise InvalidPeriod(f"anchor='creation' goes with per= one of {', '.join(UNITS)}")
        period = make_period(per, timezone=timezone, week_start=week_start, anchor_us=at_us)
        name = _budget_name(measure, period, model) if name is None else checked_name(name, "name")
        return self._set_budget(account, name, measure, amount, model, period, anchored=anchored)

    def _set_budget(
        self,
        account: str,
        name: str,
        measure: Measure,
        limit: Sum,
        model: str | None,
        period: Period,
        *,
        anchored: bool,
        created_at: float | None = None,
    ) -> Budget:
        def operation(execute: Execute) -> tuple[Ref, Budget]:
            ref = _journal.find_or_open(execute, self.project, account, self._clock)
            return ref, _journal.set_budget(
                execute, ref, name, measure, limit, model, period, self._clock,
                anchored=anchored, created_at=created_at,
            )  # fmt: skip

        ref, budget = self._store.write(operation)
        self._accounts[account] = ref
        return budget

    def remove_budget(self, account: str, name: str) -> None:
        """End the budget *name*; what it counted stays. Raises `UnknownAccount`."""
        checked_name(name, "name")
        self._write_known(
            account, lambda execute, ref: _journal.remove_budget(execute, ref, name, self._clock)
        )

    def budgets(self, account: str) -> list[Budget]:
        """The account's budgets in force, by name. Raises `UnknownAccount`."""
        return self._read_known(
            account, lambda execute, ref: _reports.budgets_in_force(execute, ref.id, ref.name)
        )

    def shift_window(
        self, account: str, name: str | None = None, *, reason: str | None = None
    ) -> Window:
        """Start a new window now, of the budget *name* or of all the account's budgets.

        No row is touched: what was spent stays in the window that ends here. Returns the new
        window. Raises `UnknownAccount` if there is no such account or budget.
        """
        if name is not None:
            checked_name(name, "name")
        note = _note(reason)
        return self._write_known(
            account,
            lambda execute, ref: _journal.shift_windows(execute, ref, name, note, self._clock),
        )

    def _shift_if_due(self, account: str, name: str) -> None:
        self._write_known(
            account, lambda execute, ref: _journal.shift_if_due(execute, ref, name, self._clock)
        )

    # -- money --------------------------------------------------------------------------------

    def charge(
        self,
        account: str,
        response: object = None,
        *,
        cost: Amount | None = None,
        model: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
    ) -> Entry:
        """Record what a call cost. Never refused for lack of budget: the money is spent.

        *response*: an OpenAI, Anthropic or litellm response or its dict; or *usage* and
        *model*; or *cost* in USD. A call that no price list knows is recorded as unpriced,
        with an `UnpricedWarning`. *key*: the same key and content again returns the first
        entry, so a retry is safe. *tags*: JSON values, stored with the row.

        Returns the entry; durable on return. Raises `UnreadableResponse`,
        `IdempotencyConflict`.
        """
        draft = draft_charge(response, cost, model, usage, key, tags, occurred_at, self._clock)
        ref = self._accounts.get(checked_name(account, "account"))
        opened = False
        if ref is None:
            appended, opened = self._charge_first(account, draft)
        elif key is None:
            appended = self._store.write(
                lambda execute: _journal.append(execute, ref, draft, self._clock)
            )
        else:
            appended = self._store.write(
                lambda execute: _journal.append_once(execute, ref, draft, self._clock)
            )
        if opened or draft.cost_pico is None or appended.behind_us > _TOLERATED_US:
            self._warn(appended, opened)
        return appended.entry

    def _charge_first(self, account: str, draft: Draft) -> tuple[Appended, bool]:
        """Charge an account that this ledger has not seen yet; and whether it was opened."""

        def operation(execute: Execute) -> tuple[Appended, Ref, bool]:
            found = _reports.find(execute, self.project, account)
            ref = found or _journal.find_or_open(execute, self.project, account, self._clock)
            return _journal.append_once(execute, ref, draft, self._clock), ref, found is None

        appended, self._accounts[account], opened = self._store.write(operation)
        return appended, opened

    def adjust(
        self, entry: Entry | int, amount: Amount, *, reason: str, key: str | None = None
    ) -> Entry:
        """Correct *entry* (or the entry with that id) by *amount* USD, which may be negative.

        The correction is a row of its own, under the entry's model, in the window in which it
        is recorded. For an entry without a price, *amount* is its cost. Raises `UnknownEntry`.
        """
        entry_id = entry.id if isinstance(entry, Entry) else count(entry, "entry")
        draft = Draft(
            "adjustment",
            cost_pico=to_pico(amount, "amount", signed=True, one_entry=True),
            price_source="given",
            note=checked_name(reason, "reason", _WHY),
            idempotency_key=None if key is None else checked_name(key, "key"),
        )
        appended = self._store.write(
            lambda execute: _journal.adjust(execute, self.project, entry_id, draft, self._clock)
        )
        self._warn(appended)
        return appended.entry

    def _warn(self, appended: Appended, opened: bool = False) -> None:
        """Say what the caller should know, once the row is safe: warnings may be errors."""
        entry = appended.entry
        if appended.behind_us > _TOLERATED_US:
            warnings.warn(
                f"the clock is {appended.behind_us / 1e6:.0f} s behind the last entry of "
                f"{entry.account!r}; this entry has that one's time; check the clock",
                ClockWarning,
                stacklevel=3,
            )
        if opened:
            warnings.warn(
                f"account {entry.account!r} of project {self.project!r} was opened by this "
                "charge and has no budget; set one with set_budget",
                UnknownAccountWarning,
                stacklevel=3,
            )
        if entry.cost_pico is None and appended.is_new:
            warnings.warn(
                f"entry {entry.id} is recorded without a price, as none is known for "
                f"{entry.model!r}; no budget counts it until Ledger.adjust(entry, cost, "
                "reason=...) states its cost",
                UnpricedWarning,
                stacklevel=3,
            )

    # -- reading ------------------------------------------------------------------------------

    def balance(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> Balance:
        """What the account spent and may still spend, in the windows that hold *at* (now).

        With *as_of*, as the ledger stood at that moment. Raises `UnknownAccount`.
        """

        def operation(execute: Execute, ref: Ref) -> Balance:
            return _reports.balance(execute, ref, *self._moments(execute, ref, at, as_of))

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
            moment_us, known_us = self._moments(execute, ref, at, as_of)
            balance = _reports.balance(execute, ref, moment_us, known_us)
            used = _reports.model_costs(execute, ref, balance.window, known_us)
            return balance, {model: to_usd(posted.pico) for model, posted in used.items()}

        return self._read_known(account, operation)

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
            return _verify.verify(connection.execute, progress)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """An SQLModel session for queries of your own over `budgetledger.tables`; read-only.

        It sees the ledger as it is at the start of the ``with`` block. It costs the import of
        SQLModel, about half a second.
        """
        from sqlalchemy.pool import StaticPool
        from sqlmodel import Session, create_engine

        with self._store.reading_apart() as connection:
            engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
            with Session(engine) as session:
                yield session

    # -- the file -----------------------------------------------------------------------------

    def backup(self, path: str | PathLike[str]) -> None:
        """Copy the ledger as of now into the new file *path*, while others go on writing."""
        self._store.backup(path)

    def close(self) -> None:
        """Give files and locks back. Harmless when repeated."""
        self._store.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.path!r}, project={self.project!r})"

    # -- shared -------------------------------------------------------------------------------

    def _write_known(self, account: str, operation: Callable[[Execute, Ref], T]) -> T:
        checked_name(account, "account")
        return self._store.write(
            lambda execute: operation(execute, _reports.known(execute, self.project, account))
        )

    def _read_known(self, account: str, operation: Callable[[Execute, Ref], T]) -> T:
        checked_name(account, "account")

        def with_account(execute: Execute) -> T:
            ref = self._accounts.get(account) or _reports.known(execute, self.project, account)
            return operation(execute, ref)

        return self._store.read(with_account)

    def _moments(
        self, execute: Execute, ref: Ref, at: datetime | None, as_of: datetime | None
    ) -> tuple[int, int]:
        """The moment asked about, and the moment of knowing, in microseconds."""
        known_us = EVER if as_of is None else to_us(as_of)
        if at is not None:
            return to_us(at), known_us
        # An account's time never runs back, even if the clock does.
        now_us = max(self._clock(), _reports.last_time(execute, ref.id))
        return min(now_us, known_us), known_us


def _limit(limit: Amount | None, tokens: int | None, requests: int | None) -> tuple[Measure, Sum]:
    given = [value for value in (limit, tokens, requests) if value is not None]
    if len(given) != 1:
        raise InvalidInput("a budget limits one thing: pass an amount in USD, tokens= or requests=")
    if tokens is not None:
        return "tokens", Sum(count(tokens, "tokens"))
    if requests is not None:
        return "requests", Sum(count(requests, "requests"))
    assert limit is not None
    return "usd", limit_sum(limit)


def _budget_name(measure: str, period: Period, model: str | None) -> str:
    per = period.per
    if per == "rolling":
        assert period.span_us is not None
        seconds, us = divmod(period.span_us, 1_000_000)
        per = f"{seconds}.{us:06d}".rstrip("0").rstrip(".") + "s" if us else f"{seconds}s"
    return "/".join(part for part in (measure, per, model) if part)


def _note(text: str | None) -> str | None:
    return None if text is None else checked_name(text, "reason", _WHY)
