"""What the API and its documentation answered, case by case; and each difference, with its reason.

The counts of OpenAI's cookbook (How_to_count_tokens_with_tiktoken.ipynb @c81359c) and of users who
called the API: hmarr/openai-chat-tokens, tests/token-counts.test.ts, with gpt-3.5-turbo.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from budgetledger.tokens import count_bounds, count_tokens

Message = dict[str, Any]


def system(content: str, **more: str) -> Message:
    return {"role": "system", "content": content, **more}


def user(content: Any, **more: str) -> Message:
    return {"role": "user", "content": content, **more}


def assistant(content: str | None, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


COOKBOOK = [
    system(
        "You are a helpful, pattern-following assistant that translates corporate jargon into "
        "plain English."
    ),
    system("New synergies will help drive top-line growth.", name="example_user"),
    system("Things working well together will increase revenue.", name="example_assistant"),
    system(
        "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
        name="example_user",
    ),
    system(
        "Let's talk later when we're less busy about how to do better.", name="example_assistant"
    ),
    user("This late pivot means we don't have time to boil the ocean for the client deliverable."),
]
HELLO = [user("hello")]

# model, messages, tokens
CHATS: list[tuple[str, list[Message], int]] = [
    # answered by the API
    ("gpt-3.5-turbo", COOKBOOK, 129),
    ("gpt-4", COOKBOOK, 129),
    ("gpt-4o-mini", COOKBOOK, 124),
    ("gpt-3.5-turbo", [user("hello world")], 9),
    ("gpt-3.5-turbo", [system("hello:")], 9),
    (
        "gpt-3.5-turbo",
        [
            system("# Important: you're the best robot"),
            user("hello robot"),
            assistant("hello world"),
        ],
        27,
    ),
    (
        "gpt-3.5-turbo",
        [user("hello world"), {"role": "function", "name": "do_stuff", "content": "{}"}],
        15,
    ),
    (
        "gpt-3.5-turbo",
        [
            user("hello world"),
            {"role": "function", "name": "do_stuff", "content": '{"foo": "bar", "baz": 1.5}'},
        ],
        28,
    ),
    # the cookbook's formula with the model's own vocabulary
    ("gpt-4.1", COOKBOOK, 124),
    ("o1", COOKBOOK, 124),
    ("o3", COOKBOOK, 124),
    ("gpt-5", COOKBOOK, 124),
    ("openai/gpt-4o", COOKBOOK, 124),
    ("ft:gpt-4.1-mini-2025-04-14:org::id", COOKBOOK, 124),
    ("gpt-4", HELLO, 8),
    ("gpt-4", [user("")], 7),
    ("gpt-4", [assistant(None)], 7),
    ("gpt-4", [], 3),
    ("gpt-4", [user("hi"), assistant("hello"), user("bye")], 18),
    ("gpt-4", [user("お誕生日おめでとう 😀 Привет")], 20),
    ("gpt-4", [user("end <|endoftext|> here <|im_start|>")], 20),
    ("gpt-4", [user("\n\n\n   \t\n")], 10),
    ("gpt-4", [user("hello", name="Ann")], 10),
    ("gpt-4", [user([{"type": "text", "text": "hello"}])], 8),
]


@pytest.mark.parametrize(("model", "messages", "tokens"), CHATS)
def test_chats(model: str, messages: list[Message], tokens: int) -> None:
    assert count_bounds(model, messages=messages) == (tokens, "exact", tokens)


# Where a case says something else, and why ours does.
DIFFERENCES: list[tuple[str, list[Message], int, int, str]] = [
    (
        "gpt-4o",
        [
            assistant(
                None,
                tool_calls=[
                    {
                        "id": "call_abc123",
                        "type": "function",
                        "function": {
                            "name": "get_current_weather",
                            "arguments": '{"location": "Paris"}',
                        },
                    }
                ],
            )
        ],
        13,
        24,
        "litellm counts the arguments alone; the model reads the function's name as well, and "
        "the API was seen to bill it twice, with five tokens around it",
    ),
    (
        "gpt-5",
        COOKBOOK,
        123,
        124,
        "the API bills chats with reasoning models one token less than the formula "
        "(pydantic-ai, pull request 3447); we stay at the formula, above it",
    ),
]


@pytest.mark.parametrize(("model", "messages", "theirs", "ours", "why"), DIFFERENCES)
def test_each_difference_is_explained(
    model: str, messages: list[Message], theirs: int, ours: int, why: str
) -> None:
    assert count_tokens(model, messages=messages).tokens == ours
    assert ours > theirs, why  # a hold is rather too large


WEATHER = [
    system("You are a helpful assistant that can answer to questions about the weather."),
    user("What's the weather like in San Francisco?"),
]


def function(
    name: str,
    description: str | None = None,
    required: tuple[str, ...] = (),
    **properties: Message,
) -> Message:
    told = {"name": name, "description": description} if description else {"name": name}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {**told, "parameters": schema}


STRING = {"type": "string"}
GET_WEATHER = function(
    "get_current_weather",
    "Get the current weather in a given location",
    ("location",),
    location={"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
    unit={
        "type": "string",
        "description": "The unit of temperature to return",
        "enum": ["celsius", "fahrenheit"],
    },
)
NESTED = function(
    "bing_bong",
    "Do a bing bong",
    foo={
        "type": "object",
        "properties": {
            "bar": {"type": "string", "enum": ["a", "b", "c"]},
            "baz": {"type": "boolean"},
        },
    },
)
RECIPE = function(
    "get_recipe",
    None,
    ("ingredients", "instructions", "time_to_cook"),
    ingredients={
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "unit", "amount"],
            "properties": {
                "name": STRING,
                "unit": {"type": "string", "enum": ["grams", "ml", "cups", "pieces", "teaspoons"]},
                "amount": {"type": "number"},
            },
        },
    },
    instructions={
        "type": "array",
        "items": STRING,
        "description": "Steps to prepare the recipe (no numbering)",
    },
    time_to_cook={
        "type": "number",
        "description": "Total time to prepare the recipe in minutes",
    },
)
CALLED = '{"foo": "bar", "baz": 1.5}'

# model, messages, functions, tokens: all of them answered by the API
WITH_FUNCTIONS: list[tuple[str, list[Message], list[Message], int]] = [
    ("gpt-3.5-turbo", WEATHER, [GET_WEATHER], 105),
    ("gpt-4o", WEATHER, [GET_WEATHER], 101),
    ("gpt-3.5-turbo", HELLO, [function("foo")], 31),
    ("gpt-3.5-turbo", HELLO, [function("foo", "Do a foo")], 36),
    ("gpt-3.5-turbo", HELLO, [function("bing_bong", "Do a bing bong", foo=STRING)], 49),
    (
        "gpt-3.5-turbo",
        HELLO,
        [
            function(
                "bing_bong",
                "Do a bing bong",
                foo=STRING,
                bar={"type": "number", "description": "A number"},
            )
        ],
        57,
    ),
    ("gpt-3.5-turbo", HELLO, [NESTED], 68),
    ("gpt-3.5-turbo", HELLO, [RECIPE], 106),
    ("gpt-3.5-turbo", [system("Hello"), user("Hi there")], [function("do_stuff")], 35),
    ("gpt-3.5-turbo", [system("Hello:"), user("Hi there")], [function("do_stuff")], 35),
    (
        "gpt-3.5-turbo",
        [system("Hello:"), system("Hello"), user("Hi there")],
        [function("do_stuff")],
        40,
    ),
    (
        "gpt-3.5-turbo",
        [assistant("", function_call={"name": "do_stuff", "arguments": CALLED})],
        [],
        26,
    ),
]


@pytest.mark.parametrize(("model", "messages", "functions", "tokens"), WITH_FUNCTIONS)
def test_functions(
    model: str, messages: list[Message], functions: list[Message], tokens: int
) -> None:
    for tools in (
        functions,
        [{"type": "function", "function": one} for one in functions],
        [{"type": "function", **one} for one in functions],
        [{"function_declarations": functions}] if functions else [],
    ):
        assert count_bounds(model, messages=messages, tools=tools) == (tokens, "estimate", tokens)


TEXTS = [
    ("tiktoken is great!", 6),
    ("antidisestablishmentarianism", 6),
    ("2 + 2 = 4", 7),
    ("お誕生日おめでとう", 9),
    ("", 0),
    ("hi <|endoftext|> there", 8),
    ("a" * 5000, 625),
    (" " * 2000, 16),
    ("def f(x):\n    return x ** 2\n" * 50, 550),
    ("\ud800 lone surrogate", 3),
    ("👩‍👩‍👧‍👦🏳️‍🌈", 27),
    ('{"id": "0f3c9a7e-1b2d-4e5f-8a9b-0c1d2e3f4a5b", "v": [1,2,3]}', 51),
    ("https://example.com/a?b=c&d=e%20f#g", 15),
    ("Привет, как дела?", 8),
    ("مرحبا بالعالم", 10),
    ("नमस्ते दुनिया", 13),
    ("你好，世界", 6),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_texts(text: str, tokens: int) -> None:
    for model in ("gpt-4", "text-embedding-3-small"):
        assert count_bounds(model, text=text) == (tokens, "exact", tokens)


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    raw = head + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\x00\x00\x00"
    return "data:image/png;base64," + b64encode(raw).decode()


# model, size, detail, tokens of the image
IMAGES = [
    # answered by the API (litellm has 255 for each, as it knows no model's own tiles)
    ("gpt-4o-mini", (128, 64), "high", 8500),
    ("gpt-4.1", (128, 64), "high", 255),
    ("o3", (128, 64), "high", 225),
    # worked out on OpenAI's page
    ("gpt-4o", (1024, 1024), "high", 765),
    ("gpt-4o", (2048, 4096), "high", 1105),
    ("gpt-4o", (4096, 8192), "low", 85),
]


@pytest.mark.parametrize(("model", "size", "detail", "tokens"), IMAGES)
def test_images(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    part = {"type": "image_url", "image_url": {"url": png(*size), "detail": detail}}
    assert count_bounds(model, messages=[user([part])]) == (7 + tokens, "exact", 7 + tokens)
