"""`balance(at=now)` is `balance()`, and a stream that is never read gives its hold back."""

import asyncio
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from budgetledger import AsyncLedger
from budgetledger.windows import from_us


@pytest.fixture
def busy(opened, clock):
    """A ledger in which alice has budgets of several windows, a cost and two open holds."""
    ledger = opened()
    ledger.set_budget("alice", 10, per="month")
    ledger.set_budget("alice", 20, per=timedelta(hours=1))
    ledger.set_budget("alice", tokens=1000, per="day", timezone="Asia/Tokyo")
    ledger.set_budget("alice", 100, per=None)
    ledger.charge("alice", cost=1)
    clock.advance(minutes=5)
    ledger.hold("alice", 2, tokens=7)
    ledger.hold("alice", 3, expires_in=60)
    return ledger


def at(clock):
    return from_us(clock())


def test_the_balance_at_the_moment_is_the_balance(busy, clock):
    for _ in range(3):
        assert busy.balance("alice", at=at(clock)) == busy.balance("alice")
        assert busy.model_costs("alice", at=at(clock)) == busy.model_costs("alice")
        clock.advance(minutes=1)


def test_also_where_the_clock_is_behind_the_last_row(busy, clock):
    clock.advance(seconds=-30)
    assert busy.balance("alice", at=at(clock)) == busy.balance("alice")


def test_also_as_of_that_moment_and_without_budgets(busy, clock):
    now = at(clock)
    assert busy.balance("alice", at=now, as_of=now) == busy.balance("alice")
    assert busy.balance("alice", as_of=now) == busy.balance("alice")
    clock.advance(seconds=-30)
    busy.set_budget("*", 50)
    busy.charge("bob", cost=1)
    busy.hold("bob", 1)
    for account in "bob", "*":
        assert busy.balance(account, at=at(clock)) == busy.balance(account)


def test_earlier_and_later_moments_stay_as_they_were(busy, clock):
    earlier = busy.balance("alice", at=datetime(2020, 1, 1, tzinfo=UTC))
    month, for_ever = earlier.budgets[3], earlier.budgets[1]
    assert (month.posted, month.held, for_ever.held) == (0, 0, 5)
    clock.advance(minutes=1)
    before = busy.balance("alice", at=at(clock) - timedelta(minutes=1))
    held = {status.budget.name: status.held for status in before.budgets}
    assert held == {"tokens/day": 7, "usd": 2, "usd/3600s": 2, "usd/month": 2}
    before = busy.balance("alice", at=at(clock) - timedelta(minutes=2))
    held = {status.budget.name: status.held for status in before.budgets}
    assert held == {"tokens/day": 7, "usd": 2, "usd/3600s": 0, "usd/month": 2}


CHUNK = {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Once"}}]}


@pytest.mark.parametrize("keeps", [True, False])
def test_a_stream_never_read_inside_the_block_releases(busy, keeps):
    closed = []

    class Chunks:
        def __iter__(self):
            raise AssertionError

        def close(self):
            closed.append(1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with busy.hold("alice", 1) as hold:
            stream = hold.stream(Chunks())
            if not keeps:
                del stream
    assert hold.closed_by.kind == "release"
    assert closed == [1]
    if keeps:
        assert list(stream) == []


def test_also_when_the_block_raises_and_when_some_of_it_was_read(busy):
    hold = busy.hold("alice", 1)

    def fail():
        with hold:
            hold.stream([CHUNK])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert hold.closed_by.kind == "release"
    with busy.hold("alice", model="gpt-4o", text="Hello", max_output_tokens=9) as hold:
        next(hold.stream([CHUNK, CHUNK]))
    assert hold.closed_by.kind == "settle"


def test_a_stream_never_read_with_asyncio(busy):
    closed = []

    class Chunks:
        def __aiter__(self):
            raise AssertionError

        async def aclose(self):
            closed.append(1)

    async def main(keeps):
        async with AsyncLedger(busy).hold("alice", 1) as hold:
            stream = hold.stream(Chunks())
            if not keeps:
                del stream
        return hold.closed_by.kind

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [asyncio.run(main(keeps)) for keeps in (True, False)] == ["release", "release"]
    assert closed == [1, 1]
