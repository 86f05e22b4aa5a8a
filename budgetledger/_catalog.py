"""What tokens cost: the only home of genai-prices.

Prices come from the data inside the installed genai-prices package, never from the network
and never from a snapshot the host application may have installed there: ``source`` on a row
must mean the same thing for ever. The package is imported at the first price (300 ms).

Models and rates are found by genai-prices and kept; the sum is done here, because a price
must be explained by its own row: ``cost`` is the sum of each count times the unit price
given for it. A test compares it with genai-prices' own figure for every model it knows.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from budgetledger.errors import UnpricedModel
from budgetledger.usage import Usage, checked

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

# Where a count goes when the model has no rate of its own for it; leaves come first.
_FALLS_TO = {
    "cache_write_1h_mtok": "cache_write_mtok",
    "cache_write_mtok": "input_mtok",
    "cache_read_mtok": "input_mtok",
    "output_reasoning_mtok": "output_mtok",
}
# Sound costs many times what text does: without a rate of its own it has no price.
_AUDIO = {"input_audio_mtok", "output_audio_mtok"}
_PER_REQUEST = "requests_kcount"  # USD per 1,000 calls, beside the tokens
KEYS = {*_FALLS_TO, *_FALLS_TO.values(), *_AUDIO, _PER_REQUEST}
# How a token of text may be billed that is still to be sent, and one still to be answered. From
# GPT-5.6 on, OpenAI writes nearly every prompt of 1,024 tokens to its cache unasked, at 1.25 times
# the input (developers.openai.com/api/docs/guides/prompt-caching, 2026-07). Not cache_write_1h:
# twice the input, and only for who asks.
_IN = ("input_mtok", "cache_write_mtok", "cache_read_mtok")
_OUT = ("output_mtok", "output_reasoning_mtok", "output_audio_mtok")

# An id as Amazon Bedrock writes it: [region.]vendor.model
_BEDROCK_ID = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.[a-z]")
_LONGEST_NAME = 256

# The caller's decimal context may round, or trap rounding; ours is wide enough to be exact.
EXACT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow])


class Price(NamedTuple):
    """What a call costs and why.

    ``cost``: USD, exact. ``source``: the price list and its version. ``unit_prices``:
    provider and model priced, and each rate that took part, in USD per million tokens
    (``…_mtok``) or per thousand calls (``requests_kcount``).
    """

    cost: Decimal
    source: str
    unit_prices: dict[str, str]


class Rate(NamedTuple):
    """A rate by size of the whole input: (tokens to exceed, USD, the same as text)."""

    steps: tuple[tuple[int, Decimal, str], ...]  # the highest step first; the last exceeds -1

    def at(self, input_tokens: int) -> tuple[Decimal, str]:
        return next((rate, text) for above, rate, text in self.steps if input_tokens > above)


class _Model:
    """A model found in the list, with the rates of each of its dated prices."""

    def __init__(self, provider_id: str, info: ModelInfo) -> None:
        self.names = {"provider": provider_id, "model": info.id}
        self._info = info
        self._rates: dict[int, dict[str, Rate]] = {}

    def rates(self, at: datetime) -> dict[str, Rate]:
        if not self._info.prices:
            return {}
        dated = self._info.get_prices(at)  # by day, and for some models by hour of the day
        # Keyed by identity: the list lives as long as the process, and is not hashable.
        found = self._rates.get(id(dated))
        if found is None:
            found = self._rates[id(dated)] = _rates(dated)
        return found


def price(model: str, usage: Usage, at: datetime) -> Price:
    """Price ``usage`` of ``model`` as the list stood at the moment ``at`` (with a time zone).

    The name may carry a provider (``azure/gpt-4o``); case and outer blanks do not matter.

    *Raises* ``UnpricedModel`` when the model is not in the list, or the list has no rate for
    some of these tokens: an unknown price is never 0. ``UnreadableResponse`` when the counts
    of ``usage`` contradict each other. Retrying does not help.
    """
    unit_prices, rates = _look_up(model, at)
    if not rates:
        raise UnpricedModel(model)
    return total(model, usage, rates, unit_prices, _source())


def total(
    model: str, usage: Usage, rates: dict[str, Rate], names: dict[str, str], source: str
) -> Price:
    """Price ``usage`` at ``rates`` of any source; ``names`` are told with the unit prices.

    *Raises* as ``price``, where there is no rate for some of these tokens.
    """
    checked(usage)
    unit_prices = dict(names)
    with localcontext(EXACT):
        micro = Decimal(0)
        for key, count in _counts(usage, rates).items():
            if not count:
                continue
            if key not in rates or count < 0:  # below 0: sound that was cached, at neither rate
                raise UnpricedModel(model, f"model {model!r} has no {key} price in {source}")
            rate, unit_prices[key] = rates[key].at(usage.input_tokens)
            micro += rate * count
        return Price(micro.scaleb(-6), source, unit_prices)


def dearest(model: str, input_tokens: int, at: datetime) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the dearest that text to and from ``model`` may cost.

    One rate of an input of this size, one of its output if the model has any, and the price of
    the call itself if it has one; form and lookup are those of ``price``.

    *Raises* ``UnpricedModel`` when the model is not in the list, or has no rate for input.
    """
    unit_prices, rates = _look_up(model, at)
    if "input_mtok" not in rates:
        raise UnpricedModel(
            model,
            f"no price is known for model {model!r}; set one with set_price({model!r}, ...) or "
            "`budgetledger prices set`, hold an amount in US dollars, or check the model's name",
        )
    return _source(), dearest_of(rates, input_tokens, unit_prices)


def dearest_of(rates: dict[str, Rate], input_tokens: int, names: dict[str, str]) -> dict[str, str]:
    """The unit prices that ``dearest`` takes from ``rates`` of any source, after ``names``."""
    unit_prices = dict(names)
    for keys in (_IN, _OUT, (_PER_REQUEST,)):
        steps = [(*rates[key].at(input_tokens), key) for key in keys if key in rates]
        if steps:  # of equals the first named, which is the plain one
            _, text, key = max(steps, key=lambda step: step[0])
            unit_prices[key] = text
    return unit_prices


def _look_up(model: str, at: datetime) -> tuple[dict[str, str], dict[str, Rate]]:
    """Names for ``unit_prices``, and the rates at that moment; no rates if none are known."""
    if at.tzinfo is None:
        raise ValueError("at has no time zone; pass an aware datetime, e.g. in UTC")
    found = _find(model.strip().lower()) if len(model) <= _LONGEST_NAME else None
    return (dict(found.names), found.rates(at)) if found else ({}, {})


def _counts(usage: Usage, rates: dict[str, Rate]) -> dict[str, int]:
    """Share the tokens out among the rates there are, each token once."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    counts = {
        "input_mtok": usage.input_tokens - cached - usage.input_audio_tokens,
        "output_mtok": usage.output_tokens - usage.reasoning_tokens - usage.output_audio_tokens,
        "input_audio_mtok": usage.input_audio_tokens,
        "output_audio_mtok": usage.output_audio_tokens,
        "cache_read_mtok": usage.cache_read_tokens,
        "cache_write_mtok": usage.cache_write_tokens,
        "cache_write_1h_mtok": usage.cache_write_1h_tokens,
        "output_reasoning_mtok": usage.reasoning_tokens,
    }
    for key, parent in _FALLS_TO.items():
        if key not in rates:
            counts[parent] += counts.pop(key)
    if _PER_REQUEST in rates:
        counts[_PER_REQUEST] = 1000  # millionths of a thousand calls: one call
    return counts


def _rates(dated: ModelPrice) -> dict[str, Rate]:
    found = {}
    for key, value in vars(dated).items():
        if key not in KEYS or value is None:
            continue
        base = value if isinstance(value, Decimal) else value.base
        tiers = [] if isinstance(value, Decimal) else value.tiers
        steps = [(-1, base), *((tier.start, tier.price) for tier in tiers)]
        found[key] = Rate(tuple((above, usd, f"{usd:f}") for above, usd in reversed(steps)))
    return found


@lru_cache(maxsize=4096)  # unknown names are kept too: looking through the list is the slow part
def _find(name: str) -> _Model | None:
    routes = ["litellm"]  # genai-prices' word for: the part before the slash is the provider
    if "/" not in name:
        routes.append("openai")  # by itself it finds gpt-… but not text-embedding-… or chatgpt-…
        if _BEDROCK_ID.match(name):
            routes.append("aws")
    for route in routes:
        try:
            provider, info = _list().find_provider_model(name, None, route, None)
        except LookupError:
            continue
        return _Model(provider.id, info)
    return None


@cache
def _list() -> DataSnapshot:
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


@cache
def _source() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
