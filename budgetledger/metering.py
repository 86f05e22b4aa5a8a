"""`metered`: a decorator that puts a hold around any function that calls a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial, wraps
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from budgetledger.aio import AsyncHold, AsyncLedger, awaited_hold, requested_ahold
from budgetledger.apis.call_arguments import Kind, hold_arguments, is_list
from budgetledger.callers import Caller, current, pop_caller
from budgetledger.clients.driven_generators import AsyncGeneratorProxy, GeneratorProxy
from budgetledger.clients.metered_streams import AsyncMeteredStream, MeteredStream
from budgetledger.clients.settling import asettled, reading_for, settled
from budgetledger.errors import UnpricedModel
from budgetledger.holds import Hold, nested, plain_hold
from budgetledger.journal.drafts import HoldRequest, minimal_request
from budgetledger.ledger import Ledger, requested_hold
from budgetledger.money import Amount
from budgetledger.names import is_name

__all__ = ["metered"]

F = TypeVar("F", bound=Callable[..., Any])


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
    and so on, as the APIs name them). Otherwise it is `amount` USD. Without that nothing can be
    estimated, and the smallest possible amount is held (10⁻¹² USD and one token). No USD budget
    grants another one while such a call has no price (`UnpricedModel` says how to state it), nor
    beside an open one, unless the function's last call ended with a price.

    `user`: the account of the calls, unless ``with ledger.as_user(...)`` or ``budget_user=``
    names another. `tags`: JSON values, stored with the rows. Calls also accept ``budget_user=``,
    ``budget_tags=`` and ``budget_key=``, which are not passed to the function.

    It works for plain and ``async`` functions and generators; generators are held for when they
    start. Enter a stream's context manager inside the function. A result without usage, or
    without a known price, is recorded with what was held, or as unpriced if nothing could be
    estimated, with an `UnpricedWarning`. One that says that the call failed releases the hold. If
    the client that the function uses is wrapped, or the function calls another metered one, the
    call is counted once, by the inner one, with a `MeteredTwiceWarning`: unless the function
    returns another usage, which is recorded as well.

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

    def decorate(function: F) -> F:
        meter = _Meter(plain, Caller(user, tags), amount, _name_of(function))
        kind = next((made for is_kind, made in _WRAPPERS if is_kind(function)), _plain)
        return cast(F, wraps(function)(kind(meter, function, inspect.signature(function))))

    return decorate


_Terms: TypeAlias = tuple[str, list[HoldRequest]]


class _Meter(NamedTuple):
    ledger: Ledger
    own: Caller
    amount: Amount | None
    function: str

    def terms(
        self, takes: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Terms:
        """The account, and what to hold: the first choice first; the next if no price is known."""
        caller = pop_caller(kwargs).over(current()).over(self.own)
        account, key, tags = caller.account(), caller.key, caller.tags
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
        requests = []
        if kind is not None:
            requests.append(HoldRequest(**hold_arguments(kind, arguments), key=key, tags=tags))
        if self.amount is not None:
            requests.append(HoldRequest(self.amount, key=key, tags=tags))
        if not requests:
            named = arguments.get("model")
            model = named if isinstance(named, str) and is_name(named) else None
            requests.append(minimal_request(model, self.function, key, tags))
        return account, requests

    def hold(self, terms: _Terms) -> Hold:
        account, (*others, last) = terms
        for request in others:
            try:
                return requested_hold(self.ledger, account, request)
            except UnpricedModel:
                pass
        return requested_hold(self.ledger, account, last)

    async def ahold(self, terms: _Terms) -> AsyncHold:
        ledger = AsyncLedger(self.ledger)
        account, (*others, last) = terms
        for request in others:
            try:
                return await requested_ahold(ledger, account, request)
            except UnpricedModel:
                pass
        return await requested_ahold(ledger, account, last)


def _name_of(function: Callable[..., Any]) -> str:
    """``module.function``, as rows name what makes a call."""
    module = getattr(function, "__module__", None) or "?"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}"


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
            with nested(hold):
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
        with nested(hold):
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
        hold = meter.hold(meter.terms(takes, args, kwargs))
        with ExitStack() as stack:
            stack.push(hold)  # not entered: its block would reach the reader's code
            proxy = GeneratorProxy(function(*args, **kwargs), nested(hold))
            for chunk in hold.stream(proxy):
                with proxy:
                    proxy.sent = yield chunk
            return proxy.returned

    return call


def _async_generator(meter: _Meter, function: Any, takes: inspect.Signature) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        hold = await meter.ahold(meter.terms(takes, args, kwargs))
        async with AsyncExitStack() as stack:
            stack.push_async_exit(hold)
            proxy = AsyncGeneratorProxy(function(*args, **kwargs), nested(hold))
            async for chunk in hold.stream(proxy):
                with proxy:
                    proxy.sent = yield chunk

    return call


_WRAPPERS = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
    (inspect.isasyncgenfunction, _async_generator),
)
