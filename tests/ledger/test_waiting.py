"""Holds that wait for room: threads, tasks, other processes, expiry, order, and giving up."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from budgetledger import AsyncLedger, BudgetExceededError, Ledger
from budgetledger.errors import AccountFrozen, InvalidPeriod, StoreClosed
from budgetledger.journal.journal import journal_of
from budgetledger.verbs.waiting import _line_of

LONG = 300  # seconds; a test that waits so long has failed


@pytest.fixture
def ledger(opened):
    ledger = opened()
    ledger.set_budget("alice", 1)
    return ledger


def waiting(ledger):
    return len(_line_of(journal_of(ledger).store)._line)


def until(condition):
    while not condition():
        time.sleep(0.001)


class Caller(threading.Thread):
    """Holds in a thread of its own, and is in the line once it is made, or done."""

    def __init__(self, ledger, amount, wait=LONG, account="alice", **options):
        super().__init__(daemon=True)
        self.ledger, self.got, self.error = ledger, None, None
        self.take = lambda: ledger.hold(account, amount, wait=wait, **options)
        before = waiting(ledger)
        self.start()
        until(lambda: not self.is_alive() or waiting(ledger) > before)

    def run(self):
        try:
            self.got = self.take()
        except Exception as error:
            self.error = error

    def done(self):
        self.join(LONG)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.got


def test_a_hold_waits_until_another_is_closed(ledger):
    first = ledger.hold("alice", "0.9")
    second, third = Caller(ledger, "0.5"), Caller(ledger, "0.5")
    assert second.is_alive()
    first.settle("0.2")
    assert second.done().amount == Decimal("0.5")
    assert third.is_alive()
    assert ledger.balance("alice").held == Decimal("0.5")
    second.got.release()
    third.done().release()
    until(lambda: waiting(ledger) == 0)
    kinds = [entry.kind for entry in ledger.entries("alice")]
    assert kinds == ["budget", "hold", "settle", "hold", "release", "hold", "release"]


def test_a_hold_waits_until_another_expires(ledger, clock):
    ledger.hold("alice", "0.9", expires_in=60)
    waits = Caller(ledger, "0.5")
    clock.advance(seconds=59)
    assert waits.is_alive()
    clock.advance(seconds=1)
    assert waits.done().amount == Decimal("0.5")


def test_a_hold_waits_until_the_limit_is_raised_meanwhile(ledger):
    ledger.hold("alice", "0.9")
    waits = Caller(ledger, "0.5")
    ledger.set_budget("alice", 2)
    waits.done()


def test_the_time_to_wait_ends_with_the_refusal(ledger):
    ledger.hold("alice", "0.9")
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", "0.5", wait=0.05)
    assert (refused.value.held, refused.value.blocked_by_holds) == (Decimal("0.9"), True)
    call = {"model": "gpt-4o", "text": "Hello", "max_output_tokens": 100_000}
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", **call, wait=timedelta(milliseconds=50))
    assert refused.value.largest_output == 9999
    assert not {"room", "least_available"} & vars(refused.value).keys()
    assert waiting(ledger) == 0


def test_what_holds_are_not_in_the_way_of_is_refused_at_once(ledger):
    ledger.charge("alice", cost="0.8", model="m")
    ledger.hold("alice", "0.1")
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", "0.5", wait=LONG)
    ledger.freeze("alice")
    with pytest.raises(AccountFrozen):
        ledger.hold("alice", "0.1", wait=LONG)


def test_a_hold_that_comes_to_wait_in_vain_is_refused_then(ledger):
    first = ledger.hold("alice", "0.9")
    waits = [Caller(ledger, "0.5"), Caller(ledger, "0.3"), Caller(ledger, "0.15")]
    first.settle("0.8")
    for one in waits[:2]:
        with pytest.raises(BudgetExceededError, match=r"posted 0\.8"):
            one.done()
    waits[2].done()


def test_a_nested_hold_does_not_wait_for_the_one_around_it(ledger):
    with ledger.hold("alice", "0.6"):
        with pytest.raises(BudgetExceededError):
            ledger.hold("alice", "0.5", wait=LONG)
        ledger.hold("alice", "0.4", wait=LONG)


def test_equal_holds_are_granted_in_the_order_of_their_calls(ledger):
    first = ledger.hold("alice", "0.9")
    callers = [Caller(ledger, "0.9") for _ in range(12)]
    first.release()
    holds = []
    for caller in callers:
        holds.append(caller.done())
        holds[-1].release()
    assert [hold.id for hold in holds] == sorted(hold.id for hold in holds)


def test_a_hold_that_fits_overtakes_at_most_eight_times(ledger):
    held = ledger.hold("alice", "0.5")
    large = Caller(ledger, "0.9")
    small = [Caller(ledger, "0.01") for _ in range(8)]
    for one in small:
        one.done()
    late = Caller(ledger, "0.01")
    assert (large.is_alive(), late.is_alive(), waiting(ledger)) == (True, True, 2)
    held.release()
    for one in small:
        one.got.release()
    assert large.done().id < late.done().id


def test_a_hold_on_another_account_is_not_in_the_way(ledger):
    ledger.set_parent("alice", "team")
    ledger.set_parent("bob", "team")
    ledger.set_budget("team", 10)
    ledger.set_budget("bob", 1)
    ledger.hold("alice", "0.9")
    Caller(ledger, "0.9")
    ledger.hold("bob", "0.5", wait=LONG)


def test_a_key_is_granted_once(ledger):
    first = ledger.hold("alice", "0.9")
    waits = Caller(ledger, "0.5", key="job-1")
    first.release()
    assert ledger.hold("alice", "0.5", key="job-1", wait=LONG).id == waits.done().id


def test_freezing_and_closing_end_the_wait(opened):
    ledger = opened()
    ledger.set_budget("alice", 1)
    ledger.hold("alice", "0.9")
    waits = Caller(ledger, "0.5")
    ledger.freeze("alice")
    with pytest.raises(AccountFrozen):
        waits.done()
    ledger.unfreeze("alice")
    waits = Caller(ledger, "0.5")
    ledger.close()
    with pytest.raises(StoreClosed):
        waits.done()


@pytest.mark.parametrize("wait", [-1, float("nan"), "5", False, True, None])
def test_the_time_to_wait_is_checked(ledger, wait):
    with pytest.raises(InvalidPeriod):
        ledger.hold("alice", "0.1", wait=wait)
    assert ledger.hold("alice", "0.1", wait=0).amount == Decimal("0.1")


def test_without_enforcement_nothing_waits(opened):
    opened().set_budget("alice", 1)
    ledger = opened(enforce=False)
    assert ledger.hold("alice", 2, wait=LONG).refusal is not None


def test_tasks_wait_and_their_cancellation_leaves_nothing(opened):
    async def main():
        ledger = AsyncLedger(opened())
        await ledger.set_budget("alice", 1)
        first = await ledger.hold("alice", "0.9")
        tasks = [asyncio.create_task(ledger.hold("alice", "0.9", wait=LONG)) for _ in range(50)]
        while waiting(ledger.ledger) < 50:
            await asyncio.sleep(0.001)
        for task in tasks[::2]:
            task.cancel()
        await first.release()
        ids = []
        for task in tasks:
            with suppress(asyncio.CancelledError):
                hold = await task
                ids.append(hold.id)
                await hold.release()
        assert (len(ids), ids) == (25, sorted(ids))
        assert (await ledger.holds("alice"), waiting(ledger.ledger)) == ([], 0)
        with pytest.raises(BudgetExceededError):
            async with ledger.hold("alice", "0.9"):
                await ledger.hold("alice", "0.5", wait=LONG)
        with pytest.raises(BudgetExceededError):
            await first_of(ledger)

    async def first_of(ledger):
        await ledger.hold("alice", "0.9")
        await ledger.hold("alice", "0.5", wait=0.05)

    asyncio.run(main())


def test_a_task_cancelled_while_it_is_decided_leaves_nothing(opened):
    async def main():
        ledger = AsyncLedger(opened())
        await ledger.set_budget("alice", 1)
        for _ in range(30):
            first = await ledger.hold("alice", "0.9", wait=LONG)
            task = asyncio.create_task(ledger.hold("alice", "0.9", wait=LONG))
            while not waiting(ledger.ledger):
                await asyncio.sleep(0)
            await first.release()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await (await task).release()
            while await ledger.holds("alice"):
                await asyncio.sleep(0.001)

    asyncio.run(main())


def hold_elsewhere(target, taken, release):
    with Ledger(target, synchronous="NORMAL") as ledger:
        hold = ledger.hold("alice", "0.9")
        taken.set()
        release.wait(LONG)
        hold.settle("0.1")


def test_a_hold_closed_by_another_process_is_noticed(database):
    with Ledger(database.target, synchronous="NORMAL") as ledger:
        ledger.set_budget("alice", 1)
        spawn = multiprocessing.get_context("spawn")
        taken, release = spawn.Event(), spawn.Event()
        process = spawn.Process(target=hold_elsewhere, args=(database.target, taken, release))
        process.start()
        assert taken.wait(LONG)
        waits = Caller(ledger, "0.5")
        release.set()
        assert waits.done().amount == Decimal("0.5")
        process.join(LONG)
        assert process.exitcode == 0


def test_eight_agents_of_six_calls_are_all_served_and_never_over(ledger):
    ledger.set_budget("alice", 2)
    highest, served = [], []

    def agent():
        for _ in range(6):
            with ledger.hold("alice", "0.6", wait=LONG) as hold:
                highest.append(ledger.balance("alice").held)
                served.append(hold.settle("0.0006"))

    agents = [threading.Thread(target=agent) for _ in range(8)]
    for one in agents:
        one.start()
    for one in agents:
        one.join(LONG)
    assert len(served) == 48
    assert max(highest) <= 2
