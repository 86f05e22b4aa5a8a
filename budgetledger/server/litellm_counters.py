"""What a LiteLLM client says its users cost, turned into rows.

Such a client counts by itself and writes all its users at each change. Here a record is a
reading of a counter: what it grew by since it was last known is charged, and a smaller one is
old news. A counter is told from others by who reads it (the client, if it says), by when it was
created and by when it was last reset; where it stood is

- what this very client read or was told last, if it says who it is;
- else, of a counter that a client began for a user there was, what was last read from it;
- else what the ledger counted since that counter's window began: of two clients that do not
  say who they are, the larger cost of a user's model counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from budgetledger.entries import Budget, Entry
from budgetledger.errors import InvalidInput
from budgetledger.journal import accounts, reports, statements
from budgetledger.journal import settings as _settings
from budgetledger.journal.accounts import Ref
from budgetledger.journal.append import append, find_or_open
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.posting import post
from budgetledger.journal.reports import DEFAULT_BUDGET, EVER
from budgetledger.journal.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.litellm.records import (
    NOISE_PICO,
    UNITS,
    budget_fields,
    cost_fields,
    costs_of,
    days_of,
    last_updated_at,
    moment_of,
    number_of,
    parts_of,
    unit_of,
)
from budgetledger.money import Sum, limit_sum, to_usd
from budgetledger.names import checked_name
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period, Window, make_period

_CLIENTS = "server:clients"
"""The account whose journal tells what clients were told."""

Costs = dict[str, int]
"""Picodollars by model."""


class Written(NamedTuple):
    """A user's record as a client wrote it, checked."""

    user: str
    limit: Sum
    days: int | None
    created_at: float | None
    last_updated_at: float | None
    costs: Costs | None
    """None in a record without any: the user was just created."""
    by_model: bool


class Standing(NamedTuple):
    """The budget of a user that LiteLLM knows, and its active window."""

    budget: Budget
    window: Window

    @property
    def last_updated_at(self) -> float:
        """As the record tells it."""
        return last_updated_at(self.budget, self.window)


class Known(NamedTuple):
    """What was known of counters when a row was written, and the row's number."""

    entry_id: int
    said: dict[str, Any]


# -- pure ---------------------------------------------------------------------------------------


def read_record(user: str, record: object) -> Written:
    """One user of a ``user_dict``, its fractions as `Decimal`. Raises `InvalidInput`."""
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


def growth(before: Mapping[str, int], now: Mapping[str, int]) -> Costs:
    """What was added to each model's cost; what fell is old news, and less than noise waits."""
    return {
        model: cost - before.get(model, 0)
        for model, cost in now.items()
        if cost - before.get(model, 0) > NOISE_PICO
    }


# -- reading ------------------------------------------------------------------------------------


def records(execute: Execute, project: str, now_us: int) -> dict[str, dict[str, Any]]:
    """LiteLLM's records of all users that have a budget it knows."""
    return {user: _told(stands, costs) for user, stands, costs in _users(execute, project, now_us)}


def _users(execute: Execute, project: str, now_us: int) -> Iterator[tuple[str, Standing, Costs]]:
    """Each user with a budget LiteLLM knows, and what was spent in its active window."""
    project_id = accounts.find_project(execute, project)
    names = execute(
        compiled(statements.ACCOUNTS_WITH_BUDGET), (project_id, DEFAULT_BUDGET)
    ).fetchall()
    for (name,) in names:
        ref = accounts.known(execute, project, name)
        stands = _standing(execute, ref, now_us)
        if stands is not None:
            yield name, stands, _costs_in(execute, ref, stands.window)


def _told(stands: Standing, costs: Costs) -> dict[str, Any]:
    models = {model: to_usd(cost) for model, cost in costs.items()}
    return budget_fields(*stands) | cost_fields(to_usd(sum(costs.values())), models)


def _standing(execute: Execute, ref: Ref, now_us: int) -> Standing | None:
    for budget in reports.budgets_in_force(execute, ref.id, ref.name):
        if budget.name == DEFAULT_BUDGET and budget.measure == "usd" and budget.model is None:
            moment_us = max(now_us, accounts.last_time(execute, ref.id))
            return Standing(budget, reports.window_of(execute, ref.id, budget, moment_us))
    return None


def _costs_in(execute: Execute, ref: Ref, window: Window) -> Costs:
    used = reports.model_costs(execute, ref, window, EVER)
    return {model: posted.pico for model, posted in used.items() if posted.pico}


# -- writing ------------------------------------------------------------------------------------


def tell(tx: Transaction, project: str, client: str) -> dict[str, dict[str, Any]]:
    """`records`, for a client that says who it is: what it is told is noted, to compare with."""
    told, seen = {}, {}
    for user, stands, costs in _users(tx.execute, project, tx.now_us):
        told[user] = _told(stands, costs)
        if costs:
            seen[user] = [stands.budget.created_at, stands.last_updated_at, costs]
    ref = find_or_open(tx, project, _CLIENTS)
    _note(tx, ref, _load_of(client), {"client": client, "seen": seen}, f"{client} was told")
    return told


def last_told(
    tx: Transaction, project: str, client: str | None, before: Known | None = None
) -> Known | None:
    """What `tell` noted last for a client; None for one that does not say who it is.

    *before*: what this said earlier, to spare the reading if it is so still.
    """
    project_id = accounts.find_project(tx.execute, project)
    if client is None or project_id is None:
        return None
    return _known(tx, project_id, _load_of(client), before)


def absorb(
    tx: Transaction, project: str, client: str | None, loaded: Known | None, written: Written
) -> None:
    """Bring the budget of a user to what *written* says, and charge what its counter grew by.

    *loaded*: from `last_told`. Raises `InvalidInput`, before anything is written.
    """
    found = accounts.find(tx.execute, project, written.user)
    stands = None if found is None else _standing(tx.execute, found, tx.now_us)
    period = _period(tx, found, stands, written)
    ref = found or find_or_open(tx, project, written.user)
    _revise(tx, ref, stands, written, period)
    if written.costs is None:
        return
    counter = ("counter", client or "", written.user, written.created_at, written.last_updated_at)
    heard = _known(tx, ref.project_id, counter)
    if heard is not None and loaded is not None and heard.entry_id < loaded.entry_id:
        heard = None  # it began again from what it was told since
    seen = None if loaded is None else loaded.said["seen"].get(written.user)
    if heard is None and stands is not None and _is_reset(client, written, stands, seen):
        if _costs_in(tx.execute, ref, stands.window):
            _settings.shift_windows(tx, ref, DEFAULT_BUDGET, "reset by a LiteLLM client")
            _note(tx, ref, counter, {"read": {}}, "its client counts from 0 again")
        heard = Known(0, {"read": {}})
    before = _before(tx, ref, client, written, stands, heard, seen)
    if not written.by_model:
        before = {UNKNOWN_MODEL: sum(before.values())}
    grown = growth(before, written.costs)
    if grown:
        is_counted_apart = client is not None or heard is not None or _began_anew(written, stands)
        now = {model: max(cost, before.get(model, 0)) for model, cost in written.costs.items()}
        _charge(tx, ref, grown, client, counter if is_counted_apart else None, before | now)


def _before(
    tx: Transaction,
    ref: Ref,
    client: str | None,
    written: Written,
    stands: Standing | None,
    heard: Known | None,
    seen: list[Any] | None,
) -> Costs:
    """Where the counter stood when it was last known."""
    if heard is not None:
        return dict(heard.said["read"])
    if client is not None:
        same = seen is not None and seen[:2] == [written.created_at, written.last_updated_at]
        return dict(seen[2]) if seen is not None and same else {}
    if _began_anew(written, stands):
        return {}
    window = Window(None, None)
    if stands is not None:
        window = stands.window
        if written.last_updated_at is not None:
            at_us = min(round(written.last_updated_at * 1e6), tx.now_us)
            window = reports.window_of(tx.execute, ref.id, stands.budget, at_us)
    return _costs_in(tx.execute, ref, window._replace(end_us=None))


def _began_anew(written: Written, stands: Standing | None) -> bool:
    """Whether a client created the user that there was already, and so counts from 0."""
    return (
        stands is not None
        and written.created_at is not None
        and written.created_at != stands.budget.created_at
    )


def _is_reset(
    client: str | None, written: Written, stands: Standing, seen: list[Any] | None
) -> bool:
    """Whether the client began a new window: its count is 0, or it is known to have counted."""
    if written.last_updated_at is None or written.last_updated_at <= stands.last_updated_at:
        return False
    if not sum((written.costs or {}).values()):
        return True
    return client is not None and seen is not None and seen[0] == written.created_at


def _period(
    tx: Transaction, found: Ref | None, stands: Standing | None, written: Written
) -> Period | None:
    """The period the budget is to have; None if the one it has stays. Raises `InvalidInput`."""
    unit = None if written.days is None else UNITS.get(written.days)
    if stands is not None:
        told_days = budget_fields(*stands).get("duration")
        if written.days == told_days or (unit is not None and unit == stands.budget.period.per):
            return None
    elif found is not None and DEFAULT_BUDGET in {
        budget.name for budget in reports.budgets_in_force(tx.execute, found.id, found.name)
    }:
        raise InvalidInput(
            f"the budget {DEFAULT_BUDGET!r} is not one in US dollars for all models, which is what "
            "LiteLLM knows; set it under another name"
        )
    return make_period(unit_of(written.days))


def _revise(
    tx: Transaction, ref: Ref, stands: Standing | None, written: Written, period: Period | None
) -> None:
    """Set the budget as *written*, unless it is so, or was created anew since."""
    created_at = written.created_at
    if stands is not None:
        limit = to_usd(written.limit.total_pico)
        if period is None and float(limit) == float(stands.budget.limit):
            return
        creation = ("creation", written.user)
        latest = _known(tx, ref.project_id, creation)
        known = stands.budget.created_at if latest is None else latest.said["created_at"]
        if created_at is not None and created_at < known:
            return
        if created_at is not None and created_at > known:
            _note(tx, ref, creation, {"created_at": created_at}, "created again by its client")
        created_at = None  # the first one's stays
    kept = stands.budget.period if stands is not None else make_period()
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


def _charge(
    tx: Transaction,
    ref: Ref,
    grown: Costs,
    client: str | None,
    counter: tuple[object, ...] | None,
    read: Costs,
) -> None:
    """A row for each model; the last one says what was read from the *counter*."""
    note = f"told by {client or 'a LiteLLM client'}"
    drafts = [
        Draft("charge", model, part, "litellm", requests=1, note=note)
        for model, cost in grown.items()
        for part in parts_of(cost)
    ]
    if counter is not None:
        drafts[-1] = drafts[-1]._replace(
            idempotency_key=_next_key(tx, ref, counter), tags_json=_said({"read": read})
        )
    for draft in drafts:
        post(tx, ref, draft)


# -- what is known of a counter: said in the tags of the last of its numbered rows ----------------


def _load_of(client: str) -> tuple[object, ...]:
    return "told", client


def _known(
    tx: Transaction, project_id: int, about: tuple[object, ...], before: Known | None = None
) -> Known | None:
    entry = _last(tx, project_id, _prefix(about))
    if entry is None or (before is not None and before.entry_id == entry.id):
        return before
    return Known(entry.id, entry.tags)


def _note(
    tx: Transaction, ref: Ref, about: tuple[object, ...], said: dict[str, Any], note: str
) -> None:
    """A row of 0 USD, as imports write them, that says it."""
    append(
        tx,
        ref,
        Draft(
            "opening",
            cost_pico=0,
            price_source="litellm",
            tags_json=_said(said),
            note=note,
            idempotency_key=_next_key(tx, ref, about),
        ),
    )


def _said(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


def _prefix(about: tuple[object, ...]) -> str:
    return f"litellm:{sha256(ascii(about).encode()).hexdigest()[:40]}:"


def _next_key(tx: Transaction, ref: Ref, about: tuple[object, ...]) -> str:
    prefix = _prefix(about)
    last = _last(tx, ref.project_id, prefix)
    number = 0 if last is None else int((last.idempotency_key or "").removeprefix(prefix))
    return f"{prefix}{number + 1:012d}"


def _last(tx: Transaction, project_id: int, prefix: str) -> Entry | None:
    row = tx.execute(
        compiled(statements.LAST_WITH_KEY), (project_id, prefix, f"{prefix}~")
    ).fetchone()
    return None if row is None else Entry._make(row)
