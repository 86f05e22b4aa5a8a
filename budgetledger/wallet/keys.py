"""Stand-in keys: what a program gets instead of the providers' keys in its environment.

A guard against programs that ignore the variables of the wallet, and so would spend unseen; none
against programs that look for keys elsewhere.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from budgetledger.wallet.upstreams import Upstream

HOSTS: dict[str, tuple[str, ...]] = {
    "OPENAI_API_KEY": ("api.openai.com",),
    "CODEX_API_KEY": ("api.openai.com",),
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "ANTHROPIC_AUTH_TOKEN": ("api.anthropic.com",),
    "CLAUDE_CODE_OAUTH_TOKEN": ("api.anthropic.com",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com",),
    "GOOGLE_GENERATIVE_AI_API_KEY": ("generativelanguage.googleapis.com",),
    "AI_GATEWAY_API_KEY": ("ai-gateway.vercel.sh",),
    "AIHUBMIX_API_KEY": ("aihubmix.com",),
    "ARCEE_API_KEY": ("api.arcee.ai",),
    "AWS_BEARER_TOKEN_BEDROCK": (),
    "AZURE_API_KEY": (),
    "AZURE_OPENAI_API_KEY": (),
    "CEREBRAS_API_KEY": ("api.cerebras.ai",),
    "COHERE_API_KEY": ("api.cohere.com", "api.cohere.ai"),
    "CO_API_KEY": ("api.cohere.com", "api.cohere.ai"),
    "DASHSCOPE_API_KEY": ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
    "DEEPINFRA_API_KEY": ("api.deepinfra.com",),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "FIREWORKS_AI_API_KEY": ("api.fireworks.ai",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "GROQ_API_KEY": ("api.groq.com",),
    "MINIMAX_API_KEY": ("api.minimax.io", "api.minimaxi.com"),
    "MISTRAL_API_KEY": ("api.mistral.ai", "codestral.mistral.ai"),
    "MOONSHOT_API_KEY": ("api.moonshot.ai", "api.moonshot.cn"),
    "NEBIUS_API_KEY": ("api.studio.nebius.com", "api.tokenfactory.nebius.com"),
    "NOVITA_API_KEY": ("api.novita.ai",),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
    "NVIDIA_NIM_API_KEY": ("integrate.api.nvidia.com",),
    "OLLAMA_API_KEY": ("ollama.com",),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "PERPLEXITYAI_API_KEY": ("api.perplexity.ai",),
    "PERPLEXITY_API_KEY": ("api.perplexity.ai",),
    "PPLX_API_KEY": ("api.perplexity.ai",),
    "REPLICATE_API_TOKEN": ("api.replicate.com",),
    "SAMBANOVA_API_KEY": ("api.sambanova.ai",),
    "TOGETHERAI_API_KEY": ("api.together.xyz", "api.together.ai"),
    "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
    "VOYAGE_API_KEY": ("api.voyageai.com",),
    "XAI_API_KEY": ("api.x.ai",),
    "ZAI_API_KEY": ("api.z.ai",),
    "ZHIPUAI_API_KEY": ("open.bigmodel.cn",),
}
"""The variables with keys of providers, and the hosts that a key is for; none if it varies."""

_HEADERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"})
_FORM = re.compile(  # beginnings that are the same for every key of a provider
    r"sk-(?:proj-|svcacct-|admin-|ant-[a-z]+\d\d-|or-v\d-|lf-|)|AIza|AQ\.|gsk_|xai-|pplx-|nvapi-"
    r"|r8_|csk-|fw_|tgp_v1_|hf_"
)
_LETTERS = string.ascii_letters + string.digits


class StandIn(NamedTuple):
    """``fake`` is in the program's environment as *variable* instead of ``real``."""

    variable: str
    fake: str
    real: str

    def is_for(self, upstream: Upstream) -> bool:
        """Whether the real key goes to *upstream*: its own host, or the base set beside it."""
        is_own = self.variable in upstream.provider.keys
        return is_own or upstream.host in HOSTS[self.variable]


def stand_ins(environment: Mapping[str, str]) -> list[StandIn]:
    """A stand-in for each key in *environment*; the same one for the same key."""
    keys = {name: value for name in HOSTS if (value := environment.get(name, "").strip())}
    fakes = {real: _fake(real) for real in dict.fromkeys(keys.values())}
    return [StandIn(name, fakes[real], real) for name, real in keys.items()]


def unmetered(keys: Iterable[StandIn], upstreams: Mapping[str, Upstream]) -> list[str]:
    """The variables whose keys no upstream gets: programs that use them fail."""
    every = upstreams.values()
    return [key.variable for key in keys if not any(key.is_for(one) for one in every)]


def _fake(real: str) -> str:
    """A key of the same form and length, since some programs check them."""
    form = _FORM.match(real)
    start = form[0] if form is not None and len(form[0]) * 2 <= len(real) else ""
    length = max(len(real) - len(start), 20)
    return start + "".join(secrets.choice(_LETTERS) for _ in range(length))


class Keys:
    """Puts the real keys back into a request."""

    def __init__(self, keys: Iterable[StandIn]) -> None:
        self._keys = list(keys)

    def put_back(
        self, upstream: Upstream, headers: list[tuple[bytes, bytes]], query: bytes
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """*headers* and *query* with the keys that are for *upstream*."""
        for key in self._keys:
            if key.is_for(upstream):
                fake, real = key.fake.encode(), key.real.encode()
                headers = [
                    (name, value.replace(fake, real) if name in _HEADERS else value)
                    for name, value in headers
                ]
                if fake in query:
                    query = query.replace(fake, quote(key.real, safe="").encode())
        return headers, query
