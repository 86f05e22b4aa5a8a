"""`metered`: a decorator that puts a hold around any function that calls a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar, cast

from budgetledger.aio import AsyncHold, AsyncLedger, awaited_hold
from budgetledger.callers import Caller, current, pop_caller
from budgetledger.clients.call_arguments import Kind, hold_arguments, is_list
from budgetledger.clients.driven_generators import AsyncGeneratorProxy, GeneratorProxy
from budgetledger.clients.metered_streams import AsyncMeteredStream, MeteredStream
from budgetledger.clients.settling import asettled, reading_for, settled
from budgetledger.errors import UnpricedModel
from budgetledger.holds import Hold, plain_hold
from budgetledger.ledger import Ledger
from budgetledger.money import Amount, to_usd

__all__ = ["metered"]

F = TypeVar("F", bound=Callable[..., Any])

# Not 0, which every budget grants: this is refused by an exhausted budget.
_LEAST = {"amount": to_usd(1), "tokens": 1}


def metered(
    ledger: Ledger | AsyncLedger,
    user: str | None = None,
    amount: Amount | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Decorate a function that calls a model: hold before it runs, settle with what it returns.

    The function returns a response or a stream, or yields the chunks of a stream. An exception
    releases the hold. The hold is estimated from the function's arguments if they have a
    ``model`` and a prompt (``messages``, ``input`` or ``prompt``; also ``tools``, ``max_tokens``
    and so on, as the APIs name them). Otherwise it is `amount` USD; without that, the smallest
    possible amount (10⁻¹² USD and one token), which is refused only once a budget is exhausted.

    `user`: the account of the calls, unless ``with ledger.as_user(...)`` or ``budget_user=``
    names another. `tags`: JSON values, stored with the rows. Calls also accept ``budget_user=``,
    ``budget_tags=`` and ``budget_key=``, which are not passed to the function.

    It works for plain and ``async`` functions and generators; generators are held for when they
    start. Enter a stream's context manager inside the function. A result without usage is
    recorded as unpriced, with an `UnpricedWarning`. Do not also `wrap` the client that the
    function uses, or the call counts twice.

    The function raises the errors of `Ledger.hold` before it runs, and `InvalidInput` if there
    is no user.

    Example:
        >>> from budgetledger import Ledger, metered
        >>> ledger = Ledger("spend.db")
        >>> budget = ledger.set_budget("alice", "10.00", per="month")
        >>> @metered(ledger)
        ... def ask(model, messages, max_tokens):  # calls any API that reports its usage
        ...     return {"model": model, "usage": {"prompt_tokens": 8, "completion_tokens": 5}}
        >>> messages = [{"role": "user", "content": "Hello"}]
        >>> response = ask("gpt-4o", messages, max_tokens=500, budget_user="alice")
        >>> print(ledger.balance("alice").posted)
        0.00007
    """
    plain = ledger.ledger if isinstance(ledger, AsyncLedger) else ledger
    meter = _Meter(plain, Caller(user, tags), amount)

    def decorate(function: F) -> F:
        kind = next((made for is_kind, made in _WRAPPERS if is_kind(function)), _plain)
        return cast(F, wraps(function)(kind(meter, function, inspect.signature(function))))

    return decorate


class _Meter(NamedTuple):
    ledger: Ledger
    own: Caller
    amount: Amount | None

    def terms(
        self, takes: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Arguments for `Ledger.hold`, the first choice first; the next if no price is known."""
        caller = pop_caller(kwargs).over(current()).over(self.own)
        common = {"account": caller.account(), "tags": caller.tags, "key": caller.key}
        bound = takes.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for name, parameter in takes.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name)
        for name in ("tools", "functions"):
            if not _are_objects(arguments.get(name)):
                arguments.pop(name, None)
        kind = _kind(arguments)
        amounts = []
        if kind is not None:
            amounts.append(hold_arguments(kind, arguments))
        if self.amount is not None:
            amounts.append({"amount": self.amount})
        return [amount | common for amount in amounts or [_LEAST]]

    def hold(self, terms: list[dict[str, Any]]) -> Hold:
        *others, last = terms
        for each in others:
            try:
                return self.ledger.hold(**each)
            except UnpricedModel:
                pass
        return self.ledger.hold(**last)

    async def ahold(self, terms: list[dict[str, Any]]) -> AsyncHold:
        ledger = AsyncLedger(self.ledger)
        *others, last = terms
        for each in others:
            try:
                return await ledger.hold(**each)
            except UnpricedModel:
                pass
        return await ledger.hold(**last)


def _kind(arguments: Mapping[str, Any]) -> Kind | None:
    """The API that a call with these arguments uses; None if its cost cannot be estimated."""
    model = arguments.get("model")
    if not isinstance(model, str):
        return None
    kind: Kind
    if arguments.get("messages") is not None:
        name, kind = "messages", "messages" if arguments.get("system") is not None else "chat"
    elif arguments.get("input") is not None:
        name, kind = "input", "embedding" if "embed" in model.lower() else "responses"
    else:
        name, kind = "prompt", "text"
    prompt = arguments.get(name)
    is_prompt = _are_texts if kind in ("text", "embedding") else _are_objects
    return kind if isinstance(prompt, str) or is_prompt(prompt) else None


def _are_objects(value: Any) -> bool:
    """Whether `value` is a list of messages or tools, and not something else of that name."""
    return is_list(value) and all(
        isinstance(item, Mapping) or hasattr(item, "model_dump") for item in value
    )


def _are_texts(value: Any) -> bool:
    """Whether `value` is a list of texts, or of their tokens."""
    return is_list(value) and all(isinstance(item, str | int | Sequence) for item in value)


def _plain(meter: _Meter, function: Any, takes: inspect.Signature) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        hold = meter.hold(meter.terms(takes, args, kwargs))
        try:
            returned = function(*args, **kwargs)
        except BaseException as error:
            hold.__exit__(type(error), error, None)
            raise
        if hasattr(type(returned), "__next__"):
            return MeteredStream(returned, hold)
        if inspect.iscoroutine(returned):  # but not a task, which runs without being awaited
            return _answered(meter.ledger, awaited_hold(hold), lambda: returned)
        if hasattr(type(returned), "__anext__"):
            return AsyncMeteredStream(returned, awaited_hold(hold))
        settled(meter.ledger, hold, reading_for(hold, returned))
        return returned

    return call


def _coroutine(meter: _Meter, function: Any, takes: inspect.Signature) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        hold = await meter.ahold(meter.terms(takes, args, kwargs))
        return await _answered(meter.ledger, hold, partial(function, *args, **kwargs))

    return call


async def _answered(ledger: Ledger, hold: AsyncHold, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Await the response, which settles the hold; an exception releases it."""
    try:
        returned = await ask()
    except BaseException as error:
        await hold.__aexit__(type(error), error, None)
        raise
    if hasattr(type(returned), "__anext__"):
        return AsyncMeteredStream(returned, hold)
    if hasattr(type(returned), "__next__"):
        return MeteredStream(returned, plain_hold(hold))
    await asettled(ledger, hold, reading_for(hold, returned))
    return returned


def _generator(meter: _Meter, function: Any, takes: inspect.Signature) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with meter.hold(meter.terms(takes, args, kwargs)) as hold:
            proxy = GeneratorProxy(function(*args, **kwargs))
            for chunk in hold.stream(proxy):
                with proxy:
                    proxy.sent = yield chunk
            return proxy.returned

    return call


def _async_generator(meter: _Meter, function: Any, takes: inspect.Signature) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with await meter.ahold(meter.terms(takes, args, kwargs)) as hold:
            proxy = AsyncGeneratorProxy(function(*args, **kwargs))
            async for chunk in hold.stream(proxy):
                with proxy:
                    proxy.sent = yield chunk

    return call


_WRAPPERS = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
    (inspect.isasyncgenfunction, _async_generator),
)
