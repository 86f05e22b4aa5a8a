"""Reports in words: their range, totals, the range before, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator

from budgetledger.render.text import clock_time, percent, usd
from budgetledger.reporting import Figures, Report
from budgetledger.windows import from_us


def range_text(report: Report) -> str:
    """What is summed, from when to when, in which time zone."""
    start, end, zone = report.window.start, report.window.end, report.timezone
    when = "all time" if start is None else f"since {clock_time(start)}"
    if end is not None:
        when = "until " if start is None else f"{clock_time(start)} to "
        when += clock_time(end)
    whose = report.account or f"project {report.project}"
    by = report.by if report.columns is None else f"{report.by} and {report.columns}"
    known = "" if report.as_of_us is None else f", as of {clock_time(from_us(report.as_of_us))} UTC"
    return f"{whose} by {by}: {when} ({zone}){known}"


def summary(report: Report) -> Iterator[str]:
    """Totals, the average, and the range before."""
    figures = report.total.figures
    tokens = f"{figures.input_tokens:,} + {figures.output_tokens:,} tokens"
    cached = f" ({percent(figures.cached_share)} of the input cached)" * bool(figures.cached_tokens)
    yield f"total {usd(figures.cost)}, {counted(figures.requests, 'request')}, {tokens}{cached}"
    if len(report.rows) > 1:
        average = report.average.quantize(figures.cost)  # no more decimals than the total has
        yield f"average {usd(average)} for each {report.by.removeprefix('tag:')}"
    if report.previous is not None and report.previous_window is not None:
        before = report.previous_window
        assert before.start is not None
        assert before.end is not None
        change = "" if report.change is None else f", {change_text(report.change)}"
        yield (
            f"before, {clock_time(before.start)} to {clock_time(before.end)}: "
            f"{usd(report.previous.cost)}, {counted(report.previous.requests, 'request')}{change}"
        )


def change_text(change: float) -> str:
    """``now 17 % more``: against the range before."""
    return f"now {percent(abs(change))} {'more' if change >= 0 else 'less'}"


def not_known(figures: Figures) -> Iterator[str]:
    """What is unpriced, assumed and estimated."""
    if figures.unpriced:
        yield f"not in these figures: {counted(figures.unpriced, 'request')} without a price"
    if figures.assumed:
        whose = counted(figures.assumed, "request")
        yield f"assumed to be what was held: {usd(figures.assumed_cost)} of {whose}"
    if figures.estimated:
        whose = counted(figures.estimated, "request")
        yield f"estimated from counted tokens: {usd(figures.estimated_cost)} of {whose}"


def counted(count: int, what: str) -> str:
    """``1 request``, ``2 requests``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def without(dimension: str, name: str | None) -> str:
    """*name*, or what calls without it are called."""
    return f"no {dimension.removeprefix('tag:')}" if name is None else name
