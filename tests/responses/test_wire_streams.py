"""Streams as the lines of HTTP, and what chunks tell of tools and usage before the last one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from charging import objects

from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.usage import Usage

CHAT = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


def reading(chunks: Iterable[object]) -> StreamReading:
    stream = StreamReading()
    for chunk in chunks:
        stream.add(chunk)
    return stream


def read(chunks: Iterable[object]) -> StreamUsage:
    return reading(chunks).usage("gpt-4o", 777)


def said(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": content | delta, "finish_reason": finish}]}


OPENAI = [said("Hello"), said(" there"), said(finish="stop"), {"choices": [], "usage": CHAT}]
ANTHROPIC = [
    {"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": {
        "input_tokens": 25, "output_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 15}},
]  # fmt: skip
OLLAMA = [
    {"model": "m", "message": {"content": "Hello"}, "done": False},
    {"model": "m", "message": {"content": ""}, "done": True, "prompt_eval_count": 9,
     "eval_count": 4},
]  # fmt: skip


def sse(events: list[dict[str, Any]]) -> str:
    named = (
        f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}" for event in events
    )
    return ": OPENROUTER PROCESSING\n\n" + "\n\n".join([*named, "data: [DONE]", ""])


def lines(events: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


WIRE = {
    "OpenAI": (sse(OPENAI), Usage(100, 50)),
    "Anthropic": (sse(ANTHROPIC), Usage(25, 15)),
    "Ollama": (lines(OLLAMA), Usage(9, 4)),
}


@pytest.mark.parametrize("name", WIRE)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_lines_of_http_are_read_however_they_are_cut(name: str, size: int) -> None:
    text, usage = WIRE[name]
    for whole in (text, text.replace("\n", "\r\n"), text.encode()):
        cuts = [*range(0, len(whole), size), len(whole)]
        used = read(whole[start:end] for start, end in pairwise(cuts))
        assert (used.usage, used.reported) == (usage, True)


@pytest.mark.parametrize("name", WIRE)
def test_lines_without_their_ends_are_read(name: str) -> None:
    text, usage = WIRE[name]
    for each in (text, text.encode()):
        used = read(each.splitlines())
        assert (used.usage, used.reported) == (usage, True)


@pytest.mark.parametrize("text", [
    "Hello there", '{"name": "x", "values": [1, 2]}', "data: none\nmore", "event: a party", ":)",
    "{\n  1: 2\n}", "id: 7", '{"done": 1}',
])  # fmt: skip
def test_text_that_looks_like_lines_of_http_is_counted_as_text(text: str) -> None:
    plain = StreamReading()
    plain.add({"choices": [{"index": 0, "delta": {"content": text}}]})
    for pieces in ([text], [*text]):
        stream = reading(pieces)
        assert not stream.is_unrecognised
        assert not stream.is_empty
        assert stream.usage("gpt-4o", 777) == plain.usage("gpt-4o", 777)


def test_a_cut_stream_of_lines_counts_its_text_alone() -> None:
    whole = sse(OPENAI)
    used = read([whole[: whole.index('"finish_reason": "stop"')]])
    assert used == read([said("Hello"), said(" there")])


def test_an_error_among_the_lines_says_that_the_call_failed() -> None:
    assert reading(['data: {"error": {"message": "overloaded"}}\n\n']).is_failed


def gemini(text: str = "", **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}],
            "modelVersion": "gemini-3-pro-preview"}  # fmt: skip


def counted(**more: int) -> dict[str, Any]:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14} | more
    return gemini(finishReason="STOP") | {"usageMetadata": usage}


def message(content: object = "", usage: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "AIMessageChunk", "content": content, "response_metadata": {},
            "usage_metadata": usage, **more}  # fmt: skip


def used(into: int, out: int, **details: int) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": into, "output_tokens": out}
    return usage | ({"input_token_details": details} if details else {})


STREAMS: dict[str, tuple[list[dict[str, Any]], Usage]] = {
    "maps before the usage": (
        [gemini("a", groundingMetadata={"groundingChunks": [{"maps": {"uri": "u"}}]}), counted()],
        Usage(10, 4, map_searches=1),
    ),
    "searches in several chunks": (
        [gemini("a", groundingMetadata={"webSearchQueries": ["a"]}),
         gemini("b", groundingMetadata={"webSearchQueries": ["a", "b"]}), counted()],
        Usage(10, 4, web_searches=2),
    ),
    "what a search read is free": (
        [gemini("a", groundingMetadata={"webSearchQueries": ["a"]}),
         counted(toolUsePromptTokenCount=500, totalTokenCount=514)],
        Usage(10, 4, web_searches=1),
    ),
    "Groq's tools": (
        [said(executed_tools=[{"index": 0, "type": "search"}]),
         said(executed_tools=[{"index": 0, "output": "x"}, {"index": 1, "type": "visit"}]),
         said("Hello", finish="stop"), {"choices": [], "x_groq": {"usage": CHAT}}],
        Usage(100, 50, paid_tool_calls=2),
    ),
    "Groq's several models": (
        [said("Hello", finish="stop"), {"choices": [], "x_groq": {"usage": CHAT, "usage_breakdown":
         {"models": [{"model": "a"}, {"model": "b"}]}}}],
        Usage(100, 50, paid_tool_calls=1),
    ),
    "LangChain, OpenAI": (
        [message("Hello"), message(usage=used(9, 4, cache_read=5))], Usage(9, 4, 5)),
    "LangChain, Anthropic": (
        [message(usage=used(109, 0, cache_read=100)), message([{"type": "text", "text": "Hi"}]),
         message(usage=used(0, 4))],
        Usage(109, 4, 100),
    ),
    "LangChain, Gemini": (
        [message("He", used(9, 1)),
         message("llo", used(0, 3), response_metadata={"finish_reason": "STOP"})],
        Usage(9, 4),
    ),
    "LangChain, tools alone": (
        [message(tool_call_chunks=[{"name": "look", "args": ""}]),
         message(tool_call_chunks=[{"name": None, "args": '{"at": 1}'}]),
         message(usage=used(9, 4))],
        Usage(9, 4),
    ),
    "LlamaIndex": (
        [{"delta": "Hello", "message": {}, "raw": said("Hello")},
         {"delta": "", "message": {}, "raw": said(finish="stop")},
         {"delta": "", "message": {}, "raw": {"choices": [], "usage": CHAT}}],
        Usage(100, 50),
    ),
    "AI SDK 6": (
        [{"type": "start"}, {"type": "text-delta", "id": "0", "text": "Hello"},
         {"type": "finish-step", "usage": {"inputTokens": 1, "outputTokens": 1}},
         {"type": "finish", "totalUsage": {"inputTokens": 9, "outputTokens": 4}}],
        Usage(9, 4),
    ),
    "AI SDK 4": (
        [{"type": "text-delta", "textDelta": "Hello"},
         {"type": "finish", "usage": {"promptTokens": 9, "completionTokens": 4}}],
        Usage(9, 4),
    ),
    "Cloudflare": (
        [{"response": "Hel", "p": "a"}, {"response": "lo"}, {"response": "", "usage": CHAT}],
        Usage(100, 50),
    ),
    "a realtime session": (
        [{"type": "response.done", "response": {"usage": {"input_tokens": 9, "output_tokens": 4,
          "input_token_details": {"cached_tokens": 0}}}}] * 2,
        Usage(18, 8),
    ),
    "a realtime session that transcribes": (
        [{"type": "conversation.item.input_audio_transcription.completed", "transcript": "x"},
         {"type": "response.done", "response": {"usage": {"input_tokens": 9, "output_tokens": 4,
          "input_token_details": {"cached_tokens": 0}}}}],
        Usage(9, 4, paid_tool_calls=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_all_that_a_stream_tells_is_billed_once(name: str) -> None:
    chunks, usage = STREAMS[name]
    for each in (chunks, [objects(chunk) for chunk in chunks]):
        told = read(each)
        assert (told.usage, told.reported) == (usage, True)


CUT: list[list[dict[str, Any]]] = [
    [message("Hello"), message(" there")],
    [message(usage=used(9, 0)), message("Hello there")],
    [{"delta": "Hello there", "message": {}, "raw": said("Hello there")}],
    [{"type": "text-delta", "id": "0", "delta": "Hello there"}],
    [{"response": "Hello", "p": "a"}, {"response": " there"}],
    [{"token": {"id": 1, "text": "Hello"}}, {"token": {"id": 2, "text": " there"}}],
]


@pytest.mark.parametrize("chunks", CUT)
def test_the_text_of_a_cut_stream_is_counted(chunks: list[dict[str, Any]]) -> None:
    told = read(chunks)
    assert not told.reported
    assert told.usage is not None
    assert told.usage.output_tokens == 2
    assert told.usage.input_tokens in (9, 777)


def test_an_error_inside_an_event_says_that_the_call_failed() -> None:
    event = {"event": "error", "data": {"type": "conversation.response.error", "message": "m"}}
    assert reading([event]).is_failed
    assert not reading([said("Hello"), event]).is_failed
