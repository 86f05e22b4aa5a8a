"""A report as one HTML page that loads nothing: charts, and every figure of them in a table.

All names are escaped. The page's policy forbids requests and scripts, whatever is in a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from budgetledger.entries import Entry
from budgetledger.render.charts import COLORS, FEW, share_bar, stacked_bars
from budgetledger.render.page_style import STYLE
from budgetledger.render.report_text import (
    change_text,
    counted,
    not_known,
    range_text,
    without,
)
from budgetledger.render.text import (
    clock_time,
    decimals_of,
    limit_text,
    pace_text,
    percent,
    quantity,
    usd,
    used,
    window_text,
)
from budgetledger.reporting import BudgetPace, Figures, Report
from budgetledger.reports.page import Page
from budgetledger.windows import from_us

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_CLASSES = {">": ' class="n"', "|": ' class="t"'}
_MOST_ROWS = 100  # of accounts and budgets


def page_html(page: Page) -> str:
    """The whole page."""
    report = page.over_time
    title = f"Spending of {report.account or report.project}"
    made_at = clock_time(from_us(page.made_at_us, report.timezone))
    sections = "".join(
        (
            _figures(report),
            _over_time(report),
            _accounts(page.by_account),
            _budgets(page),
            _calls(page.calls, report),
            _unknown(report),
        )
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="soft">{escape(range_text(report))}. Made {made_at} ({escape(report.timezone)}).</p>
{sections}</body>
</html>
"""


# -- sections -------------------------------------------------------------------------------------


def _figures(report: Report) -> str:
    figures = report.total.figures
    before = ""
    if report.previous is not None:
        change = "" if report.change is None else f", {change_text(report.change)}"
        before = f"{usd(report.previous.cost)} before{change}"
    exactly = f"exactly {usd(figures.cost)}"
    boxes = [
        ("Cost", _rounded(figures.cost), "; ".join(filter(None, (exactly, before)))),
        ("Average", _rounded(report.average), f"for each {report.by}"),
        ("Requests", f"{figures.requests:,}", ""),
        ("Input tokens", f"{figures.input_tokens:,}", f"{percent(figures.cached_share)} cached"),
        ("Output tokens", f"{figures.output_tokens:,}", ""),
        ("Unpriced", f"{figures.unpriced:,}", "requests, not in the cost"),
        ("Assumed", _rounded(figures.assumed_cost), counted(figures.assumed, "request")),
        ("Estimated", _rounded(figures.estimated_cost), counted(figures.estimated, "request")),
    ]
    items = "".join(
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{remark}</small>' * bool(remark)}</dd></div>"
        for name, value, remark in boxes
    )
    return f'<dl class="figures">{items}</dl>\n'


def _over_time(report: Report) -> str:
    assert report.columns is not None
    heading = f"<h2>Cost by {report.by} and {escape(report.columns.removeprefix('tag:'))}</h2>\n"
    if not report.total.figures.requests and not report.total.figures.cost_pico:
        return f"{heading}<p>No calls in this range.</p>\n"
    names, (*by_row, totals) = _largest_columns(report)
    periods = [str(row.name) for row in report.rows]
    costs = [
        [*each, row.figures.cost]
        for each, row in zip([*by_row, totals], [*report.rows, report.total], strict=True)
    ]
    headers = report.by, *(f">{name}" for name in names), ">total"
    grid = _table(headers, _in_dollars(costs[:-1], costs[-1], periods), has_total=True)
    return f"{heading}{_chart(periods, names, by_row)}{grid}"


def _largest_columns(report: Report) -> tuple[list[str], list[list[Decimal]]]:
    """The most expensive columns, the others as one: their names, and a row of costs for each
    row and for the total."""
    names = report.column_names
    order = sorted(range(len(names)), key=lambda at: -report.total.cells[at].cost_pico)
    shown, others = order[: COLORS - 1], order[COLORS - 1 :]
    named = [without(report.columns or "", names[at]) for at in shown]
    costs = []
    for row in (*report.rows, report.total):
        found = [row.cells[at].cost for at in shown]
        rest = sum((row.cells[at].cost for at in others), Decimal(0))
        costs.append([*found, rest] if others else found)
    return [*named, *([counted(len(others), "other")] * bool(others))], costs


def _chart(
    periods: Sequence[str], names: Sequence[str], by_row: Sequence[Sequence[Decimal]]
) -> str:
    """Bars, with the amounts and periods along them, and what each colour is."""
    series = [*zip(*by_row, strict=True)]
    texts = [
        [f"{name} {usd(one)}" for one in each] for name, each in zip(names, series, strict=True)
    ]
    drawing = stacked_bars(periods, [[*map(float, each)] for each in series], texts)
    highest = max(sum(each, Decimal(0)) for each in by_row)
    up = "".join(f"<span>{_rounded(one)}</span>" for one in (highest, highest / 2, Decimal(0)))
    along = "".join(f"<span>{escape(name)}</span>" for name in _along(periods))
    key = "".join(
        f'<li><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="c{number}" width="1"'
        f' height="1"/></svg>{escape(name)}</li>'
        for number, name in enumerate(names)
    )
    few = " few" if len(periods) <= FEW else ""
    return (
        f'<div class="chart"><div class="up">{up}</div>{drawing}'
        f'<div class="along{few}">{along}</div></div>\n<ul class="key">{key}</ul>\n'
    )


def _along(periods: Sequence[str]) -> list[str]:
    """What stands under the bars: a name for each place, or the first, the middle and the last."""
    if len(periods) <= FEW:
        return [*periods, *[""] * (FEW - len(periods))]
    return [periods[0], periods[len(periods) // 2], periods[-1]]


def _in_dollars(
    by_row: Sequence[Sequence[Decimal]], totals: Sequence[Decimal], names: Sequence[str]
) -> list[list[str]]:
    """Rows of dollars aligned at the point, each under its name; the last is the total.

    Cells of 0 are empty.
    """
    every = [*by_row, totals]
    decimals = [decimals_of(column) for column in zip(*every, strict=True)]
    return [
        [
            escape(name),
            *(usd(one, at) if one else "" for one, at in zip(row[:-1], decimals, strict=False)),
            usd(row[-1], decimals[-1]),
        ]
        for name, row in zip([*names, "total"], every, strict=True)
    ]


def _accounts(report: Report) -> str:
    shown = report.rows[:_MOST_ROWS]
    if not shown:
        return ""
    most = max(row.figures.cost_pico for row in shown)
    total = report.total.figures
    decimals = decimals_of([total.cost, *(row.figures.cost for row in shown)])

    def cells(figures: Figures) -> list[str]:
        unpriced = f"{figures.unpriced:,}" if figures.unpriced else ""
        return [
            usd(figures.cost, decimals),
            f"{figures.requests:,}",
            f"{figures.tokens:,}",
            percent(figures.cached_share),
            unpriced,
        ]

    rows = [
        [
            "&emsp;" * row.depth + escape(without("account", row.name)),
            share_bar(row.figures.cost_pico / most if most > 0 else 0.0),
            *cells(row.figures),
        ]
        for row in shown
    ]
    rows.append(["total", "", *cells(total)])
    left_out = len(report.rows) - len(shown)
    note = f"<p class=soft>{counted(left_out, 'more account')}, with less.</p>\n" * bool(left_out)
    headers = "account", "", ">USD", ">requests", ">tokens", ">cached", ">unpriced"
    under = "An account's figures include those of the accounts under it.</p>\n"
    has_tree = any(row.depth for row in shown)
    tree = f'<p class="soft">{under}' if has_tree else ""
    return f"<h2>By account</h2>\n{tree}{_table(headers, rows, has_total=True)}{note}"


def _budgets(page: Page) -> str:
    if not page.budgets:
        return ""
    shown = page.budgets[:_MOST_ROWS]
    left_out = len(page.budgets) - len(shown)
    note = f"<p class=soft>{counted(left_out, 'more budget')}, less full.</p>\n" * bool(left_out)
    headers = "account", "budget", "", ">used", ">posted", "limit", "window", "pace"
    rows = [_budget(one, page.made_at_us) for one in shown]
    return f"<h2>Budgets</h2>\n{_table(headers, rows)}{note}"


def _budget(one: BudgetPace, now_us: int) -> list[str]:
    status, budget = one.status, one.budget
    share = used(status.posted, budget.limit)
    style = "bad" if share >= 1 else "near" if share >= 0.8 else "c2"
    return [
        escape(budget.account),
        escape(budget.name),
        share_bar(share, style),
        percent(share),
        quantity(status.posted, budget.measure),
        escape(limit_text(budget)),
        escape(window_text(status.window, from_us(now_us))),
        "" if one.pace is None else escape(pace_text(one.pace, status)),
    ]


def _calls(calls: Sequence[Entry], report: Report) -> str:
    if not calls:
        return ""
    decimals = decimals_of(call.cost for call in calls)
    rows = [
        [
            str(call.id),
            clock_time(from_us(call.occurred_at_us or call.recorded_at_us, report.timezone)),
            escape(call.account),
            escape(call.model or ""),
            f"{call.input_tokens:,}",
            f"{call.output_tokens:,}",
            usd(call.cost or Decimal(0), decimals),
            escape(call.cost_basis or ""),
        ]
        for call in calls
    ]
    headers = "entry", "|time", "account", "model", ">input", ">output", ">USD", "basis"
    return f"<h2>The most expensive calls</h2>\n{_table(headers, rows)}"


def _unknown(report: Report) -> str:
    """What is unpriced, assumed or estimated, by the report's columns."""
    if not report.total.figures.requests:
        return ""
    heading = "<h2>Not known exactly</h2>\n"
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in not_known(report.total.figures))
    if not lines:
        return f"{heading}<p>Every cost is stated by price and usage.</p>\n"
    pairs = zip(report.column_names, report.total.cells, strict=True)
    rows = [
        [
            escape(without(report.columns or "", name)),
            f"{figures.unpriced:,}",
            f"{figures.assumed:,}",
            usd(figures.assumed_cost),
            f"{figures.estimated:,}",
            usd(figures.estimated_cost),
        ]
        for name, figures in pairs
        if figures.unpriced or figures.assumed or figures.estimated
    ]
    headers = (report.columns or "", ">unpriced", ">assumed", ">USD", ">estimated", ">USD")
    return f"{heading}{lines}{_table(headers, rows[:_MOST_ROWS])}"


# -- tables ---------------------------------------------------------------------------------------


def _table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, has_total: bool = False
) -> str:
    """A table of cells that are HTML.

    ``>`` before a header is a column of figures, ``|`` one that is not broken into lines.
    """
    classes = [_CLASSES.get(header[:1], "") for header in headers]
    head = "".join(
        f'<th scope="col"{style}>{escape(header.lstrip("|>"))}</th>'
        for header, style in zip(headers, classes, strict=True)
    )
    body = []
    for row in rows:
        first, *others = (
            f"<td{style}>{cell}</td>" for cell, style in zip(row, classes, strict=True)
        )
        first = f'<th scope="row">{row[0]}</th>'
        body.append(f"<tr>{first}{''.join(others)}</tr>\n")
    total = f"<tfoot>{body.pop()}</tfoot>" if has_total else ""
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(body)}</tbody>{total}</table></div>\n"
    )


def _rounded(amount: Decimal) -> str:
    """Dollars to the cent, or to three digits below one."""
    if abs(amount) >= 1 or not amount:
        return usd(amount.quantize(Decimal("0.01")))
    return usd(amount.quantize(Decimal(1).scaleb(amount.adjusted() - 2)))
