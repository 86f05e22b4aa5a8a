"""Our prices beside those of LiteLLM and genai-prices: the same, or different for a known reason.

LiteLLM's figure is what its `cost_per_token` says with the price map it ships; nothing is fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import pytest

from budgetledger.errors import UnpricedModel
from budgetledger.money import to_pico
from budgetledger.pricing import catalog
from budgetledger.pricing.catalog import price
from budgetledger.pricing.hosts import KNOWN, provider_called
from budgetledger.tokens import count_tokens
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday, off-peak where prices go by the hour

# What LiteLLM 1.106.2 and genai-prices 0.2.3 both say of that moment.
AGREED = {
    Usage(12345, 678): """
        gpt-3.5-turbo 0.0071895
        gpt-4-turbo 0.14379
        gpt-4o-2024-08-06 0.0376425
        gpt-4.1-mini 0.0060228
        gpt-5 0.02221125
        gpt-5-nano 0.00088845
        gpt-5.4 0.0410325
        gpt-5.5 0.082065
        gpt-6-sol 0.03147
        o1 0.225855
        o3-mini 0.0165627
        claude-haiku-4-5 0.015735
        claude-sonnet-4-5-20250929 0.047205
        claude-sonnet-5 0.03147
        claude-opus-4-8 0.078675
        claude-opus-5-5 0.06294
        claude-fable-5 0.15735
        gemini/gemini-2.5-flash-lite 0.0015057
        gemini/gemini-3-flash-preview 0.0082065
        gemini/gemini-3.8-flash 0.01180125
        mistral/codestral-2508 0.0043137
        mistral/ministral-8b-latest 0.00195345
        groq/qwen/qwen3.8-27b 0.012588
        xai/grok-4.7 0.028758
        azure/gpt-4o 0.0376425
        bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0 0.0519255
        bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0 0.0173085
        bedrock/us.amazon.nova-lite-v1:0 0.00090342
        vertex_ai/claude-opus-5 0.078675
        cohere/command-r-plus-08-2024 0.0376425
    """,
    Usage(10000, 500, 8192): """
        gpt-4o 0.01976
        gpt-4.1-nano 0.0005856
        gpt-5.2 0.0115976
        gpt-6-luna 0.00051272
        o4-mini 0.0064416
        claude-sonnet-5 0.0102544
        claude-haiku-5-5 0.00051272
        gemini/gemini-3.1-pro-preview 0.0112544
        mistral/mistral-small-latest 0.00069408
        xai/grok-4.5 0.0090736
        azure/gpt-5-mini 0.0016568
        bedrock/us.amazon.nova-lite-v1:0 0.00035136
    """,
    Usage(3050, 20, 2000, 1000): """
        claude-haiku-4-5 0.0016
        claude-sonnet-5 0.0032
        claude-opus-5-5 0.006
        bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0 0.00176
    """,
    Usage(3050, 20, 2000, 400, 600): """
        claude-sonnet-4-5-20250929 0.00615
        claude-opus-4-8 0.01025
    """,
    Usage(300001, 1000): """
        gpt-5.4 1.522505
        gpt-6-sol 1.215004
        gemini/gemini-2.5-pro 0.7650025
        xai/grok-4.3 0.7550025
    """,
    Usage(200000, 1): "gemini/gemini-2.5-pro 0.25001",
    Usage(1000, 900, reasoning_tokens=640): """
        o3 0.0092
        gemini/gemini-2.5-flash 0.00255
    """,
    Usage(1, 1): "gpt-4o-mini 0.00000075",
    Usage(): """
        gpt-5 0
        gpt-6-luna 0
    """,
}
AGREED_CASES = [
    (usage, *line.split()) for usage, lines in AGREED.items() for line in lines.strip().splitlines()
]
TEXTS = [
    ("gpt-4o-mini", "お誕生日おめでとう", "誕生日は一年に一度です。", "0.0000072"),
    ("gpt-5-mini", "The quick brown fox jumps over the lazy dog.", "OK", "0.0000045"),
    ("gpt-3.5-turbo", "def f(x):\n    return x ** 2\n", "It squares x.", "0.0000115"),
    ("gpt-4-turbo", "Привет, как дела?", "Хорошо, спасибо!", "0.00047"),
    ("gpt-5", "", "", "0"),
]


@pytest.mark.parametrize(("usage", "model", "usd"), AGREED_CASES)
def test_what_both_say(usage, model, usd):
    cost, source, _ = price(model, usage, NOON)
    assert to_pico(cost) == to_pico(usd)
    assert source.startswith("genai-prices ")


@pytest.mark.parametrize(("model", "prompt", "answer", "usd"), TEXTS)
def test_what_both_say_of_a_text(model, prompt, answer, usd):
    usage = Usage(count_tokens(model, text=prompt).tokens, count_tokens(model, text=answer).tokens)
    assert to_pico(price(model, usage, NOON).cost) == to_pico(usd)


USED = {
    "plain": Usage(12345, 678),
    "cache read": Usage(10_000, 500, 8192),
    "cache write": Usage(10_000, 500, 1000, 4000),
    "cache write 1h": Usage(10_000, 500, 1000, 0, 4000),
    "long": Usage(300_001, 1000),
    "long, cached": Usage(300_001, 1000, 200_000, 50_000),
    "reasoning": Usage(1000, 900, reasoning_tokens=640),
    "batch": Usage(12345, 678, service_tier="batch"),
    "batch, cached": Usage(10_000, 500, 8192, service_tier="batch"),
    "flex, cached": Usage(10_000, 500, 8192, service_tier="flex"),
    "priority, cached": Usage(10_000, 500, 8192, service_tier="priority"),
}
RATES = {  # of a usage, by our name and LiteLLM's
    "input_tokens": ("input_mtok", "input_cost_per_token"),
    "output_tokens": ("output_mtok", "output_cost_per_token"),
    "cache_read_tokens": ("cache_read_mtok", "cache_read_input_token_cost"),
    "cache_write_tokens": ("cache_write_mtok", "cache_creation_input_token_cost"),
    "cache_write_1h_tokens": (
        "cache_write_1h_mtok",
        "cache_creation_input_token_cost_above_1hr",
    ),
}
TOLD_APART = ("requests_kcount", "output_reasoning_mtok")  # and not by LiteLLM, or not so
SUFFIX = {None: "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}

# The names of which the two lists state different rates, and why, as far as can be told. Ours is
# the price of genai-prices: it has a source and a date for each, and tells by day and by hour.
MEASURED_WITH = ("1.106.2", "0.2.3")
DISAGREE = [  # cause, how many, whose names
    ("Bedrock without a region: genai-prices takes the regional price, LiteLLM the global", 16,
     r"(anthropic\.claude-(opus-4-[5-8]|(opus|sonnet|fable|haiku)-5|haiku|sonnet-4-[56])"
     r"|openai\.gpt-6)"),
    ("Nova abroad: genai-prices has one regional price, LiteLLM one of each region", 2,
     r"(eu|jp)\.amazon\.nova-2-lite"),
    ("long prompts: only one of the two has (still) another price for them", 16,
     r".*claude-sonnet-4|bedrock_mantle/openai\.gpt-5\.[45]$|gpt-5\.6-cyber$"),
    ("Azure: LiteLLM has some older models above OpenAI's price", 8,
     r"azure/(ada|gpt-3\.5|gpt-4-turbo|text-embedding)|azure_ai/grok-3-mini"),
    ("LiteLLM converts from the host's own units, and rounds", 23, r"databricks/|cloudflare/"),
    ("what a name without a version means has moved on in one of the two", 5,
     r"mistral/.*(latest|medium|nemo)$"),
    ("the lists were read from the host's page at different times", 49,
     r"(baseten|deepseek|fireworks_ai|groq|mistral|novita|ovhcloud|perplexity|together_ai|xai)/"
     r"|deepseek-|vertex_ai/(claude-3-5-haiku|gemini-2\.0-flash$)|gemini-3\.5-flash-lite"
     r"|(gemini|vertex_ai)/gemini-3\.5-flash-lite|bedrock/us-gov-east-1/meta\.llama3-8b"
     r"|azure_ai/claude-sonnet-5-5"),
]  # fmt: skip
# Kinds of usage for which one of the two has no rate of its own, and takes another.
ONE_SIDED = {"plain": 4, "long": 4, "reasoning": 4, "batch, cached": 1,
                     "cache read": 105, "cache write": 152, "cache write 1h": 145,
                     "long, cached": 160}  # fmt: skip
SAME_AT_LEAST = {"plain": 990, "long": 970, "reasoning": 970, "cache read": 930, "cache write": 910,
                 "cache write 1h": 880, "long, cached": 890, "batch": 135, "batch, cached": 70,
                 "priority, cached": 38, "flex, cached": 30}  # fmt: skip


@pytest.fixture(scope="module")
def litellm():
    import litellm

    litellm.suppress_debug_info = True
    try:  # some of its prices go by the hour, too
        from litellm._internal_context import pinned_billing_time
    except ImportError:
        pinned_billing_time = nullcontext
    with pinned_billing_time(NOON):
        yield litellm


def their_price(litellm, name, usage):
    from litellm.cost_calculator import batch_cost_calculator
    from litellm.types import utils as types

    read, write, write_1h = usage[2:5]
    told = types.Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=types.PromptTokensDetailsWrapper(
            cached_tokens=read,
            cache_creation_tokens=write + write_1h,
            cache_creation_token_details=types.CacheCreationTokenDetails(
                ephemeral_5m_input_tokens=write, ephemeral_1h_input_tokens=write_1h
            ),
        ),
        completion_tokens_details=types.CompletionTokensDetailsWrapper(
            reasoning_tokens=usage.reasoning_tokens
        ),
    )
    host = litellm.model_cost[name]["litellm_provider"]
    if usage.service_tier == "batch":
        return Decimal(repr(sum(batch_cost_calculator(told, name, host))))
    parts = litellm.cost_per_token(
        model=name,
        custom_llm_provider=host,
        usage_object=told,
        service_tier=usage.service_tier,
    )
    return Decimal(repr(sum(parts)))


def stated(name, entry, usage):
    """Whether the list, and LiteLLM, have a rate of its own for everything in that usage."""
    found, tier = catalog.find_model(name.lower()), usage.service_tier
    ours = found.rates(NOON).by_name
    if tier is not None:  # what a tier does not name stays as it is, in genai-prices
        ours = {
            key
            for variant in found._variants
            if tier in variant.when.values()
            for key in vars(variant.prices)
        }
    used = [rates for field, rates in RATES.items() if getattr(usage, field)]
    told_apart = any(rate in found.rates(NOON).by_name for rate in TOLD_APART)
    return (
        all(rate in ours for rate, _ in used) and not told_apart,
        all(entry.get(rate + SUFFIX[tier]) is not None for _, rate in used),
    )


def models(litellm):
    for name, entry in litellm.model_cost.items():
        priced = entry.get("input_cost_per_token") is not None
        if priced and entry.get("mode") in {"chat", "completion", "responses", "embedding"}:
            yield name, entry


def compare(litellm):
    """How many agree, by kind of usage; and who does not, where both state what it takes."""
    same, one_sided, differ = Counter(), Counter(), {}
    for name, entry in models(litellm):
        if catalog.find_model(name.lower()) is None:
            same["not listed"] += 1
            continue
        for kind, usage in USED.items():
            if entry["mode"] == "embedding":
                usage = usage._replace(output_tokens=0, reasoning_tokens=0)
            ours_stated, theirs_stated = stated(name, entry, usage)
            try:
                ours = price(name, usage, NOON).cost
            except UnpricedModel:
                assert not (ours_stated and theirs_stated), (name, kind)
                continue
            if usage.service_tier is not None and not theirs_stated:
                continue  # LiteLLM then takes the usual price, without saying so
            theirs = their_price(litellm, name, usage)
            if abs(ours - theirs) < Decimal("1e-12"):  # a picodollar: theirs are floats
                same[kind] += 1
            elif ours_stated and theirs_stated:
                differ.setdefault(name, []).append(kind)
            else:
                one_sided[kind] += 1
    return same, one_sided, differ


def cause_of(name):
    causes = (cause for cause, _, names in DISAGREE if re.match(names, name))
    return next(causes, f"unknown: {name}")


def test_where_both_state_the_rates_they_agree_or_differ_for_a_known_reason(litellm):
    same, one_sided, differ = compare(litellm)
    assert same["plain"] > 500
    if (version("litellm"), version("genai-prices")) != MEASURED_WITH:
        assert len(differ) < same["plain"] / 2  # another day's lists
        return
    counted = Counter(map(cause_of, differ))
    assert counted == {cause: number for cause, number, _ in DISAGREE}
    assert one_sided == ONE_SIDED
    assert all(same[kind] >= least for kind, least in SAME_AT_LEAST.items()), same


def test_what_genai_prices_finds_at_litellms_price_is_found_here(litellm):
    """By its own rules, for names as LiteLLM writes them."""
    agreed = 0
    for name, entry in models(litellm):
        try:
            host, info = catalog.price_list().find_provider_model(name, None, "litellm", None)
        except LookupError:
            continue
        if host.id != "aws" and name.startswith("anthropic.claude-"):
            continue  # Bedrock's id, which genai-prices takes for one of the vendor itself
        listed = vars(info.get_prices(NOON)) if info.prices else {}
        rate = getattr(listed.get("input_mtok"), "base", listed.get("input_mtok"))
        if rate is None or abs(rate - Decimal(repr(entry["input_cost_per_token"])) * 10**6) > 1e-9:
            continue
        found = catalog.find_model(name.lower())
        if provider_called(entry["litellm_provider"], KNOWN) not in KNOWN:
            assert found is None, name  # genai-prices takes the vendor's price for this host's
            continue
        assert found is not None, name
        assert found._info is info, name
        agreed += 1
    assert agreed > 500


SOME = 10_000
NOT_TEXT = {  # by LiteLLM's name of the rate: at a rate of its own here, or at that of text
    "input_cost_per_audio_token": Usage(SOME, input_audio_tokens=SOME),
    "output_cost_per_audio_token": Usage(0, SOME, output_audio_tokens=SOME),
    "input_cost_per_image_token": Usage(SOME, input_image_tokens=SOME),
    "output_cost_per_image_token": Usage(0, SOME, output_image_tokens=SOME),
    "input_cost_per_video_token": Usage(SOME, input_video_tokens=SOME),
    "cache_read_input_audio_token_cost": Usage(
        SOME, 0, SOME, input_audio_tokens=SOME, cache_read_audio_tokens=SOME
    ),
    "cache_read_input_image_token_cost": Usage(
        SOME, 0, SOME, input_image_tokens=SOME, cache_read_image_tokens=SOME
    ),
    "input_cost_per_second": Usage(input_audio_seconds=SOME),
    "input_cost_per_character": Usage(input_characters=SOME),
}
SAME_NOT_TEXT = [84, 64, 67, 41, 12, 28, 28, 17, 5]
DISAGREE_NOT_TEXT = {
    "gpt-4o(-mini)?-transcribe": "OpenAI's page lists sound at a rate of its own",
    "azure/gpt-audio(-2025-08-28)?$": "Azure: above OpenAI's price in LiteLLM",
    "azure/(gpt-4o-realtime-preview-2024-10-01|tts-1-hd)": "Azure: above OpenAI's in LiteLLM",
    "groq/whisper": "a third of a cent, rounded in LiteLLM",
    "xai/grok-code-fast|vertex_ai/gemini-2.0-flash$": "as for their text",
}


def test_sound_images_and_the_rest_cost_what_litellm_says(litellm):
    same, differ = Counter(), set()
    for name, entry in litellm.model_cost.items():
        for key, usage in NOT_TEXT.items():
            if entry.get(key) is None:
                continue
            try:
                ours = price(name, usage, NOON).cost
            except UnpricedModel:
                continue
            if abs(ours - Decimal(repr(entry[key])) * SOME) <= ours.scaleb(-9):  # 1/3600: rounded
                same[key] += 1
            else:
                differ.add(name)
    if (version("litellm"), version("genai-prices")) == MEASURED_WITH:
        assert [same[key] for key in NOT_TEXT] == SAME_NOT_TEXT
        unknown = [name for name in differ if not re.match("|".join(DISAGREE_NOT_TEXT), name)]
        assert not unknown
    assert sum(same.values()) > 100
