"""Events in the bytes of a stream, however they are cut; the last of them; usage hidden again."""

from __future__ import annotations

import json

import pytest

from budgetledger.apis.error_forms import error_body, error_event
from budgetledger.apis.event_streams import (
    Event,
    Events,
    has_last_usage,
    is_end,
    partial_array,
)
from budgetledger.apis.paths import is_free, kind_of, model_in
from budgetledger.apis.refusals import Refusal
from budgetledger.apis.requested_usage import body_asking, hidden


def event(content, name=""):
    text = content if isinstance(content, str) else json.dumps(content)
    return Event(f"{name}data: {text}\n\n".encode(), text.encode())


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_found_however_they_are_cut(separator, size):
    lines = [
        "event: a",
        'data: {"x": 1}',
        "",
        ": a comment",
        "",
        "data: two",
        "data: lines",
        "",
        "",
    ]
    sent = separator.join(lines).encode()
    reader, found = Events(), []
    for at in range(0, len(sent), size):
        found += reader.of(sent[at : at + size])
    assert b"".join(each.raw for each in found) + reader.rest == sent
    assert [each.data for each in found] == [b'{"x": 1}', b"", b"two\nlines"]
    assert found[0].content == {"x": 1}
    assert found[2].content is None


def test_an_event_without_a_blank_line_is_the_last():
    reader = Events()
    assert reader.of(b"data: 1\n\ndata: 2\n") != []
    assert [each.data for each in reader.last()] == [b"2"]
    assert reader.last() == []


@pytest.mark.parametrize(
    ("kind", "content", "ends", "has_usage"),
    [
        ("chat", "[DONE]", True, False),
        ("chat", {"choices": [], "usage": {"prompt_tokens": 1}}, False, True),
        ("chat", {"choices": [{}], "usage": {"prompt_tokens": 1}}, False, False),
        ("chat", {"choices": [{"delta": {"content": "[DONE]"}}], "usage": None}, False, False),
        ("messages", {"type": "message_stop"}, True, False),
        ("messages", {"type": "message_delta", "usage": {}}, False, True),
        ("messages", {"type": "content_block_delta", "text": '"message_stop"'}, *[0] * 2),
        ("responses", {"type": "response.completed", "response": {}}, True, False),
        ("responses", {"type": "response.failed", "response": {}}, True, False),
        ("responses", {"type": "response.output_text.delta", "delta": "response.failed"}, *[0] * 2),
        ("generate", {"candidates": [{"finishReason": "STOP"}]}, False, True),
        ("image", {"type": "image_generation.completed"}, False, True),
    ],
)  # fmt: skip
def test_the_last_event_of_each_api(kind, content, ends, has_usage):
    one = event(content)
    assert (is_end(kind, one), has_last_usage(kind, one)) == (bool(ends), bool(has_usage))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'data: {"id":1,"usage":null}\n\n', b'data: {"id":1}\n\n'),
        (b'data: {"usage":null,"id":1}\n\n', b'data: {"id":1}\n\n'),
        (b'data: {"id": 1, "usage": null, "x": 2}\n\n', b'data: {"id": 1, "x": 2}\n\n'),
        (b'data: {"a":{"usage":null,"b":1}}\n\n', b'data: {"a":{"usage":null,"b":1}}\n\n'),
        (b'data: {"a":",\\"usage\\":null"}\n\n', b'data: {"a":",\\"usage\\":null"}\n\n'),
        (b'data: {"a":"x","usage":null,"b":"{"}\n\n', b'data: {"a":"x","b":"{"}\n\n'),
        (b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n', b""),
        (b"data: [DONE]\n\n", b"data: [DONE]\n\n"),
        (b": a comment\n\n", b": a comment\n\n"),
    ],
)
def test_what_asking_for_usage_brought_is_taken_out(raw, shown):
    [one] = Events().of(raw)
    assert hidden(one) == shown


def test_a_body_is_asked_for_usage_with_as_few_changes_as_possible():
    body = b'{ "model":"m", "stream": true, "temperature": 1.0 }\n'
    asked = body_asking("chat", body, json.loads(body))
    assert asked == body.rstrip()[:-1] + b',"stream_options":{"include_usage":true}}'
    assert json.loads(asked)["stream_options"] == {"include_usage": True}
    for fields in ({"stream": False}, {"stream": True, "stream_options": {"include_usage": False}}):
        assert body_asking("chat", json.dumps(fields).encode(), fields) is None
    more = {"stream": True, "stream_options": {"include_obfuscation": False}}
    asked = json.loads(body_asking("chat", json.dumps(more).encode(), more))
    assert asked["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_the_beginning_of_an_array():
    assert partial_array('[{"a": 1},\n {"b": [2]}]') == [{"a": 1}, {"b": [2]}]
    assert partial_array('[{"a": 1},\n {"b": [2') == [{"a": 1}]
    assert partial_array("[") == partial_array("") == []


@pytest.mark.parametrize(
    ("method", "path", "kind", "free"),
    [
        ("POST", "/v1/chat/completions", "chat", False),
        ("POST", "/v1/chat/completions/chatcmpl-1", None, True),
        ("POST", "/openai/deployments/gpt/chat/completions/", "chat", False),
        ("POST", "/v1/responses", "responses", False),
        ("POST", "/v1/responses/resp_1/cancel", None, True),
        ("POST", "/v1/responses/input_tokens", None, True),
        ("POST", "/v1/messages", "messages", False),
        ("POST", "/v1/messages/count_tokens", None, True),
        ("POST", "/v1/messages/batches", None, False),
        ("POST", "/v1/threads/t/messages", None, False),
        ("POST", "/v1beta/models/g:countTokens", None, True),
        ("POST", "/v1beta/models/g:generateContent", "generate", False),
        ("POST", "/v1beta/models/g:streamGenerateContent", "generate", False),
        ("POST", "/v1beta/models/g:batchGenerateContent", None, False),
        ("POST", "/v1/files", None, True),
        ("POST", "/v1/vector_stores/v/files", None, False),
        ("DELETE", "/v1/responses/resp_1", None, True),
        ("PATCH", "/v1beta/cachedContents/1", None, False),
    ],
)
def test_paths(method, path, kind, free):
    assert kind_of(path) == kind
    assert is_free(method, path) is free


def test_the_model_of_a_path():
    assert model_in("/v1beta/models/gemini-2.5-flash:generateContent") == "gemini-2.5-flash"
    assert model_in("/v1/chat/completions") is None


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("chat", lambda body: body["error"]["message"]),
        ("messages", lambda body: body["error"]["message"]),
        ("generate", lambda body: body["error"]["message"]),
        ("responses", lambda body: body["message"]),
    ],
)
def test_an_error_in_a_stream_is_in_the_form_of_its_api(kind, place):
    refused = Refusal(400, "budget_exceeded", {}, {"limit": "5"})
    [one] = Events().of(error_event(kind, refused, "no more"))
    assert place(one.content) == "no more"
    assert one.raw.startswith(b"event: error") is (kind in ("messages", "responses"))


def test_statuses_in_googles_words():
    refused = Refusal(400, "budget_exceeded", {}, {})
    assert error_body("google", refused, "x")["error"]["status"] == "FAILED_PRECONDITION"
