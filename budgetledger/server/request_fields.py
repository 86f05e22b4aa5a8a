"""What a request may say: each kind of field with its JSON schema and how it is read.

The description at ``/openapi.json`` and the checking of requests come from the same table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from budgetledger.errors import InvalidInput
from budgetledger.names import checked_name
from budgetledger.usage import MAX_TOKENS, Usage
from budgetledger.windows import LONGEST_WAIT, UNITS

Schema: TypeAlias = dict[str, Any]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_ROWS = 1000
_MOST = 2**63 - 1
_MONEY = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?")


class Field(NamedTuple):
    """A field of a body or a parameter of a query. *read* raises `InvalidInput`."""

    schema: Schema
    read: Callable[[str, Any], Any]
    is_required: bool = False


def required(field: Field) -> Field:
    """*field*, which must be there."""
    return field._replace(is_required=True)


def read_all(fields: Mapping[str, Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of what was *given*; null stands for nothing. Raises `InvalidInput`."""
    unknown = sorted(set(given) - set(fields))
    if unknown:
        known = ", ".join(fields) or "none"
        raise InvalidInput(f"there is no field {unknown[0]!r:.60}; the fields are: {known}")
    for name, field in fields.items():
        if field.is_required and name not in given:
            raise InvalidInput(f"{name} is missing")
    return {
        name: fields[name].read(name, value)
        for name, value in given.items()
        if value is not None or fields[name].is_required
    }


def body_schema(fields: Mapping[str, Field]) -> Schema:
    """The JSON schema of a body with these fields."""
    schema: Schema = {
        "type": "object",
        "properties": {
            name: field.schema if field.is_required else _nullable(field.schema)
            for name, field in fields.items()
        },
        "additionalProperties": False,
    }
    needed = [name for name, field in fields.items() if field.is_required]
    return schema | ({"required": needed} if needed else {})


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _fail(name: str, what: str, value: object) -> InvalidInput:
    return InvalidInput(f"{name} must be {what}, got {value!r:.60}")


def _money(least: float | None, pattern: str) -> Field:
    def read(name: str, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and abs(value) <= 1e20 and (least is None or value >= least):
            return value
        raise _fail(name, "US dollars, as text such as '0.25' or as a number", value)

    bounds = {"maximum": 1e20} | ({"minimum": -1e20} if least is None else {"minimum": least})
    text = {"type": "string", "pattern": f"^{pattern}$"}
    return Field({"anyOf": [text, {"type": "number", **bounds}]}, read)


def _read_name(name: str, value: Any) -> str:
    return checked_name(value, name)


def _count(least: int = 0, most: int = _MOST) -> Field:
    def read(name: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _fail(name, f"a whole number from {least} to {most}", value)
        return value

    return Field({"type": "integer", "minimum": least, "maximum": most}, read)


def in_query(field: Field) -> Field:
    """A count, as the text of a query."""

    def read(name: str, value: Any) -> Any:
        if not re.fullmatch(r"[0-9]{1,19}", value):
            raise _fail(name, "a whole number", value)
        return field.read(name, int(value))

    return field._replace(read=read)


def _seconds(most: float) -> Field:
    def read(name: str, value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value <= most:
            raise _fail(name, f"seconds above 0, at most {most:g}", value)
        return float(value)

    return Field({"type": "number", "exclusiveMinimum": 0, "maximum": most}, read)


def _read_span(name: str, value: Any) -> timedelta:
    return timedelta(seconds=_SPAN.read(name, value))


def _read_moment(name: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _fail(name, "a moment with its offset, such as 2026-03-02T09:00:00Z", value)
    return moment


def _one_of(*values: str) -> Field:
    def read(name: str, value: Any) -> str:
        if value not in values or not isinstance(value, str):
            raise _fail(name, "one of " + ", ".join(values), value)
        return value

    return Field({"enum": list(values)}, read)


def _read_object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fail(name, "an object", value)
    return value


def _read_objects(name: str, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise _fail(name, "a list of objects", value)
    return value


def _read_shares(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > 20:
        raise _fail(name, "a list of up to 20 shares of the limit, such as [0.8, 1]", value)
    return [MONEY.read(name, share) for share in value]


def _read_anchor(name: str, value: Any) -> datetime | str:
    return "creation" if value == "creation" else _read_moment(name, value)


def _read_parent(name: str, value: Any) -> str | None:
    return None if value is None else checked_name(value, name)


def _read_rates(name: str, value: Any) -> dict[str, Any]:
    rates = _read_object(name, value)
    return {key: MONEY.read(f"{name}[{key!r:.60}]", usd) for key, usd in rates.items()}


def _read_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _fail(name, "true or false", value)
    return value


def _read_usage(name: str, value: Any) -> Usage:
    return Usage(**read_all(_USAGE, _read_object(name, value)))


MONEY = _money(0, _MONEY.pattern.removeprefix("-?"))
SIGNED_MONEY = _money(None, _MONEY.pattern)
NAME = Field({"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"\S"}, _read_name)
COUNT = _count()
ROWS = _count(1, MOST_ROWS)
EXPIRES_IN = _seconds(LONGEST_WAIT.total_seconds())
_SPAN = _seconds(1e10)
SPAN = _SPAN._replace(read=_read_span)
MOMENT = Field({"type": "string", "format": "date-time"}, _read_moment)
PER = _one_of(*UNITS)
WEEK_START = _one_of(*DAYS)
TEXT = Field({"type": "string"}, lambda name, value: _read_text(name, value))
OBJECT = Field({"type": "object"}, _read_object)
OBJECTS = Field({"type": "array", "items": {"type": "object"}}, _read_objects)
SHARES = Field({"type": "array", "items": MONEY.schema, "maxItems": 20}, _read_shares)
ANCHOR = Field({"anyOf": [MOMENT.schema, {"const": "creation"}]}, _read_anchor)
PARENT = Field(_nullable(NAME.schema), _read_parent, is_required=True)
RATES = Field({"type": "object", "additionalProperties": MONEY.schema}, _read_rates)
FLAG = Field({"type": "boolean"}, _read_flag)
PROMPT = {
    "messages": OBJECTS,
    "text": TEXT,
    "tools": OBJECTS,
    "max_output_tokens": COUNT,
    "n": COUNT,
}
"""What an estimate is made from, but for the model."""
_USAGE = {name: _count(0, MAX_TOKENS) for name in Usage._fields[:-1]} | {"service_tier": NAME}
USAGE = Field(body_schema(_USAGE), _read_usage)


def _read_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _fail(name, "text", value)
    return value
