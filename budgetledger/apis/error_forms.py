"""The answer to a refused client, as the vendor of its API writes errors. Pure.

Follows each API's page on errors (platform.openai.com/docs/guides/error-codes,
docs.anthropic.com/en/api/errors, ai.google.dev/gemini-api/docs/troubleshooting; read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from budgetledger.apis.call_arguments import Kind
from budgetledger.apis.paths import Vendor, vendor_of
from budgetledger.apis.refusals import Refusal

_ANTHROPIC = {401: "authentication_error", 403: "permission_error", 404: "not_found_error",
              413: "request_too_large"}  # fmt: skip
_GOOGLE = {400: "FAILED_PRECONDITION", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
           404: "NOT_FOUND", 426: "FAILED_PRECONDITION"}  # fmt: skip


def error_event(kind: Kind, refusal: Refusal, message: str) -> bytes:
    """The event that ends a stream of *kind* by an error."""
    body = error_body(vendor_of(kind), refusal, message)
    name = b""
    if kind == "responses":
        body = {"type": "error", "code": refusal.type, "message": message, "param": None}
    if kind in ("responses", "messages"):
        name = b"event: error\n"
    return name + b"data: " + json.dumps(body, default=str).encode() + b"\n\n"


def error_body(vendor: Vendor, refusal: Refusal, message: str) -> dict[str, Any]:
    """The body of an error answer, as JSON values. The reason is in its ``code`` or ``details``."""
    status, reason = refusal.status, refusal.type
    if vendor == "anthropic":
        kind = _ANTHROPIC.get(status, "invalid_request_error" if status < 500 else "api_error")
        details = {"code": reason, **refusal.details}
        return {"type": "error", "error": {"type": kind, "message": message, **details}}
    if vendor == "google":
        word = _GOOGLE.get(status, "INVALID_ARGUMENT" if status < 500 else "UNAVAILABLE")
        details = {"reason": reason, **refusal.details}
        error = {"code": status, "message": message, "status": word, "details": [details]}
        return {"error": error}
    error = {"message": message, "type": reason, "param": None, "code": reason}
    return {"error": {**error, **refusal.details}}
