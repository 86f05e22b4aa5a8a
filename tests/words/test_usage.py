"""Usage normal form and prices: tables, hostile input, and genai-prices itself as the judge."""

import decimal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.errors import UnpricedModel, UnreadableResponse
from budgetledger.pricing import catalog
from budgetledger.pricing.catalog import price
from budgetledger.responses.response import read_response
from budgetledger.usage import (
    COUNT_NAMES,
    MAX_TOKENS,
    Usage,
    checked,
    counts_of,
    positional,
    rare_counts_of,
    token_parts_of,
    usage_from,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = Usage(300001, 1000)
PLAIN = Usage(12345, 678)
CACHED = Usage(10000, 500, cache_read_tokens=8192)
WRITTEN = Usage(3050, 20, cache_read_tokens=2000, cache_write_tokens=1000)
WRITTEN_1H = Usage(
    3050, 20, cache_read_tokens=2000, cache_write_tokens=400, cache_write_1h_tokens=600
)
THOUGHT = Usage(1000, 900, reasoning_tokens=640)

# litellm 1.106.2 and genai-prices 0.2.3 agree on each of these, 2026-11-20.
AGREED = [
    ("gpt-3.5-turbo", PLAIN, "0.0071895"),
    ("gpt-4-turbo", PLAIN, "0.14379"),
    ("gpt-4o-2024-08-06", PLAIN, "0.0376425"),
    ("gpt-4.1-mini", PLAIN, "0.0060228"),
    ("gpt-5-nano", PLAIN, "0.00088845"),
    ("gpt-6-sol", PLAIN, "0.03147"),
    ("o3-mini", PLAIN, "0.0165627"),
    ("claude-haiku-4-5", PLAIN, "0.015735"),
    ("claude-opus-5-5", PLAIN, "0.06294"),
    ("gemini/gemini-3-flash-preview", PLAIN, "0.0082065"),
    ("mistral/codestral-2508", PLAIN, "0.0043137"),
    ("xai/grok-4.7", PLAIN, "0.028758"),
    ("azure/gpt-4o", PLAIN, "0.0376425"),
    ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", PLAIN, "0.0519255"),
    ("US.Anthropic.Claude-Sonnet-4-5-20250929-v1:0", PLAIN, "0.0519255"),
    ("vertex_ai/claude-opus-5", PLAIN, "0.078675"),
    ("cohere/command-r-plus-08-2024", PLAIN, "0.0376425"),
    ("gpt-4o", CACHED, "0.01976"),
    ("gpt-5.2", CACHED, "0.0115976"),
    ("claude-sonnet-5", CACHED, "0.0102544"),
    ("azure/gpt-5-mini", CACHED, "0.0016568"),
    ("claude-haiku-4-5", WRITTEN, "0.0016"),
    ("claude-opus-5-5", WRITTEN, "0.006"),
    ("claude-sonnet-4-5-20250929", WRITTEN_1H, "0.00615"),
    ("claude-opus-4-8", WRITTEN_1H, "0.01025"),
    ("gpt-5.4", LONG, "1.522505"),
    ("gemini/gemini-2.5-pro", LONG, "0.7650025"),
    ("gemini/gemini-2.5-pro", Usage(200000, 1), "0.25001"),
    ("o3", THOUGHT, "0.0092"),
    ("gpt-4o-mini", Usage(1, 1), "0.00000075"),
    ("gpt-6-luna", Usage(), "0"),
]


@pytest.mark.parametrize(("model", "usage", "cost"), AGREED)
def test_price_is_the_one_both_lists_give(model: str, usage: Usage, cost: str) -> None:
    assert price(model, usage, NOON).cost == Decimal(cost)


def test_price_explains_itself() -> None:
    assert price(" OpenAI/GPT-4o\n", CACHED, NOON) == (
        Decimal("0.01976"),
        f"genai-prices {genai_prices.__version__}",
        {
            "provider": "openai",
            "model": "gpt-4o",
            "input_mtok": "2.5",
            "output_mtok": "10",
            "cache_read_mtok": "1.25",
        },
    )
    assert price("text-embedding-3-small", Usage(8), NOON).unit_prices == {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "input_mtok": "0.02",
    }
    # above the tier the rates of the tier stand there, not the base ones
    assert price("gemini/gemini-2.5-pro", LONG, NOON).unit_prices["input_mtok"] == "2.5"


def test_sound_is_priced_as_sound_or_not_at_all() -> None:
    sound = {
        "model": "gpt-audio",
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 1000,
            "prompt_tokens_details": {"audio_tokens": 1000},
            "completion_tokens_details": {"audio_tokens": 1000},
        },
    }
    usage = read_response(sound).usage
    assert usage == Usage(1000, 1000, input_audio_tokens=1000, output_audio_tokens=1000)
    assert price("gpt-audio", usage, NOON).cost == Decimal("0.096")  # as litellm has it
    with pytest.raises(UnpricedModel):
        price("gpt-4o", usage, NOON)
    with pytest.raises(UnpricedModel):  # cached sound has a rate of its own, not read yet
        price("gpt-realtime", usage._replace(cache_read_tokens=500), NOON)


@pytest.mark.parametrize(
    "model",
    ["", "gpt-99", "nobody/gpt-4o", "my-deployment", "ft:gpt-4o-mini:org::id", "x" * 10**6],
)
def test_unknown_model_is_unpriced_not_free(model: str) -> None:
    with pytest.raises(UnpricedModel) as refused:
        price(model, Usage(), NOON)
    assert refused.value.model == model


def test_tokens_without_a_rate_are_unpriced_not_free() -> None:
    with pytest.raises(UnpricedModel, match="output_mtok"):
        price("text-embedding-3-small", Usage(8, 1), NOON)
    for usage in (Usage(8), Usage()):
        with pytest.raises(UnpricedModel):  # listed, with no price at all
            price("openai/moderation", usage, NOON)


def test_price_depends_on_the_moment() -> None:
    deepseek = [
        price("deepseek/deepseek-chat", PLAIN, moment).cost
        for moment in (datetime(2025, 8, 1, 12, tzinfo=UTC), datetime(2025, 8, 1, 20, tzinfo=UTC))
    ]
    assert deepseek[0] > deepseek[1] > 0  # cheaper at night
    shanghai = datetime(2025, 8, 2, 4, tzinfo=timezone(timedelta(hours=8)))
    assert price("deepseek/deepseek-chat", PLAIN, shanghai).cost == deepseek[1]
    with pytest.raises(ValueError, match="time zone"):
        price("gpt-4o", PLAIN, datetime(2026, 1, 1))


def test_price_ignores_the_callers_decimal_context() -> None:
    with decimal.localcontext(decimal.Context(prec=2, traps=[decimal.Inexact])):
        assert price("gpt-4.1-nano", CACHED, NOON).cost.compare(Decimal("0.0005856")) == 0


def test_price_ignores_a_snapshot_installed_by_the_host() -> None:
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([], from_auto_update=True))
    catalog.find_model.cache_clear()
    catalog.price_list.cache_clear()
    try:
        assert price("gpt-4o-mini", Usage(1, 1), NOON).cost == Decimal("0.00000075")
    finally:
        data_snapshot.set_custom_snapshot(None)


COUNTS = st.integers(0, 500_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_cost_is_the_sum_its_row_explains(
    fresh: int, spoken: int, read: int, written: int, written_1h: int, thought: int
) -> None:
    usage = Usage(
        fresh + read + written + written_1h, spoken + thought, read, written, written_1h, thought
    )
    cost, _, rates = price("claude-sonnet-4-5", usage, NOON)
    parts = {
        "input_mtok": fresh,
        "cache_read_mtok": read,
        "cache_write_mtok": written,
        "cache_write_1h_mtok": written_1h,
        "output_mtok": spoken + thought,
    }
    assert rates.keys() == {"provider", "model"} | {key for key, count in parts.items() if count}
    told = (Decimal(rates[key]) * count for key, count in parts.items() if count)
    assert cost * 10**6 == sum(told)


def test_every_model_costs_what_genai_prices_says(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    everything = [(provider, model) for provider in providers for model in provider.models]
    for provider, model in everything:
        found = catalog.ListedModel(provider.id, model)
        monkeypatch.setattr(catalog, "find_model", lambda *name, found=found: found)
        for usage in (Usage(1000, 10, 300, 200, 100, 5), Usage(400_000, 900), Usage(7)):
            try:
                ours = price(model.id, usage, NOON)
            except UnpricedModel:
                continue
            told = genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
                cache_write_1h_tokens=usage.cache_write_1h_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
            )
            theirs = model.calc_price(told, provider, genai_request_timestamp=NOON)
            assert ours.cost == theirs.total_price, (provider.id, model.id, usage)
            compared += 1
    assert compared > 5000


def test_the_fields_of_a_usage_are_taken_out_by_their_names() -> None:
    usage = Usage(*range(1, len(COUNT_NAMES) + 1), service_tier="batch")  # type: ignore[arg-type]
    names = Usage._fields
    by_name = dict(zip(names, usage, strict=True))
    assert names == (*COUNT_NAMES, "service_tier", "image_generation")
    assert counts_of(usage) == tuple(by_name[name] for name in COUNT_NAMES)
    totals = ("input_tokens", "output_tokens")
    parts = [name for name in COUNT_NAMES if name.endswith("_tokens") and name not in totals]
    assert token_parts_of(usage) == tuple(by_name[name] for name in parts)
    cached_text = ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    plain = {*totals, *cached_text, "reasoning_tokens"}
    rare = [name for name in COUNT_NAMES if name not in plain]
    assert rare_counts_of(usage) == tuple(by_name[name] for name in rare)
    assert usage_from(counts_of(usage), usage.service_tier) == usage


def test_a_record_from_its_values_is_the_one_from_its_fields() -> None:
    usage = Usage(100, 50, 20, service_tier="batch")
    made = positional(Usage)(tuple(usage))
    assert made == usage
    assert type(made) is Usage


def test_the_first_price_loads_the_list_and_own_prices_never_do() -> None:
    code = """
import sys
from datetime import UTC, datetime
from budgetledger.prices import OwnPrice
from budgetledger.pricing import own_rates
from budgetledger.usage import Usage

own = OwnPrice(1, None, "gpt-4o", own_rates.stated({"input_mtok": "2"}), 0, 0, None)
assert own_rates.price(own, "gpt-4o", Usage(1_000_000)).cost == 2
assert "budgetledger.pricing.catalog" not in sys.modules

from budgetledger.pricing import catalog

assert not catalog.is_loaded()
assert "genai_prices" not in sys.modules
catalog.price("gpt-4o", Usage(1), datetime(2026, 11, 20, tzinfo=UTC))
assert catalog.is_loaded()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_decides_needs_neither_database_nor_clients() -> None:
    code = """
import sys, budgetledger.callers, budgetledger.prices
import budgetledger.responses.stream, budgetledger.pricing.sources, budgetledger.pricing.estimates

heavy = {"sqlite3", "sqlalchemy", "sqlmodel", "alembic", "tiktoken", "genai_prices", "pydantic"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(10, 0, 5, 5, 1),
        Usage(10, 5, reasoning_tokens=6),
        Usage(-1),
        Usage(True),
        Usage(MAX_TOKENS + 1),
        Usage(None),  # type: ignore[arg-type]
    ],
)
def test_contradictory_usage_is_refused(usage: Usage) -> None:
    with pytest.raises(UnreadableResponse):
        checked(usage)
