"""What the demo's clients send and receive: prompts of a given length, and responses.

The responses have the shapes that the OpenAI and Anthropic clients return, as plain dicts.
"""

from __future__ import annotations

from typing import Any

_AROUND_A_PROMPT = 7  # tokens of a chat with one user message, besides its text


def prompt(tokens: int) -> list[dict[str, str]]:
    """A chat of *tokens* tokens, as OpenAI's newer models count."""
    return [{"role": "user", "content": "word" + " word" * (tokens - _AROUND_A_PROMPT - 1)}]


def chat(model: str, prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """An OpenAI chat completion; its prompt tokens include the cached ones."""
    return {
        "id": "chatcmpl-B6x2",
        "object": "chat.completion",
        "model": f"{model}-2025-08-07",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def response(prompt: int, output: int) -> dict[str, Any]:
    """A response of OpenAI's Responses API."""
    return {
        "id": "resp_67c9",
        "object": "response",
        "model": "gpt-4.1-2025-04-14",
        "status": "incomplete",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + output,
        },
    }


def embeddings(prompt: int) -> dict[str, Any]:
    """OpenAI embeddings."""
    return {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [],
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def message(prompt: int, output: int, written: int = 0, read: int = 0) -> dict[str, Any]:
    """An Anthropic message; its input tokens exclude the cache counts."""
    return {
        "id": "msg_01Xf",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": prompt,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": output,
        },
    }
