"""The usage of Vercel's AI SDK, of any provider: cached input and reasoning are in the totals.

Follows the AI SDK reference, "generateText" (usage: LanguageModelUsage) of versions 4, 5 and 6.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import NONE, Fields, count, fields
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
    if isinstance(totals[0], dict):  # what the SDK's providers pass to it from version 6 on
        into, out = fields(totals[0]), fields(totals[1])
        return _usage(
            count(into, "total"), count(out, "total"),
            count(into, "cacheRead"), count(into, "cacheWrite"), count(out, "reasoning"),
        )  # fmt: skip
    if all(usage.get(name) is None for name in _OWN):
        return None
    into, out = fields(usage.get("inputTokenDetails")), fields(usage.get("outputTokenDetails"))
    return _usage(
        count(usage, "inputTokens") or count(usage, "promptTokens"),
        count(usage, "outputTokens") or count(usage, "completionTokens"),
        count(into if into is not NONE else usage, "cacheReadTokens")
        or count(usage, "cachedInputTokens"),
        count(into, "cacheWriteTokens"),
        count(out, "reasoningTokens") or count(usage, "reasoningTokens"),
    )


def _usage(input_tokens: int, output: int, read: int, written: int, reasoning: int) -> Usage:
    # Providers of version 5 passed Anthropic's input on, which does not include the cache.
    if read + written > input_tokens:
        input_tokens += read + written
    return Usage(input_tokens, output, read, written, reasoning_tokens=min(reasoning, output))
