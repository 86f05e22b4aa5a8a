"""LiteLLM's records: what changes do to them, and what others' older copies undid."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from budgetledger.hosted.records import (
    Cost,
    Creation,
    Reset,
    contains,
    shown,
    target_of,
    turned,
    with_changes,
    with_seen,
)

START = datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()
DAY = 86_400
HALF = 5 * 10**11  # picodollars


def record(**fields):
    spent = {"current_cost": 1.0, "model_cost": {"m": 1.0}}
    return {"total_budget": 10.0, "created_at": START, "last_updated_at": START, **spent, **fields}


def after(*changes, of=None, now=START + 60):
    return with_changes({} if of is None else {"u": of}, changes, now)["u"]


def test_costs_add_up_exactly():
    changed = after(*[Cost("u", "m", 10**11)] * 10, of=record(current_cost=0.2, model_cost={}))
    assert (changed["current_cost"], changed["model_cost"]) == (1.2, {"m": 1.0})


def test_a_correction_never_goes_below_nothing():
    assert after(Cost("u", "m", -4 * HALF), of=record())["current_cost"] == 0


def test_created_again_the_limit_changes_and_the_spend_stays():
    assert after(Creation("u", 20.0, None, None, START + 9), of=record(duration=1)) == record(
        total_budget=20.0
    )
    assert after(Creation("u", 20.0, None, None, START + 9))["created_at"] == START + 9


def test_created_in_the_past_the_active_window_is_told():
    made = after(Creation("u", 1.0, 1, START, START), now=START + 2.5 * DAY)
    assert (made["created_at"], made["last_updated_at"]) == (START, START + 2 * DAY)


@pytest.mark.parametrize(
    ("duration", "now", "since"),
    [
        (1, START + DAY - 1, START),
        (1, START + 3 * DAY + 5, START + 3 * DAY),
        (28, datetime(2026, 2, 28, 10, tzinfo=UTC).timestamp(), START + 28 * DAY),
        (31, datetime(2026, 3, 31, 9, tzinfo=UTC).timestamp(), START + 28 * DAY),
        (3, START + 7 * DAY, START + 6 * DAY),
        (None, START + 999 * DAY, START),
        ("weekly", START + 999 * DAY, START),
    ],
)
def test_windows_turn_by_the_calendar(duration, now, since):
    seen = turned("u", record(duration=duration), now)
    assert seen["last_updated_at"] == since
    assert seen["current_cost"] == (1.0 if since == START else 0)


def test_a_reset_before_the_active_window_is_done_already():
    assert after(Reset("u", START + 9), of=record())["current_cost"] == 0
    assert after(Reset("u", START - 9), of=record())["current_cost"] == 1


def test_what_was_written_is_recognised_until_its_window_ends():
    changes = [Cost("u", "m", HALF)]
    written = after(*changes, of=record())
    target = target_of(written, changes)
    assert contains(written, target)
    assert not contains(record(), target)
    assert contains(record(model_cost={"m": 2.0, "n": 1.0}), target)
    assert not contains(record(model_cost={"m": 2.0}, last_updated_at=START - 1), target)
    for other in (None, [], record(model_cost=[]), record(model_cost={"m": "2"})):
        assert not contains(other, target)
    changes = [Cost("u", "m", HALF), Reset("u", START + 9)]
    target = target_of(after(*changes, of=record()), changes)
    assert not contains(record(), target)


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (record(current_cost=0.5, model_cost={"m": 0.5}), record()),
        (record(current_cost=0.5, model_cost={"n": 0.5}), record(model_cost={"m": 1.0, "n": 0.5})),
        (record(current_cost=3.0), record(current_cost=3.0)),
        (record(total_budget=20.0), record(total_budget=20.0)),
        (record(last_updated_at=START - 9, current_cost=7.0), record()),
        (record(last_updated_at=START + 9, current_cost=0), None),
        (record(current_cost="x"), None),
        ([], None),
    ],
)
def test_an_older_copy_undoes_nothing(there, kept):
    assert with_seen({"u": there}, {"u": record()}) == {"u": there if kept is None else kept}


def test_no_user_is_lost_to_an_older_copy():
    assert [*with_seen({"b": {}, "c": {}}, {"a": {}, "b": {}})] == ["a", "b", "c"]


def test_a_record_of_anybody_is_shown_whole():
    assert shown("u", {"total_budget": 5}, START) == {
        "total_budget": 5.0, "current_cost": 0.0, "model_cost": {},
    }  # fmt: skip
