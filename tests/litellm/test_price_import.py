"""LiteLLM's price file as own prices: what comes in costs what LiteLLM says it costs."""

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import litellm
import pytest
from litellm.types.utils import (
    CacheCreationTokenDetails,
    CompletionTokensDetailsWrapper,
    PromptTokensDetailsWrapper,
)

from budgetledger import Ledger, Usage
from budgetledger.errors import InvalidInput, UnpricedModel
from budgetledger.litellm.price_file import import_prices
from budgetledger.pricing.own_rates import price
from budgetledger.testing import FakeClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHIPPED = Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"


@pytest.fixture
def ledger(database):
    with Ledger(database.target, clock=FakeClock(NOON)) as ledger:
        yield ledger
        assert ledger.verify().ok


@pytest.fixture
def brought_in(ledger, tmp_path):
    """Imports a file of these models."""

    def bring(content, **options):
        path = tmp_path / "prices.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return import_prices(ledger, path, **options)

    return bring


USAGES = {
    "plain": Usage(12345, 678),
    "cached": Usage(12345, 678, cache_read_tokens=4000, cache_write_tokens=1000),
    "kept for an hour": Usage(12345, 678, cache_write_1h_tokens=1000),
    "reasoned": Usage(1000, 678, reasoning_tokens=300),
    "long": Usage(300_001, 678, cache_read_tokens=4000),
    "at 200,000": Usage(200_000, 10),
    "flex": Usage(1000, 678, cache_read_tokens=100, reasoning_tokens=100, service_tier="flex"),
    "priority": Usage(300_001, 678, service_tier="priority"),
}
# By provider: where LiteLLM's code adds to its file, or does not read all of it.
OTHERWISE = {
    "fireworks_ai": "reads no price of a service tier",
    "gemini": "reads the entry of gemini/NAME for NAME",
    "perplexity": "leaves out the prices of a call, of a cache, and of long prompts",
}
OTHERWISE_BEFORE_1_108 = {
    "azure": "reads no price of a service tier",
    "azure_ai": "adds the price of the model router twice",
    "dashscope": "bills each part of a long prompt at the price of its own range",
    "fireworks_ai": "reads no price of a service tier, nor of a cache",
    "openai": "reads no price of a long prompt in a service tier",
    "vertex_ai": "reads no price of a long prompt in a service tier",
    "xai": "adds the reasoning to the output that includes it",
}
if tuple(map(int, version("litellm").split(".")[:2])) < (1, 108):
    OTHERWISE |= OTHERWISE_BEFORE_1_108
CACHED = {
    "cache_write_1h_tokens": "cache_creation_input_token_cost_above_1hr",
    "cache_write_tokens": "cache_creation_input_token_cost",
    "cache_read_tokens": "cache_read_input_token_cost",
}


def litellm_cost(model, provider, usage):
    written = CacheCreationTokenDetails(
        ephemeral_5m_input_tokens=usage.cache_write_tokens,
        ephemeral_1h_input_tokens=usage.cache_write_1h_tokens,
    )
    told = litellm.Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=usage.cache_read_tokens,
            cache_creation_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
            cache_creation_token_details=written,
        ),
        completion_tokens_details=CompletionTokensDetailsWrapper(
            reasoning_tokens=usage.reasoning_tokens
        ),
    )
    return sum(
        litellm.cost_per_token(
            model=model,
            custom_llm_provider=provider,
            usage_object=told,
            service_tier=usage.service_tier,
        )
    )


def at_stated_rates(usage, fields):
    """Count cached tokens without a rate as input; older LiteLLM bills 0 (Fireworks: half)."""
    for count, field in CACHED.items():
        if fields.get(field) is None:
            number = getattr(usage, count)
            usage = usage._replace(**{count: 0})
            if count == "cache_write_1h_tokens":
                usage = usage._replace(cache_write_tokens=usage.cache_write_tokens + number)
    return usage


def test_what_comes_in_costs_what_litellm_says(ledger):
    listed = {
        name.lower(): (name, fields)
        for name, fields in litellm.model_cost.items()
        if fields.get("mode") in ("chat", "responses", "embedding")
    }
    import_prices(ledger, SHIPPED)
    imported = [own for own in ledger.prices() if own.model in listed]
    models, compared, differing = imported[::5], 0, Counter()  # takes two seconds
    for own in models:
        name, fields = listed[own.model]
        for usage in USAGES.values():
            try:
                ours = float(price(own, own.model, usage).cost)
            except UnpricedModel:
                continue
            compared += 1
            if not any(
                litellm_cost(name, fields["litellm_provider"], one)
                == pytest.approx(ours, rel=1e-9, abs=1e-15)
                for one in (usage, at_stated_rates(usage, fields))
            ):
                differing[fields["litellm_provider"].partition("-")[0]] += 1
    priced = [one for _, one in listed.values() if one.get("input_cost_per_token") is not None]
    assert len(imported) > len(priced) * 0.98
    assert compared > len(models) * len(USAGES) * 0.98
    assert differing.keys() <= OTHERWISE.keys(), differing
    assert differing.total() < compared / 40


def test_a_model_of_every_form(brought_in):
    per_token = {"input_cost_per_token": 3e-07, "output_cost_per_token": "1.5e-06"}
    done = brought_in(
        {
            "sample_spec": {"input_cost_per_token": 0.1},
            "Acme/Big": per_token
            | {
                "input_cost_per_token_above_200k_tokens": 6e-07,
                "input_cost_per_token_batches": 1.5e-07,
                "output_cost_per_token_above_200k_tokens_priority": 3e-06,
                "cache_creation_input_token_cost_above_200k_tokens": 7e-07,
                "search_context_cost_per_query": {"low": 0.01, "medium": 0.01, "high": 0.01},
                "cache_read_input_token_cost": None,
            },
            "sized": {
                "tiered_pricing": [
                    {**per_token, "range": [0, 32e3], "cache_read_input_token_cost": 1e-07},
                    {"input_cost_per_token": 5e-07, "range": [32e3, 1e6],
                     "output_cost_per_token": 2e-06},
                ]
            },
            "xai/grok": per_token
            | {"litellm_provider": "xai", "input_cost_per_token_above_200k_tokens": 6e-07},
            "painter": {"output_cost_per_image": 0.04, "input_cost_per_pixel": 1e-09},
            "free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
        }
    )  # fmt: skip
    assert done.skipped == ()
    assert done.left_out == {"painter": ("input_cost_per_pixel",)}
    found = {own.model: {key: str(usd) for key, usd in own.rates.items()} for own in done.appended}
    assert found == {
        "acme/big": {
            "input_mtok": "0.3", "output_mtok": "1.5", "cache_write_mtok": "0.3",
            "input_mtok_above_200000_tokens": "0.6", "input_mtok_batch": "0.15",
            "output_mtok_above_200000_tokens_priority": "3",
            "cache_write_mtok_above_200000_tokens": "0.7", "web_searches_kcount": "10",
        },
        "sized": {
            "input_mtok": "0.3", "input_mtok_above_32000_tokens": "0.5",
            "output_mtok": "1.5", "output_mtok_above_32000_tokens": "2",
            "cache_read_mtok": "0.1", "cache_read_mtok_above_32000_tokens": "0.5",
        },
        "xai/grok": {
            "input_mtok": "0.3", "input_mtok_above_199999_tokens": "0.6", "output_mtok": "1.5",
        },
        "painter": {"output_images": "0.04"},
        "free": {"input_mtok": "0", "output_mtok": "0"},
    }  # fmt: skip
    assert {own.note for own in done.appended} == {"imported from prices.json"}


SKIPPED = [
    ({}, "nothing"),
    ({"max_tokens": 5}, "nothing"),
    ([], "not an object"),
    ({"input_cost_per_token": -1}, "negative"),
    ({"input_cost_per_token": True}, "not an amount"),
    ({"input_cost_per_token": {}}, "not an amount"),
    ({"input_cost_per_token": "dear"}, "US dollars"),
    ({"input_cost_per_token": "1_0e-6"}, "with an underscore"),
    ({"input_cost_per_token": "1e-6\n"}, "with a blank or line end"),
    ({"input_cost_per_token": "\u0661"}, "with digits other than"),
    ({"output_cost_per_second": 0.1}, "not counted here: output_cost_per_second"),
    # Free by the half of its prices that is counted.
    ({"input_cost_per_token": 0, "output_cost_per_second": 0.1}, "not counted here"),
    ({"input_cost_per_token": 1e-6, "off_peak_pricing": {"windows": []}}, "time of day"),
    ({"tiered_pricing": [{"input_cost_per_query": 1, "max_results_range": [0, 5]}]}, "by size"),
    ({"tiered_pricing": "?"}, "list"),
]


@pytest.mark.parametrize(("fields", "why"), SKIPPED)
def test_what_cannot_be_taken_is_skipped_and_said(ledger, brought_in, fields, why):
    done = brought_in({"good": {"input_cost_per_token": 1e-06}, "bad": fields})
    ((model, said),) = done.skipped
    assert (model, [own.model for own in ledger.prices()]) == ("bad", ["good"])
    assert why in said


def test_two_spellings_of_a_name_need_one_price(brought_in):
    done = brought_in({"A": {"input_cost_per_token": 1}, "a": {"input_cost_per_token": 2}})
    assert [one.model for one in done.skipped] == ["a"]
    assert "other case" in done.skipped[0].why


def test_only_the_models_asked_for_and_once(ledger, brought_in):
    models = {name: {"input_cost_per_token": 1e-6} for name in ("azure/a", "azure/b", "c")}
    first = brought_in(models, models=["AZURE/*"], all_projects=True)
    assert [(own.model, own.project) for own in first.appended] == [
        ("azure/a", None), ("azure/b", None),
    ]  # fmt: skip
    again = brought_in(models, models=["azure/*"], all_projects=True)
    assert (again.appended, again.unchanged) == ((), 2)
    models["azure/b"] = {"input_cost_per_token": 2e-6}
    changed = brought_in(models, models=["azure/*"], all_projects=True)
    assert ([own.model for own in changed.appended], changed.unchanged) == (["azure/b"], 1)
    assert len(ledger.prices(history=True)) == 3
    told = []
    brought_in(models, progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("{", {}, "cannot be read"),
        ("[]", {}, "not a JSON object"),
        ('{"a": {"input_cost_per_token": NaN}}', {}, "NaN"),
        ("[" * 100_000, {}, "cannot be read"),
        ('{"a": {}}', {"models": ["b*"]}, r"no model 'b\*'"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(ledger, brought_in, text, options, says):
    with pytest.raises(InvalidInput, match=says):
        brought_in(text, **options)
    assert ledger.prices(history=True) == []


def test_the_ledger_itself_is_no_price_file(tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        with pytest.raises(InvalidInput, match="the ledger itself"):
            import_prices(ledger, ledger.path)
        ledger.set_price("m", input=Decimal(1))
