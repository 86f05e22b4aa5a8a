"""The prices of genai-prices, and the only module that imports it.

They come from the data inside the installed package, never from the network and never from a
snapshot that the application installed there: ``source`` on a row must mean the same thing for
ever. The package is imported at the first price (300 ms).

genai-prices finds models and rates, which are kept in memory; the sum is done in ``rates``. A
test compares it with genai-prices' own figure for every model it knows, and another with
LiteLLM's, for every model both know.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from budgetledger.errors import UnpricedModel
from budgetledger.pricing.hosts import (
    Host,
    host_in_url,
    names_host,
    plain_url,
    provider_called,
    taken_apart,
)
from budgetledger.pricing.model_names import SEARCHES, is_version, spellings
from budgetledger.pricing.rates import (
    Price,
    Rate,
    Rates,
    bills,
    extreme_of,
    rate_of,
    total,
    unpriced,
)
from budgetledger.usage import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider, TieredPrices

_LONGEST_NAME = 256

# Words for the usual service tier.
_USUAL = {"default", "standard", "on_demand"}
# Tiers at the usual price: console.groq.com/docs/flex-processing, read 2026-11.
_SAME_PRICE = {("groq", "flex")}
# The list's names of the conditions that are a service tier here.
_TIER_CONDITIONS = ("service_tier", "processing", "speed")

# Bedrock models that the list prices once, and that LiteLLM prices alike outside the US.
_SAME_ABROAD = {
    "mistral.pixtral-large-2502-v1:0": "eu",
    "amazon.titan-embed-text-v1": "us-gov",
    "meta.llama3-8b-instruct-v1:0": "us-gov",
    "meta.llama3-70b-instruct-v1:0": "us-gov",
}
# Vendors with two price lists, by the region of the account: a bare name does not tell which.
_TWO_LISTS = {"zhipuai": "zai"}
# Models that cost the same at a host's regional endpoints as at its global one. Others cost 10 %
# more there, which the list does not have: developers.openai.com/api/docs/guides/data-residency
# (since gpt-5.4), platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (since
# claude-sonnet-4-5), LiteLLM's list (Gemini), docs.x.ai/developers/advanced-api-usage/regions;
# all read 2026-11.
_SAME_EVERYWHERE = {
    "openai": re.compile(
        r"(?:ft:)?(?:gpt-(?:3|4|5(?!\.[4-9])|image-1|audio)|o[134]|chatgpt|text-|whisper|tts|codex)"
    ),
    "google": re.compile(
        r"gemini-(?:[12]\.|embedding-001)|gemma|text-|claude-(?:3|(?:opus|sonnet)-4(?:-0|-1|$))"
    ),
}
_NO_RATES = Rates({}, ())


class ListedModel:
    """A model of the list, with the rates of each of its dated prices."""

    def __init__(self, provider_id: str, info: ModelInfo, own: bool = True) -> None:
        self.names = {"provider": provider_id, "model": info.id}
        self._info = info
        # genai-prices: a price taken from another provider is for the usual service only.
        self._variants = (own and info.price_variants) or ()
        self._rates: dict[int | tuple[int, ...], Rates] = {}

    def rates(self, at: datetime, tier: str | None = None) -> Rates:
        """Rates at that moment, in that tier; ``_NO_RATES`` if none are known."""
        if not self._info.prices:
            return _NO_RATES
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
                return _NO_RATES
        # Keyed by identity: the list lives as long as the process, and is not hashable.
        key = (id(dated), *map(id, variants)) if variants else id(dated)
        rates = self._rates.get(key)
        if rates is None:
            # A rate that no variant names stays the usual one; of several variants the first wins.
            by_name = {
                name: _rate(name, value)
                for prices in (dated, *reversed(variants))
                for name, value in vars(prices).items()
                if value is not None
            }
            rates = self._rates[key] = Rates(by_name, bills(by_name, **self.names))
        return rates


def host_of(*places: str | Host | None) -> Host | None:
    """The host that the first of *places* names, with the region if any names it.

    A place is a base URL, LiteLLM's name of a provider or of a model with its prefix, or a host
    itself. None if none names a host: an unknown URL, such as a gateway's or localhost, does not.
    """
    hosts = [host for place in places if place and (host := _host_of(place))]
    if not hosts:
        return None
    regions = [host.region for host in hosts if host.provider == hosts[0].provider]
    return hosts[0]._replace(region=next(filter(None, regions), None))


@lru_cache(maxsize=256)
def _host_of(place: str | Host) -> Host | None:
    if isinstance(place, Host):
        return place
    place, providers = place.strip().lower(), price_list().providers
    if "://" not in place:
        listed = {provider.id for provider in providers}
        named = taken_apart(place, listed).host
        provider = provider_called(place, listed)
        return named or (None if provider is None else Host(provider))
    url = plain_url(place)
    told = None if url is None else host_in_url(url)
    if url is None or told is not None:
        return told
    by_url = (each.id for each in providers if names_host(each.api_pattern, url))
    provider = next(by_url, None)
    return None if provider is None else Host(provider, own_names=True)


def price(
    model: str, usage: Usage, at: datetime, asked: str | None = None, host: Host | None = None
) -> Price:
    """Price ``usage`` of ``model`` as the list stood at the moment ``at`` (with a time zone).

    ``model`` is the one that answered, ``asked`` the name of the one asked for, ``host`` where
    the call was made; without ``host`` a prefix of ``asked``, else of ``model``, states it, and
    without that it is the vendor. Names are taken as people write them: see ``model_names``. The
    usage is one that ``usage.checked`` returned, as every usage is that was read from a response.

    *Raises* ``UnpricedModel`` when the model is not in the list, or the list has no rate for
    some of this usage, or none for its service tier: an unknown price is never 0. Retrying does
    not help.
    """
    listed = _look_up(model, at, asked, host)
    if listed is None:
        raise UnpricedModel(model)
    if SEARCHES in (asked or model).lower() and not usage.web_searches:
        raise unpriced(model, "price of the web search that its name asks for", _source())
    names, tier = listed.names, usage.service_tier
    if tier is None or tier in _USUAL:
        rates = listed.rates(at)
    else:
        same_price = (names["provider"], tier) in _SAME_PRICE
        names = names | {"service_tier": tier}
        rates = listed.rates(at, None if same_price else tier)
        if rates is _NO_RATES and listed.rates(at).by_name:
            raise unpriced(model, f"price in service tier {tier!r}", _source())
    if not rates.by_name:
        raise UnpricedModel(model)
    return total(model, usage, rates, names, _source())


def most_expensive(
    model: str, input_tokens: int, at: datetime, host: Host | None = None
) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the most that a call of ``model`` may cost, token by token.

    One rate for an input of this size, of text and images; one for its output if the model has
    any; and the price of the call itself if it has one. Form and lookup are those of ``price``.

    *Raises* ``UnpricedModel`` when the model is not in the list, or has no rate for input.
    """
    return _extreme(model, input_tokens, at, host, most=True)


def cheapest(
    model: str, input_tokens: int, at: datetime, host: Host | None = None
) -> tuple[str, dict[str, str]]:
    """Like ``most_expensive``, but the lowest rates at which a token of text may be billed.

    For the input that is mostly the rate of cached tokens.
    """
    return _extreme(model, input_tokens, at, host, most=False)


def _extreme(
    model: str, input_tokens: int, at: datetime, host: Host | None, *, most: bool
) -> tuple[str, dict[str, str]]:
    listed = _look_up(model, at, None, host)
    rates = listed.rates(at).by_name if listed else {}
    if listed is None or "input_mtok" not in rates:
        raise UnpricedModel(
            model,
            f"no price is known for model {model!r}; set one with set_price({model!r}, ...) or "
            "`budgetledger prices set`, hold an amount in US dollars, or check the model's name",
        )
    return _source(), extreme_of(rates, input_tokens, listed.names, most=most)


def _look_up(model: str, at: datetime, asked: str | None, host: Host | None) -> ListedModel | None:
    if at.tzinfo is None:
        raise ValueError("at has no time zone; pass an aware datetime, e.g. in UTC")
    if max(len(model), len(asked or "")) > _LONGEST_NAME:
        return None
    return find_model(model, asked, host)


def _rate(name: str, value: Decimal | TieredPrices) -> Rate:
    base = value if isinstance(value, Decimal) else value.base
    tiers = () if isinstance(value, Decimal) else value.tiers
    return rate_of(name, {-1: base} | {tier.start: tier.price for tier in tiers})


@lru_cache(maxsize=4096)  # unknown names are kept too: the search through the list is slow
def find_model(
    model: str, asked: str | None = None, host: Host | None = None
) -> ListedModel | None:
    """The *model* that answered, at its host; None if the list does not have it. See `price`."""
    providers = {provider.id: provider for provider in price_list().providers}
    for provider_id, name, region in spellings(model, asked, host, providers.keys()):
        if provider_id is not None:
            found = _find_at(providers.get(provider_id), name, region)
        else:
            found = _find_at_vendor(providers, name)
        if found is not None:
            return found
    return None


def _find_at(provider: Provider | None, name: str, region: str | None) -> ListedModel | None:
    if provider is None:
        return None
    info = provider.find_model(name, all_providers=price_list().providers)
    if info is None:
        return None
    rest = "" if name == info.id.lower() else rest_of_name(info.match, name)
    if rest is None or not is_version(rest) or not _is_priced_for(provider, info, region):
        return None
    return ListedModel(provider.id, info, any(info is own for own in provider.models))


def _find_at_vendor(providers: dict[str, Provider], name: str) -> ListedModel | None:
    try:
        vendor = price_list().find_provider(name, None, None)
    except LookupError:
        return None
    found = _find_at(vendor, name, None)
    other = _TWO_LISTS.get(vendor.id)
    if other is None:
        return found
    elsewhere = _find_at(providers[other], name, None)
    return None if found and elsewhere else found or elsewhere  # which of them is not known


def rest_of_name(match: MatchLogic, name: str) -> str | None:
    """What ``name`` has beyond the text by which the list matches the model; None if no match.

    The list matches many models by how their names begin, and so would price
    ``gemini-3.8-flash-cyber``, which costs something else, as ``gemini-3.8-flash``.
    """
    ((kind, text),) = vars(match).items()
    if kind == "or_":
        rests = [rest for clause in text if (rest := rest_of_name(clause, name)) is not None]
        return min(rests, key=len, default=None)
    if kind == "and_":
        rests = [rest for clause in text if (rest := rest_of_name(clause, name)) is not None]
        return max(rests, key=len) if len(rests) == len(text) else None
    if not match.is_match(name):
        return None
    if kind in ("equals", "regex"):
        return ""
    before, _, after = (
        name.rpartition(text.lower()) if kind == "ends_with" else name.partition(text.lower())
    )
    if re.search(r"(?<!\d)[1-9]\d?$", text) and re.match(r"\d(?!\d\d)", after):
        return None  # 4-1 is not 4-10, but 2024- may go on as 2024-08-06, and 0 as 001 or 0613
    return re.sub(r"^(?:[a-z-]+\.)+", "", before) + after  # Bedrock's vendors and geographies


def _is_priced_for(provider: Provider, info: ModelInfo, region: str | None) -> bool:
    """Whether the listed price is the one of this host, in this region."""
    if provider.id in ("openai", "azure") and info.id.startswith("gpt-oss"):
        return False  # open weights that OpenAI does not sell; the price is another host's
    if provider.id == "azure":
        # Not listed: data zones, which cost 10 or 20 % more, and Microsoft's price of DeepSeek.
        return region is None and not info.id.startswith("deepseek")
    if region is None or region == "global":
        return True
    if provider.id != "aws":
        same = _SAME_EVERYWHERE.get(provider.id)
        return same is not None and same.match(info.id) is not None
    place = "us-gov" if "us-gov" in region else region
    if place != "us-gov" and (place.startswith("us") or info.id.startswith("regional.")):
        return True  # a model that is listed once is listed at its price in the US
    return _SAME_ABROAD.get(info.id) == place


def is_loaded() -> bool:
    """Whether the list is in memory. If not, the next price takes a third of a second."""
    return price_list.cache_info().currsize > 0


@cache
def price_list() -> DataSnapshot:
    """The list as genai-prices has it."""
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


@cache
def _source() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
