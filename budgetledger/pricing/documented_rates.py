"""Rates of providers' own tools that the shipped list lacks, from the providers' pages.

Each is used only where the list has no rate for the model, and the row's source names the page.
A search of a chat model (``-search-preview``) and one by ``web_search_preview`` are the same to
OpenAI. Free allowances a day or month are not counted, as in the list.
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
        (r"gpt-4", "25", _OPENAI),  # models that do not reason; what was found is free
        (r"gpt-[5-9]|o\d", "10", _OPENAI),
    ],
    ("openai", "web_searches_kcount"): [(r"gpt-5-search-api", "10", _OPENAI)],
    ("openai", "code_containers"): [(r"", "0.03", _OPENAI)],  # by the gigabyte, for 20 minutes
    ("google", "map_searches_kcount"): [
        (r"gemini-2", "25", _GOOGLE),  # for the prompt
        (r"gemini-[3-9]", "14", _GOOGLE),  # for the search
    ],
    ("x-ai", "web_searches_kcount"): [(r"grok-[3-9]", "5", _XAI)],
    ("x-ai", "storage_searches_kcount"): [(r"grok-[3-9]", "2.5", _XAI)],
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
