"""Names people give: projects, accounts, budgets, models, keys and reasons."""

from __future__ import annotations

from functools import lru_cache

from budgetledger.errors import InvalidName

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
