"""What a usage costs at given rates: the arithmetic of prices. Pure.

``cost`` is the sum of each count times the unit price stated for it, exactly, so that a price can
be checked by its own row.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import NamedTuple

from budgetledger.errors import UnpricedModel
from budgetledger.pricing.documented_rates import documented_rate
from budgetledger.usage import Usage, rare_counts_of

# The caller's decimal context may round, or trap rounding; ours is wide enough to be exact.
EXACT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow])
_ZERO = Decimal(0)

PARTS = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok",
    "output_mtok", "output_reasoning_mtok", "requests_kcount",
    # 0 in most calls
    "input_image_mtok", "input_video_mtok", "input_audio_mtok",
    "cache_image_read_mtok", "cache_audio_read_mtok", "output_image_mtok", "output_audio_mtok",
    "output_images", "web_searches_kcount", "storage_searches_kcount", "input_audio_hours",
    "input_mchars", "preview_searches_kcount", "map_searches_kcount", "code_containers",
    "paid_tool_calls_kcount",
)  # fmt: skip
"""What a call is billed for, by the names that genai-prices has for the rates; it lacks the last 4.

Each unit of a usage is counted under one of these. Where a model has no rate of that name, `bills`
says which one it is billed at.
"""

UNIT_EXPONENTS = {"mtok": 6, "mchars": 6, "kcount": 3}
"""How many units a rate is for, as a power of ten, by the last word of its name; else one."""

# How a token may be billed that is still to be sent, or still to be answered. From GPT-5.6 on,
# OpenAI writes nearly every prompt of 1,024 tokens to its cache unasked, at 1.25 times the input
# (developers.openai.com/api/docs/guides/prompt-caching, 2026-07). Not cache_write_1h: it costs
# twice the input, and only callers that ask for it pay it. Images count with the prompt's text.
_INPUT = ("input_mtok", "cache_write_mtok", "cache_read_mtok")
_OUTPUT = ("output_mtok", "output_reasoning_mtok")
_INPUT_AT_MOST = (*_INPUT, "input_image_mtok")
_OUTPUT_AT_MOST = (*_OUTPUT, "output_audio_mtok", "output_image_mtok")

# Gemini models that cost more for sound than for text, though the list has one rate for both.
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


class Step(NamedTuple):
    """A rate for an input of more than ``above`` tokens: USD for the ``units``, as listed."""

    above: int
    usd: Decimal
    listed: str


class Rate(NamedTuple):
    """A rate by size of the whole input."""

    steps: tuple[Step, ...]  # the highest first; the last is for any size, above -1
    units: int

    def at(self, input_tokens: int) -> tuple[Decimal, str]:
        """USD for ``units``, and its text as listed, for an input of *input_tokens*."""
        for step in self.steps:
            if input_tokens > step.above:
                break
        return step.usd, step.listed


class Rates(NamedTuple):
    """The rates of a model, and under which of them each of ``PARTS`` is billed."""

    by_name: dict[str, Rate]
    bills: tuple[str | None, ...]


def rate_of(name: str, steps: dict[int, Decimal]) -> Rate:
    """The rate ``name``, of USD by the size of input to exceed, smallest first; -1 is any."""
    unit = name.rpartition("_")[2]
    return Rate(
        tuple(
            Step(above, usd.scaleb(-UNIT_EXPONENTS.get(unit, 0), EXACT), f"{usd:f}")
            for above, usd in reversed(steps.items())
        ),
        3600 if unit == "hours" else 1,
    )


def bills(rates: dict[str, Rate], provider: str, model: str) -> tuple[str | None, ...]:
    """The rate at which this model bills each of ``PARTS``; its own name if no rate applies.

    A part without a rate of its own is billed where the provider counts it, or at a higher rate;
    never at one that may be lower. The tests compare this with the rates that LiteLLM states.
    """
    at = {name: name for name in PARTS}

    def default_to(name: str, other: str) -> None:
        if name not in rates:
            at[name] = at.get(other, other)

    default_to("cache_write_mtok", "input_mtok")
    if "claude" not in model:  # Claude's costs twice the input; no other provider has a rate for it
        default_to("cache_write_1h_mtok", "cache_write_mtok")
    default_to("cache_read_mtok", "input_mtok")
    default_to("output_reasoning_mtok", "output_mtok")
    default_to("input_audio_hours", "audio_hours")
    if "output_mtok" in rates:  # a model that answers bills images like text; embeddings may not
        default_to("input_image_mtok", "input_mtok")
        default_to("input_video_mtok", "input_mtok")
    # Sound costs many times what text does, except for Gemini models with one rate for all input …
    if provider == "google" and "output_mtok" in rates and not _SOUND_APART.search(model):
        default_to("input_audio_mtok", "input_mtok")
    # … and where all output is sound, or an image, the list has its rate as that of the output.
    if "tts" in model:
        default_to("output_audio_mtok", "output_mtok")
    if model.startswith("gpt-image"):
        default_to("output_image_mtok", "output_mtok")
    for kind in ("image", "audio"):  # read from the cache: like text if sent like text
        sent = at[f"input_{kind}_mtok"]
        default_to(f"cache_{kind}_read_mtok", "cache_read_mtok" if sent == "input_mtok" else sent)
    billed: dict[str, str | None] = {**at}
    if "requests_kcount" not in rates:
        billed["requests_kcount"] = None
    elif "web_searches_kcount" not in rates:  # Perplexity's price of a call is that of its search
        billed["web_searches_kcount"] = None
    return tuple(billed[name] for name in PARTS)


def total(model: str, usage: Usage, rates: Rates, names: dict[str, str], source: str) -> Price:
    """Price a checked ``usage`` at *rates* from any source; *names* go before the unit prices.

    *Raises* ``UnpricedModel`` when there is no rate for some of this usage: an unknown price is
    never 0.
    """
    by_name, unit_prices = rates.by_name, names.copy()
    counts: dict[str, int] = {}
    for name, count in zip(rates.bills, _by_part(usage, names.get("provider")), strict=False):
        if count and name:
            counts[name] = counts.get(name, 0) + count
    cost = _ZERO
    for name, count in counts.items():
        rate = by_name.get(name)
        if rate is None and (documented := documented_rate(names, name)) is not None:
            rate = rate_of(name, {-1: documented.usd})
            source = source if documented.page in source else f"{source}, {documented.page}"
        # Below 0: cached sound or images of which it is not known whether they are in the cache.
        if rate is None or count < 0:
            raise unpriced(model, f"{name} price", source)
        if count:
            usd, unit_prices[name] = rate.at(usage.input_tokens)
            part = EXACT.multiply(usd, count)
            if rate.units != 1:  # divide last: a third of a cent has no last digit
                part = EXACT.divide(part, rate.units)
            cost = EXACT.add(cost, part)
    return Price(cost, source, unit_prices)


def _by_part(usage: Usage, provider: str | None) -> tuple[int, ...]:
    """Share the usage out among ``PARTS``, each unit once; the last are left out if all are 0."""
    read, write = usage.cache_read_tokens, usage.cache_write_tokens
    write_1h, reasoning = usage.cache_write_1h_tokens, usage.reasoning_tokens
    fresh = usage.input_tokens - read - write - write_1h
    answer = usage.output_tokens - reasoning
    if not any(rare_counts_of(usage)):
        return (fresh, read, write, write_1h, answer, reasoning, 1)
    read_sound, read_image = usage.cache_read_audio_tokens, usage.cache_read_image_tokens
    sound, image = usage.input_audio_tokens - read_sound, usage.input_image_tokens - read_image
    video, output_image, output_sound = (
        usage.input_video_tokens, usage.output_image_tokens, usage.output_audio_tokens
    )  # fmt: skip
    seconds = usage.input_audio_seconds
    if seconds and provider == "groq":  # at least 10: console.groq.com/docs/speech-to-text
        seconds = max(seconds, 10)
    return (
        fresh - image - video - sound, read - read_image - read_sound, write, write_1h,
        answer - output_image - output_sound, reasoning, 1,
        image, video, sound, read_image, read_sound, output_image, output_sound,
        usage.output_images, usage.web_searches, usage.file_searches, seconds,
        usage.input_characters, usage.preview_searches, usage.map_searches,
        usage.code_containers, usage.paid_tool_calls,
    )  # fmt: skip


def extreme_of(
    rates: dict[str, Rate], input_tokens: int, names: dict[str, str], *, most: bool
) -> dict[str, str]:
    """The highest unit prices among *rates* that a call may be billed at, or the lowest.

    One for the input, one for the output and one for the call, as far as there are rates; *names*
    go before them.
    """
    into, out = (_INPUT_AT_MOST, _OUTPUT_AT_MOST) if most else (_INPUT, _OUTPUT)
    pick = max if most else min
    unit_prices = dict(names)
    for group in (into, out, ("requests_kcount",)):
        candidates = [(*rates[name].at(input_tokens), name) for name in group if name in rates]
        if candidates:  # of equals the first in the group, which is the plain one
            _, listed, name = pick(candidates, key=lambda candidate: candidate[0])
            unit_prices[name] = listed
    return unit_prices


def unpriced(model: str, missing: str, source: str) -> UnpricedModel:
    """The error for a model that *source* lists without the rate or tier that is *missing*."""
    return UnpricedModel(
        model,
        f"model {model!r} has no {missing} in {source}; state it with set_price or `budgetledger "
        "prices set`, or pass cost=",
    )
