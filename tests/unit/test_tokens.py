"""Counting tokens: what the API answered, and text nobody meant to count."""

import gzip
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from budgetledger import tokens, vocabularies
from budgetledger.errors import BudgetledgerError, InvalidInput
from budgetledger.tokens import count_tokens

# openai-cookbook, How_to_count_tokens_with_tiktoken.ipynb @c81359c: counts the API returned.
COOKBOOK: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
WEATHER: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
WEATHER_TOOL: dict[str, Any] = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The city and state, e.g. San Francisco, CA",
            },
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-3.5-turbo", 129),
        ("gpt-4", 129),
        ("gpt-4o-mini", 124),
        # the same formula; names that tiktoken does not know or takes for something else
        ("gpt-4.1", 124),
        ("o3", 124),
        ("openai/gpt-4o", 124),
        (" GPT-4o ", 124),
        ("gpt-6-sol", 124),
        ("ft:gpt-4.1-mini-2025-04-14:org::id", 124),
        ("azure/gpt-35-turbo", 129),
        ("gpt-4-0613", 129),
    ],
)
def test_chat_is_counted_as_the_api_does(model: str, expected: int) -> None:
    assert count_tokens(model, messages=COOKBOOK) == (expected, "exact")


@pytest.mark.parametrize(("model", "expected"), [("gpt-3.5-turbo", 105), ("gpt-4o", 101)])
def test_tools_are_counted_as_the_api_does(model: str, expected: int) -> None:
    shapes = (
        {"type": "function", "function": WEATHER_TOOL},
        {"type": "function", **WEATHER_TOOL},
        {k if k != "parameters" else "input_schema": v for k, v in WEATHER_TOOL.items()},
    )
    for tool in shapes:
        counted = count_tokens(model, messages=WEATHER, tools=[tool])
        assert counted == (expected, "estimate")
    sentence = WEATHER_TOOL | {"description": WEATHER_TOOL["description"] + "."}
    assert count_tokens(model, messages=WEATHER, tools=[sentence]).tokens == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], 3),
        ([{"role": "user", "content": "hello"}], 8),
        ([{"role": "user", "content": ""}], 7),
        ([{"role": "assistant", "content": None}], 7),
        ([{"role": "user", "content": [{"type": "text", "text": "hello"}]}], 8),
        ([{"role": "user", "name": "Ann", "content": "hello"}], 10),
        ([{"role": "user", "content": "end <|endoftext|> here <|im_start|>"}], 20),
        ([{"role": "user", "content": "お誕生日おめでとう 😀 Привет"}], 20),
        ([{"role": "user", "content": "\n\n\n   \t\n"}], 10),
    ],
)
def test_messages_follow_the_formula(messages: list[dict[str, Any]], expected: int) -> None:
    assert count_tokens("gpt-4", messages=messages) == (expected, "exact")


def image(**more: str) -> list[dict[str, Any]]:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", **more}}
    return [{"role": "user", "content": [part]}]


@pytest.mark.parametrize(
    ("model", "detail", "expected"),
    [
        ("gpt-4o", {"detail": "high"}, 7 + 765),  # OpenAI's vision guide, 1024 x 1024
        ("gpt-4o", {"detail": "low"}, 7 + 85),
        ("gpt-4o", {}, 7 + 765),
        ("gpt-4o-mini", {"detail": "low"}, 7 + 2833),
        ("gpt-4o-mini", {}, 7 + 25501),
    ],
)
def test_images_take_a_flat_number(model: str, detail: dict[str, str], expected: int) -> None:
    assert count_tokens(model, messages=image(**detail)) == (expected, "estimate")


def test_structured_values_are_estimates() -> None:
    asked = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    called = [{"role": "assistant", "content": None, "tool_calls": [asked]}]
    plain = [{"role": "assistant", "content": None}]
    counted = count_tokens("gpt-4o", messages=called)
    assert counted.method == "estimate"
    assert counted.tokens > count_tokens("gpt-4o", messages=plain).tokens + 10
    # base64 inside a tool's result is an image, not text
    result = {"type": "tool_result", "content": image()[0]["content"]}
    assert count_tokens("gpt-4o", messages=[{"role": "user", "content": [result]}]).tokens < 800
    # the message object a client returned, as people append it
    message = SimpleNamespace(model_dump=lambda exclude_none: {"role": "user", "content": "hello"})
    assert count_tokens("gpt-4o", messages=[message]) == (8, "exact")  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 9),
        ("", 0),
        ("hi <|endoftext|> there", 8),
        ("a" * 5000, 625),
        (" " * 2000, 16),
        ("\ud800 lone surrogate", 3),
        ("https://example.com/a?b=c&d=e%20f#g", 15),
        ("Привет, как дела?", 8),
        ("你好，世界", 6),
    ],
)
def test_text_is_counted_with_cl100k(text: str, expected: int) -> None:
    assert count_tokens("gpt-4", text=text).tokens == expected
    assert count_tokens("text-embedding-3-small", text=text) == (expected, "exact")


@pytest.mark.parametrize(
    ("model", "percent", "method"),
    [
        ("gpt-4o", 100, "exact"),
        ("claude-3-5-sonnet-20241022", 129, "proxy"),
        ("claude-opus-4-20250514", 129, "proxy"),
        ("claude-opus-4-6", 129, "proxy"),
        ("claude-opus-4-8", 182, "proxy"),
        ("bedrock/us.anthropic.claude-haiku-5-5-v1:0", 182, "proxy"),
        ("claude-latest", 182, "proxy"),
        ("gemini/gemini-2.5-pro", 134, "proxy"),
        ("mistral/ministral-8b", 119, "proxy"),
        ("groq/llama-3.3-70b", 100, "proxy"),
        ("deepseek/deepseek-chat", 109, "proxy"),
        ("some-model", 134, "estimate"),
    ],
)
def test_other_families_take_a_factor_rounded_up(model: str, percent: int, method: str) -> None:
    text = "one two three four five six seven"
    assert count_tokens("gpt-4o", text=text).tokens == 7
    assert count_tokens(model, text=text) == (-(-7 * percent // 100), method)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (" " * 1_000_000, 7_000, 9_000),
        ("a" * 1_000_000, 125_000, 125_100),
        ("\n" * 1_000_000, 3_000, 70_000),
        ("hello world " * 170_000, 340_001, 340_001),  # 2 MB, cut only between words
        ("\ud800" * 200_000, 1, 200_000),
        ("<|endoftext|>" * 20_000, 100_000, 200_000),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_hostile_text_is_counted(model: str, text: str, least: int, most: int) -> None:
    assert least <= count_tokens(model, text=text).tokens <= most


PARTS = [
    "a",
    "word",
    "Äh",
    "1",
    ",",
    ".",
    "'s",
    "/",
    "\n",
    "\t",
    "\u00a0",
    "\x1c",
    "中",
    " ",
    "    ",
]
WORDS = st.lists(st.sampled_from(PARTS), max_size=100).map("".join)


@given(WORDS, st.sampled_from(["gpt-4", "gpt-4o"]))
@example("a" * 16 + " " * 8 + "b", "gpt-4o")
def test_a_clean_cut_changes_no_count(text: str, model: str) -> None:
    whole = count_tokens(model, text=text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_CHUNK", 20)
        patch.setattr(tokens, "_LOOK_BACK", 15)
        pieces = list(tokens._chunks(text))
        assert "".join(piece for piece, _ in pieces) == text
        assert all(len(piece) <= 20 for piece, _ in pieces)
        cut = count_tokens(model, text=text)
    assert cut == whole or cut.method == "estimate"


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("", {"text": "x"}),
        (None, {"text": "x"}),
        ("gpt-4o", {}),
        ("gpt-4o", {"text": "x", "messages": []}),
        ("gpt-4o", {"text": b"x"}),
        ("gpt-4o", {"messages": ["hello"]}),
        ("gpt-4o", {"messages": "hello"}),
        ("gpt-4o", {"messages": [{"role": "user", "content": object()}]}),
        ("gpt-4o", {"text": "x", "tools": ["f"]}),
    ],
)
def test_misuse_is_refused(model: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        count_tokens(model, **given)


def test_messages_inside_themselves_are_refused() -> None:
    message: dict[str, Any] = {"role": "user"}
    message["content"] = message
    with pytest.raises(InvalidInput):
        count_tokens("gpt-4o", messages=[message])
    part: dict[str, Any] = {"type": "tool_result"}
    part["content"] = [part]
    with pytest.raises(InvalidInput):
        count_tokens("gpt-4o", messages=[{"role": "user", "content": [part]}])


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


def test_loading_never_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(tokens, "_loaded", {})
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")  # tiktoken's own cache may not help either
    assert (
        count_tokens("gpt-4", text="hello") == count_tokens("gpt-4o", text="hello") == (1, "exact")
    )


def test_threads_load_a_vocabulary_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = tokens._load
    monkeypatch.setattr(tokens, "_loaded", {})
    monkeypatch.setattr(tokens, "_load", lambda name: (loads.append(name), load(name))[1])
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: count_tokens("gpt-4", text="hello"), range(32)))
    assert set(counts) == {(1, "exact")}
    assert loads == ["cl100k_base"]


def test_heavy_packages_are_imported_late() -> None:
    code = (
        "import sys, budgetledger.tokens, budgetledger._catalog\n"
        "assert not {'tiktoken', 'genai_prices', 'pydantic'} & sys.modules.keys()"
    )
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=path, check=True)
