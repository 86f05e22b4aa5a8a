"""Compressed answers, strict servers, errors, clients that leave, large bodies, and foreigners."""

from __future__ import annotations

import gzip
import json
import socket
import time

import httpx2
import openai
import pytest
import wallets

from budgetledger import Ledger
from budgetledger.errors import StoreBusy
from budgetledger.wallet import answers

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
HEADERS = {"authorization": "Bearer sk-own"}


def chat(text, **more):
    return CHAT | {"messages": [{"role": "user", "content": text}]} | more


def kinds(ledger, account="alice"):
    return [entry.kind for entry in ledger.entries(account)]


def rows(ledger):
    return [entry for entry in ledger.entries("alice") if entry.kind == "settle"]


class Upstream:
    """Answers with *parts*, and keeps the requests it got."""

    def __init__(self, *parts, status=200, **headers):
        self.parts, self.status, self.requests = parts, status, []
        self.headers = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests.append((dict(scope["headers"]), body))
        await self.answer(json.loads(body), send)

    async def answer(self, body, send):
        await self.send(send, self.status, self.headers, self.parts)

    async def send(self, send, status, headers, parts):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def serving(ledger, url, **options):
    return wallets.serving(ledger, {"OPENAI_BASE_URL": f"{url}/v1"}, **options)


ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
}
CHUNKS = [
    {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [{"index": 0, "delta": {
        "content": 'an {"usage":null} text', "role": "assistant"}}], "usage": None},
    {"object": "chat.completion.chunk", "model": "gpt-4o", "usage": None, "choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop", "usage": None}]},
    {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": {
        "prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}},
]  # fmt: skip


def events(chunks, separator=b"\n\n"):
    shaped = [b"data: " + json.dumps(chunk, separators=(",", ":")).encode() for chunk in chunks]
    return [each + separator for each in [*shaped, b"data: [DONE]"]]


def test_a_compressed_answer_passes_compressed_and_is_read(ledger):
    body = gzip.compress(json.dumps(ANSWER).encode())
    upstream = Upstream(
        body[:9], body[9:], content_type="application/json", content_encoding="gzip"
    )
    with (
        wallets.running(upstream) as url,
        serving(ledger, url) as wallet,
        wallets.stream(
            "POST", f"{wallet.openai}/chat/completions", json=CHAT, headers=HEADERS
        ) as response,
    ):
        raw = b"".join(response.iter_raw())
        assert response.headers["content-encoding"] == "gzip"
    assert raw == body
    assert [row.input_tokens for row in rows(ledger)] == [10]
    accepted = upstream.requests[0][0][b"accept-encoding"]
    assert b"gzip" in accepted
    assert b"br" not in accepted


@pytest.mark.parametrize("separator", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_usage_that_was_asked_for_is_taken_out_to_the_byte(ledger, separator, is_compressed, size):
    """However the bytes are cut, and if the server compresses what was to be uncompressed."""
    sent = b"".join(events(CHUNKS, separator))
    own = [
        {name: value for name, value in chunk.items() if name != "usage"} for chunk in CHUNKS[:2]
    ]
    expected = b"".join(events(own, separator))
    coded = gzip.compress(sent) if is_compressed else sent
    parts = [coded[at : at + size] for at in range(0, len(coded), size)]
    headers = {"content_encoding": "gzip"} if is_compressed else {}
    upstream = Upstream(*parts, content_type="text/event-stream", **headers)
    with wallets.running(upstream) as url, serving(ledger, url) as wallet:
        answer = wallets.post(
            f"{wallet.openai}/chat/completions", json=CHAT | {"stream": True}, headers=HEADERS
        )
    assert answer.content == expected
    assert "content-encoding" not in answer.headers
    assert [(row.input_tokens, row.output_tokens) for row in rows(ledger)] == [(10, 3)]
    assert upstream.requests[0][0][b"accept-encoding"] == b"identity"


class Strict(Upstream):
    """Refuses ``stream_options``, as some compatible servers do."""

    async def answer(self, body, send):
        if "stream_options" in body:
            error = b'{"error": {"message": "unknown field stream_options"}}'
            await self.send(send, 400, [(b"content-type", b"application/json")], [error])
        else:
            await super().answer(body, send)


def test_a_server_that_refuses_to_be_asked_for_usage_is_not_asked_again(ledger):
    upstream = Strict(*events(CHUNKS[:2]), content_type="text/event-stream")
    with wallets.running(upstream) as url, serving(ledger, url) as wallet:
        for _ in range(2):
            answer = wallets.post(
                f"{wallet.openai}/chat/completions", json=CHAT | {"stream": True}, headers=HEADERS
            )
            assert answer.content == b"".join(events(CHUNKS[:2]))
    assert ["stream_options" in json.loads(body) for _, body in upstream.requests] == [
        True, False, False,
    ]  # fmt: skip
    assert [row.cost_basis for row in rows(ledger)] == ["estimated", "estimated"]


def test_an_error_passes_as_it_is_and_gives_the_hold_back(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k")
        with pytest.raises(openai.InternalServerError, match="asked for 503"):
            client.chat.completions.create(**chat("[[status=503]]"))
    assert provider.requests == 3  # the client's own retries, none of the wallet's
    assert kinds(ledger) == ["budget", *["hold", "release"] * 3]
    assert ledger.balance("alice").held == 0


def test_a_retry_of_the_client_that_succeeds_is_one_row(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k")
        client.chat.completions.create(**chat("[[status=503 times=2]]"))
    assert kinds(ledger) == ["budget", *["hold", "release"] * 2, "hold", "settle"]


def test_an_unreachable_provider_is_said_so(ledger):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with serving(ledger, url) as wallet:
            answer = wallets.post(f"{wallet.openai}/chat/completions", json=CHAT)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "unreachable"
    assert kinds(ledger) == ["budget", "hold", "release"]


def test_a_stream_that_breaks_breaks_for_the_client_and_what_came_is_recorded(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k", max_retries=0)
        stream = client.chat.completions.create(**chat("[[break=3]]"), stream=True)
        words = []
        with pytest.raises(openai.APIConnectionError):
            words.extend(chunk.choices[0].delta.content for chunk in stream)
    assert words == ["", "row", " row", " row"]
    [row] = rows(ledger)
    assert (row.cost_basis, row.output_tokens) == ("estimated", 3)


def test_a_client_that_leaves_a_stream_ends_it_at_the_provider(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k", max_retries=0)
        stream = client.chat.completions.create(**chat("[[stall=2 output=9]]"), stream=True)
        words = [next(stream).choices[0].delta.content for _ in range(3)]
        stream.close()
        until(lambda: provider.left and rows(ledger))
    assert words == ["", "row", " row"]
    [row] = rows(ledger)
    assert (row.cost_basis, row.output_tokens) == ("estimated", 2)
    assert ledger.balance("alice").held == 0


def test_a_client_that_leaves_before_the_answer_gives_the_hold_back(provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        with pytest.raises(httpx2.ReadTimeout):
            wallets.post(f"{wallet.openai}/chat/completions", json=chat("[[slow=60]]"), timeout=0.5)
        until(lambda: provider.left and "release" in kinds(ledger))
    assert kinds(ledger) == ["budget", "hold", "release"]


def until(happened):
    end = time.monotonic() + 30
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)


def test_words_arrive_as_they_are_sent(provider, ledger):
    """The provider waits until the client has read what came."""
    text = "[[output=4 break=2 waits]]"
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k", max_retries=0)
        stream = client.chat.completions.create(**chat(text), stream=True)
        assert [next(stream).choices[0].delta.content for _ in range(3)] == ["", "row", " row"]
        provider.may_break.set()
        with pytest.raises(openai.APIConnectionError):
            next(stream)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_row_is_there_before_the_last_byte(is_streamed, tmp_path, monkeypatch):
    """An answer delivered whole has its settle, even if the wallet dies right then."""
    from budgetledger.wallet.recording import Recorder

    steps = []
    settle = Recorder.settle

    async def noted(self, ledger, hold, paid):
        await settle(self, ledger, hold, paid)
        steps.append("recorded")

    monkeypatch.setattr(Recorder, "settle", noted)
    if is_streamed:
        upstream = Upstream(*events(CHUNKS), content_type="text/event-stream")
    else:
        upstream = Upstream(json.dumps(ANSWER).encode(), content_type="application/json")
    with Ledger(tmp_path / "spend.db") as ledger:
        ledger.set_budget("alice", 5)
        with wallets.running(upstream) as url, serving(ledger, url) as wallet:
            passing = wallet.wallet._calls

            async def watched(*arguments):
                *rest, send = arguments

                async def noting(message):
                    body = message.get("body", b"")
                    if b"[DONE]" in body or body.endswith(b"}"):
                        steps.append("last byte")
                    await send(message)

                await metered(*rest, noting)

            metered, passing.metered = passing.metered, watched
            body = CHAT | {"stream": is_streamed}
            wallets.post(f"{wallet.openai}/chat/completions", json=body)
    assert steps == ["recorded", "last byte"]


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnrecordedWarning")
def test_a_store_that_fails_keeps_no_answer_back_and_is_tried_again(provider, ledger, monkeypatch):
    from budgetledger.journal import holding

    failures = [StoreBusy("busy", target="x")] * 2
    settle = holding.settle

    def failing(*arguments):
        if failures:
            raise failures.pop()
        return settle(*arguments)

    monkeypatch.setattr(holding, "settle", failing)
    with wallets.serving(ledger, provider) as wallet:
        answer = wallets.post(f"{wallet.openai}/chat/completions", json=CHAT)
        assert answer.json()["usage"]["total_tokens"] == 13
        until(lambda: rows(ledger))
    assert len(rows(ledger)) == 1
    assert wallet.bill.unrecorded == 0


def test_a_body_of_64_mb_passes_and_a_larger_one_is_refused(provider, ledger):
    picture = "data:image/png;base64," + "A" * (60 * 1024 * 1024)
    parts = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": picture}}]
    body = CHAT | {"messages": [{"role": "user", "content": parts}]}
    with wallets.serving(ledger, provider) as wallet:
        answer = wallets.post(f"{wallet.openai}/chat/completions", json=body, timeout=120)
        assert answer.status_code == 200
        larger = wallets.post(
            f"{wallet.openai}/chat/completions", content=b"x" * (65 * 1024 * 1024), timeout=120
        )
    assert larger.status_code == 413
    assert len(rows(ledger)) == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/wrong-secret/openai/v1/models", {}),
        ("/openai/v1/models", {}),
        ("/", {}),
        (None, {"host": "evil.example"}),
        (None, {"host": "localhost.evil.example"}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "null"}),
    ],
)
def test_foreigners_are_turned_away(path, headers, provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        url = f"{wallet.openai}/models" if path is None else wallet.url + path
        assert wallets.get(url, headers=headers).status_code == 403
        assert wallets.get(f"{wallet.openai}/models").status_code == 200
        assert wallets.get(f"{wallet.root}/nowhere/v1/models").status_code == 404
    assert provider.requests == 1


REFUSED = [
    ("openai", "/audio/transcriptions", {}),
    ("openai", "/audio/speech", {"input": "x"}),
    ("openai", "/batches", {}),
    ("openai", "/fine_tuning/jobs", {}),
    ("openai", "/vector_stores", {}),
    ("openai", "/realtime/sessions", {}),
    ("openai", "/responses", {"model": "gpt-4o", "input": "x", "background": True}),
    ("anthropic", "/v1/messages/batches", {}),
    ("gemini", "/v1beta/models/gemini-2.5-flash:embedContent", {}),
    ("gemini", "/v1beta/models/veo-3:predictLongRunning", {}),
]


@pytest.mark.parametrize(("segment", "path", "body"), REFUSED)
def test_what_would_go_unseen_is_refused(segment, path, body, provider, ledger):
    with wallets.serving(ledger, provider) as wallet:
        base = {"openai": wallet.openai, "anthropic": wallet.anthropic, "gemini": wallet.gemini}
        answer = wallets.post(base[segment] + path, json=body)
    assert answer.status_code == 400
    assert answer.headers["x-should-retry"] == "false"
    assert "program" in answer.json()["error"]["message"]
    assert provider.requests == 0
    assert wallet.bill.refused == 1


def test_web_sockets_are_answered_with_426(provider, ledger):
    headers = {
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw==",
    }  # fmt: skip
    with wallets.serving(ledger, provider) as wallet:
        assert wallets.get(f"{wallet.openai}/responses", headers=headers).status_code == 426


def test_the_session_that_an_agent_names_is_a_tag(provider, ledger):
    with wallets.serving(ledger, provider, tags={"program": "claude"}) as wallet:
        headers = {"x-claude-code-session-id": "s-1"}
        wallets.post(f"{wallet.openai}/chat/completions", json=CHAT, headers=headers)
    assert rows(ledger)[0].tags == {"program": "claude", "session": "s-1"}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")
def test_an_answer_that_cannot_be_read_passes_and_costs_what_was_held(
    is_streamed, ledger, monkeypatch
):
    """Whatever goes wrong in the wallet's own reading."""

    def broken(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(answers.EventAnswer, "_pass", broken)
    monkeypatch.setattr(answers, "reading_of", broken)
    chunks = events(CHUNKS)
    if is_streamed:
        upstream = Upstream(*chunks, content_type="text/event-stream")
    else:
        upstream = Upstream(json.dumps(ANSWER).encode(), content_type="application/json")
    asked = {"stream": is_streamed, "stream_options": {"include_usage": True}}
    with wallets.running(upstream) as url, serving(ledger, url) as wallet:
        answer = wallets.post(f"{wallet.openai}/chat/completions", json=CHAT | asked)
    assert answer.content == b"".join(upstream.parts)
    [row] = rows(ledger)
    assert row.cost_basis == "assumed"


@pytest.mark.slow
def test_a_wallet_that_is_stopped_records_what_is_in_progress(provider, ledger):
    """The server cancels its tasks after five seconds."""
    with wallets.serving(ledger, provider) as wallet:
        client = openai.OpenAI(base_url=wallet.openai, api_key="k", max_retries=0)
        stream = client.chat.completions.create(**chat("[[stall=2 output=9]]"), stream=True)
        assert [next(stream).choices[0].delta.content for _ in range(3)] == ["", "row", " row"]
    stream.close()
    [row] = rows(ledger)
    assert (row.cost_basis, row.output_tokens) == ("estimated", 2)
    assert ledger.balance("alice").held == 0
