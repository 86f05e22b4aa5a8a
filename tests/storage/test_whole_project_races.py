"""Eight processes, and a budget set on the project in the middle: no hold that it had no room for.

The rows are replayed in plain SQL, without what the ledger keeps as sums.
"""

import multiprocessing
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from auditor import SQL_BELONGS

from budgetledger import BudgetExceededError, Ledger
from budgetledger.errors import InvalidAmount

PROCESSES, ROUNDS = 8, 30
LIMIT = Decimal("2.00")
MONEY = "('opening', 'charge', 'settle', 'adjustment')"


def work(target, number, barrier):
    """Charges, also of days ago, adjustments, holds that settle; one sets the budget."""
    with Ledger(target, synchronous="NORMAL") as ledger:
        account = f"user{number % 3}"
        barrier.wait(60)
        for n in range(ROUNDS):
            if number == 0 and n == ROUNDS // 3:
                ledger.set_budget("*", LIMIT, per=timedelta(hours=1), name="hour")
                ledger.set_budget("*", LIMIT * 3, name="ever")
            late = datetime.now(UTC) - timedelta(days=2) if n % 3 == 0 else None
            entry = ledger.charge(account, cost="0.005", model="m", occurred_at=late)
            if n % 4 == number % 4:
                with suppress(InvalidAmount):
                    ledger.adjust(entry, "-0.003" if n % 8 < 4 else "0.002", reason="bill")
            with suppress(BudgetExceededError):
                hold = ledger.hold(account, "0.02", model="m")
                if n % 5:
                    hold.settle("0.015")


def test_a_budget_set_in_the_middle_counts_all_that_was_before(database):
    with Ledger(database.target) as ledger:
        for name in ("user0", "user1", "user2"):
            ledger.set_budget(name, 100)
        ledger.set_parent("user1", "team")
        ledger.set_budget("team", 100)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    workers = [
        spawn.Process(target=work, args=(database.target, number, barrier))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0

    with Ledger(database.target) as ledger:
        assert ledger.verify().problems == ()
        balance = {status.budget.name: status for status in ledger.balance("*").budgets}
    assert replayed(database) == []
    ((posted,),) = database.sql(
        f"SELECT sum(cost_pico) FROM entries WHERE origin_id IS NULL AND kind IN {MONEY}"
    )
    assert balance["ever"].posted == Decimal(int(posted)).scaleb(-12)
    assert balance["ever"].posted > LIMIT / 2  # there was something to count


def replayed(database):
    """The holds that a budget on the project had no room for, by number."""
    over = []
    budgets = database.sql("""
        SELECT b.entry_id, b.limit_units, b.limit_pico, b.span_us FROM budget_revisions b
        JOIN accounts a ON a.id = b.account_id WHERE a.name = '*'""")
    holds = database.sql(
        "SELECT id, recorded_at_us, held_pico FROM entries WHERE kind = 'hold' ORDER BY id"
    )
    rows = database.sql(f"""
        SELECT e.id, {SQL_BELONGS}, e.cost_pico FROM entries e
        WHERE e.origin_id IS NULL AND e.kind IN {MONEY}""")
    closed = dict(
        database.sql("""
        SELECT hold_id, min(id) FROM entries
        WHERE kind IN ('settle', 'release', 'expire') AND origin_id IS NULL GROUP BY hold_id""")
    )
    for hold_id, at_us, pico in holds:
        for budget_id, units, limit_pico, span_us in budgets:
            if hold_id < budget_id:
                continue
            start_us = 0 if span_us is None else at_us - span_us
            posted = sum(
                cost or 0 for id, moment_us, cost in rows if id < hold_id and moment_us >= start_us
            )
            held = sum(
                other for id, _, other in holds if id < hold_id < closed.get(id, hold_id + 1)
            )
            if posted + held + pico > units * 10**12 + limit_pico:
                over.append(hold_id)
    assert len(holds) > 50
    return over
