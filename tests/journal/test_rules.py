"""The heart: the row that follows, worked out by hand."""

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.entries import Budget
from budgetledger.journal.rows.rules import (
    Check,
    Crossed,
    Draft,
    Head,
    Need,
    crossings,
    follow,
    genesis,
    next_time,
    refusing,
)
from budgetledger.money import PICO, Sum
from budgetledger.windows import Window, make_period

CENT = PICO // 100
NO_MODEL = (None, None, None, None)


def totals_after(head, draft):
    return follow(head, 1, draft)[0]


def hash_after(before, at_us, draft, detail=()):
    return follow(Head(before), at_us, draft, detail)[1]


@pytest.mark.parametrize(
    ("last_us", "now_us", "next_us"),
    [
        (1000, 1001, 1001),
        (1000, 1000, 1000),  # two rows may share a moment
        (1000, 999, 1000),  # a clock that steps back does not turn the account back
        (1000, -5, 1000),
        (0, 7, 7),
    ],
)
def test_time_never_decreases(last_us, now_us, next_us):
    assert next_time(Head(b"", last_us), now_us) == next_us


@pytest.mark.parametrize(
    ("usd", "pico", "cost_pico", "total_usd", "total_pico"),
    [
        (0, 0, 0, 0, 0),
        (0, 0, None, 0, 0),  # not priced: counted as nothing, not as $0
        (0, 0, 250 * CENT, 2, 50 * CENT),
        (1, PICO - 1, 1, 2, 0),
        (1, PICO - 1, 2, 2, 1),
        (2, 0, -1, 1, PICO - 1),
        (0, 0, -1, -1, PICO - 1),  # minus a picodollar: a dollar less, and nearly one more
        (-1, PICO - 1, 1, 0, 0),
        (-3, 25 * CENT, -50 * CENT, -4, 75 * CENT),
        (0, 50 * CENT, -250 * CENT, -2, 0),
        (9_223_372, 36_854_775_807, 2**63 - 1, 18_446_744, 73_709_551_614),
        (10**18, PICO - 1, 1, 10**18 + 1, 0),
    ],
)
def test_totals_carry_over_the_dollar(usd, pico, cost_pico, total_usd, total_pico):
    draft = Draft("adjustment", cost_pico=cost_pico)
    after = totals_after(Head(b"", 0, usd, pico), draft)
    assert after == (total_usd, total_pico, 0, 0, *NO_MODEL)
    head = Head(b"", 0, 5, 5, 0, 0, usd, pico, 0, 0)
    after = totals_after(head, draft._replace(model="m"))
    assert after[4:] == (total_usd, total_pico, 0, 0)


def test_totals_of_account_and_model_go_on_apart():
    head = Head(b"", 0, 7, 1, 700, 70, 2, 2, 20, 2)
    charge = Draft("charge", "m", 3 * PICO + 9, input_tokens=40, output_tokens=2, requests=1)
    assert totals_after(head, charge) == (10, 10, 742, 71, 5, 11, 62, 3)
    unpriced = Draft("charge", "m", None, input_tokens=5, requests=1)
    assert totals_after(head, unpriced) == (7, 1, 705, 71, 2, 2, 25, 3)
    pricing = Draft("adjustment", "m", PICO)
    assert totals_after(head, pricing) == (8, 1, 700, 70, 3, 2, 20, 2)
    assert totals_after(head, Draft("shift")) == (7, 1, 700, 70, *NO_MODEL)


def test_the_first_row_of_a_model_starts_its_totals():
    head = Head(b"", 0, usd=7, pico=1, tokens=700, requests=70)
    charge = Draft("charge", "m", PICO, input_tokens=40, requests=1)
    assert totals_after(head, charge) == (8, 1, 740, 71, 1, 0, 40, 1)


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=30))
def test_totals_are_the_plain_sum(costs):
    head = Head(b"")
    for cost_pico in costs:
        usd, pico, *_ = totals_after(head, Draft("adjustment", cost_pico=cost_pico))
        head = head._replace(usd=usd, pico=pico)
        assert 0 <= head.pico < PICO
    assert Sum(head.usd, head.pico).total_pico == sum(costs)


# The chain, as anyone can recompute it from the file: sha256 over the hash before and the text
# written out here. These bytes are what released ledgers hold, so they never change.
GENESIS = "01313b79721a8801ead131f786945e6ccd0ccd097828d374fa6165242041cf50"
CHARGED = "f8980d47a1271462148b7c4a8b681bf492717c0131f9a1f4d7d0388ac30e362c"


def test_the_chain_starts_from_the_accounts_own_row():
    head = genesis("default", "alice", 1)
    assert head == Head(bytes.fromhex(GENESIS))
    assert head[1:6] == (0, 0, 0, 0, 0)
    assert head.hash == sha256(b"('default', 'alice', 1)").digest()
    assert genesis("p", "张", 7).hash == sha256(rb"('p', '\u5f20', 7)").digest()
    assert genesis("a', 'b", "c", 1).hash != genesis("a", "b', 'c", 1).hash


def test_the_hash_of_a_charge():
    charge = Draft(
        kind="charge",
        model="gpt-4o",
        cost_pico=4 * PICO,
        price_source="given",
        input_tokens=1000,
        output_tokens=200,
        requests=1,
        usage_json='{"input_tokens":1000,"output_tokens":200}',
        idempotency_key="inv-3",
    )
    found = hash_after(bytes.fromhex(GENESIS), 1_769_853_600_000_000, charge)
    assert found.hex() == CHARGED
    evidence = (
        b"(1769853600000000, 'charge', 'gpt-4o', 4000000000000, 'given', None, 1000, 200, 1, "
        b"""'{"input_tokens":1000,"output_tokens":200}', None, None, None, None, 'inv-3')"""
    )
    assert found == sha256(bytes.fromhex(GENESIS) + evidence).digest()


def test_the_hash_covers_the_detail_row():
    found = hash_after(bytes.fromhex(CHARGED), 5, Draft("shift", note="new year"), ("usd", 5))
    evidence = (
        b"(5, 'shift', None, None, None, None, 0, 0, 0, None, None, None, 'new year', None, None, "
        b"'usd', 5)"
    )
    assert found == sha256(bytes.fromhex(CHARGED) + evidence).digest()


@pytest.mark.parametrize("field", Draft._fields)
def test_the_hash_covers_every_field(field):
    draft = Draft("charge", "m", 1)
    other = draft._replace(**{field: 99})
    assert hash_after(b"", 1, draft) != hash_after(b"", 1, other)


def test_the_hash_covers_the_time_and_the_row_before():
    hashes = {hash_after(before, at, Draft("shift")) for before in (b"a", b"b") for at in (1, 2)}
    assert len(hashes) == 4


# -- whether a hold is granted ---------------------------------------------------------------


def check(limit, posted=0, held=0, *, measure="usd", per=None, window=(0, None), **more):
    """A budget, and what of it is used, in whole dollars or counts."""
    period = make_period(per)
    name = more.pop("name", measure)
    budget = Budget("alice", name, measure, Sum(limit), None, period, 0.0, more.pop("at", ()))
    unit = PICO if measure == "usd" else 1
    return Check(budget, Window(*window), posted * unit, held * unit, **more)


@pytest.mark.parametrize(
    ("limit", "posted", "held", "available"),
    [(10, 0, 0, 10), (10, 4, 5, 1), (10, 10, 0, 0), (10, 8, 5, -3), (0, 0, 0, 0), (10, -2, 0, 12)],
)
@pytest.mark.parametrize("measure", ["usd", "tokens", "requests"])
def test_what_is_available(measure, limit, posted, held, available):
    found = check(limit, posted, held, measure=measure)
    assert found.available == available * (PICO if measure == "usd" else 1)


@pytest.mark.parametrize(
    ("measure", "need"),
    [("usd", Need(1, 0, 0)), ("tokens", Need(0, 1, 0)), ("requests", Need(0, 0, 1))],
)
def test_granted_up_to_what_is_available_and_no_further(measure, need):
    unit = PICO if measure == "usd" else 1
    one = check(10, 4, 5, measure=measure)
    needed = Need(*(amount * unit for amount in need))
    more = Need(*(amount * (unit + 1) for amount in need))
    assert refusing([one], needed) == []
    assert refusing([one], more) == [one]
    assert refusing([], more) == []


def test_each_measure_is_asked_for_its_own_part():
    usd, tokens = check(10, measure="usd"), check(10, measure="tokens")
    requests = check(1, measure="requests")
    checks = [usd, tokens, requests]
    assert refusing(checks, Need(10 * PICO, 10)) == []
    assert refusing(checks, Need(10 * PICO + 1, 10)) == [usd]
    assert refusing(checks, Need(10 * PICO, 11)) == [tokens]
    assert refusing(checks, Need(0, 0, 2)) == [requests]


@pytest.mark.parametrize("available", [0, -7])
def test_what_costs_nothing_is_within_any_budget(available):
    spent = [check(10, 10 - available, measure=measure) for measure in ("usd", "tokens")]
    assert refusing(spent, Need(0, 0)) == []
    assert refusing(spent, Need(1, 0)) == [spent[0]]
    assert refusing(spent, Need(0, 1)) == [spent[1]]


def test_all_that_refuse_are_told():
    soon, late, wide = check(1, window=(0, 60)), check(2), check(100)
    assert refusing([soon, wide, late], Need(9 * PICO, 0)) == [soon, late]


# -- which alerts to raise and to resolve -------------------------------------------------------

HALF, MOST, ALL = Decimal("0.5"), Decimal("0.8"), Decimal(1)
JANUARY, FEBRUARY = (100, 200), (200, 300)


def used(posted, limit=10, *, window=JANUARY, at=(HALF, MOST, ALL), measure="usd", per="month"):
    return check(limit, posted, measure=measure, per=per, window=window, at=at)


def raised(threshold, posted, limit=10, *, window=JANUARY, measure="usd"):
    return Crossed(measure, measure, threshold, Sum(limit), Sum(posted), *window, "UTC")


def seen(*alerts):
    """These stand."""
    return (alerts,)


@pytest.mark.parametrize(
    ("posted", "thresholds"),
    [(4, []), (5, [HALF]), (7, [HALF]), (8, [HALF, MOST]), (10, [HALF, MOST, ALL]), (99, 3)],
)
@pytest.mark.parametrize("measure", ["usd", "tokens", "requests"])
def test_each_threshold_that_is_reached_is_raised(measure, posted, thresholds):
    expected = [HALF, MOST, ALL] if thresholds == 3 else thresholds
    fresh, over = crossings([used(posted, measure=measure)], ())
    assert (fresh, over) == ([raised(one, posted, measure=measure) for one in expected], [])


def test_a_threshold_is_reached_to_the_picodollar():
    third = Decimal("0.333333333333")
    one = used(0, 3, at=(third,))  # that is at 0.999999999999
    reached = PICO - 1
    assert crossings([one._replace(posted=reached - 1)], ()) == ([], [])
    fresh, _ = crossings([one._replace(posted=reached)], ())
    assert [alert.posted for alert in fresh] == [Sum(0, reached)]


def test_a_refunded_account_says_so_below_zero():
    one = check(10, at=(HALF,), per="month", window=JANUARY)._replace(posted=-PICO // 2)
    over = crossings([one], *seen(raised(HALF, 5, window=(0, 100))))[1]
    assert [alert.posted for alert in over] == [Sum(-1, PICO // 2)]


def test_nothing_is_raised_twice():
    before = seen(raised(HALF, 5))
    assert crossings([used(6)], *before) == ([], [])
    assert crossings([used(8)], *before) == ([raised(MOST, 8)], [])


def test_a_refund_resolves_nothing():
    assert crossings([used(1)], *seen(raised(HALF, 5), raised(MOST, 8))) == ([], [])


def test_the_turn_of_the_window_resolves():
    before = seen(raised(HALF, 5), raised(MOST, 8))
    fresh, over = crossings([used(1, window=FEBRUARY)], *before)
    assert (fresh, over) == (
        [],
        [raised(HALF, 1, window=FEBRUARY), raised(MOST, 1, window=FEBRUARY)],
    )
    fresh, over = crossings([used(6, window=FEBRUARY)], *before)
    assert fresh == [raised(HALF, 6, window=FEBRUARY)]
    assert [alert.threshold for alert in over] == [HALF, MOST]


def test_a_higher_limit_resolves_and_raises_anew():
    (standing,) = seen(raised(HALF, 5), raised(MOST, 8))
    assert crossings([used(8, 16)], standing) == ([], [raised(MOST, 8, 16)])
    fresh, over = crossings([used(15, 16)], (raised(HALF, 5),))
    assert (fresh, over) == ([raised(MOST, 15, 16)], [])


def test_a_lower_limit_keeps_what_stands():
    fresh, over = crossings([used(5, 6)], *seen(raised(HALF, 5)))
    assert (fresh, over) == ([raised(MOST, 5, 6)], [])


def test_a_threshold_or_budget_taken_away_resolves():
    before = seen(raised(HALF, 5), raised(MOST, 8))
    assert crossings([used(8, at=(MOST,))], *before) == ([], [raised(HALF, 8)])
    assert crossings([], *before) == ([], [raised(HALF, 5), raised(MOST, 8)])


def test_a_rolling_window_goes_up_and_down():
    span = timedelta(hours=1)
    rolling = raised(HALF, 5, window=(None, None))
    assert crossings([used(5, per=span, at=(HALF,))], ()) == ([rolling], [])
    later = used(6, per=span, at=(HALF,), window=(150, 250))
    assert crossings([later], *seen(rolling)) == ([], [])
    fell = rolling._replace(posted=Sum(4))
    assert crossings([used(4, per=span, at=(HALF,))], *seen(rolling)) == ([], [fell])
    assert crossings([used(5, per=span, at=(HALF,))], ()) == ([rolling], [])


def test_a_rolling_window_stands_whatever_its_limit_was():
    rolling = raised(HALF, 5, window=(None, None))
    span = timedelta(hours=1)
    assert crossings([used(5, 9, per=span, at=(HALF,))], *seen(rolling)) == ([], [])
    over = crossings([used(5, 11, per=span, at=(HALF,))], *seen(rolling))[1]
    assert over == [rolling._replace(limit=Sum(11))]


def test_budgets_are_judged_apart():
    usd, tokens = used(5, at=(HALF,)), used(4, at=(HALF,), measure="tokens")
    assert crossings([usd, tokens], ()) == ([raised(HALF, 5)], [])
    assert crossings([tokens, usd], *seen(raised(HALF, 5))) == ([], [])
    fresh, over = crossings([usd], *seen(raised(HALF, 5, measure="tokens")))
    assert (fresh, over) == ([raised(HALF, 5)], [raised(HALF, 5, measure="tokens")])
