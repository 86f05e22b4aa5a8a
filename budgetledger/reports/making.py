"""A `Report` from a request: what `Ledger.report` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import InvalidInput
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.journal import Journal
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.rules import EVER
from budgetledger.names import checked_name
from budgetledger.reporting import BudgetPace, Figures, Report, ReportRow
from budgetledger.reports import grouping, periods, sums
from budgetledger.reports.budgets import paces_of, reported
from budgetledger.reports.remembered import remembered_sums
from budgetledger.reports.sums import Key, Part, Scope
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.storage.targets import is_server
from budgetledger.windows import Window, to_us

DIMENSIONS = (*periods.PERIODS, "account", "kind", "model", "host")
_TAG = "tag:"
_WHOLE_PROJECT = "*"


class Request(NamedTuple):
    """The arguments of `Ledger.report`."""

    by: str = "day"
    columns: str | None = None
    account: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    last: int | timedelta | None = None
    month: str | None = None
    timezone: str = "UTC"
    as_of: datetime | None = None
    tree: bool = False


class _Dimension(NamedTuple):
    """A dimension as SQL, and its values' names."""

    parts: tuple[Part, ...]
    name_of: Mapping[int, str] | None  # of periods and accounts
    is_host: bool = False


def make_report(journal: Journal, request: Request) -> Report:
    """See `Ledger.report`. Raises `InvalidInput`, `UnknownAccount`."""
    with making(journal, request) as one:
        return one.report(request.by, request.columns, tree=request.tree)


@contextmanager
def making(journal: Journal, request: Request) -> Iterator[Making]:
    """Reports of the range and account of *request*, on one snapshot."""
    check(request)
    now_us = journal.clock()
    window = periods.range_of(
        request.since, request.until, request.last, request.month, request.timezone, now_us
    )
    with journal.store.reading_apart() as connection:  # others go on reading meanwhile
        yield Making(journal, connection.execute, request, window, now_us)


def check(request: Request) -> None:
    """Raise `InvalidInput` for dimensions that do not exist or go together."""
    for what, name in (("by", request.by), ("columns", request.columns)):
        if name is None and what == "columns":
            continue
        is_tag = isinstance(name, str) and name.startswith(_TAG) and name != _TAG
        if name not in DIMENSIONS and not is_tag:
            raise InvalidInput(
                f"{what} must be one of {', '.join(DIMENSIONS)} or tag:NAME, got {name!r:.60}"
            )
    if request.by == request.columns:
        raise InvalidInput(f"by and columns are both {request.by!r}; pass two dimensions")
    if request.tree and request.by != "account":
        raise InvalidInput("a tree is by account; pass by='account'")
    if request.account is not None:
        checked_name(request.account, "account")


class Making:
    """The reports of one range, on one snapshot."""

    def __init__(
        self, journal: Journal, execute: Execute, request: Request, window: Window, now_us: int
    ) -> None:
        self._journal, self._execute, self._request = journal, execute, request
        self._window, self._now_us = window, now_us
        self._known_us = EVER if request.as_of is None else to_us(request.as_of)
        self._project_id = accounts.find_project(execute, journal.project) or 0
        whole = (None, _WHOLE_PROJECT)  # its own journal has only what came after its budget
        self._account = (
            None
            if request.account in whole
            else accounts.known(execute, journal.project, request.account or "")
        )
        self._is_server = is_server(journal.store.path)
        self._begins: dict[str, list[int]] = {}
        self._totals: dict[Window, Figures] = {}
        self._budgets: list[BudgetPace] | None = None

    def report(self, by: str, columns: str | None = None, *, tree: bool = False) -> Report:
        """Read the sums by these dimensions and arrange them."""
        request, window = self._request, self._window
        rows, others = self._dimension(by), self._dimension(columns)
        found = self._sums(window, (*rows.parts, *others.parts))
        count = len(rows.parts)
        cells = grouping.named(
            (_name(rows, key[:count]), _name(others, key[count:]), figures)
            for key, figures in found.items()
        )
        made = grouping.table(
            cells,
            self._periods(by),
            None if columns is None else self._column_periods(columns),
            self._parents() if tree else None,
            columns is not None,
        )
        before = periods.previous(window, min(self._now_us, self._known_us))
        return Report(
            project=self._journal.project,
            account=request.account,
            by=by,
            columns=columns,
            window=window,
            as_of_us=None if request.as_of is None else self._known_us,
            column_names=made.column_names,
            rows=self._with_budgets(made.rows) if by == "account" else made.rows,
            total=made.total,
            previous_window=before,
            previous=None if before is None else self._total(before),
        )

    def _sums(self, window: Window, parts: tuple[Part, ...]) -> Mapping[Key, Figures]:
        return remembered_sums(self._journal.store, self._execute, self.scope(window), parts)

    def scope(self, window: Window) -> Scope:
        """The rows of *window*."""
        return Scope(
            self._project_id,
            None if self._account is None else self._account.id,
            max(window.start_us or 0, 0),
            EVER if window.end_us is None else window.end_us,
            self._known_us,
            self._is_server,
        )

    def _total(self, window: Window) -> Figures:
        if window not in self._totals:
            self._totals[window] = self._sums(window, ()).get((), Figures())
        return self._totals[window]

    def _dimension(self, name: str | None) -> _Dimension:
        if name is None:
            return _Dimension((), None)
        if name in periods.PERIODS:
            begins = self._starts(name)
            names = dict(enumerate(periods.names(name, self._window.timezone, begins)))
            return _Dimension((sums.by_period(periods.runs(begins)),), names)
        if name in ("account", "kind"):
            every = self._accounts()
            if name == "kind":
                every = {one: grouping.kind_of(account) for one, account in every.items()}
            return _Dimension((sums.BY_ACCOUNT,), every)
        if name == "host":
            return _Dimension((sums.by_host(self._is_server), sums.BY_MODEL), None, True)
        if name == "model":
            return _Dimension((sums.BY_MODEL,), None)
        return _Dimension((sums.by_tag(name.removeprefix(_TAG), self._is_server),), None)

    def _accounts(self) -> dict[int, str]:
        rows = self._execute(_ACCOUNTS, (self._project_id,)).fetchall()
        return dict(rows)

    def _starts(self, unit: str) -> list[int]:
        """Where the periods start: those of the range, as far as there are rows, or time."""
        if unit not in self._begins:
            account_id = None if self._account is None else self._account.id
            span = sums.span_of(self._execute, self._project_id, account_id)
            first_us, last_us = span or (self._now_us, self._now_us)
            start_us, end_us, zone = self._window
            start_us = first_us if start_us is None else start_us
            last_us = max(last_us, self._now_us) + 1
            end_us = last_us if end_us is None else min(end_us, last_us)
            # An open start would begin in year 1: empty periods before the first row are left out
            # there, and those after the last one in any case.
            start_us = min(max(start_us, 0), end_us - 1)
            self._begins[unit] = periods.starts(unit, zone, start_us, end_us)
        return self._begins[unit]

    def periods_in(self, unit: str) -> int:
        """How many periods the range has."""
        return len(self._starts(unit)) - 1

    def _periods(self, unit: str) -> dict[str, Window] | None:
        if unit not in periods.PERIODS:
            return None
        begins, zone = self._starts(unit), self._window.timezone
        windows = (Window(a, b, zone) for a, b in pairwise(begins))
        return dict(zip(periods.names(unit, zone, begins), windows, strict=True))

    def _column_periods(self, unit: str) -> list[str] | None:
        found = self._periods(unit)
        return None if found is None else [*found]

    def _parents(self) -> dict[str, str | None]:
        rows = self._execute(compiled(statements.ACCOUNTS), (self._project_id,)).fetchall()
        return {name: parent for name, _, parent, _ in rows}

    def _with_budgets(self, rows: Iterable[ReportRow]) -> tuple[ReportRow, ...]:
        """Each account's reported budget beside it."""
        by_account: dict[str, list[BudgetPace]] = {}
        for one in self.budgets():
            by_account.setdefault(one.budget.account, []).append(one)
        return tuple(
            row._replace(budget=reported(by_account.get(row.name or "", ()))) for row in rows
        )

    def budgets(self) -> list[BudgetPace]:
        """The budgets of all accounts, in the windows that contain the end of the range."""
        if self._budgets is None:
            end_us = self._window.end_us
            at_us = min(self._known_us, EVER if end_us is None else end_us - 1)
            at = None if at_us >= self._now_us else at_us
            project, execute = self._journal.project, self._execute
            names = [name for (name,) in execute(_WITH_BUDGETS, (self._project_id,)).fetchall()]
            self._budgets = [
                one
                for name in names
                for one in paces_of(
                    self._journal, execute, accounts.known(execute, project, name), at,
                    self._known_us,
                )
            ]  # fmt: skip
        return self._budgets

    def most_expensive(self, count: int) -> list[Entry]:
        """The rows of the range that cost most, each call once."""
        ids = sums.most_expensive(self._execute, self.scope(self._window), count)
        found = (entry_with_id(self._execute, self._project_id, one) for one in ids)
        return [entry for entry in found if entry is not None]


_WITH_BUDGETS = """
SELECT a.name FROM accounts a WHERE a.project_id = ?
AND EXISTS (SELECT 1 FROM budget_revisions b WHERE b.account_id = a.id) ORDER BY a.name"""
_ACCOUNTS = "SELECT id, name FROM accounts WHERE project_id = ?"


def _name(dimension: _Dimension, key: tuple[object, ...]) -> str | None:
    """The name of a row or column; None without one."""
    if not key:
        return None
    if dimension.is_host:
        return _host(*key)
    [value] = key
    if dimension.name_of is None:
        return None if value is None else str(value)
    assert isinstance(value, int)
    return dimension.name_of[value]


def _host(provider: object, model: object) -> str | None:
    """The host that a row's price names, else the one that its model's prefix names."""
    if provider is not None:
        return str(provider)
    if not isinstance(model, str) or "/" not in model:
        return None
    from budgetledger.pricing.catalog import host_of  # loads the price list

    host = host_of(model)
    return None if host is None else host.provider
