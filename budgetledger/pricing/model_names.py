"""Model names as people write them, taken apart: pure text, no list of models.

``azure/eu/gpt-4o``, ``bedrock/converse/us.anthropic.claude-…-v1:0``, ``models/gemini-2.5-pro``,
``ft:gpt-4o-mini-2024-07-18:org::id``: the host, the model's name there, and the region if the name
has one. A name that can be read in several ways gives a spelling for each, likeliest first; the
lookup takes the first that is listed. Nothing is guessed: a name that no rule matches stays as it
is, and the lookup does not find it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

# Hosts before the slash that the price list calls otherwise; mostly LiteLLM's words. Each maps to
# its own host, so that another host's price is never taken.
_HOSTS = {
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "google_genai": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "publishers": "google",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
}
# How a call is made; it changes no price.
_DIALECT = re.compile(r"(?:responses|converse|converse_like|invoke|models|[a-z0-9]+/models)/")
_AWS_REGION = re.compile(r"([a-z]{2}(?:-gov)?-[a-z]+-\d)/")
_AWS_ARN = re.compile(
    r"arn:aws[a-z-]*:bedrock:([a-z0-9-]*):\d*:(?:inference-profile|foundation-model)/(.+)"
)
# An id as Amazon Bedrock writes it: [geography.]vendor.model
_AWS_ID = re.compile(r"(?:(us-gov|[a-z]{2,6})\.)?[a-z0-9]+\.[a-z]")
_AZURE_ZONE = re.compile(r"(global(?=/)|global-standard|us|eu|apac)/")
_FINE_TUNED = re.compile(r"(ft:[^:]+):.*|(.+\.ft-).+")
_DATE = re.compile(r"[-@](20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
# What may follow a name without making it another model: numbers, dates, and words like these.
# A run of digits is one number (++): backtracking through all its splits would take for ever.
_VERSION = re.compile(
    r"(?:[-.:@]?(?:v?\d++|latest|preview|exp|default|instruct|customtools|native-audio"
    r"|extended-thinking))*"
)


class Spelling(NamedTuple):
    """``host``: in the price list's words; None if the name does not have it.

    ``model``: its name there, in lower case. ``region``: where it ran, if the host's price may
    differ there; None if the name does not have it.
    """

    host: str | None
    model: str
    region: str | None = None


def spellings(name: str, hosts: Collection[str]) -> Iterator[Spelling]:
    """Each way to read ``name``, likeliest first; *hosts* are those of the price list."""
    name = name.strip().lower()
    for host, model, region in _spellings(name, hosts):
        if tuned := _FINE_TUNED.fullmatch(model):
            model = tuned[1] or tuned[2]
        yield Spelling(host, model, region)
        if dated := _DATE.search(model):  # the list may date a snapshot otherwise, or not at all
            yield Spelling(host, model[: dated.start()] + "-" + "-".join(dated.groups()), region)
            yield Spelling(host, model[: dated.start()], region)


def _spellings(name: str, hosts: Collection[str]) -> Iterator[Spelling]:
    head, slash, rest = name.partition("/")
    host = head if head in hosts else _HOSTS.get(head)
    if arn := _AWS_ARN.search(name):
        yield from _aws(arn[2], arn[1] or None)
    elif not slash:
        if _AWS_ID.match(name):
            yield from _aws(name, None)
        yield Spelling(None, name)
        yield Spelling("openai", name)  # text-embedding-…, chatgpt-…: only OpenAI's have these
    elif head == "models":
        yield Spelling("google", rest)
    elif host is None:
        yield Spelling(None, name)
    else:
        rest = _DIALECT.sub("", rest, count=1) if _DIALECT.match(rest) else rest
        if host == "aws":
            place = _AWS_REGION.match(rest)
            yield from _aws(rest[place.end() :] if place else rest, place and place[1])
        elif host == "azure":
            zone = _AZURE_ZONE.match(rest)
            where = zone[1] if zone and not zone[1].startswith("global") else None
            yield Spelling(host, rest[zone.end() :] if zone else rest, where)
        else:
            yield Spelling(host, rest)
            if host == "fireworks":
                yield Spelling(host, f"accounts/fireworks/models/{rest}")
                yield Spelling(host, f"accounts/fireworks/routers/{rest}")


def _aws(model: str, region: str | None) -> Iterator[Spelling]:
    geography = _AWS_ID.match(model)
    yield Spelling("aws", model, region or (geography and geography[1]))


def is_version(rest: str) -> bool:
    """Whether a name with *rest* beyond the listed name is still the same model."""
    return _VERSION.fullmatch(rest) is not None
