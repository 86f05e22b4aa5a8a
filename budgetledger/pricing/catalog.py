"""What calls cost: the only home of genai-prices.

Prices come from the data inside the installed genai-prices package, never from the network
and never from a snapshot the host application may have installed there: ``source`` on a row
must mean the same thing for ever. The package is imported at the first price (300 ms).

Models and rates are found by genai-prices and kept; the sum is done here, because a price
must be explained by its own row: ``cost`` is the sum of each count times the unit price
given for it. A test compares it with genai-prices' own figure for every model it knows, and
another with LiteLLM's, for every model both know.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from budgetledger.errors import UnpricedModel
from budgetledger.pricing.model_names import is_version, spellings
from budgetledger.usage import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider, TieredPrices

_LONGEST_NAME = 256
# The caller's decimal context may round, or trap rounding; ours is wide enough to be exact.
EXACT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow])
_ZERO = Decimal(0)

# What a call is billed for, by the list's names of the rates. Each unit of a usage is counted
# under one of these; where a model has no rate of that name, see `bills`.
PARTS = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok",
    "output_mtok", "output_reasoning_mtok", "requests_kcount",
    # what most calls have none of
    "input_image_mtok", "input_video_mtok", "input_audio_mtok",
    "cache_image_read_mtok", "cache_audio_read_mtok", "output_image_mtok", "output_audio_mtok",
    "output_images", "web_searches_kcount", "storage_searches_kcount", "input_audio_hours",
    "input_mchars",
)  # fmt: skip
_MORE = Usage._fields.index("reasoning_tokens") + 1  # where that begins in a usage
_ZEROS = {"mtok": 6, "mchars": 6, "kcount": 3}  # of the number of units a rate is for
# How a token that is still to be sent may be billed, and one still to be answered. From GPT-5.6
# on, OpenAI writes nearly every prompt of 1,024 tokens to its cache unasked, at 1.25 times the
# input (developers.openai.com/api/docs/guides/prompt-caching, 2026-07). Not cache_write_1h: twice
# the input, and only for who asks. Images in a prompt are counted with its text.
_IN = ("input_mtok", "cache_write_mtok", "cache_read_mtok")
_OUT = ("output_mtok", "output_reasoning_mtok")
_IN_DEAREST = (*_IN, "input_image_mtok")
_OUT_DEAREST = (*_OUT, "output_audio_mtok", "output_image_mtok")

# A service tier that is the usual one, by the words of those who say so.
_USUAL = {"default", "standard", "on_demand"}
# Tiers at the usual price: console.groq.com/docs/flex-processing, read 2026-11.
_SAME_PRICE = {("groq", "flex")}
# What the list calls a condition that is a tier of service here.
_TIER_CONDITIONS = ("service_tier", "processing", "speed")

# Bedrock models the list prices once, and LiteLLM at the same there, outside the US.
_SAME_ABROAD = {
    "mistral.pixtral-large-2502-v1:0": "eu",
    "amazon.titan-embed-text-v1": "us-gov",
    "meta.llama3-8b-instruct-v1:0": "us-gov",
    "meta.llama3-70b-instruct-v1:0": "us-gov",
}
# Gemini models that ask more for sound than for text, though the list has only one rate.
_SOUND_APART = re.compile(r"tts|image|banana|2\.5-flash-preview")


class Price(NamedTuple):
    """What a call costs and why.

    ``cost``: USD, exact. ``source``: the price list and its version. ``unit_prices``:
    provider and model priced, the ``service_tier`` if not the usual one, and each rate that
    took part, in USD per million tokens (``…_mtok``) or characters (``…_mchars``), per thousand
    calls (``…_kcount``), or per hour (``…_hours``).
    """

    cost: Decimal
    source: str
    unit_prices: dict[str, str]


class Rate(NamedTuple):
    """A rate by size of the whole input: (tokens to exceed, USD for ``units``, as listed)."""

    steps: tuple[tuple[int, Decimal, str], ...]  # the highest step first; the last exceeds -1
    units: int

    def at(self, input_tokens: int) -> tuple[Decimal, str]:
        """Find USD for ``units``, and its text as listed, for an input of *input_tokens*."""
        for step in self.steps:
            if input_tokens > step[0]:
                break
        return step[1:]


class Rates(NamedTuple):
    """The rates of a model, and under which of them each of ``PARTS`` is billed."""

    by_name: dict[str, Rate]
    bills: tuple[str | None, ...]


_NONE = Rates({}, ())


class _Model:
    """A model found in the list, with the rates of each of its dated prices."""

    def __init__(self, provider_id: str, info: ModelInfo, own: bool = True) -> None:
        self.names = {"provider": provider_id, "model": info.id}
        self._info = info
        # A price borrowed from another provider is for the usual service: so says genai-prices.
        self._variants = (own and info.price_variants) or ()
        self._rates: dict[int | tuple[int, ...], Rates] = {}

    def rates(self, at: datetime) -> dict[str, Rate]:
        return self.priced(at, None).by_name

    def priced(self, at: datetime, tier: str | None) -> Rates:
        """Rates at that moment, in that tier; none if none are known."""
        if not self._info.prices:
            return _NONE
        dated = self._info.get_prices(at)  # by day, and for some models by hour of the day
        variants: list[ModelPrice] = []
        if tier is not None:
            variants = [
                variant.prices
                for variant in self._variants
                if any(variant.when == {key: tier} for key in _TIER_CONDITIONS)
                and (variant.constraint is None or variant.constraint.active(at))
            ]
            if not variants:
                return _NONE
        # Keyed by identity: the list lives as long as the process, and is not hashable.
        key = (id(dated), *map(id, variants)) if variants else id(dated)
        found = self._rates.get(key)
        if found is None:
            # What a variant does not name stays at the usual rate; the first to name it counts.
            by_name = {
                name: _rate(name, value)
                for prices in (dated, *reversed(variants))
                for name, value in vars(prices).items()
                if value is not None
            }
            found = self._rates[key] = Rates(by_name, bills(by_name, **self.names))
        return found


def price(model: str, usage: Usage, at: datetime) -> Price:
    """Price ``usage`` of ``model`` as the list stood at the moment ``at`` (with a time zone).

    The name is taken as people write it: see ``_model_names``. The usage is one that
    ``usage.checked`` let pass, as all do that are read from a response.

    *Raises* ``UnpricedModel`` when the model is not in the list, or the list has no rate for
    some of this usage, or none for its service tier: an unknown price is never 0. Retrying does
    not help.
    """
    found = _look_up(model, at)
    if found is None:
        raise UnpricedModel(model)
    unit_prices, tier = found.names.copy(), usage.service_tier
    if tier is None or tier in _USUAL:
        rates = found.priced(at, None)
    else:
        unit_prices["service_tier"] = tier
        usual = (unit_prices["provider"], tier) in _SAME_PRICE
        rates = found.priced(at, None if usual else tier)
        if rates is _NONE and found.rates(at):
            raise _unpriced(model, f"price in service tier {tier!r}", _source())
    if not rates.by_name:
        raise UnpricedModel(model)
    return total(model, usage, rates, unit_prices, _source())


def total(model: str, usage: Usage, priced: Rates, names: dict[str, str], source: str) -> Price:
    """Price a checked ``usage`` at rates of any source; ``names`` are told with the unit prices.

    *Raises* as ``price``, where there is no rate for some of this usage.
    """
    unit_prices = names.copy()
    rates, bills = priced
    counts: dict[str, int] = {}
    for name, count in zip(bills, _counts(usage, names.get("provider")), strict=False):
        if count and name:
            counts[name] = counts.get(name, 0) + count
    cost = _ZERO
    for name, count in counts.items():
        # Below 0: cached sound or images whose place in the cache was not told, at neither rate.
        if name not in rates or count < 0:
            raise _unpriced(model, f"{name} price", source)
        if count:
            rate = rates[name]
            usd, unit_prices[name] = rate.at(usage.input_tokens)
            part = EXACT.multiply(usd, count)
            if rate.units != 1:  # last, since a third of a cent has no end
                part = EXACT.divide(part, rate.units)
            cost = EXACT.add(cost, part)
    return Price(cost, source, unit_prices)


def dearest(model: str, input_tokens: int, at: datetime) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the dearest that a call of ``model`` may cost, token by token.

    One rate of an input of this size, of text and images; one of its output if the model has
    any; and the price of the call itself if it has one. Form and lookup are those of ``price``.

    *Raises* ``UnpricedModel`` when the model is not in the list, or has no rate for input.
    """
    return _extreme(model, input_tokens, at, dearest=True)


def cheapest(model: str, input_tokens: int, at: datetime) -> tuple[str, dict[str, str]]:
    """Like ``dearest``, but the lowest rates at which a token of text may be billed.

    That is mostly the rate of what is read from the cache.
    """
    return _extreme(model, input_tokens, at, dearest=False)


def _extreme(model: str, size: int, at: datetime, *, dearest: bool) -> tuple[str, dict[str, str]]:
    found = _look_up(model, at)
    rates = found.rates(at) if found else {}
    if found is None or "input_mtok" not in rates:
        raise UnpricedModel(
            model,
            f"no price is known for model {model!r}; set one with set_price({model!r}, ...) or "
            "`budgetledger prices set`, hold an amount in US dollars, or check the model's name",
        )
    return _source(), extreme_of(rates, size, found.names, dearest=dearest)


def extreme_of(
    rates: dict[str, Rate], size: int, named: dict[str, str], *, dearest: bool
) -> dict[str, str]:
    """The unit prices that ``dearest`` or ``cheapest`` takes from the rates of any source."""
    into, out = (_IN_DEAREST, _OUT_DEAREST) if dearest else (_IN, _OUT)
    unit_prices = dict(named)
    for names in (into, out, ("requests_kcount",)):
        steps = [(*rates[name].at(size), name) for name in names if name in rates]
        if steps:  # of equals the first named, which is the plain one
            pick = max if dearest else min
            _, text, name = pick(steps, key=lambda step: step[0])
            unit_prices[name] = text
    return unit_prices


def _unpriced(model: str, what: str, source: str) -> UnpricedModel:
    return UnpricedModel(
        model,
        f"model {model!r} has no {what} in {source}; state it with set_price or `budgetledger "
        "prices set`, or pass cost=",
    )


def _look_up(model: str, at: datetime) -> _Model | None:
    if at.tzinfo is None:
        raise ValueError("at has no time zone; pass an aware datetime, e.g. in UTC")
    return _find(model.strip().lower()) if len(model) <= _LONGEST_NAME else None


def _counts(usage: Usage, provider: str | None) -> tuple[int, ...]:
    """Share the usage out among ``PARTS``, each unit once; the last are left out if all 0."""
    read, write = usage.cache_read_tokens, usage.cache_write_tokens
    write_1h, thought = usage.cache_write_1h_tokens, usage.reasoning_tokens
    fresh, said = usage.input_tokens - read - write - write_1h, usage.output_tokens - thought
    if not any(usage[_MORE:-1]):
        return (fresh, read, write, write_1h, said, thought, 1)
    read_sound, read_image = usage.cache_read_audio_tokens, usage.cache_read_image_tokens
    sound, image = usage.input_audio_tokens - read_sound, usage.input_image_tokens - read_image
    video, drawn, spoken = (
        usage.input_video_tokens, usage.output_image_tokens, usage.output_audio_tokens
    )  # fmt: skip
    seconds = usage.input_audio_seconds
    if seconds and provider == "groq":  # at least 10: console.groq.com/docs/speech-to-text
        seconds = max(seconds, 10)
    return (
        fresh - image - video - sound, read - read_image - read_sound, write, write_1h,
        said - drawn - spoken, thought, 1,
        image, video, sound, read_image, read_sound, drawn, spoken,
        usage.output_images, usage.web_searches, usage.file_searches, seconds,
        usage.input_characters,
    )  # fmt: skip


def bills(rates: dict[str, Rate], provider: str, model: str) -> tuple[str | None, ...]:
    """The rate under which this model bills each of ``PARTS``; itself if it has none: unpriced.

    A part without a rate of its own goes where the provider counts it, or to a dearer one; never
    to one that may be cheaper. Where LiteLLM states such a rate too, the tests compare.
    """
    at = {name: name for name in PARTS}

    def fall(name: str, to: str) -> None:
        if name not in rates:
            at[name] = at.get(to, to)

    fall("cache_write_mtok", "input_mtok")
    if "claude" not in model:  # Claude's costs twice the input, always; nobody else tells it apart
        fall("cache_write_1h_mtok", "cache_write_mtok")
    fall("cache_read_mtok", "input_mtok")
    fall("output_reasoning_mtok", "output_mtok")
    fall("input_audio_hours", "audio_hours")
    if "output_mtok" in rates:  # who answers counts what it sees like text; embeddings may not
        fall("input_image_mtok", "input_mtok")
        fall("input_video_mtok", "input_mtok")
    # Sound costs many times what text does, but for Gemini models with one rate for all input …
    if provider == "google" and "output_mtok" in rates and not _SOUND_APART.search(model):
        fall("input_audio_mtok", "input_mtok")
    # … and where all that comes out is sound, or an image, the list has its rate as the output's.
    if "tts" in model:
        fall("output_audio_mtok", "output_mtok")
    if model.startswith("gpt-image"):
        fall("output_image_mtok", "output_mtok")
    for kind in ("image", "audio"):  # read from the cache: like text if sent like text
        sent = at[f"input_{kind}_mtok"]
        fall(f"cache_{kind}_read_mtok", "cache_read_mtok" if sent == "input_mtok" else sent)
    billed: dict[str, str | None] = {**at}
    if "requests_kcount" not in rates:
        billed["requests_kcount"] = None
    elif "web_searches_kcount" not in rates:  # Perplexity's price of a call is that of its search
        billed["web_searches_kcount"] = None
    return tuple(billed[name] for name in PARTS)


def _rate(name: str, value: Decimal | TieredPrices) -> Rate:
    base = value if isinstance(value, Decimal) else value.base
    tiers = () if isinstance(value, Decimal) else value.tiers
    return rate_of(name, {-1: base} | {tier.start: tier.price for tier in tiers})


def rate_of(name: str, steps: dict[int, Decimal]) -> Rate:
    """The rate ``name``, of USD by the size of input to exceed, smallest first; -1 is any."""
    unit = name.rpartition("_")[2]
    return Rate(
        tuple(
            (above, usd.scaleb(-_ZEROS.get(unit, 0), EXACT), f"{usd:f}")
            for above, usd in reversed(steps.items())
        ),
        3600 if unit == "hours" else 1,
    )


@lru_cache(maxsize=4096)  # unknown names are kept too: looking through the list is the slow part
def _find(name: str) -> _Model | None:
    known = _list()
    hosts = {provider.id: provider for provider in known.providers}
    for host, model, region in spellings(name, hosts.keys()):
        try:
            provider = hosts[host] if host else known.find_provider(model, None, None)
        except LookupError:
            continue
        info = provider.find_model(model, all_providers=known.providers)
        if info is None:
            continue
        rest = _rest(info.match, model)
        if rest is None or not is_version(rest) or not _sold(provider, info, region):
            continue
        return _Model(provider.id, info, any(info is own for own in provider.models))
    return None


def _rest(match: MatchLogic, name: str) -> str | None:
    """What ``name`` has beyond the text by which the list knows the model; None if no match.

    The list knows many by how a name begins, and so takes a model of another price for them, as
    ``gemini-3.8-flash-cyber`` for ``gemini-3.8-flash``.
    """
    ((kind, text),) = vars(match).items()
    if kind == "or_":
        rests = [rest for clause in text if (rest := _rest(clause, name)) is not None]
        return min(rests, key=len, default=None)
    if kind == "and_":
        rests = [rest for clause in text if (rest := _rest(clause, name)) is not None]
        return max(rests, key=len) if len(rests) == len(text) else None
    if not match.is_match(name):
        return None
    if kind in ("equals", "regex"):
        return ""
    before, _, after = (
        name.rpartition(text.lower()) if kind == "ends_with" else name.partition(text.lower())
    )
    if re.search(r"(?<!\d)\d{1,2}$", text) and re.match(r"\d(?!\d\d)", after):
        return None  # 4-1 is not 4-10, though 2024- may go on as 2024-08-06 and 0 as 0613
    return re.sub(r"^(?:[a-z-]+\.)+", "", before) + after  # Bedrock's vendors and geographies


def _sold(provider: Provider, info: ModelInfo, region: str | None) -> bool:
    """Whether the price found is asked by this host, in this region."""
    if provider.id in ("openai", "azure") and info.id.startswith("gpt-oss"):
        return False  # open weights that OpenAI does not sell; the figure is another host's
    if provider.id == "azure":
        # A data zone costs 10 or 20 % more, and DeepSeek there what Microsoft asks: neither listed.
        return region is None and not info.id.startswith("deepseek")
    if region is None or region == "global":
        return True
    place = "us-gov" if "us-gov" in region else region
    if place != "us-gov" and (place.startswith("us") or info.id.startswith("regional.")):
        return True  # what is listed once has its price of the US
    return _SAME_ABROAD.get(info.id) == place


@cache
def _list() -> DataSnapshot:
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


@cache
def _source() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
