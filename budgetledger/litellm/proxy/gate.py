"""Checks each request of the Proxy once it has authenticated, before its endpoint runs.

Some endpoints spend money without calling a hook. The gate wraps the dependency with which every
endpoint authenticates (FastAPI's ``dependency_overrides``), and asks the callback first. It also
keeps the request's method and path, which hooks do not receive.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from starlette.requests import Request

from budgetledger.apis.paths import UNBILLED

_log = logging.getLogger("budgetledger.proxy")
_request: ContextVar[Request | None] = ContextVar("budgetledger_request", default=None)
_key: ContextVar[Any] = ContextVar("budgetledger_key", default=None)

_OWN = "LiteLLM reports no cost of it to the caller"
UNHOOKED: Mapping[str, str] = MappingProxyType(
    {
        "run_thread": "LiteLLM reports no cost of an assistant's run",
        "rag_ingest": "LiteLLM reports no cost of it",
        "rag_query": "it makes several calls, and LiteLLM reports the cost of one",
        "usage_ai_chat": _OWN,
        "enrich_policy_template": _OWN,
        "enrich_policy_template_stream": _OWN,
        "suggest_policy_templates": _OWN,
        "preview_auto_router_routing": _OWN,
        "start_shadow_eval": _OWN,
    }
)
"""Endpoints that spend money and call no hook, by function name; and why they are refused where a
budget applies."""

_KEYLESS = frozenset({"vllm_proxy_route", "azure_proxy_route"})
# LiteLLM before 1.100 calls its function there without the key.

_READING = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
Admit = Callable[[Any, str, str], Awaitable[None]]
"""Called with the key, the endpoint's name and the reason; raises the refusal."""


def install(admit: Admit) -> None:
    """Call *admit* before each endpoint in `UNHOOKED`; it replaces one installed earlier.

    Logs an error, and does nothing else, if the Proxy's authentication differs from LiteLLM's.
    """
    try:
        from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
        from litellm.proxy.proxy_server import app

        app.dependency_overrides[user_api_key_auth] = _guarded(user_api_key_auth, admit)
    except Exception:
        _log.exception("calls of these endpoints are not refused: %s", ", ".join(UNHOOKED))


def spends_nothing() -> bool:
    """Whether the current request only reads, deletes, counts, uploads or cancels."""
    request = _request.get()
    if request is None:
        return False
    return request.method in _READING or UNBILLED.fullmatch(request.url.path) is not None


def key_not_passed_on() -> Any:
    """The key of the current request, if its endpoint calls LiteLLM's function without it."""
    request = _request.get()
    name = "" if request is None else getattr(request.scope.get("endpoint"), "__name__", "")
    return _key.get() if name in _KEYLESS else None


def _guarded(authenticate: Callable[..., Awaitable[Any]], admit: Admit) -> Callable[..., Any]:
    """*authenticate*, then *admit* for endpoints in `UNHOOKED`.

    FastAPI inspects the signature of an override at each request, so it has one parameter, and
    resolves the headers that *authenticate* needs itself.
    """
    headers = {
        name: parameter.default.dependency
        for name, parameter in inspect.signature(authenticate).parameters.items()
        if name != "request"
    }

    async def guarded(request: Request) -> Any:
        _request.set(request)
        sent = {name: await read(request) for name, read in headers.items()}
        key = await authenticate(request=request, **sent)
        _key.set(key)
        name = getattr(request.scope.get("endpoint"), "__name__", "")
        if name in UNHOOKED:
            await admit(key, name, UNHOOKED[name])
        return key

    return guarded
