"""Which names are one model: the rule by which a model budget counts calls. Pure text.

Running totals are recounted by it, so it depends on no price list. Case is ignored. The prefix of
a host, and a vendor's name before the model's, count only where the budget states them:
``gpt-4o`` is ``openai/gpt-4o`` and ``azure/GPT-4O``, but ``azure/gpt-4o`` is Azure's alone. A name
without a host is its vendor's: ``openai/gpt-4o`` counts a bare ``gpt-4o``. A bare name is its dated
snapshots too, ``gpt-4o-2024-08-06``, and no other model: not ``gpt-4o-mini``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from budgetledger.pricing.hosts import KNOWN, taken_apart
from budgetledger.pricing.model_names import model_alone

# How OpenRouter and Claude Code have a model called.
_VARIANT = re.compile(r"(?::(?:free|nitro|floor|exacto|online|thinking|extended|beta)|\[1m\])+$")
_SNAPSHOT = re.compile(
    r"(?:[-@](?:20\d\d-?\d\d-?\d\d|\d{4}|\d{6}|latest|default"
    r"|(?:preview|exp)-\d\d-(?:\d\d|20\d\d)|\d{4}-preview))*(?:-v\d+(?::\d+)?)?"
)
_REVISION = re.compile(r"(gemini-.+)-0\d\d")  # Google numbers its snapshots
_POINT = re.compile(r"(?<=\d)\.(?=\d)")  # OpenRouter writes claude-sonnet-4.5


_VENDORS = (  # of names without a host: the patterns of their models
    (
        "openai",
        re.compile(r"gpt-(?!oss)|chatgpt-|o[134](?![a-z])|text-embedding-[3a]|dall-e|whisper-1"),
    ),
    ("anthropic", re.compile("claude-")),
    ("google", re.compile("gemini-")),
    (
        "mistral",
        re.compile(
            "(?:open-)?(?:mi[sx]tral|codestral|ministral|magistral|pixtral|devstral|voxtral)-"
        ),
    ),
    ("x-ai", re.compile("grok-")),
    ("deepseek", re.compile("deepseek-(?:chat|reasoner)")),
    ("cohere", re.compile("command|embed-|rerank-")),
    ("perplexity", re.compile("sonar")),
)


class Identity(NamedTuple):
    """A model's name without what does not matter. ``host``: None if it states none."""

    host: str | None
    model: str


@lru_cache(maxsize=4096)
def identity(name: str) -> Identity:
    """The host that *name* states, and the model in lower case, without its vendor."""
    host, model = taken_apart(name.strip().lower(), KNOWN)
    model = _POINT.sub("-", model_alone(model)).replace("gpt-35-", "gpt-3-5-")
    return Identity(None if host is None else host.provider, model)


def _vendor(model: str) -> str | None:
    """The provider whose own model it is, as far as the name tells."""
    return next((vendor for vendor, pattern in _VENDORS if pattern.match(model)), None)


@lru_cache(maxsize=16384)
def covers(budgeted: str, name: str) -> bool:
    """Whether a budget on *budgeted* counts calls of *name*, by the one asked for or answered."""
    if budgeted == name:
        return True
    ours, theirs = identity(budgeted), identity(name)
    if ours.host not in (None, theirs.host or _vendor(theirs.model)):
        return False
    if ours.model == theirs.model:
        return True
    model = _VARIANT.sub("", theirs.model)
    if revised := _REVISION.fullmatch(model):
        model = revised[1]
    return model.startswith(ours.model) and _SNAPSHOT.fullmatch(model, len(ours.model)) is not None
