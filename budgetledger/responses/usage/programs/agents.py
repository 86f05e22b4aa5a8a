"""What agents and clients add to OpenAI's totals under names of their own: the cached input.

Follows CrewAI's "UsageMetrics" and browser-use's "ChatInvokeUsage" in
their API references (2026-11). All of it is inside the prompt's tokens.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage

_READ = ("cached_prompt_tokens", "prompt_cached_tokens")
_WRITTEN = "prompt_cache_creation_tokens"


def with_cached_prompt(usage: Fields, used: Usage) -> Usage:
    """*used*, with what was read from the cache and written to it."""
    if used.cache_read_tokens or used.cache_write_tokens:
        return used
    read = max(count(usage, name) for name in _READ)
    written = count(usage, _WRITTEN)
    if not (read or written):
        return used
    return used._replace(cache_read_tokens=read, cache_write_tokens=written)
