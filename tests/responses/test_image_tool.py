"""Images that a tool makes in a Responses call: the tokens of their own model, at its rates.

Shapes as in OpenAI's API reference, "The response object" (tool_usage, tools), 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from charging import charged, objects
from openai.types.responses import Response

from budgetledger import Ledger
from budgetledger.errors import UnreadableResponse
from budgetledger.responses.response import read_response
from budgetledger.usage import ImageGeneration, Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

TOKENS: dict[str, Any] = {
    "input_tokens": 250,
    "input_tokens_details": {"image_tokens": 200, "text_tokens": 50},
    "output_tokens": 4160,
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
    "total_tokens": 4410,
}
CALL = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "b64"}
TOOL = {"type": "image_generation", "model": "gpt-image-2"}
MADE = Usage(250, 4160, input_image_tokens=200, output_image_tokens=4160)


def answer(tokens: dict[str, Any] = TOKENS, **changes: Any) -> dict[str, Any]:
    return {
        "id": "r", "object": "response", "model": "gpt-5-2025-08-07", "status": "completed",
        "created_at": 1795000000, "parallel_tool_calls": True, "tool_choice": "auto",
        "output": [CALL], "tools": [TOOL],
        "usage": {"input_tokens": 300, "output_tokens": 80, "total_tokens": 380,
                  "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                  "output_tokens_details": {"reasoning_tokens": 0}},
        "tool_usage": {"image_gen": tokens, "web_search": {"num_requests": 0}},
    } | changes  # fmt: skip


def with_images(made: Usage, model: str = "gpt-image-2") -> Usage:
    return Usage(300, 80, image_generation=ImageGeneration(model, made))


READ = {
    "with details": (answer(), with_images(MADE)),
    "no details of the output": (
        answer({k: TOKENS[k] for k in TOKENS if k != "output_tokens_details"}), with_images(MADE)
    ),
    "cached": (
        answer(TOKENS | {"cached_tokens": 190, "cached_tokens_details":
                         {"cached_image_tokens": 150, "cached_text_tokens": 40}}),
        with_images(MADE._replace(cache_read_tokens=190, cache_read_image_tokens=150)),
    ),
    "cached, of unknown kind": (answer(TOKENS | {"cached_tokens": 190}), with_images(MADE)),
    "without the total": (
        answer({k: TOKENS[k] for k in TOKENS if k != "total_tokens"}, output=[]), with_images(MADE)
    ),
    "without the item": (answer(output=[{"type": "message"}]), with_images(MADE)),
    "among other tools": (
        answer(tools=[{"type": "web_search"}, TOOL | {"model": "gpt-image-1-mini"}]),
        with_images(MADE, "gpt-image-1-mini"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_the_tokens_of_the_image_model_are_read_apart(name: str) -> None:
    response, usage = READ[name]
    assert read_response(response).usage == usage
    assert read_response(objects(response)).usage == usage
    assert read_response({"type": "response.completed", "response": response}).usage == usage


def test_the_openai_clients_own_object_is_read_alike() -> None:
    made = Response.construct(**answer())  # as the client does, without checks
    assert read_response(made).usage == with_images(MADE)


NOTHING = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
UNKNOWN = {
    "the default model, which changes": answer(tools=[{"type": "image_generation"}]),
    "no tools": answer(tools=[]),
    "two models": answer(tools=[TOOL, TOOL | {"model": "gpt-image-1"}]),
    "no tokens": answer(NOTHING),
    "no output": answer(TOKENS | {"output_tokens": 0}),
    "parts above their totals": answer(TOKENS | {"input_tokens": 100}),
    "an SVG, drawn by a further model": answer(
        output=[CALL | {"svg_usage": {"model": "gpt-5", "input_tokens": 1, "output_tokens": 900,
                                      "reasoning_tokens": 0, "total_tokens": 901}}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_without_tokens_and_their_model_an_image_is_unpriced(name: str) -> None:
    entry = charged(UNKNOWN[name])
    assert entry.cost is None
    assert entry.usage == {"input_tokens": 300, "output_tokens": 80, "paid_tool_calls": 1}


def test_images_cost_their_own_models_rates() -> None:
    entry = charged(answer())
    # gpt-5 at 1.25 and 10, gpt-image-2 at 5 for text, 8 for images, and 30 for those it makes
    assert entry.cost == Decimal("0.001175") + Decimal("0.12665")
    assert entry.price_source.startswith("genai-prices ")
    assert "," not in entry.price_source
    assert entry.price["image_generation_model"] == "gpt-image-2"
    assert entry.price["image_generation_input_image_mtok"] == "8"
    assert entry.price["output_mtok"] == "10"
    used = {"input_tokens": 250, "output_tokens": 4160}
    used |= {"input_image_tokens": 200, "output_image_tokens": 4160}
    assert entry.usage["image_generation"] == {"model": "gpt-image-2", "usage": used}
    batch = charged(answer(service_tier="batch"))
    assert batch.cost == Decimal("0.0005875") + Decimal("0.063325")


@pytest.mark.parametrize(
    ("response", "asked"),
    [
        (answer(), "openrouter/openai/gpt-5"),  # another host's price is never taken
        (answer(service_tier="flex"), None),  # no page has a flex price of images
        (answer(tools=[TOOL | {"model": "gpt-image-99"}]), None),
    ],
)
def test_images_without_a_price_leave_the_row_unpriced(
    response: dict[str, Any], asked: str | None
) -> None:
    assert charged(response, model=asked).cost is None


def test_own_prices_state_what_the_image_model_costs() -> None:
    unlisted = answer(tools=[TOOL | {"model": "gpt-image-99"}])
    with Ledger(":memory:") as ledger:
        entry = ledger.charge("alice", unlisted)
        rates = {"input_image_mtok": "1", "output_image_mtok": "10"}
        ledger.set_price("gpt-image-99", input=1, rates=rates, effective_at=entry.recorded_at)
        (stated,) = ledger.reprice(dry_run=False)
        assert stated.cost == Decimal("0.001175") + Decimal("0.04185")
        assert stated.source.endswith("own price 1")
        again = ledger.charge("alice", unlisted)
        assert again.cost == stated.cost
        ledger.set_price("gpt-5*", input=1, output=1)
        assert ledger.charge("alice", unlisted).cost == Decimal("0.00038") + Decimal("0.04185")
        ledger.set_price("ollama/gpt-5", input=1, output=1)
        assert ledger.charge("alice", answer(), model="ollama/gpt-5").cost is None


def test_a_settle_without_their_price_assumes_what_was_held() -> None:
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 10)
        with ledger.hold("alice", "0.25", model="gpt-5") as hold:
            entry = hold.settle(answer(tools=[{"type": "image_generation"}]))
        assert (entry.cost, entry.cost_basis) == (Decimal("0.25"), "assumed")


def test_the_ledgers_own_usage_carries_the_images() -> None:
    usage = with_images(MADE)
    with Ledger(":memory:") as ledger:
        entry = ledger.charge("alice", usage=usage, model="gpt-5")
        assert entry.cost == charged(answer()).cost
    assert read_response({"model": "gpt-5", "usage": usage._asdict()}).usage == usage
    stored = charged(answer()).usage
    assert read_response({"usage": stored | {"cache_read_tokens": 0}}).usage == usage
    too_many = MADE._replace(input_image_tokens=999)
    for wrong in (usage._replace(image_generation={}), with_images(too_many)):
        with Ledger(":memory:") as ledger, pytest.raises(UnreadableResponse):
            ledger.charge("alice", usage=wrong, model="gpt-5")
