"""The application: every endpoint, behind the gate, with errors as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from budgetledger.errors import InvalidInput
from budgetledger.journal.journal import journal_of
from budgetledger.journal.rows.accounts import find_project
from budgetledger.ledger import Ledger
from budgetledger.names import checked_name
from budgetledger.server import litellm_protocol as litellm
from budgetledger.server.access_tokens import Tokens
from budgetledger.server.api import OPERATIONS
from budgetledger.server.gate import Gate
from budgetledger.server.http import Refused, answer, error_answer, read_json
from budgetledger.server.leaving import unless_left
from budgetledger.server.metrics import Metrics
from budgetledger.server.openapi import PREFIX, VERSION, description
from budgetledger.server.operation import Call, Operation
from budgetledger.server.request_fields import read
from budgetledger.server.state import Service

Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]

MOST_BYTES = 16 * 1024 * 1024
_MOST = 2**63 - 1


def create_app(
    ledger: Ledger,
    tokens: Tokens | None = None,
    *,
    max_body_bytes: int = MOST_BYTES,
    wallet: bool = False,
) -> Starlette:
    """The server of *ledger*. A request needs a token of the project it uses.

    *tokens* None admits every request with a localhost ``Host`` header to all projects: bind the
    server to a loopback address only, as ``budgetledger serve`` does. The caller closes the
    ledger, after the server has stopped. *max_body_bytes*: the largest body a request may have.
    *wallet*: also serve the providers' APIs under ``/wallet``, with a hold before each call and a
    settle after it; needs the extra ``run``. If mounted in another application, call its lifespan.
    """
    service, metrics = Service(ledger, Gate(tokens), max_body_bytes), Metrics()
    described = answer(description(has_tokens=tokens is not None))

    async def metrics_page(service: Service, request: Request) -> Response:
        return metrics.page()

    async def openapi(service: Service, request: Request) -> Response:
        return Response(described.body, media_type="application/json")

    def route(path: str, handler: Handler, method: str, name: str) -> Route:
        endpoint = metrics.counted(name, _answering(service, handler))
        return Route(path, endpoint, methods=[method], name=name)

    routes: list[BaseRoute] = [
        route("/get_budget", litellm.get_budget, "POST", "get_budget"),
        route("/set_budget", litellm.set_budget, "POST", "set_budget"),
        route("/healthz", _health, "GET", "health"),
        route("/metrics", metrics_page, "GET", "metrics"),
        route("/openapi.json", openapi, "GET", "openapi"),
        route("/v1", _about, "GET", "about"),
    ]
    for operation in OPERATIONS:
        path = f"{PREFIX}{operation.path}".replace("}", ":budgetledger}")
        routes.append(route(path, partial(_perform, operation), operation.method, operation.name))
    lifespan = None
    if wallet:
        from budgetledger.server.wallet import mounted

        mount, lifespan = mounted(service, tokens)
        routes = [*routes, mount]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(_PathAsSent)],
        exception_handlers={HTTPException: _not_routed},
    )


def _answering(service: Service, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(service, request)
        except Exception as error:
            return error_answer(error)

    return endpoint


async def _perform(operation: Operation, service: Service, request: Request) -> Response:
    """Answer a request of the JSON API."""
    places = request.path_params
    project = places["project"]
    service.gate.admit(request, project)
    checked_name(project, "project")
    if operation.method == "GET":
        fields = read(operation.query, _query(request))
    else:
        fields = read(operation.body, await read_json(request, service.most_bytes))
    call = Call(
        service=service,
        ledger=service.ledger_of(project),
        project=project,
        account=checked_name(places["account"], "account") if "account" in places else "",
        number=_number(places["number"]) if "number" in places else 0,
        name=checked_name(places["name"], "name") if "name" in places else "",
        fields=fields,
        key=_key(request) if operation.has_key else None,
    )
    running = operation.run(call)
    if fields.get("wait"):
        return answer(await unless_left(request, running), operation.status)
    return answer(await running, operation.status)


def _query(request: Request) -> dict[str, Any]:
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidInput("a query parameter occurs twice; send it once")
    return dict(pairs)


def _key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise InvalidInput("the header Idempotency-Key occurs twice; send it once")
    return checked_name(keys[0], "Idempotency-Key") if keys else None


def _number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _MOST:
        return int(text)
    raise Refused(404, "UnknownEntry", f"{text[:40]!r} is not the number of an entry")


async def _health(service: Service, request: Request) -> Response:
    """Whether the ledger can be read."""
    journal = journal_of(service.ledger)
    await journal.store.aread(lambda execute: find_project(execute, journal.project))
    return answer({"status": "ok"})


async def _about(service: Service, request: Request) -> Response:
    """The service's name and version, by which clients recognize the JSON API."""
    return answer({"service": "budgetledger", "version": VERSION})


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "Refused")
    headers = dict(error.headers or {})
    return error_answer(Refused(error.status_code, kind, error.detail, **headers))


# An account's name may contain a slash, so the path is split before it is decoded.


class _PathAsSent:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if raw:
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)


class _Segment(Convertor[str]):
    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value, errors="surrogateescape")

    def to_string(self, value: str) -> str:
        raise NotImplementedError


register_url_convertor("budgetledger", _Segment())
