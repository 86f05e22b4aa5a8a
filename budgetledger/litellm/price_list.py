"""LiteLLM's list of prices, ``litellm.model_cost``, without the zeros that LiteLLM made up.

Before 1.90 LiteLLM gives a model without a price the price 0 when it registers it a second time
(github.com/BerriAI/litellm/issues/30198): for a second deployment of it, or a Router built again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

_Prices = Mapping[str, Mapping[str, Any]]
_MADE_UP = frozenset({"input_cost_per_token", "output_cost_per_token"})


def price_list(listed: _Prices) -> _Prices:
    """*listed*, which is ``litellm.model_cost``, as far as somebody stated its prices."""
    return _Stated(listed) if _makes_up_zeros() else listed


class _Stated(Mapping[str, Mapping[str, Any]]):
    """Keeps a price of 0 only if LiteLLM's file has it, or if it was registered once."""

    def __init__(self, listed: _Prices) -> None:
        self._listed = listed

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        prices = self._listed[name]
        if not isinstance(prices, Mapping):  # an application may put anything there
            return prices
        key = prices.get("key")  # LiteLLM adds it at the second registration
        zeros = {field for field in _MADE_UP if prices.get(field) == 0} if key else set()
        if not zeros:
            return prices
        shipped = _shipped().get(str(key), {})
        made_up = {field for field in zeros if shipped.get(field) != 0}
        return {field: value for field, value in prices.items() if field not in made_up}

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


@cache
def _makes_up_zeros() -> bool:
    try:
        major, minor = version("litellm").split(".")[:2]
        return (int(major), int(minor)) < (1, 90)
    except (PackageNotFoundError, ValueError):  # a copy of LiteLLM that was not installed
        return False


@cache
def _shipped() -> _Prices:
    """The list in LiteLLM's package; the one it fetches may have more models."""
    file = files("litellm") / "model_prices_and_context_window_backup.json"
    shipped: _Prices = json.loads(file.read_text(encoding="utf-8"))
    return shipped
