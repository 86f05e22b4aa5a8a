"""What is held for a call, found in its own arguments."""

import json

import pytest
from pydantic import BaseModel

from budgetledger import Ledger
from budgetledger.apis.call_arguments import asking_for_usage, hold_arguments
from budgetledger.errors import InvalidInput

ASKED = [{"role": "user", "content": "hi"}]
TOLD = {"role": "system", "content": "be brief"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


class Form(BaseModel):
    """A schema as clients take it."""

    name: str


SCHEMA = Form.model_json_schema()


class NotGiven:
    """What the clients put where an argument was left out."""

    def __bool__(self):
        return False


@pytest.mark.parametrize(
    ("kind", "call", "held"),
    [
        ("chat", {"messages": ASKED}, {"messages": ASKED}),
        (
            "chat",
            {"messages": ASKED, "max_tokens": 9, "n": 2, "tools": [TOOL]},
            {"messages": ASKED, "max_output_tokens": 9, "n": 2, "tools": [TOOL]},
        ),
        (
            "chat",
            {"messages": ASKED, "max_completion_tokens": 7, "max_tokens": None, "n": NotGiven()},
            {"messages": ASKED, "max_output_tokens": 7},
        ),
        ("chat", {"messages": ASKED, "tools": None, "functions": NotGiven()}, {"messages": ASKED}),
        (
            "chat",
            {"messages": ASKED, "functions": [{"name": "look"}]},
            {"messages": ASKED, "tools": [{"function": {"name": "look"}}]},
        ),
        (
            "chat",
            {
                "messages": ASKED,
                "response_format": {"type": "json_schema", "json_schema": {"name": "form"}},
            },
            {"messages": [*ASKED, {"role": "system", "content": '{"name": "form"}'}]},
        ),
        (
            "chat",
            {"messages": ASKED, "response_format": Form},  # as litellm and the parse methods take
            {"messages": [*ASKED, {"role": "system", "content": json.dumps(SCHEMA)}]},
        ),
        (
            "responses",
            {"input": "hi", "text_format": Form},
            {"messages": [*ASKED, {"role": "system", "content": json.dumps(SCHEMA)}]},
        ),
        (
            "messages",
            {"messages": ASKED, "output_format": Form},
            {"messages": [*ASKED, {"role": "system", "content": json.dumps(SCHEMA)}]},
        ),
        ("responses", {"input": "hi"}, {"messages": ASKED}),
        (
            "responses",
            {"input": ASKED, "instructions": "be brief", "max_output_tokens": 5},
            {"messages": [TOLD, *ASKED], "max_output_tokens": 5},
        ),
        (
            "responses",
            {"input": "hi", "text": {"format": {"type": "json_schema", "schema": {"a": 1}}}},
            {"messages": [*ASKED, {"role": "system", "content": '{"a": 1}'}]},
        ),
        (
            "messages",
            {"messages": ASKED, "system": "be brief", "max_tokens": 5, "tools": [{"name": "a"}]},
            {"messages": [TOLD, *ASKED], "max_output_tokens": 5, "tools": [{"name": "a"}]},
        ),
        (
            "messages",
            {"messages": ASKED, "system": [{"type": "text", "text": "be brief"}]},
            {
                "messages": [
                    {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
                    *ASKED,
                ]
            },
        ),
        ("text", {"prompt": "hi", "max_tokens": 0}, {"text": "hi", "max_output_tokens": 0, "n": 1}),
        (
            "text",
            {"prompt": ["hi", "ho"], "suffix": "!", "n": 2, "best_of": 3},
            {"text": "hi\nho\n!", "n": 6},
        ),
        ("embedding", {"input": ["hi", "ho"]}, {"text": "hi\nho"}),
        ("embedding", {"input": [5, 6, 7]}, {"text": " a a a"}),
        ("embedding", {"input": [[5], [6, 7]]}, {"text": " a\n a a"}),
        (
            "image",
            {"prompt": "a cat", "n": 2},
            {
                "messages": [{"role": "user", "content": [{"type": "text", "text": "a cat"}]}],
                "n": 2,
            },
        ),
    ],
)
def test_a_call_says_what_to_hold(kind, call, held):
    before = {**call}
    assert hold_arguments(kind, {"model": "gpt-4o", **call}) == {"model": "gpt-4o", **held}
    assert call == before
    with Ledger(":memory:") as ledger:  # and the ledger takes it
        ledger.set_budget("alice", 100)
        assert ledger.hold("alice", **{"model": "gpt-4o", **held}).amount > 0


@pytest.mark.parametrize(
    ("call", "tokens"),
    [
        ({}, 6240),
        ({"quality": "auto", "size": "auto"}, 6240),
        ({"quality": "low", "size": "1024x1024"}, 272),
        ({"quality": "medium", "size": "1536x1024"}, 1568),
        ({"quality": "high", "size": "1024x1024", "partial_images": 2}, 4360),
    ],
)
def test_an_image_is_held_for_by_its_size(call, tokens):
    held = hold_arguments("image", {"model": "gpt-image-1", "prompt": "a cat", **call})
    assert held["max_output_tokens"] == tokens


def test_images_to_change_are_held_for():
    held = hold_arguments("image", {"model": "gpt-image-1", "prompt": "hat", "image": [b"1", b"2"]})
    kinds = [part["type"] for part in held["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "image_url"]


def test_a_stream_is_asked_for_its_usage_unless_the_caller_said():
    stream = {"stream": True, "messages": ASKED}
    told = {"include_usage": True}
    assert asking_for_usage("chat", stream) == {**stream, "stream_options": told}
    assert asking_for_usage("text", {**stream, "stream_options": {"a": 1}}) == {
        **stream,
        "stream_options": {"a": 1, **told},
    }
    assert "stream_options" not in stream
    for kind, call in (
        ("chat", {"messages": ASKED}),
        ("chat", {**stream, "stream": NotGiven()}),
        ("chat", {**stream, "stream_options": {"include_usage": False}}),
        ("chat", {**stream, "stream_options": told}),
        ("responses", stream),
        ("messages", stream),
    ):
        assert asking_for_usage(kind, call) is call


@pytest.mark.parametrize(
    ("kind", "call", "told"),
    [
        ("chat", {"messages": 5}, "messages is of type int, .*; pass a list"),
        ("chat", {"messages": {"role": "user"}}, "messages is of type dict"),
        ("chat", {"messages": ASKED, "tools": 3}, "tools is of type int"),
        ("chat", {"messages": ASKED, "functions": "look"}, "functions is of type str"),
        ("chat", {"messages": (message for message in ASKED)}, "messages is of type generator"),
        ("messages", {"messages": ASKED, "tools": 3}, "tools is of type int"),
        ("responses", {"input": 5}, "input is of type int"),
        ("responses", {"input": "hi", "tools": 3}, "tools is of type int"),
        ("text", {"prompt": 5}, "prompt is of type int, .*; pass a text or a list"),
        ("text", {"prompt": "hi", "suffix": 5}, "suffix is of type int, .*; pass a text"),
        ("text", {"prompt": "hi", "n": "2"}, "n must be a whole number.*; pass an int"),
        ("text", {"prompt": "hi", "best_of": [2]}, "best_of must be a whole number"),
        ("embedding", {"input": 5.5}, "input is of type float"),
        ("image", {"prompt": "a cat", "partial_images": "x"}, "partial_images must be a whole"),
    ],
)
def test_an_argument_of_a_type_that_no_api_takes_is_named(kind, call, told):
    with pytest.raises(InvalidInput, match=told):
        hold_arguments(kind, {"model": "gpt-image-1" if kind == "image" else "gpt-4o", **call})


def test_what_a_provider_will_refuse_is_left_to_it():
    odd = {"model": "gpt-image-1", "prompt": "a cat", "quality": ["low"], "size": {}}
    assert hold_arguments("image", odd)["max_output_tokens"] == 6240
    call = {"stream": True, "messages": ASKED, "stream_options": 5}
    assert asking_for_usage("chat", call) is call
