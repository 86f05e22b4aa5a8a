"""What xAI's usage has beside OpenAI's: the calls of its server-side tools, and the exact bill.

Searches of X are billed as those of the web. Other tools have no count of their own here.

Follows xAI's documentation, "Cost Tracking" (cost_in_usd_ticks), "Tools: Usage details"
(server_side_tool_usage_details) and "Pricing", section "Tools Pricing", and SamplingUsage of the
xai-sdk client 1.21 (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from budgetledger.responses.fields.by_name import Fields, count, fields, items
from budgetledger.usage import Usage

_SEARCHES = ("web_search_calls", "x_search_calls")
_FILE_SEARCHES = ("file_search_calls", "collections_search_calls")
_OTHERS = (
    *("code_interpreter_calls", "code_execution_calls", "document_search_calls"),
    "attachment_search_calls",
)


def with_server_tools(response: Fields, usage: Fields, used: Usage) -> Usage:
    """*used*, with the calls of the tools that xAI runs, and what its own client says else."""
    cached = count(usage, "cached_prompt_text_tokens")
    if cached and not used.cache_read_tokens:
        used = used._replace(cache_read_tokens=cached)
    images = count(usage, "prompt_image_tokens")
    if images and not used.input_image_tokens:
        used = used._replace(input_image_tokens=images)
    run = usage.get("server_side_tools_used")
    if isinstance(run, Sequence) and not isinstance(run, str | bytes) and len(run):
        return used._replace(paid_tool_calls=used.paid_tool_calls + len(run))
    sources = count(usage, "num_sources_used")  # of the live search, billed by the source
    calls = count(usage, "num_server_side_tools_used")
    details = usage.get("server_side_tool_usage_details")
    if details is not None:
        by_tool = fields(details)
        searches, file_searches, others = (
            sum(count(by_tool, name) for name in names)
            for names in (_SEARCHES, _FILE_SEARCHES, _OTHERS)
        )
    elif calls:
        searches, file_searches = used.web_searches + _x_searches(response), used.file_searches
        others = max(0, calls - searches - file_searches)
    else:
        return used._replace(paid_tool_calls=sources) if sources else used
    return used._replace(
        web_searches=searches, file_searches=file_searches, paid_tool_calls=others + sources
    )


def _x_searches(response: Fields) -> int:
    names = (
        item.get("name")
        for item in items(response.get("output"))
        if item.get("type") == "custom_tool_call"
    )
    return sum(isinstance(name, str) and str.startswith(name, "x_") for name in names)


def xai_bill(usage: Fields) -> Decimal | None:
    """USD that were billed, by ``cost_in_usd_ticks``; None if it has none that can be true.

    A tick a token would be $0.0001 for a million tokens: no model costs less.
    """
    ticks = usage.get("cost_in_usd_ticks")
    if type(ticks) is not int or ticks <= 0 or ticks < count(usage, "total_tokens"):
        return None
    return Decimal(f"{ticks}e-10")
