"""The fields of whatever a caller passes: a dict, another mapping, or an object.

Nothing is imported to know them by. What a hostile object raises when touched, passes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from budgetledger.errors import UnreadableResponse

MAX_COUNT = 10**12
"""A larger count is taken for a defect of the sender, not for a call."""


class Fields(Protocol):
    """Fields by name; None stands for a field that is not there."""

    def get(self, name: str, /) -> object:
        """The value of the field, or None."""


class _Attributes:
    def __init__(self, source: object) -> None:
        self._source = source

    def get(self, name: str, /) -> object:
        return getattr(self._source, name, None)


NONE: Fields = {}


def fields(source: Any) -> Fields:
    """The fields of *source*, of which those that start with an underscore count too."""
    kind = type(source)
    if kind is dict:
        return source  # type: ignore[no-any-return]
    # Models of pydantic keep theirs here, and take microseconds to say that they have not got one.
    if getattr(kind, "__pydantic_extra__", None) is not None:
        more, hidden = source.__pydantic_extra__, source.__pydantic_private__
        held: dict[str, object] = source.__dict__
        return {**held, **(more or {}), **(hidden or {})} if more or hidden else held
    if source is None:
        return NONE
    return source if isinstance(source, Mapping) else _Attributes(source)


def get(source: object, name: str) -> object:
    """Read one field of a dict or of an object; None where there is none."""
    return fields(source).get(name)


def items(value: object) -> Iterator[Fields]:
    """The fields of each item of a list; none of anything else."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in value:
            yield fields(item)


def text(value: object) -> str | None:
    """A text without outer blanks, if there is one."""
    return str.strip(value) or None if isinstance(value, str) else None


def count(told: Fields, name: str) -> int:
    """A count of tokens or other units; 0 where there is none. Raises `UnreadableResponse`."""
    value = told.get(name)
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return 0 if value is None else checked_count(value, name)


def checked_count(value: object, name: str) -> int:
    """*value* as a count. Raises `UnreadableResponse`, which names its type and not the value."""
    if isinstance(value, float) and value.is_integer():  # JSON written by JavaScript
        value = int(value)
    if not isinstance(value, bool) and isinstance(value, int):
        whole = int.__index__(value)  # whatever a subclass says of itself
        if 0 <= whole <= MAX_COUNT:
            return whole
    raise UnreadableResponse(
        f"{name} ({type(value).__name__}) is not a count of tokens or units between 0 and "
        f"{MAX_COUNT}; pass the usage as the provider gave it, or the amount in USD"
    )
