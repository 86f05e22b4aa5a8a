"""The events of streams that are neither OpenAI's, Anthropic's nor Gemini's own: one function each.

Follows Amazon Bedrock's API reference ("ConverseStreamOutput", "ResponseStream"), Cohere's "Chat
with streaming" (v2 and v1), the Gemini API's "Interactions" (server-sent events), Mistral's
"Conversations" and "Audio transcriptions" (stream events), Ollama's "Generate a chat completion",
llama.cpp's server README, the AI SDK's ``fullStream`` (versions 4 to 6), Cloudflare's "Text
generation" and Hugging Face's "Text Generation Inference" (streaming). Types were
compared with those of botocore 1.44, cohere 7.3, google-genai 3.6, mistralai 3.7 and ollama 0.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from budgetledger.responses.fields.by_name import Fields, fields, fields_at, get, items
from budgetledger.responses.usage.bedrock_invoke import METRICS


class Event(NamedTuple):
    """``texts``: what the model wrote in it, in any shape. ``answer``: what has the usage so far
    and the model, if the event has them, perhaps the event itself; ``is_last``: whether that usage
    is the whole call's.
    """

    texts: object = ()
    answer: object = None
    is_last: bool = False


_Reader: TypeAlias = Callable[[str, Fields], Event | None]


def event_of(kind: str, chunk: Fields) -> Event | None:
    """What the event says; None if its shape is unknown. *kind*: its ``type``, or ''."""
    for reader in _READERS:
        event = reader(kind, chunk)
        if event is not None:
            return event
    return None


def _converse(kind: str, chunk: Fields) -> Event | None:
    delta = fields_at(chunk, "contentBlockDelta", "delta")
    if delta.get("text") is not None:
        return Event(delta.get("text"))
    for name in ("toolUse", "reasoningContent"):
        if delta.get(name) is not None:
            return Event(delta.get(name))
    if chunk.get("contentBlockStart") is not None:
        return Event(fields_at(chunk, "contentBlockStart", "start", "toolUse").get("name"))
    metadata = chunk.get("metadata")
    if fields(metadata).get("usage") is not None:
        return Event((), metadata, True)
    others = ("contentBlockDelta", "messageStart", "messageStop", "contentBlockStop")
    return Event() if any(chunk.get(name) is not None for name in others) else None


_INVOKE_TEXTS = ("generation", "outputText", "outputs", "completion")


def _invoke(kind: str, chunk: Fields) -> Event | None:
    """Bedrock's streams of a model's own form: Llama, Titan, Mistral; the metrics end any."""
    texts = [value for name in _INVOKE_TEXTS if (value := chunk.get(name)) is not None]
    metrics = chunk.get(METRICS)
    if metrics is not None:
        return Event(texts, {METRICS: metrics}, True)
    return Event(texts) if texts else None


_COHERE_TEXTS = frozenset({
    *("content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta"),
})  # fmt: skip
_COHERE_OTHERS = frozenset({
    *("message-start", "content-end", "tool-call-end", "citation-start", "citation-end"),
    *("stream-start", "search-queries-generation", "search-results", "citation-generation"),
    "tool-calls-generation",
})  # fmt: skip


def _cohere(kind: str, chunk: Fields) -> Event | None:
    if kind in _COHERE_TEXTS:
        message = fields_at(chunk, "delta", "message")
        return Event([message.get(name) for name in ("content", "tool_plan", "tool_calls")])
    if kind == "message-end":
        return Event((), chunk.get("delta"), True)
    if kind == "text-generation":
        return Event(chunk.get("text"))
    if kind == "tool-calls-chunk":
        call = fields_at(chunk, "tool_call_delta")
        return Event([call.get("name"), call.get("parameters"), chunk.get("text")])
    if kind == "stream-end":
        return Event((), chunk.get("response"), True)
    return Event() if kind in _COHERE_OTHERS else None


def _interaction(kind: str, chunk: Fields) -> Event | None:
    if chunk.get("event_type") != kind:
        return None
    if kind in ("step.delta", "content.delta"):
        return Event(chunk.get("delta"))
    if str.startswith(kind, ("interaction.", "step.", "content.")):
        is_last = kind in ("interaction.completed", "interaction.complete")
        return Event((), chunk.get("interaction"), is_last)
    return None


_MISTRAL = ("conversation.response.", "message.output.", "tool.execution.", "agent.handoff.",
            "function.call.", "transcription.")  # fmt: skip


def _mistral(kind: str, chunk: Fields) -> Event | None:
    if not str.startswith(kind, _MISTRAL):
        return None
    if kind in ("conversation.response.done", "transcription.done"):
        return Event((), chunk, True)
    if str.endswith(kind, ".delta"):
        return Event([chunk.get(name) for name in ("content", "name", "arguments", "text")], chunk)
    return Event((), chunk)


def _ollama(kind: str, chunk: Fields) -> Event | None:
    done, message = chunk.get("done"), chunk.get("message")
    if not isinstance(done, bool) or (message is None and chunk.get("response") is None):
        return None
    answer = fields(message)
    texts: list[object] = [answer.get("content"), answer.get("thinking")]
    for call in items(answer.get("tool_calls")):
        function = fields(call.get("function"))
        texts += [function.get("name"), str(function.get("arguments") or "")]
    return Event([*texts, chunk.get("response"), chunk.get("thinking")], chunk, done)


def _llama_cpp(kind: str, chunk: Fields) -> Event | None:
    stop, content = chunk.get("stop"), chunk.get("content")
    if not isinstance(stop, bool) or not isinstance(content, str):
        return None
    return Event(content, chunk if stop else None, stop)


_AI_SDK_TEXTS = frozenset({
    *("text-delta", "reasoning-delta", "tool-input-delta", "tool-call-delta", "reasoning"),
})  # fmt: skip
_AI_SDK_OTHERS = frozenset({
    *("start", "start-step", "step-start", "finish-step", "step-finish", "text-start", "text-end"),
    *("reasoning-start", "reasoning-end", "tool-input-start", "tool-input-end", "tool-call"),
    *("tool-result", "source", "file", "raw", "stream-start", "response-metadata", "abort"),
})  # fmt: skip


def _ai_sdk(kind: str, chunk: Fields) -> Event | None:
    if kind in _AI_SDK_TEXTS:
        return Event([chunk.get(name) for name in ("delta", "text", "textDelta", "argsTextDelta")])
    if kind == "finish":
        return Event((), chunk, True)
    return Event() if kind in _AI_SDK_OTHERS else None


def _generated(kind: str, chunk: Fields) -> Event | None:
    """Cloudflare's ``response``, and Hugging Face's ``token``, whose last has no usage."""
    if kind:
        return None
    token, text = chunk.get("token"), chunk.get("response")
    if token is not None:
        return Event(get(token, "text"))
    if isinstance(text, str):
        return Event(text, chunk if chunk.get("usage") is not None else None, True)
    return None


_READERS: tuple[_Reader, ...] = (
    _converse, _invoke, _cohere, _interaction, _mistral, _ollama, _llama_cpp, _ai_sdk, _generated
)  # fmt: skip
