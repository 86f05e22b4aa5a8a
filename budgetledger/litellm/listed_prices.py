"""What litellm knows a model to cost, where no other price list does. Pure.

Users of litellm register prices with it, or pass them with the call; and its own list says of
local models that they cost nothing. A price that is not stated is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple


class Rates(NamedTuple):
    """USD of one token."""

    input: Decimal
    output: Decimal

    @property
    def are_free(self) -> bool:
        """Whether both are stated to be 0."""
        return not (self.input or self.output)

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """USD of a call."""
        return self.input * input_tokens + self.output * output_tokens


def rates(
    model: str,
    stated: Iterable[Mapping[str, Any]],
    listed: Mapping[str, Mapping[str, Any]],
    *,
    has_output: bool = True,
) -> Rates | None:
    """The rates of *model*: as *stated* with the call, else as *listed* in ``litellm.model_cost``.

    None where one that matters is not stated, or the price is not by token.
    """
    names = [model, model.partition("/")[2]]
    places = [*stated, *(listed.get(name) or {} for name in names if name)]
    for place in places:
        if not isinstance(place, Mapping):
            continue
        input_rate = _usd(place.get("input_cost_per_token"))
        output_rate = _usd(place.get("output_cost_per_token")) if has_output else Decimal(0)
        if input_rate is not None and output_rate is not None:
            return Rates(input_rate, output_rate)
    return None


def _usd(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return exact if exact.is_finite() and exact >= 0 else None
