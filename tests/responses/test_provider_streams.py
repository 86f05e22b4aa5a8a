"""Streams of more providers, whole and cut, and streams of a shape that is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from charging import objects

from budgetledger import Ledger
from budgetledger.errors import UnpricedWarning
from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

CHAT = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


def read(chunks: Iterable[object], model: str = "m") -> StreamUsage:
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
    return reading.usage(model, 777)


def delta(**content: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"delta": content, "contentBlockIndex": 0}}


def bedrock(*bodies: bytes) -> list[dict[str, Any]]:
    return [{"chunk": {"bytes": body}} for body in bodies]


METRICS = b'"amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":4}'
STREAMS: dict[str, list[dict[str, Any]]] = {  # each of 9 and 4 tokens
    "ConverseStream": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockStart": {"start": {"toolUse": {"name": "look", "toolUseId": "t"}}}},
        delta(toolUse={"input": '{"at": 1}'}),
        delta(reasoningContent={"text": "A plan."}),
        delta(text="Hello there"),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 9, "outputTokens": 4}, "metrics": {}}},
    ],
    "InvokeModel, Llama": bedrock(
        b'{"generation":"Hello","prompt_token_count":9,"generation_token_count":1}',
        b'{"generation":" there","prompt_token_count":null,"generation_token_count":2}',
        b'{"generation":"","generation_token_count":4,"stop_reason":"stop",' + METRICS + b"}",
    ),
    "InvokeModel, Titan": bedrock(
        b'{"outputText":"Hello there","index":0,"totalOutputTextTokenCount":4,'
        b'"inputTextTokenCount":9,' + METRICS + b"}",
    ),
    "InvokeModel, Mistral": bedrock(
        b'{"outputs":[{"text":"Hello there","stop_reason":null}]}',
        b'{"outputs":[{"text":"","stop_reason":"stop"}],' + METRICS + b"}",
    ),
    "InvokeModel, Claude": bedrock(
        b'{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":9,'
        b'"output_tokens":1}}}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello there"}}',
        b'{"type":"message_delta","delta":{},"usage":{"output_tokens":4}}',
        b'{"type":"message_stop",' + METRICS.replace(b'":9', b'":8') + b"}",
    ),
    "InvokeModel, Nova": bedrock(
        b'{"messageStart":{"role":"assistant"}}',
        b'{"contentBlockDelta":{"delta":{"text":"Hello there"},"contentBlockIndex":0}}',
        b'{"metadata":{"usage":{"inputTokens":9,"outputTokens":4}},' + METRICS + b"}",
    ),
    "InvokeModel, Cohere": bedrock(
        b'{"event_type":"text-generation","text":"Hello there","is_finished":false}',
        b'{"event_type":"stream-end","is_finished":true,"response":{"text":"Hello there"},'
        + METRICS + b"}",
    ),
    "Cohere v2": [
        {"type": "message-start", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "Hello there"}}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}},
        {"type": "tool-call-start", "delta": {"message": {"tool_calls": {
            "function": {"name": "look", "arguments": ""}}}}},
        {"type": "tool-call-delta", "delta": {"message": {"tool_calls": {
            "function": {"arguments": "{}"}}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"usage": {"billed_units": {
            "input_tokens": 9, "output_tokens": 4}}}},
    ],
    "Cohere v1": [
        {"event_type": "stream-start", "generation_id": "g"},
        {"event_type": "text-generation", "text": "Hello there"},
        {"event_type": "stream-end", "response": {"text": "Hello there", "meta": {
            "billed_units": {"input_tokens": 9, "output_tokens": 4}}}},
    ],
    "mistralai": [
        {"data": {"choices": [{"delta": {"content": "Hello there"}, "index": 0}]}},
        {"data": {"choices": [{"delta": {"content": ""}, "index": 0, "finish_reason": "stop"}],
                  "usage": {"prompt_tokens": 9, "completion_tokens": 4}}},
    ],
    "Mistral's conversations": [
        {"event": "conversation.response.started",
         "data": {"type": "conversation.response.started", "conversation_id": "c"}},
        {"event": "message.output.delta",
         "data": {"type": "message.output.delta", "content": "Hello there", "model": "m"}},
        {"event": "conversation.response.done", "data": {"type": "conversation.response.done",
         "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}},
    ],
    "Ollama chat": [
        {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": False},
        {"model": "m", "message": {"content": "", "tool_calls": [
            {"function": {"name": "look", "arguments": {"at": 1}}}]}, "done": False},
        {"model": "m", "message": {"content": ""}, "done": True, "prompt_eval_count": 9,
         "eval_count": 4},
    ],
    "Ollama generate": [
        {"model": "m", "response": "Hello there", "done": False},
        {"model": "m", "response": "", "done": True, "prompt_eval_count": 9, "eval_count": 4},
    ],
    "llama.cpp": [
        {"content": "Hello there", "stop": False},
        {"content": "", "stop": True, "tokens_evaluated": 9, "tokens_predicted": 4},
    ],
    "Groq": [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": "Hello there"}}]},
        {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
         "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}},
    ],
    "Moonshot": [
        {"choices": [{"index": 0, "delta": {"content": "Hello there"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop",
                      "usage": {"prompt_tokens": 9, "completion_tokens": 4}}]},
    ],
    "Gemini's Interactions": [
        {"event_type": "interaction.created", "interaction": {"id": "i", "model": "m"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 0, "delta": {
            "type": "thought_summary", "content": {"type": "text", "text": "A plan."}}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "Hello there"}},
        {"event_type": "interaction.completed", "interaction": {"id": "i", "model": "m",
         "usage": {"total_input_tokens": 9, "total_output_tokens": 4, "total_tokens": 13}}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_whole_and_cut(name: str) -> None:
    chunks = STREAMS[name]
    whole = read(chunks)
    assert (whole.usage, whole.reported) == (Usage(9, 4), True)
    attributes = [chunk if "chunk" in chunk else objects(chunk) for chunk in chunks]
    if "InvokeModel" not in name:
        assert read(attributes) == whole
    cut = StreamReading()
    for chunk in chunks[:-1]:
        cut.add(chunk)
    estimate = cut.usage("m", 777)
    if len(chunks) > 1 and name != "InvokeModel, Claude":
        assert not cut.is_unrecognised
        assert estimate.usage is not None
        assert not estimate.reported
        assert (estimate.usage.input_tokens, estimate.usage.output_tokens > 0) == (777, True)


def test_a_stream_of_unknown_shape_says_so_and_is_not_priced_as_a_prompt() -> None:
    reading = StreamReading()
    assert not reading.is_unrecognised  # nothing came
    reading.add({"kind": "piece", "words": "Hello there"})
    assert reading.is_unrecognised
    assert reading.usage("gpt-4o", 777) == (None, None, None, False)
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 100)
        hello = [{"role": "user", "content": "Hello"}]
        hold = ledger.hold("alice", model="gpt-4o", messages=hello, max_output_tokens=9)
        with pytest.warns(UnpricedWarning, match="unknown form"):
            list(hold.stream([{"kind": "piece", "words": "Hello there"}]))
        assert hold.closed_by is not None
        assert (hold.closed_by.cost, hold.closed_by.cost_basis) == (hold.amount, "assumed")
    reading.add({"choices": []})
    assert not reading.is_unrecognised


KNOWN: list[object] = ["Hello", b"Hello.", {"choices": []}, {"candidates": []}]
KNOWN += [{"type": "message_start", "message": {}}, {"usage": CHAT}]


@pytest.mark.parametrize("chunk", KNOWN)
def test_a_known_shape_is_known_before_it_says_anything(chunk: object) -> None:
    reading = StreamReading()
    reading.add(chunk)
    assert not reading.is_unrecognised
    assert reading.usage("gpt-4o", 777).usage is not None


def test_a_bill_at_the_end_of_a_stream_is_read() -> None:
    chunks = [
        {"model": "grok-4", "choices": [{"index": 0, "delta": {"content": "Hello"}}]},
        {"model": "grok-4", "choices": [], "usage": CHAT | {"cost_in_usd_ticks": 37_756_000}},
    ]
    assert read(chunks) == ("grok-4", Usage(100, 50), Decimal("0.0037756"), True)
