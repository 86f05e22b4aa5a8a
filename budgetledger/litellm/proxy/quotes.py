"""The most that a call of one of the Proxy's models may cost. Pure.

A model's name in the Proxy stands for one or several deployments, any of which may answer, so the
hold uses the most expensive. Prices in the Proxy's configuration replace all others, since LiteLLM
bills by them; without one, the higher price of LiteLLM's list and the shipped list counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from budgetledger.apis.call_arguments import Kind, hold_arguments
from budgetledger.errors import UnpricedModel
from budgetledger.litellm.listed_prices import (
    listed_rates,
    models_of,
    most_cost,
    prices_of_deployment,
    stated_rates,
)
from budgetledger.litellm.proxy.call_kinds import ESTIMATED, Unit, plain_kind
from budgetledger.litellm.proxy.unit_costs import ranked_texts, unit_pico
from budgetledger.pricing import catalog as _catalog
from budgetledger.pricing.estimates import Lookup, estimate

_DEFAULT_MODELS = {"moderation": "omni-moderation-latest"}  # where the client names none


class Quote(NamedTuple):
    """An amount to hold, in picodollars, and tokens."""

    pico: int
    tokens: int
    input_tokens: int
    is_free: bool = False
    """Whether a deployment's price is stated as 0."""


LEAST = Quote(1, 1, 0)
"""The hold of a call that cannot be estimated; refused only once a budget is exhausted."""


def models_behind(deployments: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The models of *deployments*, any of which may answer."""
    stated = (
        prices_of_deployment(each.get("litellm_params") or {}, each.get("model_info") or {})
        for each in deployments
    )
    return tuple(name for one in stated for name in models_of(one))


def quote(
    call_type: str,
    call: Mapping[str, Any],
    deployments: Sequence[Mapping[str, Any]],
    listed: Mapping[str, Mapping[str, Any]],
    default_output_tokens: int,
    at: datetime,
    most_expensive: Lookup = _catalog.most_expensive,
) -> Quote:
    """The most that *call* costs on any of *deployments*, as the Router lists them.

    *listed*: ``litellm.model_cost``. *most_expensive* looks up other prices. Raises
    `UnpricedModel` unless the price of each is known; `InvalidInput` for a call that no model
    accepts.
    """
    name = plain_kind(call_type)
    kind, model = ESTIMATED.get(name), call.get("model") or _DEFAULT_MODELS.get(name)
    if kind is None or not (deployments or model):
        return LEAST
    if not deployments:  # the call names a model itself, or the Proxy refuses it
        deployments = [{"litellm_params": {"model": model}}]
    quotes = [
        _quote(kind, call, deployment, listed, default_output_tokens, at, most_expensive)
        for deployment in deployments
    ]
    return Quote(
        max(quote.pico for quote in quotes),
        max(quote.tokens for quote in quotes),
        max(quote.input_tokens for quote in quotes),
        any(quote.is_free for quote in quotes),
    )


def _quote(
    kind: Kind | Unit,
    call: Mapping[str, Any],
    deployment: Mapping[str, Any],
    listed: Mapping[str, Mapping[str, Any]],
    assumed: int,
    at: datetime,
    most_expensive: Lookup,
) -> Quote:
    params, info = deployment.get("litellm_params") or {}, deployment.get("model_info") or {}
    model = info.get("base_model") or params.get("base_model") or params.get("model") or ""
    prices, registered = prices_of_deployment(params, info), listed.get(info.get("id") or "")
    if kind == "speech" or kind == "rerank" or kind == "video":
        by_name = listed.get(model), listed.get(model.partition("/")[2])
        pico = unit_pico(kind, {**params, **call}, (prices, registered, *by_name))
        if pico or kind != "rerank":
            return LEAST if pico is None else Quote(pico, 1, 0, pico == 0)
        kind, call = "embedding", {**call, "input": ranked_texts(call)}  # billed by tokens
    arguments = hold_arguments(kind, {**params, **call, "model": model})
    del arguments["model"]
    configured = stated_rates(kind, prices, registered)
    known = configured or listed_rates(kind, model, listed)
    quotes = []
    if configured is None:
        try:
            priced = estimate(
                model,
                **arguments,
                default_output_tokens=assumed,
                at=at,
                most_expensive=most_expensive,
            )
            tokens = priced.input_tokens + priced.output_tokens
            quotes.append(Quote(priced.pico, tokens, priced.input_tokens))
        except UnpricedModel:
            if known is None:
                raise
    if known is not None and (known.are_complete or not quotes):
        most = most_cost(kind, model, known, arguments, assumed)
        quotes.append(Quote(most.pico, most.tokens, most.input_tokens, known.are_free))
    return max(quotes)
