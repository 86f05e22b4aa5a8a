"""The fields of each request, in its body or its query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, PlainValidator, create_model

from budgetledger.errors import InvalidInput
from budgetledger.server.request_fields import (
    Anchor,
    Count,
    Fields,
    Flag,
    Ids,
    Moment,
    Money,
    Name,
    Object,
    Objects,
    QueryCount,
    QueryRows,
    Rates,
    Seconds,
    Shares,
    SignedMoney,
    Span,
    Text,
    Tokens,
    Turn,
    Unit,
    Weekday,
    read,
)
from budgetledger.usage import COUNT_NAMES, ImageGeneration, Usage


def _one_of(*groups: tuple[str, ...]) -> ConfigDict:
    """Describe that a body needs all fields of one of *groups*. The ledger checks it."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": list(group)} for group in groups]})


class Page(Fields):
    """Which entries to list."""

    since: Moment | None = None
    until: Moment | None = None
    after: QueryCount | None = None
    limit: QueryRows | None = None
    last: QueryRows | None = None


class At(Fields):
    """The time to read at."""

    at: Moment | None = None


class Past(At):
    """The time to read at, with what was recorded until `as_of`."""

    as_of: Moment | None = None


class Prompt(Fields):
    """A call before it is sent."""

    model: Name | None = None
    messages: Objects | None = None
    text: Text | None = None
    tools: Objects | None = None
    max_output_tokens: Count | None = None
    n: Count | None = None


class HowMuch(Prompt):
    """How much to hold: an amount, a number of tokens, or what a call may cost."""

    model_config = _one_of(("amount",), ("tokens",), ("model", "messages"), ("model", "text"))

    amount: Money | None = None
    tokens: Count | None = None


class NewHold(HowMuch):
    """What to hold, for how many seconds, and how long to wait while open holds are in the way.

    `around` has the ids of the holds of the calls around this one, innermost first: a refusal
    that they cause says so, and does not wait for them.
    """

    tags: Object | None = None
    expires_in: Seconds | None = None
    wait: Turn | None = None
    around: Ids | None = None


class Extension(Fields):
    """The seconds from now until the hold expires."""

    expires_in: Seconds


class More(Fields):
    """What to hold more: US dollars, tokens, or both."""

    model_config = _one_of(("amount",), ("tokens",))

    amount: Money | None = None
    tokens: Count | None = None


_counts: dict[str, Any] = dict.fromkeys(COUNT_NAMES, (Tokens | None, None))
UsageCounts = create_model(
    "UsageCounts",
    __base__=Fields,
    __doc__="What a call used, in tokens and other units.",
    **_counts,
    service_tier=(Name | None, None),
)


def _usage(value: object, counts: type[Fields]) -> Usage:
    if not isinstance(value, dict):
        raise InvalidInput(f"usage must be an object, got {value!r:.60}")
    return Usage(**read(counts, value))


_Counts: TypeAlias = Annotated[
    Any,
    PlainValidator(lambda value: _usage(value, UsageCounts), json_schema_input_type=UsageCounts),
]


class ImageCounts(Fields):
    """What a tool that generates images used, and the model that is billed for it."""

    model: Name
    usage: Annotated[
        Any,
        PlainValidator(
            lambda value: _usage(value, UsageCounts), json_schema_input_type=UsageCounts
        ),
    ]


def _images(value: object) -> ImageGeneration:
    if not isinstance(value, dict):
        raise InvalidInput(f"image_generation must be an object, got {value!r:.60}")
    return ImageGeneration(**read(ImageCounts, value))


_Images: TypeAlias = Annotated[Any, PlainValidator(_images, json_schema_input_type=ImageCounts)]


class CallCounts(UsageCounts):  # type: ignore[valid-type, misc]
    """What a call used, with the images that another model made for it."""

    image_generation: _Images | None = None


_CallUsage: TypeAlias = Annotated[
    Any, PlainValidator(lambda value: _usage(value, CallCounts), json_schema_input_type=CallCounts)
]


class Paid(Fields):
    """What a call cost: US dollars, the provider's response, or the usage."""

    model_config = _one_of(("cost",), ("response",), ("usage",))

    cost: Money | None = None
    response: Object | None = None
    usage: _CallUsage | None = None
    model: Name | None = None
    tags: Object | None = None
    occurred_at: Moment | None = None


class Correction(Fields):
    """A correction of an entry: `amount` is the difference, `total` the corrected cost."""

    model_config = _one_of(("amount",), ("total",))

    amount: SignedMoney | None = None
    total: Money | None = None
    reason: Name


class Terms(Fields):
    """How much may be used, and in which windows. Null is for ever, or no `anchor`, no `model`."""

    model_config = _one_of(("limit",), ("tokens",), ("requests",))
    null_is_a_value = frozenset({"per", "anchor", "model"})

    limit: Money | None = None
    tokens: Count | None = None
    requests: Count | None = None
    per: Unit | None = None
    span: Span | None = None
    timezone: Name | None = None
    week_start: Weekday | None = None
    anchor: Anchor | None = None
    model: Name | None = None
    alert_at: Shares | None = None


def with_period(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Terms`, with the span as ``per``. Raises `InvalidInput` for both."""
    others = dict(fields)
    span = others.pop("span", None)
    if span is not None:
        if others.get("per") is not None:
            raise InvalidInput("send per or span, not both")
        others["per"] = span
    return others


class NewBudget(Terms):
    """A budget: how much an account may use, and in which windows.

    Of a budget that exists, what is left out stays. Null ends `per` (for ever), `anchor`, `model`.
    """

    model_config = _one_of(("limit",), ("tokens",), ("requests",), ("name",))

    name: Name | None = None
    created_at: Moment | None = None


class NewDefaultBudget(Terms):
    """The budget of each account of a kind, by default of users."""

    kind: Name | None = None


class Reason(Fields):
    """The reason, as text."""

    reason: Name | None = None


class Release(Reason):
    """The reason; and the entry of the same account that counts the call, if one does."""

    counted_by: Count | None = None


class Shift(Reason):
    """The budget whose window starts anew, and the reason; without a budget, all of them."""

    budget: Name | None = None


class NewParent(Fields):
    """The parent account; null for none."""

    parent: Name | None


class PricedPrompt(Prompt):
    """A call to estimate."""

    model_config = _one_of(("messages",), ("text",))

    model: Name


class OwnRates(Fields):
    """US dollars per million tokens, or per call, search or image."""

    input: Money | None = None
    output: Money | None = None
    cache_read: Money | None = None
    cache_write: Money | None = None
    cache_write_1h: Money | None = None
    reasoning: Money | None = None
    input_audio: Money | None = None
    output_audio: Money | None = None
    request: Money | None = None
    web_search: Money | None = None
    image: Money | None = None
    rates: Rates | None = None


class NewPrice(OwnRates):
    """What calls of a model, or of all that match a pattern, cost from `effective_at` on."""

    model_config = _one_of(*((rate,) for rate in OwnRates.model_fields))

    model: Name
    effective_at: Moment | None = None
    note: Name | None = None


class Repricing(Fields):
    """Which entries to price. Unless `dry_run` is false, nothing is recorded."""

    account: Name | None = None
    model: Name | None = None
    dry_run: Flag | None = None
