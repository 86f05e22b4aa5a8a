"""Counting tokens: models by any name, prompts of any shape, and text nobody meant to count."""

from __future__ import annotations

import copy
import gzip
import json
import os
import pickle
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from budgetledger.errors import BudgetledgerError, InvalidInput
from budgetledger.tokens import (
    TokenCount,
    count_bounds,
    count_tokens,
    vocabularies,
    vocabulary_weights,
)
from budgetledger.tokens import encodings as _encodings
from budgetledger.tokens.text_percents import bounds as bounds_of
from budgetledger.tokens.text_percents import percents_of

SEVEN = "one two three four five six seven"
JAPANESE = "お誕生日おめでとう"  # 9 tokens of cl100k, 8 of o200k
HELLO = [{"role": "user", "content": "hello"}]
ROOT = Path(__file__).parents[2]


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


# -- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4", "gpt-4-0613", "gpt-4-1106-preview", "gpt-4-turbo", "gpt-4-32k", "GPT-3.5-Turbo",
        "azure/gpt-35-turbo", "azure/gpt4", "openai/gpt-4", "ft:gpt-3.5-turbo:org::id",
        "text-embedding-3-large", "azure/text-embedding-ada-002", "davinci-002",
    ],
)  # fmt: skip
def test_cl100k_is_the_vocabulary_of(model: str) -> None:
    assert count_tokens(model, text=JAPANESE) == (9, "exact")


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o", " GPT-4o ", "gpt4o", "openrouter/openai/gpt-4o:extended", "azure/eu/gpt-4o",
        "gpt-4o-mini-2024-07-18.ft-abc", "ft:gpt-4.1-mini-2025-04-14:org::id", "openai/ft:gpt-4o:o",
        "gpt-4.1", "azure/gpt-4-1-mini", "gpt-4.5-preview", "chatgpt-4o-latest", "codex-mini",
        "o1", "o3-mini", "openai/o4-mini-deep-research", "computer-use-preview", "gpt-5",
        "gpt-5.6-sol", "gpt-6-sol", "gpt-6.1-terra", "gpt-9-whatever", "gpt-audio",
        "groq/openai/gpt-oss-120b", "openai.gpt-oss-20b-1:0", "us.openai.gpt-6-sol",
    ],
)  # fmt: skip
def test_o200k_is_the_vocabulary_of(model: str) -> None:
    assert count_tokens(model, text=JAPANESE) == (8, "exact")


@pytest.mark.parametrize(
    ("model", "family", "method"),
    [
        ("claude-3-5-sonnet-20241022", "CLAUDE_OLD", "proxy"),
        ("claude-opus-4-20250514", "CLAUDE_OLD", "proxy"),
        ("claude-opus-4-6", "CLAUDE_OLD", "proxy"),
        ("anthropic/claude-opus-4.6", "CLAUDE_OLD", "proxy"),
        ("anthropic.claude-v2:1", "CLAUDE_OLD", "proxy"),
        ("claude-opus-4-8", "CLAUDE", "proxy"),
        ("claude-fable-5-2", "CLAUDE", "proxy"),
        ("bedrock/us.anthropic.claude-haiku-5-5-v1:0", "CLAUDE", "proxy"),
        ("vertex_ai/claude-opus-4-7@20260416", "CLAUDE", "proxy"),
        ("claude-latest", "CLAUDE", "proxy"),
        ("gemini/gemini-2.5-pro", "GEMINI", "proxy"),
        ("ollama/gemma3:27b", "GEMINI", "proxy"),
        ("mistral/ministral-8b", "TEKKEN", "proxy"),
        ("mistral/mistral-large-latest", "TEKKEN", "proxy"),
        ("mistral-small-2409", "TEKKEN", "proxy"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "TEKKEN", "proxy"),
        ("openrouter/mistralai/devstral-medium", "TEKKEN", "proxy"),
        ("mistral.mistral-large-2402-v1:0", "SENTENCEPIECE", "proxy"),
        ("vertex_ai/mistral-large@2407", "SENTENCEPIECE", "proxy"),
        ("groq/mixtral-8x7b-32768", "SENTENCEPIECE", "proxy"),
        ("mistral.mistral-7b-instruct-v0:2", "SENTENCEPIECE", "proxy"),
        ("ollama/mistral:7b", "SENTENCEPIECE", "proxy"),
        ("ollama/mistral", "SENTENCEPIECE", "proxy"),
        ("meta.llama2-70b-chat-v1", "SENTENCEPIECE", "proxy"),
        ("together_ai/codellama-34b", "SENTENCEPIECE", "proxy"),
        ("groq/llama-3.3-70b", "LLAMA", "proxy"),
        ("ollama/llama3.2", "LLAMA", "proxy"),
        ("ollama/qwen3", "OTHER", "estimate"),  # it is not Llama's
        ("deepseek/deepseek-chat", "DEEPSEEK", "proxy"),
        ("groq/deepseek-r1-distill-llama-70b", "OTHER", "proxy"),
        ("azure/chat-production", "OTHER", "estimate"),
        ("text-embedding-004", "OTHER", "estimate"),  # Google's
        ("text-davinci-003", "OTHER", "estimate"),  # a vocabulary of its own
        ("gpt-2", "OTHER", "estimate"),
        ("some-model", "OTHER", "estimate"),
    ],
)
def test_the_weights_of_another_vendors_vocabulary(model: str, family: str, method: str) -> None:
    assert count_tokens("gpt-4o", text=SEVEN * 3).tokens == 21
    tokens, at_most = bounds_of(percents(getattr(vocabulary_weights, family), SEVEN * 3))
    for _ in range(2):  # the second time by the fast path
        counted = count_tokens(model, text=SEVEN * 3)
        assert counted == (tokens, method)
        assert counted.at_most == at_most
    bounds = count_bounds(model, text=SEVEN * 3)
    assert bounds[:2] == (counted.at_most, method)
    assert bounds.low_tokens <= counted.tokens < counted.at_most


@pytest.mark.parametrize("model", ["azure/my-gpt-4o-deployment", "azure/prod-o3-mini"])
def test_a_deployment_named_after_a_model_is_counted_as_that(model: str) -> None:
    counted = count_tokens(model, text=SEVEN * 3)
    assert counted == (counted.at_most, counted.method) == (21, "estimate")


def test_a_count_is_a_pair_with_a_bound() -> None:
    counted = count_tokens("claude-opus-5", text=SEVEN)
    tokens, method = counted
    assert (tokens, method) == (counted.tokens, counted.method) == counted
    assert counted.at_most > tokens
    for copied in (copy.copy(counted), pickle.loads(pickle.dumps(counted))):
        assert (copied, copied.at_most) == (counted, counted.at_most)
    assert (
        repr(counted) == f"TokenCount(tokens={tokens}, method='proxy', at_most={counted.at_most})"
    )
    exact = count_tokens("gpt-4o", text=SEVEN)
    assert (exact, exact.at_most) == ((7, "exact"), 7)
    assert repr(exact) == "TokenCount(tokens=7, method='exact')"
    assert TokenCount(7, "exact").at_most == TokenCount(tokens=7, method="exact").at_most == 7


def percents(weights: vocabulary_weights.Weights, text: str) -> int:
    return percents_of(weights)(text, _encodings.encoder("o200k_base")(text))


def test_a_text_takes_the_percents_of_its_tokens_and_characters() -> None:
    text = "Order 12 COSTS €3.50\n😀 नमस्ते 你好 Привет \x7f é "
    ids = _encodings.encoder("o200k_base")(text)
    parts = [
        sum(number < 16_384 for number in ids),
        sum(16_384 <= number < 65_536 for number in ids),
        sum(number >= 65_536 for number in ids),
        *(4, 6, 5, 9, 2, 1, 1),  # lower, upper, digits, spaces, controls, ., é
        *(
            0,
            0,
            6,
            0,
            0,
            6,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            1,
            0,
            2,
            0,
            1,
            0,
        ),  # Cyrillic, Hindi, €, Chinese, 😀
    ]
    assert sum(parts[3:]) == len(text)
    for place, count in enumerate(parts):  # each counts apart
        alone = tuple(int(place == other) for other in range(29))
        weights = vocabulary_weights.Weights(alone, alone)
        assert bounds_of(100 * percents(weights, text)) == (count, count + (count > 0)), place
    weights = vocabulary_weights.CLAUDE
    expected, most = (
        -(-sum(a * b for a, b in zip(parts, column, strict=True)) // 100) for column in weights
    )
    assert bounds_of(percents(weights, text)) == (expected, most + 1)
    long = count_tokens("claude-opus-5", text=text * 5000)
    separate = count_tokens("claude-opus-5", messages=user(*[text] * 5000))
    assert abs(long.at_most - separate.at_most) < 0.03 * long.at_most


@pytest.mark.parametrize("text", ["a\ud800", "\ud800" * 200_000, "é" * 200_000, "\0" * 10])
def test_any_text_has_a_bound(text: str) -> None:
    counted = count_tokens("claude-opus-5", text=text)
    assert 0 <= counted.tokens <= counted.at_most


def test_a_name_of_any_length_is_a_name() -> None:
    assert count_tokens("x" * 10**6, text="hello").method == "estimate"
    assert count_tokens("openai/gpt-4o" + "-x" * 10**6, text="hello").tokens > 0


def test_a_model_that_brings_its_own_system_message_is_not_counted_exactly() -> None:
    harmony = count_bounds("gpt-oss-120b", messages=HELLO)
    assert (harmony.low_tokens, harmony.method) == (8, "estimate")
    assert harmony.tokens >= 8 + 70


# -- prompts ------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"
DATA = b64encode(PNG).decode()  # 1024 x 1024
URL = "data:image/png;base64," + DATA
LINK = "https://example.com/cat.png"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
        {"type": "input_image", "image_url": URL, "detail": "high"},
    ],
)
def test_an_image_of_known_size_and_detail(part: dict[str, Any]) -> None:
    text = {"type": "input_text", "text": "hello"}
    assert count_bounds("gpt-4o", messages=user(text, part)) == (8 + 765, "exact", 8 + 765)


@pytest.mark.parametrize(
    ("model", "part", "low", "high", "method"),
    [
        ("gpt-4o", {"type": "image_url", "image_url": {"url": URL}}, 85, 765, "estimate"),
        ("gpt-4o", {"type": "image_url", "image_url": URL}, 85, 765, "estimate"),
        # a link: the most that 2048 x 768 has, eight tiles
        (
            "gpt-4o",
            {"type": "image_url", "image_url": {"url": LINK, "detail": "high"}},
            85,
            85 + 8 * 170,
            "estimate",
        ),
        (
            "gpt-4o",
            {"type": "image_url", "image_url": {"url": LINK, "detail": "low"}},
            85,
            85,
            "exact",
        ),
        ("gpt-4o-mini", {"type": "image_url", "image_url": LINK}, 2833, 48169, "estimate"),
        ("gpt-6-sol", {"type": "input_image", "file_id": "file-1"}, 2, 36000, "estimate"),
        (
            "claude-opus-4-5",
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": DATA},
            },
            37 * 37,
            37 * 37,
            "proxy",
        ),
        (
            "claude-opus-5",
            {"type": "image", "source": {"type": "url", "url": LINK}},
            1,
            4784,
            "estimate",
        ),
        (
            "claude-opus-5",
            {"image": {"format": "png", "source": {"bytes": PNG}}},
            1369,
            1369,
            "proxy",
        ),
        (
            "gemini-2.5-pro",
            {"inline_data": {"mime_type": "image/png", "data": PNG}},
            258,
            4 * 258,
            "estimate",
        ),
        (
            "gemini-3-pro",
            {
                "inlineData": {"mimeType": "image/png", "data": DATA},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"},
            },
            1,
            2240,
            "estimate",
        ),
        ("some-model", {"type": "image_url", "image_url": {"url": URL}}, 1, 4096, "estimate"),
    ],
)
def test_images_in_every_shape(
    model: str, part: dict[str, Any], low: int, high: int, method: str
) -> None:
    alone = count_bounds(model, messages=user())
    counted = count_bounds(model, messages=user(part))
    assert counted.low_tokens - alone.low_tokens == low
    assert counted.tokens - alone.tokens == high
    assert counted.method == method


def test_the_image_of_a_tools_result_is_no_text() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": DATA * 1000}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
    assert count_tokens("claude-opus-4-5", messages=user(result)).tokens < 1369 + 60


WAV = {
    "type": "input_audio",
    "input_audio": {"data": b64encode(bytes(160_000)).decode(), "format": "wav"},
}
PDF = b64encode(b"%PDF-1.7" + bytes(90_000)).decode()
ATTACHED = [
    (WAV, 11 * 32),
    ({"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}, 32),
    ({"inline_data": {"mime_type": "audio/ogg", "data": bytes(20_000)}}, 11 * 32),
    ({"file_data": {"mime_type": "audio/mp3", "file_uri": "gs://bucket/sound"}}, 600 * 32),
    (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        },
        5 * 4600,
    ),
    ({"type": "file", "file": {"file_data": "data:application/pdf;base64," + PDF}}, 5 * 4600),
    ({"type": "input_file", "file_id": "file-1"}, 10 * 4600),
    ({"type": "video", "source": {"type": "base64", "data": PDF}}, 5 * 4600),
    (
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        10 * 4600,
    ),
]


def wav(bytes_a_second: int, seconds: int) -> bytes:
    head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0\x40\x1f\0\0"
    return head + bytes_a_second.to_bytes(4, "little") + bytes(seconds * bytes_a_second)


def pdf(*objects: bytes) -> str:
    return b64encode(b"%PDF-1.7\n" + b"\n".join(objects)).decode()


LINKED = "https://example.com/file"
ATTACHED += [
    # A WAV states its rate: 8,000 bytes a second is telephone sound, 176,400 that of a CD.
    ({"inline_data": {"mime_type": "audio/wav", "data": wav(8_000, 60)}}, 61 * 32),
    ({"inline_data": {"mime_type": "audio/wav", "data": wav(176_400, 9)}}, 10 * 32),
    # Mistral's
    ({"type": "input_audio", "input_audio": LINKED}, 600 * 32),
    ({"type": "input_audio", "input_audio": b64encode(bytes(20_000)).decode()}, 11 * 32),
    ({"type": "document_url", "document_url": LINKED}, 10 * 4600),
    ({"type": "file", "file_id": "file-1"}, 10 * 4600),
    # LiteLLM's and vLLM's
    ({"type": "audio_url", "audio_url": {"url": LINKED}}, 600 * 32),
    ({"type": "video_url", "video_url": {"url": LINKED}}, 3600 * 290),
    ({"type": "file", "file": {"file_data": "data:audio/mp3;base64," + PDF}}, 46 * 32),
    ({"type": "file", "file": {"file_id": "gs://bucket/film", "format": "video/mp4"}}, 3600 * 290),
    # Gemini's and Bedrock's
    ({"file_data": {"mime_type": "video/mp4", "file_uri": "gs://bucket/film"}}, 3600 * 290),
    ({"inline_data": {"mime_type": "video/mp4", "data": bytes(125_000)}}, 11 * 290),
    ({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/f"}}}}, 3600 * 290),
    ({"audio": {"format": "mp3", "source": {"bytes": bytes(20_000)}}}, 11 * 32),
    # The pages that a PDF states, whatever its size.
    (
        {"type": "input_file", "file_data": pdf(b"<< /Type /Pages /Kids [3 0 R] /Count 40 >>")},
        40 * 4600,
    ),
    (
        {"type": "input_file", "file_data": pdf(b"<< /Count 12 /Kids [3 0 R] /Type/Pages >>")},
        12 * 4600,
    ),
    ({"type": "input_file", "file_data": pdf(*[b"<</Type/Page/Parent 1 0 R>>"] * 3)}, 3 * 4600),
    ({"type": "input_file", "file_data": pdf(b"<< /Type /Outlines /Count 900 >>")}, 4600),
]


@pytest.mark.parametrize(("part", "tokens"), ATTACHED)
def test_sound_and_documents_are_estimated_by_their_bytes(
    part: dict[str, Any], tokens: int
) -> None:
    counted = count_bounds("gpt-4o", messages=user(part))
    assert counted.method == "estimate"
    assert counted.low_tokens == 8
    assert counted.tokens == 7 + tokens


def test_what_is_text_in_a_part_is_counted_as_text() -> None:
    exactly = count_tokens("gpt-4o", messages=user({"type": "text", "text": SEVEN})).tokens
    for part in (
        SEVEN,
        {"type": "input_text", "text": SEVEN},
        {"type": "output_text", "text": SEVEN, "annotations": []},
        {"type": "text", "text": SEVEN, "cache_control": {"type": "ephemeral"}},
        {"text": SEVEN},
    ):
        assert count_tokens("gpt-4o", messages=user(part)) == (exactly, "exact")
    for part in (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": SEVEN}},
        {"type": "document", "source": {"type": "content", "content": SEVEN}},
        {"type": "tool_result", "tool_use_id": "t", "content": SEVEN},
    ):
        counted = count_bounds("gpt-4o", messages=user(part))
        assert counted.low_tokens == exactly <= counted.tokens < exactly + 10
    cited = {"type": "search_result", "source": SEVEN, "content": [{"type": "text", "text": SEVEN}]}
    assert count_tokens("gpt-4o", messages=user(cited)).tokens >= exactly + 7
    gemini = [{"role": "user", "parts": [{"text": SEVEN}]}]
    assert count_bounds("gpt-4o", messages=gemini).tokens == exactly


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:text/csv;base64,{}"}},
        {"type": "input_file", "file_data": "data:text/plain;charset=utf-8;base64,{}"},
        {"inline_data": {"mime_type": "application/json", "data": "{}"}},
        {"document": {"format": "csv", "name": "", "source": {"bytes": SEVEN.encode() * 100}}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ""}},
    ],
)
def test_a_file_of_text_counts_as_its_text(part: dict[str, Any]) -> None:
    text = SEVEN * 100
    part = json.loads(json.dumps(part, default=str)) if "document" not in part else part
    for holder in (part, *(value for value in part.values() if isinstance(value, dict))):
        for key in ("file_data", "data"):
            if isinstance(holder.get(key), str):
                encoded = b64encode(text.encode()).decode()
                holder[key] = holder[key].replace("{}", encoded) or text
    counted = count_bounds("gpt-4o", messages=user(part))
    assert counted.method == "estimate"
    assert counted.low_tokens == counted.tokens == 7 + count_tokens("gpt-4o", text=text).tokens


def test_text_that_looks_like_base64_is_text() -> None:
    part = {"type": "document", "source": {"type": "text", "data": "abcd" * 3}}
    part["source"]["media_type"] = "text/plain"  # type: ignore[index]
    expected = 7 + count_tokens("gpt-4o", text="abcd" * 3).tokens
    assert count_bounds("gpt-4o", messages=user(part)).tokens == expected


@pytest.mark.parametrize(
    ("model", "tokens"), [("gemini-2.5-pro", 258), ("gemini-3-pro", 1120), ("claude-opus-5", 4600)]
)
def test_the_pages_of_a_document_by_family(model: str, tokens: int) -> None:
    part = {"inline_data": {"mime_type": "application/pdf", "data": pdf(b"<</Type/Page >>")}}
    alone = count_bounds(model, messages=user())
    assert count_bounds(model, messages=user(part)).tokens - alone.tokens == tokens


CALL = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}


def test_calls_of_tools() -> None:
    def tokens(*calls: Any, **more: Any) -> int:
        message = {"role": "assistant", "content": None, "tool_calls": list(calls), **more}
        counted = count_bounds("gpt-4o", messages=[message])
        assert counted.method == ("estimate" if calls or more else "exact")
        return counted.tokens

    name, arguments = 1, count_tokens("gpt-4o", text='{"a": 1}').tokens
    assert tokens() == 7
    assert tokens(CALL) == 7 + 5 + 2 * name + arguments
    assert tokens(CALL, CALL) == 7 + 21 + 2 * (7 + name + arguments)
    assert tokens({"type": "custom", "custom": {"name": "get", "input": '{"a": 1}'}}) == tokens(
        CALL
    )
    legacy = [{"role": "assistant", "content": None, "function_call": CALL["function"]}]
    assert count_tokens("gpt-4o", messages=legacy).tokens == tokens(CALL)
    answer = {"role": "tool", "tool_call_id": "call_1", "content": "3"}
    counted = count_bounds("gpt-4o", messages=[answer])
    assert counted.low_tokens == 8 < counted.tokens
    used = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}}
    assert count_tokens("gpt-4o", messages=user(used)).tokens > 7 + name + arguments


def schema(**properties: Any) -> list[dict[str, Any]]:
    return [{"name": "f", "parameters": {"type": "object", "properties": properties}}]


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (schema(a={"type": "string"}), schema(a={"type": "string", "pattern": "^[a-z]+$"})),
        (schema(a={"type": "string"}), schema(a={"type": "string", "default": "x"})),
        (schema(a={"type": "string"}), schema(a={"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (schema(a={"type": "string"}), schema(a={"type": ["string", "null"]})),
        (schema(a={"type": "object"}), schema(a={"type": "object", "properties": {"b": {}}})),
        (schema(a={}), schema(a={"$ref": "#/$defs/A"})),
        (schema(), [{"name": "f"}, {"type": "web_search", "user_location": {"city": "Paris"}}]),
    ],
)
def test_nothing_a_schema_says_is_left_out(less: Any, more: Any) -> None:
    counts = [count_bounds("gpt-4o", messages=HELLO, tools=tools) for tools in (less, more)]
    assert counts[0].tokens < counts[1].tokens
    assert all(counted.low_tokens <= counted.tokens for counted in counts)


def test_titles_that_schema_makers_add_are_free() -> None:
    plain, titled = schema(a={"type": "string"}), schema(a={"type": "string", "title": "A"})
    counted = [count_bounds("gpt-4o", messages=HELLO, tools=tools) for tools in (plain, titled)]
    assert counted[0] == counted[1]


def test_claude_is_told_about_its_tools() -> None:
    tool = [{"name": "f", "description": "does f", "input_schema": {"type": "object"}}]
    old, new = (
        [count_bounds(model, messages=HELLO, tools=tools) for tools in ([], tool)]
        for model in ("claude-opus-4-5", "claude-opus-4-7")
    )
    assert old[1].tokens - old[0].tokens > 588  # the most of platform.claude.com's table, 4.5
    assert new[1].tokens - new[0].tokens > 804  # 4.7
    assert new[1].low_tokens - new[0].low_tokens < 354  # 5
    assert new[1].method == "estimate"


def test_the_message_a_client_returned_is_counted() -> None:
    message = SimpleNamespace(model_dump=lambda exclude_none: {"role": "user", "content": "hello"})
    assert count_tokens("gpt-4o", messages=[message]) == (8, "exact")  # type: ignore[list-item]


# -- hostile text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (" " * 1_000_000, 7_000, 9_000),
        ("a" * 1_000_000, 125_000, 125_100),
        ("\n" * 1_000_000, 3_000, 70_000),
        ("hello world " * 840_000, 1_680_001, 1_680_001),  # 10 MB, cut only between words
        ("\ud800" * 200_000, 1, 200_000),
        ("<|endoftext|>" * 20_000, 100_000, 200_000),
    ],
    ids=["spaces", "letters", "lines", "prose", "surrogates", "special"],
)
@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_hostile_text_is_counted(model: str, text: str, least: int, most: int) -> None:
    assert least <= count_tokens(model, text=text).tokens <= most


@pytest.mark.parametrize("text", [" " * 10**6, "a" * 10**6, "中" * 10**6, "a\u0301 " * 10**6])
def test_no_more_than_a_chunk_is_encoded_at_once(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def encode(piece: str) -> list[int]:
        sizes.append(len(piece))
        return [0] * len(piece)

    tiny = SimpleNamespace(encode_ordinary=encode)
    monkeypatch.setitem(_encodings._loaded, "o200k_base", tiny)  # type: ignore[arg-type]
    assert _encodings.count_text("o200k_base", text)[0] == sum(sizes) == len(text)
    assert max(sizes) <= 100_000
    assert len(sizes) <= 2 * len(text) // 100_000


def test_a_panic_inside_tiktoken_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as pyo3 makes it
        pass

    def panic(text: str) -> list[int]:
        raise PanicException("stack overflow")

    def stop(text: str) -> list[int]:
        raise KeyboardInterrupt

    for encode, outcome in ((panic, None), (stop, KeyboardInterrupt)):
        broken = SimpleNamespace(
            encode_ordinary=encode, _core_bpe=SimpleNamespace(encode_ordinary=encode)
        )
        monkeypatch.setitem(_encodings._loaded, "o200k_base", broken)  # type: ignore[arg-type]
        model = f"gpt-4o-{encode.__name__}"
        for text in ("a中", "a中" * 100_000):
            for _ in range(2):  # the second time its encoder is known
                for call in ({"text": text}, {"messages": [{"content": text}]}):
                    if outcome is None:
                        counted = count_tokens(model, **call)  # type: ignore[arg-type]
                        assert counted.method == "estimate"
                        assert counted.tokens >= 2 * len(text)  # a token a byte
                    else:
                        with pytest.raises(outcome):
                            count_tokens(model, **call)  # type: ignore[arg-type]


PARTS = [
    "a", "word", "Äh", "1", ",", ".", "'s", "/", "\n", "\t", "\u00a0", "\x1c", "中", " ", "    ",
]  # fmt: skip
WORDS = st.lists(st.sampled_from(PARTS), max_size=100).map("".join)


@given(WORDS, st.sampled_from(["cl100k_base", "o200k_base"]))
@example("a" * 16 + " " * 8 + "b", "o200k_base")
def test_a_clean_cut_changes_no_count(text: str, encoding: str) -> None:
    whole = _encodings.count_text(encoding, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_encodings, "CHUNK", 20)
        patch.setattr(_encodings, "_LOOK_BACK", 15)
        pieces = list(_encodings._chunks(text))
        assert "".join(piece for piece, _ in pieces) == text
        assert all(len(piece) <= 20 for piece, _ in pieces)
        tokens, exact = _encodings.count_text(encoding, text)
    assert (tokens, True) == whole or not exact


# -- hostile structures ---------------------------------------------------------------------------


def nested(depth: int, *, twice: bool) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "text", "text": "hi"}
    for _ in range(depth):
        part = {"type": "tool_result", "content": [part, part] if twice else [part]}
    return part


def laughing(depth: int, make: Any) -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        value = make(value)
    return value


def cyclic() -> Iterator[dict[str, Any]]:
    message: dict[str, Any] = {"role": "user"}
    message["content"] = message
    yield {"messages": [message]}
    part: dict[str, Any] = {"type": "tool_result"}
    part["content"] = [part, part]
    yield {"messages": user(part)}
    looping: dict[str, Any] = {"type": "object", "properties": {}}
    looping["properties"]["self"] = looping
    yield {"messages": [], "tools": [{"name": "f", "parameters": looping}]}


class Endless(list[dict[str, Any]]):
    def __iter__(self) -> Iterator[dict[str, Any]]:
        return repeat({"role": "user", "content": "hi"})


ENDLESS: dict[str, dict[str, Any]] = {
    **{f"cyclic{i}": call for i, call in enumerate(cyclic())},
    "shared parts": {"messages": user(nested(60, twice=True))},
    "shared JSON": {"messages": user({"v": laughing(60, lambda inner: [inner, inner])})},
    "shared schema": {
        "messages": [],
        "tools": schema(a=laughing(60, lambda v: schema(a=v, b=v)[0]["parameters"])),
    },
    "shared choices": {
        "messages": [],
        "tools": schema(a=laughing(60, lambda v: {"anyOf": [v, v]})),
    },
    **{
        f"shared {key}": {
            "messages": [],
            "tools": schema(a={key: laughing(60, lambda inner: [inner, inner])}),
        }
        for key in ("default", "enum", "const")
    },
    "endless": {"messages": Endless()},
}
LARGE: dict[str, Callable[[], dict[str, Any]]] = {  # made by the test alone, as it takes a second
    "deep": lambda: {"messages": user(nested(100_000, twice=False))},
    "deep JSON": lambda: {"messages": [{"role": "user", "x": laughing(10**5, lambda v: [v])}]},
    "long": lambda: {"messages": [{"role": "user", "content": "word " * 2_000_001}] * 100},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ENDLESS, *LARGE])
def test_a_prompt_without_end_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = LARGE[name]() if name in LARGE else ENDLESS[name]
    counted = 0  # characters of the long ones, in pieces; instead of waiting for all of them

    def count(encoding: str, text: str) -> tuple[int, bool]:
        nonlocal counted
        counted += len(text)
        return len(text), True

    monkeypatch.setattr("budgetledger.tokens.chat.count_text", count)
    with pytest.raises(InvalidInput):
        count_tokens("gpt-4o", **call)
    assert counted <= 100_000_000


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("", {"text": "x"}),
        (" ", {"text": "x"}),
        (None, {"text": "x"}),
        (["gpt-4o"], {"text": "x"}),
        ("gpt-4o", {}),
        ("gpt-4o", {"text": "x", "messages": []}),
        ("gpt-4o", {"text": b"x"}),
        ("gpt-4o", {"text": ["x"]}),
        ("gpt-4o", {"text": 7}),
        ("gpt-4o", {"messages": ["hello"]}),
        ("gpt-4o", {"messages": "hello"}),
        ("gpt-4o", {"messages": 7}),
        ("gpt-4o", {"messages": [{"role": "user", "content": object()}]}),
        ("gpt-4o", {"messages": [{"role": "user", "content": {"n": 10**5000}}]}),
        ("gpt-4o", {"messages": [{"role": "user", "content": [{(1, 2): 3}]}]}),
        ("gpt-4o", {"messages": [{"role": "assistant", "tool_calls": ["f"]}]}),
        ("gpt-4o", {"messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]}),
        ("gpt-4o", {"text": "x", "tools": ["f"]}),
        ("gpt-4o", {"text": "x", "tools": [{"name": "f", "parameters": "x"}]}),
        ("gpt-4o", {"text": "x", "tools": [{"name": "f", "parameters": {"properties": [1]}}]}),
    ],
)
def test_misuse_is_refused(model: Any, given: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(InvalidInput):
            count_tokens(model, **given)
        count_tokens("gpt-4o", text="x")


# -- vocabularies --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(vocabularies.VOCABULARIES))
def test_vocabulary_is_tiktokens_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected_hashes = []

    def instead_of_fetching(url: str, expected_hash: str) -> dict[bytes, int]:
        expected_hashes.append(expected_hash)
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", instead_of_fetching)
    theirs = openai_public.ENCODING_CONSTRUCTORS[name]()
    ours = vocabularies.VOCABULARIES[name]
    assert ours.pattern == theirs["pat_str"]
    assert ours.special == theirs["special_tokens"]
    assert expected_hashes == [ours.sha256]
    ranks = vocabularies.ranks(name)
    assert sorted(ranks.values()) == list(range(len(ranks)))


@pytest.mark.parametrize("name", sorted(vocabularies.VOCABULARIES))
def test_damaged_vocabulary_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabularies, "files", lambda package: tmp_path)
    for damaged in (None, b"", b"not gzip", gzip.compress(b"YQ== 0\n")):
        if damaged is not None:
            (tmp_path / f"{name}.tiktoken.gz").write_bytes(damaged)
        with pytest.raises(BudgetledgerError, match="reinstall"):
            vocabularies.ranks(name)


CUT_OFF = """
import _socket, os, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("the network was asked for")

for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname", "socketpair"):
    setattr(socket, name, refuse)
_socket.socket = _socket.getaddrinfo = refuse
sys.addaudithook(lambda event, args: event.startswith("socket.") and refuse())
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)

from budgetledger import count_tokens

image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
document = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
messages = [{"role": "user", "content": ["hello", image, document]}]
tools = [{"name": "f", "parameters": {}}]
for model in ("gpt-4", "gpt-4o", "claude-opus-5", "gemini-3-pro", "nobody/knows"):
    assert count_tokens(model, text="hello").tokens
    assert count_tokens(model, messages=messages, tools=tools).tokens
written = [args for args in opened if isinstance(args[2], int) and args[2] & 3]
assert not written, written
"""


def test_counting_needs_neither_network_nor_home(tmp_path: Path) -> None:
    keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "TMPDIR", "XDG_CACHE_HOME")}
    path = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-B", "-c", CUT_OFF],
        env={**keep, **home, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_threads_load_a_vocabulary_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = _encodings._load
    monkeypatch.setattr(_encodings, "_loaded", {})
    monkeypatch.setattr(_encodings, "_load", lambda name: (loads.append(name), load(name))[1])
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: _encodings.count_text("cl100k_base", "hello"), range(32)))
    assert set(counts) == {(1, True)}
    assert loads == ["cl100k_base"]


def test_heavy_packages_are_imported_late() -> None:
    code = (
        "import sys, budgetledger, budgetledger.pricing.catalog, budgetledger.pricing.estimates\n"
        "budgetledger.Ledger, budgetledger.BudgetManager, budgetledger.count_tokens\n"
        "heavy = {'tiktoken', 'genai_prices', 'litellm', 'openai', 'anthropic'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
        "budgetledger.count_tokens('gpt-4', text='hello')\n"
        "assert heavy & sys.modules.keys() == {'tiktoken'}"
    )
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=path, check=True)
