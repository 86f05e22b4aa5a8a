"""A stream that stops at its limit: it asks for more, and is closed when that is refused."""

import asyncio
from decimal import Decimal

import pytest

from budgetledger import AsyncLedger, BudgetExceededError
from budgetledger.errors import StreamStopped, UnpricedModel

CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
CHUNK = Decimal("0.00001")  # openai.com/api/pricing, 2026-01: 10.00 USD a million tokens


def chunk(text):
    choices = [{"index": 0, "delta": {"content": text}}]
    return {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices}


LAST = {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


class Stream:
    def __init__(self, words, text=" word"):
        self.left, self.closed, self.text = words, False, text

    def __iter__(self):
        while self.left and not self.closed:
            self.left -= 1
            yield chunk(self.text)
        if not self.closed:
            yield LAST

    async def __aiter__(self):
        for one in iter(self):
            yield one

    def close(self):
        self.closed = True


@pytest.fixture
def ledger(opened):
    ledger = opened()
    ledger.set_budget("alice", 1)
    return ledger


def read(hold, stream):
    got = 0
    for _ in hold.stream(stream, stop_at_limit=True):
        got += 1
    return got


def test_a_long_stream_stops_over_by_at_most_one_chunk(ledger):
    stream = Stream(128_000)
    with ledger.hold("alice", **CALL) as hold, pytest.raises(StreamStopped) as stopped:
        read(hold, stream)
    error = stopped.value
    assert isinstance(error, BudgetExceededError)
    assert (stream.closed, error.hold_id, error.entry) == (True, hold.id, hold.closed_by)
    assert (error.account, error.available) == ("alice", 0)
    posted = ledger.balance("alice").posted
    assert 1 - CHUNK <= posted <= 1 + CHUNK
    assert error.entry.output_tokens == 128_000 - stream.left
    assert ledger.balance("alice").held == 0
    assert sum(entry.kind == "increase" for entry in ledger.entries("alice")) < 60


def test_a_stream_asks_for_more_and_ends(ledger):
    stream = Stream(6000)
    hold = ledger.hold("alice", **CALL)
    assert read(hold, stream) == 6001
    assert hold.amount > hold.closed_by.cost == Decimal("0.06002")
    assert hold.closed_by.output_tokens == 6000


def test_a_stream_within_its_hold_asks_for_nothing(ledger):
    hold = ledger.hold("alice", **CALL, max_output_tokens=100)
    assert read(hold, Stream(100)) == 101
    assert [entry.kind for entry in ledger.entries("alice")] == ["budget", "hold", "settle"]


def test_a_stream_whose_last_chunk_is_over_is_whole(ledger):
    ledger.set_budget("alice", "0.0011")
    hold = ledger.hold("alice", **CALL, max_output_tokens=100)
    whole = {**chunk(" word" * 500), "usage": {"prompt_tokens": 8, "completion_tokens": 500}}
    whole["choices"][0]["finish_reason"] = "stop"
    assert read(hold, [whole]) == 1


def test_tokens_limit_it_too(ledger):
    ledger.set_budget("alice", tokens=500)
    hold = ledger.hold("alice", **CALL, max_output_tokens=100)
    stream = Stream(1000)
    with pytest.raises(StreamStopped, match="tokens"):
        read(hold, stream)
    counted = hold.closed_by.input_tokens + hold.closed_by.output_tokens
    assert 500 <= counted <= 501


def test_an_amount_is_measured_by_the_models_price(ledger):
    ledger.set_budget("alice", "0.01")
    hold = ledger.hold("alice", "0.01", model="gpt-4o")
    stream = Stream(5000)
    with pytest.raises(StreamStopped):
        read(hold, stream)
    assert 5000 - stream.left == 1001
    assert hold.closed_by.cost == Decimal("0.01")  # assumed: its prompt is not known


def test_without_a_price_there_is_nothing_to_measure_by(ledger):
    stream, hold = Stream(5), ledger.hold("alice", "0.01", model="my-own")
    with pytest.raises(UnpricedModel):
        read(hold, stream)
    assert (stream.left, hold.closed_by) == (5, None)
    ledger.set_price("my-own", input=1, output=1)
    assert read(hold, stream) == 6


def test_freezing_the_account_stops_it_where_the_hold_ends(ledger):
    hold, stream = ledger.hold("alice", **CALL, max_output_tokens=10), Stream(50)
    ledger.freeze("alice")
    with pytest.raises(StreamStopped, match="frozen"):
        read(hold, stream)
    assert 10 <= 50 - stream.left <= 20


def test_a_task_reads_a_stream_that_stops(ledger):
    async def main():
        stream = Stream(128_000)
        async with AsyncLedger(ledger).hold("alice", **CALL) as hold:
            chunks = hold.stream(stream, stop_at_limit=True)
            with pytest.raises(StreamStopped) as stopped:
                _ = [one async for one in chunks]
        counted = stopped.value.entry.output_tokens
        assert (stream.closed, counted) == (True, 128_000 - stream.left)

    ledger.set_budget("alice", "0.2")
    asyncio.run(main())
    assert Decimal("0.2") - CHUNK <= ledger.balance("alice").posted <= Decimal("0.2") + CHUNK
