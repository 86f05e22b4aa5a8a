"""Which API the path of a request belongs to, and which requests cost nothing. Pure.

Hosts put their own prefix before a path, so only its end counts.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from budgetledger.apis.call_arguments import Kind

Vendor: TypeAlias = Literal["openai", "anthropic", "google"]
"""Whose form an API has. Many other hosts use OpenAI's or Anthropic's."""

KINDS: dict[str, Kind] = {
    "/chat/completions": "chat",
    "/completions": "text",
    "/embeddings": "embedding",
    "/images/edits": "image",
    "/images/generations": "image",
    "/images/variations": "image",
    "/messages": "messages",
    "/responses": "responses",
    "/responses/compact": "responses",
    ":generateContent": "generate",
    ":streamGenerateContent": "generate",
}
"""The metered APIs, by the end of their path."""

_READING = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
UNBILLED = re.compile(
    r"(?!.*/vector_stores/).*(/count_tokens|:countTokens|/tokenize|/files|[/:]cancel)/?"
)
"""Paths of POST requests that spend nothing anywhere: counting, uploading, cancelling."""
_FREE_AT_VENDORS = re.compile(r".*(/moderations|/responses/input_tokens|/chat/completions/[^/]+)/?")
_MODEL = re.compile(r"/(?:deployments|models)/([^/:]+)[/:]")


def kind_of(path: str) -> Kind | None:
    """The API of a path; None if it is not metered."""
    path = "/" + path.strip("/")
    if "/threads/" in path:  # messages that are only stored
        return None
    ends = [end for end in KINDS if path.endswith(end)]
    return KINDS[max(ends, key=len)] if ends else None


def is_free(method: str, path: str) -> bool:
    """Whether a request to OpenAI, Anthropic or Google only reads, deletes, counts or uploads."""
    if method.upper() in _READING:
        return True
    is_free_path = UNBILLED.fullmatch(path) or _FREE_AT_VENDORS.fullmatch(path)
    return method.upper() == "POST" and is_free_path is not None


def model_in(path: str) -> str | None:
    """The model that a path names, as Gemini's and Azure's do."""
    named = _MODEL.search(path)
    return None if named is None else named[1]


def vendor_of(kind: Kind) -> Vendor:
    """Whose form an API has."""
    if kind == "messages":
        return "anthropic"
    return "google" if kind in ("generate", "interaction") else "openai"
