"""LiteLLM's records, and how changes apply to them. Pure.

A record describes a user in the hosted protocol: US dollars as JSON numbers, times as seconds
since 1970, durations as days. Unknown fields stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.litellm.records import NOISE_PICO, UNITS
from budgetledger.money import to_pico, to_usd
from budgetledger.windows import make_period, window_at

Record = dict[str, Any]

_COSTS = ("current_cost", "model_cost")


class Cost(NamedTuple):
    """A call of *user* cost *pico* picodollars; below 0 if a cost was corrected."""

    user: str
    model: str
    pico: int


class Creation(NamedTuple):
    """The budget of *user* was set."""

    user: str
    total_budget: float
    duration: int | None
    """Days."""
    created_at: float | None
    """None keeps the first one; if there is none, *at* is taken."""
    at: float


class Reset(NamedTuple):
    """The cost of *user* was reset to 0 at a time."""

    user: str
    at: float


Change = Cost | Creation | Reset


def with_changes(
    records: Mapping[str, Record], changes: Iterable[Change], now: float
) -> dict[str, Record]:
    """The records after *changes*, in their order, at the time *now*.

    Raises `InvalidInput` if a record that changes cannot be read.
    """
    changed = dict(records)
    for change in changes:
        user = change.user
        record = turned(user, changed.get(user, {}), now)
        if isinstance(change, Cost):
            changed[user] = _with_cost(user, record, change)
        elif isinstance(change, Creation):
            changed[user] = _created(record, change, now)
        elif (_moment(record.get("last_updated_at")) or 0.0) < change.at:
            changed[user] = _without_cost(record, change.at)
        else:  # a later window has begun
            changed[user] = record
    return changed


def turned(user: str, record: Record, now: float) -> Record:
    """*record* as of *now*: without its cost if its window has turned since it was written."""
    if not isinstance(record, dict):
        raise _unreadable(user, "is not an object")
    start = _window_start(record, now)
    written = _moment(record.get("last_updated_at"))
    if start is None or written is None or start <= written:
        return dict(record)
    return _without_cost(record, start)


def with_seen(records: Mapping[str, Record], seen: Mapping[str, Record]) -> dict[str, Record]:
    """The records, with what another client undid by writing an older copy than *seen*.

    The protocol cannot remove a user, and within a window costs only grow. So a missing user, or
    a smaller cost without a newer ``last_updated_at``, comes from an older copy.
    """
    return {user: _later(records.get(user, record), record) for user, record in seen.items()} | {
        user: record for user, record in records.items() if user not in seen
    }


def _later(record: Record, seen: Record) -> Record:
    if not isinstance(record, dict) or not isinstance(seen, dict):
        return record
    since, before = (_moment(one.get("last_updated_at")) or 0.0 for one in (record, seen))
    if since > before:
        return record
    kept = {name: seen[name] for name in _COSTS if name in seen}
    if since < before:
        return {**record, **kept, "last_updated_at": seen["last_updated_at"]}
    try:
        models, were = _models("", record), _models("", seen)
        if all(_pico("", models, model) >= _pico("", were, model) for model in were) and (
            _pico("", record, "current_cost") >= _pico("", seen, "current_cost")
        ):
            return record
        return {
            **record,
            "current_cost": max(record.get("current_cost") or 0, seen.get("current_cost") or 0),
            "model_cost": {
                model: max(models.get(model) or 0, were.get(model) or 0)
                for model in (*were, *(model for model in models if model not in were))
            },
        }
    except InvalidInput:  # reported when the record changes
        return record


def shown(user: str, record: Record, now: float) -> Record:
    """*record* with all the fields that callers read; other programs may leave some out."""
    current = turned(user, record, now)
    costs = {model: _number(user, current, "model_cost", model) for model in _models(user, current)}
    return {
        **{name: value for name, value in current.items() if name != "duration" or value},
        "total_budget": _number(user, current, "total_budget"),
        "current_cost": _number(user, current, "current_cost"),
        "model_cost": costs,
    }


def contains(record: object, target: Mapping[str, Any]) -> bool:
    """Whether *record* contains what was written as *target*; others may have added to it.

    *target* has the changed fields. Costs within a window only grow, so a smaller one comes from
    a client that had not read *target*.
    """
    if not isinstance(record, dict):
        return False
    since = _moment(record.get("last_updated_at")) or 0.0
    if since < (_moment(target.get("last_updated_at")) or 0.0):
        return False
    costs = target.get("model_cost")
    if not costs:  # no field that counts twice if written again
        return all(record.get(name) == value for name, value in target.items())
    try:
        there = _models("", record)
        return all(
            _pico("", there, model) >= _pico("", costs, model) - NOISE_PICO for model in costs
        )
    except InvalidInput:  # reported when the record changes
        return False


def target_of(record: Record, changes: Iterable[Change]) -> dict[str, Any]:
    """The fields of *record* that *changes* set, by which `contains` recognizes them later."""
    target: dict[str, Any] = {}
    models = set()
    for change in changes:
        if isinstance(change, Cost):
            models.add(change.model)
        else:
            target.update(
                (name, record.get(name)) for name in ("total_budget", "duration", "last_updated_at")
            )
    if models:
        costs = record["model_cost"]
        target["model_cost"] = {model: costs.get(model, 0) for model in sorted(models)}
        if "last_updated_at" in record:
            target["last_updated_at"] = record["last_updated_at"]
    return target


def _with_cost(user: str, record: Record, cost: Cost) -> Record:
    current = max(_pico(user, record, "current_cost") + cost.pico, 0)
    models = _models(user, record)
    of_model = max(_pico(user, models, cost.model) + cost.pico, 0)
    # LiteLLM's clients cannot read a record without a budget; a user without one may not spend.
    return {
        "total_budget": 0.0,
        **record,
        "current_cost": float(to_usd(current)),
        "model_cost": {**models, cost.model: float(to_usd(of_model))},
    }


def _created(record: Record, creation: Creation, now: float) -> Record:
    """The record with the new budget; its cost stays, as in `BudgetManager.create_budget`."""
    first = _moment(record.get("created_at"))
    created_at = creation.created_at
    if created_at is None:
        created_at = creation.at if first is None else first
    created = {
        "current_cost": 0.0,
        "model_cost": {},
        **record,
        "total_budget": creation.total_budget,
        "created_at": created_at,
    }
    created.pop("duration", None)
    if creation.duration is not None:
        created["duration"] = creation.duration
    since = _moment(record.get("last_updated_at"))
    start = _window_start({**created, "last_updated_at": created_at}, now) or created_at
    created["last_updated_at"] = start if since is None else max(start, since)
    return created


def _without_cost(record: Record, since: float) -> Record:
    return {**record, "current_cost": 0.0, "model_cost": {}, "last_updated_at": since}


def _window_start(record: Record, now: float) -> float | None:
    """Start of the active window: calendar steps from ``created_at`` for days in `UNITS`."""
    days = record.get("duration")
    written = _moment(record.get("last_updated_at"))
    created_at = _moment(record.get("created_at"))
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days < 1e6:
        return None
    unit = UNITS.get(int(days)) if days == int(days) else None
    anchor = written if created_at is None else created_at
    if anchor is None:
        return None
    if unit is None:
        span = days * 86_400
        return anchor + max(now - anchor, 0) // span * span
    period = make_period(unit, anchor_us=round(anchor * 1e6))
    start_us = window_at(period, round(now * 1e6)).start_us
    assert start_us is not None
    # The first window begins at `created_at` itself, to the last bit of the float.
    return anchor if start_us == period.anchor_us else start_us / 1e6


def _moment(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2e11:
        return None
    return float(value)


def _models(user: str, record: Record) -> dict[str, Any]:
    models = record.get("model_cost")
    if models is None:
        return {}
    if not isinstance(models, dict):
        raise _unreadable(user, f"has the model_cost {models!r:.60}")
    return models


def _number(user: str, record: Record, *path: str) -> float:
    *above, field = path
    for name in above:
        record = record.get(name) or {}
    return float(to_usd(_pico(user, record, field)))


def _pico(user: str, record: Mapping[str, Any], field: str) -> int:
    value = record.get(field)
    if value is None:
        return 0
    if isinstance(value, str):
        raise _unreadable(user, f"has the {field} {value!r:.60}, not a number")
    try:
        return to_pico(value, field)
    except InvalidInput as error:
        raise _unreadable(user, f"cannot be used: {error}") from error


def _unreadable(user: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"the record of user {user!r} on the budget server {what}; correct it there"
    )
