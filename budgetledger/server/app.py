"""The application: every endpoint, behind the gate, with errors as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from budgetledger.ledger import Ledger
from budgetledger.server import litellm
from budgetledger.server.gate import Gate
from budgetledger.server.http import Refused, answer, error_answer
from budgetledger.server.service import Service
from budgetledger.server.tokens import Tokens

Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]

MOST_BYTES = 16 * 1024 * 1024


def create_app(
    ledger: Ledger, tokens: Tokens | None = None, *, max_body_bytes: int = MOST_BYTES
) -> Starlette:
    """The server of *ledger*, whose projects are open to who has their token.

    *tokens* None opens everything to whoever can connect and names this machine as the host:
    bind it to a loopback address only, as ``budgetledger serve`` does. The ledger stays the
    caller's, to be closed after the server has stopped.
    """
    service = Service(ledger, Gate(tokens), max_body_bytes)
    routes = [
        _route(service, "/get_budget", litellm.get_budget, "POST"),
        _route(service, "/set_budget", litellm.set_budget, "POST"),
        _route(service, "/healthz", _health, "GET"),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_routed})


def _route(service: Service, path: str, handler: Handler, method: str) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(service, request)
        except Exception as error:
            return error_answer(error)

    return Route(path, endpoint, methods=[method])


async def _health(service: Service, request: Request) -> Response:
    """Whether the ledger can be read."""
    await service.ledger._store.aread(lambda execute: execute("SELECT 1").fetchone())
    return answer({"status": "ok"})


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "Refused")
    headers = dict(error.headers or {})
    return error_answer(Refused(error.status_code, kind, error.detail, **headers))
