"""Where requests go: the providers, and the variables by which programs find them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from budgetledger.apis.paths import Vendor


class Provider(NamedTuple):
    """``name``: its segment of the wallet's paths. ``url``: its own base.

    ``version``: the versions that a path may begin with. ``has_version``: whether a base ends in
    one, as those of OpenAI's clients do. ``variables``: those that name its base, and what follows
    the segment there. ``keys``: the variables of its keys.
    """

    name: str
    vendor: Vendor
    url: str
    version: re.Pattern[str]
    has_version: bool
    variables: Mapping[str, str]
    keys: tuple[str, ...]


PROVIDERS = (
    Provider(
        "openai", "openai", "https://api.openai.com/v1", re.compile(r"/v1(?=/|$)"), True,
        {"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": "/v1", "API_BASE_URL": "/v1"},
        ("OPENAI_API_KEY", "CODEX_API_KEY"),
    ),
    Provider(
        "anthropic", "anthropic", "https://api.anthropic.com", re.compile(r"/v1(?=/|$)"), False,
        {"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_BASE": ""},
        ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    ),
    Provider(
        "gemini", "google", "https://generativelanguage.googleapis.com",
        re.compile(r"/v1(?:alpha|beta\d?)?(?=/|$)"), False,
        {"GOOGLE_GEMINI_BASE_URL": "", "GEMINI_API_BASE": "/v1beta"},
        ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
    ),
)  # fmt: skip

_ONLY_IF_UNSET = {"API_BASE_URL"}  # also a usual name for the base of a program's own API
_RESOURCES = {  # what follows the version, for clients that leave it out
    "anthropic": ("/v1", ("/messages", "/models", "/complete")),
    "gemini": ("/v1beta", ("/models", "/cachedContents", "/files")),
}


class Upstream(NamedTuple):
    """Where requests of one segment go: ``base`` is the provider's own or an earlier value."""

    provider: Provider
    base: str

    @property
    def host(self) -> str:
        """The host of the base, in lower case."""
        return (urlsplit(self.base).hostname or "").rstrip(".")

    def url(self, path: str) -> str:
        """The URL for *path*, which follows the segment; a version in it may occur twice."""
        provider, version = self.provider, ""
        while found := provider.version.match(path):
            version, path = found[0], path[found.end() :]
        if provider.has_version:
            return self.base.rstrip("/") + path
        root = provider.version.sub("", self.base.rstrip("/"))
        default, resources = _RESOURCES[provider.name]
        if not version and path.startswith(resources):
            version = default
        return f"{root}{version}{path or ('' if version else '/')}"


def upstreams(environment: Mapping[str, str]) -> dict[str, Upstream]:
    """The upstreams by segment, as the variables of *environment* name them.

    Two variables of one provider that name two places get two segments.
    """
    found: dict[str, Upstream] = {}
    for provider in PROVIDERS:
        bases = dict.fromkeys(_bases(provider, environment).values()) or {provider.url: None}
        for number, base in enumerate(bases):
            segment = provider.name if not number else f"{provider.name}.{number + 1}"
            found[segment] = Upstream(provider, base)
    return found


def variables(environment: Mapping[str, str], root: str) -> dict[str, str]:
    """The variables that name the wallet at *root*, such as ``http://127.0.0.1:8787/secret``."""
    named: dict[str, str] = {}
    for provider in PROVIDERS:
        earlier = _bases(provider, environment)
        segments = list(dict.fromkeys(earlier.values()))
        for variable, rest in provider.variables.items():
            if variable in _ONLY_IF_UNSET and environment.get(variable):
                continue
            number = segments.index(earlier[variable]) if variable in earlier else 0
            segment = provider.name if not number else f"{provider.name}.{number + 1}"
            named[variable] = f"{root}/{segment}{rest}"
    return named


def _bases(provider: Provider, environment: Mapping[str, str]) -> dict[str, str]:
    """The places that the provider's variables name, each without the rest of its value."""
    bases = {}
    for variable, rest in provider.variables.items():
        value = environment.get(variable, "").strip().rstrip("/")
        if value and variable not in _ONLY_IF_UNSET:
            bases[variable] = value if provider.has_version else value.removesuffix(rest)
    return bases
