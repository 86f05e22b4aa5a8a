"""The data dictionary: what every table, view and column means. Compared with the schema by a test.

`budgetledger schema` prints it, and the room's page has it.
"""

from __future__ import annotations

from typing import NamedTuple

_UNITS = (
    ("_us", "microseconds since 1970 UTC"),
    ("_pico", "picodollars, 10⁻¹² USD"),
    ("_usd", "US dollars"),
    ("_seconds", "seconds"),
    ("_tokens", "tokens"),
    ("_at", "ISO 8601, UTC"),
)
"""Units by the end of a column's name, unless the column states its own."""

_WHOLE = "whole US dollars, to be added to the picodollars"
_SHARE = "a share of the limit as text: 0.8 is 80 %"
_MEASURED = "US dollars, tokens or requests, by the measure"


class Column(NamedTuple):
    """A column: its unit, if it has one, and its meaning."""

    name: str
    meaning: str
    unit: str


class Relation(NamedTuple):
    """A table or view: what a row is, and its columns in their order."""

    name: str
    kind: str
    meaning: str
    columns: tuple[Column, ...]


def _relation(
    kind: str, name: str, meaning: str, columns: dict[str, str], **units: str
) -> Relation:
    """*units*: those of columns whose names do not state them."""
    described = (
        Column(column, text, units.get(column, _unit(column))) for column, text in columns.items()
    )
    return Relation(name, kind, meaning, tuple(described))


def _unit(column: str) -> str:
    return next((unit for end, unit in _UNITS if column.endswith(end)), "")


_CALL = {
    "input_tokens": "tokens of the prompt, cached ones too",
    "output_tokens": "tokens of the answer, reasoning too",
    "requests": "calls; 0 in rows that are none",
}
_SUMS = {
    "cost_usd": "their cost, as a float; without what is unpriced",
    "assumed_usd": "the part of it that is what was held, as the cost is not known yet",
    "requests": "calls",
    "input_tokens": "tokens of the prompts",
    "output_tokens": "tokens of the answers",
    "unpriced": "calls without a known cost",
}
_OWNER = {"project": "the namespace of accounts and keys", "account": "the account's name"}
_TERMS = {
    "measure": "what is limited: `usd`, `tokens` or `requests`",
    "limit_units": "the limit, in whole dollars or as a count",
    "limit_pico": "the rest of a limit in dollars",
}
_KIND = (
    "`opening`, `charge`, `settle`, `adjustment`, `import` (costs), `hold`, `release`, `expire`, "
    "`extend` (holds), `budget`, `prior`, `shift`, `parent`, `freeze`, `unfreeze` (settings), "
    "`alert`, `resolve`"
)

VIEWS = (
    _relation(
        "view",
        "spend",
        "The costs, each call once: what to query first.",
        {
            "id": "the entry",
            **_OWNER,
            "recorded_at": "when the row was written",
            "occurred_at": "when the call was made, if that was stated",
            "belongs_at": "when the cost counts: budgets and reports go by it",
            "kind": "`opening`, `charge`, `settle`, `adjustment` or `import`",
            "model": "the model, as it was asked for",
            "cost_usd": "the cost, as a float; null if it is not known",
            "cost_pico": "the cost, exact",
            "price_source": "the source of the price: a list, an own price, the caller; `assumed`",
            "cost_basis": "`stated`, `estimated`, `assumed` or `unpriced`",
            **_CALL,
            "unpriced": "1 if the cost is not known, and no correction states it",
            "assumed": "1 if the cost is what was held, and no correction states it",
            "usage": "JSON: counts by kind",
            "price": "JSON: the unit prices, US dollars, and whose they are",
            "tags": "JSON: what the caller stored with the row",
            "note": "a reason or remark",
            "corrects_id": "the entry that an adjustment corrects",
            "hold_id": "the hold that a settle closed",
            "idempotency_key": "the key under which it was recorded",
            "hash": "sha256 over the row and the one before it in the account, in hex",
            "counted": "1 if budgets count it; 0 for imported history and its corrections",
        },
    ),
    _relation(
        "view",
        "spend_by_day",
        "Costs by day in UTC, where they belong, and account.",
        {"day": "the day", **_OWNER, **_SUMS},
        day="YYYY-MM-DD, UTC",
    ),
    _relation(
        "view",
        "spend_by_model",
        "Costs by account and model.",
        {**_OWNER, "model": "the model, as it was asked for", **_SUMS},
    ),
    _relation(
        "view",
        "current_budgets",
        "The budgets in force.",
        {
            **_OWNER,
            "budget": "the budget's name",
            "measure": _TERMS["measure"],
            "limit_value": "the limit",
            "model": "the only model it limits; null for all",
            "per": "the unit of its windows, or `rolling`; null for ever",
            "span_seconds": "the length of a rolling window",
            "timezone": "IANA name of the calendar",
            "anchored_at": "the moment from which windows are counted; null for the calendar",
            "alert_at": "thresholds, separated by commas",
            "set_at": "when these terms were set",
            "last_shift_at": "when a window was last started by hand",
        },
        limit_value=_MEASURED,
        alert_at=_SHARE,
    ),
    _relation(
        "view",
        "holds",
        "All holds, open and closed.",
        {
            "id": "the entry of the hold",
            **_OWNER,
            "model": "the model of the call",
            "held_usd": "what is set aside, as a float",
            "held_pico": "what is set aside, exact",
            "held_tokens": "what is set aside",
            "recorded_at": "when it was granted",
            "expires_at": "when it expires, unless it is extended",
            "closed_by": "`settle`, `release` or `expire`; null while it is open",
            "cost_usd": "what the call cost, as a float",
            "tags": "JSON: what the caller stored with it",
            "note": "a remark",
            "idempotency_key": "the key under which it was taken",
        },
    ),
    _relation(
        "view",
        "alerts",
        "Thresholds of budgets that were reached or resolved.",
        {
            "id": "the entry",
            **_OWNER,
            "recorded_at": "when it was raised",
            "state": "`alert` or `resolve`",
            "budget": "the budget's name",
            "measure": _TERMS["measure"],
            "threshold": "the threshold",
            "limit_value": "the limit then",
            "posted_value": "what was posted in the window",
            "window_start": "the window's start; null if unbounded",
            "window_end": "its end, excluded; null if unbounded",
        },
        threshold=_SHARE,
        limit_value=_MEASURED,
        posted_value=_MEASURED,
        window_start="ISO 8601, UTC",
        window_end="ISO 8601, UTC",
    ),
    _relation(
        "view",
        "prices",
        "Own prices, as they were set; the latest that is effective is in force.",
        {
            "id": "the price's number",
            "project": "null for all projects",
            "model": "a name, or a pattern with `*` and `?`",
            "removed": "1 if the row ends the price",
            "effective_at": "it prices calls made from then on",
            "input_usd": "the price of input",
            "output_usd": "the price of output",
            "cache_read_usd": "the price of input read from the cache",
            "cache_write_usd": "the price of input written to the cache",
            "request_usd": "the price of a request",
            "rates": "JSON: every rate by its key",
            "recorded_at": "when it was set",
            "note": "a remark",
            "hash": "sha256 over the row and the one before it, in hex",
        },
        **dict.fromkeys(
            ("input_usd", "output_usd", "cache_read_usd", "cache_write_usd"),
            "US dollars per million tokens",
        ),
    ),
)

_ENTRY_ID = {"entry_id": "the entry it belongs to", "account_id": "the account"}
_TOTALS = {
    "total_usd": "of the account's rows up to this one: dollars",
    "total_pico": "the rest in picodollars",
    "total_tokens": "tokens",
    "total_requests": "calls",
}

TABLES = (
    _relation(
        "table",
        "projects",
        "Namespaces of accounts and keys.",
        {"id": "number", "name": "name"},
    ),
    _relation(
        "table",
        "accounts",
        "What spends: users, teams, keys.",
        {
            "id": "number",
            "project_id": "the project",
            "name": "name; `*` is the whole project",
            "created_at_us": "when it was opened",
        },
    ),
    _relation(
        "table",
        "entries",
        "The journals: every row that was ever recorded. Rows never change.",
        {
            "id": "number, in the order of recording, without gaps",
            "project_id": "the account's project",
            "account_id": "the account in whose journal the row is",
            "recorded_at_us": "when it was written; ascending in an account",
            "kind": _KIND,
            "model": "the model, as it was asked for",
            "cost_pico": "the cost; null if it is not known, and in rows that record none",
            "price_source": "the source of the price: a list, an own price, the caller; `assumed`",
            "occurred_at_us": "when the call was made, if that was stated",
            **_CALL,
            "usage": "JSON: counts by kind",
            "price": "JSON: the unit prices, US dollars, and whose they are",
            "tags": "JSON: what the caller stored with the row",
            "note": "a reason or remark",
            "corrects_id": "the entry that an adjustment corrects",
            "idempotency_key": "the key under which it was recorded",
            **_TOTALS,
            "model_usd": "of the account's rows of the same model: dollars",
            "model_pico": "the rest in picodollars",
            "model_tokens": "tokens",
            "model_requests": "calls",
            "hash": "sha256 over the row and the one before it in the account",
            "origin_id": "in a journal above: the entry that this row repeats",
            "hold_id": "the hold that the row settles, releases, expires or extends",
            "held_pico": "what a hold sets aside",
            "held_tokens": "what a hold sets aside",
            "expires_at_us": "when a hold expires",
            "settings_rows": "how many rows of settings the account has up to this one",
        },
        total_usd=_WHOLE,
        model_usd=_WHOLE,
    ),
    _relation(
        "table",
        "budget_revisions",
        "The terms of budgets; the latest row of a name is in force.",
        {
            **_ENTRY_ID,
            "name": "the budget's name",
            **_TERMS,
            "model": "the only model it limits; null for all",
            "per": "the unit of its windows, or `rolling`; null for ever",
            "timezone": "IANA name of the calendar",
            "week_start": "the first day of a week: 0 Monday to 6 Sunday",
            "anchor_us": "the moment from which windows are counted; null for the calendar",
            "span_us": "the length of a rolling window",
            "created_at": "when it counts as created",
            "removed": "1 if the row ends the budget",
            "alert_at": "thresholds, separated by commas",
        },
        limit_units=_MEASURED,
        span_us="microseconds",
        created_at="seconds since 1970 UTC",
        alert_at=_SHARE,
    ),
    _relation(
        "table",
        "default_budget_revisions",
        "The budget that accounts of a kind get; the latest row of a kind is in force.",
        {
            "id": "its number",
            "project_id": "the project",
            "kind": "`user` for bare names, or the prefix of names",
            **_TERMS,
            "model": "the only model it limits; null for all",
            "per": "the unit of its windows, or `rolling`; null for ever",
            "timezone": "IANA name of the calendar",
            "week_start": "the first day of a week: 0 Monday to 6 Sunday",
            "anchor_us": "the moment from which windows are counted; null for the calendar",
            "span_us": "the length of a rolling window",
            "anchored": "1 if windows start when an account gets its budget",
            "alert_at": "thresholds, separated by commas",
            "removed": "1 if the row ends the default",
            "recorded_at_us": "when the row was written",
            "hash": "sha256 over the row and the one before it",
        },
        limit_units=_MEASURED,
        span_us="microseconds",
        alert_at=_SHARE,
    ),
    _relation(
        "table",
        "window_shifts",
        "Windows that were started by hand.",
        {
            **_ENTRY_ID,
            "budget": "the budget's name",
            "start_us": "the window's start",
            "turned": "1 if the window turned by itself, and the row only notes it",
        },
    ),
    _relation(
        "table",
        "parent_changes",
        "Accounts put under others, from then on.",
        {**_ENTRY_ID, "parent_id": "the account above; null ends it"},
    ),
    _relation(
        "table",
        "threshold_crossings",
        "Alerts: thresholds of budgets that were reached or resolved.",
        {
            **_ENTRY_ID,
            "budget": "the budget's name",
            "measure": _TERMS["measure"],
            "threshold": "the threshold",
            "limit_units": "the limit then, in whole dollars or as a count",
            "limit_pico": "the rest of a limit in dollars",
            "posted_units": "what was posted, in whole dollars or as a count",
            "posted_pico": "the rest of dollars posted",
            "start_us": "the window's start; null if unbounded",
            "end_us": "its end, excluded; null if unbounded",
            "timezone": "IANA name of the calendar",
        },
        threshold=_SHARE,
        limit_units=_MEASURED,
        posted_units=_MEASURED,
    ),
    _relation(
        "table",
        "open_holds",
        "Holds that are open, for each account they count on. An index: rows go when holds close.",
        {
            "account_id": "the account",
            "hold_id": "the entry of the hold",
            "expires_at_us": "when it expires",
            "model": "the model of the call",
            "held_pico": "what is set aside",
            "held_tokens": "what is set aside",
            "path": "the ids of the accounts above the hold's own, when it was granted",
        },
    ),
    _relation(
        "table",
        "model_runs",
        "The last rows of runs of one model in a journal. An index over the entries.",
        {
            "account_id": "the account",
            "model": "the model",
            "recorded_at_us": "when the entry was recorded",
            "entry_id": "the entry",
        },
    ),
    _relation(
        "table",
        "price_revisions",
        "Own prices, as they were set.",
        {
            "id": "number",
            "project_id": "the project; null for all",
            "model": "a name, or a pattern with `*` and `?`",
            "rates": "JSON: US dollars by unit; null ends the price",
            "effective_at_us": "it prices calls made from then on",
            "recorded_at_us": "when it was set",
            "note": "a remark",
            "hash": "sha256 over the row and the one before it",
        },
    ),
    _relation(
        "table",
        "answers",
        "Totals of calls that another model answered. An index over the entries.",
        {
            "account_id": "the account",
            "names": "JSON: the model asked for, and the one that answered",
            "recorded_at_us": "when the entry was recorded",
            "entry_id": "the entry",
            "total_usd": "of the account's calls with these names up to it: dollars",
            "total_pico": "the rest in picodollars",
            "total_tokens": "tokens",
            "total_requests": "calls",
        },
        total_usd=_WHOLE,
    ),
    _relation(
        "table",
        "late_entries",
        "Entries that count earlier than they were recorded. An index over the entries.",
        {
            "account_id": "the account",
            "entry_id": "the entry",
            "recorded_at_us": "when it was recorded",
            "belongs_at_us": "when it counts",
            "within_us": "the least power of two above the delay; 0 if no budget counts it",
            "names": "as in `answers`, if another model answered",
        },
        within_us="microseconds",
    ),
    _relation(
        "table",
        "prior_costs",
        "What a budget of `*` counts of the project's rows before it was set.",
        {
            **_ENTRY_ID,
            "budget": "the budget's name",
            "start_us": "the start of its active window then; null for ever",
        },
    ),
    _relation(
        "table",
        "prior_parts",
        "Totals of these rows, up to a moment.",
        {
            "entry_id": "the entry of `prior_costs`",
            "belongs_at_us": "the moment",
            "total_usd": "dollars",
            "total_pico": "the rest in picodollars",
            "total_tokens": "tokens",
            "total_requests": "calls",
        },
        total_usd=_WHOLE,
    ),
)


def markdown() -> str:
    """The dictionary as Markdown: a heading and a table for each view and table."""
    parts = []
    for relation in (*VIEWS, *TABLES):
        rows = "\n".join(
            f"| `{column.name}` | {column.unit} | {column.meaning} |" for column in relation.columns
        )
        parts.append(
            f"### {relation.kind} {relation.name}\n\n{relation.meaning}\n\n"
            f"| column | unit | meaning |\n|---|---|---|\n{rows}\n"
        )
    return "\n".join(parts)
