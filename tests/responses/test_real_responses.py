"""Responses as the real clients build them, as objects and as dicts, read alike."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx
import openai
import pytest
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from anthropic.types.messages import MessageBatchIndividualResponse
from litellm_proxy import VERSION
from openai.types import Batch, CreateEmbeddingResponse, ImagesResponse
from openai.types.audio import Transcription, TranscriptionVerbose
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseCompletedEvent

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.response import Reading, read_response
from budgetledger.usage import Usage

try:
    from openai.types.realtime import ResponseDoneEvent
except ImportError:  # the place of openai 1.99
    from openai.types.beta.realtime import ResponseDoneEvent

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own

ASKED: list[dict[str, str]] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def litellm() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no network
        import litellm

        yield litellm


CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795000000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "Hello!", "refusal": None},
        }
    ],
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 128,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1795000000,
    "model": "gpt-5-2025-08-07",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 0},
        "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 380,
    },
}
EMBEDDING: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello!"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 50,
        "output_tokens": 20,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
        "service_tier": "standard",
    },
}
CLAUDE = Usage(3050, 20, 2000, 400, 600)
SEARCHED: dict[str, Any] = RESPONSE | {
    "service_tier": "flex",
    "output": [
        {
            "id": f"ws_{number}",
            "type": "web_search_call",
            "status": "completed",
            "action": action,
        }
        for number, action in enumerate(
            [{"type": "search", "query": "q"}, {"type": "open_page", "url": "https://example.org"}]
        )
    ]
    + [{"id": "fs", "type": "file_search_call", "status": "completed", "queries": ["q"]}],
}
FLEX_SEARCH = Usage(
    *(328, 52, 256), reasoning_tokens=40, web_searches=1, file_searches=1, service_tier="flex"
)
IMAGES: dict[str, Any] = {
    "created": 1795000000,
    "data": [{"b64_json": "aGk="}],
    "usage": {
        "input_tokens": 60,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
        "output_tokens": 1056,
        "total_tokens": 1116,
    },
}
DRAWN = Usage(60, 1056, input_image_tokens=50, output_image_tokens=1056)
DALL_E: dict[str, Any] = {
    "created": 1795000000,
    "data": [{"url": "https://example.org/1.png"}, {"url": "https://example.org/2.png"}],
}
HEARD: dict[str, Any] = {
    "text": "Hello.",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 5,
        "total_tokens": 19,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    },
}
TIMED: dict[str, Any] = {"text": "Hello.", "usage": {"type": "duration", "seconds": 8.2}}
VERBOSE: dict[str, Any] = {"text": "Hello.", "language": "en", "duration": 8.2, "segments": []}
COMPACTED: dict[str, Any] = MESSAGE | {
    "usage": MESSAGE["usage"]
    | {
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "iterations": [
            {
                "type": kind,
                "model": "claude-opus-4-6",
                "input_tokens": count,
                "output_tokens": 7,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 0,
            }
            for kind, count in (("compaction", 9000), ("message", 50))
        ],
    }
}
BATCH: dict[str, Any] = {
    "id": "batch_1",
    "completion_window": "24h",
    "created_at": 1795000000,
    "endpoint": "/v1/responses",
    "input_file_id": "file_1",
    "object": "batch",
    "status": "completed",
    "model": "gpt-5-2025-08-07",
    "usage": RESPONSE["usage"],
}
TALKED: dict[str, Any] = {
    "type": "response.done",
    "event_id": "e1",
    "response": {
        "usage": {
            "input_tokens": 300,
            "output_tokens": 90,
            "total_tokens": 390,
            "input_token_details": {
                "text_tokens": 100,
                "audio_tokens": 200,
                "cached_tokens": 128,
                "cached_tokens_details": {"text_tokens": 32, "audio_tokens": 96},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 60},
        }
    },
}


@pytest.mark.parametrize(
    ("kind", "body", "usage"),
    [
        (ChatCompletion, CHAT, Usage(2006, 300, 1920, reasoning_tokens=128)),
        (Response, RESPONSE, Usage(328, 52, 256, reasoning_tokens=40)),
        (CreateEmbeddingResponse, EMBEDDING, Usage(8)),
        (Message, MESSAGE, CLAUDE),
        (Message, MESSAGE | {"usage": {"input_tokens": 50, "output_tokens": 20}}, Usage(50, 20)),
        (ImagesResponse, IMAGES, DRAWN),
        (Transcription, HEARD, Usage(14, 5, input_audio_tokens=10)),
        (Transcription, TIMED, Usage(input_audio_seconds=9)),
        (BetaMessage, COMPACTED, Usage(12050, 27, 2000, 400, 600, web_searches=2)),
    ],
)
def test_openai_and_anthropic_objects(kind: Any, body: dict[str, Any], usage: Usage) -> None:
    expected = Reading(body.get("model"), usage, None)
    response = kind.model_validate(body)
    assert read_response(response) == expected
    assert read_response(response.model_dump()) == expected
    assert read_response(response.model_dump(exclude_none=True)) == expected
    assert read_response(body) == expected
    assert read_response(response.usage) == expected._replace(model=None)


LINE = {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}}
ENDED = {"type": "response.completed", "sequence_number": 9, "response": SEARCHED}


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (Response, SEARCHED, (RESPONSE["model"], FLEX_SEARCH, None)),
        (ResponseCompletedEvent, ENDED, (RESPONSE["model"], FLEX_SEARCH, None)),
        (ImagesResponse, DALL_E, (None, Usage(output_images=2), None)),
        (TranscriptionVerbose, VERBOSE, (None, Usage(input_audio_seconds=9), None)),
        (
            ChatCompletion,
            CHAT | {"service_tier": "priority"},
            (
                CHAT["model"],
                Usage(2006, 300, 1920, reasoning_tokens=128, service_tier="priority"),
                None,
            ),
        ),
        (
            MessageBatchIndividualResponse,
            LINE,
            (MESSAGE["model"], CLAUDE._replace(service_tier="batch"), None),
        ),
        (
            Batch,
            BATCH,
            (
                RESPONSE["model"],
                Usage(328, 52, 256, reasoning_tokens=40, service_tier="batch"),
                None,
            ),
        ),
        (
            ResponseDoneEvent,
            TALKED,
            (
                None,
                Usage(
                    *(300, 90, 128),
                    input_audio_tokens=200,
                    output_audio_tokens=60,
                    cache_read_audio_tokens=96,
                ),
                None,
            ),
        ),
    ],
)
def test_what_the_usage_alone_does_not_tell(
    kind: Any, body: dict[str, Any], expected: Reading
) -> None:
    response = kind.model_validate(body)
    for same in (response, response.model_dump(), response.model_dump(exclude_none=True), body):
        assert read_response(same) == expected


def test_speech_says_what_to_pass() -> None:
    speech = openai.HttpxBinaryResponseContent(httpx.Response(200, content=b"RIFF"))
    for nothing in (speech, speech.content):
        with pytest.raises(UnreadableResponse, match="input_characters"):
            read_response(nothing)


GEMINI: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Hello!"}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 2000,
        "candidatesTokenCount": 50,
        "thoughtsTokenCount": 100,
        "totalTokenCount": 2150,
        "cachedContentTokenCount": 1500,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2000}],
    },
    "modelVersion": "gemini-2.5-flash",
}
RANKED: dict[str, Any] = {"id": "r1", "results": [{"index": 0, "relevance_score": 0.9}]}


@pytest.fixture
def serve() -> Iterator[Callable[[object], str]]:
    """Start a server that answers every call with this, and give its address."""
    servers = []

    def start(answer: object) -> str:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


SOUND = ("a.wav", b"RIFF" + bytes(100), "audio/wav")
THROUGH_LITELLM = [  # what to call, with what model and arguments; what is answered, and the usage
    ("completion", "anthropic/claude-sonnet-4-5", {"messages": ASKED}, MESSAGE, CLAUDE),
    (
        "completion",
        "gemini/gemini-2.5-flash",
        {"messages": ASKED},
        GEMINI,
        Usage(2000, 150, 1500, reasoning_tokens=100),
    ),
    (
        "completion",
        "openai/gpt-4o-2024-08-06",
        {"messages": ASKED},
        CHAT,
        Usage(2006, 300, 1920, reasoning_tokens=128),
    ),
    ("embedding", "text-embedding-3-small", {"input": ["hi"]}, EMBEDDING, Usage(8)),
    ("image_generation", "gpt-image-1", {"prompt": "hi"}, IMAGES, DRAWN),
    ("image_generation", "dall-e-3", {"prompt": "hi"}, DALL_E, Usage(output_images=2)),
    (
        "transcription",
        "gpt-4o-transcribe",
        {"file": SOUND},
        HEARD,
        Usage(14, 5, input_audio_tokens=10),
    ),
    ("transcription", "whisper-1", {"file": SOUND}, TIMED, Usage(input_audio_seconds=9)),
    ("speech", "tts-1", {"input": "hello", "voice": "alloy"}, b"RIFF", None),
    (
        "rerank",
        "cohere/rerank-v3.5",
        {"query": "q", "documents": ["a"]},
        RANKED | {"meta": {"billed_units": {"search_units": 1}}},
        None,
    ),
    (
        "rerank",
        "jina_ai/jina-reranker-v2-base-multilingual",
        {"query": "q", "documents": ["a"]},
        RANKED | {"usage": {"total_tokens": 38}},
        Usage(38),
    ),
]


@pytest.fixture
def closed_loop() -> Iterator[None]:
    """An event loop for what takes the current one, even to be called without await."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("closed_loop")
@pytest.mark.parametrize("case", range(len(THROUGH_LITELLM)))
def test_every_kind_through_litellm(
    litellm: ModuleType, serve: Callable[[object], str], case: int
) -> None:
    function, model, asked, answer, usage = THROUGH_LITELLM[case]
    if VERSION < (1, 84) and answer in (IMAGES, TIMED):
        pytest.skip("LiteLLM 1.80 drops the prompt of the one, and raises at seconds such as 8.2")
    asked = {
        name: (value[0], io.BytesIO(value[1]), value[2]) if name == "file" else value
        for name, value in asked.items()
    }
    response = getattr(litellm, function)(
        model=model, api_key="none", api_base=serve(answer), **asked
    )
    told = response._hidden_params["response_cost"]
    cost = Decimal(repr(told)) if told else None
    named = answer.get("model", answer.get("modelVersion", model)) if usage else model
    assert read_response(response) == (named, usage, cost)
    if usage is not None:  # a dump drops the cost, and what named the model with it
        dumped = read_response(response.model_dump())
        assert dumped == (getattr(response, "model", None), usage, None)


def test_litellm_completion_carries_litellms_cost(litellm: ModuleType) -> None:
    response = litellm.completion(model="gpt-3.5-turbo", messages=ASKED, mock_response="hello")
    cost = Decimal(repr(litellm.completion_cost(response)))
    assert cost > 0
    expected = Reading("gpt-3.5-turbo", Usage(10, 20), cost)
    assert read_response(response) == expected
    # a dump drops the private attribute, and the cost with it
    assert read_response(response.model_dump()) == expected._replace(cost=None)
    assert read_response(dict(response)) == expected._replace(cost=None)


def test_litellm_async_text_and_embedding(litellm: ModuleType) -> None:
    async def ask() -> object:
        return await litellm.acompletion(model="gpt-4o", messages=ASKED, mock_response="hello")

    made = [
        asyncio.run(ask()),
        litellm.text_completion(model="gpt-3.5-turbo-instruct", prompt="hi", mock_response="yo"),
        litellm.embedding(model="text-embedding-3-small", input=["hi"], mock_response=[[0.1]]),
    ]
    for response in made:
        reading = read_response(response)
        assert reading.model
        assert reading.cost == Decimal(repr(response._hidden_params["response_cost"])) > 0
        assert reading.usage is not None
        assert reading.usage[:2] == (response.usage.prompt_tokens, response.usage.completion_tokens)
        assert read_response(response.model_dump()) == reading._replace(cost=None)


def test_litellm_unpriced_model_has_usage_and_no_cost(litellm: ModuleType) -> None:
    response = litellm.completion(model="openai/nobody", messages=ASKED, mock_response="hello")
    assert read_response(response) == (response.model, Usage(10, 20), None)


def test_claude_through_litellm_counts_its_cache_once(litellm: ModuleType) -> None:
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    usage = AnthropicConfig().calculate_usage(MESSAGE["usage"], reasoning_content=None)
    response = litellm.ModelResponse(model="claude-sonnet-4-5", usage=usage)
    assert response.usage.prompt_tokens == 3050  # litellm's prompt already holds the cache
    expected = Reading("claude-sonnet-4-5", CLAUDE, None)
    assert read_response(response) == expected
    assert read_response(response.model_dump()) == expected


def test_litellm_responses_and_messages_shapes(litellm: ModuleType) -> None:
    from litellm.types.llms.openai import ResponsesAPIResponse

    response = ResponsesAPIResponse(**RESPONSE)
    expected = Reading(RESPONSE["model"], Usage(328, 52, 256, reasoning_tokens=40), None)
    assert read_response(response) == expected
    assert read_response(response.model_dump()) == expected


def test_streams_say_what_to_do(litellm: ModuleType) -> None:
    stream = litellm.completion(
        model="gpt-4o", messages=ASKED, mock_response="hello you", stream=True
    )
    with pytest.raises(UnreadableResponse, match="stream_chunk_builder"):
        read_response(stream)
    chunks = list(stream)
    with pytest.raises(UnreadableResponse, match="chunk without usage"):
        read_response(chunks[0])
    whole = litellm.stream_chunk_builder(chunks, messages=ASKED)
    if whole.usage.total_tokens:  # LiteLLM 1.82 counts the text
        assert read_response(whole).usage == Usage(8, 2)
    else:
        with pytest.raises(UnreadableResponse, match="cannot be true"):
            read_response(whole)
    asked_for_usage = litellm.completion(
        model="gpt-4o", messages=ASKED, mock_response="hello you", stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    whole = litellm.stream_chunk_builder([*asked_for_usage], messages=ASKED)
    assert read_response(whole).usage is not None


def test_the_last_openai_chunk_is_read() -> None:
    last = ChatCompletionChunk.model_validate(
        CHAT | {"object": "chat.completion.chunk", "choices": []}
    )
    usage = Usage(2006, 300, 1920, reasoning_tokens=128)
    assert read_response(last) == (CHAT["model"], usage, None)
    with pytest.raises(UnreadableResponse, match="stream_options"):
        read_response(last.model_copy(update={"usage": None}))
