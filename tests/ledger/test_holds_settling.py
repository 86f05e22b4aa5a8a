"""Leaving the with block, settling and releasing; a cost that was incurred is kept."""

import warnings
from datetime import datetime
from decimal import Decimal

import pytest
from hold_checks import granted, kinds, refused, stand
from samples import RESPONSE, RESPONSE_COST, START, UNLISTED

from budgetledger import Usage
from budgetledger.errors import (
    HoldAlreadyClosed,
    InvalidAmount,
    InvalidInput,
    InvalidName,
    StoreFull,
    UnpricedWarning,
    UnreadableResponse,
    UnrecordedWarning,
)

# -- leaving the with block -----------------------------------------------------------------


def test_settled_inside(ledger):
    with ledger.hold("alice", 4, model="gpt-4o") as hold:
        entry = hold.settle(RESPONSE)
        assert stand(ledger) == (RESPONSE_COST, 0, 10 - RESPONSE_COST)
    assert (hold.closed_by, entry.kind, entry.hold_id) == (entry, "settle", hold.id)
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_nothing_done_releases(ledger):
    with ledger.hold("alice", 4) as hold:
        assert stand(ledger)[1] == 4
    assert (hold.closed_by.kind, hold.closed_by.hold_id) == ("release", hold.id)
    assert (kinds(ledger), stand(ledger)) == (["budget", "hold", "release"], (0, 0, 10))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_releases(ledger, error):
    with pytest.raises(error), ledger.hold("alice", 4):
        raise error
    assert kinds(ledger) == ["budget", "hold", "release"]


def test_released_inside(ledger):
    with ledger.hold("alice", 4) as hold:
        entry = hold.release(reason="not needed")
    assert (hold.closed_by, entry.note, kinds(ledger)[1:]) == (
        entry, "not needed", ["hold", "release"],
    )  # fmt: skip


def test_an_exception_after_the_settle_changes_nothing(ledger):
    def settle_and_fail():
        with ledger.hold("alice", 4) as hold:
            hold.settle(1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        settle_and_fail()
    assert (kinds(ledger), stand(ledger)) == (["budget", "hold", "settle"], (1, 0, 9))


def test_a_response_that_cannot_be_read_is_not_released(ledger):
    with (
        pytest.warns(
            UnrecordedWarning, match=r"until 2026-01-31 10:30:00 UTC; settle it with the cost"
        ),
        pytest.raises(UnreadableResponse),
        ledger.hold("alice", 4) as hold,
    ):
        hold.settle({"choices": []})
    assert (kinds(ledger), stand(ledger)) == (["budget", "hold"], (0, 4, 6))
    hold.settle("0.75")
    assert stand(ledger) == (Decimal("0.75"), 0, Decimal("9.25"))


def test_a_response_that_could_not_be_read_at_first(ledger):
    with ledger.hold("alice", 4, model="gpt-4o") as hold:
        with pytest.raises(UnreadableResponse):
            hold.settle(["no", "response"])
        hold.settle(usage=Usage(1000, 200))
    assert stand(ledger)[:2] == (RESPONSE_COST, 0)


def test_an_answer_nobody_can_read_costs_what_was_held(ledger):
    with pytest.warns(UnpricedWarning), ledger.hold("alice", 4, model="gpt-4o") as hold:
        hold.settle({"answer": 42})
    assert (hold.closed_by.model, hold.closed_by.cost_pico) == ("gpt-4o", 4 * 10**12)
    assert stand(ledger)[1] == 0


BAD_AMOUNTS = [float("nan"), float("inf"), -1, "-0.01", "", "ten", True, 10**7, Decimal("NaN")]


@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
def test_a_bad_amount_leaves_the_hold_open(ledger, amount):
    hold = ledger.hold("alice", 4)
    before = list(ledger.entries())
    with pytest.raises(InvalidAmount):
        hold.settle(amount)
    assert (list(ledger.entries()), stand(ledger), hold.closed_by) == (before, (0, 4, 6), None)
    hold.settle(1)
    assert stand(ledger) == (1, 0, 9)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"paid": None},
        {"paid": RESPONSE, "usage": Usage(1)},
        {"usage": {"input_tokens": 1}},
        {"usage": Usage(-1), "model": "gpt-4o"},
        {"paid": 1, "tags": "search"},
        {"paid": 1, "model": " "},
        {"paid": 1, "occurred_at": datetime(2026, 1, 1)},
    ],
    ids=lambda given: ", ".join(given) or "nothing",
)
def test_a_bad_settle_leaves_the_hold_open(ledger, given):
    hold = ledger.hold("alice", 4)
    with pytest.raises(InvalidInput):
        hold.settle(**given)
    assert (kinds(ledger), stand(ledger)) == (["budget", "hold"], (0, 4, 6))
    hold.release()


def test_two_usages_are_one_too_many(ledger):
    with pytest.raises(InvalidInput):
        ledger.hold("alice", 4, model="gpt-4o").settle(Usage(1), usage=Usage(1000))


def test_what_the_store_did_not_take_is_settled_on_leaving(ledger, store_fails):
    with ledger.hold("alice", 4, model="gpt-4o", tags={"a": 1}) as hold:
        store_fails(ledger)
        with pytest.raises(StoreFull):
            hold.settle(RESPONSE)
        assert hold.closed_by is None
        store_fails(ledger, False)
    assert (hold.closed_by.kind, hold.closed_by.tags) == ("settle", {"a": 1})
    assert stand(ledger)[:2] == (RESPONSE_COST, 0)


def test_what_the_store_did_not_take_can_be_settled_again(ledger, store_fails):
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    for _ in range(2):
        with pytest.raises(StoreFull):
            hold.settle("1.25", model="m", tags={"a": 1}, occurred_at=START)
    with pytest.raises(StoreFull):
        hold.settle()
    store_fails(ledger, False)
    assert stand(ledger) == (0, 4, 6)
    entry = hold.settle()
    assert (entry.cost, entry.model, entry.tags, entry.occurred_at) == (
        Decimal("1.25"), "m", {"a": 1}, START,
    )  # fmt: skip
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_a_cost_that_is_lost_on_leaving_is_raised_or_warned_of(ledger, store_fails):
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    with pytest.raises(StoreFull), hold, pytest.raises(StoreFull):
        hold.settle(1)
    with (
        pytest.warns(UnrecordedWarning, match=r"call settle\(\) again"),
        pytest.raises(KeyError),
        hold,
    ):
        raise KeyError  # of the caller's own, which must not be hidden
    store_fails(ledger, False)
    assert hold.settle().cost == 1


def test_a_release_that_fails_is_warned_of(ledger, store_fails):
    with (
        pytest.warns(UnrecordedWarning, match=r"released .*call release\(\) again"),
        ledger.hold("alice", 4) as hold,
    ):
        store_fails(ledger)
    store_fails(ledger, False)
    assert stand(ledger)[1] == 4
    hold.release()
    assert stand(ledger) == (0, 0, 10)


@pytest.mark.parametrize("committed", [False, True])
def test_an_interrupted_settle_is_settled_once(ledger, monkeypatch, committed):
    hold, write = ledger.hold("alice", 4), ledger._journal.store.write

    def interrupted(operation):
        monkeypatch.undo()
        if committed:
            write(operation)
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger._journal.store, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), hold:
        hold.settle(1)
    assert (kinds(ledger), stand(ledger)) == (["budget", "hold", "settle"], (1, 0, 9))
    assert hold.closed_by.kind == "settle"


def test_a_late_settle_that_the_store_did_not_take_is_settled_on_leaving(ledger, store_fails):
    with ledger.hold("alice", 4) as hold:
        hold.release()
        store_fails(ledger)
        with pytest.raises(StoreFull):
            hold.settle(1)
        store_fails(ledger, False)
    assert stand(ledger)[0] == 1


def test_closed_by_somebody_else_meanwhile(ledger, opened):
    with ledger.hold("alice", 4) as hold:
        (same,) = opened().holds("alice")
        same.settle(2)
    with ledger.hold("alice", 4) as hold:
        opened().holds("alice")[0].release()
        hold.settle(1)
    assert kinds(ledger) == ["budget", "hold", "settle", "hold", "release", "settle"]
    assert stand(ledger) == (3, 0, 7)


def test_a_hold_entered_twice(ledger):
    hold = ledger.hold("alice", 4)
    with hold, hold:
        hold.settle(1)
    with hold:
        pass
    assert kinds(ledger) == ["budget", "hold", "settle"]


# -- settling -------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["0.1", Decimal("0.1"), 0.1], ids=repr)
def test_settled_with_an_amount(ledger, amount):
    entry = ledger.hold("alice", 4).settle(amount)
    assert (entry.cost, entry.price_source, entry.requests) == (Decimal("0.1"), "given", 1)


@pytest.mark.parametrize("amount", [0, "0", 0.0, Decimal(0)], ids=repr)
def test_settled_with_nothing(ledger, amount):
    assert ledger.hold("alice", 4).settle(amount).cost == 0
    assert stand(ledger) == (0, 0, 10)


@pytest.mark.parametrize("how", ["paid", "usage"])
def test_settled_with_a_usage(ledger, how):
    entry = ledger.hold("alice", 4, model="gpt-4o").settle(**{how: Usage(1000, 200)})
    assert (entry.cost, entry.model, entry.input_tokens) == (RESPONSE_COST, "gpt-4o", 1000)


def test_settled_with_a_cost_and_its_usage(ledger):
    entry = ledger.hold("alice", 4).settle("0.5", usage=Usage(70, 7), model="m")
    assert (entry.cost, entry.model, entry.usage) == (
        Decimal("0.5"), "m", {"input_tokens": 70, "output_tokens": 7},
    )  # fmt: skip


def test_settled_with_litellms_own_cost(ledger):
    response = RESPONSE | {"_hidden_params": {"response_cost": 0.0123}}
    entry = ledger.hold("alice", 4).settle(response)
    assert (entry.cost, entry.price_source) == (Decimal("0.0123"), "litellm")


def test_more_than_was_held_is_recorded_and_shows(ledger):
    hold = ledger.hold("alice", 10)
    hold.settle("12.50")
    assert stand(ledger) == (Decimal("12.50"), 0, Decimal("-2.50"))
    assert refused(ledger, "alice", "0.01").available == Decimal("-2.50")


def test_tags_are_the_holds_unless_others_are_given(ledger):
    tags = {"feature": "search"}
    assert ledger.hold("alice", 1, tags=tags).settle(1).tags == tags
    assert ledger.hold("alice", 1, tags=tags).settle(1, tags={"b": 2}).tags == {"b": 2}
    assert ledger.hold("alice", 1, tags=tags).settle(1, tags={}).tags == {}
    assert ledger.hold("alice", 1).settle(1).tags == {}


def test_the_row_is_filed_under_the_model_asked_for_and_priced_by_the_one_that_answered(ledger):
    # openai.com/api/pricing, 2026-01: gpt-4o-mini, 0.15 and 0.60 USD a million tokens.
    answer = RESPONSE | {"model": "gpt-4o-mini"}
    entry = ledger.hold("alice", 1, model="gpt-4o").settle(answer)
    assert (entry.model, entry.cost) == ("gpt-4o", Decimal("0.00027"))
    assert ledger.hold("alice", 1).settle(answer).model == "gpt-4o-mini"
    assert ledger.hold("alice", 1, model="gpt-4o").settle(answer, model="mine").model == "mine"


def test_a_budget_of_a_model_counts_the_model_asked_for(ledger):
    ledger.set_budget("alice", 2, model="gpt-4o")
    hold = granted(ledger, "alice", "1.50", model="gpt-4o")
    granted(ledger, "alice", "1.50", model="gpt-4o-mini")
    granted(ledger, "alice", "1.50")
    refusal = refused(ledger, "alice", "0.51", model="gpt-4o")
    assert (refusal.budget.name, refusal.held) == ("usd/gpt-4o", Decimal("1.50"))
    hold.settle(RESPONSE | {"model": "gpt-4o-2024-08-06"})
    (status,) = [one for one in ledger.balance("alice").budgets if one.budget.model]
    assert (status.posted, status.held) == (RESPONSE_COST, 0)


def test_an_unknown_price_warns_where_the_call_is_settled(ledger):
    hold = ledger.hold("alice", 1, model=UNLISTED)
    with pytest.warns(UnpricedWarning, match=UNLISTED) as caught:
        entry = hold.settle(usage=Usage(10, 5))
    assert [warning.filename for warning in caught] == [__file__]
    assert (entry.cost, entry.price_source, hold.closed_by) == (1, "assumed", entry)
    assert (ledger.balance("alice").assumed, stand(ledger)) == (1, (1, 0, 9))
    ledger.adjust(entry, "-0.75", reason="as billed")
    assert (ledger.balance("alice").assumed, stand(ledger)[0]) == (0, Decimal("0.25"))


def test_a_settle_stands_even_where_warnings_are_errors(ledger):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnpricedWarning), ledger.hold("alice", 1, model=UNLISTED) as hold:
            hold.settle(usage=Usage(10, 5))
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_settled_twice(ledger):
    hold = ledger.hold("alice", 4)
    entry = hold.settle(1)
    for again in (lambda: hold.settle(1), lambda: hold.settle(2), hold.release):
        with pytest.raises(HoldAlreadyClosed, match=f"was settled by entry {entry.id};") as caught:
            again()
        assert (caught.value.entry, caught.value.hold_id) == (entry, hold.id)
    with pytest.raises(HoldAlreadyClosed):
        hold.extend(60)
    assert stand(ledger) == (1, 0, 9)


def test_a_retry_without_arguments_of_what_is_settled_says_so(ledger):
    hold = ledger.hold("alice", 4)
    hold.settle(1)
    with pytest.raises(HoldAlreadyClosed):
        hold.settle()


def test_settled_after_a_release(ledger):
    hold = ledger.hold("alice", 4)
    hold.release()
    with pytest.raises(HoldAlreadyClosed, match="was released by entry 3") as caught:
        hold.release()
    assert caught.value.entry.kind == "release"
    entry = hold.settle("0.40")
    assert (entry.kind, hold.closed_by) == ("settle", entry)
    for again in (lambda: hold.settle("0.40"), hold.release):
        with pytest.raises(HoldAlreadyClosed) as caught:
            again()
        assert caught.value.entry == entry
    assert stand(ledger) == (Decimal("0.40"), 0, Decimal("9.60"))


@pytest.mark.parametrize("reason", ["", " ", 7, "\ud800"])
def test_a_bad_reason_leaves_the_hold_open(ledger, reason):
    hold = ledger.hold("alice", 4)
    with pytest.raises(InvalidName, match=r"^reason "):
        hold.release(reason=reason)
    assert stand(ledger)[1] == 4


def test_an_adjustment_corrects_a_settle(ledger):
    entry = ledger.hold("alice", 4).settle(3)
    ledger.adjust(entry, "-1", reason="credit")
    assert stand(ledger) == (2, 0, 8)
