"""A hold around a stream: settled at its end, wherever that is."""

import gc
import warnings
from decimal import Decimal

import pytest
from hold_checks import kinds, stand
from samples import HELLO, RESPONSE, RESPONSE_COST

from budgetledger.errors import (
    UnrecordedWarning,
)


def said(text):
    return {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": text}}]}


OPENAI = [
    said("Hello"),
    said(" world"),
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [], "usage": RESPONSE["usage"]},
]
ANTHROPIC = [
    {
        "type": "message_start",
        "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 100}},
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 10}},
    {"type": "message_stop"},
]


class Source:
    """A stream as the clients have it, which notes that it was closed."""

    def __init__(self, *chunks, fails=None, on_close=None):
        self.chunks, self.fails, self.on_close = iter(chunks), fails, on_close
        self.closed = 0

    def __iter__(self):
        yield from self.chunks
        if self.fails:
            raise self.fails

    def close(self):
        self.closed += 1
        if self.on_close:
            raise self.on_close


@pytest.mark.parametrize(
    ("chunks", "model", "cost"),
    [
        (OPENAI, "gpt-4o", "0.0045"),
        (ANTHROPIC, "claude-sonnet-4-5", "0.00045"),  # 3.00 and 15.00 a million
    ],
)
def test_a_stream_is_settled_at_its_end(ledger, chunks, model, cost):
    source = Source(*chunks)
    with ledger.hold("alice", 4, model=model, tags={"a": 1}) as hold:
        assert list(hold.stream(source)) == chunks
        assert source.closed == 1
        assert hold.closed_by.cost == Decimal(cost)
    entry = hold.closed_by
    assert (entry.kind, entry.model, entry.tags, entry.note) == ("settle", model, {"a": 1}, None)
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_a_stream_left_early_is_estimated(ledger):
    # 8 tokens in by the hold's estimate, "Hello" out: one token.
    source = Source(*OPENAI)
    hold = ledger.hold("alice", **HELLO, max_output_tokens=400)
    for _ in hold.stream(source):
        break
    gc.collect()
    entry = hold.closed_by
    assert (entry.input_tokens, entry.output_tokens) == (8, 1)
    assert entry.cost == Decimal("0.00003")
    assert entry.note.startswith("estimated: ")
    assert (source.closed, stand(ledger)[1]) == (1, 0)


def test_a_stream_that_is_closed(ledger):
    hold = ledger.hold("alice", 4, model="claude-sonnet-4-5")
    source = Source(*ANTHROPIC)
    chunks = hold.stream(source)
    next(chunks), next(chunks)
    chunks.close()
    assert (source.closed, hold.closed_by.input_tokens) == (1, 100)  # as it told at its start
    assert hold.closed_by.output_tokens > 0
    chunks.close()
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_leaving_the_block_ends_the_stream(ledger):
    source = Source(*OPENAI)
    hold = ledger.hold("alice", **HELLO, max_output_tokens=50)
    chunks = hold.stream(source)
    with pytest.raises(RuntimeError), hold:
        raise RuntimeError(next(chunks))
    assert (source.closed, hold.closed_by.kind, hold.closed_by.output_tokens) == (1, "settle", 1)
    assert list(chunks) == []


def test_a_stream_never_read_is_released(ledger):
    with ledger.hold("alice", 4) as hold:
        chunks = hold.stream(Source(*OPENAI))
    assert list(chunks) == []
    assert kinds(ledger) == ["budget", "hold", "release"]


@pytest.mark.parametrize("within", [False, True])
def test_a_stream_that_breaks_before_its_first_chunk(ledger, within):
    source = Source(fails=ConnectionError("reset"))
    hold = ledger.hold("alice", 4)
    if within:
        with pytest.raises(ConnectionError), hold:
            list(hold.stream(source))
        assert kinds(ledger) == ["budget", "hold", "release"]
    else:
        with pytest.raises(ConnectionError):
            list(hold.stream(source))
        assert (kinds(ledger), stand(ledger)[1]) == (["budget", "hold"], 4)
        assert list(hold.stream(OPENAI)) == OPENAI  # the caller's second try
        assert stand(ledger)[:2] == (RESPONSE_COST, 0)
    assert source.closed == 1


def test_a_stream_that_breaks_in_the_middle(ledger):
    source = Source(*OPENAI[:2], fails=ConnectionError("reset"))
    seen = []
    with pytest.raises(ConnectionError, match="reset"), ledger.hold("alice", **HELLO) as hold:
        seen += [chunk for chunk in hold.stream(source)]  # noqa: C416
    entry = hold.closed_by
    # "Hello world" is two tokens out.
    assert (entry.kind, entry.input_tokens, entry.output_tokens) == ("settle", 8, 2)
    assert entry.cost == Decimal("0.00004")


@pytest.mark.parametrize("error", [OSError("reset"), KeyboardInterrupt()])
def test_a_source_that_cannot_be_closed_still_settles(ledger, error):
    source = Source(*OPENAI, on_close=error)
    with pytest.raises(type(error)), ledger.hold("alice", 4) as hold:
        list(hold.stream(source))
    assert (kinds(ledger), hold.closed_by.cost) == (["budget", "hold", "settle"], RESPONSE_COST)


def test_a_store_that_fails_at_the_end_of_a_stream_costs_no_chunks(ledger, store_fails):
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    with pytest.warns(UnrecordedWarning, match=r"could not be settled .*settle\(\) again"):
        assert list(hold.stream(OPENAI)) == OPENAI
    store_fails(ledger, False)
    assert hold.settle().cost == RESPONSE_COST


def test_a_store_that_failed_at_the_end_of_a_stream_is_asked_again_on_leaving(ledger, store_fails):
    with ledger.hold("alice", 4) as hold:
        store_fails(ledger)
        with pytest.warns(UnrecordedWarning):
            list(hold.stream(OPENAI))
        store_fails(ledger, False)
    assert (kinds(ledger), stand(ledger)[0]) == (["budget", "hold", "settle"], RESPONSE_COST)


def test_where_warnings_are_errors_a_stream_without_a_price_ends_as_it_would(ledger, caplog):
    warnings.simplefilter("error")
    chunks = [chunk | {"model": "nobody-prices-it"} for chunk in OPENAI]
    with ledger.hold("alice", 4) as hold:
        assert list(hold.stream(chunks)) == chunks
    assert (hold.closed_by.kind, hold.closed_by.cost) == ("settle", 4)
    assert "recorded with what was held" in caplog.text


def test_where_warnings_are_errors_the_providers_error_stays(ledger, store_fails, caplog):
    warnings.simplefilter("error")
    hold = ledger.hold("alice", 4)
    store_fails(ledger)
    with pytest.raises(ConnectionError, match="reset"), hold:
        list(hold.stream(Source(*OPENAI, fails=ConnectionError("reset"))))
    assert "could not be settled" in caplog.text


def test_an_interrupt_at_the_end_of_a_stream_loses_no_cost(ledger, monkeypatch):
    def interrupted(operation):
        monkeypatch.undo()
        raise KeyboardInterrupt

    hold = ledger.hold("alice", 4)
    monkeypatch.setattr(ledger._journal.store, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), hold:
        list(hold.stream(OPENAI))
    assert stand(ledger)[0] == RESPONSE_COST


def test_settled_by_hand_within_the_stream(ledger):
    with ledger.hold("alice", 4) as hold:
        for chunk in hold.stream(OPENAI):
            if chunk["choices"] == []:
                hold.settle(chunk, model="gpt-4o")
    assert kinds(ledger) == ["budget", "hold", "settle"]


def test_a_second_stream_is_not_lost_without_a_word(ledger):
    hold = ledger.hold("alice", 4)
    list(hold.stream(OPENAI))
    with pytest.warns(UnrecordedWarning):
        list(hold.stream(OPENAI))


def test_a_stream_that_goes_on_after_the_release_is_settled(ledger):
    hold = ledger.hold("alice", 4)
    chunks = hold.stream(OPENAI)
    next(chunks)
    hold.release()
    assert len(list(chunks)) == 3
    assert stand(ledger)[0] == RESPONSE_COST


def test_a_stream_of_a_hold_that_somebody_settled(ledger, opened):
    hold = ledger.hold("alice", 4)
    chunks = hold.stream(OPENAI)
    next(chunks)
    opened().holds("alice")[0].settle(1)
    with pytest.warns(UnrecordedWarning, match="was settled by entry 3"):
        assert len(list(chunks)) == 3
    assert stand(ledger) == (1, 0, 9)


def test_a_stream_after_the_deadline_is_settled(ledger, clock):
    hold = ledger.hold("alice", 4, expires_in=60)
    chunks = hold.stream(OPENAI)
    next(chunks)
    clock.advance(minutes=5)
    ledger.hold("alice", 1).release()
    list(chunks)
    assert stand(ledger)[:2] == (RESPONSE_COST, 0)
