"""LiteLLM's users: reads the records that clients send, and writes records from the ledger.

A record's budget becomes the user's budget; `budgetledger.server.litellm_counters` handles its
costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from budgetledger.entries import Budget
from budgetledger.errors import InvalidInput
from budgetledger.journal import reports
from budgetledger.journal import settings as _settings
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.reports import DEFAULT_BUDGET
from budgetledger.journal.rows import accounts
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import EVER
from budgetledger.journal.transaction import Transaction
from budgetledger.litellm.records import (
    UNITS,
    budget_fields,
    cost_fields,
    costs_of,
    days_of,
    last_updated_at,
    moment_of,
    number_of,
    unit_of,
)
from budgetledger.money import Sum, limit_sum, to_usd
from budgetledger.names import checked_name
from budgetledger.server.litellm_notes import add_note, last_note
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period, Window, make_period

Costs: TypeAlias = dict[str, int]
"""Picodollars by model."""


class Written(NamedTuple):
    """A user's record as a client sent it, checked."""

    user: str
    limit: Sum
    days: int | None
    created_at: float | None
    last_updated_at: float | None
    costs: Costs | None
    """None if the record has no costs: the user was just created."""
    by_model: bool


class Standing(NamedTuple):
    """The one budget of a user that LiteLLM knows, and its active window."""

    budget: Budget
    window: Window

    @property
    def last_updated_at(self) -> float:
        """The record's field of that name: seconds since 1970."""
        return last_updated_at(self.budget, self.window)


def read_record(user: str, record: object) -> Written:
    """Check one user of a ``user_dict`` with fractions as `Decimal`. Raises `InvalidInput`."""
    checked_name(user, "the name")
    if not isinstance(record, dict):
        raise InvalidInput("the record is not an object")
    if "total_budget" not in record:
        raise InvalidInput("total_budget is missing")
    has_costs = record.get("current_cost") is not None or bool(record.get("model_cost"))
    return Written(
        user,
        limit_sum(number_of(record, "total_budget")),
        days_of(record),
        moment_of(record, "created_at"),
        moment_of(record, "last_updated_at"),
        costs_of(user, record)[0] if has_costs else None,
        bool(record.get("model_cost")),
    )


def records(execute: Execute, project: str, now_us: int) -> dict[str, dict[str, Any]]:
    """LiteLLM's records of all users with a budget that it knows."""
    every = users(execute, project, now_us)
    return {user: as_record(standing, costs) for user, standing, costs in every}


def users(execute: Execute, project: str, now_us: int) -> Iterator[tuple[str, Standing, Costs]]:
    """Each user with a budget that LiteLLM knows, and the costs in its active window."""
    for name in accounts.names_with_budget(execute, project, DEFAULT_BUDGET):
        ref = accounts.known(execute, project, name)
        standing = standing_budget(execute, ref, now_us)
        if standing is not None:
            yield name, standing, costs_in(execute, ref, standing.window)


def as_record(standing: Standing, costs: Costs) -> dict[str, Any]:
    """A user's record, in LiteLLM's fields."""
    models = {model: to_usd(cost) for model, cost in costs.items()}
    return budget_fields(*standing) | cost_fields(to_usd(sum(costs.values())), models)


def standing_budget(execute: Execute, ref: Ref, now_us: int) -> Standing | None:
    """The user's budget that LiteLLM knows, or None: the one in US dollars for all models."""
    for budget in reports.budgets_in_force(execute, ref.id, ref.name):
        if budget.name == DEFAULT_BUDGET and budget.measure == "usd" and budget.model is None:
            moment_us = max(now_us, accounts.last_time(execute, ref.id))
            return Standing(budget, reports.window_of(execute, ref.id, budget, moment_us))
    return None


def costs_in(execute: Execute, ref: Ref, window: Window) -> Costs:
    """What the user's calls cost in *window*."""
    used = reports.model_costs(execute, ref, window, EVER)
    return {model: posted.pico for model, posted in used.items() if posted.pico}


def new_period(
    tx: Transaction, ref: Ref | None, standing: Standing | None, written: Written
) -> Period | None:
    """The new period of the budget; None to keep its present one. Raises `InvalidInput`."""
    unit = None if written.days is None else UNITS.get(written.days)
    if standing is not None:
        days = budget_fields(*standing).get("duration")
        if written.days == days or (unit is not None and unit == standing.budget.period.per):
            return None
    elif ref is not None and DEFAULT_BUDGET in {
        budget.name for budget in reports.budgets_in_force(tx.execute, ref.id, ref.name)
    }:
        raise InvalidInput(
            f"the budget {DEFAULT_BUDGET!r} does not limit US dollars for all models, the only "
            "kind that LiteLLM knows; set it under another name"
        )
    return make_period(unit_of(written.days))


def revise(
    tx: Transaction, ref: Ref, standing: Standing | None, written: Written, period: Period | None
) -> None:
    """Set the budget as *written*, unless it is the same or the user was created again since."""
    created_at = written.created_at
    if standing is not None:
        limit = to_usd(written.limit.total_pico)
        if period is None and float(limit) == float(standing.budget.limit):
            return
        creation = ("creation", written.user)
        last = last_note(tx, ref.project_id, creation)
        known_at = standing.budget.created_at if last is None else last.facts["created_at"]
        if created_at is not None and created_at < known_at:
            return
        if created_at is not None and created_at > known_at:
            add_note(tx, ref, creation, {"created_at": created_at}, "created again by its client")
        created_at = None  # the first creation time stays
    kept = standing.budget.period if standing is not None else make_period()
    terms = BudgetTerms(
        DEFAULT_BUDGET,
        "usd",
        written.limit,
        None,
        kept if period is None else period,
        anchored=period is not None and period.per is not None,
        created_at=created_at,
    )
    _settings.set_budget(tx, ref, terms)
