"""Reports on a terminal, with bars, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.text import Text

from budgetledger.entries import BudgetStatus
from budgetledger.render.cells import markdown_table
from budgetledger.render.report_text import not_known, range_text, summary, without
from budgetledger.render.tables import bar, label, print_rows, show_paces, table
from budgetledger.render.text import (
    decimals_of,
    limit_text,
    percent,
    usd,
    used,
)
from budgetledger.reporting import Figures, Report, ReportRow

_MANY = 200  # rows: rich takes seconds for thousands
_BARS = (24, 16, 8, 0)
_OPTIONAL = ("cached", "tokens", "requests")  # in the order they are left out
_MOST_COLUMNS = 12


def show_report(out: Console, report: Report) -> None:
    """A table with bars that fits the terminal; below it totals, and what is not known."""
    out.print(label(out, range_text(report), "bold"), soft_wrap=True)
    if not report.rows:
        out.print("no calls")
        return
    headers, rows = _fitting(out, report)
    print_rows(out, headers, rows)
    for line in summary(report):
        out.print(Text(line), soft_wrap=True)
    for line in not_known(report.total.figures):
        out.print(Text(line, "yellow"), soft_wrap=True)
    show_paces(out, [row.budget for row in report.rows if row.budget is not None])


def markdown(report: Report) -> str:
    """The same as Markdown."""
    lines = "\n".join(f"- {line}" for line in (*summary(report), *not_known(report.total.figures)))
    if report.columns is None:
        headers, rows = _plain_rows(report, _OPTIONAL)
    else:
        headers, rows = _column_rows(report, len(report.column_names))
    headers = [header.lstrip("|") for header in headers]
    return f"{range_text(report)}\n\n{markdown_table(headers, rows)}\n\n{lines}"


def name_of(report: Report, row: ReportRow) -> str:
    """The name of a row, indented in a tree."""
    return "  " * row.depth + without(report.by, row.name)


def budget_text(status: BudgetStatus) -> str:
    """``62 % of $20.00 a month``."""
    share = percent(used(status.posted, status.budget.limit))
    return f"{share} of {limit_text(status.budget)}"


# -- tables ---------------------------------------------------------------------------------------


def _fitting(
    out: Console, report: Report
) -> tuple[Sequence[str], Sequence[Sequence[RenderableType]]]:
    """Headers and rows that fit: with fewer columns and narrower bars if necessary."""
    made: tuple[Sequence[str], Sequence[Sequence[RenderableType]]] | None = None
    for made in _candidates(out, report):
        if len(report.rows) > _MANY:
            break
        grid = table(out, *made[0])
        for row in made[1]:
            grid.add_row(*row)
        if Measurement.get(out, out.options.update(width=10_000), grid).maximum <= out.width:
            break
    assert made is not None
    return made


def _candidates(
    out: Console, report: Report
) -> Iterator[tuple[Sequence[str], Sequence[Sequence[RenderableType]]]]:
    if report.columns is not None:
        most = min(len(report.column_names), _MOST_COLUMNS)
        for count in (*range(most, 0, -1), most):  # where none fits, all, in lines
            headers, rows = _column_rows(report, count)
            yield headers, _labels(out, rows)
        return
    for left_out in range(len(_OPTIONAL) + 1):
        headers, rows = _plain_rows(report, _OPTIONAL[left_out:])
        for width in _BARS if out.is_terminal and len(report.rows) <= _MANY else (0,):
            if width == 8 and left_out < len(_OPTIONAL):
                continue  # rather fewer columns than a stub of a bar
            if width == 0 and out.is_terminal and left_out < len(_OPTIONAL):
                continue
            yield _with_bars(out, report, headers, _labels(out, rows), width)


def _with_bars(
    out: Console,
    report: Report,
    headers: list[str],
    rows: list[list[RenderableType]],
    width: int,
) -> tuple[list[str], list[list[RenderableType]]]:
    if not width:
        return headers, rows
    most = max((row.figures.cost_pico for row in report.rows), default=0)
    shares = [row.figures.cost_pico / most if most > 0 else 0.0 for row in report.rows]
    bars: list[RenderableType] = [bar(out, share, width, "cyan") for share in shares]
    bars += [""] * (len(rows) - len(bars))
    with_bars = [[row[0], graph, *row[1:]] for row, graph in zip(rows, bars, strict=True)]
    return [headers[0], "", *headers[1:]], with_bars


def _labels(out: Console, rows: list[list[str]]) -> list[list[RenderableType]]:
    """*rows* made safe to print; the last one, the total, is bold."""
    made: list[list[RenderableType]] = [[label(out, cell) for cell in row] for row in rows]
    if len(made) > 1:
        made[-1] = [label(out, cell, "bold") for cell in rows[-1]]
    return made


def _plain_rows(report: Report, optional: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Headers, a row of texts for each row, and the total."""
    every = [*report.rows, *([report.total] if len(report.rows) > 1 else [])]
    decimals = _decimals([row.figures for row in every])
    total = report.total.figures
    columns = [
        (f"|{report.by}", [name_of(report, row) for row in report.rows] + ["total"]),
        (">USD", [usd(row.figures.cost, decimals) for row in every]),
    ]
    if "requests" in optional:
        columns.append((">requests", [f"{row.figures.requests:,}" for row in every]))
    if "tokens" in optional and total.tokens:
        columns.append((">tokens", [f"{row.figures.tokens:,}" for row in every]))
    if "cached" in optional and total.cached_tokens:
        shares = [percent(row.figures.cached_share) for row in every]
        columns.append((">cached", shares))
    if total.unpriced:
        counts = [f"{row.figures.unpriced:,}" if row.figures.unpriced else "" for row in every]
        columns.append((">unpriced", counts))
    if any(row.budget for row in report.rows):
        texts = ["" if row.budget is None else budget_text(row.budget.status) for row in every]
        columns.append(("budget", texts))
    return _transposed(columns, len(every))


def _column_rows(report: Report, count: int) -> tuple[list[str], list[list[str]]]:
    """The same with the costs of the *count* most expensive columns, and the rest together."""
    every = [*report.rows, *([report.total] if len(report.rows) > 1 else [])]
    order = sorted(
        range(len(report.column_names)), key=lambda at: -report.total.cells[at].cost_pico
    )
    shown, others = sorted(order[:count]), order[count:]
    assert report.columns is not None
    columns = [(f"|{report.by}", [name_of(report, row) for row in report.rows] + ["total"])]
    for at in shown:
        decimals = _decimals([row.cells[at] for row in every])
        costs = [usd(row.cells[at].cost, decimals) if any(row.cells[at]) else "" for row in every]
        columns.append((f">{without(report.columns, report.column_names[at])}", costs))
    if others and count:
        sums = [sum((row.cells[at].cost for at in others), Decimal(0)) for row in every]
        decimals = decimals_of(sums)
        columns.append((f">{len(others):,} others", [usd(one, decimals) for one in sums]))
    decimals = _decimals([row.figures for row in every])
    columns.append((">USD", [usd(row.figures.cost, decimals) for row in every]))
    return _transposed(columns, len(every))


def _decimals(all_figures: Sequence[Figures]) -> int:
    return decimals_of(figures.cost for figures in all_figures)


def _transposed(
    columns: Sequence[tuple[str, Sequence[str]]], count: int
) -> tuple[list[str], list[list[str]]]:
    rows = [[cells[at] for _, cells in columns] for at in range(count)]
    return [header for header, _ in columns], rows
