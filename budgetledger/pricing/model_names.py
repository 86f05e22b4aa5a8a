"""Model names as people write them, spelled for the price list: pure text, no list of models.

A name that can be read in several ways gives a spelling for each, likeliest first; the lookup
takes the first that is listed. Nothing is guessed: a name that no rule matches stays as it is,
and the lookup does not find it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from budgetledger.pricing.hosts import AWS_ID, Host, taken_apart

_FINE_TUNED = re.compile(r"(ft:[^:]+):.*|(.+\.ft-).+")
_DATE = re.compile(r"[-@](20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_REVISION = re.compile(r"-0\d\d$")  # Gemini's: gemini-2.0-flash-001
# Claude's window of a million tokens, whose price the list has by the size of the prompt
# (docs.claude.com/en/docs/claude-code/model-config, 2026-11) …
_WINDOW = re.compile(r"\[1m\]$")
# … and which of its hosts OpenRouter prefers: no price of its own
# (openrouter.ai/docs/guides/routing/model-variants, 2026-11). Not `:online`, which searches.
_ROUTED = re.compile(r":(?:nitro|floor|exacto)$")
# What may follow a name without making it another model: numbers, dates, and words like these.
# A run of digits is one number (++): backtracking through all its splits would take for ever.
_VERSION = re.compile(
    r"(?:[-.:@]?(?:v?\d++|latest|preview|exp|default|instruct|customtools|native-audio"
    r"|extended-thinking))*"
)
SEARCHES = ":online"
"""In a name at OpenRouter: with a web search, which costs extra and may not be counted."""

# Vendors that genai-prices does not tell by the name; OpenAI for all others (text-embedding-…).
_VENDORS = (("sonar", "perplexity"), ("pplx-", "perplexity"), ("embed-", "cohere"))
_VARIANT = re.compile(r"(?::[a-z]+|\[1m\])+")


class Spelling(NamedTuple):
    """``provider``: in the price list's words; None if it is the vendor of the model.

    ``model``: its name there, in lower case. ``region``: where it ran, if the host's price may
    differ there; None if that is not stated.
    """

    provider: str | None
    model: str
    region: str | None = None


def spellings(
    answered: str, asked: str | None, host: Host | None, listed: Collection[str]
) -> Iterator[Spelling]:
    """Each way to read the name of the model that *answered* at a *host*, likeliest first.

    *asked*: the name of the model that was asked for, which states the host if *host* is None,
    and may say more than the answer: a region, a variant. *listed*: the providers of the list.
    """
    answered = answered.strip().lower()
    asked = asked.strip().lower() if asked else answered
    at, names = _at_host(answered, asked, host, listed)
    for name in names:
        for provider, model, region in _spelled(at, name):
            yield Spelling(provider, model, region)
            if dated := _DATE.search(model):  # the list may date a snapshot otherwise, or not
                date = "-".join(dated.groups())
                yield Spelling(provider, f"{model[: dated.start()]}-{date}", region)
                yield Spelling(provider, model[: dated.start()], region)
            elif _REVISION.search(model):
                yield Spelling(provider, model[:-4], region)


def says_more(asked: str, answered: str) -> bool:
    """Whether *asked* names the model *answered*, and perhaps its region, version or variant.

    Both without their hosts. ``us.anthropic.claude-sonnet-5-v1:0`` does for
    ``claude-sonnet-5``, ``x-ai/grok-5:free`` for ``grok-5``; ``gpt-4o`` for no snapshot of it.
    """
    ours, theirs = model_alone(asked), model_alone(answered)
    if not ours.startswith(theirs) or asked == answered:
        return asked == answered
    rest = ours[len(theirs) :]
    return is_version(rest) or _VARIANT.fullmatch(rest) is not None


def model_alone(name: str) -> str:
    """A model's *name* at a host without its vendor: ``anthropic/``, ``us.anthropic.``."""
    name = name.rpartition("/")[2]
    vendor = AWS_ID.match(name)
    return name[vendor.end() - 1 :] if vendor else name


def is_version(rest: str) -> bool:
    """Whether a name with *rest* beyond the listed name is still the same model."""
    return _VERSION.fullmatch(rest) is not None


def _at_host(
    answered: str, asked: str, host: Host | None, listed: Collection[str]
) -> tuple[Host | None, list[str]]:
    """The host, with the region, and the names there to look for."""
    stated = taken_apart(asked, listed).host
    if host is None:
        host = stated or taken_apart(answered, listed).host
    elif stated is not None and stated.provider == host.provider:
        host = host._replace(region=stated.region or host.region)
    if host is None:
        return None, [answered]
    ours, theirs = _names_at(host, asked, listed), _names_at(host, answered, listed)
    if says_more(ours[0], theirs[0]):
        return host, [*ours, *theirs]
    frame = AWS_ID.match(ours[0])
    if frame is not None and not AWS_ID.match(theirs[0]):  # a bare name, of the same vendor there
        theirs = [f"{frame[0][:-1]}{theirs[0]}"]
    return host, theirs


def _names_at(host: Host, name: str, listed: Collection[str]) -> list[str]:
    """What *name* may be called at *host*, likeliest first."""
    stated, rest = taken_apart(name, listed)
    if stated is None or rest == name:
        return [name]
    is_own_prefix = stated.provider == host.provider and not host.own_names
    return [rest, name] if is_own_prefix else [name, rest]


def _spelled(host: Host | None, name: str) -> Iterator[Spelling]:
    """*name* as the list may spell it at *host*; without a host, at the vendor of the model."""
    name = _WINDOW.sub("", name)
    if tuned := _FINE_TUNED.fullmatch(name):
        name = tuned[1] or tuned[2]
    if host is None:
        yield Spelling(None, name)
        if "/" not in name:
            yield Spelling(_vendor(name), name)
        return
    provider, region, _ = host
    if provider == "aws":
        geography = (AWS_ID.match(name) or [None, None])[1]
        if geography == "regional":  # the list's own word for all geographies of one price
            name, geography = name.replace("regional", "us", 1), "us"
        yield Spelling(provider, name, geography or region)
        return
    yield Spelling(provider, name, region)
    if provider == "fireworks":
        yield Spelling(provider, f"accounts/fireworks/models/{name}", region)
        yield Spelling(provider, f"accounts/fireworks/routers/{name}", region)
    elif provider == "openrouter" and (routed := _ROUTED.sub("", name)) != name:
        yield Spelling(provider, routed, region)
    elif provider == "huggingface" and ":" in name:  # …/v1 names whom it routes to at the end
        model, _, word = name.rpartition(":")
        yield Spelling(f"huggingface_{word}", model, region)


def _vendor(name: str) -> str:
    """The vendor of a bare name that the price list does not tell by the name."""
    return next((vendor for start, vendor in _VENDORS if name.startswith(start)), "openai")
