"""Model names as people write them, taken apart: pure text, no list of models.

``azure/eu/gpt-4o``, ``bedrock/converse/us.anthropic.claude-…-v1:0``, ``models/gemini-2.5-pro``,
``ft:gpt-4o-mini-2024-07-18:org::id``: who serves it, under which name, and where it ran if the
name tells. A name that is understood in more than one way is spelled in each, likeliest first;
who looks them up takes the first there is. Nothing is guessed: what the rules do not know stays
as it was written, and is then not found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

# What comes before the slash, where it is not the price list's own word for who serves it.
# LiteLLM's words, mostly; each is a host of its own, so that another host's price is never taken.
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
# How a call is made, not to whom; it changes no price.
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
# A run of digits is one number (++): to try every way to split it takes for ever.
_VERSION = re.compile(
    r"(?:[-.:@]?(?:v?\d++|latest|preview|exp|default|instruct|customtools|native-audio"
    r"|extended-thinking))*"
)


class Spelling(NamedTuple):
    """``host``: who serves it, in the price list's words; None if the name does not tell.

    ``model``: its name there, in lower case. ``region``: where it ran, if not at the host's
    ordinary price; None if that is not told.
    """

    host: str | None
    model: str
    region: str | None = None


def spellings(name: str, hosts: Collection[str]) -> Iterator[Spelling]:
    """Each way to understand ``name``, likeliest first; *hosts* are those the list knows."""
    name = name.strip().lower()
    for host, model, region in _spellings(name, hosts):
        if tuned := _FINE_TUNED.fullmatch(model):
            model = tuned[1] or tuned[2]
        yield Spelling(host, model, region)
        if dated := _DATE.search(model):  # a snapshot as it is dated elsewhere, or not listed
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
        yield Spelling("openai", name)  # text-embedding-…, chatgpt-…: nobody else writes these
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
    """Whether what a name has beyond the listed one leaves it the same model."""
    return _VERSION.fullmatch(rest) is not None
