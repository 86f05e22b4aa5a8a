"""The types of values in requests, and how a request is checked.

Each type has a JSON schema, and words that say in errors what the value must be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    InstanceOf,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from budgetledger.errors import BudgetledgerError, InvalidInput
from budgetledger.names import checked_name
from budgetledger.usage import MAX_TOKENS
from budgetledger.windows import LONGEST_WAIT, UNITS

MOST_ROWS = 1000
"""The most entries on a page."""

_MOST = 2**63 - 1
_MOST_RATES = 100
_LONGEST_SPAN = 10_000_000_000
_LONGEST_WAIT = LONGEST_WAIT.total_seconds()


@dataclass(frozen=True, slots=True)
class MustBe:
    """Words for the error if a value is wrong: the field must be *what*."""

    what: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="must_be", custom_error_message=self.what
        )


def _whole(value: object) -> object:
    """Turn 1.0 into 1: in JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digits(text: str) -> object:
    """Read a count from a query, where every value is text."""
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else text


def _no_int(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("a float would lose digits of it")
    return value


def _few(value: object, info: ValidationInfo) -> object:
    """Refuse so many fields that checking each of them would keep the server busy."""
    if isinstance(value, dict) and len(value) > _MOST_RATES:
        raise InvalidInput(f"{info.field_name} has {len(value)} fields; pass {_MOST_RATES} at most")
    return value


def _moment(value: object) -> object:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _name(value: object, info: ValidationInfo) -> str:
    return checked_name(value, info.field_name or "name")


# With an exponent as small numbers have it in Python and JavaScript: 5e-7.
_DECIMAL = r"[0-9]{1,20}(\.[0-9]{1,30})?([eE]-[0-9]{1,2})?"
_Amount: TypeAlias = (
    Annotated[str, StringConstraints(pattern=rf"^{_DECIMAL}$")]
    | Annotated[int, Field(ge=0, le=10**20)]
    | Annotated[float, Field(ge=0, le=1e20), BeforeValidator(_no_int)]
)
_SignedAmount: TypeAlias = (
    Annotated[str, StringConstraints(pattern=rf"^-?{_DECIMAL}$")]
    | Annotated[int, Field(ge=-(10**20), le=10**20)]
    | Annotated[float, Field(ge=-1e20, le=1e20), BeforeValidator(_no_int)]
)
_USD = MustBe("US dollars, as plain decimal text such as '0.25' or '5e-7', or as a number")
Money: TypeAlias = Annotated[_Amount, _USD]
SignedMoney: TypeAlias = Annotated[_SignedAmount, _USD]
Rates: TypeAlias = Annotated[dict[Any, Money], BeforeValidator(_few)]
Shares: TypeAlias = Annotated[
    list[_Amount],
    Field(max_length=20, fail_fast=True),
    MustBe("a list of up to 20 shares of the limit, such as [0.8, 1]"),
]

_COUNT = MustBe(f"a whole number from 0 to {_MOST}")
_TOKENS = MustBe(f"a whole number from 0 to {MAX_TOKENS}")
_ROWS = MustBe(f"a whole number from 1 to {MOST_ROWS}")
Count: TypeAlias = Annotated[int, Field(ge=0, le=_MOST), BeforeValidator(_whole), _COUNT]
Tokens: TypeAlias = Annotated[int, Field(ge=0, le=MAX_TOKENS), BeforeValidator(_whole), _TOKENS]
QueryCount: TypeAlias = Annotated[int, Field(ge=0, le=_MOST), BeforeValidator(_digits), _COUNT]
QueryRows: TypeAlias = Annotated[int, Field(ge=1, le=MOST_ROWS), BeforeValidator(_digits), _ROWS]

Ids: TypeAlias = Annotated[
    list[Annotated[int, Field(ge=0, le=_MOST)]],
    Field(max_length=100, fail_fast=True),
    MustBe("a list of up to 100 ids"),
]

_WAIT = MustBe(f"seconds above 0, at most {_LONGEST_WAIT:.0f}")
_SPAN = MustBe(f"seconds above 0, at most {_LONGEST_SPAN}")
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=_LONGEST_WAIT), _WAIT]
LONGEST_TURN = 60
"""Seconds that a request may wait for room."""
Turn: TypeAlias = Annotated[
    float, Field(ge=0, le=LONGEST_TURN), MustBe(f"seconds from 0 to {LONGEST_TURN}")
]
Span: TypeAlias = Annotated[
    float, Field(gt=0, le=_LONGEST_SPAN), AfterValidator(lambda s: timedelta(seconds=s)), _SPAN
]
_MOMENT = "a time with its UTC offset, such as 2026-03-02T09:00:00Z"
Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_moment), MustBe(_MOMENT)]
Anchor: TypeAlias = Annotated[Literal["creation"] | Moment, MustBe(f"'creation' or {_MOMENT}")]
Unit: TypeAlias = Annotated[
    Literal["minute", "hour", "day", "week", "month", "year"],
    MustBe("one of " + ", ".join(UNITS)),
]
Weekday: TypeAlias = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    MustBe("one of monday, tuesday, wednesday, thursday, friday, saturday, sunday"),
]

_NAME = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"\S")]
Name: TypeAlias = Annotated[str, PlainValidator(_name, json_schema_input_type=_NAME)]
Text: TypeAlias = Annotated[InstanceOf[str], MustBe("text")]  # prompts may have lone surrogates
Object: TypeAlias = dict[Any, Any]
Objects: TypeAlias = Annotated[list[Object], Field(fail_fast=True), MustBe("a list of objects")]
Flag: TypeAlias = Annotated[bool, MustBe("true or false")]


class Fields(BaseModel):
    """The fields of a body, or the query parameters."""

    model_config = ConfigDict(extra="forbid", strict=True)
    null_is_a_value: ClassVar[frozenset[str]] = frozenset()
    """The fields for which null is a value; for the others it is the same as leaving them out."""


def read(kind: type[Fields], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The checked fields of *sent*; see `Fields.null_is_a_value`. Raises `InvalidInput`."""
    known = kind.model_fields
    unknown = sent.keys() - known.keys()
    if unknown:
        names = ", ".join(known) or "none"
        raise InvalidInput(f"there is no field {min(unknown)!r:.60}; the fields are: {names}")
    try:
        fields = kind.model_validate(sent)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)) from None
    nulls = kind.null_is_a_value & sent.keys()
    return {
        name: value for name, value in vars(fields).items() if value is not None or name in nulls
    }


def _refusal(errors: list[ErrorDetails]) -> BudgetledgerError:
    """One of several errors, for the sender: a missing field, or else the first error."""
    error = next((error for error in errors if error["type"] == "missing"), errors[0])
    field, *parts = error["loc"]
    name = f"{field}{''.join(f'[{part!r:.60}]' for part in parts)}"
    if error["type"] == "missing":
        return InvalidInput(f"{name} is missing")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, BudgetledgerError):
        return cause
    what = "an object" if error["type"] == "dict_type" else error["msg"]
    return InvalidInput(f"{name} must be {what}, got {error['input']!r:.60}")
