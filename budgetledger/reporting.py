"""The values of `Ledger.report`: sums of calls by period, account, model, host or tag.

Money is `Decimal` US dollars; fields ending in ``_us`` are microseconds since 1970, in ``_pico``
picodollars (10⁻¹² USD).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from operator import add
from typing import Literal, NamedTuple, TypeAlias

from budgetledger import display
from budgetledger.entries import Budget, BudgetStatus
from budgetledger.money import to_usd
from budgetledger.windows import Window, from_us

__all__ = ["BudgetPace", "Dimension", "Figures", "Forecast", "Pace", "Report", "ReportRow"]

Dimension: TypeAlias = Literal["hour", "day", "week", "month", "account", "kind", "model", "host"]
"""What a report groups by, besides ``tag:NAME``. ``kind``: of account, by the prefix of its name:
``user`` without one, ``project`` for ``*``."""


class Figures(NamedTuple):
    """Sums over calls and their corrections."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of ``input_tokens`` that was read from a cache."""
    cost_pico: int = 0
    unpriced: int = 0
    """Requests whose cost is not known, and which the cost leaves out."""
    assumed: int = 0
    """Requests that cost what was held for them, as their cost is not known yet."""
    assumed_pico: int = 0
    estimated: int = 0
    """Requests whose tokens were counted, as the answer reported none."""
    estimated_pico: int = 0

    def plus(self, other: Figures) -> Figures:
        """The sum of both."""
        return Figures(*map(add, self, other))

    @property
    def cost(self) -> Decimal:
        """USD, without what is unpriced."""
        return to_usd(self.cost_pico)

    @property
    def assumed_cost(self) -> Decimal:
        """The part of the cost, in USD, that is assumed."""
        return to_usd(self.assumed_pico)

    @property
    def estimated_cost(self) -> Decimal:
        """The part of the cost, in USD, that is by counted tokens."""
        return to_usd(self.estimated_pico)

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    @property
    def cached_share(self) -> float:
        """The share of the input that was read from a cache, 0 to 1."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else 0.0

    def __repr__(self) -> str:
        unknown = {"unpriced": self.unpriced, "assumed": self.assumed, "estimated": self.estimated}
        return display.listed(
            "Figures",
            f"{self.requests} requests",
            f"{self.input_tokens} + {self.output_tokens} tokens",
            display.quantity(self.cost),
            *(f"{count} {name}" for name, count in unknown.items() if count),
        )


class Forecast(NamedTuple):
    """Where spending leads at one rate."""

    reached_us: int | None
    """When the limit is reached; None if that is not before the window ends, or within a year."""
    at_end: Decimal | int | None
    """What will be posted at the end of the window, in the budget's measure; None without an
    end."""

    @property
    def reached_at(self) -> datetime | None:
        """When the limit is reached, in UTC."""
        return None if self.reached_us is None else from_us(self.reached_us)


class Pace(NamedTuple):
    """Where the spending of a budget leads, at the rate of its window and of the weekdays."""

    linear: Forecast
    """At the mean rate of the window so far. From three full days on."""
    weekday: Forecast | None
    """At the mean of each weekday in the last 28 days; None before the account has 28."""

    @property
    def forecasts(self) -> list[Forecast]:
        """One or both: the true end may lie between them, or outside."""
        return [self.linear] if self.weekday is None else [self.linear, self.weekday]


class BudgetPace(NamedTuple):
    """A budget, the use of its active window, and its pace."""

    status: BudgetStatus
    pace: Pace | None
    """None before three full days, for a rolling window, and once the limit is reached."""

    @property
    def budget(self) -> Budget:
        """The budget."""
        return self.status.budget


class ReportRow(NamedTuple):
    """One line of a report."""

    name: str | None
    """A period's start in the report's time zone, or the name that the calls have in common;
    None for calls without a model, host or tag."""
    figures: Figures
    cells: tuple[Figures, ...] = ()
    """The figures by column, in the order of `Report.column_names`."""
    window: Window | None = None
    """The period; None in reports by something else."""
    depth: int = 0
    """How many accounts are above it in a tree; its figures include those below it."""
    budget: BudgetPace | None = None
    """In a report by account: its budget ``default``, else that of USD with least available."""


class Report(NamedTuple):
    """Sums of calls, where they belong in time, each call once."""

    project: str
    account: str | None
    """The account whose journal is summed; None for the project."""
    by: str
    columns: str | None
    window: Window
    """The range, in the time zone whose days, weeks and months are summed."""
    as_of_us: int | None
    """The moment of knowledge: later rows are left out; None for now."""
    column_names: tuple[str | None, ...]
    rows: tuple[ReportRow, ...]
    total: ReportRow
    """Over all rows; its ``cells`` are those of the columns."""
    previous_window: Window | None
    """The range of equal length before; None if the report has no start."""
    previous: Figures | None
    """The figures of the range before."""

    @property
    def timezone(self) -> str:
        """The IANA name of the time zone."""
        return self.window.timezone

    @property
    def average(self) -> Decimal:
        """USD for each row of the report, to a picodollar."""
        roots = [row for row in self.rows if not row.depth]
        return to_usd(round(self.total.figures.cost_pico / len(roots))) if roots else to_usd(0)

    @property
    def change(self) -> float | None:
        """The cost against that of the range before: 0.25 is a quarter more; None without."""
        if self.previous is None or not self.previous.cost_pico:
            return None
        return self.total.figures.cost_pico / self.previous.cost_pico - 1

    def __repr__(self) -> str:
        by = self.by if self.columns is None else f"{self.by} and {self.columns}"
        return display.listed(
            "Report",
            f"by {by}",
            f"{len(self.rows)} rows",
            repr(self.total.figures),
            display.span(self.window.start_us, self.window.end_us),
            self.timezone,
        )

    def _repr_html_(self) -> str:
        headers = self.by, "requests", "input tokens", "output tokens", "USD", "unpriced"
        rows = [
            (one.name, *one.figures[:3], f"{one.figures.cost:f}", one.figures.unpriced or None)
            for one in (*self.rows, self.total)
        ]
        span = display.span(self.window.start_us, self.window.end_us)
        return display.html_table(f"Spending {span} ({self.timezone})", headers, rows)
