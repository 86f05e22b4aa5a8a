"""The response inside another object: an event that ends a stream, or a line of a batch's results.

Follows the batch pages of OpenAI and Mistral (custom_id, response.body), Anthropic (result), Gemini
(key, response), Vertex AI (request, response, status; instance, predictions) and Amazon Bedrock
(recordId, modelOutput); for events Bedrock's ConverseStream and InvokeModelWithResponseStream,
Cohere's "Chat with streaming", Gemini's Interactions, the mistralai client (``event.data``), and
Codex's ``token_count``. Frameworks keep the provider's response under names of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import Fields, fields, fields_at, get, items
from budgetledger.responses.usage.bedrock_invoke import METRICS
from budgetledger.responses.usage_field import usage_field

_ENVELOPES = (
    *("metadata", "data", "interaction", "delta", "result", "message"),
    # LlamaIndex, LangChain's structured output; Instructor; Haystack; LangChain's LLMResult; SAP.
    *("raw", "_raw_response", "meta", "_meta", "llm_output", "final_result"),
)
_LINE_IDS = ("custom_id", "recordId", "key")


def enclosed_in(source: Fields) -> tuple[object, bool]:
    """The response inside *source*, and whether it is from a batch; None if there is none.

    *Raises* ``UnreadableResponse`` for a request of a batch that failed: nothing is billed.
    """
    if source.get(METRICS) is not None:
        return None, False
    response, result = source.get("response"), source.get("result")
    if response is not None and not isinstance(response, str):
        if isinstance(source.get("type"), str) or isinstance(source.get("event_type"), str):
            return response, False
        body = get(response, "body")
        if body is not None and get(response, "status_code") in (None, 200):
            return body, True
        if usage_field(fields(response)) is not None:
            return response, True
    if get(result, "type") == "succeeded":
        return get(result, "message"), True
    output = source.get("modelOutput")
    if output is not None:
        return output, True
    if source.get("predictions") is not None and source.get("instance") is not None:
        return {"predictions": source.get("predictions")}, True
    check_not_failed(source)
    return payload(source), False


def payload(source: Fields) -> object:
    """The response inside an event of a stream; None if there is none."""
    decoded = decoded_chunk(source)
    if decoded is not None:
        return decoded
    # In Codex's session files: the last turn, beside the sum of all.
    info = source.get("info")
    told = fields_at(source, "payload", "info") if info is None else fields(info)
    turn = told.get("last_token_usage")
    if turn is None:
        turn = fields_at(source, "tokenUsage").get("last")  # of its app server
    if turn is None and (more := source.get("additional_kwargs")) is not None:
        turn = more if get(more, "prompt_tokens") is not None else None  # LlamaIndex
    if turn is not None:
        return {"usage": turn}
    for name in _ENVELOPES:
        value = source.get(name)
        if value is not None and not isinstance(value, (str, bytes, list, tuple)):
            inner = fields(value)
            if usage_field(inner) is not None:
                return value
    return _generated(source.get("generations"))


def _generated(generations: object) -> object:
    """The only message of LangChain's LLMResult; None of several, whose usages are apart."""
    messages = [
        generation.get("message")
        for of_prompt in (generations if isinstance(generations, list) else ())
        for generation in items(of_prompt)
    ]
    return messages[0] if len(messages) == 1 else None


def decoded_chunk(source: Fields) -> object:
    """The JSON in ``{"chunk": {"bytes": ...}}``, as boto3 gives InvokeModel's streams; or None."""
    sent = fields_at(source, "chunk").get("bytes")
    if isinstance(sent, bytes):
        with suppress(ValueError):
            return json.loads(sent)
    return None


def check_not_failed(source: Fields) -> None:
    """Raise `UnreadableResponse` for a line of a batch whose request failed."""
    answer = source.get("response")
    is_line = any(source.get(name) is not None for name in _LINE_IDS)
    failed = (
        (source.get("response") or source.get("result") or source.get("error")) is not None
        if is_line
        # Vertex AI has the reason where the usual status is empty.
        else isinstance(source.get("request"), Mapping)
        and bool(source.get("status"))
        and not answer
    )
    if failed:
        error = UnreadableResponse(
            "this request of a batch failed, was cancelled or expired, and such requests are not "
            "billed; there is nothing to record"
        )
        error.is_answer = False
        raise error
