"""The fields of a request's body, from which its hold is estimated."""

from __future__ import annotations

import asyncio
import json
from email import message_from_bytes
from typing import Any
from urllib.parse import unquote

from budgetledger.apis.call_arguments import Kind
from budgetledger.apis.paths import model_in
from budgetledger.errors import InvalidInput
from budgetledger.wallet.encodings import UnknownEncoding, decoded
from budgetledger.wallet.exchange import Request

_LONG = 256 * 1024  # bytes; to read as much as JSON takes a millisecond


async def read_fields(
    kind: Kind, request: Request, most_bytes: int
) -> tuple[dict[str, Any], bytes]:
    """The fields of the body, with the model of the path, and the decoded body.

    Raises `InvalidInput` if the body cannot be read: nothing could be held for it.
    """
    if len(request.body) < _LONG:
        return _read(kind, request, most_bytes)
    return await asyncio.to_thread(_read, kind, request, most_bytes)


def _read(kind: Kind, request: Request, most_bytes: int) -> tuple[dict[str, Any], bytes]:
    try:
        body = decoded(request.body, request.header(b"content-encoding"), most_bytes)
    except UnknownEncoding as error:
        raise InvalidInput(
            f"a body compressed as {str(error)[:40]!r} cannot be read, so nothing can be held for "
            "the call; send it as gzip or uncompressed"
        ) from None
    except ValueError as error:
        raise InvalidInput(f"{error}; nothing can be held for the call") from None
    form = request.header(b"content-type")
    if kind == "image" and form.lower().startswith("multipart/"):
        return _form_fields(form, body), body
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("the body is not JSON, so nothing can be held for the call") from None
    if not isinstance(fields, dict):
        raise InvalidInput("the body is not a JSON object, so nothing can be held for the call")
    model = model_in(request.path)
    if model is not None and not fields.get("model"):
        fields["model"] = unquote(model)
    return fields, body


def _form_fields(form: str, body: bytes) -> dict[str, Any]:
    """The fields of a form; of images, their names."""
    head = f"Content-Type: {form}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1", "replace")
    fields: dict[str, Any] = {}
    images = []
    for part in message_from_bytes(head + body).walk():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or part.is_multipart():
            continue
        if part.get_filename() is not None:
            images += [name] if name.startswith("image") else []
            continue
        content = part.get_payload(decode=True)
        value = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
        fields[name] = int(value) if value.isascii() and value.isdecimal() else value
    return fields | ({"image": images} if images else {})
