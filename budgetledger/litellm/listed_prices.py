"""LiteLLM's prices of a model: those stated with a call or a deployment, and those in its list.

The fields are those of ``litellm.model_cost``; they also occur in a call's keyword arguments, in
``litellm_params`` and in ``model_info``. A price that is not stated is unknown, never 0. A price
stated as 0 is free. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from budgetledger.apis.call_arguments import Kind
from budgetledger.errors import InvalidAmount, UnpricedModel
from budgetledger.money import PICO, count, exact_usd
from budgetledger.tokens import count_tokens

# The most expensive prices that may apply to a token: a provider may cache a prompt without a
# request to do so, and a model may use its whole answer for reasoning.
_INPUT = ("input_cost_per_token", "cache_creation_input_token_cost")
_OUTPUT = ("output_cost_per_token", "output_cost_per_reasoning_token")
_IMAGE_TOKEN, _IMAGE = "output_cost_per_image_token", "output_cost_per_image"


class Rates(NamedTuple):
    """USD per token, and per answer that is billed as an image; None is unknown."""

    input: Decimal | None
    output: Decimal | None
    image: Decimal = Decimal(0)

    @property
    def are_complete(self) -> bool:
        """Whether the price of everything that a call is billed for is known."""
        return self.input is not None and self.output is not None

    @property
    def are_free(self) -> bool:
        """Whether all of them are stated as 0."""
        return self.are_complete and not any(self)


class MostCost(NamedTuple):
    """The most that a call may cost: picodollars, rounded half-even once, and tokens."""

    pico: int
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """The tokens of the prompt and of the answer together."""
        return self.input_tokens + self.output_tokens


def prices_of_deployment(params: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a deployment's ``model_info``; those of its ``litellm_params`` come first."""
    return {**info, **{name: value for name, value in params.items() if value is not None}}


def models_of(deployment: Mapping[str, Any]) -> list[str]:
    """The model of a deployment, and the one that its ``base_model`` says it is.

    *deployment*: as `prices_of_deployment` returns it. Patterns, such as ``openai/*``, are none.
    """
    names = [deployment.get(field) for field in ("model", "base_model")]
    return [name for name in names if isinstance(name, str) and name and "*" not in name]


def stated_rates(kind: Kind, *places: Mapping[str, Any] | None) -> Rates | None:
    """The rates in the first of *places* that states any for such a call; None if none does.

    A rate that this place leaves out, or does not state as an amount, is unknown: LiteLLM reads
    no other place for it and bills that part at 0.
    """
    fields = _INPUT[:1] if kind == "embedding" else (_INPUT[0], _OUTPUT[0])
    if kind == "image":
        fields = (*fields, _IMAGE_TOKEN)
    for place in places:
        if isinstance(place, Mapping) and any(place.get(name) is not None for name in fields):
            return _rates(kind, place)
    return None


def listed_rates(kind: Kind, model: str, listed: Mapping[str, Mapping[str, Any]]) -> Rates | None:
    """The rates of *model* in *listed*, which is ``litellm.model_cost``, or None.

    LiteLLM lists a model whose price it does not know without these fields.
    """
    return stated_rates(kind, listed.get(model), listed.get(model.partition("/")[2]))


def most_cost(
    kind: Kind, model: str, rates: Rates, call: Mapping[str, Any], default_output_tokens: int
) -> MostCost:
    """The most that *call*, the arguments of `Ledger.hold`, costs at these rates.

    Raises `UnpricedModel` for incomplete rates, `InvalidInput` for a call that no model accepts.
    """
    if rates.input is None or rates.output is None:
        missing = _INPUT[0] if rates.input is None else _OUTPUT[0]
        raise UnpricedModel(
            model,
            f"only a part of the price of model {model!r} is known, so nothing can be held for "
            f"the call; state its {missing} in US dollars too, 0 if that is free",
        )
    prompt = {name: call.get(name) for name in ("messages", "text", "tools")}
    input_tokens = count_tokens(model, **prompt).at_most
    longest = call.get("max_output_tokens")
    if longest is None:
        longest = 0 if kind == "embedding" else default_output_tokens
    answers = count(call.get("n", 1), "n")
    output_tokens = answers * count(longest, "max_output_tokens")
    # An image is billed by its tokens or by itself.
    answer = max(Fraction(rates.output) * output_tokens, Fraction(rates.image) * answers)
    pico = round((Fraction(rates.input) * input_tokens + answer) * PICO)
    return MostCost(pico, input_tokens, output_tokens)


def _rates(kind: Kind, place: Mapping[str, Any]) -> Rates:
    input_rate = _highest(place, *_INPUT)
    if kind == "embedding":
        return Rates(input_rate, Decimal(0))
    output_rate, image = _highest(place, *_OUTPUT), _highest(place, _IMAGE)
    if kind == "image":
        token = _highest(place, _IMAGE_TOKEN)
        known = [rate for rate in (output_rate, token) if rate is not None]
        output_rate = max(known, default=None if image is None else Decimal(0))
    return Rates(input_rate, output_rate, image or Decimal(0))


def _highest(place: Mapping[str, Any], name: str, *more: str) -> Decimal | None:
    """The highest of these prices; None if the first is not stated, or one is not an amount."""
    if place.get(name) is None:
        return None
    stated = {field: place[field] for field in (name, *more) if place.get(field) is not None}
    try:
        return max(exact_usd(_without_blanks(usd), field) for field, usd in stated.items())
    except InvalidAmount:
        return None


def _without_blanks(usd: Any) -> Any:
    """A price as text without the blanks around it, as LiteLLM reads and bills it."""
    return usd.strip() if isinstance(usd, str) else usd
