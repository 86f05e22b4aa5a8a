"""Checks the arguments of `Ledger.set_budget` and turns them into terms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal, NamedTuple

from budgetledger.entries import Budget, Measure
from budgetledger.errors import InvalidInput, InvalidName, InvalidPeriod
from budgetledger.money import Amount, Sum, count, limit_sum, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.windows import UNITS, Period, make_period, to_us

MOST_THRESHOLDS = 20
LARGEST_THRESHOLD = 1000
"""How many times the limit an alert can be raised at."""


class BudgetTerms(NamedTuple):
    """The terms of a budget to set.

    *alert_at*: shares of the limit, ascending; None keeps the present ones. *anchored*: windows
    start from the budget's creation. *created_at*: when that was, in seconds since 1970; None
    keeps the first one.
    """

    name: str
    measure: Measure
    limit: Sum
    model: str | None
    period: Period
    alert_at: tuple[Decimal, ...] | None = None
    anchored: bool = False
    created_at: float | None = None


class Kept(Enum):
    """The type of `KEPT`."""

    KEPT = "kept"

    def __repr__(self) -> str:
        return "KEPT"


KEPT = Kept.KEPT
"""The default of an argument for which None is a value: what the budget has stays."""


class BudgetChange(NamedTuple):
    """The checked arguments of `Ledger.set_budget`. None, or `KEPT`: as the budget has it."""

    name: str
    limit: tuple[Measure, Sum] | None
    per: str | timedelta | Kept | None
    timezone: str | None
    week_start: str | int | None
    anchor: int | Literal["creation"] | Kept | None
    """Microseconds since 1970."""
    model: str | Kept | None
    alert_at: tuple[Decimal, ...] | None
    created_at: float | None
    is_named: bool
    """Whether the caller passed the name."""

    def terms(self, current: Budget | None) -> BudgetTerms:
        """The terms that *current*, the budget in force, gets; those of a new one if None.

        Raises `InvalidInput` for a new budget without a limit, and for an anchor without a unit.
        """
        period, anchored = self.period(make_period() if current is None else current.period)
        if self.limit is not None:
            measure, limit = self.limit
        elif current is not None:
            measure, limit = current.measure, current.limit_sum
        else:
            raise InvalidInput(f"there is no budget {self.name!r} to change; {ONE_LIMIT}")
        model = (None if current is None else current.model) if self.model is KEPT else self.model
        return BudgetTerms(
            self.name, measure, limit, model, period, self.alert_at, anchored, self.created_at
        )

    def period(self, current: Period) -> tuple[Period, bool]:
        """The period that replaces *current*, and whether its windows start at the creation."""
        per, anchor = self.per, self.anchor
        if per is KEPT:
            span_us = current.span_us
            per = current.per if span_us is None else timedelta(microseconds=span_us)
        if anchor is KEPT:
            anchor = current.anchor_us if per in UNITS else None
        anchored = anchor == "creation"
        if anchored and per not in UNITS:
            raise InvalidPeriod(f"anchor 'creation' needs per to be one of {', '.join(UNITS)}")
        period = make_period(
            per,
            timezone=current.timezone if self.timezone is None else self.timezone,
            week_start=current.week_start if self.week_start is None else self.week_start,
            anchor_us=None if anchor == "creation" else anchor,
        )
        return period, anchored


def budget_change(
    limit: Amount | None = None,
    *,
    tokens: int | None = None,
    requests: int | None = None,
    per: str | timedelta | Kept | None = KEPT,
    timezone: str | None = None,
    week_start: str | int | None = None,
    anchor: datetime | Literal["creation"] | Kept | None = KEPT,
    model: str | Kept | None = KEPT,
    alert_at: Sequence[Amount] | None = None,
    name: str | None = None,
    created_at: datetime | None = None,
) -> BudgetChange:
    """Check the arguments of `Ledger.set_budget`. Raises `InvalidInput`."""
    if isinstance(model, str):
        checked_name(model, "model")
    elif model is not None and model is not KEPT:
        raise InvalidName(f"model must be a name, got {model!r:.60}")
    limits = [value for value in (limit, tokens, requests) if value is not None]
    if len(limits) > 1 or (not limits and name is None):
        raise InvalidInput(f"a budget limits one thing: {ONE_LIMIT}, or name= of one to change")
    if isinstance(anchor, str) and anchor != "creation":
        raise InvalidInput(f"anchor must be a datetime or 'creation', got {anchor!r}")
    measured = _limit(limit, tokens, requests) if limits else None
    is_named = name is not None
    if name is None:
        assert measured is not None
        period = make_period(None if per is KEPT else per)
        name = _default_name(measured[0], period, None if model is KEPT else model)
    change = BudgetChange(
        checked_name(name, "name"),
        measured,
        per,
        timezone,
        week_start,
        anchor if anchor is None or isinstance(anchor, str | Kept) else to_us(anchor),
        model,
        None if alert_at is None else _shares(alert_at),
        None if created_at is None else to_us(created_at) / 1e6,
        is_named,
    )
    if per is KEPT:  # an anchor can be checked only with the budget's unit
        change._replace(anchor=None).period(make_period())
    else:
        change.period(make_period())
    return change


ONE_LIMIT = "pass a limit in USD, or tokens, or requests"


def _limit(limit: Amount | None, tokens: int | None, requests: int | None) -> tuple[Measure, Sum]:
    if tokens is not None:
        return "tokens", Sum(count(tokens, "tokens"))
    if requests is not None:
        return "requests", Sum(count(requests, "requests"))
    assert limit is not None
    return "usd", limit_sum(limit)


def _default_name(measure: str, period: Period, model: str | None) -> str:
    per = period.per
    if per == "rolling":
        assert period.span_us is not None
        seconds, us = divmod(period.span_us, 1_000_000)
        per = f"{seconds}.{us:06d}".rstrip("0").rstrip(".") + "s" if us else f"{seconds}s"
    return "/".join(part for part in (measure, per, model) if part)


def _shares(alert_at: Sequence[Amount]) -> tuple[Decimal, ...]:
    """Thresholds as shares of a limit, ascending."""
    values = alert_at if isinstance(alert_at, (list, tuple, set, frozenset)) else (alert_at,)
    shares = {to_usd(to_pico(share, "alert_at")).normalize() for share in values}
    in_range = all(0 < share <= LARGEST_THRESHOLD for share in shares)
    if not in_range or len(shares) > MOST_THRESHOLDS:
        raise InvalidInput(
            f"alert_at must be up to {MOST_THRESHOLDS} shares of the limit, each above 0, "
            f"got {alert_at!r}; pass for example 0.5, 0.8 and 1"
        )
    return tuple(sorted(Decimal(f"{share:f}") for share in shares))
