"""Bytes through the wallet are those of a direct call, and each call is one row."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
import wallets
import zstandard

from budgetledger import Usage

HEADERS = {"authorization": "Bearer sk-own", "anthropic-version": "2023-06-01"}
PROMPT = "Say something. [[output=4]]"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}
TEXT = {"model": "gpt-3.5-turbo-instruct", "prompt": PROMPT, "max_tokens": 9}
RESPONSE = {"model": "gpt-4o", "input": PROMPT}
MESSAGE = {
    "model": "claude-opus-4-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": PROMPT}],
}
CONTENT = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
IMAGE = {"model": "gpt-image-1", "prompt": PROMPT, "quality": "low", "size": "1024x1024"}
WITH_USAGE = {"stream_options": {"include_usage": True}}
CALLS = {
    "chat": ("openai", "/chat/completions", CHAT),
    "chat, streamed": ("openai", "/chat/completions", CHAT | {"stream": True}),
    "chat, usage asked": ("openai", "/chat/completions", CHAT | {"stream": True} | WITH_USAGE),
    "text": ("openai", "/completions", TEXT),
    "text, streamed": ("openai", "/completions", TEXT | {"stream": True}),
    "text, usage asked": ("openai", "/completions", TEXT | {"stream": True} | WITH_USAGE),
    "responses": ("openai", "/responses", RESPONSE),
    "responses, streamed": ("openai", "/responses", RESPONSE | {"stream": True}),
    "embeddings": ("openai", "/embeddings", {"model": "text-embedding-3-small", "input": PROMPT}),
    "image": ("openai", "/images/generations", IMAGE),
    "image, streamed": ("openai", "/images/generations", IMAGE | {"stream": True}),
    "messages": ("anthropic", "/v1/messages", MESSAGE),
    "messages, streamed": ("anthropic", "/v1/messages?beta=true", MESSAGE | {"stream": True}),
    "gemini": ("gemini", "/v1beta/models/gemini-2.5-flash:generateContent", CONTENT),
    "gemini, events": (
        "gemini",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        CONTENT,
    ),
    "gemini, array": (
        "gemini",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        CONTENT,
    ),
}


def bases(provider, wallet):
    """The base of each API at the provider, and at the wallet."""
    direct = {"openai": provider.openai_url, "anthropic": provider.url, "gemini": provider.url}
    through = {
        "openai": wallet.openai,
        "anthropic": wallet.anthropic,
        "gemini": wallet.gemini,
    }
    return direct, through


def posted(url, body, **headers):
    """The status, the headers and the bytes of the answer, as they came."""
    with wallets.stream("POST", url, json=body, headers=HEADERS | headers) as response:
        return response.status_code, response.headers.multi_items(), b"".join(response.iter_raw())


def without_date(headers):
    return sorted((name, value) for name, value in headers if name not in ("date", "server"))


@pytest.mark.parametrize("name", CALLS)
def test_bytes_are_those_of_a_direct_call(name, provider, ledger):
    segment, path, body = CALLS[name]
    with wallets.serving(ledger, provider) as wallet:
        direct, through = bases(provider, wallet)
        expected = posted(direct[segment] + path, body)
        status, headers, content = posted(through[segment] + path, body)
    assert status == expected[0] == 200
    assert content == expected[2]
    assert without_date(headers) == without_date(expected[1])
    [sent_directly, sent] = provider.billed
    asked = WITH_USAGE if name in ("chat, streamed", "text, streamed") else {}
    assert sent.body == sent_directly.body | asked
    assert end_to_end(sent.headers) == end_to_end(sent_directly.headers)


def end_to_end(headers):
    """Without those of the connection, of the length, and of what coding may be answered."""
    own = ("connection", "host", "content-length", "accept-encoding")
    return {name: value for name, value in headers.items() if name not in own}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_one_row_with_the_providers_figures(name, provider, ledger):
    segment, path, body = CALLS[name]
    with wallets.serving(ledger, provider, tags={"job": "7"}) as wallet:
        posted(bases(provider, wallet)[1][segment] + path, body)
    hold, row = [entry for entry in ledger.entries("alice") if entry.kind in ("hold", "settle")]
    assert row.kind == "settle"
    assert row.cost_basis == "stated"
    assert (row.input_tokens, row.output_tokens) == (8, 0 if name == "embeddings" else 4)
    assert row.tags == hold.tags == {"job": "7"}
    usage = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens)
    assert row.cost == ledger.charge("alice", usage=usage, model=row.model).cost


def test_a_version_in_the_path_may_be_missing_or_occur_twice(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        for base in (wallet.anthropic, f"{wallet.anthropic}/v1", f"{wallet.anthropic}/v1/v1"):
            assert posted(f"{base}/messages", MESSAGE)[0] == 200
        assert posted(f"{wallet.openai}/v1/chat/completions", CHAT)[0] == 200
        path = "models/gemini-2.5-flash:generateContent"
        for version in ("v1", "v1beta", "v1beta/v1beta", "v1beta/v1"):
            assert posted(f"{wallet.gemini}/{version}/{path}", CONTENT)[0] == 200
    assert [billed.path for billed in provider.billed] == [
        *["/v1/messages"] * 3,
        "/v1/chat/completions",
        *(f"/{version}/{path}" for version in ("v1", "v1beta", "v1beta", "v1")),
    ]


def test_what_costs_nothing_passes_and_leaves_no_row(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        models = wallets.get(f"{wallet.openai}/models?limit=2", headers=HEADERS)
        assert models.json()["data"][0]["id"] == "gpt-4o"
        assert posted(f"{wallet.anthropic}/v1/messages/count_tokens", MESSAGE)[0] == 200
        assert posted(f"{wallet.openai}/moderations", {"input": "x"})[0] == 200
        assert wallets.head(f"{wallet.anthropic}/").status_code in (200, 404)
    assert [entry.kind for entry in ledger.entries("alice")] == ["budget"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_compressed_requests_are_metered(encoding, provider, ledger):
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[
        encoding
    ]
    body = compress(json.dumps(CHAT).encode())
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    with wallets.serving(ledger, provider) as wallet:
        answer = wallets.post(
            f"{wallet.openai}/chat/completions", content=body, headers=HEADERS | headers
        )
    assert answer.status_code == 200
    assert provider.billed[-1].headers["content-encoding"] == encoding
    assert [entry.kind for entry in ledger.entries("alice")] == ["budget", "hold", "settle"]


def test_an_unreadable_compression_is_refused_before_anything_is_sent(provider, ledger):
    headers = {"content-encoding": "br", "content-type": "application/json"}
    with wallets.serving(ledger, provider) as wallet:
        answer = wallets.post(
            f"{wallet.openai}/chat/completions", content=b"\x8b", headers=HEADERS | headers
        )
    assert answer.status_code == 400
    assert "gzip" in answer.json()["error"]["message"]
    assert provider.requests == 0
