"""The ledger: each method is one transaction, and decides by asking the rules."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from budgetledger import _holding, _reports, _settings, _sql, _verify
from budgetledger._alerts import alert_of
from budgetledger._budgeting import WHOLE_PROJECT, crossing, line
from budgetledger._charging import draft_charge, draft_hold
from budgetledger._estimates import Estimate, largest_output
from budgetledger._holding import Granted
from budgetledger._journal import Appended, find_or_open
from budgetledger._posting import adjust, post_once
from budgetledger._reports import EVER, Ref
from budgetledger._sql import compiled
from budgetledger._sqlite import Synchronous
from budgetledger._store import Store
from budgetledger._transaction import Memory, Transaction
from budgetledger._verify import Verification
from budgetledger._warnings import warn
from budgetledger._writer import Execute
from budgetledger.entries import MONEY_KINDS, Account, Alert, Balance, Budget, Entry, Measure
from budgetledger.errors import (
    BudgetExceededError,
    ClockWarning,
    InvalidInput,
    InvalidPeriod,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedModel,
    UnpricedWarning,
)
from budgetledger.holds import Hold
from budgetledger.money import Amount, Sum, count, limit_sum, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.pricing import Usage
from budgetledger.rules import Draft
from budgetledger.windows import UNITS, Period, Window, make_period, span_us, to_us

if TYPE_CHECKING:
    from sqlmodel import Session

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Microseconds since 1970."""

_log = logging.getLogger("budgetledger")
_PAGE = 1000
_WHY = "why, in a few words"
_MOST_THRESHOLDS = 20
_TOLERATED_US = 1_000_000  # clocks are corrected by less than this all the time


def system_clock() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1000


class Ledger:
    """An append-only ledger of what LLM calls cost, and the budgets on it.

    *target* is a path, an ``sqlite:///`` URL or ``:memory:``; the file is created if it is
    missing. *project* separates accounts and keys inside one file. *synchronous*: ``"FULL"``
    survives power loss, ``"NORMAL"`` a killed process. *enforce*: False grants every hold and
    notes on it what would have refused it. *default_output_tokens*: what a hold assumes of a
    call whose output is not bounded. *on_alert* is called with each `Alert` that this ledger
    raises or resolves, once it is durable. *clock* returns microseconds since 1970 (for tests:
    `budgetledger.testing.FakeClock`).

    Safe to share between threads, and by processes that each open it. All methods may raise
    `StoreError`; names and amounts that cannot be used raise `InvalidInput`.
    """

    def __init__(
        self,
        target: str | PathLike[str],
        *,
        project: str = "default",
        synchronous: Synchronous = "FULL",
        enforce: bool = True,
        default_output_tokens: int = 4096,
        on_alert: Callable[[Alert], object] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.project = checked_name(project, "project")
        self.enforce = enforce
        self._default_output_tokens = count(default_output_tokens, "default_output_tokens")
        self._on_alert = on_alert
        self._clock = clock
        self._accounts: dict[str, Ref] = {}
        self._memory = Memory()
        self._store = Store(target, synchronous)

    def _of_project(self, project: str) -> Ledger:
        """The same open file, under another project."""
        other = object.__new__(Ledger)
        other.__dict__.update(self.__dict__)
        other.project, other._accounts = checked_name(project, "project"), {}
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
        alert_at: Sequence[Amount] | None = None,
        name: str | None = None,
    ) -> Budget:
        """Limit what *account* may use in a window; open the account if it is new.

        One of *limit* (USD), *tokens* or *requests* says how much, of one *model* if given.
        *per*: minute, hour, day, week, month, year (by the calendar of *timezone*, or stepped
        from *anchor*), a timedelta (the span that ends now), or None (for ever). *alert_at*:
        shares of the limit, such as ``(0.5, 0.8, 1)``, that raise an `Alert` once a window;
        None keeps those there are.

        A parent's budget limits all accounts under it together, that of ``"*"`` the project.
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
        shares = None if alert_at is None else _shares(alert_at)
        return self._set_budget(
            account, name, measure, amount, model, period, alert_at=shares, anchored=anchored
        )

    def _set_budget(
        self,
        account: str,
        name: str,
        measure: Measure,
        limit: Sum,
        model: str | None,
        period: Period,
        *,
        alert_at: tuple[Decimal, ...] | None = None,
        anchored: bool,
        created_at: float | None = None,
    ) -> Budget:
        def operation(tx: Transaction) -> tuple[Ref, Budget]:
            ref = find_or_open(tx, self.project, account)
            return ref, _settings.set_budget(
                tx, ref, name, measure, limit, model, period,
                alert_at=alert_at, anchored=anchored, created_at=created_at,
            )  # fmt: skip

        self._accounts[account], budget = self._write(operation)
        return budget

    def remove_budget(self, account: str, name: str) -> None:
        """End the budget *name*; what it counted stays. Raises `UnknownAccount`."""
        checked_name(name, "name")
        self._write_known(account, lambda tx, ref: _settings.remove_budget(tx, ref, name))

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
            account, lambda tx, ref: _settings.shift_windows(tx, ref, name, note)
        )

    def _shift_if_due(self, account: str, name: str) -> None:
        self._write_known(account, lambda tx, ref: _settings.shift_if_due(tx, ref, name))

    def set_parent(self, account: str, parent: str | None) -> None:
        """Put *account* under *parent*, whose budgets it counts against too; None for none.

        With a parent, accounts are opened if they are new. Rows so far stay where they
        counted. Everything is under ``"*"``, the project itself, from when that account is
        opened (by a budget).
        Raises `InvalidInput` for a cycle, `UnknownAccount`.
        """
        checked_name(account, "account")
        if parent is not None:
            checked_name(parent, "parent")
        if WHOLE_PROJECT in (account, parent):
            raise InvalidInput(
                "'*' is the project itself, above all accounts; set a budget on it, and pass "
                "None as parent for an account that is under nothing else"
            )

        def operation(tx: Transaction) -> None:
            ref = (
                _reports.known(tx.execute, self.project, account)
                if parent is None
                else find_or_open(tx, self.project, account)
            )
            _settings.set_parent(tx, ref, parent)

        self._write(operation)

    def freeze(self, account: str, *, reason: str | None = None) -> None:
        """Refuse all holds on *account* and those under it; costs are still recorded."""
        self._freeze(account, True, reason)

    def unfreeze(self, account: str, *, reason: str | None = None) -> None:
        """Grant holds on *account* again. Raises `UnknownAccount`."""
        self._freeze(account, False, reason)

    def _freeze(self, account: str, frozen: bool, reason: str | None) -> None:
        note = _note(reason)
        self._write_known(account, lambda tx, ref: _settings.set_frozen(tx, ref, frozen, note))

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

    # -- holds --------------------------------------------------------------------------------

    def hold(
        self,
        account: str,
        amount: Amount | None = None,
        *,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tokens: int | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        expires_in: float | timedelta = 1800,
    ) -> Hold:
        """Set money aside for a call before it is made, if every budget that applies allows it.

        How much: *amount* USD (and *tokens*, against budgets of tokens); or estimated for a
        call of *model* with the prompt *messages* (and *tools*) or *text*, and up to
        *max_output_tokens* in each of *n* answers. The budgets of the account and of all above
        it grant the hold together, or none of them. It counts until it is settled, released,
        or *expires_in* (seconds) have passed.

        *key*: a retry with the same key and content gets the same hold while it is open.

        Raises, with nothing recorded: `BudgetExceededError`, `AccountFrozen`,
        `UnknownAccount` if no budget stands on the account or above, `UnpricedModel`,
        `HoldAlreadyClosed` for the key of a hold that is over, `IdempotencyConflict`.
        """
        draft, estimate, unpriced = self._draft_hold(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags
        )
        operation = self._holding(account, draft, expires_in, unpriced)
        try:
            granted = self._write(operation)
        except BudgetExceededError as error:
            raise with_largest_output(error, estimate) from None
        self._granted(granted, estimate)
        return Hold(self, granted, estimate)

    def _draft_hold(
        self,
        amount: Amount | None,
        model: str | None,
        messages: Sequence[Mapping[str, Any]] | None,
        text: str | None,
        tools: Sequence[Mapping[str, Any]] | None,
        max_output_tokens: int | None,
        n: int,
        tokens: int | None,
        key: str | None,
        tags: Mapping[str, Any] | None,
    ) -> tuple[Draft, Estimate | None, UnpricedModel | None]:
        """The draft of a hold; of nothing, with what it lacks, if that is only to be noted."""
        assumed, clock = self._default_output_tokens, self._clock
        try:
            return *draft_hold(
                amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags,
                assumed, clock,
            ), None  # fmt: skip
        except UnpricedModel as unpriced:
            if self.enforce:
                raise
            draft, _ = draft_hold(
                0, model, None, None, None, None, 1, None, key, tags, assumed, clock
            )
            return draft, None, unpriced

    def _holding(
        self,
        account: str,
        draft: Draft,
        expires_in: float | timedelta,
        unpriced: UnpricedModel | None = None,
    ) -> Callable[[Transaction], Granted]:
        checked_name(account, "account")
        expires_in_us = span_us(expires_in, "expires_in")
        ref = self._accounts.get(account)

        def operation(tx: Transaction) -> Granted:
            return _holding.hold(
                tx, self.project, account, ref, draft, expires_in_us, unpriced,
                enforce=self.enforce,
            )  # fmt: skip

        return operation

    def _granted(self, granted: Granted, estimate: Estimate | None) -> None:
        if granted.refusal is not None and isinstance(granted.refusal, BudgetExceededError):
            with_largest_output(granted.refusal, estimate)
        self._accounts[granted.account.name] = granted.account

    def can_afford(
        self,
        account: str,
        amount: Amount | None = None,
        *,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tokens: int | None = None,
    ) -> bool:
        """Whether the budgets allow this now, as `hold` decides; also where it is not enforced.

        Writes nothing and sets nothing aside. Raises `UnknownAccount`, `UnpricedModel`.
        """
        checked_name(account, "account")
        draft, _ = draft_hold(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, None, None,
            self._default_output_tokens, self._clock,
        )  # fmt: skip

        def operation(execute: Execute) -> bool:
            tx = Transaction(execute, self._clock(), Memory())
            # An account to be opened would be under the project.
            ref = _reports.find(execute, self.project, account) or _reports.find(
                execute, self.project, WHOLE_PROJECT
            )
            if ref is None:
                raise _holding.no_budget(account, self.project)
            need = _holding.need_of(draft)
            refused = _holding.judged(tx, account, line(tx, ref), draft.model, need)
            if isinstance(refused, UnknownAccount):
                raise refused
            return refused is None

        return self._store.read(operation)

    def holds(self, account: str) -> list[Hold]:
        """The open holds that count against *account*: its own, and of accounts under it.

        To release what a dead process left behind, or to settle it late. Raises
        `UnknownAccount`.
        """
        return [Hold(self, granted, None) for granted in self._open_holds(account)]

    def _open_holds(self, account: str) -> list[Granted]:
        def operation(execute: Execute, ref: Ref) -> list[Granted]:
            found = []
            for expires_at_us, *row in execute(
                compiled(_sql.OPEN_ENTRIES), (ref.id, self._clock())
            ).fetchall():
                entry = Entry._make(row)._replace(expires_at_us=expires_at_us)
                found.append(Granted(entry, _reports.known(execute, self.project, entry.account)))
            return found

        return self._read_known(account, operation)

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
        if ref is None:
            return self._charged(account, self._write(self._charging(account, draft)))
        begin = self._begin

        def operation(execute: Execute) -> tuple[Appended, tuple[Alert, ...]]:
            tx = begin(execute)
            return post_once(tx, ref, draft), tx.alerts

        # What `_charging`, `_write` and `_charged` do, in half the time: this is called most.
        appended, alerts = self._store.write(operation)
        if alerts:
            self._tell(alerts)
        entry = appended.entry
        if entry.cost_pico is None or appended.behind_us > _TOLERATED_US:
            self._warn(appended)
        return entry

    def _charging(
        self, account: str, draft: Draft
    ) -> Callable[[Transaction], tuple[Appended, Ref | None]]:
        """The operation that charges, and returns the account too if it had to be found."""
        ref = self._accounts.get(checked_name(account, "account"))
        if ref is not None:
            return lambda tx: (post_once(tx, ref, draft), None)

        def find_and_charge(tx: Transaction) -> tuple[Appended, Ref | None]:
            found = _reports.find(tx.execute, self.project, account)
            opened = found or find_or_open(tx, self.project, account)
            appended = post_once(tx, opened, draft)
            return appended._replace(opened=found is None), opened

        return find_and_charge

    def _charged(self, account: str, outcome: tuple[Appended, Ref | None]) -> Entry:
        appended, ref = outcome
        if ref is not None:
            self._accounts[account] = ref
        entry = appended.entry
        if entry.cost_pico is None or ref is not None or appended.behind_us > _TOLERATED_US:
            self._warn(appended)
        return entry

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
        appended = self._write(lambda tx: adjust(tx, self.project, entry_id, draft))
        self._warn(appended)
        return appended.entry

    def _warn(self, appended: Appended) -> None:
        """Say what the caller should know, once the row is safe: warnings may be errors."""
        entry = appended.entry
        if appended.behind_us > _TOLERATED_US:
            warn(
                f"the clock is {appended.behind_us / 1e6:.0f} s behind the last entry of "
                f"{entry.account!r}; this entry has that one's time; check the clock",
                ClockWarning,
            )
        if appended.opened and appended.whole_id is None:
            warn(
                f"account {entry.account!r} of project {self.project!r} was opened by this "
                "charge and has no budget; set one with set_budget",
                UnknownAccountWarning,
            )
        if appended.is_new:
            self._warn_unpriced(entry)

    def _warn_unpriced(self, entry: Entry) -> None:
        if entry.cost_pico is None and entry.kind in MONEY_KINDS:
            warn(
                f"entry {entry.id} is recorded without a price, as none is known for "
                f"{entry.model!r}; no budget counts it until Ledger.adjust(entry, cost, "
                "reason=...) states its cost",
                UnpricedWarning,
            )

    # -- reading ------------------------------------------------------------------------------

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

    def _write(self, operation: Callable[[Transaction], T]) -> T:
        result, alerts = self._store.write(self._inside(operation))
        if alerts:
            self._tell(alerts)
        return result

    def _inside(
        self, operation: Callable[[Transaction], T]
    ) -> Callable[[Execute], tuple[T, tuple[Alert, ...]]]:
        """*operation* as the store runs it."""
        begin = self._begin

        def run(execute: Execute) -> tuple[T, tuple[Alert, ...]]:
            tx = begin(execute)
            return operation(tx), tx.alerts

        return run

    def _begin(self, execute: Execute) -> Transaction:
        memory, generation = self._memory, self._store.generation
        if memory.generation != generation:  # what was read may have been undone
            memory.settings.clear()
            memory.generation = generation
        return Transaction(execute, self._clock(), memory)

    def _tell(self, alerts: tuple[Alert, ...]) -> None:
        """Call ``on_alert``; what it raises must not eat what the caller did."""
        if self._on_alert is None:
            return
        for alert in alerts:
            try:
                self._on_alert(alert)
            except Exception:
                _log.exception("on_alert failed for %s", alert)

    def _write_known(self, account: str, operation: Callable[[Transaction, Ref], T]) -> T:
        checked_name(account, "account")
        return self._write(
            lambda tx: operation(tx, _reports.known(tx.execute, self.project, account))
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


def _shares(alert_at: Sequence[Amount]) -> tuple[Decimal, ...]:
    """Thresholds as shares of a limit, ascending."""
    given = alert_at if isinstance(alert_at, (list, tuple, set, frozenset)) else (alert_at,)
    shares = {to_usd(to_pico(share, "alert_at")).normalize() for share in given}
    if any(not 0 < share <= 1000 for share in shares) or len(shares) > _MOST_THRESHOLDS:
        raise InvalidInput(
            f"alert_at takes up to {_MOST_THRESHOLDS} shares of the limit above 0, "
            f"got {alert_at!r}; pass for example (0.5, 0.8, 1)"
        )
    return tuple(sorted(Decimal(f"{share:f}") for share in shares))


def with_largest_output(
    error: BudgetExceededError, estimate: Estimate | None
) -> BudgetExceededError:
    """*error*, telling the largest output that would have been granted."""
    least = error.__dict__.pop("least_available")
    if estimate is not None and (least["requests"] is None or least["requests"] > 0):
        error.largest_output = largest_output(estimate, least["usd"], least["tokens"])
    return error
