"""Money in, picodollars out: what is accepted, what is refused and how it says so."""

from decimal import Context, Decimal, Inexact, Rounded, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.errors import InvalidAmount
from budgetledger.money import (
    MAX_ENTRY_PICO,
    PICO,
    Sum,
    count,
    limit_sum,
    to_pico,
    to_usd,
)


class Whole(int):
    """What numpy's integers are to Python: Integral, and not plain int."""


class Real(float):
    """numpy.float64 is a float whose repr is not a number."""

    def __repr__(self):
        return f"Real({float(self)!r})"


class Text(str):
    """What numpy's and others' texts are to Python: a str, and not plain."""


@pytest.mark.parametrize(
    ("value", "pico"),
    [
        (0, 0),
        (10, 10 * PICO),
        (Whole(3), 3 * PICO),
        (0.1, 100_000_000_000),
        (0.1 + 0.2, 300_000_000_000),  # 0.30000000000000004, rounded once
        (1e-7, 100_000),
        (1234.567890123456, 1_234_567_890_123_456),
        (1e22, 10**34),
        (-0.0, 0),
        (Real(0.25), 250_000_000_000),
        (Decimal("0.000000000001"), 1),
        (Decimal("1E+3"), 1000 * PICO),
        (Decimal("-0"), 0),
        ("10.00", 10 * PICO),
        ("+1.5e-6", 1_500_000),
        ("5e-7", 500_000),
        (".5", PICO // 2),
        ("5.", 5 * PICO),
        ("1e-999999999", 0),
        ("0e999999999", 0),
        (10**40, 10**52),
    ],
)
def test_accepted(value, pico):
    assert to_pico(value) == pico


@pytest.mark.parametrize(
    ("value", "pico"),
    [
        ("0.0000000000004", 0),
        ("0.0000000000005", 0),
        ("0.00000000000050001", 1),
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
        ("0.0000000000035", 4),
        ("-0.0000000000005", 0),
        ("-0.0000000000015", -2),
        ("-0.0000000000025", -2),
        (Decimal("0.0000000000005") + Decimal("1e-26"), 1),
        ("0.0000000000005" + "0" * 200 + "1", 1),  # longer than any context is wide
    ],
)
def test_rounds_half_even_to_a_picodollar_once(value, pico):
    assert to_pico(value, signed=True) == pico


@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=None))
def test_rounds_like_exact_arithmetic(value):
    assert to_pico(value, signed=True) == round(Fraction(value) * PICO)


@given(
    st.from_regex(r"\A[0-9]{0,9}\.?[0-9]{0,15}\Z").filter(lambda text: text.strip("."))
    | st.decimals(0, 10**9, places=12).map(lambda value: f"{value:f}")
    | st.sampled_from(["+1.50", "1.5e-7", "1E+2", "-0.0", "00.010"])
)
def test_text_means_what_it_means_to_decimal(text):
    assert to_pico(text) == round(Fraction(Decimal(text)) * PICO)


@given(st.floats(0, 1e12))
def test_a_float_means_what_its_repr_says(value):
    assert to_pico(value) == round(Fraction(repr(value)) * PICO)


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        "ten",
        "",
        " ",
        "1,5",
        "0x10",
        "$1",
        b"1",
        1 + 0j,
        Fraction(1, 3),
        [1],
        float("nan"),
        float("inf"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        "nan",
        "inf",
        -1,
        -1e-300,
        "-0.01",
        Decimal("-1e-999999"),
        "1e999999999",
        10**50,
        *("\uff11", "0\u0663", "1.\u0661", "1e\u0661", "\u0661", "1\u0660.25"),
        *("1\n", "0.25\n", " 1", "1\t", "1 ", "1\xa0", "1_000", "1_0.5", "1.2_5", "1e1_0"),
        pytest.param(Text("1_000"), id="a str of their own"),
        pytest.param(10**5000, id="5001 digits"),  # which Python refuses to print
        pytest.param("9" * 5000, id="5000 nines"),
    ],
    ids=repr,
)
def test_refused(value):
    with pytest.raises(InvalidAmount, match=r"^fee ") as caught:
        to_pico(value, "fee")
    assert len(str(caught.value)) < 200
    assert "; pass " in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ten", "cost must be an amount in US dollars, got 'ten'; pass a number such as 10, "),
        (None, "cost must be an amount in US dollars, got None; pass a number such as 10, "),
        ("1_000", "cost must be an amount in US dollars, got '1_000', with an underscore; pass "),
        (
            "\uff11",
            "cost must be an amount in US dollars, got '\uff11', with digits other than 0 to",
        ),
        (
            "1\n",
            "cost must be an amount in US dollars, got '1\\n', with a blank or line end around",
        ),
        (float("nan"), "cost must be finite, got nan; pass a number of US dollars"),
        (-1, "cost must not be negative, got -1; pass 0 or more"),
        (10**50, "cost is out of range: 1000"),
    ],
)
def test_the_error_names_value_and_remedy(value, message):
    with pytest.raises(InvalidAmount) as caught:
        to_pico(value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("context", [Context(prec=3), Context(prec=1, traps=[Inexact, Rounded])])
def test_the_callers_decimal_context_does_not_matter(context):
    with localcontext(context):
        assert to_pico("123456.1234567890125") == 123_456_123_456_789_012
        assert to_pico(0.1234567890123456) == 123_456_789_012
        assert to_usd(123_456_123_456_789_012).as_tuple() == (
            Decimal("123456.123456789012").as_tuple()
        )
        assert limit_sum("1234567890.5") == Sum(1_234_567_890, PICO // 2)


def test_one_entry_holds_nine_million_dollars_either_way():
    most = to_usd(MAX_ENTRY_PICO)
    assert to_pico(most, one_entry=True) == MAX_ENTRY_PICO
    assert to_pico(-most, signed=True, one_entry=True) == -MAX_ENTRY_PICO
    for beyond in (most + Decimal("1e-12"), 10_000_000):
        with pytest.raises(InvalidAmount, match=r"9,223,372 USD\); record it as several"):
            to_pico(beyond, one_entry=True)
        with pytest.raises(InvalidAmount, match="record it as several"):
            to_pico(-beyond, signed=True, one_entry=True)


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (0, Sum(0, 0)),
        ("10.25", Sum(10, PICO // 4)),
        (1e9, Sum(10**9, 0)),
        ("9223372036854775807.999999999999", Sum(2**63 - 1, PICO - 1)),
    ],
)
def test_limits_have_room_for_unlimited(value, limit):
    assert limit_sum(value) == limit
    assert to_usd(limit.total_pico) == Decimal(value)


@pytest.mark.parametrize("value", [2**63, "-0.01", float("inf"), None, 10**41])
def test_limits_refused(value):
    with pytest.raises(InvalidAmount, match=r"^limit "):
        limit_sum(value)


@pytest.mark.parametrize("value", [0, 1, Whole(7), 2**63 - 1])
def test_counts(value):
    assert count(value, "tokens") == value
    assert type(count(value, "tokens")) is int


@pytest.mark.parametrize(
    "value",
    [-1, 2**63, True, 1.0, "1", None, Decimal(1), pytest.param(10**5000, id="5001 digits")],
    ids=repr,
)
def test_counts_refused(value):
    with pytest.raises(InvalidAmount, match=r"^tokens must be a whole number.*; pass an int"):
        count(value, "tokens")


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0.00"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (PICO, "1.00"),
        (PICO // 10, "0.10"),
        (PICO * 3 // 2, "1.50"),
        (-PICO * 3 // 2, "-1.50"),
        (123_456_000_000, "0.123456"),
        (-(2**63), "-9223372.036854775808"),
        (10**60 + 1, "1" + "0" * 48 + ".000000000001"),
    ],
)
def test_to_usd_is_exact_and_shows_cents(pico, text):
    assert f"{to_usd(pico):f}" == text  # str() shows 1E-12 for the smallest


@given(st.integers(-(10**40), 10**40))
def test_there_and_back(pico):
    assert to_pico(to_usd(pico), signed=True) == pico


@given(st.integers(-(10**24), 10**24))
def test_a_sum_carries_whole_dollars_and_picodollars_apart(total):
    parts = Sum(*divmod(total, PICO))
    assert 0 <= parts.pico < PICO
    assert parts.total_pico == total
