"""How much to hold for a call before it is made, and how long its answer may be.

A hold is the most the call is expected to cost: the bound on the prompt's tokens at the highest
rate the price list has for text of that size, and the longest answer allowed, reasoning included.
The settle gives back what was read from a cache, or not written.

The hold includes the price of writing the prompt to a cache for minutes, since some providers do
so unasked. It does not include a cache kept for an hour, sound in the prompt, searches and other
paid extras, more expensive service tiers, and tokens beyond a measured bound, such as those of one
text in a thousand. Such a call can cost more than its hold; the settle records that too.

The least a call costs is the fewest tokens the prompt may have, all read from a cache if the model
has one, and no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from budgetledger import display
from budgetledger.errors import InvalidAmount, UnpricedModel
from budgetledger.money import MAX_ENTRY_PICO, PICO, count, to_usd
from budgetledger.pricing import catalog
from budgetledger.tokens import count_bounds
from budgetledger.usage import MAX_TOKENS

DEFAULT_OUTPUT_TOKENS = 4096
"""What a hold assumes of a call whose output has no bound."""

Lookup: TypeAlias = Callable[[str, int, datetime], tuple[str, dict[str, str]]]
"""Source and unit prices for a model, the size of its input and a moment, as from a catalog."""


class Estimate(NamedTuple):
    """What one call may cost, and why: what is held for it, and the least it can be.

    ``pico``: the most, in picodollars, rounded half-even once; ``low_pico`` the least. As USD:
    ``high`` and ``low``. ``input_tokens``: of the prompt, at most. ``output_tokens``: the bound on
    the output, over all ``choices``. ``bounded``: False if the caller set no bound and the default
    was taken. ``method``: how the input was counted, see ``TokenCount``. ``source``,
    ``unit_prices``: as in ``Price``, of the most; with the rate of the output even where no output
    is expected.
    """

    pico: int
    input_tokens: int
    output_tokens: int
    choices: int
    bounded: bool
    method: str
    source: str
    unit_prices: dict[str, str]
    low_pico: int

    @property
    def low(self) -> Decimal:
        """USD that the call costs at least."""
        return to_usd(self.low_pico)

    @property
    def high(self) -> Decimal:
        """USD that the call costs at most, and that a hold sets aside."""
        return to_usd(self.pico)

    def __repr__(self) -> str:
        return display.listed("Estimate", *(f"{name} {text}" for name, text in self._facts()))

    def _repr_html_(self) -> str:
        return display.html_table("Estimate", (), self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        choices = f" in {self.choices} choices" if self.choices > 1 else ""
        bound = "" if self.bounded else ", the default"
        return [
            ("low", display.quantity(self.low)),
            ("high", display.quantity(self.high)),
            ("input", f"{self.input_tokens} tokens ({self.method})"),
            ("output", f"up to {self.output_tokens} tokens{choices}{bound}"),
            ("prices", self.source),
        ]


def estimate(
    model: str,
    *,
    messages: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    max_output_tokens: int | None = None,
    n: int = 1,
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS,
    at: datetime,
    most_expensive: Lookup = catalog.most_expensive,
    cheapest: Lookup = catalog.cheapest,
) -> Estimate:
    """Estimate a call of ``model`` with this prompt, priced as the list stood at ``at``.

    Each of ``n`` answers may have ``max_output_tokens``, or else ``default_output_tokens``; or
    none at all if the list has no output rate for the model, as for embeddings. *most_expensive*
    and *cheapest* look the prices up.

    *Raises* ``UnpricedModel`` when the price is not known. ``InvalidInput`` unless exactly one of
    messages and text is given, as the chat API takes it; ``InvalidAmount`` when a number is not a
    count, or the call is more than one entry holds. Retrying does not help.
    """
    bound = None if max_output_tokens is None else count(max_output_tokens, "max_output_tokens")
    assumed = count(default_output_tokens, "default_output_tokens")
    choices = count(n, "n")
    if not choices:
        raise InvalidAmount("n must be 1 or more, got 0; pass how many answers the call asks for")
    counted = count_bounds(model, messages=messages, text=text, tools=tools)
    input_tokens, method, low_tokens = counted
    source, unit_prices = most_expensive(model, input_tokens, at)
    prompt_pico, token_pico = _pico_rates(unit_prices, input_tokens)
    if token_pico is None:
        if bound:
            raise UnpricedModel(
                model,
                f"model {model!r} has no output price in {source}; leave max_output_tokens out, "
                "or hold an amount in US dollars instead",
            )
        bound, token_pico = 0, Fraction(0)
    output_tokens = choices * (assumed if bound is None else bound)
    pico = round(prompt_pico + token_pico * output_tokens)
    if output_tokens > MAX_TOKENS or pico > MAX_ENTRY_PICO:
        raise InvalidAmount(
            f"{input_tokens} tokens in and up to {output_tokens} out are more than one hold can "
            "cover; pass a smaller max_output_tokens"
        )
    _, low_prices = cheapest(model, low_tokens, at)
    low_pico = min(pico, round(_pico_rates(low_prices, low_tokens)[0]))
    return Estimate(
        pico, input_tokens, output_tokens, choices, bound is not None, method, source, unit_prices,
        low_pico,
    )  # fmt: skip


def largest_output(
    held: Estimate, available_pico: int | None = None, available_tokens: int | None = None
) -> int | None:
    """The largest ``max_output_tokens`` with which the estimated call still fits.

    None if not even the prompt fits. Of several budgets, pass the least *available* of each
    measure; None for a measure without a budget. Nothing is counted or looked up again; with the
    result as its bound, the call costs what ``estimate`` would say, to the picodollar.
    """
    prompt_pico, token_pico = _pico_rates(held.unit_prices, held.input_tokens)
    most_pico = MAX_ENTRY_PICO if available_pico is None else min(available_pico, MAX_ENTRY_PICO)
    if round(prompt_pico) > most_pico:
        return None
    tokens = MAX_TOKENS
    if available_tokens is not None:
        tokens = min(tokens, available_tokens - held.input_tokens)
    if tokens < 0:
        return None
    if token_pico is None:
        return 0
    largest = tokens // held.choices
    if token_pico:
        fit, rest = divmod(most_pico + Fraction(1, 2) - prompt_pico, token_pico * held.choices)
        if not rest and most_pico % 2:  # exactly half a picodollar too much rounds up from odd
            fit -= 1
        largest = min(largest, fit)
    return largest


def _pico_rates(
    unit_prices: Mapping[str, str], input_tokens: int
) -> tuple[Fraction, Fraction | None]:
    """Exact picodollars of the prompt and the call itself, and of one output token if any."""
    prompt, token = Fraction(0), None
    for key, usd in unit_prices.items():
        if key.startswith("output_"):
            token = _pico_each(usd, 10**6)
        elif key.endswith("_mtok"):
            prompt += _pico_each(usd, 10**6) * input_tokens
        elif key.endswith("_kcount"):
            prompt += _pico_each(usd, 10**3)
    return prompt, token


@lru_cache(maxsize=1024)  # parsing a fraction takes longer than the sums it is used in
def _pico_each(usd: str, units: int) -> Fraction:
    return Fraction(usd) * PICO / units
