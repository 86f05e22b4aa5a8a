"""Checks the names of projects, accounts, budgets, models and keys, and reasons and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from budgetledger.errors import InvalidInput, InvalidName

__all__ = ["checked_name", "checked_reason", "is_name", "to_json"]

_LONGEST = 500
"""Characters. A name is a key of an index, so it must be short."""

_TOO_LONG = f"must have at most {_LONGEST} characters"


def checked_name(
    value: object, what: str, remedy: str = "a name such as 'alice' or 'team:research'"
) -> str:
    """Return `value` if it is a usable name: at most 500 characters, no NUL, no lone surrogates.

    Raises `InvalidName` otherwise; its message names `what` and ends with `remedy`.
    """
    if not isinstance(value, str):
        problem: str | None = f"must be a str, got {type(value).__name__}"
    else:
        problem = _problem(value) if len(value) <= _LONGEST else _TOO_LONG
        if problem is None:
            return value
    raise InvalidName(f"{what} {problem}; pass {remedy}")


def checked_reason(value: object) -> str:
    """Return `value` if it is usable as the reason of a change. Raises `InvalidName` otherwise."""
    return checked_name(value, "reason", "why, in a few words")


def is_name(value: str) -> bool:
    """Whether `checked_name` accepts `value`."""
    return len(value) <= _LONGEST and _problem(value) is None


# Made once: `json.dumps` with these arguments makes an encoder for each call.
_as_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True).encode


def to_json(value: Mapping[str, Any], what: str) -> str:
    """Return `value` as compact JSON with sorted keys. Raises `InvalidInput` for other values."""
    try:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise TypeError("not a mapping with str keys")
        return _as_json(dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{what} must be a mapping of str to plain JSON values ({error}); "
            "pass for example {'feature': 'search'}"
        ) from None


@lru_cache(maxsize=1024)  # most calls repeat the same few names
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
