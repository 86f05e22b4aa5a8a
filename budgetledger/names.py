"""Names people give: projects, accounts, budgets, models and keys. Text any database stores."""

from __future__ import annotations

from budgetledger.errors import InvalidName

_LONGEST = 500
"""Characters; a name is an index key, not a place for text."""


def checked_name(
    value: object, what: str, remedy: str = "a name such as 'alice' or 'team:research'"
) -> str:
    """*value*, a non-empty str without NUL or lone surrogates.

    Raises `InvalidName`, which names *what* and the value.
    """
    if not isinstance(value, str):
        problem = f"must be a str, got {type(value).__name__}"
    elif not value.strip():
        problem = "must not be empty"
    elif len(value) > _LONGEST:
        problem = f"must have at most {_LONGEST} characters, got {len(value)}"
    elif "\0" in value:
        problem = f"must not contain NUL, got {value[:60]!r}"
    elif not _encodes(value):
        problem = f"must be valid text, got a lone surrogate in {value[:60]!r}"
    else:
        return value
    raise InvalidName(f"{what} {problem}; pass {remedy}")


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
