"""Checks the arguments of `Ledger.set_budget` and turns them into terms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from budgetledger.entries import Measure
from budgetledger.errors import InvalidInput, InvalidPeriod
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


def budget_terms(
    limit: Amount | None,
    *,
    tokens: int | None,
    requests: int | None,
    per: str | timedelta | None,
    timezone: str,
    week_start: str | int,
    anchor: datetime | Literal["creation"] | None,
    model: str | None,
    alert_at: Sequence[Amount] | None,
    name: str | None,
    created_at: datetime | None,
) -> BudgetTerms:
    """Check the arguments of `Ledger.set_budget`. Raises `InvalidInput`."""
    if model is not None:
        checked_name(model, "model")
    measure, amount = _limit(limit, tokens, requests)
    anchored = anchor == "creation"
    at_us = None if anchor is None or isinstance(anchor, str) else to_us(anchor)
    if isinstance(anchor, str) and not anchored:
        raise InvalidInput(f"anchor must be a datetime or 'creation', got {anchor!r}")
    if anchored and per not in UNITS:
        raise InvalidPeriod(f"anchor 'creation' needs per to be one of {', '.join(UNITS)}")
    period = make_period(per, timezone=timezone, week_start=week_start, anchor_us=at_us)
    return BudgetTerms(
        _default_name(measure, period, model) if name is None else checked_name(name, "name"),
        measure,
        amount,
        model,
        period,
        None if alert_at is None else _shares(alert_at),
        anchored,
        None if created_at is None else to_us(created_at) / 1e6,
    )


def _limit(limit: Amount | None, tokens: int | None, requests: int | None) -> tuple[Measure, Sum]:
    limits = [value for value in (limit, tokens, requests) if value is not None]
    if len(limits) != 1:
        raise InvalidInput("a budget limits one thing: pass a limit in USD, or tokens, or requests")
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
