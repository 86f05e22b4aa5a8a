"""Own prices and repricing, with other processes at the same file."""

import json

import pytest

from budgetledger import Ledger, Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")

REPRICE = """
import json, sys
from budgetledger import Ledger
with Ledger(sys.argv[1], synchronous="NORMAL") as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([one.entry.id for one in ledger.reprice(dry_run=False)]))
"""
SET_PRICES = """
import sys
from budgetledger import Ledger
with Ledger(sys.argv[1], synchronous="NORMAL") as ledger:
    for number in range(100):
        ledger.set_price(f"m-{number % 10}", input=f"{sys.argv[2]}.{number}")
"""
LET_DOWN = """
import os, sys
from budgetledger import Ledger
from budgetledger.verbs import repricing
state, pages = repricing.state, []
def stated(tx, project, costs):
    pages.append(1)
    done = state(tx, project, costs)
    if len(pages) == 2:
        os._exit(9)  # amid the second transaction
    return done
repricing.state = stated
Ledger(sys.argv[1]).reprice(dry_run=False)
"""


@pytest.fixture
def unpriced(database):
    """A ledger with 350 calls of one dollar, by a price that came later; their ids."""
    with Ledger(database.target, synchronous="NORMAL") as ledger:
        ledger.set_budget("*", 1000)
        ledger.set_budget("alice", 1000)
        charged = [
            ledger.charge("alice", model="my-model", usage=Usage(1_000_000)) for _ in range(350)
        ]
        assert {entry.cost for entry in charged} == {None}
        ledger.set_price("my-model", input=1, effective_at=charged[0].recorded_at)
    return [entry.id for entry in charged]


def assert_priced_once(path, ids):
    with Ledger(path) as ledger:
        corrected = [one.corrects_id for one in ledger.entries("alice") if one.corrects_id]
        assert sorted(corrected) == ids
        for account in ("alice", "*"):
            balance = ledger.balance(account)
            assert (balance.posted, balance.unpriced) == (len(ids), 0)
        assert ledger.verify().ok


def test_processes_that_reprice_at_once_price_each_entry_once(
    database, unpriced, launch, await_end
):
    racing = [launch(REPRICE, database.target) for _ in range(3)]
    for process in racing:
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        process.stdin.write("go\n")
        process.stdin.flush()
    done = [await_end(process) for process in racing]
    assert sorted(number for one in done for number in json.loads(one)) == unpriced
    assert_priced_once(database.target, unpriced)


def test_a_reprice_that_was_killed_is_taken_up_again(database, unpriced, launch):
    process = launch(LET_DOWN, database.target)
    process.communicate(timeout=120)
    assert process.returncode == 9
    with Ledger(database.target) as ledger:
        assert ledger.balance("alice").posted == 100  # the first transaction's
        assert len(ledger.reprice(dry_run=False)) == 250
    assert_priced_once(database.target, unpriced)


def test_processes_that_set_prices_at_once_write_one_chain(database, launch, await_end):
    Ledger(database.target).close()
    for process in [launch(SET_PRICES, database.target, number) for number in (1, 2)]:
        await_end(process)
    with Ledger(database.target) as ledger:
        assert [row.id for row in ledger.prices(history=True)] == list(range(1, 201))
        assert len(ledger.prices()) == 10
        assert ledger.verify().ok
