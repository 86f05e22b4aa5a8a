"""`Ledger.charge_many` records the rows that `charge` would have recorded one by one."""

import asyncio
import random
from datetime import timedelta

import pytest
from samples import RESPONSE, START

from budgetledger import AsyncLedger, Ledger, Usage
from budgetledger.errors import (
    IdempotencyConflict,
    InvalidRow,
    StoreFull,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.journal import batch
from budgetledger.testing import FakeClock
from budgetledger.verbs import charging_many


def cost(number, **more):
    return {"account": "alice", "cost": "0.01", "model": "m", "key": f"k{number}", **more}


def mixed(count, seed):
    """Rows of every kind for several accounts, some of them twice."""
    pick = random.Random(seed)
    rows = []
    for number in range(count):
        row = {"account": pick.choice(["alice", "bob", "carol", "new"]), "key": f"k{number}"}
        kind = pick.randrange(5)
        if kind == 0:
            row |= {"response": {**RESPONSE, "id": f"r{number}"}}
        elif kind == 1:
            row |= {"usage": Usage(10, 5), "model": pick.choice(["gpt-4o", "nobody-knows"])}
        elif kind == 2:
            row |= {"response": RESPONSE, "model": "my-alias"}
        else:
            row |= {"cost": f"{pick.randrange(10**6)}.5", "model": pick.choice("mn")}
        if pick.random() < 0.3:
            row["occurred_at"] = START - timedelta(hours=pick.randrange(100))
        if pick.random() < 0.2:
            row["tags"] = {"feature": "search"}
        rows.append(row)
        if pick.random() < 0.05:
            rows.append(row)
    return rows


def prepared(opened):
    """A ledger in which alice has alerts and bob a parent."""
    ledger = opened(clock=FakeClock(START))
    ledger.set_budget("alice", 1000, per="month", alert_at=(0.5, 1))
    ledger.set_budget("team", 1000, per="day", alert_at=(0.5,))
    ledger.set_parent("bob", "team")
    ledger.set_budget("carol", 10)
    return ledger


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("page_rows", "above"), [(1000, ""), (7, ""), (50, "*"), (1000, "default"), (9, "default *")]
)
def test_the_rows_are_those_of_charge(opened, tmp_path, monkeypatch, page_rows, above):
    monkeypatch.setattr(charging_many, "PAGE_ROWS", page_rows)
    rows = mixed(400, page_rows)
    many = prepared(opened)
    with Ledger(tmp_path / "one.db", clock=FakeClock(START)) as one:
        prepared(lambda clock: one)
        for ledger in (many, one):
            if "*" in above:
                ledger.set_budget("*", 10**6, alert_at=(0.9,))
            if "default" in above:
                ledger.set_default_budget(10**6, kind="user", model="gpt-4o", alert_at=(0.5,))
        for row in rows:
            one.charge(**row)
        result = many.charge_many(rows)
        assert list(many.entries()) == list(one.entries())
        for account in ("alice", "bob", "carol", "new", "team"):
            assert list(many.entries(account)) == list(one.entries(account))
            assert many.balance(account) == one.balance(account)
            assert many.budgets(account) == one.budgets(account)
            assert many.model_costs(account) == one.model_costs(account)
        assert many.alerts() == one.alerts()
    assert many.verify().ok
    assert result.recorded == 400
    assert result.repeated == len(rows) - 400
    assert result.unpriced == sum(entry.cost_basis == "unpriced" for entry in many.entries())


def test_all_rows_again_change_nothing(ledger):
    rows = [cost(number) for number in range(2500)]
    assert ledger.charge_many(rows[:1200]) == (1200, 0, 0)
    assert ledger.charge_many(iter(rows)) == (1300, 1200, 0)
    assert ledger.charge_many(rows) == (0, 2500, 0)
    assert ledger.balance("alice").posted == 25
    assert ledger.verify().ok


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (cost(1, cost="-1"), "negative"),
        (cost(1, cost=float("nan")), "finite"),
        (cost(1, account=""), "account"),
        (cost(1, account=None), "account"),
        (cost(1, account=["alice"]), "account"),
        ({"cost": 1, "key": "k"}, "account"),
        (cost(1, price=3), "charge has no argument price"),
        (cost(1, tags={"a": float("inf")}), "tags"),
        ({"account": "alice", "key": "k"}, "nothing to charge"),
        ({"account": "alice", "response": {}, "key": "k"}, "no token counts"),
        ({"account": "alice", "cost": 1}, "it has no key"),
        (("alice", 1), "it is a tuple"),
        (None, "it is a NoneType"),
        (cost(2, cost=7), "row 2 has its key"),
    ],
)
def test_a_bad_row_is_named_and_earlier_thousands_stay(ledger, monkeypatch, row, cause):
    monkeypatch.setattr(charging_many, "PAGE_ROWS", 4)
    rows = [cost(number) for number in range(1, 7)]
    if cause.startswith("row 2"):
        row = cost(6, cost=7)
        cause = "row 6 has its key"
    with pytest.raises(InvalidRow, match=rf"^row 7: .*{cause}") as caught:
        ledger.charge_many([*rows, row, cost(8)])
    assert (caught.value.row, caught.value.recorded) == (7, 4)
    assert [entry.idempotency_key for entry in ledger.entries("alice")][1:] == [
        "k1", "k2", "k3", "k4",
    ]  # fmt: skip
    assert ledger.charge_many([*rows, cost(8)]) == (3, 4, 0)
    assert ledger.verify().ok


def test_another_content_under_a_recorded_key_is_named(ledger):
    ledger.charge(**cost(1))
    with pytest.raises(InvalidRow, match="row 2: key 'k1' was used for entry 2") as caught:
        ledger.charge_many([cost(0), cost(1, cost=5)])
    assert isinstance(caught.value.__cause__, IdempotencyConflict)


def test_keys_are_made_from_source_id_and_model(ledger):
    rows = [{"account": "alice", "response": {**RESPONSE, "id": name}} for name in ("a", "b", "a")]
    assert ledger.charge_many(rows, source="gateway") == (2, 1, 0)
    *_, first, _ = ledger.entries("alice")
    assert first.idempotency_key == f"gateway:a:{first.model}"
    assert first.response_id == "a"
    assert ledger.charge_many(rows, source="another") == (2, 1, 0)
    with pytest.raises(InvalidRow, match="source="):
        ledger.charge_many(rows)


def test_the_same_account_may_be_opened_by_the_same_thousand(opened):
    ledger = opened()
    with pytest.warns(UnknownAccountWarning, match="a0, a1, a2 and 7 more"):
        ledger.charge_many([cost(number, account=f"a{number % 10}") for number in range(100)])
    assert len(ledger.accounts()) == 10
    assert ledger.verify().ok


def test_one_warning_stands_for_all_calls_without_a_price(ledger):
    rows = [
        {"account": "alice", "usage": Usage(1, 1), "model": "nobody-knows", "key": f"u{number}"}
        for number in range(3)
    ]
    with pytest.warns(UnpricedWarning, match="3 calls") as caught:
        ledger.charge_many(rows)
    assert len(caught) == 1


def test_nothing_is_recorded_of_no_rows(ledger):
    assert ledger.charge_many([]) == (0, 0, 0)


def test_a_store_that_fails_is_told_as_it_is_and_the_rest_can_be_repeated(ledger, store_fails):
    rows = [cost(number) for number in range(1500)]
    ledger.charge_many(rows[:1000])
    store_fails(ledger)
    with pytest.raises(StoreFull):
        ledger.charge_many(rows)
    store_fails(ledger, fails=False)
    assert ledger.charge_many(rows) == (500, 1000, 0)


def test_tasks_can_charge_many(ledger):
    async def charged():
        return await AsyncLedger(ledger).charge_many(map(cost, range(1001)))

    assert asyncio.run(charged()) == (1001, 0, 0)


@pytest.mark.filterwarnings("ignore")
def test_few_statements_write_many_rows(ledger, monkeypatch):
    """Whatever the accounts and models, as long as none has alerts or parents."""
    ledger.charge_many([cost(n, account=f"a{n % 5}", model=f"m{n % 3}") for n in range(100, 130)])
    counts = []
    write_out = batch.Batch.write_out

    def counted(self):
        counts.append(sum(map(len, self._entries.values())))
        write_out(self)

    monkeypatch.setattr(batch.Batch, "write_out", counted)
    rows = [cost(n, account=f"a{n % 5}", model=f"m{n % 3}") for n in range(200, 1200)]
    ledger.charge_many(rows)
    assert len(counts) < 20
