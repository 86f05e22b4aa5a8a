"""What each request may say, in its body or its query."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, create_model

from budgetledger.errors import InvalidInput
from budgetledger.server.request_fields import (
    Anchor,
    Count,
    Fields,
    Flag,
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
    Unit,
    Weekday,
    read,
)
from budgetledger.usage import Usage


def _one_of(*groups: tuple[str, ...]) -> ConfigDict:
    """For the description: a body has all fields of one of *groups*, which the ledger checks."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": list(group)} for group in groups]})


class Page(Fields):
    """Which entries to list."""

    since: Moment | None = None
    until: Moment | None = None
    after: QueryCount | None = None
    limit: QueryRows | None = None


class At(Fields):
    """A moment to look at."""

    at: Moment | None = None


class Past(At):
    """The same, as of another moment."""

    as_of: Moment | None = None


class Prompt(Fields):
    """A call that is still to be made."""

    model: Name | None = None
    messages: Objects | None = None
    text: Text | None = None
    tools: Objects | None = None
    max_output_tokens: Count | None = None
    n: Count | None = None


class HowMuch(Prompt):
    """How much a hold sets aside: an amount, or what a call may cost."""

    model_config = _one_of(("amount",), ("tokens",), ("model", "messages"), ("model", "text"))

    amount: Money | None = None
    tokens: Count | None = None


class NewHold(HowMuch):
    """What to set aside, and for how long."""

    tags: Object | None = None
    expires_in: Seconds | None = None


class Extension(Fields):
    """How many seconds from now a hold is to expire."""

    expires_in: Seconds


_counts: dict[str, Any] = dict.fromkeys(Usage._fields[:-1], (Tokens | None, None))
UsageCounts = create_model(
    "UsageCounts",
    __base__=Fields,
    __doc__="What a call used.",
    **_counts,
    service_tier=(Name | None, None),
)


def _usage(value: object) -> Usage:
    if not isinstance(value, dict):
        raise InvalidInput(f"usage must be an object, got {value!r:.60}")
    return Usage(**read(UsageCounts, value))


class Paid(Fields):
    """What a call cost: by its response, its usage, or in US dollars."""

    model_config = _one_of(("cost",), ("response",), ("usage",))

    cost: Money | None = None
    response: Object | None = None
    usage: Annotated[Any, PlainValidator(_usage, json_schema_input_type=UsageCounts)] | None = None
    model: Name | None = None
    tags: Object | None = None
    occurred_at: Moment | None = None


class Correction(Fields):
    """By how much to correct an entry, or what the call cost in all."""

    model_config = _one_of(("amount",), ("total",))

    amount: SignedMoney | None = None
    total: Money | None = None
    reason: Name


class NewBudget(Fields):
    """What an account may use, of what, and in which windows."""

    model_config = _one_of(("limit",), ("tokens",), ("requests",))

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
    name: Name | None = None
    created_at: Moment | None = None


class Reason(Fields):
    """Why."""

    reason: Name | None = None


class Shift(Reason):
    """Which budget's window to start anew, and why; without a budget, those of all."""

    budget: Name | None = None


class NewParent(Fields):
    """The account above; null for none."""

    parent: Name | None


class PricedPrompt(Prompt):
    """A call to estimate."""

    model_config = _one_of(("messages",), ("text",))

    model: Name


class OwnRates(Fields):
    """US dollars for a million tokens, or for one call, search or image."""

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
    """What calls of a model, or of those that match a pattern, cost from a moment on."""

    model_config = _one_of(*((rate,) for rate in OwnRates.model_fields))

    model: Name
    effective_at: Moment | None = None
    note: Name | None = None


class Repricing(Fields):
    """Which entries to price; unless `dry_run` is false, nothing is recorded."""

    account: Name | None = None
    model: Name | None = None
    dry_run: Flag | None = None
