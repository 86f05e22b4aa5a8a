"""The heart: the row that follows, worked out by hand."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.money import PICO, Sum
from budgetledger.rules import Draft, Head, chained_hash, genesis, next_time, totals_after

CENT = PICO // 100
NO_MODEL = (None, None, None, None)


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
    head = Head(b"", 0, 5, 5, model_usd=usd, model_pico=pico)
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
    found = chained_hash(bytes.fromhex(GENESIS), 1_769_853_600_000_000, charge)
    assert found.hex() == CHARGED
    evidence = (
        b"(1769853600000000, 'charge', 'gpt-4o', 4000000000000, 'given', None, 1000, 200, 1, "
        b"""'{"input_tokens":1000,"output_tokens":200}', None, None, None, None, 'inv-3')"""
    )
    assert found == sha256(bytes.fromhex(GENESIS) + evidence).digest()


def test_the_hash_covers_the_detail_row():
    found = chained_hash(bytes.fromhex(CHARGED), 5, Draft("shift", note="new year"), ("usd", 5))
    evidence = (
        b"(5, 'shift', None, None, None, None, 0, 0, 0, None, None, None, 'new year', None, None, "
        b"'usd', 5)"
    )
    assert found == sha256(bytes.fromhex(CHARGED) + evidence).digest()


@pytest.mark.parametrize("field", Draft._fields)
def test_the_hash_covers_every_field(field):
    draft = Draft("charge", "m", 1)
    other = draft._replace(**{field: "else"})
    assert chained_hash(b"", 1, draft) != chained_hash(b"", 1, other)


def test_the_hash_covers_the_time_and_the_row_before():
    hashes = {chained_hash(before, at, Draft("shift")) for before in (b"a", b"b") for at in (1, 2)}
    assert len(hashes) == 4
