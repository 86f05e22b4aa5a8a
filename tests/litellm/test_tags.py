"""The tags of litellm calls: of a program's own, and of those that come through the Proxy."""

from __future__ import annotations

import pytest

from budgetledger.litellm.proxy.accounts import ProxyCaller
from budgetledger.litellm.proxy.requests import tags_of
from budgetledger.litellm.tags import call_tags

CALL = {
    "model": "gpt-4o",
    "user": "alice",
    "litellm_call_id": "c-1",
    "litellm_trace_id": "t-1",
    "litellm_session_id": "s-1",
    "tags": ["search", "a"],
    "metadata": {"tags": ["a", "b", "b", 5, "x" * 257, ""]},
}
TAGS = {
    "user": "alice", "litellm_call_id": "c-1", "litellm_trace_id": "t-1",
    "litellm_session_id": "s-1", "tags": ["a", "b", "search"],
}  # fmt: skip


def own(call):
    return call_tags(call, call.get("metadata"), keeps_metadata=True)


def proxied(call):
    return tags_of(ProxyCaller("app", end_user=call.get("user")), call)


@pytest.mark.parametrize("tags", [own, proxied])
def test_ids_and_request_tags_are_kept_wherever_the_call_comes_in(tags):
    assert tags(CALL) == TAGS


@pytest.mark.parametrize("tags", [own, proxied])
def test_what_is_too_long_or_too_much_is_left_out(tags):
    call = {"litellm_trace_id": "x" * 257, "metadata": {"tags": [f"t{n}" for n in range(99)]}}
    found = tags(call)
    assert list(found) == ["tags"]
    assert len(found["tags"]) == 32


@pytest.mark.parametrize("tags", [own, proxied])
@pytest.mark.parametrize("metadata", [None, "text", [], {"tags": None}], ids=repr)
def test_there_may_be_none(tags, metadata):
    assert tags({"model": "m", "metadata": metadata}) == {}


def test_a_program_keeps_its_metadata_and_the_proxy_only_the_ids_in_it():
    metadata = {
        "feature": "search", "score": 0.5, "trace_id": "t-2", "endless": float("inf"),
        "user_api_key_hash": "k", "prompt": "x" * 999, "headers": {"a": "b"},
    }  # fmt: skip
    call = {"metadata": metadata}
    assert own(call) == {"feature": "search", "score": 0.5, "trace_id": "t-2"}
    assert proxied(call) == {"litellm_trace_id": "t-2"}
    assert proxied(call | {"litellm_trace_id": "t-1"}) == {"litellm_trace_id": "t-1"}


def test_the_proxy_tells_whose_key_it_was_and_its_own_notes_come_first():
    call = {
        "user": "claimed",
        "metadata": {"tags": ["theirs"]},
        "litellm_metadata": {"tags": ["a"]},
    }
    found = tags_of(ProxyCaller("app", user="bob", end_user="alice"), call)
    assert found == {"user": "alice", "key_user": "bob", "tags": ["a"]}
