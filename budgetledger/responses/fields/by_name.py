"""Fields by name, of a dict, another mapping, or an object.

No client package is imported for it. Any exception that an object raises when it is read goes
through to the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from budgetledger.usage import MAX_TOKENS, checked_count


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
    """The fields of *source*, with those whose names start with an underscore."""
    kind = type(source)
    if kind is dict:
        return source  # type: ignore[no-any-return]
    if source is None:
        return NONE
    # A pydantic model keeps its fields in __dict__ and in two more dicts. getattr on it is slow:
    # it takes microseconds for each field that is missing.
    if getattr(kind, "__pydantic_extra__", None) is not None:
        extra, private = source.__pydantic_extra__, source.__pydantic_private__
        declared: dict[str, object] = source.__dict__
        return {**declared, **(extra or {}), **(private or {})} if extra or private else declared
    return source if isinstance(source, Mapping) else _Attributes(source)


def get(source: object, name: str) -> object:
    """Read one field of a dict or of an object; None where there is none."""
    return fields(source).get(name)


def fields_at(source: Fields, *path: str) -> Fields:
    """The fields at the end of a *path* of fields; `NONE` where it breaks off."""
    for name in path:
        value = source.get(name)
        if value is None:
            return NONE
        source = fields(value)
    return source


def is_absent(value: object) -> bool:
    """Whether a field was not sent: it is None, or Mistral's client marks it so."""
    return value is None or type(value).__name__ == "Unset"


def first(source: Fields, *names: str) -> object:
    """The value of the first of these fields that is there; None if none is."""
    for name in names:
        value = source.get(name)
        if value is not None:
            return value
    return None


def items(value: object) -> Iterator[Fields]:
    """The fields of each item of a list; none of anything else."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in value:
            yield fields(item)


def values(value: object) -> Iterator[object]:
    """The values of a dict, or of an object's attributes, whatever their names."""
    named = fields(value)
    yield from named.values() if isinstance(named, Mapping) else vars(value).values()


def text(value: object) -> str | None:
    """*value* without outer blanks; None if it is not a text or nothing is left."""
    return str.strip(value) or None if isinstance(value, str) else None


def count(source: Fields, name: str) -> int:
    """A count of tokens or other units; 0 where there is none. Raises `UnreadableResponse`."""
    value = source.get(name)
    if type(value) is int and 0 <= value <= MAX_TOKENS:
        return value
    return 0 if is_absent(value) else checked_count(value, name)
