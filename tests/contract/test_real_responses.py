"""Responses as the real clients build them, as objects and as dicts, read alike."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from anthropic.types import Message
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from budgetledger._reading import Reading, read_response
from budgetledger.errors import UnreadableResponse
from budgetledger.usage import Usage

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


@pytest.mark.parametrize(
    ("kind", "body", "usage"),
    [
        (ChatCompletion, CHAT, Usage(2006, 300, 1920, reasoning_tokens=128)),
        (Response, RESPONSE, Usage(328, 52, 256, reasoning_tokens=40)),
        (CreateEmbeddingResponse, EMBEDDING, Usage(8)),
        (Message, MESSAGE, CLAUDE),
        (Message, MESSAGE | {"usage": {"input_tokens": 50, "output_tokens": 20}}, Usage(50, 20)),
    ],
)
def test_openai_and_anthropic_objects(kind: Any, body: dict[str, Any], usage: Usage) -> None:
    expected = Reading(body["model"], usage, None)
    response = kind.model_validate(body)
    assert read_response(response) == expected
    assert read_response(response.model_dump()) == expected
    assert read_response(response.model_dump(exclude_none=True)) == expected
    assert read_response(body) == expected
    assert read_response(response.usage) == expected._replace(model=None)


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
    assert read_response(whole).usage is not None


def test_the_last_openai_chunk_is_read() -> None:
    last = ChatCompletionChunk.model_validate(
        CHAT | {"object": "chat.completion.chunk", "choices": []}
    )
    usage = Usage(2006, 300, 1920, reasoning_tokens=128)
    assert read_response(last) == (CHAT["model"], usage, None)
    with pytest.raises(UnreadableResponse, match="stream_options"):
        read_response(last.model_copy(update={"usage": None}))
