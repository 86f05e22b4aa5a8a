"""What a usage is billed for, in which service tier, under which name of the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ModelPrice,
)

from budgetledger.errors import UnpricedModel
from budgetledger.pricing import catalog
from budgetledger.pricing.catalog import cheapest, most_expensive, price
from budgetledger.pricing.model_names import is_version
from budgetledger.pricing.rates import PARTS, UNIT_EXPONENTS
from budgetledger.usage import Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
K = 1000

BILLED = [  # model, usage, and what of it is billed under which rate, in USD
    # images and video: like text, unless told apart
    ("gpt-4o", Usage(9 * K, 0, input_image_tokens=4 * K), {"input_mtok": "0.0225"}),
    (
        "gpt-4o",
        Usage(9 * K, 0, 5 * K, input_image_tokens=4 * K, cache_read_image_tokens=3 * K),
        {"input_mtok": "0.01", "cache_read_mtok": "0.00625"},
    ),
    ("gemini-2.5-pro", Usage(9 * K, 0, input_video_tokens=9 * K), {"input_mtok": "0.01125"}),
    (
        "gemini-embedding-2",
        Usage(9 * K, 0, input_image_tokens=4 * K, input_video_tokens=2 * K),
        {"input_mtok": "0.0006", "input_image_mtok": "0.0018", "input_video_mtok": "0.024"},
    ),
    (
        "gpt-image-1.5",
        Usage(
            9 * K, 6 * K, 3 * K, input_image_tokens=8 * K, cache_read_image_tokens=3 * K,
            output_image_tokens=5 * K,
        ),
        {"input_mtok": "0.005", "input_image_mtok": "0.04", "cache_image_read_mtok": "0.006",
         "output_mtok": "0.01", "output_image_mtok": "0.16"},
    ),
    ("gpt-image-2", Usage(0, 6 * K, output_image_tokens=6 * K), {"output_mtok": "0.18"}),
    ("gemini-2.5-flash-image", Usage(0, K, output_image_tokens=K), {"output_image_mtok": "0.03"}),
    # sound: at a rate of its own; with Gemini's newest, at the one there is; cached, or in full
    (
        "gemini-2.5-flash",
        Usage(9 * K, 0, 5 * K, input_audio_tokens=4 * K, cache_read_audio_tokens=3 * K),
        {"input_mtok": "0.0009", "input_audio_mtok": "0.001", "cache_read_mtok": "0.00006",
         "cache_audio_read_mtok": "0.0003"},
    ),
    ("gemini-2.5-pro", Usage(9 * K, 0, input_audio_tokens=9 * K), {"input_mtok": "0.01125"}),
    (
        "gpt-audio",
        Usage(9 * K, K, 3 * K, 0, 0, 0, 4 * K, 400, cache_read_audio_tokens=3 * K),
        {"input_mtok": "0.0125", "input_audio_mtok": "0.128", "output_mtok": "0.006",
         "output_audio_mtok": "0.0256"},
    ),
    ("gpt-4o-mini-tts", Usage(K, K, output_audio_tokens=K),
     {"input_mtok": "0.0006", "output_mtok": "0.012"}),
    # beside the tokens
    ("claude-sonnet-4-5", Usage(K, 0, web_searches=3),
     {"input_mtok": "0.003", "web_searches_kcount": "0.03"}),
    ("gpt-4.1", Usage(K, 0, web_searches=1, file_searches=2),
     {"input_mtok": "0.002", "web_searches_kcount": "0.01", "storage_searches_kcount": "0.005"}),
    ("perplexity/sonar", Usage(K, K, web_searches=1),  # the call's own price is its search's
     {"input_mtok": "0.001", "output_mtok": "0.001", "requests_kcount": "0.012"}),
    ("perplexity/sonar-deep-research", Usage(K, K, reasoning_tokens=K, web_searches=4),
     {"input_mtok": "0.002", "output_reasoning_mtok": "0.003", "web_searches_kcount": "0.02"}),
    ("whisper-1", Usage(input_audio_seconds=90), {"input_audio_hours": "0.009"}),
    ("gpt-live-transcribe", Usage(input_audio_seconds=60), {"audio_hours": "0.017"}),
    ("groq/whisper-large-v3", Usage(input_audio_seconds=3600), {"input_audio_hours": "0.111"}),
    ("tts-1", Usage(input_characters=2 * K), {"input_mchars": "0.03"}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "usage", "parts"), BILLED)
def test_every_part_is_billed_under_its_rate(model, usage, parts):
    cost, _, unit_prices = price(model, usage, NOON)
    assert cost == sum(map(Decimal, parts.values()))
    assert unit_prices.keys() == {"provider", "model", *parts}


def test_groq_bills_ten_seconds_at_least():
    one, ten, more = (
        price("groq/whisper-large-v3", Usage(input_audio_seconds=seconds), NOON).cost
        for seconds in (1, 10, 11)
    )
    assert one == ten < more


UNPRICED = [
    ("gpt-4o", Usage(K, web_searches=1, output_images=1), "output_images"),
    ("gpt-4o-audio-preview", Usage(K, input_audio_tokens=K), "input_audio_mtok"),
    ("gpt-4o", Usage(0, K, output_audio_tokens=K), "output_audio_mtok"),
    ("gemini-2.5-pro-tts", Usage(K, input_audio_tokens=K), "input_audio_mtok"),
    ("openrouter/google/gemini-2.5-flash-image", Usage(0, K, output_image_tokens=K), "output_im"),
    ("openai/gpt-5-image", Usage(0, K, output_image_tokens=K), "output_image_mtok"),
    ("cohere/embed-v4.0", Usage(K, input_image_tokens=K), "input_image_mtok"),
    ("gpt-4o-search-preview", Usage(K, web_searches=1), "web_searches_kcount"),
    ("mistral/codestral-2508", Usage(K, file_searches=1), "storage_searches_kcount"),
    ("gpt-4o-transcribe", Usage(input_audio_seconds=1), "audio_hours"),
    ("gpt-4o-mini-tts", Usage(input_characters=1), "input_mchars"),
    ("openrouter/anthropic/claude-sonnet-4.5", Usage(K, 0, 0, 0, 1), "cache_write_1h_mtok"),
    # cached sound, and it is not told that it was the sound that was cached
    ("gpt-4o-realtime-preview", Usage(K, 0, 900, input_audio_tokens=900), "input_mtok"),
    ("gpt-4o", Usage(K, service_tier="scale"), "'scale'"),
    ("gpt-4.1", Usage(K, service_tier="flex"), "'flex'"),
    ("gemini-3.8-flash", Usage(K, service_tier="flex"), "'flex'"),
    ("azure/gpt-4o", Usage(K, service_tier="batch"), "'batch'"),  # not what OpenAI asks for it
    ("claude-sonnet-5", Usage(K, service_tier="priority"), "'priority'"),  # paid beforehand
    ("perplexity/perplexity/sonar", Usage(K, service_tier="fast"), "'fast'"),  # of its searches
]


@pytest.mark.parametrize(("model", "usage", "says"), UNPRICED)
def test_what_has_no_rate_is_unpriced_and_says_what(model, usage, says):
    with pytest.raises(UnpricedModel, match=says):
        price(model, usage, NOON)


TIERS = [  # of 10,000 tokens in, 8,192 of them cached, and 500 out
    ("gpt-5.4", None, "0.014068"),
    ("gpt-5.4", "default", "0.014068"),
    ("gpt-5.4", "batch", "0.00707496"),
    ("gpt-5.4", "flex", "0.00707496"),
    ("gpt-5.4", "priority", "0.028136"),
    ("gpt-4o", "batch", "0.015"),  # the page has no price of what is cached in a batch
    ("claude-opus-4-8", "batch", "0.012818"),
    ("claude-opus-4-8", "fast", "0.051272"),
    ("gemini-3.8-flash-tts", "flex", "0.00475"),
    ("gemini/gemini-3.8-flash", "batch", "0.0019227"),
    ("groq/openai/gpt-oss-120b", "batch", "0.0009"),
    ("groq/openai/gpt-oss-120b", "flex", "0.0011856"),
    ("openai/gpt-5.4", "priority", "0.028136"),
]


@pytest.mark.parametrize(("model", "tier", "usd"), TIERS)
def test_the_service_tier_has_its_price_and_stands_on_the_row(model, tier, usd):
    cost, _, unit_prices = price(model, Usage(10 * K, 500, 8192, service_tier=tier), NOON)
    assert cost == Decimal(usd)
    assert unit_prices.get("service_tier") == (None if tier == "default" else tier)


def test_a_tier_is_priced_from_the_day_its_price_is_known():
    usage = Usage(10 * K, service_tier="batch")
    assert price("gpt-4o", usage, datetime(2026, 10, 14, tzinfo=UTC)).cost == Decimal("0.0125")
    with pytest.raises(UnpricedModel, match="service tier 'batch'"):
        price("gpt-4o", usage, datetime(2026, 10, 13, 23, 59, tzinfo=UTC))


BY_TIME = [
    ("gemini-4-argon", None, datetime(2026, 11, 30, 23, 59, tzinfo=UTC), "2"),
    ("gemini-4-argon", None, datetime(2026, 12, 1, tzinfo=UTC), "4"),
    ("gemini-4-argon", "batch", datetime(2026, 11, 30, tzinfo=UTC), "1"),
    ("gemini-4-argon", "batch", datetime(2026, 12, 1, tzinfo=UTC), "2"),
    # the day is UTC's, wherever the call was made
    ("gemini-4-argon", None, datetime(2026, 12, 1, 7, tzinfo=timezone(timedelta(hours=8))), "2"),
    ("deepseek-v4-pro", None, datetime(2026, 11, 20, 0, 59, tzinfo=UTC), "0.66"),
    ("deepseek-v4-pro", None, datetime(2026, 11, 20, 1, tzinfo=UTC), "1.32"),
    ("deepseek-v4-pro", None, datetime(2026, 11, 20, 4, tzinfo=UTC), "0.66"),
]


@pytest.mark.parametrize(("model", "tier", "at", "usd"), BY_TIME)
def test_the_price_is_that_of_the_moment(model, tier, at, usd):
    assert price(model, Usage(10**6, service_tier=tier), at).cost == Decimal(usd)


BY_SIZE = [
    (272 * K, None, "2"), (272 * K + 1, None, "4"),
    (272 * K, "batch", "1"), (272 * K + 1, "batch", "2"), (272 * K + 1, "priority", "8"),
]  # fmt: skip


@pytest.mark.parametrize(("size", "tier", "usd"), BY_SIZE)
def test_the_price_is_that_of_the_size(size, tier, usd):
    unit_prices = price("gpt-6-sol", Usage(size, service_tier=tier), NOON).unit_prices
    assert unit_prices["input_mtok"] == usd


def test_every_rate_of_the_list_is_known_here():
    """A rate nobody here knows of would be left out of a sum."""
    beside = {  # nothing in a usage counts these
        "audio_hours", "input_document_kpages", "input_annotated_document_kpages",
        "input_text_messages_kcount", "output_citation_mtok", "output_video_mtok",
    }  # fmt: skip
    listed = set()
    for provider in providers:
        for model in provider.models:
            dated = [model.prices] if isinstance(model.prices, ModelPrice) else model.prices
            for prices in dated:
                listed |= vars(getattr(prices, "prices", prices)).keys()
    lacking = {"output_images", *PARTS[-4:]}  # counted here, and without a rate in the list
    assert listed - lacking == (set(PARTS) | beside) - lacking
    for unit in unit_data.values():
        ending = unit["price_key"].rpartition("_")[2]
        if unit["price_key"] in PARTS:
            assert unit["per"] == (3600 if ending == "hours" else 10 ** UNIT_EXPONENTS[ending])


EXTREMES = [
    ("gpt-4o", {"input_mtok": "2.5"}, {"cache_read_mtok": "1.25"}, "10", "10"),
    ("claude-sonnet-5", {"cache_write_mtok": "2.5"}, {"cache_read_mtok": "0.2"}, "10", "10"),
    ("gpt-3.5-turbo", {"input_mtok": "0.5"}, {"input_mtok": "0.5"}, "1.5", "1.5"),
    ("gpt-image-1.5", {"input_image_mtok": "8"}, {"cache_read_mtok": "1.25"}, "32", "10"),
    ("gpt-audio", {"input_mtok": "2.5"}, {"input_mtok": "2.5"}, "64", "10"),
    ("perplexity/sonar-deep-research", {"input_mtok": "2"}, {"input_mtok": "2"}, "8", "3"),
]


@pytest.mark.parametrize(("model", "most", "least", "most_out", "least_out"), EXTREMES)
def test_the_most_expensive_and_the_cheapest_a_token_may_cost(
    model, most, least, most_out, least_out
):
    for bound, into, out in ((most_expensive, most, most_out), (cheapest, least, least_out)):
        source, unit_prices = bound(model, 100, NOON)
        assert source.startswith("genai-prices ")
        assert into.items() <= unit_prices.items()
        assert [usd for key, usd in unit_prices.items() if key.startswith("output_")] == [out]
        assert len(unit_prices) == 4  # no searches: what is not asked for is not held for


def test_the_bounds_know_size_and_price_of_the_call_and_nothing_of_an_unknown_model():
    assert most_expensive("gpt-6-sol", 300 * K, NOON)[1]["cache_write_mtok"] == "5"
    assert cheapest("gpt-6-sol", 300 * K, NOON)[1]["cache_read_mtok"] == "0.4"
    for bound in (most_expensive, cheapest):
        assert bound("perplexity/sonar", 1, NOON)[1]["requests_kcount"] == "12"
        with pytest.raises(UnpricedModel, match="hold an amount"):
            bound("whisper-1", 1, NOON)
        with pytest.raises(UnpricedModel, match="hold an amount"):
            bound("nobody/knows", 1, NOON)


NAMED = [  # as people write it: provider and model in the list
    ("gpt-4o", "openai gpt-4o"),
    ("  GPT-4o-2024-08-06 ", "openai gpt-4o"),
    ("gpt-4o-2024-05-13", "openai gpt-4o-2024-05-13"),
    ("openai/responses/gpt-5", "openai gpt-5"),
    ("gpt-5.2-20251211", "openai gpt-5.2"),
    ("text-embedding-3-small", "openai text-embedding-3-small"),
    ("azure/gpt-4o", "azure gpt-4o"),
    ("azure/global/gpt-4o-2024-08-06", "azure gpt-4o"),
    ("azure/global-standard/gpt-4o-mini", "azure gpt-4o-mini"),
    ("azure/responses/gpt-5", "azure gpt-5"),
    ("azure/gpt-35-turbo", "azure gpt-3.5-turbo"),
    ("azure/gpt-5.1-codex-mini-2025-11-13", "azure gpt-5.1-codex-mini"),
    ("azure_ai/claude-sonnet-4-5", "azure claude-sonnet-4-5"),
    ("claude-sonnet-4-5-20250929", "anthropic claude-sonnet-4-5"),
    ("anthropic/claude-haiku-4-5-20251001", "anthropic claude-haiku-4-5"),
    ("vertex_ai/claude-sonnet-4-5@20250929", "google claude-sonnet-4-5"),
    ("vertex_ai/claude-opus-4-6@default", "google claude-opus-4-6"),
    ("publishers/google/models/gemini-2.5-pro", "google gemini-2.5-pro"),
    ("models/gemini-2.5-flash", "google gemini-2.5-flash"),
    ("gemini/models/gemini-2.5-flash", "google gemini-2.5-flash"),
    ("gemini/gemini-2.5-pro-preview-06-05", "google gemini-2.5-pro"),
    ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "aws regional.anthropic.*-4-5-20250929"),
    ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws regional.anthropic.*20250929"),
    ("bedrock/eu-west-1/anthropic.claude-haiku-4-5-20251001-v1:0", "aws regional.*20251001"),
    ("bedrock/converse/us.anthropic.claude-opus-4-8", "aws regional.anthropic.claude-opus-4-8"),
    ("bedrock/invoke/eu.anthropic.claude-sonnet-4-6", "aws regional.anthropic.claude-sonnet-4-6"),
    ("apac.anthropic.claude-sonnet-4-20250514-v1:0", "aws regional.anthropic.claude-sonnet-4-2"),
    ("global.anthropic.claude-opus-5-5", "aws global.anthropic.claude-opus-5-5"),
    (
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-5",
        "aws regional.anthropic.claude-sonnet-5",
    ),
    ("bedrock/us-west-2/mistral.mistral-large-2402-v1:0", "aws mistral.mistral-large-2402"),
    ("us.amazon.nova-lite-v1:0", "aws amazon.nova-lite"),
    ("eu.mistral.pixtral-large-2502-v1:0", "aws mistral.pixtral-large"),
    ("fireworks_ai/accounts/fireworks/models/glm-5p1", "fireworks glm-5p1"),
    ("accounts/fireworks/models/glm-5p1", "fireworks glm-5p1"),
    ("fireworks_ai/glm-5p1-fast", "fireworks glm-5p1-fast"),
    ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together meta-llama/Llama-3.3"),
    ("groq/llama-3.3-70b-versatile", "groq llama-3.3-70b-versatile"),
    ("groq/openai/gpt-oss-120b", "groq openai/gpt-oss-120b"),
    ("openrouter/anthropic/claude-sonnet-4.5", "openrouter anthropic/claude-sonnet-4.5"),
    ("xai/grok-4.7-latest", "x-ai grok-4.7"),
    ("mistral/mistral-small-latest", "mistral mistral-small-latest"),
    ("moonshot/kimi-k3", "moonshotai kimi-k3"),
    ("github_copilot/claude-opus-4.8", "github-copilot claude-opus-4.8"),
    ("ft:gpt-4o-mini-2024-07-18:org::id", "openai ft:gpt-4o-mini"),
    ("openai/ft:gpt-4o-2024-08-06:org:suffix:id", "openai ft:gpt-4o"),
    ("azure/gpt-4o-mini-2024-07-18.ft-0123abcd", "azure gpt-4o-mini-2024-07-18.ft-"),
]


@pytest.mark.parametrize(("name", "found"), NAMED)
def test_models_are_found_under_the_names_people_write(name, found):
    names = price(name, Usage(), NOON).unit_prices
    provider, model = found.split()
    assert names["provider"] == provider
    assert all(part in names["model"] for part in model.split("*"))


NOT_NAMED = [
    # another region asks another price, which the list does not have
    "azure/eu/gpt-4o-2024-08-06",
    "azure/us/gpt-4o",
    "azure/apac/gpt-6.1-sol",
    "bedrock/eu-west-3/mistral.mistral-large-2402-v1:0",
    "bedrock/us-gov-west-1/amazon.nova-pro-v1:0",
    "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws-us-gov:bedrock:us-gov-west-1:1:foundation-model/amazon.nova-pro-v1:0",
    "eu.amazon.nova-pro-v1:0",
    "apac.amazon.nova-lite-v1:0",
    "bedrock/us-east-1/1-month-commitment/anthropic.claude-v2:1",
    "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
    # another model, though its name begins like, or contains, a listed one
    "gemini-3.8-flash-cyber",
    "gemini-2.0-flash-exp-image-generation",
    "gemini/gemini-1.5-flash-8b-001-turbo",
    "claude-opus-4-10",
    "claude-sonnet-4-5-mega",
    "claude-20",
    "ft:gpt-4.1-2025-04-14:org::id",
    "ft:gpt-4o:org::id",
    # another host, which asks what it likes
    "vercel_ai_gateway/anthropic/claude-opus-4",
    "deepinfra/anthropic/claude-4-opus",
    "my-openai-proxy/gpt-4o",
    "litellm_proxy/gpt-4o",
    "ollama/gpt-4o",
    "openai/gpt-oss-120b",
    "azure_ai/deepseek-r1",
    "llama-3.3-70b-versatile",
    "openrouter/anthropic/claude-sonnet-4.5:online",
    "", "/", "azure/", "bedrock/", "models/", "ft:", "a" * 257,
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_NAMED)
def test_a_name_is_not_taken_for_another_model_host_or_region(name):
    with pytest.raises(UnpricedModel):
        price(name, Usage(1), NOON)


@pytest.mark.parametrize(
    ("rest", "same"),
    [("", True), ("-20250929-v1:0", True), ("@default", True), ("-preview-06-05", True),
     ("-latest", True), ("-mini", False), ("-v1-turbo", False), ("-8b", False), ("s", False),
     ("-previews", False), ("-" * 5000, False), ("-1" * 5000, True),
     ("-" + "1" * 5000 + "x", False)],
)  # fmt: skip
def test_what_a_version_is(rest, same):
    assert is_version(rest) is same


RESTS = [
    (ClauseEquals("m-1"), "m-1", ""),
    (ClauseEquals("m-1"), "m-10", None),
    (ClauseStartsWith("M-"), "m-1", "1"),
    (ClauseStartsWith("m-1"), "m-10", None),
    (ClauseStartsWith("m-2024-"), "m-2024-08-06", "08-06"),
    (ClauseStartsWith("m-2025"), "m-20250929", "0929"),
    (ClauseEndsWith("-m"), "us.x-m", "x"),
    (ClauseContains("x.m"), "us.x.m-v1", "-v1"),
    (ClauseContains("m"), "not-m", "not-"),
    (ClauseRegex("^m"), "m-anything", ""),
    (ClauseOr([ClauseContains("m"), ClauseEquals("m-1")]), "m-1", ""),
    (ClauseOr([ClauseEquals("n")]), "m", None),
    (ClauseAnd([ClauseStartsWith("m"), ClauseRegex("1$")]), "m-1", "-1"),
    (ClauseAnd([ClauseStartsWith("m"), ClauseRegex("2$")]), "m-1", None),
]


@pytest.mark.parametrize(("match", "name", "rest"), RESTS)
def test_what_a_name_has_beyond_the_listed_text(match, name, rest):
    assert catalog.rest_of_name(match, name) == rest
