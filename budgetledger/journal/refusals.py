"""Builds the refusal of a hold: which budget, its figures, and when to retry."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from math import inf

from budgetledger.entries import Budget, Measure
from budgetledger.errors import BudgetExceededError
from budgetledger.journal.holds.waiting_line import BudgetKey, Room
from budgetledger.journal.reports import counted_by, counts, recorded_before, totals_before
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.prior import prior_before
from budgetledger.journal.rows.rules import (
    EVER,
    Check,
    Need,
    next_time,
    of_measure,
    would_fit_without,
)
from budgetledger.journal.standing import Level
from budgetledger.journal.transaction import Transaction
from budgetledger.money import PICO
from budgetledger.pricing.estimates import Estimate, largest_output
from budgetledger.storage.dialect import compiled


def refusal(
    tx: Transaction,
    refused: Sequence[tuple[Check, Level]],
    need: Need,
    checks: Sequence[Check],
    around: Sequence[int] = (),
    why: str = "",
) -> BudgetExceededError:
    """The error for *need*, about the budget that refuses it longest, so that one wait is enough.

    *refused*: the budgets that refuse it. *checks*: all budgets that apply. *around*: the holds
    of the calls around this one, which waits for none of them. *why*: said at the end, instead
    of what those holds may be.
    """
    waits = [_retry_at(tx, level, check, need) for check, level in refused]
    longest = max(range(len(waits)), key=lambda n: inf if waits[n] is None else waits[n] or 0)
    (check, level), retry_at_us = refused[longest], waits[longest]
    budget, window, posted, held = check
    requested = need.of(budget.measure)
    refusing = [one for one, _ in refused]
    own, own_ids = _held_around(tx, refused, around)
    others = [one.held - held for one, held in zip(refusing, own, strict=True)]
    is_blocked = would_fit_without(refusing, others, need)
    retry_after = None if retry_at_us is None else max(0, retry_at_us - tx.now_us) / 1e6
    unit = {"usd": " USD", "tokens": " tokens", "requests": " requests"}[budget.measure]
    amounts = [
        budget.amount(units)
        for units in (budget.limit_units, posted, held, check.available, requested)
    ]
    limit, used, reserved, left, amount_requested = amounts
    figures = [f"{amount:f}" if isinstance(amount, Decimal) else str(amount) for amount in amounts]
    message = (
        f"budget {budget.name!r} of {level.account.name!r} refuses {figures[4]}{unit}: limit "
        f"{figures[0]}, posted {figures[1]}, held {figures[2]}, available {figures[3]}; "
        f"{_advice(check, requested, retry_after, is_blocked)}"
    )
    if why:
        message += why
    elif own_ids and would_fit_without(refusing, own, need):
        message += _without(own_ids)
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
        requested=amount_requested,
        retry_after=retry_after,
        blocked_by_holds=is_blocked,
        room=_room(refused, others, need),
        largest_output=None,
        least_available=_least_available(checks),
        current_cost=float(used),
        max_budget=float(limit),
        message=message,
    )


def _least_available(checks: Sequence[Check]) -> dict[str, int | None]:
    """By measure; None for one that no budget has."""
    return {
        measure: min(
            (check.available for check in checks if check.budget.measure == measure), default=None
        )
        for measure in ("usd", "tokens", "requests")
    }


def _room(
    refused: Sequence[tuple[Check, Level]], freed: Sequence[int], need: Need
) -> dict[BudgetKey, Room]:
    """What each budget lacks. *freed*: what the holds of other calls take from each."""
    return {
        (level.account.id, check.budget.name): Room(
            need.of(check.budget.measure), check.available, check.available + units
        )
        for (check, level), units in zip(refused, freed, strict=True)
    }


def _advice(refused: Check, requested: int, retry_after: float | None, is_blocked: bool) -> str:
    if requested > refused.budget.limit_units:
        return "it is more than the whole limit; ask for less, or raise the limit"
    if retry_after is None:
        return "raise the limit, or ask for less"
    wait = timedelta(seconds=-(-retry_after // 1))  # whole seconds, upwards
    when = f"once open holds end, in {wait} at the latest" if is_blocked else f"in {wait}"
    return f"retry {when}, ask for less, or raise the limit"


def _without(hold_ids: Sequence[int]) -> str:
    holds, calls = ("holds", "calls") if len(hold_ids) > 1 else ("hold", "a call")
    return (
        f"; it would be granted without {holds} {', '.join(map(str, hold_ids))} of {calls} around "
        "this one: if it is the same call, meter it once (metered, wrap, or a hold's with block)"
    )


def _held_around(
    tx: Transaction, refused: Sequence[tuple[Check, Level]], around: Sequence[int]
) -> tuple[list[int], list[int]]:
    """What the holds *around* take from each of the budgets that refuse; and which of them do."""
    held, holding = [], dict.fromkeys(around, False)
    for check, level in refused:
        units = 0
        for hold_id in around:
            where = (level.account.id, hold_id, tx.now_us)
            row = tx.execute(compiled(statements.HELD_AROUND), where).fetchone()
            if row is not None and counts(check.budget, row[0]):
                units += Need(row[1], row[2]).of(check.budget.measure)
                holding[hold_id] = True
        held.append(units)
    return held, [hold_id for hold_id in around if holding[hold_id]]


def _retry_at(tx: Transaction, level: Level, refused: Check, need: Need) -> int | None:
    """The first moment at which *need* fits if no more is spent; None if it never does.

    Until then holds expire, and the window turns or rolls on. Both only make room, so bisection
    finds the moment. (After refunds the result may be too late.)
    """
    budget, window, posted, _ = refused
    measure, span_us = budget.measure, budget.period.span_us
    execute, account_id = tx.execute, level.account.id
    room = budget.limit_units - need.of(measure)
    shift_us = level.settings.shifts.get(budget.name, 0)
    deadlines, held_after = _held_after(tx, level, budget)
    everything, counted = posted, None
    before = recorded_before if level.head.late_id is None else totals_before
    prior_id = level.settings.prior.get(budget.name)
    if span_us is not None:
        counted = counted_by(execute, account_id, budget)
        everything = _units(totals_before(execute, account_id, EVER, counted), measure)
        if prior_id is not None:
            everything += _units(prior_before(execute, prior_id, EVER), measure)

    def fits(at_us: int) -> bool:
        held = held_after[bisect_right(deadlines, at_us)]
        if span_us is None:
            turned = window.end_us is not None and at_us >= window.end_us
            return held + (0 if turned else posted) <= room
        start_us = max(shift_us, max(at_us, level.head.recorded_at_us) - span_us)
        gone = _units(before(execute, account_id, start_us, counted), measure)
        if prior_id is not None:
            gone += _units(prior_before(execute, prior_id, start_us), measure)
        return held + everything - gone <= room

    moment_us = next_time(level.head, tx.now_us)
    ends = [*deadlines[-1:], moment_us + span_us + 1 if span_us is not None else window.end_us]
    early, late = tx.now_us, max((end_us for end_us in ends if end_us is not None), default=None)
    if late is None or not fits(late):
        return None
    while late - early > 1:
        middle = (early + late) // 2
        early, late = (early, middle) if fits(middle) else (middle, late)
    return late


def _held_after(tx: Transaction, level: Level, budget: Budget) -> tuple[list[int], list[int]]:
    """The deadlines to come, and what is held before each and after the last."""
    rows = tx.execute(compiled(statements.DEADLINES), (level.account.id, tx.now_us)).fetchall()
    rows = [row for row in rows if counts(budget, row[3])]
    held = [0]
    for _, pico, tokens, _ in reversed(rows):
        held.append(held[-1] + Need(pico, tokens).of(budget.measure))
    return [expires_at_us for expires_at_us, *_ in rows], held[::-1]


def _units(totals: tuple[int, ...], measure: Measure) -> int:
    usd, pico, tokens, requests = totals
    return of_measure(measure, usd * PICO + pico, tokens, requests)


def with_largest_output(
    error: BudgetExceededError, estimate: Estimate | None
) -> BudgetExceededError:
    """*error*, with the largest output that would have been granted."""
    least = error.__dict__.pop("least_available")
    error.__dict__.pop("room", None)
    if estimate is not None and (least["requests"] is None or least["requests"] > 0):
        error.largest_output = largest_output(estimate, least["usd"], least["tokens"])
    return error
