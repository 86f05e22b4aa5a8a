"""Sums as the rows, columns and totals of a report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from budgetledger.reporting import Figures, ReportRow
from budgetledger.windows import Window

Name: TypeAlias = str | None
Cells: TypeAlias = dict[tuple[Name, Name], Figures]
"""Sums by the name of a row and of a column; without columns, the column None."""


class Table(NamedTuple):
    """The rows of a report, its columns, and the row of the totals."""

    column_names: tuple[Name, ...]
    rows: tuple[ReportRow, ...]
    total: ReportRow


def kind_of(account: str) -> str:
    """``team`` for ``team:research``, ``user`` for a bare name, ``project`` for ``*``."""
    prefix, colon, _ = account.partition(":")
    return "project" if account == "*" else prefix if colon and prefix else "user"


def named(sums: Iterable[tuple[Name, Name, Figures]]) -> Cells:
    """Add up sums with the same names."""
    cells: Cells = {}
    for row, column, figures in sums:
        known = cells.get((row, column))
        cells[row, column] = figures if known is None else known.plus(figures)
    return cells


def table(
    cells: Cells,
    periods: Mapping[str, Window] | None,
    column_periods: Sequence[str] | None,
    parents: Mapping[str, Name] | None,
    has_columns: bool,
) -> Table:
    """Arrange *cells*.

    *periods*: the rows in their order, empty ones too; *column_periods*: the columns likewise.
    Without them the most expensive are first. *parents*: the account above each, for a tree.
    """
    by_row = _summed((row, figures) for (row, _), figures in cells.items())
    by_column = _summed((column, figures) for (_, column), figures in cells.items())
    columns: Sequence[Name] = ()
    if has_columns:
        columns = column_periods if column_periods is not None else by_cost(by_column)

    def row_of(name: Name) -> ReportRow:
        in_columns = tuple(cells.get((name, column), _NOTHING) for column in columns)
        window = None if periods is None or name is None else periods[name]
        return ReportRow(name, by_row.get(name, _NOTHING), in_columns, window)

    if periods is not None:
        rows = [row_of(name) for name in periods]
    elif parents is not None:
        rows = tree(parents, row_of, by_row, len(columns))
    else:
        rows = [row_of(name) for name in by_cost(by_row)]
    total = _plus(by_row.values())
    in_all = tuple(by_column.get(column, _NOTHING) for column in columns)
    return Table(tuple(columns), tuple(rows), ReportRow("total", total, in_all))


_NOTHING = Figures()


def _plus(all_figures: Iterable[Figures]) -> Figures:
    total = _NOTHING
    for figures in all_figures:
        total = total.plus(figures)
    return total


def _summed(pairs: Iterable[tuple[Name, Figures]]) -> dict[Name, Figures]:
    sums: dict[Name, Figures] = {}
    for name, figures in pairs:
        sums[name] = sums.get(name, _NOTHING).plus(figures)
    return sums


def by_cost(sums: Mapping[Name, Figures]) -> list[Name]:
    """The names, the most expensive first."""

    def order(name: Name) -> tuple[int, int, str]:
        return -sums[name].cost_pico, -sums[name].requests, name or ""

    return sorted(sums, key=order)


def tree(
    parents: Mapping[str, Name],
    row_of: Callable[[Name], ReportRow],
    by_row: Mapping[Name, Figures],
    columns: int,
) -> list[ReportRow]:
    """Each account above those below it; its figures include theirs, so each call is in its
    own account's row and in those above, and once in the total."""
    below: dict[Name, list[str]] = {}
    names = {name for name in by_row if name is not None}
    for name in [*names]:  # accounts without calls of their own, above others
        above, seen = parents.get(name), {name}
        while above is not None and above not in seen:
            names.add(above)
            seen.add(above)
            above = parents.get(above)
    for name in names:
        below.setdefault(parents.get(name), []).append(name)

    def branch(name: str, depth: int) -> list[ReportRow]:
        branches = [branch(one, depth + 1) for one in below.get(name, ())]
        row = row_of(name)
        figures = _plus([row.figures, *(one[0].figures for one in branches)])
        cells = tuple(
            _plus([row.cells[at], *(one[0].cells[at] for one in branches)]) for at in range(columns)
        )
        return [row._replace(figures=figures, cells=cells, depth=depth), *_in_order(branches)]

    return _in_order([branch(name, 0) for name in below.get(None, ())])


def _in_order(branches: list[list[ReportRow]]) -> list[ReportRow]:
    branches.sort(key=lambda one: (-one[0].figures.cost_pico, one[0].name or ""))
    return [row for branch in branches for row in branch]
