"""Reads the fields of LiteLLM's record of a user, and writes them for a ledger's budget.

::

    {"total_budget": 10.5, "duration": 28, "created_at": 1700000000.0,
     "last_updated_at": 1700000000.0, "current_cost": 0.0075, "model_cost": {"gpt-4o": 0.0075}}

Amounts are US dollars, times seconds since 1970, the duration days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from budgetledger.entries import Budget
from budgetledger.errors import InvalidAmount, InvalidInput
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.money import MAX_ENTRY_PICO, PICO, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.windows import Window, window_at

NOISE_PICO = 1000
"""1e-9 USD: sums of floats differ by less, costs of calls by more."""

DAYS = {"daily": 1, "weekly": 7, "monthly": 28, "yearly": 365}
"""The ``duration`` that LiteLLM writes, by the name that `create_budget` takes."""

UNITS = {1: "day", 7: "week", **dict.fromkeys(range(28, 32), "month"), 365: "year", 366: "year"}
"""The unit of a window, by its ``duration``. LiteLLM's month has 28 days, or the number in its
environment variable ``DAYS_IN_A_MONTH``; here months and years are those of the calendar."""

_MOST_PICO = 10**9 * PICO  # a billion dollars; more is a defect of the sender
_DAY_US = 86_400_000_000


def budget_fields(budget: Budget, window: Window) -> dict[str, Any]:
    """The fields of a record for a budget whose active window is *window*.

    ``duration`` is absent if the window never ends.
    """
    fields: dict[str, Any] = {"total_budget": float(budget.limit)}
    if window.end_us is not None:
        # A reset moves the window's start; its length is what it had without one.
        full = window_at(budget.period, window.end_us - 1)
        assert full.start_us is not None
        # Rounded: where the clocks change, a day has 23 or 25 hours.
        fields["duration"] = round((window.end_us - full.start_us) / _DAY_US)
    fields["created_at"] = budget.created_at
    fields["last_updated_at"] = last_updated_at(budget, window)
    return fields


def cost_fields(posted: Decimal, models: Mapping[str, Decimal]) -> dict[str, Any]:
    """The fields of a record for the cost in the active window."""
    return {
        "current_cost": float(posted),
        "model_cost": {model: float(cost) for model, cost in models.items()},
    }


def last_updated_at(budget: Budget, window: Window) -> float:
    """When the active window began; for the first window, when the budget was created."""
    start_us = window.start_us
    if start_us is None or start_us == budget.period.anchor_us:
        return budget.created_at
    return start_us / 1e6


def days_of(record: dict[str, Any]) -> int | None:
    """The whole days of ``duration``, or None. Raises `InvalidInput`, as the functions below."""
    value = record.get("duration")
    if value is None:
        return None
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and 0 <= value < 10**7:
        days = int(value)
        if days == value:
            return days
    raise InvalidInput(f"duration must be a number of days, got {value!s:.60}")


def unit_of(days: int | None) -> str | None:
    """The unit of a window of *days* days; None for a window that never ends."""
    if days is not None and days not in UNITS:
        raise InvalidInput(f"duration must be 1, 7, 28 to 31, 365 or 366 days, got {days}")
    return None if days is None else UNITS[days]


def number_of(record: dict[str, Any], field: str) -> Decimal | int:
    """An amount of US dollars, 0 or more."""
    value = record[field]
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        # NaN and Infinity too: they are the only numbers that the JSON reader makes floats.
        raise InvalidInput(f"{field} must be a number of US dollars, got {value!r:.60}")
    try:
        to_pico(value, field)
    except InvalidAmount as error:
        raise InvalidInput(str(error)) from error
    return value


def moment_of(record: dict[str, Any], field: str) -> float | None:
    """Seconds since 1970, or None."""
    value = record.get(field)
    if value is None:
        return None
    # The last second of the year 9999 is 253402300799.
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not 0 <= value < 2.5e11:
        raise InvalidInput(f"{field} must be seconds since 1970, got {value!s:.60}")
    return float(value)


def costs_of(user: str, record: dict[str, Any]) -> tuple[dict[str, int], str | None]:
    """Picodollars by model, and a remark if the record contradicts itself."""
    by_model = record.get("model_cost")
    if by_model is None:
        by_model = {}
    if not isinstance(by_model, dict):
        raise InvalidInput("model_cost is not an object")
    costs = {}
    for model in by_model:
        checked_name(model, "a name in model_cost")
        try:
            costs[model] = _cost(by_model, model)
        except InvalidInput as error:
            raise InvalidInput(f"model_cost: {error}") from error
    current = _cost(record, "current_cost") if record.get("current_cost") is not None else 0
    missing = current - sum(costs.values())
    if missing > NOISE_PICO:
        costs[UNKNOWN_MODEL] = costs.get(UNKNOWN_MODEL, 0) + missing
    elif missing < -NOISE_PICO:
        by_models, in_all = to_usd(sum(costs.values())), to_usd(current)
        return costs, (
            f"user {user!r}: model_cost adds up to {by_models} USD, but current_cost is {in_all}"
        )
    return costs, None


def _cost(costs: dict[str, Any], field: str) -> int:
    pico = to_pico(number_of(costs, field), field)
    if pico > _MOST_PICO:
        raise InvalidInput(f"{field} is out of range: {costs[field]} USD")
    return pico


def parts_of(cost: int) -> Iterator[int]:
    """Split *cost* into amounts that an entry can hold."""
    while cost > MAX_ENTRY_PICO:
        yield MAX_ENTRY_PICO
        cost -= MAX_ENTRY_PICO
    yield cost


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object. Raises `InvalidInput` for a name that occurs twice."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:  # as when a program had both a user 1 and a user "1"
            raise InvalidInput(f"{name!r:.80} occurs twice; keep one")
        made[name] = value
    return made
