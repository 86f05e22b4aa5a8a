"""LangChain's usage of any provider: all that was cached and thought is inside the totals.

Follows LangChain's API reference, "UsageMetadata", "InputTokenDetails" and "OutputTokenDetails";
langchain-openai writes a service tier before the names, langchain-anthropic has written tokens by
their time.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import NONE, Fields, count, fields
from budgetledger.usage import Usage

_NAMES = frozenset({"cache_read", "cache_creation", "audio", "reasoning"})
_TIERS = ("flex", "priority")


def read_langchain_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage whose ``input_token_details`` or ``output_token_details`` are LangChain's."""
    into, out = (fields(usage.get(f"{part}_token_details")) for part in ("input", "output"))
    if into is NONE and out is NONE:
        return None
    tier = next((tier for tier in _TIERS if first_count(into, out, tier) is not None), None)
    prefix = f"{tier}_" if tier else ""
    names = {name for name in _NAMES if first_count(into, out, f"{prefix}{name}") is not None}
    if tier is None and not names:
        return None
    written_1h = count(into, "ephemeral_1h_input_tokens")
    written = written_1h + count(into, "ephemeral_5m_input_tokens")
    written = max(written, count(into, f"{prefix}cache_creation"))
    read, input_tokens = count(into, f"{prefix}cache_read"), count(usage, "input_tokens")
    if read + written > input_tokens:  # an integration that counts them beside
        input_tokens += read + written
    return Usage(
        input_tokens,
        count(usage, "output_tokens"),
        read,
        written - written_1h,
        written_1h,
        count(out, f"{prefix}reasoning"),
        count(into, "audio"),
        count(out, "audio"),
        service_tier=tier,
    )


def first_count(into: Fields, out: Fields, name: str) -> object:
    """The field *name* of either details; None if neither has it."""
    value = into.get(name)
    return out.get(name) if value is None else value
