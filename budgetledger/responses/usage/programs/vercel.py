"""The usage of Vercel's AI SDK, of any provider: cached input and reasoning are in the totals.

Follows the AI SDK reference, "generateText" (usage: LanguageModelUsage) of versions 4, 5 and 6.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import (
    NONE,
    Fields,
    count,
    fields,
    fields_at,
    first,
    get,
    items,
)
from budgetledger.usage import Usage

_OWN = (
    *("inputTokenDetails", "outputTokenDetails", "cachedInputTokens", "reasoningTokens"),
    *("promptTokens", "completionTokens"),
)


def read_vercel_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with one of the names that only the AI SDK has.

    Of several steps ``totalUsage`` has all, and ``usage`` the last.
    """
    if response.get("totalUsage") is not None:
        usage = fields(response.get("totalUsage"))
    totals = usage.get("inputTokens"), usage.get("outputTokens")
    if get(totals[0], "total") is not None:  # what the SDK's providers pass to it from version 6 on
        into, out = fields(totals[0]), fields(totals[1])
        return _usage(
            count(into, "total"), count(out, "total"),
            count(into, "cacheRead"), count(into, "cacheWrite"), count(out, "reasoning"),
        )  # fmt: skip
    if all(usage.get(name) is None for name in _OWN):
        return None
    into, out = fields(usage.get("inputTokenDetails")), fields(usage.get("outputTokenDetails"))
    used = _usage(
        count(usage, "inputTokens") or count(usage, "promptTokens"),
        count(usage, "outputTokens") or count(usage, "completionTokens"),
        count(into if into is not NONE else usage, "cacheReadTokens")
        or count(usage, "cachedInputTokens"),
        count(into, "cacheWriteTokens"),
        count(out, "reasoningTokens")
        or count(usage, "reasoningTokens")
        or count(usage, "reasoningOutputTokens"),  # Codex's app server
    )
    return used if into is not NONE else _with_metadata(response, usage, used)


def _with_metadata(response: Fields, usage: Fields, used: Usage) -> Usage:
    """*used*, with what only the provider's metadata had before version 6.

    Of Anthropic and Bedrock the cache is beside the input there, of OpenAI inside. The metadata
    is that of the last step.
    """
    if sum(1 for _ in items(response.get("steps"))) > 1:
        return used
    metadata = fields(first(response, "providerMetadata", "experimental_providerMetadata"))
    beside = fields_at(metadata, "anthropic")
    if beside is NONE:
        beside = fields_at(metadata, "bedrock", "usage")
    written = count(beside, "cacheCreationInputTokens") or count(beside, "cacheWriteInputTokens")
    read = count(beside, "cacheReadInputTokens")
    if read or written:
        read = read or used.cache_read_tokens
        fresh = count(usage, "inputTokens") or count(usage, "promptTokens")
        return used._replace(
            input_tokens=fresh + read + written, cache_read_tokens=read, cache_write_tokens=written
        )
    inside = fields_at(metadata, "openai")
    read = used.cache_read_tokens or count(inside, "cachedPromptTokens")
    reasoning = used.reasoning_tokens or count(inside, "reasoningTokens")
    return used._replace(
        cache_read_tokens=min(read, used.input_tokens),
        reasoning_tokens=min(reasoning, used.output_tokens),
    )


def _usage(input_tokens: int, output: int, read: int, written: int, reasoning: int) -> Usage:
    # Providers of version 5 passed Anthropic's input on, which does not include the cache.
    if read + written > input_tokens:
        input_tokens += read + written
    return Usage(input_tokens, output, read, written, reasoning_tokens=min(reasoning, output))
