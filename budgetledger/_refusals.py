"""What a refused caller is told: which budget, how it stands, and when to come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from budgetledger import _sql
from budgetledger._budgeting import Level
from budgetledger._reports import EVER, totals_before
from budgetledger._sql import compiled
from budgetledger._transaction import Transaction
from budgetledger.errors import BudgetExceededError
from budgetledger.money import PICO
from budgetledger.rules import Check, Need, next_time


def refusal(
    tx: Transaction, level: Level, refused: Check, need: Need, checks: Sequence[Check]
) -> BudgetExceededError:
    """The error for *need*, which *refused* refuses on *level*; *checks* are all that apply."""
    budget, window, posted, held = refused
    requested = need.of(budget.measure)
    limit, used, reserved = budget.limit, budget.amount(posted), budget.amount(held)
    left = budget.amount(refused.available)
    retry_at_us = _retry_at(tx, level, refused, requested)
    retry_after = None if retry_at_us is None else max(0, retry_at_us - tx.now_us) / 1e6
    unit = {"usd": " USD", "tokens": " tokens", "requests": " requests"}[budget.measure]
    message = (
        f"budget {budget.name!r} of {level.account.name!r} refuses "
        f"{budget.amount(requested)}{unit}: limit {limit}, posted {used}, held {reserved}, "
        f"available {left}; {_advice(refused, requested, retry_after)}"
    )
    return BudgetExceededError(
        message,
        account=level.account.name,
        project=level.account.project,
        budget=budget,
        window=window,
        limit=limit,
        posted=used,
        held=reserved,
        available=left,
        requested=budget.amount(requested),
        retry_after=retry_after,
        largest_output=None,
        least_available={
            measure: min(
                (check.available for check in checks if check.budget.measure == measure),
                default=None,
            )
            for measure in ("usd", "tokens", "requests")
        },
        current_cost=float(used),
        max_budget=float(limit),
        message=message,
    )


def _advice(refused: Check, requested: int, retry_after: float | None) -> str:
    if requested > refused.budget.limit_units:
        return "it is more than the whole limit; ask for less, or raise it with set_budget"
    if retry_after is None:
        return "raise the limit with set_budget, or ask for less"
    wait = timedelta(seconds=-(-retry_after // 1))  # whole seconds, upwards
    return f"retry in {wait}, ask for less, or raise the limit with set_budget"


def _retry_at(tx: Transaction, level: Level, refused: Check, requested: int) -> int | None:
    """When *requested* may fit: what is held expires, or the window turns or rolls on."""
    budget, window, posted, held = refused
    if requested > budget.limit_units:
        return None
    moments = []
    if posted + requested <= budget.limit_units:  # only what is held stands in the way
        moments.append(_freed_at(tx, level, refused, requested))
    if budget.period.per == "rolling":
        moments.append(_rolled_at(tx, level, refused, requested + held))
    elif window.end_us is not None:
        moments.append(window.end_us)
    return min((moment for moment in moments if moment is not None), default=None)


def _freed_at(tx: Transaction, level: Level, refused: Check, requested: int) -> int | None:
    """When enough of what is held has expired, should none of it be closed before."""
    missing = requested - refused.available
    model = refused.budget.model
    deadlines = compiled(_sql.DEADLINES)
    for _, expires_at_us, pico, tokens in tx.execute(
        deadlines, (level.account.id, model, model, -1)
    ).fetchall():
        if expires_at_us > tx.now_us:
            missing -= Need(pico, tokens).of(refused.budget.measure)
        if missing <= 0:
            at_us: int = expires_at_us
            return at_us
    return None


def _rolled_at(tx: Transaction, level: Level, refused: Check, requested: int) -> int | None:
    """When enough has left the rolling window, found by halving: costs only add up."""
    budget = refused.budget
    span_us = budget.period.span_us
    if span_us is None or requested > budget.limit_units:
        return None
    execute, account_id = tx.execute, level.account.id
    everything = _units(totals_before(execute, account_id, EVER, budget.model), budget.measure)
    lasting = everything - (budget.limit_units - requested)  # has to be older than the window
    now_us = next_time(level.head, tx.now_us)
    early, late = now_us - span_us, now_us + 1
    while late - early > 1:
        middle = (early + late) // 2
        before = _units(totals_before(execute, account_id, middle, budget.model), budget.measure)
        early, late = (early, middle) if before >= lasting else (middle, late)
    return late + span_us


def _units(totals: tuple[int, ...], measure: str) -> int:
    usd, pico, tokens, requests = totals
    if measure == "usd":
        return usd * PICO + pico
    return tokens if measure == "tokens" else requests
