"""A price belongs to a host and a model: the whole list, by every way to state the host."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices.data import providers
from genai_prices.types import Usage as ListedUsage

from budgetledger.errors import UnpricedModel
from budgetledger.prices import PriceBook
from budgetledger.pricing import catalog
from budgetledger.pricing.hosts import Host
from budgetledger.pricing.model_names import says_more
from budgetledger.pricing.sources import Prices, extreme, priced
from budgetledger.usage import Usage
from budgetledger.windows import to_us

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICES = Prices(lambda: PriceBook([]))
PROVIDERS = {provider.id: provider for provider in providers}
USED = Usage(10_000, 1_000)

EXCEPTIONS = {  # not found under the list's own id, by host; and why
    "mistral": (4, {"codestral", "magistral-small", "mistral-medium-3-1", "pixtral-large"}),
    # genai-prices does not match these ids of its own either: Mistral has no such names
    "openai": (5, {"gpt-oss-120b", "gpt-oss-20b", "gpt-oss-safeguard-20b",
                   # open weights, which OpenAI does not sell: the price is another host's
                   "ft:gpt-4o", "ft:gpt-4o-mini"}),
    # a fine-tuned model has the date of its base in its name: ft:gpt-4o-2024-08-06:…
}  # fmt: skip
# The native id `perplexity/sonar` is LiteLLM's name of `sonar`, and is read so behind LiteLLM.
AMBIGUOUS = {("perplexity", "perplexity/sonar")}


def priced_models(provider):
    """Its models with a price of text, each with a usage and what that costs there."""
    found = []
    for model in provider.models:
        rates = model.get_prices(NOON)
        if rates.input_mtok is not None:
            usage = USED if rates.output_mtok is not None else USED._replace(output_tokens=0)
            counted = ListedUsage(
                input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
            )
            cost = model.calc_price(counted, provider, genai_request_timestamp=NOON).total_price
            found.append((model.id, usage, round(cost * 10**12)))
    return found


def cost_of(answered, asked, usage, *places):
    return priced(answered, asked, usage, None, to_us(NOON), PRICES.at(*places)).cost_pico


@pytest.mark.parametrize("host", PROVIDERS)
def test_every_model_costs_its_hosts_price_however_the_host_is_stated(host):
    missing = set()
    for model, usage, pico in priced_models(PROVIDERS[host]):
        asked = f"{host}/{model}"
        costs = {
            "asked only": cost_of(None, asked, usage),
            "answered bare": cost_of(model, asked, usage),
            "answered without its vendor": cost_of(model.rpartition("/")[2], asked, usage),
            "answered in capitals": cost_of(model.upper(), asked, usage),
            "answered with the prefix": cost_of(asked, asked, usage),
            "LiteLLM's provider": cost_of(model, model, usage, host),
            "an alias at LiteLLM's provider": cost_of(model, "my-alias", usage, host),
            "a client of its URL": cost_of(model, model, usage, Host(host, own_names=True)),
        }
        if (host, model) in AMBIGUOUS:
            del costs["LiteLLM's provider"], costs["an alias at LiteLLM's provider"]
        if {*costs.values()} == {None}:
            missing.add(model)
        else:
            assert {*costs.values()} == {pico}, (model, costs, pico)
    assert (len(missing), missing) == EXCEPTIONS.get(host, (0, set()))


@pytest.mark.parametrize("host", PROVIDERS)
def test_an_answer_of_another_model_of_the_host_costs_that_models_price(host):
    models = priced_models(PROVIDERS[host])
    _, left_out = EXCEPTIONS.get(host, (0, set()))
    models = [model for model in models if model[0] not in left_out]
    for (asked, _, _), (answered, usage, pico) in zip(models, models[1:] + models[:1], strict=True):
        if (host, answered) in AMBIGUOUS:
            continue
        assert cost_of(answered, f"{host}/{asked}", usage) == pico, (asked, answered)


def test_the_whole_list_is_tried():
    assert sum(len(priced_models(provider)) for provider in providers) > 2_000


CLAUDE, BEDROCK = "claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ANSWERED = [  # asked, answered, places, USD for USED; None: unpriced
    # the region of the name that was asked for
    (BEDROCK, CLAUDE, (), "0.0495"),
    (f"bedrock/{BEDROCK}", CLAUDE, (), "0.0495"),
    (BEDROCK, "anthropic.claude-sonnet-4-5-20250929-v1:0", (), "0.0495"),
    (BEDROCK.replace("us.", "global."), CLAUDE, (), "0.045"),
    (BEDROCK, "claude-haiku-4-5-20251001", (), "0.0165"),
    (CLAUDE, CLAUDE, (), "0.045"),
    (f"arn:aws:bedrock:us-east-1:1:inference-profile/{BEDROCK}", CLAUDE, (), "0.0495"),
    ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", CLAUDE, (), "0.0495"),
    (BEDROCK[3:], CLAUDE, ("https://bedrock-runtime.eu-west-1.amazonaws.com",), "0.0495"),
    (BEDROCK[3:], CLAUDE, ("https://bedrock-runtime.us-gov-west-1.amazonaws.com",), None),
    ("azure/eu/gpt-4o", "gpt-4o-2024-08-06", (), None),
    ("azure/eu/gpt-4o", "gpt-4o-2024-08-06", ("azure",), None),
    ("my-alias", "gpt-4o-2024-08-06", ("azure/eu/gpt-4o", "azure"), None),
    ("my-alias", "gpt-4o-2024-08-06", ("https://me.openai.azure.com/openai/",), "0.035"),
    ("gpt-4o", "gpt-4o-2024-08-06", ("https://me.openai.azure.us/openai/",), None),
    # the model that answered
    ("gpt-4o", "gpt-4o-2024-05-13", (), "0.065"),
    ("gpt-4o-mini", "gpt-4o", (), "0.035"),
    ("azure/gpt-4o", "gpt-4o-2024-11-20", (), "0.035"),
    # a host that the list does not have, and one it knows nothing of
    ("ollama/gpt-oss:20b", "gpt-oss:20b", (), None),
    ("github/gpt-4o", "gpt-4o-2024-08-06", (), None),
    ("vercel_ai_gateway/anthropic/claude-sonnet-4.5", CLAUDE, (), None),
    ("deepinfra/anthropic/claude-4-opus", "claude-4-opus", (), None),
    ("gpt-4o", "gpt-4o", ("dashscope",), None),
    ("gpt-4o", "gpt-4o", ("http://127.0.0.1:4000/v1",), "0.035"),
    ("team/gpt-4o", "gpt-4o-2024-08-06", ("https://gateway.example/v1",), "0.035"),
    # names as OpenRouter, Claude Code and Vertex write them
    ("openrouter/openai/gpt-4o:nitro", "openai/gpt-4o", (), "0.035"),
    ("openrouter/openai/gpt-4o:nitro", None, (), "0.035"),
    ("openrouter/openai/gpt-4o:online", "openai/gpt-4o", (), None),
    ("openrouter/openai/gpt-4o:online", None, (), None),
    ("claude-sonnet-4-5[1m]", CLAUDE, (), "0.045"),
    ("claude-sonnet-4-5[1m]", None, (), "0.045"),
    ("projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro", None, (),
     "0.0225"),
    ("projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929", None,
     (), "0.045"),
    ("projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929",
     CLAUDE, (), None),
    ("vertex_ai/projects/p/locations/global/publishers/google/models/gemini-2.5-pro", None, (),
     "0.0225"),
    ("gemini-2.0-flash-001", None, (), "0.0014"),
    ("gemini/gemini-2.0-flash-001", "gemini-2.0-flash-001", (), "0.0014"),
    ("gemini-2.5-flash-001", None, (), "0.0055"),
    ("sonar-pro", None, (), "0.059"),
    # a vendor with two lists: a bare name does not tell which
    ("glm-5", "glm-5", (), None),
    ("zai/glm-5", "glm-5", (), "0.0132"),
    ("glm-5", "glm-5", ("https://api.z.ai/api/paas/v4/",), "0.0132"),
    ("glm-5", "glm-5", ("https://open.bigmodel.cn/api/paas/v4/",), "0.008003"),
    ("glm-4.6", "glm-4.6", (), "0.0082"),
    # regional endpoints, at a price of their own since these models
    ("gpt-4o", "gpt-4o-2024-08-06", ("https://eu.api.openai.com/v1",), "0.035"),
    ("gpt-5.4", "gpt-5.4", ("https://eu.api.openai.com/v1",), None),
    ("grok-4.6", "grok-4.6", ("https://us.api.x.ai/v1",), None),
    (CLAUDE, CLAUDE, ("https://us-east5-aiplatform.googleapis.com/v1",), None),
    (CLAUDE, CLAUDE, ("https://aiplatform.googleapis.com/v1",), "0.045"),
    # a URL's own names, and those with a prefix of the caller's
    ("openai/gpt-oss-120b", "openai/gpt-oss-120b", ("https://api.groq.com/openai/v1",), "0.0021"),
    ("groq/llama-3.3-70b-versatile", "llama-3.3-70b-versatile",
     ("https://api.groq.com/openai/v1",), "0.00669"),
    ("openai/llama-3.3-70b-versatile", "llama-3.3-70b-versatile",
     ("https://api.groq.com/openai/v1", "openai"), "0.00669"),  # LiteLLM's name for any such API
    ("deepseek-ai/DeepSeek-R1:together", None, ("https://router.huggingface.co/v1",), "0.037"),
    ("huggingface/together/deepseek-ai/DeepSeek-R1", None, (), "0.037"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "answered", "places", "usd"), ANSWERED)
def test_a_call_costs_its_hosts_price_of_the_model_that_answered(asked, answered, places, usd):
    pico = cost_of(answered, asked, USED, *places)
    assert (None if pico is None else Decimal(pico) / 10**12) == (usd and Decimal(usd))


def test_a_hold_is_estimated_at_the_host():
    prices = PRICES.at("https://api.groq.com/openai/v1")
    for most in (True, False):
        _, rates = extreme("llama-3.3-70b-versatile", 10, NOON, prices=prices, most=most)
        assert (rates["provider"], rates["input_mtok"]) == ("groq", "0.59")
        with pytest.raises(UnpricedModel):
            extreme("llama-3.3-70b-versatile", 10, NOON, prices=PRICES, most=most)


def test_an_unpriced_call_keeps_its_host_for_later():
    told = priced("m", "alias", USED, None, 0, PRICES.at("azure/eu/x")).price_json
    assert told == '{"model":"m","provider":"azure","region":"eu"}'
    assert priced("m", "m", USED, None, 0, PRICES).price_json is None


PLACES = [
    (("https://api.groq.com/openai/v1",), ("groq", None)),
    (("HTTPS://API.GROQ.COM/openai/v1",), ("groq", None)),
    (("https://api.openai.com/v1/",), ("openai", None)),
    (("https://eu.api.openai.com/v1",), ("openai", "eu")),
    (("https://openrouter.ai/api/v1",), ("openrouter", None)),
    (("https://bedrock-runtime.us-east-1.amazonaws.com",), ("aws", "us-east-1")),
    (("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",), ("aws", "us-gov-west-1")),
    (("https://bedrock-mantle.eu-west-1.api.aws/anthropic",), ("aws", "eu-west-1")),
    (("https://me.services.ai.azure.com/anthropic/",), ("azure", None)),
    (("https://aiplatform.eu.rep.googleapis.com/v1",), ("google", "eu")),
    (("https://generativelanguage.googleapis.com/v1beta/openai/",), ("google", None)),
    (("https://api.together.ai/v1",), ("together", None)),
    (("http://localhost:11434/v1",), None),
    (("https://gateway.example/api.groq.com",), None),
    (("https://user:word@api.groq.com:8443/openai/v1",), ("groq", None)),
    (("https://api.anthropic.com./v1",), ("anthropic", None)),
    (("https://api.moonshot.cn/v1",), ("moonshotai", None)),
    (("https://api.openai.com.gateway.example/v1",), None),
    (("https://api.openai.com@gateway.example/v1",), None),
    (("https://api.moonshot.gateway.example/v1",), None),
    (("https://gateway.example/aiplatform.googleapis.com/v1",), None),
    (("https://gateway.example/?to=a.openai.azure.com",), None),
    (("https://[::1]:8000/v1",), None),
    (("https://[api.openai.com/v1",), None),
    (("https://gateway.example/v1", "fireworks_ai"), ("fireworks", None)),
    (("https://gateway.example/v1", "custom_openai"), ("custom_openai", None)),
    (("https://api.groq.com/openai/v1", "openai"), ("groq", None)),
    (("vertex_ai-anthropic_models",), ("google", None)),
    (("nobody",), None),
    ((), None),
]


@pytest.mark.parametrize(("places", "host"), PLACES)
def test_a_host_is_named_by_url_or_provider(places, host):
    found = catalog.host_of(*places)
    assert (found and found[:2]) == host


@pytest.mark.parametrize(
    ("asked", "answered", "more"),
    [("gpt-4o", "gpt-4o", True), ("gpt-4o-2024-08-06", "gpt-4o", True),
     ("gpt-4o", "gpt-4o-2024-08-06", False), ("gpt-4o-mini", "gpt-4o", False),
     (BEDROCK, CLAUDE, True), ("x-ai/grok-5:free", "x-ai/grok-5", True),
     ("anthropic/claude-sonnet-4.5", "claude-sonnet-4.5", True), ("m[1m]", "m", True),
     (CLAUDE, BEDROCK, False)],
)  # fmt: skip
def test_when_the_name_asked_for_says_more_than_the_answer(asked, answered, more):
    assert says_more(asked, answered) is more


COLONS = [
    ("openai:gpt-4o", "openai/gpt-4o"),
    ("openai-responses:gpt-5", "openai/gpt-5"),
    ("anthropic:claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0",
     "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("google-gla:gemini-2.5-flash", "gemini/gemini-2.5-flash"),
    ("google_vertexai:gemini-2.5-flash", "vertex_ai/gemini-2.5-flash"),
    ("groq:openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
    ("openrouter:anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
    ("azure_openai:gpt-4o", "azure/gpt-4o"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "same"), COLONS)
def test_a_host_before_a_colon_is_the_host(name, same):
    cost = cost_of(same, None, USED)
    assert cost is not None
    assert cost_of(name, None, USED) == cost
    assert cost_of(same.rpartition("/")[2], name, USED) == cost or "openrouter" in name


@pytest.mark.parametrize("name", ["ollama:gpt-4o", "mistral:7b", "github:gpt-4o", "vllm:gpt-4o"])
def test_a_host_before_a_colon_without_a_listed_price_is_unpriced(name):
    assert cost_of(name, None, USED) is None
