"""A provider of models on this machine: HTTP APIs of OpenAI, Anthropic, Google; with a known bill.

Real clients talk to it over a loopback port. What it answers is one word after another, one
token each, so that whoever counts what arrived of a cut stream comes to the provider's figure.

What a call does is said in its prompt, which reaches the provider through any client, router or
proxy: ``[[status=429 times=2]]``. The knobs:

``input``, ``output``, ``cached``, ``reasoning``   tokens on the bill (8, 5, 0, 0)
``status``                                         answer with this error
``times``                                          so many times, then well (for ever)
``id``                                             makes two prompts with ``times`` two
``break``                                          cut the connection after so many words, or
                                                   before any event (``start``)
``error``                                          send an error event instead of cutting
``waits``                                          but not before ``Provider.may_break`` is set
``stall``                                          send no more after so many words
``slow``, ``pause``                                seconds before the answer, between the words
``answers``                                        the model that is said to have answered
``refuses``                                        the model whose messages end as refused
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

INPUT, OUTPUT = 8, 5
_KNOBS = re.compile(r"\[\[(.*?)\]\]")
_PROMPTS = ("messages", "input", "prompt", "system", "contents", "query")


@dataclass
class Billed:
    """A call that the provider answered and bills: once its answer began."""

    path: str
    model: str
    body: dict[str, Any]
    headers: dict[str, str]
    input: int
    output: int
    sent: int = 0  # words of a stream
    finished: bool = False  # all was sent


@dataclass
class Provider:
    """What a running provider has seen."""

    url: str = ""
    requests: int = 0
    """All, with those that were answered by an error."""
    billed: list[Billed] = field(default_factory=list)
    left: int = 0
    """Clients that went away before the answer's end."""
    seen: Counter[str] = field(default_factory=Counter)
    may_break: threading.Event = field(default_factory=threading.Event)
    """Set by the reader of a stream once it has all that is to come: a client that is slow may
    lose what it has not read when the connection ends."""

    @property
    def openai_url(self) -> str:
        """The base_url of an OpenAI client; an Anthropic one takes ``url``."""
        return f"{self.url}/v1"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests += 1
        path = scope["path"]
        if scope["method"] == "GET":
            models = [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "provider"}]
            await _answer(send, 200, {"object": "list", "data": models})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = _body(raw, headers)
        call = _Call(self, path, headers, body, send)
        call.is_array = path.endswith(":streamGenerateContent") and (
            b"alt=sse" not in scope["query_string"]
        )
        working = asyncio.create_task(call.run())
        leaving = asyncio.create_task(_disconnected(receive))
        await asyncio.wait({working, leaving}, return_when="FIRST_COMPLETED")
        leaving.cancel()
        if not working.done():
            self.left += 1
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


class _Cut(Exception):
    """Ends a connection in the middle: the server closes it without the end of the body."""


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Any, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after-ms", b"1"),
        (b"x-request-id", b"req_1"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _body(raw: bytes, headers: dict[str, str]) -> dict[str, Any]:
    if coding := headers.get("content-encoding"):
        from budgetledger.wallet.encodings import decoded

        raw = decoded(raw, coding, 1 << 26)
    if not headers.get("content-type", "").startswith("multipart/"):
        body: dict[str, Any] = json.loads(raw or b"{}")
        return body
    fields = re.findall(rb'name="(\w+)"\r\n\r\n(.*?)\r\n--', raw, re.DOTALL)
    return {name.decode(): value.decode() for name, value in fields}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


class _Call:
    """One request and its answer, in the shape its path asks for."""

    begun = False
    is_array = False  # a stream is a JSON array, as Gemini's without alt=sse

    def __init__(
        self, provider: Provider, path: str, headers: dict[str, str], body: Any, send: Any
    ) -> None:
        self.provider, self.path, self.headers = provider, path, headers
        self.body, self.send = body, send
        asked = [body.get(name) for name in _PROMPTS]
        self.asked = "\n".join(_texts(asked))
        found = " ".join(_KNOBS.findall(self.asked)).split()
        self.knobs = dict(knob.partition("=")[::2] for knob in found)
        self.input = int(self.knobs.get("input", INPUT))
        self.output = int(self.knobs.get("output", OUTPUT))
        self.cached = int(self.knobs.get("cached", 0))
        self.reasoning = int(self.knobs.get("reasoning", 0))
        deployment = re.search(r"/(?:deployments|models)/([^/:]+)[/:]", path)
        model = body.get("model") or (deployment and deployment[1]) or "none"
        self.model = self.knobs.get("answers", model)
        self.stop = "refusal" if self.knobs.get("refuses") == model else "end_turn"
        self.words = ["row", *[" row"] * (self.output - self.reasoning - 1)]
        shaped = body.get("response_format") or body.get("output_format")
        shaped = shaped or (body.get("text") or {}).get("format")
        shaped = shaped or (body.get("output_config") or {}).get("format")
        if shaped and shaped != "url" and shaped != "b64_json":
            self.words = ["{", "}"]

    async def run(self) -> None:
        await asyncio.sleep(float(self.knobs.get("slow", 0)))
        status = int(self.knobs.get("status", 200))
        if status != 200:
            self.provider.seen[self.asked] += 1
            times = self.knobs.get("times")
            if times is None or self.provider.seen[self.asked] <= int(times):
                error = {"type": "made_up", "message": f"asked for {status}", "code": None}
                await _answer(self.send, status, {"type": "error", "error": error})
                return
        for end in sorted(_SHAPES, key=len, reverse=True):
            if self.path.endswith(end):
                break
        else:
            error = {"type": "not_found_error", "message": f"no {self.path} here", "code": None}
            await _answer(self.send, 404, {"type": "error", "error": error})
            return
        whole, stream = _SHAPES[end]
        billed = Billed(self.path, self.model, self.body, self.headers, self.input, self.output)
        self.provider.billed.append(billed)
        if stream is not None and (self.body.get("stream") or whole is None):
            await self._stream(billed, stream(self))
        else:
            await _answer(self.send, 200, whole(self))
        billed.finished = True

    async def _stream(self, billed: Billed, events: Any) -> None:
        kind = b"application/json" if self.is_array else b"text/event-stream"
        headers = [(b"content-type", kind), (b"x-request-id", b"req_1")]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        pause = float(self.knobs.get("pause", 0))
        if await self._ended_at("start"):
            return
        for is_word, event in events:
            if is_word:
                if await self._ended_at(str(billed.sent)):
                    return
                billed.sent += 1
            await self._event(event)
            await asyncio.sleep(pause)
        if self.path.endswith("completions"):
            await self._write(b"data: [DONE]\n\n")
        if self.is_array:
            await self._write(b"]")
        await self.send({"type": "http.response.body", "body": b""})

    async def _ended_at(self, place: str) -> bool:
        """Whether the stream is to end here, by an error that is now sent; or it is cut."""
        is_cut, has_error = (self.knobs.get(how) == place for how in ("break", "error"))
        if self.knobs.get("stall") == place:
            await asyncio.Event().wait()  # until the client leaves
        while (is_cut or has_error) and "waits" in self.knobs:
            if self.provider.may_break.is_set():
                break
            await asyncio.sleep(0.01)
        if is_cut:
            raise _Cut
        if has_error:
            what = {"type": "overloaded_error", "message": "asked for", "code": None}
            await self._event({"type": "error", "error": what, "message": "asked for"})
            await self.send({"type": "http.response.body", "body": b""})
        return has_error

    async def _event(self, event: dict[str, Any]) -> None:
        if self.is_array:
            self.begun, start = True, b",\r\n" if self.begun else b"["
            await self._write(start + json.dumps(event, indent=2).encode())
            return
        name = f"event: {event['type']}\n" if "type" in event else ""
        await self._write(f"{name}data: {json.dumps(event)}\n\n".encode())

    async def _write(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    # -- what each API answers ----------------------------------------------------------------

    @property
    def text(self) -> str:
        return "".join(self.words)

    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    def usage_of_response(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }

    def usage_of_message(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input - self.cached,
            "cache_read_input_tokens": self.cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": self.output,
        }

    def chat(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choices = [
            {"index": index, "message": message, "finish_reason": "stop", "logprobs": None}
            for index in range(self.body.get("n") or 1)
        ]
        return self._object("chat.completion") | {"choices": choices, "usage": self.usage()}

    def chat_stream(self) -> Any:
        kind = self._object("chat.completion.chunk") | self._no_usage_yet()

        def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            return kind | {"choices": [choice]}

        yield False, chunk(role="assistant", content="")
        for word in self.words:
            yield True, chunk(content=word)
        yield False, chunk("stop")
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield False, kind | {"choices": [], "usage": self.usage()}

    def _no_usage_yet(self) -> dict[str, Any]:
        """In each chunk before the one with the usage, if that was asked for."""
        asked = (self.body.get("stream_options") or {}).get("include_usage")
        return {"usage": None} if asked else {}

    def completion(self) -> dict[str, Any]:
        choice = {"index": 0, "text": self.text, "finish_reason": "stop", "logprobs": None}
        return self._object("text_completion") | {"choices": [choice], "usage": self.usage()}

    def completion_stream(self) -> Any:
        kind = self._object("text_completion") | self._no_usage_yet()
        for word in self.words:
            choice = {"index": 0, "text": word, "finish_reason": None, "logprobs": None}
            yield True, kind | {"choices": [choice]}
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield False, kind | {"choices": [], "usage": self.usage()}

    def embedding(self) -> dict[str, Any]:
        usage = {"prompt_tokens": self.input, "total_tokens": self.input}
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        return {"object": "list", "data": data, "model": self.model, "usage": usage}

    def image(self) -> dict[str, Any]:
        usage = {
            "input_tokens": self.input,
            "input_tokens_details": {"text_tokens": self.input, "image_tokens": 0},
            "output_tokens": self.output,
            "total_tokens": self.input + self.output,
        }
        data = [{"b64_json": "AAAA"}] * int(self.body.get("n") or 1)
        return {"created": 1795000000, "data": data, "usage": usage}

    def image_stream(self) -> Any:
        kind = {"created_at": 1795000000, "b64_json": "AAAA", "output_format": "png"}
        kind |= {"background": "opaque", "quality": "low", "size": "1024x1024"}
        name = "image_edit" if self.path.endswith("edits") else "image_generation"
        yield True, kind | {"type": f"{name}.partial_image", "partial_image_index": 0}
        yield False, kind | {"type": f"{name}.completed", "usage": self.image()["usage"]}

    def response(self, status: str = "completed", usage: Any = None) -> dict[str, Any]:
        part = {"type": "output_text", "text": self.text, "annotations": []}
        message = {"id": "i1", "type": "message", "role": "assistant", "status": "completed"}
        output = [message | {"content": [part]}] if status == "completed" else []
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1795000000,
            "model": self.model,
            "status": status,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": self.usage_of_response() if status == "completed" else None,
        }

    def response_stream(self) -> Any:
        at = {"item_id": "i1", "output_index": 0, "content_index": 0}
        message = {"id": "i1", "type": "message", "role": "assistant", "status": "in_progress"}
        empty = {"type": "output_text", "text": "", "annotations": []}
        events: list[tuple[bool, dict[str, Any]]] = [
            (False, {"type": "response.created", "response": self.response("in_progress")}),
            (
                False,
                {
                    "type": "response.output_item.added",
                    "output_index": 0,
                    "item": message | {"content": []},
                },
            ),
            (False, {"type": "response.content_part.added", **at, "part": empty}),
        ]
        for word in self.words:
            delta = {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
            events.append((True, delta))
        done = {"type": "response.output_text.done", **at, "text": self.text, "logprobs": []}
        events.append((False, done))
        events.append((False, {"type": "response.completed", "response": self.response()}))
        for number, (is_word, event) in enumerate(events):
            yield is_word, event | {"sequence_number": number}

    def message(self) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [{"type": "text", "text": self.text}],
            "stop_reason": self.stop,
            "stop_sequence": None,
            "usage": self.usage_of_message(),
        }

    def message_stream(self) -> Any:
        begun = {"content": [], "stop_reason": None}
        begun["usage"] = self.usage_of_message() | {"output_tokens": 1}
        yield False, {"type": "message_start", "message": self.message() | begun}
        block = {"type": "text", "text": ""}
        yield False, {"type": "content_block_start", "index": 0, "content_block": block}
        for word in self.words:
            delta = {"type": "text_delta", "text": word}
            yield True, {"type": "content_block_delta", "index": 0, "delta": delta}
        yield False, {"type": "content_block_stop", "index": 0}
        ended: dict[str, Any] = {"stop_reason": self.stop, "stop_sequence": None}
        if self.stop == "refusal":  # and another model may go on
            ended["stop_details"] = {"type": "refusal", "fallback_credit_token": "t"}
        usage = {"output_tokens": self.output}
        yield False, {"type": "message_delta", "delta": ended, "usage": usage}
        yield False, {"type": "message_stop"}

    def content(self, text: str | None = None, *, is_last: bool = True) -> dict[str, Any]:
        part = {"text": self.text if text is None else text}
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if is_last:
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": self.input, "totalTokenCount": self.input}
        if is_last:
            usage |= {"candidatesTokenCount": self.output - self.reasoning}
            usage |= {"thoughtsTokenCount": self.reasoning}
            usage["totalTokenCount"] += self.output
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": self.model}

    def content_stream(self) -> Any:
        for word in self.words:
            yield True, self.content(word, is_last=False)
        yield False, self.content("")

    def moderation(self) -> dict[str, Any]:
        result = {"flagged": False, "categories": {}, "category_scores": {}}
        return {"id": "m1", "model": self.model, "results": [result]}

    def transcription(self) -> dict[str, Any]:
        return {"text": self.text}

    def ranking(self) -> dict[str, Any]:
        results = [{"index": 0, "relevance_score": 0.5}]
        units = {"billed_units": {"search_units": 1}, "api_version": {"version": "2"}}
        return {"id": "r1", "results": results, "meta": units}

    def tokens(self) -> dict[str, Any]:
        return {"input_tokens": self.input}

    def _object(self, kind: str) -> dict[str, Any]:
        return {"id": "c1", "object": kind, "created": 1795000000, "model": self.model}


_SHAPES: dict[str, tuple[Any, Any]] = {
    "/chat/completions": (_Call.chat, _Call.chat_stream),
    "/completions": (_Call.completion, _Call.completion_stream),
    "/embeddings": (_Call.embedding, None),
    "/responses": (_Call.response, _Call.response_stream),
    "/images/generations": (_Call.image, _Call.image_stream),
    "/images/edits": (_Call.image, _Call.image_stream),
    "/images/variations": (_Call.image, None),
    "/messages": (_Call.message, _Call.message_stream),
    "/messages/count_tokens": (_Call.tokens, None),
    ":generateContent": (_Call.content, None),
    ":streamGenerateContent": (None, _Call.content_stream),
    "/moderations": (_Call.moderation, None),
    "/audio/transcriptions": (_Call.transcription, None),
    "/audio/speech": (_Call.transcription, None),
    "/rerank": (_Call.ranking, None),
}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:  # they belong to the test run
        yield


@contextlib.contextmanager
def serving() -> Any:
    """A `Provider` that answers on a port of its own until the end of the block."""
    provider = Provider()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # a call may come before the server runs
        provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            provider, log_config=None, log_level=100, lifespan="off", ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = _Server(config)
        running = threading.Thread(target=server.run, args=([listening],), daemon=True)
        running.start()
        try:
            yield provider
        finally:
            server.should_exit = True
            running.join(10)


@pytest.fixture
def provider() -> Any:
    """A provider of the test's own."""
    with serving() as provider:
        yield provider
