"""Refusals: which budget refuses, when to retry, and how much it would grant."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hold_checks import granted, refused
from samples import HELLO

from budgetledger import Usage
from budgetledger.errors import (
    BudgetExceededError,
    BudgetledgerError,
    StoreError,
)

INSTANT = timedelta(microseconds=1)


# -- refusals -------------------------------------------------------------------------------


def facts(error):
    return error.limit, error.posted, error.held, error.available, error.requested


def test_a_refusal_in_usd(ledger):
    ledger.charge("alice", cost="5.25")
    ledger.hold("alice", "2.50")
    error = refused(ledger, "alice", "2.26")
    assert facts(error) == (10, Decimal("5.25"), Decimal("2.50"), Decimal("2.25"), Decimal("2.26"))
    assert (error.account, error.project, error.budget.name) == ("alice", "default", "usd/month")
    assert (error.window.start, error.window.end) == (
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip
    assert error.largest_output is None
    assert str(error) == error.message == error.args[0]
    assert error.message == (
        "budget 'usd/month' of 'alice' refuses 2.26 USD: limit 10.00, posted 5.25, held 2.50, "
        "available 2.25; retry once open holds end, in 0:30:00 at the latest, ask for less, or "
        "raise the limit"
    )
    # LiteLLM's error of this name has these three.
    assert (error.current_cost, error.max_budget) == (5.25, 10.0)
    assert {type(error.current_cost), type(error.max_budget)} == {float}
    granted(ledger, "alice", "2.25")


def test_a_refusal_in_tokens(opened):
    ledger = opened()
    ledger.set_budget("alice", tokens=1000, per="day")
    ledger.charge("alice", cost=0, usage=Usage(300, 100))
    ledger.hold("alice", tokens=500)
    error = refused(ledger, "alice", "9.99", tokens=101)
    assert facts(error) == (1000, 400, 500, 100, 101)
    assert all(type(fact) is int for fact in facts(error))
    assert "refuses 101 tokens: limit 1000, posted 400, held 500, available 100" in str(error)
    assert (error.current_cost, error.max_budget) == (400.0, 1000.0)
    granted(ledger, "alice", "9.99", tokens=100)


def test_a_refusal_in_requests(opened):
    ledger = opened()
    ledger.set_budget("alice", requests=3, per="hour")
    ledger.charge("alice", cost=1)
    held = ledger.hold("alice", 1)
    ledger.hold("alice", 0)
    assert facts(refused(ledger, "alice", 0)) == (3, 1, 2, 0, 1)
    held.settle(1)
    assert facts(refused(ledger, "alice", 0)) == (3, 2, 1, 0, 1)


def test_what_costs_nothing_passes_an_exhausted_budget(ledger):
    ledger.set_budget("alice", tokens=10)
    ledger.charge("alice", cost=11, usage=Usage(11))
    granted(ledger, "alice", 0, tokens=0).settle(0)
    assert refused(ledger, "alice", "0.000000000001", tokens=0).budget.name == "usd/month"
    assert refused(ledger, "alice", 0).budget.name == "tokens"  # free, of unknown tokens
    assert refused(ledger, "alice", tokens=1).budget.name == "tokens"


def test_a_refusal_by_a_budget_above(ledger):
    ledger.set_budget("team", 6, per="week")
    ledger.set_parent("alice", "team")
    ledger.set_parent("bob", "team")
    ledger.hold("bob", 4)
    error = refused(ledger, "alice", 3)
    assert (error.account, error.budget.account, error.budget.name) == ("team", "team", "usd/week")
    assert facts(error) == (6, 0, 4, 2, 3)
    assert "'usd/week' of 'team'" in str(error)
    granted(ledger, "alice", 2)


def test_a_refusal_by_the_project(ledger):
    ledger.set_budget("*", 6)
    granted(ledger, "new", 5)  # an account without a budget of its own, opened by its hold
    error = refused(ledger, "alice", 2)
    assert (error.account, facts(error)) == ("*", (6, 0, 5, 1, 2))
    refused(ledger, "another", 2)
    assert [account.name for account in ledger.accounts()] == ["*", "alice", "new"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_that_refuse_the_one_that_turns_last_is_told(opened, order):
    ledger = opened()
    for per in ["minute", "week", "day"][::order]:
        ledger.set_budget("alice", 5, per=per)
    ledger.set_budget("team", 5, per="hour")
    ledger.set_parent("alice", "team")
    ledger.charge("alice", cost=5)
    assert refused(ledger, "alice", 1).budget.name == "usd/week"
    ledger.set_budget("team", 5, per="year")
    assert refused(ledger, "alice", 1).budget.account == "team"
    ledger.set_budget("alice", 5, per=None)
    error = refused(ledger, "alice", 1)
    assert (error.budget.name, error.retry_after) == ("usd", None)


def test_a_rolling_budget_may_be_the_last_to_turn(opened):
    ledger = opened()
    ledger.set_budget("alice", 5, per=timedelta(days=30))
    ledger.set_budget("alice", 5, per="minute")
    ledger.charge("alice", cost=5)
    assert refused(ledger, "alice", 1).retry_after > 60


def test_what_one_budget_never_grants_is_not_told_to_wait_for_another(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 5, per="day")
    ledger.set_budget("alice", 100, per="year")
    ledger.charge("alice", cost=100)
    clock.advance(days=1)
    assert refused(ledger, "alice", 6).retry_after is None


def test_what_was_not_committed_is_not_remembered(ledger):
    writer = ledger._journal.store._writer
    execute = writer._execute

    def fail_to_commit(sql, *parameters):
        if sql == "COMMIT":  # as on a full disk
            raise OSError("disk I/O error")
        return execute(sql, *parameters)

    writer._execute = fail_to_commit
    with pytest.raises(StoreError):
        ledger.set_budget("alice", 1000, per="month")
    writer._execute = execute
    ledger.set_budget("alice", 20, per="month")
    refused(ledger, "alice", 21)


# -- when to come back ----------------------------------------------------------------------


def granted_only_from(ledger, clock, error, *args, **kwargs):
    """What was refused is refused until just before it may be retried, and then granted."""
    clock.advance(timedelta(microseconds=round(error.retry_after * 1e6)) - INSTANT)
    later = refused(ledger, *args, **kwargs)
    assert later.retry_after == pytest.approx(1e-6)
    clock.advance(INSTANT)
    granted(ledger, *args, **kwargs)


@pytest.mark.parametrize(
    ("per", "timezone", "seconds"),
    [
        ("minute", "UTC", 60),
        ("hour", "Asia/Kolkata", 1800),  # half past four there
        ("day", "UTC", 14 * 3600),
        ("day", "Europe/Berlin", 13 * 3600),
        ("week", "UTC", 38 * 3600),  # a Saturday
        ("month", "UTC", 14 * 3600),
        ("year", "UTC", (334 * 24 + 14) * 3600),
    ],
)
def test_retry_when_the_calendar_turns(opened, clock, per, timezone, seconds):
    ledger = opened()
    ledger.set_budget("alice", 5, per=per, timezone=timezone)
    ledger.charge("alice", cost=5)
    error = refused(ledger, "alice", 1)
    assert error.retry_after == seconds
    granted_only_from(ledger, clock, error, "alice", 1)


def test_retry_when_a_stepped_window_turns(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 5, per="month", anchor="creation")
    ledger.charge("alice", cost=5)
    error = refused(ledger, "alice", 1)
    assert error.window.end == datetime(2026, 2, 28, 10, tzinfo=UTC)
    granted_only_from(ledger, clock, error, "alice", 1)


def test_retry_when_enough_has_rolled_out(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=24))
    for cost in (4, 3, 2):
        ledger.charge("alice", cost=cost)
        clock.advance(hours=1)
    # Three hours on: 1 is left. 5 of them leave 24 hours after the first; 8 after the second.
    assert refused(ledger, "alice", 5).retry_after == pytest.approx(21 * 3600 + 1e-6)
    error = refused(ledger, "alice", 8)
    assert error.retry_after == pytest.approx(22 * 3600 + 1e-6)
    assert refused(ledger, "alice", 11).retry_after is None
    granted_only_from(ledger, clock, error, "alice", 8)


@pytest.mark.parametrize("limited", [{"tokens": 10}, {"requests": 3}])
def test_retry_when_counts_have_rolled_out(opened, clock, limited):
    ledger = opened()
    ledger.set_budget("alice", **limited, per=timedelta(hours=1), model="m")
    for used in (5, 4, 1):
        ledger.charge("alice", cost=1, usage=Usage(used), model="m")
        ledger.charge("alice", cost=1, usage=Usage(used), model="n")
        clock.advance(minutes=10)
    error = refused(ledger, "alice", tokens=1, model="m")
    assert error.retry_after == pytest.approx(30 * 60 + 1e-6)
    granted(ledger, "alice", tokens=1, model="n")
    granted_only_from(ledger, clock, error, "alice", tokens=1, model="m")


def test_retry_after_a_shift_in_a_rolling_window(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=24))
    ledger.charge("alice", cost=9)
    clock.advance(hours=1)
    ledger.shift_window("alice")
    ledger.charge("alice", cost=8)
    clock.advance(hours=1)
    error = refused(ledger, "alice", 3)
    assert error.retry_after == pytest.approx(23 * 3600 + 1e-6)
    granted_only_from(ledger, clock, error, "alice", 3)


def test_retry_when_what_is_held_expires(ledger, clock):
    ledger.hold("alice", 1, expires_in=60)
    ledger.hold("alice", 5, expires_in=300)
    ledger.hold("alice", 4, expires_in=600)
    assert refused(ledger, "alice", 1).retry_after == 60
    assert refused(ledger, "alice", 2).retry_after == 300
    error = refused(ledger, "alice", 7)
    assert error.retry_after == 600
    granted_only_from(ledger, clock, error, "alice", 7)


def test_retry_when_what_others_hold_expires(opened, clock):
    ledger = opened()
    ledger.set_budget("team", requests=2)
    for name in ("alice", "bob", "carol"):
        ledger.set_parent(name, "team")
    ledger.hold("alice", 1, expires_in=60).extend(120)
    ledger.hold("bob", 1, expires_in=90)
    error = refused(ledger, "carol", 1)
    assert error.retry_after == 90
    granted_only_from(ledger, clock, error, "carol", 1)


def test_retry_of_one_model_minds_only_its_holds(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 5, model="m")
    ledger.hold("alice", 5, model="n", expires_in=60)
    ledger.hold("alice", 5, model="m", expires_in=90)
    error = refused(ledger, "alice", 1, model="m")
    assert error.retry_after == 90
    granted_only_from(ledger, clock, error, "alice", 1, model="m")


def test_never_without_a_higher_limit(ledger):
    error = refused(ledger, "alice", "10.01")
    assert error.retry_after is None
    assert str(error).endswith("it is more than the whole limit; ask for less, or raise the limit")
    ledger.set_budget("bob", 5)
    ledger.charge("bob", cost=5)
    error = refused(ledger, "bob", 1)
    assert error.retry_after is None
    assert str(error).endswith("; raise the limit, or ask for less")


def test_retry_minds_what_is_still_held_when_the_window_turns(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per="hour")
    ledger.hold("alice", 8, expires_in=2 * 3600)
    ledger.charge("alice", cost=2)
    granted_only_from(ledger, clock, refused(ledger, "alice", 9), "alice", 9)


def test_retry_minds_that_what_is_held_expires_before_enough_has_rolled_out(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=1))
    ledger.charge("alice", cost=6)
    ledger.hold("alice", 4, expires_in=1800)
    error = refused(ledger, "alice", 7)
    assert error.retry_after == pytest.approx(3600 + 1e-6)
    granted_only_from(ledger, clock, error, "alice", 7)


def test_a_rolling_window_that_was_shifted_waits_for_what_is_held_only(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=1))
    ledger.charge("alice", cost=10)
    clock.advance(minutes=10)
    ledger.shift_window("alice")
    ledger.hold("alice", 8, expires_in=60)
    assert refused(ledger, "alice", 8).retry_after == 60


# -- the largest output ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    ("limited", "largest"),
    [
        # 0.00002 for the prompt, 0.00001 for each token out, so that 0.01 has room for 998.
        ({"limit": "0.01"}, {1: 998, 3: 332}),
        ({"limit": "0.010009999999"}, {1: 998, 3: 332}),
        ({"limit": "0.01001"}, {1: 999, 3: 333}),
        ({"tokens": 108}, {1: 100, 3: 33}),
        ({"tokens": 8}, {1: 0, 3: 0}),
        ({"limit": "0.00002"}, {1: 0, 3: 0}),
        ({"tokens": 7}, {1: None, 3: None}),
        ({"limit": "0.000019999999"}, {1: None, 3: None}),
    ],
)
def test_the_largest_output_is_granted_and_one_more_is_not(opened, limited, largest, n):
    ledger = opened()
    ledger.set_budget("alice", **limited)
    ledger.set_budget("alice", 5, per="day")  # further ones, of which the least counts
    ledger.set_budget("alice", tokens=100_000, per="day")
    error = refused(ledger, "alice", **HELLO, max_output_tokens=50_000, n=n)
    assert error.largest_output == largest[n]
    if largest[n] is not None:
        more = refused(ledger, "alice", **HELLO, max_output_tokens=largest[n] + 1, n=n)
        assert more.largest_output == largest[n]
        granted(ledger, "alice", **HELLO, max_output_tokens=largest[n], n=n)


def test_the_largest_output_is_the_least_of_all_budgets(opened):
    ledger = opened()
    ledger.set_budget("alice", "0.01", per="day")
    ledger.set_budget("alice", tokens=1000)
    ledger.set_budget("team", "0.005", model="gpt-4o")
    ledger.set_budget("*", tokens=300)
    ledger.set_parent("alice", "team")
    assert refused(ledger, "alice", **HELLO).largest_output == 292
    ledger.charge("alice", cost="0.003", model="gpt-4o")
    assert refused(ledger, "alice", **HELLO).largest_output == 198
    ledger.hold("alice", "0.001", model="gpt-4o")
    assert refused(ledger, "alice", **HELLO).largest_output == 98
    assert refused(ledger, "alice", 1).largest_output is None  # there is no prompt to estimate


def test_no_output_is_small_enough_without_a_request_left(ledger):
    ledger.set_budget("alice", requests=1)
    ledger.charge("alice", cost=0)
    assert refused(ledger, "alice", **HELLO).largest_output is None


# -- the error itself -----------------------------------------------------------------------


def raised_elsewhere(error):
    raise error


@pytest.mark.parametrize(
    "travel",
    [
        lambda error: pickle.loads(pickle.dumps(error)),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_a_refusal_survives_pickling_and_copying(ledger, travel):
    error = refused(ledger, "alice", **HELLO, max_output_tokens=2_000_000)
    again = travel(error)
    assert type(again) is BudgetExceededError
    assert isinstance(again, BudgetledgerError)
    assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)
    assert (again.largest_output, again.budget.limit, again.window) == (
        999_998, 10, error.window,
    )  # fmt: skip


def test_a_refusal_comes_back_from_another_process(ledger):
    error = refused(ledger, "alice", 11)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(raised_elsewhere, error).exception(timeout=30)
    assert (type(found), str(found), found.__dict__ == error.__dict__) == (
        BudgetExceededError, str(error), True,
    )  # fmt: skip


def test_the_other_errors_survive_pickling(ledger):
    hold = ledger.hold("alice", 1)
    hold.release()
    ledger.freeze("alice", reason="fraud")
    for call in (hold.release, lambda: ledger.hold("alice", 1)):
        with pytest.raises(BudgetledgerError) as caught:
            call()
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), again.__dict__) == (type(caught.value), caught.value.__dict__)


def test_a_refusal_knows_the_facts_and_nothing_else(ledger):
    assert refused(ledger, "alice", 11).__dict__.keys() == {
        *("account", "project", "budget", "window", "limit", "posted", "held", "available"),
        *("requested", "retry_after", "largest_output", "current_cost", "max_budget", "message"),
        "blocked_by_holds",
    }
