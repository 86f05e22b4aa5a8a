"""Taking a hold: what it sets aside, until when, and under which key."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from hold_checks import asked, granted, kinds, refused, stand
from samples import HELLO, START, UNLISTED

from budgetledger import Ledger
from budgetledger.errors import (
    AccountFrozen,
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidAmount,
    InvalidInput,
    InvalidName,
    InvalidPeriod,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedModel,
)

INSTANT = timedelta(microseconds=1)


# -- what a hold is -------------------------------------------------------------------------


def test_a_hold_sets_money_aside_and_spends_none(ledger, clock):
    hold = granted(ledger, "alice", "4.00")
    assert stand(ledger) == (0, 4, 6)
    assert (hold.account, hold.amount, hold.tokens, hold.model) == ("alice", 4, 1, None)
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
    least = Decimal(10) ** -12  # USD of an unknown amount
    assert granted(ledger, "alice", tokens=400).amount == least
    assert stand(ledger)[1] == Decimal("0.50") + least
    assert refused(ledger, "alice", tokens=1).budget.name == "tokens"
    granted(ledger, "alice", "0.50", tokens=0)
    assert refused(ledger, "alice", "0.50").requested == 1  # of unknown tokens


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
    ({"model": UNLISTED, "text": "hello"}, UnpricedModel),
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
