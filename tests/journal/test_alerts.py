"""Alerts: raised once, resolved when they hold no more, and told once they are durable."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from samples import START

from budgetledger import BudgetManager, Usage
from budgetledger.errors import (
    InvalidAmount,
    InvalidInput,
    InvalidName,
    StoreFull,
    UnknownAccount,
    UnpricedWarning,
)

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
HALF, MOST, ALL = Decimal("0.5"), Decimal("0.8"), Decimal(1)


@pytest.fixture
def told():
    """What ``on_alert`` was called with."""
    return []


@pytest.fixture
def opened(opened, told):
    """Opens ledgers whose alerts are noted."""
    return partial(opened, on_alert=told.append)


@pytest.fixture
def ledger(opened):
    """A ledger that alerts when alice has spent 5, 8 and 10 of 10 USD a month."""
    ledger = opened()
    ledger.set_budget("alice", 10, per="month", alert_at=(0.5, 0.8, 1))
    return ledger


def steps(alerts):
    """The alerts in few words."""
    return [(alert.state, alert.threshold, alert.posted) for alert in alerts]


# -- thresholds -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "thresholds"),
    [
        ((), ()),
        ((0.8,), (MOST,)),
        (0.8, (MOST,)),
        ("0.8", (MOST,)),
        ([1, "0.50", Decimal("0.8"), 0.5], (HALF, MOST, ALL)),
        ({2}, (Decimal(2),)),
        ((1000,), (Decimal(1000),)),
        ([n / 20 for n in range(1, 21)], tuple(Decimal(n) / 20 for n in range(1, 21))),
    ],
    ids=lambda given: f"{given!r:.24}",
)
def test_thresholds_are_shares_in_order(ledger, opened, given, thresholds):
    assert ledger.set_budget("bob", 1, alert_at=given).alert_at == thresholds
    assert opened().budgets("bob")[0].alert_at == thresholds


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((0,), InvalidInput),
        ((0.5, -0.1), InvalidAmount),
        ((1000.1,), InvalidInput),
        ((float("nan"),), InvalidAmount),
        ((float("inf"),), InvalidAmount),
        ((True,), InvalidAmount),
        (("80%",), InvalidAmount),
        ("", InvalidAmount),
        ((None,), InvalidAmount),
        (("1e-13",), InvalidInput),  # rounds to nothing
        ([n / 21 for n in range(1, 22)], InvalidInput),
    ],
    ids=lambda given: f"{given!r:.24}",
)
def test_bad_thresholds_leave_no_row(ledger, given, error):
    before = list(ledger.entries())
    for account in ("alice", "new"):
        with pytest.raises(error, match="alert_at"):
            ledger.set_budget(account, 10, per="month", alert_at=given)
    assert (list(ledger.entries()), len(ledger.accounts())) == (before, 1)


@pytest.mark.parametrize("given", [5 + 0j, object()], ids=["complex", "object"])
def test_no_thresholds_at_all_are_refused(ledger, given):
    with pytest.raises(InvalidInput):
        ledger.set_budget("alice", 10, per="month", alert_at=given)


def test_other_thresholds_are_another_revision(ledger):
    ledger.set_budget("alice", 10, per="month", alert_at=(1, 0.8, "0.5"))
    assert len(list(ledger.entries())) == 1
    ledger.set_budget("alice", 10, per="month", alert_at=(0.9,))
    assert ledger.budgets("alice")[0].alert_at == (Decimal("0.9"),)
    assert len(list(ledger.entries())) == 2


# -- raising --------------------------------------------------------------------------------


def test_each_threshold_is_raised_once(ledger, told, clock):
    for cost in ("4.99", "0.01", "2.98", "0.02", "1.99", "0.01", "5.00"):
        clock.advance(seconds=1)
        ledger.charge("alice", cost=cost)
    assert steps(told) == [
        ("alert", HALF, 5),
        ("alert", MOST, 8),
        ("alert", ALL, 10),
    ]
    assert ledger.alerts("alice") == ledger.alerts() == told
    first = told[0]
    assert (first.account, first.budget, first.limit) == ("alice", "usd/month", 10)
    assert first.recorded_at == START + timedelta(seconds=2)
    assert (first.window.start, first.window.end) == (datetime(2026, 1, 1, tzinfo=UTC), FEBRUARY)


def test_one_large_cost_raises_all_from_below(ledger, told):
    ledger.charge("alice", cost=12)
    assert steps(told) == [("alert", one, 12) for one in (HALF, MOST, ALL)]


def test_alerts_are_rows(ledger, told, database):
    ledger.charge("alice", cost=8)
    assert [entry.kind for entry in ledger.entries("alice")] == [
        *("budget", "charge", "alert", "alert"),
    ]
    assert ledger.balance("alice").posted == 8
    found = database.sql("SELECT account, budget, state FROM alerts")
    assert found == [("alice", "usd/month", "alert")] * 2


def test_what_is_held_raises_nothing(ledger, told):
    hold = ledger.hold("alice", 9)
    assert told == []
    hold.settle(5)
    assert steps(told) == [("alert", HALF, 5)]


def test_an_unpriced_call_raises_once_its_cost_is_stated(ledger, told):
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", usage=Usage(1), model="an-unlisted-model")
    assert told == []
    ledger.adjust(entry, 5, reason="as billed")
    assert steps(told) == [("alert", HALF, 5)]


@pytest.mark.parametrize(
    ("limited", "spent"),
    [({"tokens": 10}, {"cost": 0, "usage": Usage(4, 1)}), ({"requests": 2}, {"cost": 0})],
)
def test_alerts_of_counts(opened, told, limited, spent):
    ledger = opened()
    ledger.set_budget("alice", **limited, alert_at=HALF, model="m")
    ledger.charge("alice", **spent, model="n")
    assert told == []
    ledger.charge("alice", **spent, model="m")
    (alert,) = told
    assert [alert.limit] == [*limited.values()]
    assert alert.posted == (5 if "usage" in spent else 1)
    assert {type(alert.limit), type(alert.posted)} == {int}
    assert ledger.alerts() == told


def test_a_budget_set_when_it_is_reached_already(ledger, told):
    ledger.charge("alice", cost=4)
    ledger.set_budget("alice", 4, alert_at=(1,), name="small")
    assert [(alert.budget, alert.threshold) for alert in told] == [("small", 1)]


def test_budgets_above_alert_too(ledger, told):
    ledger.set_budget("team", 20, alert_at=(0.5,))
    ledger.set_budget("*", 40, alert_at=(0.2,))
    for name in ("alice", "bob"):
        ledger.set_parent(name, "team")
    ledger.charge("alice", cost=4)
    ledger.charge("bob", cost=6)
    assert [(alert.account, alert.posted) for alert in told] == [("team", 10), ("*", 10)]
    assert ledger.alerts("team") == told[:1]
    assert ledger.alerts() == told


# -- resolving ------------------------------------------------------------------------------


def test_the_next_row_after_the_turn_resolves(ledger, told, clock):
    ledger.charge("alice", cost=8)
    clock.move_to(FEBRUARY)
    assert len(ledger.alerts()) == 2
    ledger.charge("alice", cost=6)
    assert steps(told[2:]) == [("resolve", HALF, 6), ("resolve", MOST, 6), ("alert", HALF, 6)]
    assert {alert.window.start for alert in told[2:]} == {FEBRUARY}
    ledger.charge("alice", cost=1)
    assert len(told) == 5


def test_a_shift_resolves(ledger, told, clock):
    ledger.charge("alice", cost=5)
    clock.advance(minutes=1)
    ledger.shift_window("alice")
    assert steps(told) == [("alert", HALF, 5), ("resolve", HALF, 0)]
    ledger.charge("alice", cost=5)
    assert steps(told[2:]) == [("alert", HALF, 5)]


def test_a_higher_limit_resolves(ledger, told):
    ledger.charge("alice", cost=8)
    ledger.set_budget("alice", 16, per="month", alert_at=(0.5, 0.8, 1))
    assert steps(told[2:]) == [("resolve", MOST, 8)]
    assert told[-1].limit == 16
    ledger.charge("alice", cost=5)
    assert steps(told[3:]) == [("alert", MOST, 13)]


def test_a_threshold_reached_again_as_the_limit_falls_is_raised_again(ledger, told):
    ledger.charge("alice", cost=5)
    for limit in (20, 10):
        ledger.set_budget("alice", limit, per="month", alert_at=(0.5,))
    assert steps(told) == [("alert", HALF, 5), ("resolve", HALF, 5), ("alert", HALF, 5)]


def test_thresholds_stay_unless_others_are_given(ledger, told):
    ledger.charge("alice", cost=5)
    ledger.set_budget("alice", 9, per="month")
    assert ledger.budgets("alice")[0].alert_at == (HALF, MOST, ALL)
    ledger.set_budget("alice", 9, per="month", alert_at=())
    assert ledger.budgets("alice")[0].alert_at == ()
    assert steps(told) == [("alert", HALF, 5), ("resolve", HALF, 5)]


def test_a_lower_limit_raises_what_it_reaches(ledger, told):
    ledger.charge("alice", cost=5)
    ledger.set_budget("alice", 6, per="month", alert_at=(0.5, 0.8, 1))
    assert steps(told) == [("alert", HALF, 5), ("alert", MOST, 5)]


def test_a_refund_resolves_nothing_and_raises_nothing_again(ledger, told):
    entry = ledger.charge("alice", cost=5)
    ledger.adjust(entry, -3, reason="credit")
    ledger.charge("alice", cost=3)
    assert steps(told) == [("alert", HALF, 5)]


def test_a_removed_budget_or_threshold_resolves(ledger, told):
    ledger.charge("alice", cost=8)
    ledger.set_budget("alice", 10, per="month", alert_at=(0.8,))
    assert steps(told[2:]) == [("resolve", HALF, 8)]
    ledger.remove_budget("alice", "usd/month")
    assert steps(told[3:]) == [("resolve", MOST, 8)]
    ledger.charge("alice", cost=8)
    assert len(told) == 4


def test_a_rolling_window_alerts_each_time_it_fills(opened, told, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=1), alert_at=(0.5,))
    ledger.charge("alice", cost=5)
    clock.advance(hours=1)  # an hour ago still counts
    ledger.charge("alice", cost=1)
    assert steps(told) == [("alert", HALF, 5)]
    clock.advance(microseconds=1)
    ledger.charge("alice", cost=1)
    ledger.charge("alice", cost=3)
    assert steps(told[1:]) == [("resolve", HALF, 2), ("alert", HALF, 5)]
    assert {alert.window for alert in told} == {(None, None, "UTC")}


def test_what_stands_is_not_forgotten_while_another_threshold_comes_and_goes(opened, told, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=1), alert_at=(0.1, 0.9))
    for _ in range(55):
        ledger.charge("alice", cost=8)
        clock.advance(minutes=40)
        ledger.charge("alice", cost=1)  # 9 or 10 of the last hour
        clock.advance(minutes=25)
        ledger.charge("alice", cost=1)  # the 8 has left, so 2
    assert [alert.state for alert in told if alert.threshold > HALF] == ["alert", "resolve"] * 55
    assert [alert.state for alert in told if alert.threshold < HALF] == ["alert"]


# -- telling --------------------------------------------------------------------------------


def test_others_alerts_are_not_told_again(ledger, opened, told):
    other = []
    second = opened(on_alert=other.append)
    ledger.charge("alice", cost=5)
    second.charge("alice", cost=1)
    assert (len(told), other) == (1, [])
    second.charge("alice", cost=2)
    assert (len(told), steps(other)) == (1, [("alert", MOST, 8)])
    ledger.close()
    reopened = opened(on_alert=other.append)
    reopened.charge("alice", cost=1)
    assert len(other) == 1
    assert steps(reopened.alerts()) == [("alert", HALF, 5), ("alert", MOST, 8)]


def test_an_alert_is_durable_when_it_is_told(opened, database):
    seen = []

    def look(alert):
        seen.extend(database.sql("SELECT count(*) FROM alerts"))

    ledger = opened(on_alert=look)
    ledger.set_budget("alice", 10, alert_at=(0.5,))
    ledger.charge("alice", cost=5)
    assert seen == [(1,)]


def test_on_alert_may_use_the_ledger(opened):
    def freeze(alert):
        ledger.freeze(alert.account, reason=f"{alert.threshold:.0%}")
        ledger.charge("fees", cost=1)

    ledger = opened(on_alert=freeze)
    ledger.set_budget("fees", 1, alert_at=(1,))
    ledger.set_budget("alice", 10, alert_at=(0.5,))
    ledger.charge("alice", cost=5)
    assert [alert.account for alert in ledger.alerts()] == ["alice", "fees"]


@pytest.mark.parametrize("call", ["charge", "settle", "set_budget"])
def test_an_on_alert_that_fails_costs_nothing(opened, caplog, call):
    def fail(alert):
        raise RuntimeError("no network")

    ledger = opened(on_alert=fail)
    ledger.set_budget("alice", 10, alert_at=(0.5, 0.8))
    if call == "charge":
        assert ledger.charge("alice", cost=9).cost == 9
    elif call == "settle":
        with ledger.hold("alice", 1) as hold:
            assert hold.settle(9).cost == 9
    else:
        ledger.charge("alice", cost=1)
        ledger.set_budget("alice", 1, alert_at=(0.5, 1))
    assert (len(ledger.alerts()), len(caplog.records)) == (2, 2)
    assert "no network" in caplog.text


def test_what_was_not_recorded_is_not_told(ledger, told, monkeypatch):
    def write(operation):
        raise StoreFull("no room", target=ledger.path)

    monkeypatch.setattr(ledger._journal.store, "write", write)
    with pytest.raises(StoreFull):
        ledger.charge("alice", cost=5)
    assert told == []
    monkeypatch.undo()
    ledger.charge("alice", cost=5)
    assert len(told) == 1


def test_a_retry_with_a_key_alerts_once(ledger, told):
    for _ in range(2):
        ledger.charge("alice", cost=5, key="k")
    assert len(told) == 1


def test_alerts_of_nobody_and_of_other_projects(ledger, opened, told):
    ledger.charge("alice", cost=5)
    with pytest.raises(UnknownAccount):
        ledger.alerts("nobody")
    other = opened(project="other")
    assert other.alerts() == []
    other.set_budget("alice", 5, alert_at=(1,))
    other.charge("alice", cost=5)
    assert (len(other.alerts("alice")), len(ledger.alerts("alice"))) == (1, 1)
    assert opened(project="none yet").alerts() == []
    with pytest.raises(InvalidName):
        ledger.alerts("")


def test_the_manager_keeps_the_thresholds(opened):
    ledger = opened(project="my-app")
    manager = BudgetManager("my-app", ledger=ledger)
    ledger.set_budget("alice", 10, name="default", alert_at=(0.5,))
    manager.update_cost(
        "alice", {"model": "gpt-4o", "usage": {"completion_tokens": 500_000, "prompt_tokens": 0}}
    )
    assert [alert.threshold for alert in ledger.alerts()] == [HALF]


def test_a_budget_that_measures_something_else_begins_anew(opened, told):
    ledger = opened(on_alert=told.append)
    ledger.set_budget("alice", 5, name="own", alert_at=(1,))
    ledger.charge("alice", cost=5, usage=Usage(4))
    ledger.set_budget("alice", tokens=5, name="own")
    assert steps(told) == [("alert", ALL, 5), ("resolve", ALL, 5)]
    ledger.charge("alice", cost=0, usage=Usage(1))
    assert steps(told[2:]) == [("alert", ALL, 5)]
    assert [alert.measure for alert in told] == ["usd", "usd", "tokens"]
