"""Own prices from LiteLLM's ``model_prices_and_context_window.json``.

The import reads and checks the whole file before it writes, and writes all rows in one
transaction. Amounts are the decimal text of the file. Prices of what the ledger does not count,
such as seconds of video, are left out and reported; a model without any other price is skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.journal import price_rows as _price_rows
from budgetledger.journal.journal import journal_of
from budgetledger.journal.transaction import Transaction
from budgetledger.ledger import Ledger
from budgetledger.money import exact_usd
from budgetledger.names import checked_name
from budgetledger.prices import OwnPrice, matches, price_name
from budgetledger.pricing import own_rates as _own_rates
from budgetledger.verbs.repricing import Progress
from budgetledger.windows import to_us

_M, _K, _HOUR = 10**6, 1000, 3600
# LiteLLM's field, the price of one: the unit of the own rate, and how many of them it is for.
_UNITS = {
    "input_cost_per_token": ("input_mtok", _M),
    "output_cost_per_token": ("output_mtok", _M),
    "cache_read_input_token_cost": ("cache_read_mtok", _M),
    "cache_creation_input_token_cost": ("cache_write_mtok", _M),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_1h_mtok", _M),
    "output_cost_per_reasoning_token": ("output_reasoning_mtok", _M),
    "input_cost_per_audio_token": ("input_audio_mtok", _M),
    "output_cost_per_audio_token": ("output_audio_mtok", _M),
    "cache_read_input_audio_token_cost": ("cache_audio_read_mtok", _M),
    "input_cost_per_image_token": ("input_image_mtok", _M),
    "output_cost_per_image_token": ("output_image_mtok", _M),
    "cache_read_input_image_token_cost": ("cache_image_read_mtok", _M),
    "input_cost_per_video_token": ("input_video_mtok", _M),
    "output_cost_per_image": ("output_images", 1),
    "input_cost_per_request": ("requests_kcount", _K),
    "input_cost_per_character": ("input_mchars", _M),
    "input_cost_per_audio_per_second": ("input_audio_hours", _HOUR),
}
_BATCHES = "batches"
# Duplicates of other fields: DeepSeek's old name for cache_read_…, and Databricks' own unit.
_IGNORED = re.compile("input_cost_per_token_cache_hit|.*_dbu_cost_.*|regional_.*")
_FIELD = re.compile(
    rf"(?P<unit>{'|'.join(sorted(_UNITS, key=len, reverse=True))})"
    rf"(_above_(?P<above>[0-9]+)(?P<k>k?)_tokens)?(_(?P<tier>[a-z]+))?"
)
_SEARCH = "search_context_cost_per_query"
_FALLS_TO = {  # the rate to use if a size of the input has none of its own
    "cache_read_mtok": "input_mtok",
    "cache_write_mtok": "input_mtok",
    "cache_write_1h_mtok": "cache_write_mtok",
    "output_reasoning_mtok": "output_mtok",
}
_INCLUSIVE = "xai"  # its higher prices begin at the number itself, not above it
_NOT_A_MODEL = "sample_spec"


class ModelPrices(NamedTuple):
    """A model of the file: its rates, and the fields for what the ledger does not count."""

    model: str
    rates_json: str
    left_out: tuple[str, ...]


class Skipped(NamedTuple):
    """A model of the file that was not imported, and why."""

    model: str
    why: str


class PriceImport(NamedTuple):
    """The result of an import: the rows appended, and how many prices were unchanged."""

    appended: tuple[OwnPrice, ...]
    unchanged: int
    skipped: tuple[Skipped, ...]
    left_out: dict[str, tuple[str, ...]]
    """By model: the fields for what the ledger does not count."""


def import_prices(
    ledger: Ledger,
    path: str | os.PathLike[str],
    *,
    models: Sequence[str] = (),
    effective_at: datetime | None = None,
    all_projects: bool = False,
    progress: Progress | None = None,
) -> PriceImport:
    """Import the prices of a LiteLLM price file into *ledger*, as own prices.

    *models*: names or patterns to import; if empty, all. Unchanged prices append nothing.
    *effective_at*, *all_projects*: see `Ledger.set_price`. Raises `InvalidInput` for a file that
    cannot be used, and for a name in *models* that the file does not have.
    """
    if os.path.exists(ledger.path) and os.path.exists(path) and os.path.samefile(path, ledger.path):
        # Opening and closing it here would drop SQLite's locks on it.
        raise InvalidInput(f"{os.fspath(path)} is the ledger itself; pass LiteLLM's price file")
    prices, skipped = read_prices(path, models)
    project = None if all_projects else ledger.project
    at_us = None if effective_at is None else to_us(effective_at)
    note = f"imported from {os.path.basename(path)}"[:200]

    def operation(tx: Transaction) -> list[tuple[OwnPrice, bool]]:
        done = []
        for number, one in enumerate(prices, 1):
            revision = _price_rows.Revision(project, one.model, at_us, note, one.rates_json)
            done.append(_price_rows.revise(tx, revision))
            if progress is not None and (number % 100 == 0 or number == len(prices)):
                progress(number, len(prices))
        return done

    written = journal_of(ledger).write(operation) if prices else []
    return PriceImport(
        tuple(price for price, is_new in written if is_new),
        sum(not is_new for _, is_new in written),
        tuple(skipped),
        {one.model: one.left_out for one in prices if one.left_out},
    )


def read_prices(
    path: str | os.PathLike[str], models: Sequence[str] = ()
) -> tuple[list[ModelPrices], list[Skipped]]:
    """Read and check the prices of all *models*, or of all in the file. Raises `InvalidInput`."""
    shown = os.fspath(path)
    try:
        content = json.loads(
            Path(path).read_text("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse
        )
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{shown} cannot be read ({error}); pass LiteLLM's price file, as JSON"
        ) from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{shown} is not a JSON object of models; pass LiteLLM's price file")
    content.pop(_NOT_A_MODEL, None)
    for wanted in models:
        if not any(matches(wanted, model) for model in content):
            raise InvalidInput(f"{shown} has no model {wanted!r}; pass a name in it, or a pattern")
    prices: dict[str, ModelPrices] = {}
    skipped = []
    for model, fields in content.items():
        if models and not any(matches(wanted, model) for wanted in models):
            continue
        try:
            one = model_prices(model, fields)
            other = prices.setdefault(one.model, one)
            if other.rates_json != one.rates_json:
                raise InvalidInput("the file has this name in another case, with other prices")
        except InvalidInput as error:
            skipped.append(Skipped(model, str(error)))
    return list(prices.values()), skipped


def model_prices(model: str, fields: object) -> ModelPrices:
    """The rates of *model*, with amounts as decimals. Raises `InvalidInput`."""
    name = price_name(checked_name(model, "the name"))
    if not isinstance(fields, dict):
        raise InvalidInput("its value is not an object")
    if fields.get("off_peak_pricing") is not None:
        raise InvalidInput("its price depends on the time of day")
    rates: dict[str, Decimal] = {}
    left_out = []
    for field, value in fields.items():
        if value is None or "cost" not in field or _IGNORED.fullmatch(field):
            continue
        stated = _stated(field, value, fields)
        if stated is None:
            left_out.append(field)
        else:
            rates.update(stated)
    tiers = fields.get("tiered_pricing")
    if tiers is not None:
        of_tiers = dict(_tiered(tiers, rates))
        rates = {key: usd for key, usd in rates.items() if key not in of_tiers} | of_tiers
    # Known prices of 0 do not make a model free whose other prices are left out.
    if not any(rates.values()) and (left_out or not rates):
        what = f"only what is not counted here: {', '.join(left_out)}" if left_out else "nothing"
        raise InvalidInput(f"it prices {what}")
    for key in [key for key in rates if "_above_" in key]:
        unit = key.partition("_above_")[0]
        if unit in _FALLS_TO and unit not in rates and _FALLS_TO[unit] in rates:
            rates[unit] = rates[_FALLS_TO[unit]]
    return ModelPrices(name, _own_rates.stated(rates), tuple(left_out))


def _stated(field: str, value: object, fields: Mapping[str, Any]) -> dict[str, Decimal] | None:
    """The rate that a field states, by its key; None if it prices what is not counted."""
    if field == _SEARCH:
        sizes = {_usd(field, usd) for usd in value.values()} if isinstance(value, dict) else set()
        # A response does not contain the size of a search, nor one of Google's what it bills.
        by_prompt = fields.get("web_search_billing_unit") != "per_query" and str(
            fields.get("litellm_provider")
        ).startswith(("gemini", "vertex_ai"))
        usd = sizes.pop() if len(sizes) == 1 and not by_prompt else None
        unit, many, match = "web_searches_kcount", _K, None
    else:
        match = _FIELD.fullmatch(field)
        if field == "input_cost_per_second" and fields.get("mode") == "audio_transcription":
            unit, many = "input_audio_hours", _HOUR
        elif match is not None:
            unit, many = _UNITS[match["unit"]]
        else:
            return None
        usd = _usd(field, value)
    if usd is None or unit not in _own_rates.KEYS:
        return None
    above = tier = None
    if match is not None:
        if match["above"]:
            above = int(match["above"]) * (_K if match["k"] else 1)
            above -= fields.get("litellm_provider") == _INCLUSIVE
        tier = "batch" if match["tier"] == _BATCHES else match["tier"]
    return {_own_rates.key_for(unit, above, tier): _own_rates.times(usd, many, field)}


def _tiered(tiers: object, plain: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    """Rates by size of the input; a range that omits a rate gets that of `_FALLS_TO`."""
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        raise InvalidInput("its tiered_pricing is not a list of objects")
    if any("input_cost_per_token" not in tier or len(tier.get("range", ())) != 2 for tier in tiers):
        raise InvalidInput("its tiered_pricing is not by size of the input")
    stated = [
        (
            int(_usd("range", tier["range"][0])),
            {
                _UNITS[field][0]: _own_rates.times(_usd(field, usd), _UNITS[field][1], field)
                for field, usd in tier.items()
                if field in _UNITS
            },
        )
        for tier in tiers
    ]
    every = {unit for _, rates in stated for unit in rates}
    for number, (above, rates) in enumerate(sorted(stated, key=lambda one: one[0])):
        for unit in every:
            usd, key = None, unit
            while usd is None:
                usd = rates.get(key, plain.get(key) if key == "output_mtok" else None)
                if usd is None and key not in _FALLS_TO:
                    raise InvalidInput(f"its tiered_pricing has no {unit} for some sizes")
                key = _FALLS_TO.get(key, key)
            yield _own_rates.key_for(unit, above if number else None), usd


def _usd(field: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise InvalidInput(f"{field} is not an amount")
    return exact_usd(value, field)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not an amount")
