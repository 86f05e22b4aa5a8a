"""The fields of every JSON document, in the order they are written.

`budgetledger.render.documents` makes the documents. The type checker compares them, and the
server's answers, with these classes; the OpenAPI description is generated from them. Money is text,
because a JSON number may lose digits; moments are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from budgetledger.entries import CostBasis, Measure


class Window(TypedDict):
    """From the start, included, to the end, excluded; null is unbounded."""

    start: datetime | None
    end: datetime | None
    timezone: str


class Budget(TypedDict):
    """A budget as it was set."""

    account: str
    name: str
    measure: Measure
    limit: Decimal | int
    """US dollars as text, or a count of tokens or requests."""
    model: str | None
    """The only model it limits; null for all."""
    per: str | None
    """The unit of its windows, or `rolling`; null for ever."""
    span_seconds: float | None
    """How long a rolling window is."""
    timezone: str
    week_start: int
    """0 is Monday."""
    anchor: datetime | None
    """The moment that windows are counted from, instead of the calendar."""
    alert_at: Sequence[Decimal]
    """Shares of the limit: 0.8 is 80 %."""
    created_at: datetime


class NewBudget(Budget):
    """A budget that was set."""

    remark: str | None
    """What the request may have meant instead; null if nothing is remarkable."""


class DefaultBudget(TypedDict):
    """The budget `standard` that accounts of a kind get at their first hold or charge."""

    project: str
    kind: str
    """`user` for bare names and users below a key, or the prefix of names, such as `team`."""
    measure: Measure
    limit: Decimal | int
    """US dollars as text, or a count of tokens or requests."""
    model: str | None
    per: str | None
    """The unit of its windows, or `rolling`; null for ever."""
    span_seconds: float | None
    timezone: str
    week_start: int
    anchor: datetime | Literal["creation"] | None
    """The moment that windows are counted from; `creation`: when an account gets the budget."""
    alert_at: Sequence[Decimal]


class BudgetStatus(Budget):
    """A budget and the use of its active window, in US dollars or counts, as its limit."""

    posted: Decimal | int
    held: Decimal | int
    available: Decimal | int
    """Limit less posted and held; negative once overspent."""
    window: Window


class Forecast(TypedDict):
    """Where spending leads at one rate."""

    reached_at: datetime | None
    """When the limit is reached; null if not before the window ends, or within a year."""
    at_end: Decimal | int | None
    """What will be posted at the end of the window; null without an end."""


class Pace(TypedDict):
    """Where the spending of a budget leads."""

    linear: Forecast
    """At the mean rate of the window so far."""
    weekday: Forecast | None
    """At the mean of each weekday in the last 28 days; null before there are as many."""


class BudgetPace(BudgetStatus):
    """A budget, its use, and its pace."""

    pace: Pace | None
    """Null before three full days, for a rolling window, and once the limit is reached."""


class Balance(TypedDict):
    """What an account spent in a window and may still spend, in US dollars."""

    project: str
    account: str
    limit: Decimal | None
    """Of the budget that is reported: `default`, or the one with least available."""
    posted: Decimal
    held: Decimal
    available: Decimal | None
    """Limit less posted and held; negative once overspent; null without a limit."""
    unpriced: int
    """Requests in the window whose price is not known, and which `posted` leaves out."""
    assumed: Decimal
    """The part of `posted` that is what was held for calls whose cost is not known yet."""
    window: Window
    budgets: list[BudgetStatus]


class AccountSettings(TypedDict):
    """An account's parent, and whether it is frozen."""

    project: str
    account: str
    parent: str | None
    """The account whose budgets it counts against too."""
    frozen: bool
    """Whether it takes no holds."""
    frozen_because: str | None
    """Why, if a reason was given."""


class Account(AccountSettings):
    """An account: when it was opened, its parent, and whether it is frozen."""

    created_at: datetime


class ModelCosts(TypedDict):
    """US dollars by model, and the window they were spent in."""

    project: str
    account: str
    window: Window
    unpriced: int
    """Requests in the window whose price is not known, and which `model_costs` leaves out."""
    assumed: Decimal
    """The part of the costs that is what was held for calls whose cost is not known yet."""
    model_costs: Mapping[str, Decimal]


class Alert(TypedDict):
    """A threshold that was reached (state `alert`) or resolved (`resolve`)."""

    project: str
    account: str
    budget: str
    state: Literal["alert", "resolve"]
    threshold: Decimal
    """A share of the limit: 0.8 is 80 %."""
    limit: Decimal | int
    posted: Decimal | int
    window: Window
    recorded_at: datetime


class Entry(TypedDict):
    """One row of a journal. It never changes."""

    id: int
    project: str
    account: str
    recorded_at: datetime
    occurred_at: datetime | None
    """When the call was made, if the caller stated it."""
    kind: str
    """What the row records: `charge`, `hold`, `settle`, `adjustment`, a setting, an alert, …"""
    model: str | None
    cost: Decimal | None
    """US dollars; negative only in an adjustment; null if no price was known."""
    cost_basis: CostBasis | None
    """What the cost is based on: `stated` by price and usage, by the caller or by LiteLLM,
    `estimated` from the answer's text, `assumed` to be what was held, or `unpriced`."""
    price_source: str | None
    """The source of the price: a price list, an own price, the caller; or `assumed`."""
    price: dict[str, Any]
    """The unit prices from which the cost was computed."""
    input_tokens: int
    output_tokens: int
    requests: int
    usage: dict[str, Any]
    """Counts by kind."""
    tags: dict[str, Any]
    """What the caller stored with the row."""
    note: str | None
    corrects_id: int | None
    """The entry that an adjustment corrects."""
    idempotency_key: str | None
    origin_id: int | None
    """In the journal of a parent: the entry of the account below that this row repeats."""
    hold_id: int | None
    """The hold that this row settles, releases, expires, extends or increases."""
    held: Decimal | None
    """US dollars that a hold set aside; null in other rows."""
    held_tokens: int | None
    expires_at: datetime | None
    """When a hold expires."""
    hash: bytes
    """sha256 over the row and the one before it in the account, in hex."""


class OpenHold(TypedDict):
    """An open hold: its amount, account and deadline."""

    id: int
    project: str
    account: str
    model: str | None
    amount: Decimal
    """US dollars set aside."""
    tokens: int
    """Tokens set aside, input and output."""
    recorded_at: datetime
    expires_at: datetime
    """When it expires, unless it is extended."""
    idempotency_key: str | None
    tags: dict[str, Any]


class Estimate(TypedDict):
    """What a call may cost, in US dollars, and the figures it follows from."""

    model: str
    low: Decimal
    high: Decimal
    """What a hold sets aside."""
    input_tokens: int
    """Of the prompt, at most."""
    output_tokens: int
    """The bound on the output, over all answers."""
    bounded: bool
    """False if the caller set no bound on the output, so that the default applies."""
    method: str
    """How the input was counted: `exact`, `proxy` or `estimate`."""
    price_source: str
    price: dict[str, str]
    """The unit prices of `high`."""


class Price(TypedDict):
    """What calls of a model cost from a moment on, as the user set it."""

    id: int
    project: str | None
    """Null for a price of all projects."""
    model: str
    """A name, or a pattern with `*` and `?`."""
    removed: bool
    """Whether the row ends the price."""
    rates: dict[str, Decimal]
    """US dollars by unit, such as `input_mtok`."""
    effective_at: datetime
    recorded_at: datetime
    note: str | None


class Figures(TypedDict):
    """Sums over calls."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    """The part of `input_tokens` that was read from a cache."""
    cost: Decimal
    """US dollars, without what is unpriced."""
    unpriced: int
    """Requests whose cost is not known."""
    assumed: int
    """Requests that cost what was held for them."""
    assumed_cost: Decimal
    estimated: int
    """Requests whose tokens were counted."""
    estimated_cost: Decimal


class ReportRow(Figures):
    """One line of a report."""

    name: str | None
    """A period's start in the report's time zone, or what the calls have in common."""
    window: Window | None
    """The period; null in reports by something else."""
    depth: int
    """How many accounts are above it in a tree."""
    cells: list[Figures]
    """In the order of `column_names`."""
    budget: BudgetPace | None
    """In a report by account."""


class Report(TypedDict):
    """Sums of calls where they belong in time, each call once."""

    project: str
    account: str | None
    by: str
    columns: str | None
    window: Window
    as_of: datetime | None
    column_names: list[str | None]
    rows: list[ReportRow]
    total: Figures
    column_totals: list[Figures]
    average_cost: Decimal
    """US dollars for each row."""
    previous_window: Window | None
    """The range of equal length before; null without a start."""
    previous: Figures | None


class RepricedCall(TypedDict):
    """A call that was recorded without a price, or with an assumed cost, with its price now."""

    entry_id: int
    account: str
    model: str | None
    cost: Decimal
    """US dollars."""
    price_source: str
    price: dict[str, str]
    adjustment_id: int | None
    """The entry that states the cost, or its difference from the assumed one; null in a dry run."""


class Repriced(TypedDict):
    """Calls that were priced now, or would be, and those whose cost is unknown or assumed still."""

    applied: bool
    total: Decimal
    """US dollars."""
    priced: list[RepricedCall]
    still_unpriced: list[Entry]


# -- what the server alone answers -----------------------------------------------------------------


class Health(TypedDict):
    """The ledger can be read."""

    status: Literal["ok"]


class About(TypedDict):
    """Service name and version."""

    service: Literal["budgetledger"]
    version: str


class Accounts(TypedDict):
    """The project's accounts, by name."""

    accounts: list[Account]


class Budgets(TypedDict):
    """The account's budgets in force, by name."""

    budgets: list[Budget]


class NewDefaultBudget(DefaultBudget):
    """The default budget that was set."""

    warning: str | None
    """What to do if nothing limits new names together; else null."""


class DefaultBudgets(TypedDict):
    """The project's default budgets in force, by kind."""

    default_budgets: list[DefaultBudget]


class RemovedDefault(TypedDict):
    """The default budget that was ended."""

    project: str
    kind: str


class Removed(TypedDict):
    """The budget that was ended."""

    account: str
    name: str


class Shifted(TypedDict):
    """The window that began."""

    account: str
    window: Window


class Hold(OpenHold):
    """An open hold: its amount, account and deadline."""

    bounded: bool
    """False if the call's output has no bound, so that it can cost more than was held."""


class Holds(TypedDict):
    """Open holds, in the order they were taken."""

    holds: list[Hold]


class Affordable(TypedDict):
    """Whether a hold would be granted now."""

    affordable: bool


class Entries(TypedDict):
    """A page of entries."""

    entries: list[Entry]
    next: int | None
    """What to pass as `after` for the next page; null on the last one."""


class Alerts(TypedDict):
    """Alerts raised and resolved, in order."""

    alerts: list[Alert]


class Prices(TypedDict):
    """Own prices, by model."""

    prices: list[Price]


class Fault(TypedDict):
    """What went wrong, with the facts that apply."""

    type: str
    """The name of the error in the library, such as `BudgetExceededError`."""
    message: str
    """For people: what happened, and what to do."""
    account: NotRequired[str]
    project: NotRequired[str]
    model: NotRequired[str]
    hold_id: NotRequired[int]
    key: NotRequired[str]
    limit: NotRequired[Decimal | int]
    posted: NotRequired[Decimal | int]
    held: NotRequired[Decimal | int]
    available: NotRequired[Decimal | int]
    requested: NotRequired[Decimal | int]
    retry_after: NotRequired[float | None]
    """Seconds until a hold may be granted; null if never."""
    largest_output: NotRequired[int | None]
    """The largest `max_output_tokens` that would be granted; null if there is none."""
    blocked_by_holds: NotRequired[bool]
    """Whether waiting for open holds may help: without them the hold would be granted now."""
    budget: NotRequired[str]
    measure: NotRequired[Measure]
    window: NotRequired[Window]
    entry: NotRequired[Entry | None]
    """The entry that closed the hold, or that the key created."""
    users: NotRequired[dict[str, str]]
    """What is wrong with records of LiteLLM's users, by user."""


class Error(TypedDict):
    """The answer to every failed request (status 400 or more)."""

    status: NotRequired[Literal["error"]]
    """Present with errors in records of LiteLLM's users, whose clients expect it."""
    error: Fault
