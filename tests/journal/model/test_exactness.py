"""Sums are exact: a million awkward amounts, and totals beyond what one integer holds."""

import os
import random
import sqlite3
from contextlib import closing
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import islice

import pytest
from samples import START

from budgetledger import Ledger
from budgetledger.testing import FakeClock

CHARGES = int(os.environ.get("BUDGETLEDGER_TEST_CHARGES", "1000000"))
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
PICODOLLAR = Decimal("1e-12")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "spend.db"
    yield path
    for file in tmp_path.iterdir():  # hundreds of megabytes, which pytest would keep
        file.unlink()


@pytest.fixture
def ledger(path):
    clock = FakeClock(START)
    with Ledger(path, synchronous="NORMAL", clock=clock) as ledger:
        yield ledger


def awkward_amounts():
    """(amount as a caller writes it, what it is worth to a picodollar), without end."""
    rng = random.Random(20260131)
    while True:
        twelve_decimals = Decimal(rng.randrange(5 * 10**12)).scaleb(-12)
        third = EXACT.divide(rng.randrange(1, 100), 3)
        binary = rng.randrange(1, 50) / 10 + 0.2  # 0.1 + 0.2 and its like
        halves = Decimal(rng.randrange(10**6) * 2 + 1).scaleb(-13) * 5  # always between two
        for amount in (
            twelve_decimals,
            f"{twelve_decimals:e}",
            PICODOLLAR,
            "0.000000000001",
            third,
            str(third),
            binary,
            repr(binary),
            halves,
            rng.random() / 1e6,
            rng.randrange(3),
        ):
            yield amount, EXACT.quantize(Decimal(str(amount)), PICODOLLAR)


def query(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_million_charges_add_up_to_the_last_picodollar(ledger, path):
    ledger.set_budget("alice", "10000000", per="day")
    total = Decimal(0)
    for amount, worth in islice(awkward_amounts(), CHARGES):
        ledger.charge("alice", cost=amount, model="m")
        total = EXACT.add(total, worth)

    balance = ledger.balance("alice")
    assert balance.posted == total
    assert balance.available == 10_000_000 - total
    assert ledger.model_costs("alice") == {"m": total}
    pico = int(total.scaleb(12, EXACT))
    assert query(path, "SELECT count(*), sum(cost_pico) FROM entries WHERE kind = 'charge'") == [
        (CHARGES, pico)
    ]
    ((high, low),) = query(
        path, "SELECT sum(cost_pico >> 32), sum(cost_pico & 4294967295) FROM spend"
    )
    assert (high << 32) + low == pico
    assert query(path, "SELECT day, account, requests FROM spend_by_day") == [
        ("2026-01-31", "alice", CHARGES)
    ]
    for view in ("spend_by_day", "spend_by_model"):
        ((cost_usd,),) = query(path, f"SELECT cost_usd FROM {view}")
        assert cost_usd == pytest.approx(float(total), rel=1e-15)


def test_a_lifetime_beyond_what_an_integer_of_picodollars_holds(ledger, path):
    ledger.set_budget("big", 10**9)
    costs = [Decimal(9_000_000)] * 30 + [PICODOLLAR] * 3 + [Decimal("0.999999999999")]
    entries = [ledger.charge("big", cost=cost, model="m") for cost in costs]
    total = sum(costs)
    assert total == Decimal("270000001.000000000002")
    balance = ledger.balance("big")
    assert (balance.posted, balance.available) == (total, 10**9 - total)
    assert ledger.model_costs("big") == {"m": total}

    # Plain sums of the exact column overflow here; the views and a split sum do not.
    with pytest.raises(sqlite3.OperationalError, match="integer overflow"):
        query(path, "SELECT sum(cost_pico) FROM spend")
    ((high, low),) = query(
        path, "SELECT sum(cost_pico >> 32), sum(cost_pico & 4294967295) FROM spend"
    )
    assert (high << 32) + low == int(total.scaleb(12))
    for view in ("spend_by_day", "spend_by_model"):
        assert query(path, f"SELECT cost_usd, requests FROM {view}") == [(float(total), len(costs))]

    # Corrections cross dollars downwards, to what is left of the last charges.
    amounts = ("-0.000000000003", "-1.5", "0.999999999999", *["-9000000"] * 29)
    for entry, amount in zip([entries[0]] * 3 + entries[1:30], amounts, strict=True):
        ledger.adjust(entry, amount, reason="a correction")
        total += Decimal(amount)
        assert ledger.balance("big").posted == total
        assert ledger.model_costs("big") == {"m": total}
    assert total == Decimal("9000000.499999999998")
    assert ledger.verify().ok
