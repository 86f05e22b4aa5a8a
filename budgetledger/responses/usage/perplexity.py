"""What Perplexity's usage has beside OpenAI's: what was searched, read and thought in research.

Citations are input, at the input's rate; reasoning is beside the completion and the total.

Follows Perplexity's documentation, "Sonar Deep Research" and "Pricing" (Sonar Deep Research;
Agent API: tool pricing), and "Agent API" for ``tool_calls_details`` and ``cost`` (2026-11).
"""

from __future__ import annotations

import math
from decimal import Decimal

from budgetledger.responses.fields.by_name import Fields, count, fields, fields_at, values
from budgetledger.responses.fields.model_name import model_named
from budgetledger.usage import Usage


def with_research(response: Fields, usage: Fields, used: Usage) -> Usage:
    """*used*, with what Deep Research read, searched and thought, and the Agent API's tools."""
    reasoning, calls = count(usage, "reasoning_tokens"), _tool_calls(usage)
    citations, searches = count(usage, "citation_tokens"), count(usage, "num_search_queries")
    if not (reasoning or calls or citations or searches):
        return used
    model = model_named(response) or ""
    if "sonar" in model and "research" not in model:
        citations = 0  # Sonar and Sonar Pro read them for the price of the request
    # A gateway's count, without any of Perplexity's, is in the output if it fits.
    total = used.input_tokens + used.output_tokens + reasoning
    is_beside = bool(citations or searches) or reasoning > used.output_tokens
    is_beside |= bool(reasoning) and count(usage, "total_tokens") == total  # xAI's own client
    return used._replace(
        input_tokens=used.input_tokens + citations,
        output_tokens=used.output_tokens + (reasoning if is_beside else 0),
        reasoning_tokens=max(used.reasoning_tokens, reasoning),
        web_searches=max(used.web_searches, searches),
        paid_tool_calls=used.paid_tool_calls + calls,
    )


def _tool_calls(usage: Fields) -> int:
    details = usage.get("tool_calls_details")
    if details is None:
        return 0
    return sum(count(fields(tool), "invocation") for tool in values(details))


def perplexity_bill(usage: Fields) -> Decimal | None:
    """USD that the Agent API states as the exact bill; the figures of Sonar are rounded."""
    cost = fields_at(usage, "cost")
    total = cost.get("total_cost") if cost.get("currency") == "USD" else None
    if type(total) not in (int, float) or not 0 < total < math.inf:  # type: ignore[operator]
        return None
    return Decimal(repr(total))
