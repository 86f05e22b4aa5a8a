"""What a call of one of the Proxy's models may cost at most. Pure.

A model's name there stands for one or several deployments; which one answers is not known
before, so the dearest is held for. What LiteLLM will price an answer at comes first: prices in
the Proxy's configuration alone, else the dearer of its own list and the shipped one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from budgetledger.clients.call_arguments import Kind, hold_arguments
from budgetledger.errors import UnpricedModel
from budgetledger.money import PICO, count
from budgetledger.pricing import catalog as _catalog
from budgetledger.pricing.estimates import Lookup, estimate
from budgetledger.tokens import count_tokens

_KINDS: dict[str, Kind] = {
    "completion": "chat",
    "acompletion": "chat",
    "text_completion": "text",
    "atext_completion": "text",
    "embedding": "embedding",
    "embeddings": "embedding",
    "aembedding": "embedding",
    "responses": "responses",
    "aresponses": "responses",
    "anthropic_messages": "messages",
    "aanthropic_messages": "messages",
    "image_generation": "image",
    "aimage_generation": "image",
    "image_edit": "image",
    "aimage_edit": "image",
}


class Quote(NamedTuple):
    """What to hold: picodollars and tokens."""

    pico: int
    tokens: int
    input_tokens: int
    is_free: bool = False
    """Whether a deployment's price is stated to be 0."""


LEAST = Quote(1, 1, 0)
"""For a call nobody can estimate: refused only once a budget is used up."""


def quote(
    call_type: str,
    call: Mapping[str, Any],
    deployments: Sequence[Mapping[str, Any]],
    listed: Mapping[str, Mapping[str, Any]],
    default_output_tokens: int,
    at: datetime,
    dearest: Lookup = _catalog.dearest,
) -> Quote:
    """What *call* costs at most on the dearest of *deployments*, as the Router lists them.

    *listed*: ``litellm.model_cost``. *dearest* looks up what is not there. Raises `UnpricedModel`
    unless the price of each is known; `InvalidInput` for a call that no model would take.
    """
    kind = _KINDS.get(call_type)
    if kind is None:
        return LEAST
    if not deployments:  # it is called by its own name, or the Proxy finds none either
        deployments = [{"litellm_params": {"model": call["model"]}}]
    quotes = [
        _quote(kind, call, deployment, listed, default_output_tokens, at, dearest)
        for deployment in deployments
    ]
    return Quote(
        max(quote.pico for quote in quotes),
        max(quote.tokens for quote in quotes),
        max(quote.input_tokens for quote in quotes),
        any(quote.is_free for quote in quotes),
    )


def _quote(
    kind: Kind,
    call: Mapping[str, Any],
    deployment: Mapping[str, Any],
    listed: Mapping[str, Mapping[str, Any]],
    assumed: int,
    at: datetime,
    dearest: Lookup,
) -> Quote:
    params, info = deployment.get("litellm_params") or {}, deployment.get("model_info") or {}
    model = info.get("base_model") or params.get("base_model") or params.get("model") or ""
    arguments = hold_arguments(kind, {**params, **call, "model": model})
    del arguments["model"]
    configured = _stated(params, info, listed.get(info.get("id") or ""))
    known = configured or _stated(listed.get(model), listed.get(model.partition("/")[2]))
    found = None
    if configured is None:
        try:
            priced = estimate(
                model, **arguments, default_output_tokens=assumed, at=at, dearest=dearest
            )
            tokens = priced.input_tokens + priced.output_tokens
            found = Quote(priced.pico, tokens, priced.input_tokens)
        except UnpricedModel:
            if known is None:
                raise
    if known is not None:
        by_rates = _by_rates(kind, model, known, arguments, assumed)
        found = by_rates if found is None else max(found, by_rates)
    assert found is not None
    return found


def _stated(*places: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The first that says what a token costs; LiteLLM lists what it does not know as empty."""
    for place in places:
        if place and place.get("input_cost_per_token") is not None:
            return place
    return None


def _by_rates(
    kind: Kind, model: str, rates: Mapping[str, Any], arguments: Mapping[str, Any], assumed: int
) -> Quote:
    prompt = {name: arguments.get(name) for name in ("messages", "text", "tools")}
    input_tokens = count_tokens(model, **prompt).tokens
    bound = assumed if kind != "embedding" else 0
    if "max_output_tokens" in arguments:
        bound = count(arguments["max_output_tokens"], "max_output_tokens")
    output_tokens = bound * count(arguments.get("n", 1), "n")
    input_rate = _rate(rates, "input_cost_per_token", "cache_creation_input_token_cost")
    names = ["output_cost_per_token"]
    if kind == "image":
        names.append("output_cost_per_image_token")
    output_rate = _rate(rates, *names)
    usd = input_rate * input_tokens + output_rate * output_tokens
    return Quote(
        round(usd * PICO), input_tokens + output_tokens, input_tokens, not input_rate + output_rate
    )


def _rate(rates: Mapping[str, Any], *names: str) -> Decimal:
    return max(Decimal(str(rates.get(name) or 0)) for name in names)
