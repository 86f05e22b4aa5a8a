"""Answers and streams as the clients of more providers hand them out.

Each client talks to a server on this machine that answers as the provider's documentation shows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from canned import AWS_EVENTS, EVENTS, JSON, aws_events, sent_events, serving

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.response import read_response
from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own

ASKED: Any = [{"role": "user", "content": "hi"}]
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"


def read(chunks: Iterable[object]) -> StreamUsage:
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
    assert not reading.is_unrecognised
    return reading.usage(None, 777)


def check(chunks: Iterable[object], model: str | None) -> None:
    """The stream is read whole, its last chunk alone, and without it by its text."""
    came = list(chunks)
    assert read(came) == (model, Usage(9, 4), None, True)
    assert read_response(came[-1]).usage == Usage(9, 4)
    cut = read(came[:-1])
    assert not cut.reported
    assert cut.usage is not None
    assert (cut.usage.input_tokens in (9, 777), cut.usage.output_tokens > 0) == (True, True)


def chunk(model: str, finish: str | None = None, text: str = "", **more: Any) -> dict[str, Any]:
    delta = {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    kind = {"id": "c", "object": "chat.completion.chunk", "created": 1795000000, "model": model}
    return kind | {"choices": [choice]} | more


def completion(model: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}
    kind = {"id": "c", "object": "chat.completion", "created": 1795000000, "model": model}
    return json.dumps(kind | {"choices": [choice], "usage": USAGE}).encode()


# -- Mistral ---------------------------------------------------------------------------------------


def mistral(url: str) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key="none", server_url=url)


def test_mistral_chat() -> None:
    model = "mistral-large-latest"
    events = [chunk(model, text="Hello there"), chunk(model, "stop", usage=USAGE)]
    with serving(sent_events(events), EVENTS) as url:
        check(mistral(url).chat.stream(model=model, messages=ASKED), model)
    with serving(completion(model), JSON) as url:
        answer = mistral(url).chat.complete(model=model, messages=ASKED)
        # The client marks fields that were not sent by an object of its own.
        assert read_response(answer) == (model, Usage(9, 4), None)


def test_mistral_conversations() -> None:
    events = [
        {"type": "conversation.response.started", "conversation_id": "c"},
        {"type": "message.output.delta", "id": "1", "content": "Hello", "model": "mistral-medium"},
        {"type": "conversation.response.done", "usage": USAGE},
    ]
    with serving(sent_events(events), EVENTS) as url:
        stream = mistral(url).beta.conversations.start_stream(inputs="hi", model="mistral-medium")
        check(stream, "mistral-medium")


# -- Cohere, Groq ----------------------------------------------------------------------------------

BILLED = {
    "billed_units": {"input_tokens": 9, "output_tokens": 4},
    "tokens": {"input_tokens": 71, "output_tokens": 4},
}


def test_cohere_chat() -> None:
    import cohere

    def client(url: str) -> Any:
        return cohere.ClientV2(api_key="none", base_url=url)

    begun = {"message": {"content": {"type": "text", "text": ""}}}
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": begun},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": BILLED}},
    ]
    model = "command-a-03-2025"
    with serving(sent_events(events), EVENTS) as url:
        check(client(url).chat_stream(model=model, messages=ASKED), None)
    said = {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    answer = {"id": "c", "finish_reason": "COMPLETE", "message": said, "usage": BILLED}
    with serving(json.dumps(answer).encode(), JSON) as url:
        response = client(url).chat(model=model, messages=ASKED)
        assert read_response(response) == (None, Usage(9, 4), None)
    counted = {"tokens": [1, 2], "token_strings": ["a", "b"], "meta": {}}
    with serving(json.dumps(counted).encode(), JSON) as url:
        tokens = cohere.Client(api_key="none", base_url=url).tokenize(text="hi", model=model)
        with pytest.raises(UnreadableResponse, match="counts tokens"):
            read_response(tokens)


def test_groq_chat() -> None:
    import groq

    model = "llama-3.3-70b-versatile"
    events = [
        chunk(model, x_groq={"id": "r"}),
        chunk(model, text="Hello there"),
        chunk(model, "stop", x_groq={"id": "r", "usage": USAGE}),
    ]

    def client(url: str) -> Any:
        return groq.Groq(api_key="none", base_url=url, max_retries=0)

    with serving(sent_events(events), EVENTS) as url:
        check(client(url).chat.completions.create(model=model, messages=ASKED, stream=True), model)
    with serving(completion(model), JSON) as url:
        answer = client(url).chat.completions.create(model=model, messages=ASKED)
        assert read_response(answer) == (model, Usage(9, 4), None)


# -- Google ----------------------------------------------------------------------------------------

GEMINI = "gemini-2.5-flash"


def gemini(url: str) -> Any:
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": url})


def generated(text: str, finish: str | None = None, **counts: int) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"}
    usage = {"promptTokenCount": 9, **counts}
    candidate = {"content": content, "finishReason": finish, "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": GEMINI}


def test_google_genai() -> None:
    last = generated(" there", "STOP", candidatesTokenCount=4, totalTokenCount=13)
    with serving(sent_events([generated("Hello", totalTokenCount=9), last]), EVENTS) as url:
        client = gemini(url)  # which closes when it is collected
        check(client.models.generate_content_stream(model=GEMINI, contents="hi"), GEMINI)
    with serving(json.dumps(last).encode(), JSON) as url:
        client = gemini(url)
        answer = client.models.generate_content(model=GEMINI, contents="hi")
        assert read_response(answer) == (GEMINI, Usage(9, 4), None)
    with serving(b'{"totalTokens": 31, "cachedContentTokenCount": 20}', JSON) as url:
        client = gemini(url)
        counted = client.models.count_tokens(model=GEMINI, contents="hi")
        for same in (counted, counted.model_dump()):
            with pytest.raises(UnreadableResponse, match="counts tokens"):
                read_response(same)


def test_google_genai_interactions() -> None:
    usage = {"total_input_tokens": 9, "total_output_tokens": 4, "total_tokens": 13}
    done = {"id": "i", "status": "completed", "model": GEMINI, "usage": usage}
    events: list[dict[str, Any]] = [
        {"event_type": "interaction.created", "interaction": done | {"usage": None}},
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hello"}},
        {"event_type": "step.stop", "index": 0},
        {"event_type": "interaction.completed", "interaction": done},
    ]
    with serving(sent_events(events), EVENTS) as url:
        client = gemini(url)  # which closes when it is collected
        check(client.interactions.create(model=GEMINI, input="hi", stream=True), GEMINI)


# -- Amazon Bedrock --------------------------------------------------------------------------------


def bedrock(url: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "bedrock-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="none",
        aws_secret_access_key="none", config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip


def test_boto3_converse() -> None:
    used = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
    asked = {"modelId": LLAMA, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    events: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": "Hello"}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": used, "metrics": {"latencyMs": 5}}),
    ]
    with serving(aws_events(events), AWS_EVENTS) as url:
        check(bedrock(url).converse_stream(**asked)["stream"], None)
    said = {"message": {"role": "assistant", "content": [{"text": "Hello"}]}}
    body = {"output": said, "stopReason": "end_turn", "usage": used, "metrics": {"latencyMs": 5}}
    with serving(json.dumps(body).encode(), JSON) as url:
        assert read_response(bedrock(url).converse(**asked)) == (None, Usage(9, 4), None)
    with serving(b'{"inputTokens": 9}', JSON) as url:
        counted = bedrock(url).count_tokens(modelId=LLAMA, input={"converse": {}})
        with pytest.raises(UnreadableResponse, match="counts tokens"):
            read_response(counted)


def part(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode()}


def test_boto3_invoke_model() -> None:
    metrics = {"inputTokenCount": 9, "outputTokenCount": 4, "invocationLatency": 5}
    events = [
        part({"generation": "Hello", "prompt_token_count": 9, "generation_token_count": 1}),
        part({"generation": "", "generation_token_count": 4, "stop_reason": "stop",
              "amazon-bedrock-invocationMetrics": metrics}),
    ]  # fmt: skip
    asked = {"modelId": LLAMA, "body": b"{}"}
    with serving(aws_events(events), AWS_EVENTS) as url:
        check(bedrock(url).invoke_model_with_response_stream(**asked)["body"], None)
    counts = {
        "x_amzn_bedrock_input_token_count": "9",
        "x_amzn_bedrock_output_token_count": "4",
    }
    body = b'{"generation": "Hello", "prompt_token_count": 9, "generation_token_count": 4}'
    with serving(body, JSON, **counts) as url:
        response = bedrock(url).invoke_model(**asked)
        assert read_response(response) == (None, Usage(9, 4), None)  # by its headers
        assert read_response(json.loads(response["body"].read())) == (None, Usage(9, 4), None)
