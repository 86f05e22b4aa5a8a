"""Streams as the real clients hand them out, read from what a server on this machine sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from types import ModuleType
from typing import Any

import anthropic
import openai
import pytest
from canned import EVENTS, sent_events, serving

from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.tokens import count_tokens
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own

GPT, CLAUDE = "gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"
ASKED: Any = [{"role": "user", "content": "hi"}]
PROMPT = 777  # the caller's estimate
SAID = ["The ledger keeps", " every row."]

Serve = Callable[[list[dict[str, Any]]], str]


def read(chunks: Iterable[object]) -> StreamUsage:
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
    return reading.usage(None, PROMPT)


def counted(model: str, *more: str) -> int:
    return count_tokens(model, text="".join([*more, *SAID])).tokens


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers every call with these events, and give its address."""
    with ExitStack() as servers:
        yield lambda events: servers.enter_context(serving(sent_events(events), EVENTS))


@pytest.fixture(scope="module")
def litellm() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no network
        import litellm

        yield litellm


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="none", base_url=url, max_retries=0)


def anthropic_client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)


def chat(*choices: Any, usage: Any = None) -> dict[str, Any]:
    kind = {"id": "c1", "object": "chat.completion.chunk", "created": 1795000000, "model": GPT}
    return kind | {"choices": list(choices), "usage": usage}


def choice(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}


TOOL = {"index": 0, "id": "t1", "type": "function", "function": {"name": "look", "arguments": ""}}
CHAT = [
    chat(choice(role="assistant", content="")),
    *(chat(choice(content=text)) for text in SAID),
    chat(choice(tool_calls=[TOOL])),
    chat(choice(tool_calls=[{"index": 0, "function": {"arguments": '{"at": 1}'}}])),
    chat(choice("tool_calls")),
    chat(
        usage={
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920},
            "completion_tokens_details": {"reasoning_tokens": 128},
        }
    ),
]


def test_openai_chat(serve: Serve) -> None:
    asked: Any = {"model": GPT, "messages": ASKED, "stream_options": {"include_usage": True}}
    client = openai_client(serve(CHAT))
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len(chunks) == len(CHAT)
    usage = Usage(2006, 300, 1920, reasoning_tokens=128)
    text = "".join([*SAID, "look", '{"at": 1}'])
    cut = (GPT, Usage(PROMPT, count_tokens(GPT, text=text).tokens), None, False)
    for shape in (chunks, [chunk.model_dump() for chunk in chunks]):
        assert read(shape) == (GPT, usage, None, True)
        assert read(shape[:-1]) == cut
    with client.chat.completions.stream(**asked) as events:
        assert read(events) == (GPT, usage, None, True)
    with client.chat.completions.stream(**asked) as events:
        assert read(event for event in events if getattr(event, "chunk", None) != chunks[-1]) == cut


def test_openai_text_completion(serve: Serve) -> None:
    model = "gpt-3.5-turbo-instruct"
    kind = {"id": "c1", "object": "text_completion", "created": 1795000000, "model": model}
    events = [
        kind | {"choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in SAID
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    client = openai_client(serve([*events, kind | {"choices": [], "usage": usage}]))
    chunks = list(client.completions.create(model=model, prompt="hi", stream=True))
    assert read(chunks) == (model, Usage(9, 7), None, True)
    assert read(chunks[:-1]) == (model, Usage(PROMPT, counted(model)), None, False)


RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1795000000,
    "model": GPT,
    "status": "in_progress",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": None,
}
RESPONSE_USAGE = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 0},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 380,
}
AT = {"item_id": "i1", "output_index": 0, "content_index": 0}
MESSAGE = {"id": "i1", "type": "message", "role": "assistant", "status": "in_progress"}
EMPTY = {"type": "output_text", "text": "", "annotations": []}


def responses(status: str, usage: Any) -> list[dict[str, Any]]:
    done = MESSAGE | {"status": "completed", "content": [EMPTY | {"text": "".join(SAID)}]}
    whole = RESPONSE | {"status": status, "usage": usage, "output": [done]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": RESPONSE},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": MESSAGE | {"content": []},
        },
        {"type": "response.content_part.added", **AT, "part": EMPTY},
        *(
            {"type": "response.output_text.delta", **AT, "delta": text, "logprobs": []}
            for text in SAID
        ),
        {"type": "response.output_text.done", **AT, "text": "".join(SAID), "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": f"response.{status}", "response": whole},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_openai_responses(serve: Serve, status: str) -> None:
    client = openai_client(serve(responses(status, RESPONSE_USAGE)))
    events = list(client.responses.create(model=GPT, input="hi", stream=True))
    cut = (GPT, Usage(PROMPT, counted(GPT)), None, False)
    for shape in (events, [event.model_dump() for event in events]):
        assert read(shape) == (GPT, Usage(328, 52, 256, reasoning_tokens=40), None, True)
        assert read(shape[:-1]) == cut


def test_openai_responses_helper(serve: Serve) -> None:
    client = openai_client(serve(responses("completed", RESPONSE_USAGE)))
    with client.responses.stream(model=GPT, input="hi") as events:
        reading = StreamReading()
        for event in events:
            if event.type == "response.completed":
                assert reading.usage(None, 5) == (GPT, Usage(5, counted(GPT)), None, False)
            reading.add(event)
    whole = Usage(328, 52, 256, reasoning_tokens=40)
    assert reading.usage(None, PROMPT) == (GPT, whole, None, True)


CLAUDE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": CLAUDE,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 50,
                "output_tokens": 1,
                "cache_read_input_tokens": 2000,
                "cache_creation_input_tokens": 1000,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 400,
                    "ephemeral_1h_input_tokens": 600,
                },
            },
        },
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Hm. "},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "EqQBCgIYAhIM"},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *(
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}}
        for text in SAID
    ),
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 20},
    },
    {"type": "message_stop"},
]
CLAUDE_USAGE = Usage(3050, 20, 2000, 400, 600)


def test_anthropic_messages(serve: Serve) -> None:
    asked: Any = {"model": CLAUDE, "max_tokens": 99, "messages": ASKED}
    cut_usage = CLAUDE_USAGE._replace(output_tokens=counted(CLAUDE, "Hm. "))
    for events, expected in (
        (CLAUDE_EVENTS, (CLAUDE, CLAUDE_USAGE, None, True)),
        (CLAUDE_EVENTS[:-2], (CLAUDE, cut_usage, None, False)),
    ):
        client = anthropic_client(serve(events))
        raw = list(client.messages.create(**asked, stream=True))
        assert read(raw) == expected
        assert read([event.model_dump() for event in raw]) == expected
        with client.messages.stream(**asked) as helped:
            assert read(helped) == expected
        with client.messages.stream(**asked) as helped:
            found = read(helped.text_stream)  # the text alone, without any model
        assert found == (None, Usage(PROMPT, counted("unknown")), None, False)


def stream_of(litellm: ModuleType, model: str, include: bool, **more: Any) -> list[Any]:
    options = {"stream_options": {"include_usage": True}} if include else {}
    asked = {"model": model, "messages": ASKED, "stream": True, **options, **more}
    return list(litellm.completion(**asked))


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5"])
def test_litellm(litellm: ModuleType, model: str) -> None:
    chunks = stream_of(litellm, model, True, mock_response="".join(SAID))
    whole = litellm.stream_chunk_builder(chunks, messages=ASKED)
    usage = Usage(whole.usage.prompt_tokens, whole.usage.completion_tokens)
    assert usage.input_tokens
    assert usage.output_tokens
    cost = None
    if hasattr(chunks[-1].usage, "cost"):  # not in LiteLLM 1.80 and 1.90
        cost = Decimal(repr(chunks[-1].usage.cost))
        assert float(cost) == pytest.approx(litellm.completion_cost(whole))
    assert read(chunks) == (model, usage, cost, True)
    assert read(chunk.model_dump() for chunk in chunks) == (model, usage, None, True)
    assert read(chunks[:-1]) == (model, Usage(PROMPT, counted(model)), None, False)


def test_litellm_not_asked_for_the_usage(litellm: ModuleType) -> None:
    chunks = stream_of(litellm, "gpt-4o", False, mock_response="".join(SAID))
    assert read(chunks) == ("gpt-4o", Usage(PROMPT, counted("gpt-4o")), None, False)


def test_litellm_async(litellm: ModuleType) -> None:
    async def call() -> StreamUsage:
        reading = StreamReading()
        async for chunk in await litellm.acompletion(
            model="gpt-4o",
            messages=ASKED,
            mock_response="".join(SAID),
            stream=True,
            stream_options={"include_usage": True},
        ):
            reading.add(chunk)
        return reading.usage(None, None)

    chunks = stream_of(litellm, "gpt-4o", True, mock_response="".join(SAID))
    assert asyncio.run(call()) == read(chunks)


@pytest.mark.parametrize("include", [True, False])
def test_claude_through_litellm(litellm: ModuleType, serve: Serve, include: bool) -> None:
    model = "anthropic/claude-sonnet-4-5"
    url = serve(CLAUDE_EVENTS)
    chunks = stream_of(litellm, model, include, api_key="none", api_base=url)
    found = read(chunks)
    told = [getattr(chunk, "usage", None) or chunk._hidden_params.get("usage") for chunk in chunks]
    *_, last = filter(None, told)
    expected, cost, is_whole = CLAUDE_USAGE, Decimal("0.00615"), last.prompt_tokens > 0
    if not hasattr(last, "cost"):  # nor do those tell how long a cache is kept
        expected, cost = (
            CLAUDE_USAGE._replace(cache_write_tokens=1000, cache_write_1h_tokens=0),
            None,
        )
    if not is_whole:  # LiteLLM 1.80, which leaves the prompt out if not asked for the usage
        expected = Usage(PROMPT, 20)
    # what Anthropic told, the cache in it once; LiteLLM itself counts the reasoning
    assert found.usage._replace(reasoning_tokens=0) == expected
    assert found[2:] == (cost, is_whole)
    last_text = max(at for at, chunk in enumerate(chunks) if SAID[-1] in repr(chunk))
    estimate = Usage(PROMPT, counted("claude-sonnet-4-5", "Hm. "))
    assert read(chunks[: last_text + 1]) == ("claude-sonnet-4-5", estimate, None, False)


def test_litellm_responses(litellm: ModuleType) -> None:
    from litellm.types.llms.openai import (
        OutputTextDeltaEvent,
        ResponseCompletedEvent,
        ResponsesAPIStreamEvents,
    )

    usage = RESPONSE_USAGE | {"cost": 0.00125}
    events = [
        *(
            OutputTextDeltaEvent(type=ResponsesAPIStreamEvents.OUTPUT_TEXT_DELTA, delta=text, **AT)
            for text in SAID
        ),
        ResponseCompletedEvent(
            type=ResponsesAPIStreamEvents.RESPONSE_COMPLETED, response=RESPONSE | {"usage": usage}
        ),
    ]
    whole = Usage(328, 52, 256, reasoning_tokens=40)
    assert read(events) == (GPT, whole, Decimal("0.00125"), True)
    assert read(event.model_dump() for event in events) == (GPT, whole, None, True)
    assert read(events[:-1]) == (None, Usage(PROMPT, counted("unknown")), None, False)
