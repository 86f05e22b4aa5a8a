"""`wrap` for litellm: the module itself, or a `Router`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial, wraps
from typing import Any

from budgetledger.aio import AsyncLedger
from budgetledger.callers import Caller, current, pop_caller
from budgetledger.ledger import Ledger
from budgetledger.litellm.calls import FUNCTIONS, Deployment, LitellmMeter
from budgetledger.litellm.listed_prices import prices_of_deployment


def is_litellm(client: object) -> bool:
    """Whether *client* is the module litellm or one of its routers, wrapped or not.

    Does not import litellm.
    """
    if type(client) is _Metered:
        return True
    if client is sys.modules.get("litellm"):
        return client is not None
    router = sys.modules.get("litellm.router")
    return router is not None and isinstance(client, router.Router)


def wrap_litellm(client: Any, ledger: Ledger | AsyncLedger, caller: Caller) -> Any:
    """A stand-in for *client* that meters the functions in `FUNCTIONS`.

    If *client* is already wrapped, the new wrapping replaces the old one.
    """
    if type(client) is _Metered:
        client = client._client
    ledger = ledger.ledger if isinstance(ledger, AsyncLedger) else ledger

    def payer(kwargs: dict[str, Any]) -> Caller:
        return pop_caller(kwargs).over(current()).over(caller)

    deployments = partial(_deployments, client) if hasattr(client, "get_model_list") else None
    return _Metered(client, LitellmMeter(lambda: ledger, payer, deployments))


def _deployments(router: Any, model: str) -> Sequence[Deployment]:
    deployments = []
    for each in router.get_model_list(model_name=model) or ():
        params = each.get("litellm_params") or {}
        prices = prices_of_deployment(params, each.get("model_info") or {})
        deployments.append(Deployment(params.get("model") or model, prices))
    return deployments


class _Metered:
    """A stand-in for a client: every other attribute is read from the client and set on it."""

    def __init__(self, client: Any, meter: LitellmMeter) -> None:
        self.__dict__.update(_client=client, _meter=meter)

    def __getattr__(self, name: str) -> Any:
        if name in ("_client", "_meter"):  # copy asks for attributes before __init__ ran
            raise AttributeError(name)
        value = getattr(self._client, name)
        if name in FUNCTIONS:

            @wraps(value)
            def call(*args: Any, **kwargs: Any) -> Any:
                return self._meter.call(name, value, args, kwargs)

            return call
        plain = name.removeprefix("a")
        if plain != name and plain in FUNCTIONS:

            @wraps(value)
            async def acall(*args: Any, **kwargs: Any) -> Any:
                return await self._meter.acall(plain, value, args, kwargs)

            return acall
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._client, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._client, name)

    def __dir__(self) -> list[str]:
        return dir(self._client)

    def __repr__(self) -> str:
        return f"<metered {self._client!r}>"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # makes isinstance treat it as the client
        return type(self._client)
