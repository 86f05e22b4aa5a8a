"""From a call's arguments to those of its hold. Pure: imports no client.

The names are the APIs' own, as `openai`, `anthropic` and `litellm` take and send them. Values
are dicts, lists and texts; an omitted argument may also be None or a client's mark for that.

A call's arguments do not contain, so its hold does not cover: the context that a provider stores
(``previous_response_id``, ``conversation``, stored prompts), and what its own tools fetch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from budgetledger.errors import InvalidInput
from budgetledger.money import count

Kind: TypeAlias = Literal[
    "chat", "responses", "text", "embedding", "image", "messages", "generate", "interaction"
]
"""The API that a call uses: OpenAI's chat completions, Responses, text completions, embeddings,
images; Anthropic's messages; Google's generateContent or interactions."""

_LEFT_OUT = ("NotGiven", "Omit")  # the clients' marks, by the names of their types

# Tokens of one image from gpt-image-1, by quality and size, and the most if the model chooses
# (platform.openai.com/docs/guides/image-generation, 2026-11); and tokens of one partial image.
_IMAGE_TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
_MOST_IMAGE_TOKENS, _PARTIAL_IMAGE_TOKENS = 6240, 100


def hold_arguments(kind: Kind, call: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `Ledger.hold` that estimate *call*.

    ``model``, ``messages`` or ``text``, and if the call has them ``tools``, ``max_output_tokens``
    (of one answer) and ``n``. Raises `InvalidInput` for an argument of a type that no API
    accepts; `Ledger.hold` refuses other values that cannot be estimated.
    """
    arguments: dict[str, Any] = {"model": _argument(call, "model")}
    if kind == "chat":
        arguments["messages"] = _messages(call, None, "messages")
        functions = [{"function": each} for each in _listed(call, "functions")]
        arguments["tools"] = [*_listed(call, "tools"), *functions]
        arguments["max_output_tokens"] = _argument(call, "max_completion_tokens", "max_tokens")
        arguments["n"] = _argument(call, "n")
    elif kind == "responses":
        arguments["messages"] = _messages(call, "instructions", "input")
        arguments["tools"] = _listed(call, "tools")
        arguments["max_output_tokens"] = _argument(call, "max_output_tokens")
    elif kind == "messages":
        arguments["messages"] = _messages(call, "system", "messages")
        arguments["tools"] = _listed(call, "tools")
        arguments["max_output_tokens"] = _argument(call, "max_tokens")
    elif kind == "text":
        prompts = _prompts(call, "prompt")
        suffix = _argument(call, "suffix")
        if suffix is not None and not isinstance(suffix, str):
            raise _wrong_type("suffix", suffix, "a text")
        arguments["text"] = "\n".join(prompts if suffix is None else [*prompts, suffix])
        arguments["max_output_tokens"] = _argument(call, "max_tokens")
        answers = max(count(_argument(call, name) or 1, name) for name in ("n", "best_of"))
        arguments["n"] = answers * max(len(prompts), 1)
    elif kind == "embedding":
        arguments["text"] = "\n".join(_prompts(call, "input"))
    elif kind == "generate":
        arguments |= _google(call, "contents", "systemInstruction", "system_instruction")
    elif kind == "interaction":
        arguments |= _google(call, "input", "system_instruction")
    else:
        arguments["messages"] = _image_messages(call)
        arguments["n"] = _argument(call, "n")
        if "gpt-image" in str(arguments["model"]):
            arguments["max_output_tokens"] = _image_tokens(call)
    return {name: value for name, value in arguments.items() if value is not None and value != []}


def asking_for_usage(kind: Kind, call: Mapping[str, Any]) -> Mapping[str, Any]:
    """*call* itself or, for a stream that would not send its usage, a copy that requests it.

    That stream then ends with one more chunk, with the usage and without choices.
    """
    if kind not in ("chat", "text") or not _argument(call, "stream"):
        return call
    options = _argument(call, "stream_options") or {}
    if not isinstance(options, Mapping) or "include_usage" in options:
        return call
    return {**call, "stream_options": {**options, "include_usage": True}}


def _argument(call: Mapping[str, Any], *names: str) -> Any:
    """The first of these arguments that the call has; None if it has none."""
    for name in names:
        value = call.get(name)
        if value is not None and type(value).__name__ not in _LEFT_OUT:
            return value
    return None


def is_list(value: object) -> bool:
    """Whether *value* has several values, which can be read without consuming them."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _listed(call: Mapping[str, Any], name: str) -> list[Any]:
    """The values of an argument that is a list; none if it is omitted."""
    value = _argument(call, name)
    if value and not is_list(value):
        raise _wrong_type(name, value, "a list")
    return list(value or ())


def _wrong_type(name: str, value: object, wanted: str) -> InvalidInput:
    return InvalidInput(
        f"{name} is of type {type(value).__name__}, so nothing can be held for the call; "
        f"pass {wanted}"
    )


def _messages(call: Mapping[str, Any], system: str | None, prompt: str) -> list[Any]:
    """Everything that the model reads except tools, as chat messages."""
    content = _argument(call, prompt)
    is_text = isinstance(content, str)
    messages = [{"role": "user", "content": content}] if is_text else _listed(call, prompt)
    instructions = None if system is None else _argument(call, system)
    if instructions is not None:
        messages.insert(0, {"role": "system", "content": instructions})
    for schema in _schemas(call):
        messages.append({"role": "system", "content": json.dumps(schema, default=str)})
    return messages


def _google(call: Mapping[str, Any], prompt: str, *system: str) -> dict[str, Any]:
    """The arguments of generateContent or of an interaction, as its REST API takes them."""
    settings = _argument(call, "generationConfig", "generation_config", "config")
    config = settings if isinstance(settings, Mapping) else {}
    content = _argument(call, prompt)
    contents = content if is_list(content) else [] if content is None else [content]
    instructions = _argument(config, *system) or _argument(call, *system)
    messages = [_google_message("user", each) for each in contents]
    if instructions is not None:
        messages.insert(0, _google_message("system", instructions))
    for name in "responseJsonSchema", "responseSchema", "response_json_schema", "response_schema":
        schema = _argument(config, name)
        if schema is not None:
            messages.append({"role": "system", "content": json.dumps(schema, default=str)})
    return {
        "messages": messages,
        "tools": _listed(call, "tools") or _listed(config, "tools"),
        "max_output_tokens": _argument(config, "maxOutputTokens", "max_output_tokens"),
        "n": _argument(config, "candidateCount", "candidate_count"),
    }


def _google_message(role: str, content: Any) -> dict[str, Any]:
    """A content with its parts, or a single part, or a text, as a chat message."""
    if isinstance(content, Mapping) and ("parts" in content or "content" in content):
        return {"role": role, **content}
    if isinstance(content, str):
        return {"role": role, "content": content}
    return {"role": role, "content": list(content) if is_list(content) else [content]}


def _schemas(call: Mapping[str, Any]) -> list[Any]:
    """The schemas that the answer must follow, which the model reads too."""
    names = ("response_format", "output_format", "text_format")
    places = [_argument(call, name) for name in names]
    for name in ("text", "output_config"):
        place = _argument(call, name)
        places.append(place.get("format") if isinstance(place, Mapping) else None)
    formats = [place for place in places if isinstance(place, Mapping)]
    schemas = [place.get("json_schema") or place.get("schema") for place in formats]
    models = [place for place in places if hasattr(place, "model_json_schema")]  # of pydantic
    return [schema for schema in schemas if schema] + [one.model_json_schema() for one in models]


def _prompts(call: Mapping[str, Any], name: str) -> list[str]:
    prompt = _argument(call, name)
    if prompt and not isinstance(prompt, Sequence | Mapping):
        raise _wrong_type(name, prompt, "a text or a list")
    return _texts(prompt)


def _texts(prompt: Any) -> list[str]:
    """The texts of one or several prompts, each a text or a list of its tokens."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, Sequence):
        return []
    if prompt and isinstance(prompt[0], int):
        return [" a" * len(prompt)]  # as many tokens in every vocabulary
    return [text for item in prompt for text in _texts(item)]


def _image_messages(call: Mapping[str, Any]) -> list[Any]:
    """The prompt of an image and the images to edit, as chat messages."""
    image = _argument(call, "image")
    images = image if isinstance(image, list) else [] if image is None else [image]
    parts = [{"type": "image_url", "image_url": {}} for _ in images]
    text = {"type": "text", "text": _argument(call, "prompt") or ""}
    return [{"role": "user", "content": [text, *parts]}]


def _image_tokens(call: Mapping[str, Any]) -> int:
    by_size = _IMAGE_TOKENS.get(str(_argument(call, "quality")), {})
    made = by_size.get(str(_argument(call, "size")), _MOST_IMAGE_TOKENS)
    shown = count(_argument(call, "partial_images") or 0, "partial_images")
    return made + _PARTIAL_IMAGE_TOKENS * shown
