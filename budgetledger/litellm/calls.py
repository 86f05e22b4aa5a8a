"""A litellm call under a hold, which is settled with the call's cost or released if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

from budgetledger.aio import AsyncHold, AsyncLedger, requested_ahold
from budgetledger.apis.call_arguments import Kind, asking_for_usage, hold_arguments
from budgetledger.callers import Caller
from budgetledger.clients.metered_streams import AsyncMeteredStream, MeteredStream
from budgetledger.clients.settling import asettled, reading_for, settled
from budgetledger.errors import (
    BudgetExceededError,
    InvalidInput,
    UnpricedModel,
)
from budgetledger.holds import BaseHold, Hold, called_at, nested
from budgetledger.journal.drafts import HoldRequest
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger, ledger_at, requested_hold
from budgetledger.litellm.exceeded_error import as_litellm_error
from budgetledger.litellm.listed_prices import listed_rates, models_of, most_cost, stated_rates
from budgetledger.litellm.price_list import price_list
from budgetledger.litellm.tags import call_tags
from budgetledger.money import to_usd
from budgetledger.responses.called_at import called_at as places_of
from budgetledger.responses.response import Reading
from budgetledger.verbs.hold_requests import prepare

FUNCTIONS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "completion": ("chat", ("model", "messages")),
    "text_completion": ("text", ("prompt", "model")),
    "embedding": ("embedding", ("model", "input")),
    "responses": ("responses", ("input", "model")),
    "image_generation": ("image", ("prompt", "model")),
}
"""The metered functions: the kind of call, and the names of the positional arguments. Each also
has a coroutine function, whose name has an ``a`` in front."""


class Deployment(NamedTuple):
    """A model that may answer a call, and a mapping that may state its price."""

    model: str
    prices: Mapping[str, Any]


class _Call(NamedTuple):
    kind: Kind
    account: str
    labels: dict[str, Any]  # key and tags of the hold
    kwargs: dict[str, Any]
    prompt: dict[str, Any]  # the arguments of Ledger.hold from which it is estimated
    deployments: Sequence[Deployment]  # any of which may answer

    def request(self, **how_much: Any) -> HoldRequest:
        """The request of a hold, which names the models that may answer."""
        models = [
            name
            for each in self.deployments
            for name in models_of({**each.prices, "model": each.model})
        ]
        return HoldRequest(**how_much, **self.labels, may_answer=tuple(models))


class LitellmMeter:
    """Meters functions of litellm, or methods of its router.

    *payer* returns the caller that pays, and removes keyword arguments that are not litellm's.
    *deployments*: the models behind a router's name. *may_be_unpriced*: whether a call without a
    known price may be sent.
    """

    def __init__(
        self,
        ledger: Callable[[], Ledger],
        payer: Callable[[dict[str, Any]], Caller],
        deployments: Callable[[str], Sequence[Deployment]] | None = None,
        may_be_unpriced: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger, self._payer = ledger, payer
        self._deployments, self._may_be_unpriced = deployments, may_be_unpriced

    def call(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call *function*, litellm's function of that *name*, under a hold."""
        call = self._prepared(name, function, args, kwargs)
        ledger = ledger_at(self._ledger(), *_places(call.kwargs))
        hold = self._held(ledger, call)
        try:
            with nested(hold):
                response = function(*args, **call.kwargs)
        except BaseException as error:
            hold.__exit__(type(error), error, None)
            raise
        if _is_cached(response):
            settled(ledger, hold, Reading(None, None, Decimal(0)))
        elif hasattr(type(response), "__next__"):
            called_at(hold, *places_of(response))
            return MeteredStream(response, hold, self._is_free(call, hold))
        else:
            settled(ledger, hold, self._paid(call, hold, response))
        return response

    async def acall(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """`call` for one of the coroutine functions."""
        call = self._prepared(name, function, args, kwargs)
        ledger = ledger_at(self._ledger(), *_places(call.kwargs))
        hold = await self._aheld(ledger, call)
        try:
            with nested(hold):
                response = await function(*args, **call.kwargs)
        except BaseException as error:
            await hold.__aexit__(type(error), error, None)
            raise
        if _is_cached(response):
            await asettled(ledger, hold, Reading(None, None, Decimal(0)))
        elif hasattr(type(response), "__anext__"):
            called_at(hold, *places_of(response))
            return AsyncMeteredStream(response, hold, self._is_free(call, hold))
        else:
            await asettled(ledger, hold, self._paid(call, hold, response))
        return response

    def _prepared(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Call:
        kind, names = FUNCTIONS[name]
        caller = self._payer(kwargs)
        names = _positional(getattr(function, "__func__", function)) or names
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        with_usage = asking_for_usage(kind, arguments)
        if with_usage is not arguments:
            kwargs = {**kwargs, "stream_options": with_usage["stream_options"]}
        tags = call_tags(arguments, arguments.get("metadata"), keeps_metadata=True)
        labels = {"tags": {**tags, **(caller.tags or {})} or None, "key": caller.key}
        prompt = hold_arguments(kind, arguments)
        model = prompt.get("model") or ""
        deployments = self._deployments(model) if self._deployments is not None else ()
        deployments = deployments or (Deployment(_unaliased(name, model), kwargs),)
        return _Call(kind, caller.account(), labels, kwargs, prompt, deployments)

    # -- the hold -----------------------------------------------------------------------------

    def _held(self, ledger: Ledger, call: _Call) -> Hold:
        try:
            if not self._is_priced_apart(call):
                with suppress(UnpricedModel, *self._tolerated()):
                    return requested_hold(ledger, call.account, call.request(**call.prompt))
            priced = self._priced(ledger, call)
            return requested_hold(ledger, call.account, call.request(**priced))
        except BudgetExceededError as error:
            raise as_litellm_error(error) from None

    async def _aheld(self, ledger: Ledger, call: _Call) -> AsyncHold:
        aledger = AsyncLedger(ledger)
        try:
            if not self._is_priced_apart(call):
                with suppress(UnpricedModel, *self._tolerated()):
                    return await requested_ahold(aledger, call.account, call.request(**call.prompt))
            priced = await asyncio.to_thread(self._priced, ledger, call)
            return await requested_ahold(aledger, call.account, call.request(**priced))
        except BudgetExceededError as error:
            raise as_litellm_error(error) from None

    def _tolerated(self) -> tuple[type[Exception], ...]:
        """Errors of an estimate that do not prevent the call."""
        return (UnpricedModel, InvalidInput) if self._may_be_unpriced() else ()

    def _is_priced_apart(self, call: _Call) -> bool:
        """Whether the ledger cannot find the price by the name of the model."""
        model = call.prompt.get("model")
        return any(
            each.model != model or stated_rates(call.kind, each.prices) is not None
            for each in call.deployments
        )

    def _priced(self, ledger: Ledger, call: _Call) -> dict[str, Any]:
        """Arguments for a hold of the most that any deployment costs, under the call's model."""
        costs = [(0, 0)]
        with suppress(*self._tolerated()):
            for each in call.deployments:
                costs.append(self._cost(ledger, call, each))
        pico, tokens = (max(parts) for parts in zip(*costs, strict=True))
        return {"amount": to_usd(pico), "tokens": tokens, "model": call.prompt.get("model")}

    def _cost(self, ledger: Ledger, call: _Call, deployment: Deployment) -> tuple[int, int]:
        """The most that *call* may cost, in picodollars, and its most tokens.

        Uses the prices stated with *deployment*, else the ledger's, else litellm's list.
        """
        journal = journal_of(ledger_at(ledger, *_places(deployment.prices)))
        model = deployment.model
        rates = stated_rates(call.kind, deployment.prices)
        if rates is None:
            with suppress(UnpricedModel):
                request = HoldRequest(**call.prompt | {"model": model})
                draft, _, unpriced = prepare(journal, request)
                if unpriced is None:
                    return draft.held_pico or 0, draft.held_tokens or 0
            rates = listed_rates(call.kind, model, _listed())
        if rates is None:
            raise UnpricedModel(
                model,
                f"no price is known for model {model!r}, so nothing can be held for the call; "
                "pass input_cost_per_token= and output_cost_per_token= with it (0 if it is free), "
                "or register them with litellm.register_model",
            )
        most = most_cost(call.kind, model, rates, call.prompt, journal.default_output_tokens)
        return most.pico, most.tokens

    # -- the answer ---------------------------------------------------------------------------

    def _paid(self, call: _Call, hold: BaseHold, response: object) -> Reading:
        reading = reading_for(hold, response)
        return reading._replace(cost=Decimal(0)) if self._is_free(call, hold) else reading

    def _is_free(self, call: _Call, hold: BaseHold) -> bool:
        """Whether the price is stated as 0. A hold of 0 may also mean an unknown price."""
        if hold.amount:
            return False
        return all(_is_stated_free(call.kind, each) for each in call.deployments)


@lru_cache(maxsize=64)
def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the positional arguments; none for a function that takes ``*args``."""
    every = signature(function).parameters.values()
    names = [each.name for each in every if each.kind is each.POSITIONAL_OR_KEYWORD]
    return tuple(name for name in names if name != "self")


def _places(arguments: Mapping[str, Any]) -> list[str]:
    """Where a call with these arguments is made, or one of a deployment."""
    names = ("api_base", "base_url", "custom_llm_provider")
    return [place for name in names if isinstance(place := arguments.get(name), str)]


def _is_stated_free(kind: Kind, deployment: Deployment) -> bool:
    model, prices = deployment
    rates = stated_rates(kind, prices) or listed_rates(kind, model, _listed())
    return rates is not None and rates.are_free


def _unaliased(function: str, model: str) -> str:
    """The model that litellm's *function* calls for the name *model*."""
    import litellm

    aliases = litellm.model_alias_map if function == "completion" else None
    named = aliases.get(model, model) if isinstance(aliases, Mapping) else model
    return named if isinstance(named, str) else model


def _listed() -> Mapping[str, Mapping[str, Any]]:
    import litellm

    return price_list(litellm.model_cost)


def _is_cached(response: object) -> bool:
    """Whether litellm answered from its cache. Its cost is then that of the first answer."""
    hidden = getattr(response, "_hidden_params", None)
    is_hit = hidden.get("cache_hit") if isinstance(hidden, Mapping) else None
    return (getattr(hidden, "cache_hit", None) if is_hit is None else is_hit) is True
