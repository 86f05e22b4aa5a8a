"""Names and tags people give: of projects, accounts, budgets, models, keys; and reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from budgetledger.errors import InvalidInput, InvalidName

_LONGEST = 500
"""Characters; a name is an index key, not a place for text."""

_TOO_LONG = f"must have at most {_LONGEST} characters"


def checked_name(
    value: object, what: str, remedy: str = "a name such as 'alice' or 'team:research'"
) -> str:
    """*value*, a non-empty str without NUL or lone surrogates.

    Raises `InvalidName`, which names *what* and the value.
    """
    if not isinstance(value, str):
        problem: str | None = f"must be a str, got {type(value).__name__}"
    else:
        problem = _problem(value) if len(value) <= _LONGEST else _TOO_LONG
        if problem is None:
            return value
    raise InvalidName(f"{what} {problem}; pass {remedy}")


def checked_reason(value: object) -> str:
    """*value*, why something was done. Raises `InvalidName`."""
    return checked_name(value, "reason", "why, in a few words")


def is_name(value: str) -> bool:
    """Whether `checked_name` would accept *value*."""
    return len(value) <= _LONGEST and _problem(value) is None


def to_json(value: Mapping[str, Any], what: str) -> str:
    """Compact JSON of a mapping. Raises `InvalidInput`, which names *what* and the remedy."""
    try:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise TypeError("not a mapping with str keys")
        return json.dumps(dict(value), separators=(",", ":"), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{what} must be a mapping of str to plain JSON values ({error}); "
            "pass for example {'feature': 'search'}"
        ) from None


@lru_cache(maxsize=1024)  # the same few names come with every call
def _problem(value: str) -> str | None:
    if not value.strip():
        return "must not be empty"
    if "\0" in value:
        return f"must not contain NUL, got {value[:60]!r}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"must be valid text, got a lone surrogate in {value[:60]!r}"
    return None
