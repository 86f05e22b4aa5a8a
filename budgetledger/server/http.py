"""HTTP for every endpoint: reads bodies within bounds, writes answers and errors as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from budgetledger.entries import Entry
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    BudgetledgerError,
    HoldAlreadyClosed,
    HoldRefused,
    IdempotencyConflict,
    InvalidInput,
    NoBudget,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    UnknownAccount,
    UnknownEntry,
    UnpricedModel,
)
from budgetledger.render.documents import as_json, entry_json, window_json

_log = logging.getLogger("budgetledger.server")
_SECONDS_FOR_A_BODY = 30.0

STATUSES: tuple[tuple[type[BudgetledgerError], int], ...] = (
    (BudgetExceededError, 402),
    (AccountFrozen, 403),
    (NoBudget, 403),
    (UnpricedModel, 400),
    (UnknownAccount, 404),
    (UnknownEntry, 404),
    (HoldAlreadyClosed, 409),
    (IdempotencyConflict, 409),
    (InvalidInput, 422),
    (StoreBusy, 503),
    (StoreClosed, 503),
    (StoreFull, 507),
    (StoreError, 500),
)
_FACTS = (
    *("account", "project", "model", "hold_id", "key", "limit", "posted", "held", "available"),
    *("requested", "retry_after", "largest_output"),
)


class Refused(Exception):
    """The request is answered with *status* and does not reach the ledger."""

    def __init__(self, status: int, kind: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """*content* as JSON: money as text, times in ISO 8601, UTC."""
    body = json.dumps(content, default=as_json, separators=(",", ":"), ensure_ascii=False)
    encoded = body.encode("utf-8", "replace")  # a model's name may have lone surrogates
    return Response(encoded, status, headers, "application/json")


def error_answer(error: Exception) -> Response:
    """``{"error": {"type", "message", …}}`` with the facts of *error*; see `STATUSES`."""
    if isinstance(error, Refused):
        content: dict[str, Any] = {"type": error.kind, "message": str(error)}
        return answer({"error": content}, error.status, error.headers)
    if isinstance(error, StoreError):
        return _store_error(error)
    if not isinstance(error, BudgetledgerError):
        _log.error("a request failed", exc_info=error)
        content = {"type": "InternalError", "message": "internal error; see the server's log"}
        return answer({"error": content}, 500)
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    content = {"type": type(error).__name__, "message": str(error)}
    facts = vars(error)
    content |= {name: facts[name] for name in _FACTS if name in facts}
    if isinstance(error, HoldRefused):
        content["blocked_by_holds"] = error.blocked_by_holds
    if isinstance(error, BudgetExceededError):
        content |= {"budget": error.budget.name, "measure": error.budget.measure}
        content |= {"window": window_json(error.window), "largest_output": error.largest_output}
    elif "entry" in facts:
        entry = facts["entry"]
        content["entry"] = entry_json(entry) if isinstance(entry, Entry) else None
    return answer({"error": content}, status)


def _store_error(error: StoreError) -> Response:
    """Omit the error's message from the answer: it contains paths of the server's files."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    _log.error("the ledger could not be used: %s", error)
    remedy = "retry with the same Idempotency-Key" if status == 503 else "see the server's log"
    content = {"type": type(error).__name__, "message": f"the ledger is unavailable; {remedy}"}
    return answer({"error": content}, status, {"Retry-After": "1"} if status == 503 else None)


async def read_json(request: Request, most_bytes: int, *, exact: bool = False) -> dict[str, Any]:
    """The JSON object in the body; ``{}`` for an empty body. *exact*: fractions as `Decimal`.

    Raises `Refused`: 400 not a JSON object, 408 too slow, 413 too large, 415 not sent as JSON.
    """
    body = await _read(request, most_bytes)
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # which pages of other origins cannot send
        raise Refused(
            415,
            "UnsupportedMediaType",
            "the body must be JSON; send Content-Type: application/json",
        )
    try:
        if exact:
            from decimal import Decimal

            from budgetledger.litellm.records import unique

            content = json.loads(body, parse_float=Decimal, object_pairs_hook=unique)
        else:
            content = json.loads(body, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "MalformedBody", f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(400, "MalformedBody", "the body must be a JSON object")
    return content


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


async def _read(request: Request, most_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    parts, size = [], 0
    if declared.isdecimal() and len(declared) < 20 and int(declared) <= most_bytes:
        try:
            async with asyncio.timeout(_SECONDS_FOR_A_BODY):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if size > most_bytes:
                        break
                else:
                    return b"".join(parts)
        except TimeoutError:
            raise Refused(408, "TooSlow", "the body did not arrive in time") from None
        except ClientDisconnect:
            raise Refused(400, "MalformedBody", "the body ended too early") from None
    raise Refused(413, "TooLarge", f"the body has more than {most_bytes} bytes", Connection="close")
