"""Rates of providers' tools that the shipped list lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from budgetledger.errors import UnpricedModel
from budgetledger.pricing.catalog import price
from budgetledger.usage import Usage

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC)

DOCUMENTED = [
    ("gpt-4o", Usage(0, 0, preview_searches=2), "0.05", "preview_searches_kcount"),
    ("gpt-4o-search-preview", Usage(0, 0, preview_searches=1), "0.025", "preview_searches_kcount"),
    ("gpt-5", Usage(0, 0, preview_searches=1), "0.01", "preview_searches_kcount"),
    ("gpt-5-search-api", Usage(0, 0, web_searches=1), "0.01", "web_searches_kcount"),
    ("gpt-4o", Usage(0, 0, web_searches=1), "0.01", "web_searches_kcount"),
    ("gpt-5", Usage(0, 0, code_containers=4), "0.12", "code_containers"),
    ("gemini-2.5-flash", Usage(0, 0, map_searches=1), "0.025", "map_searches_kcount"),
    ("gemini-3-flash-preview", Usage(0, 0, map_searches=2), "0.028", "map_searches_kcount"),
    ("grok-4-0709", Usage(0, 0, web_searches=3), "0.015", "web_searches_kcount"),
    ("grok-4-0709", Usage(0, 0, file_searches=2), "0.005", "storage_searches_kcount"),
]


@pytest.mark.parametrize(("model", "usage", "cost", "part"), DOCUMENTED)
def test_a_documented_rate_is_billed_and_its_page_is_named(
    model: str, usage: Usage, cost: str, part: str
) -> None:
    priced = price(model, usage, NOON)
    assert priced.cost == Decimal(cost)
    assert part in priced.unit_prices
    listed = (model, part) == ("gpt-4o", "web_searches_kcount")
    assert priced.source.startswith("genai-prices ")
    assert ("pricing 2026-" in priced.source) is not listed


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gpt-4o", Usage(1, 0, paid_tool_calls=1)),
        ("azure/gpt-4o", Usage(1, 0, preview_searches=1)),
        ("azure/gpt-4o", Usage(1, 0, code_containers=1)),
        ("claude-sonnet-4-5", Usage(1, 0, map_searches=1)),
        ("openrouter/openai/gpt-4o", Usage(1, 0, preview_searches=1)),
    ],
)
def test_another_hosts_rate_is_never_taken(model: str, usage: Usage) -> None:
    with pytest.raises(UnpricedModel):
        price(model, usage, NOON)


def test_a_page_is_named_once() -> None:
    used = Usage(0, 0, web_searches=1, file_searches=1)
    assert price("grok-4-0709", used, NOON).source.count("docs.x.ai") == 1
