"""Tools that Groq, Zhipu, Volcengine and OpenAI's Images API bill beside the tokens of a call.

No list has a price for them, so that a call which used one has no price but yours.

Follows Groq's "Compound: Pricing" and client (executed_tools, usage_breakdown), Zhipu's "Web
Search in Chat" (web_search), Volcengine Ark's "Responses API" (usage.tool_usage), and OpenAI's
"Create image" (svg_usage: a further model that draws) (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from budgetledger.responses.fields.by_name import Fields, fields, fields_at, get, items, values
from budgetledger.usage import Usage, checked_count

_TOLD = frozenset({"web_search", "svg_usage", "usage_breakdown", "x_groq"})


def with_paid_tools(response: Fields, usage: Fields, used: Usage) -> Usage:
    """*used*, with the calls of such tools; one where their number is not stated."""
    model = response.get("model")
    runs_tools = isinstance(model, str) and ("compound" in model or "gpt-oss" in model)
    tools = usage.get("tool_usage")
    is_silent = isinstance(response, dict) and _TOLD.isdisjoint(response)
    if is_silent and tools is None and not runs_tools:
        return used  # as of nearly all answers
    calls = 0
    if response.get("web_search"):
        calls += 1
    if response.get("svg_usage") is not None:
        calls += 1
    if tools is not None:
        calls += sum(checked_count(number, "tool_usage") for number in values(tools))
    if _has_several_models(response):
        calls += 1
    if runs_tools:
        calls += sum(1 for _ in executed_tools(items(response.get("choices"))))
    return used._replace(paid_tool_calls=used.paid_tool_calls + calls) if calls else used


def executed_tools(choices: Iterable[Fields]) -> Iterator[Fields]:
    """The tools that Groq ran for its answer, or that a chunk of its stream begins or ends."""
    for choice in choices:
        for part in (choice.get("message"), choice.get("delta")):
            if part is not None:
                yield from items(get(part, "executed_tools"))


def _has_several_models(response: Fields) -> bool:
    breakdown = response.get("usage_breakdown")
    if breakdown is None:
        breakdown = fields_at(response, "x_groq").get("usage_breakdown")
    return breakdown is not None and sum(1 for _ in items(fields(breakdown).get("models"))) > 1
