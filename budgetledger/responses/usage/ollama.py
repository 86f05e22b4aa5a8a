"""Ollama's usage, which lies in the answer itself.

Follows the Ollama API documentation, "Generate a chat completion" (final response), and the types
of the ollama client 0.6.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_ollama_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``prompt_eval_count`` and ``eval_count``. A prompt that was cached has no count."""
    if usage.get("eval_count") is None and usage.get("prompt_eval_count") is None:
        return None
    return Usage(count(usage, "prompt_eval_count"), count(usage, "eval_count"))
