"""Metered clients of OpenAI and Anthropic: copies of a client, of a subclass of its class.

The subclass meters ``request``, which every method of a client calls: plain calls, those that
parse or stream, ``with_raw_response``, ``beta``, and ``client.post``.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, wraps
from typing import Any, NamedTuple, NoReturn

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.callers import NO_CALLER, Caller, current
from budgetledger.clients import sdk_streams as _client_streams
from budgetledger.clients.sdk_calls import CALLER, ClientCall, answered, taken_from, url_of
from budgetledger.clients.settling import asettled, settled
from budgetledger.errors import InvalidInput
from budgetledger.holds import Hold, nested
from budgetledger.ledger import Ledger, ledger_at

# The methods that take budget_user=, budget_tags= and budget_key=.
_CHAT = {"completions": ("create", "parse", "stream")}
_RESPONSES = ("create", "parse", "stream", "compact")
_MESSAGES = ("create", "parse", "stream", "tool_runner", "thread")
_METHODS: dict[str, Any] = {
    "chat": _CHAT,
    "responses": _RESPONSES,
    "completions": ("create",),
    "embeddings": ("create",),
    "images": ("generate", "edit", "create_variation"),
    "messages": _MESSAGES,
    "beta": {"chat": _CHAT, "responses": _RESPONSES, "messages": _MESSAGES},
}


class _Metering(NamedTuple):
    ledger: Ledger
    own: Caller


def is_client(client: object) -> bool:
    """Whether *client* is of a class of OpenAI's or Anthropic's package, or a subclass."""
    return _is_async(type(client)) is not None


def metered_client(client: Any, ledger: Ledger | AsyncLedger, own: Caller) -> Any:
    """A copy of *client* that holds before its calls and settles after them."""
    kind: Any = type(client)
    metered = kind if issubclass(kind, _Metered) else _metered_class(kind)
    wrapped = object.__new__(metered)
    for name, value in vars(client).items():
        # Cached resources (client.chat, …) would still call the original client.
        if not isinstance(getattr(kind, name, None), cached_property):
            vars(wrapped)[name] = value
    _renew_parts(wrapped, client)
    ledger = ledger.ledger if isinstance(ledger, AsyncLedger) else ledger
    wrapped._budgetledger = _Metering(ledger, own)
    if hasattr(wrapped, "_middleware_chain"):  # Anthropic's; it ends in methods of its client
        wrapped._middleware_chain = wrapped._build_middleware_chain()
    return wrapped


def _renew_parts(wrapped: Any, client: Any) -> None:
    """Make the parts anew that *client* made of itself at its start: Bedrock's and Vertex's do."""
    for name, part in list(vars(wrapped).items()):
        if name in _METHODS and getattr(part, "_client", None) is client:
            setattr(wrapped, name, _taking_arguments(type(part)(wrapped), _METHODS[name]))


def _is_async(kind: type) -> bool | None:
    """Whether clients of a class are asynchronous; None if they are of neither package."""
    names = {
        part.__name__
        for part in kind.__mro__
        if part.__module__ in ("openai._base_client", "anthropic._base_client")
    }
    return "AsyncAPIClient" in names if names & {"SyncAPIClient", "AsyncAPIClient"} else None


@lru_cache(maxsize=256)
def _metered_class(kind: type) -> type:
    base = _AsyncClient if _is_async(kind) else _SyncClient

    def resource(name: str, methods: Any) -> Any:
        def get(self: Any) -> Any:
            return _taking_arguments(getattr(super(metered, self), name), methods)

        return cached_property(get)

    names: dict[str, Any] = {
        name: resource(name, methods) for name, methods in _METHODS.items() if hasattr(kind, name)
    }
    names |= {"__module__": kind.__module__, "__doc__": kind.__doc__}
    metered = type(kind.__name__, (base, kind), names)
    return metered


def _taking_arguments(resource: Any, methods: Any) -> Any:
    """Make the *methods* of a client's resource accept the ``budget_…`` arguments."""
    for name in methods:
        part = getattr(resource, name, None)
        if part is None:
            continue
        if isinstance(methods, Mapping):
            _taking_arguments(part, methods[name])
        else:
            setattr(resource, name, _with_caller(part))
            if hasattr(resource, "connect"):
                resource.connect = _refuse_connection
    return resource


def _refuse_connection(*_: object, **__: object) -> NoReturn:
    raise InvalidInput("responses over a WebSocket are not metered; use responses.create")


def _with_caller(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(
        *args: Any,
        budget_user: str | None = None,
        budget_tags: Mapping[str, Any] | None = None,
        budget_key: str | None = None,
        **kwargs: Any,
    ) -> Any:
        # Read the context now: the call may be awaited in another one.
        caller = Caller(budget_user, budget_tags, budget_key).over(current())
        headers = kwargs.get("extra_headers") or {}
        if caller != NO_CALLER and CALLER not in headers:  # an outer method may have set it
            # A header, since a stream manager makes its request later, in another context.
            kwargs["extra_headers"] = {**headers, CALLER: caller.to_header()}
        return method(*args, **kwargs)

    if inspect.iscoroutinefunction(method):  # frameworks check it before they await
        _mark_coroutine_function(call)
    return call


def _mark_coroutine_function(function: Any) -> None:
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(function)
    else:
        function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined, unused-ignore]


class _Metered:
    _budgetledger: _Metering

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        made = super().copy(*args, **kwargs)  # type: ignore[misc]
        made._budgetledger = self._budgetledger
        _renew_parts(made, made)
        return made

    with_options = copy


class _SyncClient(_Metered):
    def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        send = super().request  # type: ignore[misc]
        ledger, own = self._budgetledger
        call = taken_from(options, kwargs, own)
        if call is None:
            return send(cast_to, options, *args, **kwargs)
        if call.streams:
            kwargs["stream_cls"] = _client_streams.metered(kwargs["stream_cls"])
        ledger = ledger_at(ledger, url_of(self, options))
        hold = ledger.hold(call.user, **call.hold)
        try:
            with nested(hold):
                result = send(cast_to, options, *args, **kwargs)
        except BaseException as error:
            if call.is_answered:
                _settle(ledger, hold, call)
            else:
                hold.__exit__(type(error), error, error.__traceback__)
            raise
        response = _response_of(result) if call.streams else None
        if response is not None:
            _client_streams.meter(response, hold, call.hides_usage)
        elif call.is_answered or not getattr(self, "_middleware", ()):
            _settle(ledger, hold, call, result)
        else:  # a middleware answered, for example from a cache
            hold.__exit__(None, None, None)
        return result

    def _process_response(self, *, options: Any, response: Any, **more: Any) -> Any:
        answered(options, response)
        process = super()._process_response  # type: ignore[misc]
        return process(options=options, response=response, **more)


class _AsyncClient(_Metered):
    async def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        send = super().request  # type: ignore[misc]
        ledger, own = self._budgetledger
        call = taken_from(options, kwargs, own)
        if call is None:
            return await send(cast_to, options, *args, **kwargs)
        if call.streams:
            kwargs["stream_cls"] = _client_streams.metered(kwargs["stream_cls"])
        ledger = ledger_at(ledger, url_of(self, options))
        hold = await AsyncLedger(ledger).hold(call.user, **call.hold)
        try:
            with nested(hold):
                result = await send(cast_to, options, *args, **kwargs)
        except BaseException as error:
            if call.is_answered:
                await _asettle(ledger, hold, call)
            else:
                await hold.__aexit__(type(error), error, error.__traceback__)
            raise
        response = _response_of(result) if call.streams else None
        if response is not None:
            _client_streams.meter_async(response, hold, call.hides_usage)
        elif call.is_answered or not getattr(self, "_middleware", ()):
            await _asettle(ledger, hold, call, result)
        else:  # a middleware answered, for example from a cache
            await hold.__aexit__(None, None, None)
        return result

    async def _process_response(self, *, options: Any, response: Any, **more: Any) -> Any:
        answered(options, response)
        process = super()._process_response  # type: ignore[misc]
        return await process(options=options, response=response, **more)


def _settle(ledger: Ledger, hold: Hold, call: ClientCall, result: Any = None) -> None:
    """Settle with the answer; charge for further paid answers, as the hold is closed then."""
    for reading in call.paid(result):
        settled(ledger, hold, reading)


async def _asettle(ledger: Ledger, hold: AsyncHold, call: ClientCall, result: Any = None) -> None:
    for reading in call.paid(result):
        await asettled(ledger, hold, reading)


def _response_of(result: Any) -> Any:
    """The HTTP response of a stream, or of a result of ``with_raw_response``.

    None if a middleware made the result.
    """
    return getattr(result, "http_response", None) or getattr(result, "response", None)
