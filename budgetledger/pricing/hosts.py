"""The host that a call is made at: a price belongs to a host and a model. Pure text.

A host is stated by the URL of a client, by LiteLLM's name of the provider, or by a model's name:
``groq/llama-…``, ``groq:llama-…``, ``bedrock/eu-west-1/…``, ``us.anthropic.claude-…``,
``azure/eu/gpt-4o``. A prefix that names no host, such as ``meta-llama/``, is a part of the model's
name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit


class Host(NamedTuple):
    """Who sells the call. ``provider``: in the price list's words, if the list has it.

    ``region``: where it runs, if the price may differ there; None if that is not stated.
    ``own_names``: whether names are as the host itself takes them, as with a client of its URL,
    so that ``groq/compound`` is no ``compound`` of Groq's.
    """

    provider: str
    region: str | None = None
    own_names: bool = False


class Named(NamedTuple):
    """A model's name taken apart: the ``host`` that it states, if any, and the ``model`` there."""

    host: Host | None
    model: str


# Words for hosts that the price list calls otherwise; mostly LiteLLM's. Each maps to its own
# host, so that another host's price is never taken.
_WORDS = {
    "anthropic_text": "anthropic",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "bigmodel": "zhipuai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "google-gla": "google",
    "google-vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "publishers": "google",
    "text-completion-openai": "openai",
    "together-ai": "together",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "vertexai": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
    "zhipu": "zhipuai",
}
# Hosts that the price list does not have: LiteLLM's names of them (1.108, 2026-11). They are not
# taken for a part of the model's name, which another host may sell.
_UNLISTED_WORDS = """
a2a a2a_agent ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anyscale apertis
auto_router bytez charity_engine chatgpt chutes clarifai codestral cognition cometapi
compactifai coralbricks cortecs crusoe custom_openai darkbloom dashscope
databricks_agent datarobot deepinfra docker_model_runner edenai empower featherless_ai
friendliai galadriel gdc gigachat github gmi gradient_ai helicone heroku hosted_vllm humanloop
hyperbolic inception inferenceapis infinity jina_ai lambda_ai langflow langgraph laya lemonade
libertai litellm_agent litellm_proxy llamafile llamagate lm_studio manus maritalk meta_llama
microsoft_365_copilot modelscope morph nace nadir nano-gpt nebius neosantara nlp_cloud nscale
nvidia_nim nvidia_riva oci ollama ollama_chat oobabooga openai_like openinfer parasail petals
pinstripes poe predibase prism publicai qwen_ai_platform qwencloud ragflow reka replicate
runwayml sagemaker sagemaker_chat sagemaker_nova sail sambanova sap scaledown scaleway scx-ai
snowflake stability synthetic tencent tensormesh text-completion-codestral
text-completion-inception triton v0 vercel_ai_gateway vllm volcengine wandb watsonx
watsonx_text xiaomi_mimo xinference
"""
_UNLISTED = frozenset(_UNLISTED_WORDS.split())
_LISTED_WORDS = """
anthropic arcee avian aws azure baseten cerebras cloudflare cohere cursor databricks deepseek
doubleword elevenlabs fireworks github-copilot google groq huggingface_cerebras
huggingface_fireworks-ai huggingface_groq huggingface_hyperbolic huggingface_nebius
huggingface_novita huggingface_nscale huggingface_ovhcloud huggingface_publicai
huggingface_sambanova huggingface_together meta minimax mistral modal moonshotai novita openai
openai-decisions openrouter ovhcloud perplexity quicksilverpro together typesafe voyageai x-ai zai
zhipuai
"""
KNOWN = frozenset(_LISTED_WORDS.split())
"""The providers of the price list (genai-prices 0.2.3), for what must not change with the list."""

# URLs that genai-prices' patterns do not tell, or of which they do not tell the region:
# developers.openai.com/api/docs/guides/data-residency, docs.x.ai/developers/advanced-api-usage,
# the base URLs in the clients of anthropic and openai, docs.together.ai; all read 2026-11.
_URLS = [
    (re.compile(rf"https?://{pattern}(?:[:/]|$)"), provider)
    for pattern, provider in (
        (r"(?P<region>[a-z]{2})\.api\.openai\.com", "openai"),
        (r"(?P<region>[a-z0-9-]+)\.api\.x\.ai", "x-ai"),
        (r"bedrock-(?:runtime|mantle)(?:-fips)?\.(?P<region>[a-z0-9-]+)"
         r"\.(?:amazonaws\.com(?:\.cn)?|api\.aws)", "aws"),
        (r"(?P<region>[a-z0-9-]+?)-aiplatform\.(?:mtls\.)?googleapis\.com", "google"),
        (r"aiplatform\.(?P<region>[a-z]+)\.rep\.googleapis\.com", "google"),
        (r"(?:[^/:]+\.)?azure\.(?P<region>us|cn)", "azure"),
        (r"api\.together\.ai", "together"),
        (r"router\.huggingface\.co/v1", "huggingface"),
    )
]  # fmt: skip

# How a call is made; it changes no price.
_DIALECT = re.compile(r"^(?:responses|converse|converse_like|invoke|models|[a-z0-9]+/models)/")
_AWS_REGION = re.compile(r"([a-z]{2}(?:-gov)?-[a-z]+-\d)/")
_AWS_ARN = re.compile(
    r"arn:aws[a-z-]*:bedrock:([a-z0-9-]*):\d*:(?:(?:inference-profile|foundation-model)/(.+)|.*)"
)
# An id as Amazon Bedrock writes it, [geography.]vendor.model; the price list writes `regional`.
AWS_ID = re.compile(
    r"(?:(us-gov|regional|global|[a-z]{2,6})\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google"
    r"|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen|stability|twelvelabs"
    r"|writer|xai|zai)\.[a-z]"
)
_AZURE_ZONE = re.compile(r"(global(?=/)|global-standard|us|eu|apac)/")
_VERTEX_PATH = re.compile(
    r"projects/[^/]+/(?:locations/(?P<region>[^/]+)/)?(?:publishers/[^/]+/)?models/(?P<model>.+)"
)


def provider_called(word: str, listed: Collection[str]) -> str | None:
    """The provider that a *word* is for, in the words of the list; None if it names no host.

    *listed*: the providers of the price list.
    """
    if word in listed:
        return word
    if word.startswith("vertex_ai-"):
        return "google"
    return _WORDS.get(word) or (word if word in _UNLISTED else None)


def plain_url(url: str) -> str | None:
    """A base *url* without user, port, query and the dot at the end of its host; None without host.

    The dots of its path are escaped, so that no pattern finds a host there.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    name = (parts.hostname or "").rstrip(".")
    return f"{parts.scheme}://{name}{parts.path.replace('.', '%2e')}" if name else None


def names_host(pattern: str, url: str) -> bool:
    """Whether a *pattern* of the price list matches the host of a `plain_url`, not a part of it.

    It may end before the last part of the host: ``api.moonshot.`` is ``api.moonshot.cn``.
    """
    found = re.match(pattern, url)
    if found is None:
        return False
    rest = url[found.end() :].partition("/")[0]
    return not rest or found[0].endswith("/") or (found[0].endswith(".") and "." not in rest)


def host_in_url(url: str) -> Host | None:
    """The host of a `plain_url`, where its text alone tells it."""
    for pattern, provider in _URLS:
        if found := pattern.match(url):
            return Host(provider, found.groupdict().get("region"), own_names=True)
    return None


def taken_apart(name: str, listed: Collection[str]) -> Named:
    """The host that a model's *name* (in lower case) states, and the model's name there."""
    if arn := _AWS_ARN.search(name):
        return Named(Host("aws", arn[1] or None), arn[2] or name)
    if path := _VERTEX_PATH.fullmatch(name):
        return Named(_at_google(path["region"]), path["model"])
    word, colon, rest = name.partition(":")  # as LangChain and Pydantic AI write it
    if colon and (provider := provider_called(word, listed)) is not None:
        return at_provider(provider, rest)
    head, slash, rest = name.partition("/")
    if not slash:
        return Named(Host("aws") if AWS_ID.match(name) else None, name)
    if head == "models":
        return Named(Host("google"), rest)
    if head == "huggingface":
        return _at_hugging_face(rest, listed)
    provider = provider_called(head, listed)
    return Named(None, name) if provider is None else at_provider(provider, rest)


def at_provider(provider: str, name: str) -> Named:
    """*name* as the provider's own, without the words for how and where the call is made."""
    if path := _VERTEX_PATH.fullmatch(name):
        return Named(_at_google(path["region"]), path["model"])
    if arn := _AWS_ARN.search(name):
        return Named(Host("aws", arn[1] or None), arn[2] or name)
    rest = _DIALECT.sub("", name)
    place = None
    if provider == "aws":
        place = _AWS_REGION.match(rest)
    elif provider == "azure":
        place = _AZURE_ZONE.match(rest)
    if place is None:
        return Named(Host(provider), rest)
    region = None if place[1].startswith("global") else place[1]
    return Named(Host(provider, region), rest[place.end() :])


def _at_google(location: str | None) -> Host:
    return Host("google", None if location in (None, "global") else location)


def _at_hugging_face(rest: str, listed: Collection[str]) -> Named:
    """``huggingface/together/deepseek-ai/…`` is routed to Together, at the router's price."""
    head, _, model = rest.partition("/")
    routed = f"huggingface_{head}"
    return Named(Host(routed), model) if routed in listed else Named(Host("huggingface"), rest)
