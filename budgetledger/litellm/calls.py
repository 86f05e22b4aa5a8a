"""A litellm call under a hold: taken before it, settled with what it cost, released if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.callers import Caller
from budgetledger.clients.call_arguments import Kind, asking_for_usage, hold_arguments
from budgetledger.clients.metered_streams import AsyncMeteredStream, MeteredStream
from budgetledger.clients.settling import asettled, reading_of, settled
from budgetledger.errors import (
    BudgetExceededError,
    InvalidInput,
    UnpricedModel,
)
from budgetledger.holds import BaseHold, Hold
from budgetledger.journal.drafts import HoldRequest
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger
from budgetledger.litellm.error import for_litellm
from budgetledger.litellm.listed_prices import listed_rates, most_cost, stated_rates
from budgetledger.litellm.tags import call_tags
from budgetledger.money import to_usd
from budgetledger.responses.response import Reading
from budgetledger.verbs.hold_requests import prepare

FUNCTIONS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "completion": ("chat", ("model", "messages")),
    "text_completion": ("text", ("prompt", "model")),
    "embedding": ("embedding", ("model", "input")),
    "responses": ("responses", ("input", "model")),
    "image_generation": ("image", ("prompt", "model")),
}
"""Of each function that is metered the kind of call and the names of its positional arguments.
With an ``a`` before it, each is a coroutine function too."""


class Deployment(NamedTuple):
    """A model that may answer a call, and what may state its price, in LiteLLM's fields."""

    model: str
    prices: Mapping[str, Any]


class _Call(NamedTuple):
    kind: Kind
    account: str
    about: dict[str, Any]  # key and tags of the hold
    kwargs: dict[str, Any]
    asked: dict[str, Any]  # the arguments of Ledger.hold that tell what it may cost
    behind: Sequence[Deployment]  # what may answer


class LitellmMeter:
    """Meters functions of litellm, or methods of its router.

    *payer* says who pays, and takes off the call's keyword arguments those that are not litellm's.
    *deployments*: the models behind a name that a router gives them. *may_be_unpriced*: whether
    a call may be made that no price is known for.
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
        """Call *function*, which is litellm's of that *name*, under a hold."""
        call = self._prepared(name, function, args, kwargs)
        ledger = self._ledger()
        hold = self._held(ledger, call)
        try:
            response = function(*args, **call.kwargs)
        except BaseException as error:
            hold.__exit__(type(error), error, None)
            raise
        if _is_cached(response):
            settled(ledger, hold, Reading(None, None, Decimal(0)))
        elif hasattr(type(response), "__next__"):
            return MeteredStream(response, hold, self._is_free(call, hold))
        else:
            settled(ledger, hold, self._paid(call, hold, response))
        return response

    async def acall(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """`call` for one of the coroutine functions."""
        call = self._prepared(name, function, args, kwargs)
        ledger = self._ledger()
        hold = await self._aheld(ledger, call)
        try:
            response = await function(*args, **call.kwargs)
        except BaseException as error:
            await hold.__aexit__(type(error), error, None)
            raise
        if _is_cached(response):
            await asettled(ledger, hold, Reading(None, None, Decimal(0)))
        elif hasattr(type(response), "__anext__"):
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
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        told = asking_for_usage(kind, given)
        if told is not given:
            kwargs = {**kwargs, "stream_options": told["stream_options"]}
        tags = call_tags(given, given.get("metadata"), keeps_metadata=True)
        about = {"tags": {**tags, **(caller.tags or {})} or None, "key": caller.key}
        asked = hold_arguments(kind, given)
        model = asked.get("model") or ""
        behind = self._deployments(model) if self._deployments is not None else ()
        behind = behind or (Deployment(model, kwargs),)
        return _Call(kind, caller.account(), about, kwargs, asked, behind)

    # -- the hold -----------------------------------------------------------------------------

    def _held(self, ledger: Ledger, call: _Call) -> Hold:
        try:
            if not self._is_priced_apart(call):
                with suppress(UnpricedModel, *self._tolerated()):
                    return ledger.hold(call.account, **call.asked, **call.about)
            return ledger.hold(call.account, **self._priced(ledger, call), **call.about)
        except BudgetExceededError as error:
            raise for_litellm(error) from None

    async def _aheld(self, ledger: Ledger, call: _Call) -> AsyncHold:
        aledger = AsyncLedger(ledger)
        try:
            if not self._is_priced_apart(call):
                with suppress(UnpricedModel, *self._tolerated()):
                    return await aledger.hold(call.account, **call.asked, **call.about)
            priced = await asyncio.to_thread(self._priced, ledger, call)
            return await aledger.hold(call.account, **priced, **call.about)
        except BudgetExceededError as error:
            raise for_litellm(error) from None

    def _tolerated(self) -> tuple[type[Exception], ...]:
        """What may stand in the way of an estimate, and need not of the call."""
        return (UnpricedModel, InvalidInput) if self._may_be_unpriced() else ()

    def _is_priced_apart(self, call: _Call) -> bool:
        """Whether the ledger cannot know the price by the name of the model that is asked for."""
        model = call.asked.get("model")
        return any(
            behind.model != model or stated_rates(call.kind, behind.prices) is not None
            for behind in call.behind
        )

    def _priced(self, ledger: Ledger, call: _Call) -> dict[str, Any]:
        """The arguments of a hold of the dearest that the call may cost, filed under its model."""
        model, most = call.asked.get("model"), (Decimal(0), 0)
        try:
            for behind in call.behind:
                most = max(most, self._cost(ledger, call, behind))
        except self._tolerated():
            pass
        return {"amount": most[0], "tokens": most[1], "model": model}

    def _cost(self, ledger: Ledger, call: _Call, behind: Deployment) -> tuple[Decimal, int]:
        """USD and tokens: by prices that are stated, those the ledger knows, those litellm does."""
        asked: dict[str, Any] = {
            "messages": None,
            "text": None,
            "tools": None,
            "n": 1,
            "max_output_tokens": None,
        }
        asked |= call.asked | {"model": behind.model}
        journal = journal_of(ledger)
        known = stated_rates(call.kind, behind.prices)
        if known is None:
            with suppress(UnpricedModel):
                draft, _, unpriced = prepare(journal, HoldRequest(**asked))
                if unpriced is None:
                    return to_usd(draft.held_pico or 0), draft.held_tokens or 0
            known = listed_rates(call.kind, behind.model, _listed())
        if known is None:
            raise UnpricedModel(
                behind.model,
                f"no price is known for model {behind.model!r}, so that nothing can be held for "
                "the call; pass input_cost_per_token= and output_cost_per_token= with it (0 if "
                "it is free), or register them with litellm.register_model",
            )
        assumed = journal.default_output_tokens
        most = most_cost(call.kind, behind.model, known, call.asked, assumed)
        return to_usd(most.pico), most.input_tokens + most.output_tokens

    # -- the answer ---------------------------------------------------------------------------

    def _paid(self, call: _Call, hold: BaseHold, response: object) -> Reading:
        told = reading_of(response)
        return told._replace(cost=Decimal(0)) if self._is_free(call, hold) else told

    def _is_free(self, call: _Call, hold: BaseHold) -> bool:
        """Whether the price is stated to be 0: nothing being held may mean that it is unknown."""
        if hold.amount:
            return False
        return all(_is_listed_free(call.kind, behind) for behind in call.behind)


@lru_cache(maxsize=64)
def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the positional arguments; none for a function that only passes its own on."""
    every = signature(function).parameters.values()
    names = [each.name for each in every if each.kind is each.POSITIONAL_OR_KEYWORD]
    return tuple(name for name in names if name != "self")


def _is_listed_free(kind: Kind, behind: Deployment) -> bool:
    known = stated_rates(kind, behind.prices) or listed_rates(kind, behind.model, _listed())
    return known is not None and known.are_free


def _listed() -> Mapping[str, Mapping[str, Any]]:
    import litellm

    listed: Mapping[str, Mapping[str, Any]] = litellm.model_cost
    return listed


def _is_cached(response: object) -> bool:
    """Whether litellm answered from its cache; its figure is then what the answer once cost."""
    hidden = getattr(response, "_hidden_params", None)
    told = hidden.get("cache_hit") if isinstance(hidden, Mapping) else None
    return (getattr(hidden, "cache_hit", None) if told is None else told) is True
