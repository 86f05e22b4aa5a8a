"""The exact bill that a provider states, and tools that its usage counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from charging import charged, objects

from budgetledger.responses.response import read_response
from budgetledger.responses.stated_cost import ProviderBill
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

CHAT = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
TICKS = CHAT | {"cost_in_usd_ticks": 37_756_000}


def test_a_providers_exact_bill_is_read() -> None:
    cost = read_response({"model": "grok-4", "usage": TICKS}).cost
    assert cost == Decimal("0.0037756")
    assert isinstance(cost, ProviderBill)
    agent = {"usage": {"input_tokens": 3681, "output_tokens": 780, "total_tokens": 4461,
             "tool_calls_details": {"web_search": {"invocation": 1}},
             "cost": {"currency": "USD", "total_cost": 0.0174}}}  # fmt: skip
    assert read_response(agent).cost == Decimal("0.0174")
    assert read_response(objects(agent)).cost == Decimal("0.0174")
    image = {"data": [{"url": "u"}], "usage": {"cost_in_usd_ticks": 200_000_000}}
    assert read_response(image) == (None, Usage(output_images=1), Decimal("0.02"))


@pytest.mark.parametrize(
    "usage",
    [
        CHAT | {"cost_in_usd_ticks": 0},
        CHAT | {"cost_in_usd_ticks": 123},  # a dollar for a billion tokens
        CHAT | {"cost_in_usd_ticks": "37756000"},
        CHAT | {"cost_in_usd_ticks": -1},
        CHAT | {"cost": {"total_cost": 0.006}},  # Sonar's, which is rounded
        CHAT | {"cost": {"total_cost": float("nan"), "currency": "USD"}},
        CHAT | {"cost": {"total_cost": True, "currency": "USD"}},
        CHAT | {"cost": 0.25},  # OpenRouter's, in credits
    ],
)
def test_what_is_no_exact_bill_in_dollars_is_not_taken_for_one(usage: dict[str, Any]) -> None:
    assert read_response({"usage": usage}) == (None, Usage(100, 50), None)


def test_a_bill_comes_after_own_prices_and_litellms_figure_and_before_the_list() -> None:
    answer: dict[str, Any] = {"model": "grok-4-0709", "usage": TICKS}
    billed = charged(answer)
    assert (billed.cost, billed.price_source) == (Decimal("0.0037756"), "x-ai bill")
    assert billed.usage == {"input_tokens": 100, "output_tokens": 50}
    new_model = charged(answer | {"model": "grok-99"})
    assert new_model.cost == Decimal("0.0037756")
    own = charged(answer, input=1, output=1)
    assert (own.cost, own.price_source) == (Decimal("0.00015"), "own price 1")
    litellm = charged(answer | {"_hidden_params": {"response_cost": 0.5}})
    assert (litellm.cost, litellm.price_source) == (Decimal("0.5"), "litellm")
    listed = charged(answer | {"usage": CHAT})
    assert listed.price_source.startswith("genai-prices")


GROK: dict[str, Any] = {"model": "grok-4-0709", "choices": []}
UNPRICED_TOOLS: list[dict[str, Any]] = [
    {"model": "gpt-5", "output": [{"type": "image_generation_call", "result": "b64"}],
     "usage": {"input_tokens": 10, "output_tokens": 5}},
    GROK | {"usage": CHAT | {"num_sources_used": 4}},
    GROK | {"usage": CHAT | {"server_side_tool_usage_details": {"code_interpreter_calls": 1}}},
    {"model": "mistral-large-latest", "usage": CHAT | {"connectors": {"web_search": 1}}},
]  # fmt: skip


@pytest.mark.parametrize("answer", UNPRICED_TOOLS)
def test_a_tool_whose_price_is_unrecognised_leaves_the_row_unpriced(answer: dict[str, Any]) -> None:
    entry = charged(answer)
    assert entry.cost is None
    assert entry.usage["paid_tool_calls"] > 0


def test_an_own_price_may_state_what_a_tool_costs() -> None:
    rates = {"paid_tool_calls_kcount": "25"}
    assert charged(UNPRICED_TOOLS[1], input=1, output=1, rates=rates).cost == Decimal("0.10015")
