"""Rates of providers' own tools that the shipped list lacks, from the providers' pages.

Each is used only where the list has no rate for the model, and the row's source names the page.
Beside each rate are the words of that page (dated or stored 2026-03 to 2026-11). Free allowances
a day or month are not counted, as in the list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple


class DocumentedRate(NamedTuple):
    """USD for the units that the rate's name says, and the page it is from."""

    usd: Decimal
    page: str


_OPENAI = "developers.openai.com/api/docs/pricing 2026-11"
_GOOGLE = "ai.google.dev/gemini-api/docs/pricing 2026-11"
_XAI = "docs.x.ai/developers/pricing 2026-11"

# By provider and name of the rate: models, USD, page. The first that matches counts.
_RATES = {
    ("openai", "preview_searches_kcount"): [
        # "Web search preview (non-reasoning models) $25.00 / 1k calls", content free; the chat
        # models -search-preview search with that tool
        (r"gpt-4", "25", _OPENAI),
        # "Web search preview (reasoning models, including gpt-5, o-series) $10.00 / 1k calls"
        (r"gpt-[5-9]|o\d", "10", _OPENAI),
    ],
    ("openai", "web_searches_kcount"): [
        (r"gpt-5-search-api", "10", _OPENAI),  # "Web search (all models) $10.00 / 1k calls"
    ],
    ("openai", "code_containers"): [
        # "Containers 1 GB $0.03, 4 GB $0.12, 16 GB $0.48, 64 GB $1.92 per 20-minute session";
        # sessions billed by the minute cost less, but no response says how long one was
        (r"", "0.03", _OPENAI),
    ],
    ("google", "map_searches_kcount"): [
        # "Grounding with Google Maps", 2.5 models: "$25 / 1,000 grounded prompts"
        (r"gemini-2", "25", _GOOGLE),
        # the same, Gemini 3: "5,000 prompts per month (free), then $14 / 1,000 search queries"
        (r"gemini-[3-9]", "14", _GOOGLE),
    ],
    ("x-ai", "web_searches_kcount"): [
        (r"grok-[3-9]", "5", _XAI),  # "Web Search", "X Search": "$5 / 1k calls"
    ],
    ("x-ai", "storage_searches_kcount"): [
        (r"grok-[3-9]", "2.5", _XAI),  # "Collections Search": "$2.50 / 1k calls"
    ],
}


def documented_rate(names: Mapping[str, str], rate: str) -> DocumentedRate | None:
    """The *rate* of the model with these *names* in the list; None if no page states one."""
    provider, model = names.get("provider"), names.get("model")
    return None if provider is None or model is None else _documented(provider, model, rate)


@lru_cache(maxsize=1024)
def _documented(provider: str, model: str, rate: str) -> DocumentedRate | None:
    for models, usd, page in _RATES.get((provider, rate), ()):
        if re.match(models, model):
            return DocumentedRate(Decimal(usd), page)
    return None
