"""Holds, one promise at a time, on a real file; what is expected is worked out by hand."""

import copy
import gc
import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from budgetledger import BudgetManager, Ledger, Usage
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    BudgetledgerError,
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidAmount,
    InvalidInput,
    InvalidName,
    InvalidPeriod,
    StoreError,
    StoreFull,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedModel,
    UnpricedWarning,
    UnreadableResponse,
    UnrecordedWarning,
)
from budgetledger.testing import FakeClock

START = datetime(2026, 1, 31, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
NOBODY = "a-model-nobody-prices"
# openai.com/api/pricing, 2026-01: gpt-4o, 2.50 and 10.00 USD a million tokens.
RESPONSE = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
RESPONSE_COST = Decimal("0.0045")
# 8 tokens of chat, so 0.00002 USD, and 0.00001 for each token of the answer.
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def opened(database, clock):
    """Opens ledgers on one file, and closes them once they are found to be in order."""
    ledgers = []

    def open_ledger(**settings):
        ledgers.append(Ledger(database.target, synchronous="NORMAL", clock=clock, **settings))
        return ledgers[-1]

    yield open_ledger
    for ledger in ledgers:
        ledger.close()
    with Ledger(database.target) as ledger:
        assert ledger.verify().problems == ()


@pytest.fixture
def ledger(opened):
    """A ledger in which alice may use 10 USD a month."""
    ledger = opened()
    ledger.set_budget("alice", "10.00", per="month")
    return ledger


@pytest.fixture
def store_fails(monkeypatch):
    """Lets the store of a ledger refuse every write, until called again with False."""

    def failing(ledger, fails=True):
        def write(operation):
            raise StoreFull("no room; make some", target=ledger.path)

        if fails:
            monkeypatch.setattr(ledger._journal.store, "write", write)
        else:
            monkeypatch.undo()

    return failing


def kinds(ledger, account="alice"):
    return [entry.kind for entry in ledger.entries(account)]


def stand(ledger, account="alice"):
    balance = ledger.balance(account)
    return balance.posted, balance.held, balance.available


def asked(kwargs):
    """The part of a hold's arguments that can_afford takes, too."""
    return {k: v for k, v in kwargs.items() if k not in ("key", "tags", "expires_in")}


def refused(ledger, *args, **kwargs):
    """The refusal of a hold, after checking that it left no row, and that can_afford agrees."""
    before = list(ledger.entries()), ledger.accounts()
    with pytest.raises(BudgetExceededError) as caught:
        ledger.hold(*args, **kwargs)
    assert not ledger.can_afford(*args, **asked(kwargs))
    assert (list(ledger.entries()), ledger.accounts()) == before
    return caught.value


def granted(ledger, *args, **kwargs):
    """A hold that is granted, as can_afford foretold without writing anything."""
    before = list(ledger.entries())
    assert ledger.can_afford(*args, **asked(kwargs))
    assert list(ledger.entries()) == before
    return ledger.hold(*args, **kwargs)


# -- what a hold is -------------------------------------------------------------------------


def test_a_hold_sets_money_aside_and_spends_none(ledger, clock):
    hold = granted(ledger, "alice", "4.00")
    assert stand(ledger) == (0, 4, 6)
    assert (hold.account, hold.amount, hold.tokens, hold.model) == ("alice", 4, 0, None)
    assert hold.expires_at == START + timedelta(minutes=30)
    assert (hold.closed_by, hold.refusal, hold.bounded) == (None, None, True)
    assert hold.entry == list(ledger.entries("alice"))[-1]
    assert (hold.entry.kind, hold.entry.held, hold.entry.cost) == ("hold", 4, None)
    assert hold.entry.requests == 0
    assert (hold.id, hold.entry.expires_at) == (hold.entry.id, hold.expires_at)
    assert repr(hold) == f"Hold({hold.id}, 'alice', 4.00 USD, open)"
    entry = hold.settle("1.50")
    assert repr(hold) == f"Hold({hold.id}, 'alice', 4.00 USD, closed by entry {entry.id})"
    assert stand(ledger) == (Decimal("1.50"), 0, Decimal("8.50"))
    assert ledger.model_costs("alice") == {"unknown": Decimal("1.50")}


def test_a_hold_is_estimated_from_the_prompt(ledger):
    hold = granted(ledger, "alice", **HELLO, max_output_tokens=400)
    assert (hold.amount, hold.tokens, hold.bounded) == (Decimal("0.00402"), 408, True)
    assert (hold.model, hold.entry.usage) == ("gpt-4o", {"input_tokens": 8, "output_tokens": 400})
    assert hold.entry.price["output_mtok"] == "10"
    assert hold.entry.price_source.startswith("genai-prices ")
    three = granted(ledger, "alice", **HELLO, max_output_tokens=400, n=3)
    assert (three.amount, three.tokens) == (Decimal("0.01202"), 1208)
    text = granted(ledger, "alice", model="gpt-4o", text="hello", max_output_tokens=1)
    assert (text.amount, text.tokens) == (Decimal("0.0000125"), 2)
    assert stand(ledger)[1] == Decimal("0.0160525")


def test_an_output_without_a_bound_is_assumed(opened, ledger):
    hold = ledger.hold("alice", **HELLO)
    assert (hold.amount, hold.tokens, hold.bounded) == (Decimal("0.04098"), 4104, False)
    short = opened(default_output_tokens=10).hold("alice", **HELLO)
    assert (short.amount, short.bounded) == (Decimal("0.00012"), False)


def test_a_hold_of_tokens(ledger):
    ledger.set_budget("alice", tokens=1000)
    hold = granted(ledger, "alice", "0.50", tokens=600)
    assert (hold.amount, hold.tokens) == (Decimal("0.50"), 600)
    assert (granted(ledger, "alice", tokens=400).amount, stand(ledger)[1]) == (0, Decimal("0.50"))
    assert refused(ledger, "alice", tokens=1).budget.name == "tokens"
    granted(ledger, "alice", "0.50")  # of no tokens


BAD_HOLDS = [
    ({}, InvalidInput),
    ({"model": "gpt-4o"}, InvalidInput),
    ({"messages": HELLO["messages"]}, InvalidInput),
    ({"amount": 1, **HELLO}, InvalidInput),
    ({"tokens": 1, **HELLO}, InvalidInput),
    ({"text": "hello", **HELLO}, InvalidInput),
    ({"amount": 1, "max_output_tokens": 5}, InvalidInput),
    ({"amount": 1, "tools": []}, InvalidInput),
    ({"amount": 1, "n": 2}, InvalidInput),
    ({"amount": -1}, InvalidAmount),
    ({"amount": ""}, InvalidAmount),
    ({"amount": True}, InvalidAmount),
    ({"amount": float("nan")}, InvalidAmount),
    ({"amount": Decimal("sNaN")}, InvalidAmount),
    ({"amount": "Infinity"}, InvalidAmount),
    ({"amount": 10**7}, InvalidAmount),
    ({"tokens": -1}, InvalidAmount),
    ({"tokens": 1.5}, InvalidAmount),
    ({"tokens": True}, InvalidAmount),
    ({"tokens": 2**63}, InvalidAmount),
    ({**HELLO, "max_output_tokens": -1}, InvalidAmount),
    ({**HELLO, "max_output_tokens": 10**13}, InvalidAmount),
    ({**HELLO, "n": 0}, InvalidAmount),
    ({"amount": 1, "model": ""}, InvalidName),
    ({"amount": 1, "key": " "}, InvalidName),
    ({"amount": 1, "tags": "search"}, InvalidInput),
    ({"amount": 1, "expires_in": 0}, InvalidPeriod),
    ({"amount": 1, "expires_in": -1}, InvalidPeriod),
    ({"amount": 1, "expires_in": 4e-7}, InvalidPeriod),  # less than half a microsecond
    ({"amount": 1, "expires_in": float("nan")}, InvalidPeriod),
    ({"amount": 1, "expires_in": float("inf")}, InvalidPeriod),
    ({"amount": 1, "expires_in": True}, InvalidPeriod),
    ({"amount": 1, "expires_in": None}, InvalidPeriod),
    ({"amount": 1, "expires_in": "60"}, InvalidPeriod),
    ({"amount": 1, "expires_in": timedelta(0)}, InvalidPeriod),
    ({"amount": 1, "expires_in": timedelta(days=366, microseconds=1)}, InvalidPeriod),
    ({"amount": 1, "expires_in": timedelta.max}, InvalidPeriod),
    ({"amount": 1, "expires_in": 366 * 86400 + 1}, InvalidPeriod),
    ({"model": NOBODY, "text": "hello"}, UnpricedModel),
    ({"model": "text-embedding-3-small", "text": "a", "max_output_tokens": 1}, UnpricedModel),
]


@pytest.mark.parametrize(
    ("arguments", "error"),
    BAD_HOLDS,
    ids=[f"{n}-{', '.join(given)}" for n, (given, _) in enumerate(BAD_HOLDS)],
)
def test_a_bad_hold_leaves_no_row(ledger, arguments, error):
    before = list(ledger.entries())
    for account in ("alice", "new"):
        with pytest.raises(error):
            ledger.hold(account, **arguments)
        if asked(arguments) == arguments:
            with pytest.raises(error):
                ledger.can_afford(account, **arguments)
    assert (list(ledger.entries()), len(ledger.accounts())) == (before, 1)


@pytest.mark.parametrize("expires_in", [1e303, 10**400], ids=["1e303", "10**400"])
def test_a_wait_beyond_all_numbers_is_refused(ledger, expires_in):
    with pytest.raises(InvalidPeriod):
        ledger.hold("alice", 1, expires_in=expires_in)


def test_no_hold_of_tokens_keeps_others_from_holding(ledger):
    for _ in range(2):
        with suppress(InvalidAmount):
            ledger.hold("alice", 1, tokens=2**62)
    ledger.hold("alice", 1)


@pytest.mark.parametrize("account", ["", "a\0", "\ud800", None, 7, "x" * 501])
def test_a_bad_account_is_refused(ledger, account):
    for call in (
        lambda: ledger.hold(account, 1),
        lambda: ledger.can_afford(account, 1),
        lambda: ledger.holds(account),
        lambda: ledger.freeze(account),
        lambda: ledger.unfreeze(account),
        lambda: ledger.set_parent(account, "team"),
    ):
        with pytest.raises(InvalidName, match=r"^account .*; pass "):
            call()
    assert len(ledger.accounts()) == 1


@pytest.mark.parametrize("given", [-1, True, 1.5, "9", None])
def test_bad_default_output_tokens_are_refused_before_a_file_is_made(tmp_path, given):
    with pytest.raises(InvalidAmount, match=r"^default_output_tokens "):
        Ledger(tmp_path / "new.db", default_output_tokens=given)
    assert list(tmp_path.iterdir()) == []


def test_without_any_budget_a_hold_is_refused(ledger):
    for account in ("bob", "carol"):
        with pytest.raises(UnknownAccount, match=f"{account!r} of project 'default' has no budget"):
            ledger.hold(account, 1)
        with pytest.raises(UnknownAccount):
            ledger.can_afford(account, 1)
        with pytest.warns(UnknownAccountWarning):
            ledger.charge("carol", cost=1) if account == "bob" else ledger.charge("dora", cost=1)
    assert [account.name for account in ledger.accounts()] == ["alice", "carol", "dora"]
    ledger.remove_budget("alice", "usd/month")
    with pytest.raises(UnknownAccount):
        ledger.hold("alice", 1)


def test_can_afford_says_of_an_unknown_account_what_hold_says(ledger):
    said = []
    for call in (ledger.hold, ledger.can_afford):
        with pytest.raises(UnknownAccount) as caught:
            call("bob", 1)
        said.append((str(caught.value), caught.value.account))
    assert said[0] == said[1]


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


def test_an_answer_nobody_can_read_is_recorded_without_a_price(ledger):
    with pytest.warns(UnpricedWarning), ledger.hold("alice", 4, model="gpt-4o") as hold:
        hold.settle({"answer": 42})
    assert (hold.closed_by.model, hold.closed_by.cost_pico) == ("gpt-4o", None)
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
    granted(ledger, "alice", "1.50", model="gpt-4o-2024-08-06")  # another model, for a budget
    granted(ledger, "alice", "1.50")
    refusal = refused(ledger, "alice", "0.51", model="gpt-4o")
    assert (refusal.budget.name, refusal.held) == ("usd/gpt-4o", Decimal("1.50"))
    hold.settle(RESPONSE | {"model": "gpt-4o-2024-08-06"})
    (status,) = [one for one in ledger.balance("alice").budgets if one.budget.model]
    assert (status.posted, status.held) == (RESPONSE_COST, 0)


def test_an_unknown_price_is_recorded_as_unpriced(ledger):
    hold = ledger.hold("alice", 1, model=NOBODY)
    with pytest.warns(UnpricedWarning, match=NOBODY) as caught:
        entry = hold.settle(usage=Usage(10, 5))
    assert [warning.filename for warning in caught] == [__file__]
    assert (entry.cost, entry.price_source, hold.closed_by) == (None, "unpriced", entry)
    assert (ledger.balance("alice").unpriced, stand(ledger)) == (1, (0, 0, 10))
    ledger.adjust(entry, "0.25", reason="as billed")
    assert (ledger.balance("alice").unpriced, stand(ledger)[0]) == (0, Decimal("0.25"))


def test_a_settle_stands_even_where_warnings_are_errors(ledger):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnpricedWarning), ledger.hold("alice", 1, model=NOBODY) as hold:
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


# -- deadlines ------------------------------------------------------------------------------


def test_a_hold_counts_until_the_instant_of_its_deadline(ledger, clock):
    hold = ledger.hold("alice", 10, expires_in=60)
    clock.advance(seconds=60, microseconds=-1)
    assert stand(ledger) == (0, 10, 0)
    refused(ledger, "alice", "0.01")
    assert [one.id for one in ledger.holds("alice")] == [hold.id]
    clock.advance(INSTANT)
    assert stand(ledger) == (0, 0, 10)
    assert ledger.holds("alice") == []
    other = granted(ledger, "alice", 10)
    assert kinds(ledger) == ["budget", "hold", "expire", "hold"]
    assert stand(ledger) == (0, 10, 0)
    other.release()


@pytest.mark.parametrize(
    "expires_in",
    [1e-6, 0.5, 60, timedelta(seconds=2.5), timedelta(days=366), 366 * 86400],
    ids=repr,
)
def test_deadlines_there_may_be(ledger, clock, expires_in):
    hold = ledger.hold("alice", 1, expires_in=expires_in)
    span = expires_in if isinstance(expires_in, timedelta) else timedelta(seconds=expires_in)
    assert hold.expires_at == START + span
    clock.advance(span - INSTANT)
    assert stand(ledger)[1] == 1
    clock.advance(INSTANT)
    assert stand(ledger)[1] == 0


@pytest.mark.parametrize("noticed", [False, True])
def test_settled_after_the_deadline(ledger, clock, noticed):
    hold = ledger.hold("alice", 4, expires_in=60)
    clock.advance(seconds=60)
    if noticed:
        ledger.hold("alice", 1).release()
        assert kinds(ledger)[2] == "expire"
    hold.settle(3)
    assert stand(ledger) == (3, 0, 7)
    with pytest.raises(HoldAlreadyClosed):
        hold.settle(3)


def test_a_deadline_is_moved(ledger, clock):
    hold = ledger.hold("alice", 4, expires_in=60)
    clock.advance(seconds=50)
    assert hold.extend(timedelta(seconds=30)) == START + timedelta(seconds=80)
    assert hold.expires_at == START + timedelta(seconds=80)
    clock.advance(seconds=30, microseconds=-1)
    assert stand(ledger)[1] == 4
    hold.extend(1e-6)  # to earlier, too
    clock.advance(INSTANT)
    assert stand(ledger)[1] == 0


@pytest.mark.parametrize("noticed", [False, True])
def test_no_deadline_is_moved_once_it_passed(ledger, clock, noticed):
    hold = ledger.hold("alice", 10, expires_in=60)
    clock.advance(seconds=60)
    if noticed:
        ledger.hold("alice", 10)
    with pytest.raises(HoldAlreadyClosed, match="expired") as caught:
        hold.extend(60)
    assert (caught.value.hold_id, caught.value.entry and caught.value.entry.kind) == (
        hold.id, "expire" if noticed else None,
    )  # fmt: skip
    assert stand(ledger)[1] == (10 if noticed else 0)


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), True, None, timedelta(days=367)])
def test_a_bad_deadline_leaves_the_hold_as_it_was(ledger, expires_in):
    hold = ledger.hold("alice", 4, expires_in=60)
    with pytest.raises(InvalidPeriod, match=r"^expires_in "):
        hold.extend(expires_in)
    assert (hold.expires_at, kinds(ledger)) == (START + timedelta(seconds=60), ["budget", "hold"])


def test_deadlines_go_by_the_clock_even_when_it_steps_back(ledger, clock):
    ledger.charge("alice", cost=1)
    clock.advance(hours=-1)
    hold = ledger.hold("alice", 4, expires_in=60)
    assert (hold.entry.recorded_at, hold.expires_at) == (
        START, START - timedelta(minutes=59),
    )  # fmt: skip
    assert stand(ledger) == (1, 4, 5)
    clock.advance(seconds=60)
    assert stand(ledger) == (1, 0, 9)


# -- keys -----------------------------------------------------------------------------------


def test_the_same_key_is_the_same_hold_while_it_is_open(ledger, opened, clock):
    hold = ledger.hold("alice", 4, model="m", key="k", tags={"try": 1})
    clock.advance(seconds=10)
    again = opened().hold("alice", "4.00", model="m", key="k", tags={"try": 2})
    assert (again.id, again.expires_at, again.entry) == (hold.id, hold.expires_at, hold.entry)
    hold.extend(3600)
    assert ledger.hold("alice", 4, model="m", key="k").expires_at == hold.expires_at
    assert (kinds(ledger), stand(ledger)[1]) == (["budget", "hold", "extend"], 4)
    again.settle(1)
    with pytest.raises(HoldAlreadyClosed):
        hold.settle(1)


def test_the_same_prompt_and_key_are_the_same_hold(ledger):
    hold = ledger.hold("alice", **HELLO, key="k")
    again = ledger.hold("alice", **HELLO, key="k")
    assert (again.id, again.bounded) == (hold.id, False)
    with pytest.raises(IdempotencyConflict):
        ledger.hold("alice", **HELLO, max_output_tokens=400, key="k")


@pytest.mark.parametrize("end", ["settle", "release", "expire", "deadline"])
def test_the_key_of_a_hold_that_is_over(ledger, opened, clock, end):
    hold = ledger.hold("alice", 4, key="k", expires_in=60)
    if end == "settle":
        hold.settle(1)
    elif end == "release":
        hold.release()
    else:
        clock.advance(seconds=60)
        if end == "expire":
            ledger.hold("alice", 1)
    before = list(ledger.entries())
    ledger.close()
    with pytest.raises(HoldAlreadyClosed, match="under another key") as caught:
        opened().hold("alice", 4, key="k")
    assert caught.value.hold_id == hold.id
    assert (caught.value.entry and caught.value.entry.kind) == (None if end == "deadline" else end)
    reopened = opened()
    assert list(reopened.entries()) == before


def test_a_key_stands_for_one_content(ledger):
    ledger.set_budget("bob", 9)
    hold = ledger.hold("alice", 4, model="m", key="k")
    charge = ledger.charge("alice", cost=4, model="m", key="c")
    before = list(ledger.entries())
    for conflicting, entry in (
        (lambda: ledger.hold("alice", 5, model="m", key="k"), hold.entry),
        (lambda: ledger.hold("alice", 4, model="n", key="k"), hold.entry),
        (lambda: ledger.hold("alice", 4, key="k"), hold.entry),
        (lambda: ledger.hold("alice", 4, tokens=1, model="m", key="k"), hold.entry),
        (lambda: ledger.hold("bob", 4, model="m", key="k"), hold.entry),
        (lambda: ledger.charge("alice", cost=4, model="m", key="k"), hold.entry),
        (lambda: ledger.hold("alice", 4, model="m", key="c"), charge),
    ):
        with pytest.raises(IdempotencyConflict, match="use another key") as caught:
            conflicting()
        assert (caught.value.key, caught.value.entry) == (entry.idempotency_key, entry)
    assert list(ledger.entries()) == before


def test_a_refusal_uses_no_key(ledger):
    hold = ledger.hold("alice", 10)
    refused(ledger, "alice", 4, key="k")
    hold.release()
    assert ledger.hold("alice", 4, key="k").amount == 4
    ledger.freeze("alice")
    with pytest.raises(AccountFrozen):
        ledger.hold("alice", 1, key="f")
    ledger.unfreeze("alice")
    assert ledger.hold("alice", 2, key="f").amount == 2


def test_an_open_hold_is_found_by_its_key_even_where_nothing_more_is_granted(ledger):
    hold = ledger.hold("alice", 10, key="k")
    ledger.freeze("alice")
    assert ledger.hold("alice", 10, key="k").id == hold.id


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
        "available 2.25; retry in 0:30:00, ask for less, or raise the limit"
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
    granted(ledger, "alice", 0).settle(0)
    assert refused(ledger, "alice", "0.000000000001").budget.name == "usd/month"
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
    ledger.set_budget("alice", 5)
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
    }


# -- frozen ---------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", ["alice", "team", "*"])
def test_a_frozen_account_takes_no_holds_and_records_costs(ledger, frozen):
    ledger.set_budget("*", 100)
    ledger.set_budget("other", 100)
    ledger.set_parent("alice", "team")
    hold = ledger.hold("alice", 4)
    ledger.freeze(frozen, reason="under review")
    for amount in (1, 0):
        with pytest.raises(AccountFrozen) as caught:
            ledger.hold("alice", amount)
        assert not ledger.can_afford("alice", amount)
    error = caught.value
    assert (error.account, error.project) == (frozen, "default")
    assert str(error) == (
        f"account {frozen!r} is frozen (under review); unfreeze {frozen!r} to allow calls again"
    )
    assert ledger.can_afford("other", 1) == (frozen != "*")
    hold.extend(60)
    hold.settle(2)
    ledger.charge("alice", cost=1)
    assert stand(ledger, "*")[0] == 3
    ledger.unfreeze(frozen)
    granted(ledger, "alice", 1)


def test_freezing_twice_writes_one_row(ledger):
    for _ in range(2):
        ledger.freeze("alice")
    for _ in range(2):
        ledger.unfreeze("alice", reason="paid")
    assert kinds(ledger) == ["budget", "freeze", "unfreeze"]
    assert list(ledger.entries("alice"))[-1].note == "paid"
    for call in (ledger.freeze, ledger.unfreeze):
        with pytest.raises(UnknownAccount):
            call("nobody")
        with pytest.raises(InvalidName, match=r"^reason "):
            call("alice", reason="")


def test_the_lowest_frozen_account_is_told(ledger):
    ledger.set_parent("alice", "team")
    ledger.freeze("team")
    ledger.freeze("alice")
    with pytest.raises(AccountFrozen, match="'alice' is frozen; unfreeze 'alice'"):
        ledger.hold("alice", 1)


# -- parents --------------------------------------------------------------------------------


@pytest.fixture
def family(ledger):
    """alice (10 a month) and bob under team (20), under org (30), in a project (40)."""
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        ledger.set_budget(name, limit)
    ledger.set_parent("team", "org")
    for name in ("alice", "bob"):
        ledger.set_parent(name, "team")
    return ledger


def test_what_is_held_and_spent_counts_above_once(family, database):
    hold = granted(family, "alice", 4, tags={"a": 1}, model="m")
    granted(family, "bob", 3)
    assert stand(family) == (0, 4, 6)
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        assert stand(family, name) == (0, 7, limit - 7)
        assert [one.account for one in family.holds(name)] == ["alice", "bob"]
    entry = hold.settle("1.50")
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        assert stand(family, name) == (Decimal("1.50"), 3, limit - Decimal("4.50"))
        assert family.model_costs(name) == {"m": Decimal("1.50")}
        (row,) = [one for one in family.entries(name) if one.kind == "settle"]
        assert (row.origin_id, row.account, row.cost) == (entry.id, name, entry.cost)
        assert (row.hold_id, row.tags, row.requests) == (hold.id, {"a": 1}, 1)
    assert [one for one in family.entries() if one.kind == "settle"] == [entry]
    assert database.sql("SELECT account, cost_usd FROM spend") == [("alice", 1.5)]


def test_a_release_frees_all_levels(family):
    with family.hold("alice", 4):
        pass
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {0}


def test_a_deadline_is_moved_on_all_levels(family, clock):
    hold = family.hold("alice", 4, expires_in=60)
    hold.extend(120)
    clock.advance(seconds=119)
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {4}
    clock.advance(seconds=1)
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {0}
    family.hold("bob", 20)
    assert kinds(family)[-1] == "expire"  # written down for alice by her sibling's hold


def test_an_account_moves_with_its_holds_left_behind(family):
    family.set_budget("crew", 5)
    hold = family.hold("alice", 4)
    family.set_parent("alice", "crew")
    assert (stand(family, "team")[1], stand(family, "crew")[1]) == (4, 0)
    family.hold("alice", 3)
    assert (stand(family, "team")[1], stand(family, "crew")[1], stand(family)[1]) == (4, 3, 7)
    assert stand(family, "*")[1] == 7
    hold.settle(2)  # spent where it was granted
    assert stand(family, "team") == (2, 0, 18)
    assert stand(family, "crew") == (0, 3, 2)
    family.set_parent("alice", None)
    family.charge("alice", cost=1)
    assert (stand(family, "crew")[0], stand(family)[0], stand(family, "*")[0]) == (0, 3, 3)
    assert family.verify().ok


def test_a_correction_goes_where_the_cost_went(family):
    family.set_budget("crew", 5)
    entry = family.charge("alice", cost=4)
    family.set_parent("alice", "crew")
    family.adjust(entry, -4, reason="credit")
    assert stand(family, "crew") == (0, 0, 5)
    assert stand(family, "team")[0] == 0


def test_a_project_account_opened_later_counts_from_then(ledger):
    hold = ledger.hold("alice", 4)
    ledger.charge("alice", cost=1)
    ledger.set_budget("*", 5)
    assert stand(ledger, "*") == (0, 0, 5)
    hold.settle(2)
    assert stand(ledger, "*") == (2, 0, 3)


@pytest.mark.parametrize(
    ("account", "parent"),
    [("team", "alice"), ("team", "team"), ("org", "alice"), ("org", "bob"), ("x", "x")],
)
def test_no_cycles(family, account, parent):
    before = list(family.entries()), family.accounts()
    with pytest.raises(InvalidInput, match="cycle"):
        family.set_parent(account, parent)
    assert (list(family.entries()), family.accounts()) == before


@pytest.mark.parametrize(("account", "parent"), [("*", "team"), ("alice", "*"), ("*", None)])
def test_the_project_has_no_parent_and_is_nobodys(family, account, parent):
    with pytest.raises(InvalidInput, match="'\\*' is the project itself"):
        family.set_parent(account, parent)


@pytest.mark.parametrize("parent", ["", "\ud800", 7])
def test_a_bad_parent_is_refused(ledger, parent):
    with pytest.raises(InvalidName, match=r"^parent "):
        ledger.set_parent("alice", parent)
    assert len(ledger.accounts()) == 1


def test_the_parent_an_account_has_already_writes_no_row(family):
    before = list(family.entries())
    family.set_parent("alice", "team")
    family.set_parent("org", None)
    assert list(family.entries()) == before


def test_holds_on_the_project_itself(family):
    granted(family, "*", 40)
    assert stand(family, "*") == (0, 40, 0)
    assert refused(family, "alice", 1).account == "*"


# -- looking and not deciding ---------------------------------------------------------------


def test_holds_that_others_left_behind(ledger, opened):
    first = ledger.hold("alice", 4, model="m", tags={"a": 1}, expires_in=60)
    second = ledger.hold("alice", 1)
    first.extend(90)
    found = opened().holds("alice")
    assert [one.id for one in found] == [first.id, second.id]
    assert (found[0].amount, found[0].model, found[0].expires_at) == (4, "m", first.expires_at)
    found[0].release()
    assert (stand(ledger)[1], [one.id for one in ledger.holds("alice")]) == (1, [second.id])
    assert found[1].settle("0.5").cost == Decimal("0.5")
    with pytest.raises(HoldAlreadyClosed):
        second.settle("0.5")
    assert ledger.holds("alice") == []
    with pytest.raises(UnknownAccount):
        ledger.holds("nobody")


def test_a_past_balance_leaves_out_what_is_held(ledger, clock):
    ledger.charge("alice", cost=1)
    ledger.hold("alice", 4)
    clock.advance(minutes=5)
    for past in ({"at": START - timedelta(days=31)}, {"as_of": START}):
        balance = ledger.balance("alice", **past)
        assert balance.held == balance.budgets[0].held == 0
    assert ledger.balance("alice", at=START).held == 4  # the same window is active still
    assert stand(ledger) == (1, 4, 5)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=1)])
def test_a_balance_at_a_moment_not_past_minds_what_is_held(ledger, clock, ahead):
    ledger.hold("alice", 4)
    balance = ledger.balance("alice", at=clock.now + ahead)
    assert (balance.held, balance.available) == (4, 6)


def test_what_is_held_without_a_budget_of_its_own(family):
    family.hold("bob", 3)
    balance = family.balance("bob")
    assert (balance.held, balance.limit, balance.available) == (3, None, None)


def test_a_ledger_that_does_not_enforce(opened):
    ledger = opened(enforce=False)
    ledger.set_budget("alice", 10)
    assert ledger.hold("alice", 8).refusal is None
    hold = ledger.hold("alice", **HELLO, max_output_tokens=300_000)
    error = hold.refusal
    assert (type(error), error.available, error.requested) == (
        BudgetExceededError, 2, Decimal("3.00002"),
    )  # fmt: skip
    assert error.largest_output == 199_998
    assert hold.entry.note == f"would have been refused: {error}"
    assert "least_available" not in error.__dict__
    ledger.freeze("alice", reason="x" * 500)
    hold = ledger.hold("alice", 0)
    assert isinstance(hold.refusal, AccountFrozen)
    assert (len(hold.entry.note), hold.entry.note[:23]) == (500, "would have been refused")
    assert stand(ledger) == (0, Decimal("11.00002"), Decimal("-1.00002"))
    hold.settle(1)
    ledger.unfreeze("alice")
    refused(opened(), "alice", 1)


def test_projects_do_not_see_each_others_holds(opened):
    one, two = opened(project="one"), opened(project="two")
    for ledger in (one, two):
        ledger.set_budget("alice", 10)
        ledger.set_budget("*", 10)
    first = one.hold("alice", 10, key="k")
    second = granted(two, "alice", 10, key="k")
    assert first.id != second.id
    assert refused(one, "alice", 1).project == "one"
    one.freeze("*")
    second.release()
    granted(two, "alice", 10)
    assert [hold.id for hold in one.holds("*")] == [first.id]


def test_names_in_any_script(opened):
    ledger = opened(project="проект")
    ledger.set_budget("команда", 5, name="预算")
    ledger.set_parent("张伟", "команда")
    hold = ledger.hold("张伟", 4, model="modèle", key="ключ", tags={"名": "值"})
    error = refused(ledger, "张伟", 2)
    assert "budget '预算' of 'команда' refuses 2.00 USD" in str(error)
    assert ledger.hold("张伟", 4, model="modèle", key="ключ").id == hold.id
    assert hold.settle(1).tags == {"名": "值"}
    assert ledger.model_costs("команда") == {"modèle": 1}


def test_the_manager_sees_what_is_settled(opened):
    ledger = opened(project="my-app")
    manager = BudgetManager("my-app", ledger=ledger)
    manager.create_budget(10, "alice")
    hold = ledger.hold("alice", 4, model="gpt-4o")
    assert manager.get_current_cost("alice") == 0
    hold.settle(RESPONSE)
    assert manager.get_current_cost("alice") == 0.0045
    assert manager.get_model_cost("alice") == {"gpt-4o": 0.0045}
    assert manager.user_dict["alice"]["total_budget"] == 10


# -- streams --------------------------------------------------------------------------------


def said(text):
    return {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": text}}]}


OPENAI = [
    said("Hello"),
    said(" world"),
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [], "usage": RESPONSE["usage"]},
]
ANTHROPIC = [
    {
        "type": "message_start",
        "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 100}},
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 10}},
    {"type": "message_stop"},
]


class Source:
    """A stream as the clients have it, which notes that it was closed."""

    def __init__(self, *chunks, fails=None, on_close=None):
        self.chunks, self.fails, self.on_close = iter(chunks), fails, on_close
        self.closed = 0

    def __iter__(self):
        yield from self.chunks
        if self.fails:
            raise self.fails

    def close(self):
        self.closed += 1
        if self.on_close:
            raise self.on_close


@pytest.mark.parametrize(
    ("chunks", "model", "cost"),
    [
        (OPENAI, "gpt-4o", "0.0045"),
        (ANTHROPIC, "claude-sonnet-4-5", "0.00045"),  # 3.00 and 15.00 a million
    ],
)
def test_a_stream_is_settled_at_its_end(ledger, chunks, model, cost):
    source = Source(*chunks)
    with ledger.hold("alice", 4, model=model, tags={"a": 1}) as hold:
        assert list(hold.stream(source)) == chunks
        assert source.closed == 1
        assert hold.closed_by.cost == Decimal(cost)
    entry = hold.closed_by
    assert (entry.kind, entry.model, entry.tags, entry.note) == ("settle", model, {"a": 1}, None)
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_a_stream_left_early_is_estimated(ledger):
    # 8 tokens in by the hold's estimate, "Hello" out: one token.
    source = Source(*OPENAI)
    hold = ledger.hold("alice", **HELLO, max_output_tokens=400)
    for _ in hold.stream(source):
        break
    gc.collect()
    entry = hold.closed_by
    assert (entry.input_tokens, entry.output_tokens) == (8, 1)
    assert entry.cost == Decimal("0.00003")
    assert entry.note.startswith("estimated: ")
    assert (source.closed, stand(ledger)[1]) == (1, 0)


def test_a_stream_that_is_closed(ledger):
    hold = ledger.hold("alice", 4, model="claude-sonnet-4-5")
    source = Source(*ANTHROPIC)
    chunks = hold.stream(source)
    next(chunks), next(chunks)
    chunks.close()
    assert (source.closed, hold.closed_by.input_tokens) == (1, 100)  # as it told at its start
    assert hold.closed_by.output_tokens > 0
    chunks.close()
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_leaving_the_block_ends_the_stream(ledger):
    source = Source(*OPENAI)
    hold = ledger.hold("alice", 4, model="gpt-4o")
    chunks = hold.stream(source)
    with pytest.raises(RuntimeError), hold:
        raise RuntimeError(next(chunks))
    assert (source.closed, hold.closed_by.kind, hold.closed_by.output_tokens) == (1, "settle", 1)
    assert list(chunks) == []


def test_a_stream_never_read_is_not_released(ledger):
    with (
        pytest.warns(UnrecordedWarning, match="settle it with the cost"),
        ledger.hold("alice", 4) as hold,
    ):
        chunks = hold.stream(Source(*OPENAI))
    assert list(chunks) == []
    assert kinds(ledger) == ["budget", "hold"]  # the call was made, and may have been paid for


@pytest.mark.parametrize("within", [False, True])
def test_a_stream_that_breaks_before_its_first_chunk(ledger, within):
    source = Source(fails=ConnectionError("reset"))
    hold = ledger.hold("alice", 4)
    if within:
        with pytest.raises(ConnectionError), hold:
            list(hold.stream(source))
        assert kinds(ledger) == ["budget", "hold", "release"]
    else:
        with pytest.raises(ConnectionError):
            list(hold.stream(source))
        assert (kinds(ledger), stand(ledger)[1]) == (["budget", "hold"], 4)
        assert list(hold.stream(OPENAI)) == OPENAI  # the caller's second try
        assert stand(ledger)[:2] == (RESPONSE_COST, 0)
    assert source.closed == 1


def test_a_stream_that_breaks_in_the_middle(ledger):
    source = Source(*OPENAI[:2], fails=ConnectionError("reset"))
    seen = []
    with pytest.raises(ConnectionError, match="reset"), ledger.hold("alice", **HELLO) as hold:
        seen += [chunk for chunk in hold.stream(source)]  # noqa: C416
    entry = hold.closed_by
    # "Hello world" is two tokens out.
    assert (entry.kind, entry.input_tokens, entry.output_tokens) == ("settle", 8, 2)
    assert entry.cost == Decimal("0.00004")


@pytest.mark.parametrize("error", [OSError("reset"), KeyboardInterrupt()])
def test_a_source_that_cannot_be_closed_still_settles(ledger, error):
    source = Source(*OPENAI, on_close=error)
    with pytest.raises(type(error)), ledger.hold("alice", 4) as hold:
        list(hold.stream(source))
    assert (kinds(ledger), hold.closed_by.cost) == (["budget", "hold", "settle"], RESPONSE_COST)


def test_a_store_that_fails_at_the_end_of_a_stream_costs_no_chunks(ledger, store_fails):
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    with pytest.warns(UnrecordedWarning, match=r"could not be settled .*settle\(\) again"):
        assert list(hold.stream(OPENAI)) == OPENAI
    store_fails(ledger, False)
    assert hold.settle().cost == RESPONSE_COST


def test_a_store_that_failed_at_the_end_of_a_stream_is_asked_again_on_leaving(ledger, store_fails):
    with ledger.hold("alice", 4) as hold:
        store_fails(ledger)
        with pytest.warns(UnrecordedWarning):
            list(hold.stream(OPENAI))
        store_fails(ledger, False)
    assert (kinds(ledger), stand(ledger)[0]) == (["budget", "hold", "settle"], RESPONSE_COST)


def test_where_warnings_are_errors_a_stream_without_a_price_ends_as_it_would(ledger, caplog):
    warnings.simplefilter("error")
    chunks = [chunk | {"model": "nobody-prices-it"} for chunk in OPENAI]
    with ledger.hold("alice", 4) as hold:
        assert list(hold.stream(chunks)) == chunks
    assert (hold.closed_by.kind, hold.closed_by.cost) == ("settle", None)
    assert "recorded without a price" in caplog.text


def test_where_warnings_are_errors_the_providers_error_stays(ledger, store_fails, caplog):
    warnings.simplefilter("error")
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    with pytest.raises(ConnectionError, match="reset"), hold:
        list(hold.stream(Source(*OPENAI, fails=ConnectionError("reset"))))
    assert "could not be settled" in caplog.text


def test_an_interrupt_at_the_end_of_a_stream_loses_no_cost(ledger, monkeypatch):
    def interrupted(operation):
        monkeypatch.undo()
        raise KeyboardInterrupt

    hold = ledger.hold("alice", 4)
    monkeypatch.setattr(ledger._journal.store, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), hold:
        list(hold.stream(OPENAI))
    assert stand(ledger)[0] == RESPONSE_COST


def test_settled_by_hand_within_the_stream(ledger):
    with ledger.hold("alice", 4) as hold:
        for chunk in hold.stream(OPENAI):
            if chunk["choices"] == []:
                hold.settle(chunk, model="gpt-4o")
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_a_second_stream_is_not_lost_without_a_word(ledger):
    hold = ledger.hold("alice", 4)
    list(hold.stream(OPENAI))
    with pytest.warns(UnrecordedWarning):
        list(hold.stream(OPENAI))


def test_a_stream_that_goes_on_after_the_release_is_settled(ledger):
    hold = ledger.hold("alice", 4)
    chunks = hold.stream(OPENAI)
    next(chunks)
    hold.release()
    assert len(list(chunks)) == 3
    assert stand(ledger)[0] == RESPONSE_COST


def test_a_stream_of_a_hold_that_somebody_settled(ledger, opened):
    hold = ledger.hold("alice", 4)
    chunks = hold.stream(OPENAI)
    next(chunks)
    opened().holds("alice")[0].settle(1)
    with pytest.warns(UnrecordedWarning, match="was settled by entry 3"):
        assert len(list(chunks)) == 3
    assert stand(ledger) == (1, 0, 9)


def test_a_stream_after_the_deadline_is_settled(ledger, clock):
    hold = ledger.hold("alice", 4, expires_in=60)
    chunks = hold.stream(OPENAI)
    next(chunks)
    clock.advance(minutes=5)
    ledger.hold("alice", 1).release()
    list(chunks)
    assert stand(ledger)[:2] == (RESPONSE_COST, 0)


# -- when a commit fails --------------------------------------------------------------------


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


def test_a_rolling_window_that_was_shifted_waits_for_what_is_held_only(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=1))
    ledger.charge("alice", cost=10)
    clock.advance(minutes=10)
    ledger.shift_window("alice")
    ledger.hold("alice", 8, expires_in=60)
    assert refused(ledger, "alice", 8).retry_after == 60
