"""The usage that OpenAI's Codex prints for a turn: cached input and reasoning are in the totals.

Follows the Codex documentation, "Non-interactive mode" (``turn.completed`` of ``codex exec
--json``), and the session files' ``token_count`` events.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_codex_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``cached_input_tokens``."""
    if usage.get("cached_input_tokens") is None:
        return None
    read, written = count(usage, "cached_input_tokens"), count(usage, "cache_write_input_tokens")
    return Usage(
        count(usage, "input_tokens"),
        count(usage, "output_tokens"),
        read,
        written,
        reasoning_tokens=count(usage, "reasoning_output_tokens"),
    )
