"""The values callers receive: frozen, with money as `Decimal` US dollars and times in UTC.

Fields ending in ``_us`` are microseconds since 1970, in ``_pico`` picodollars (10⁻¹² USD).
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

from budgetledger import display
from budgetledger.money import Sum, to_usd
from budgetledger.windows import Period, Window, from_us

__all__ = [
    "MONEY_KINDS",
    "Account",
    "Alert",
    "Balance",
    "Budget",
    "BudgetStatus",
    "CostBasis",
    "DefaultBudget",
    "Entry",
    "ManyCharged",
    "Measure",
]

Measure: TypeAlias = Literal["usd", "tokens", "requests"]
"""What a budget limits: US dollars, tokens, or the number of calls."""

IMPORTED = "import"
"""The kind of entries from another program's log. They count in reports, but in no budget and in no
running total, nor do their adjustments."""

MONEY_KINDS = ("opening", "charge", "settle", "adjustment", IMPORTED)
"""Kinds of entries that record costs. The others are steps of holds (``hold``, ``release``,
``expire``, ``extend``, ``increase``), settings (``budget``, ``shift``, ``parent``, ``freeze``,
``unfreeze``), what a budget of ``*`` found posted (``prior``) and alerts (``alert``,
``resolve``)."""


CostBasis: TypeAlias = Literal["stated", "estimated", "assumed", "unpriced"]
"""What a cost is based on. ``stated``: by price and usage, by the caller, or by LiteLLM.
``estimated``: the counted text of the answer. ``assumed``: what was held, as the cost is not
known. ``unpriced``: no cost is known."""

ASSUMED_COST = "assumed"
"""The ``price_source`` of a settle whose cost is what was held."""

ESTIMATED_USAGE = "estimated"
"""Key in the usage of a settle whose tokens were counted, as the answer reported none."""

RESPONSE_ID = "response_id"
"""Key in the price of a row: the provider's id of the response."""


class Account(NamedTuple):
    """Something that spends: a user, or another kind, named by a prefix (``team:``, ``key:``)."""

    project: str
    name: str
    created_at_us: int
    parent: str | None = None
    """The account whose budgets it counts against too. Every account is also under ``*``."""
    frozen: str | None = None
    """Why the account is frozen, empty without a reason; None if it is not frozen."""

    def __repr__(self) -> str:
        frozen = f"frozen: {self.frozen!r}" if self.frozen else "frozen"
        return display.listed(
            "Account",
            repr(self.name),
            f"project {self.project!r}",
            None if self.parent is None else f"under {self.parent!r}",
            None if self.frozen is None else frozen,
        )


class Entry(NamedTuple):
    """One immutable row of an account's journal."""

    id: int
    project: str
    account: str
    recorded_at_us: int
    kind: str
    model: str | None
    cost_pico: int | None
    price_source: str | None
    occurred_at_us: int | None
    input_tokens: int
    output_tokens: int
    requests: int
    usage_json: str | None
    price_json: str | None
    tags_json: str | None
    note: str | None
    corrects_id: int | None
    idempotency_key: str | None
    origin_id: int | None
    """In a parent's journal: the entry of an account below that this row repeats."""
    hold_id: int | None
    """The hold that this row settles, releases, expires, extends or increases."""
    held_pico: int | None
    held_tokens: int | None
    expires_at_us: int | None
    hash: bytes

    @property
    def cost(self) -> Decimal | None:
        """USD; negative only in an adjustment; None if no price was known."""
        return None if self.cost_pico is None else to_usd(self.cost_pico)

    @property
    def cost_basis(self) -> CostBasis | None:
        """What the cost is based on; None in entries that record no cost."""
        if self.kind not in MONEY_KINDS:
            return None
        if self.cost_pico is None:
            return "unpriced"
        if self.price_source == ASSUMED_COST:
            return "assumed"
        return "estimated" if f'"{ESTIMATED_USAGE}":' in (self.usage_json or "") else "stated"

    @property
    def held(self) -> Decimal | None:
        """USD that a hold set aside; None for other entries."""
        return None if self.held_pico is None else to_usd(self.held_pico)

    @property
    def expires_at(self) -> datetime | None:
        """When a hold expires; None for other entries."""
        return None if self.expires_at_us is None else from_us(self.expires_at_us)

    @property
    def recorded_at(self) -> datetime:
        """When the row was written; this decides which window it counts in."""
        return from_us(self.recorded_at_us)

    @property
    def occurred_at(self) -> datetime | None:
        """When the call was made, if the caller stated it."""
        return None if self.occurred_at_us is None else from_us(self.occurred_at_us)

    @property
    def usage(self) -> dict[str, int]:
        """Token counts by kind; empty without usage. ``estimated`` is 1 if they were counted."""
        return _json(self.usage_json)

    @property
    def price(self) -> dict[str, str]:
        """The unit prices from which the cost was computed; empty if the caller stated the cost.

        In a row without a price, or with an assumed cost: the model that answered, if it differs
        from the row's. In a hold of which nothing could be estimated: the function that calls.
        """
        price = _json(self.price_json)
        price.pop(RESPONSE_ID, None)
        return price

    @property
    def response_id(self) -> str | None:
        """The provider's id of the response; a long one as its digest. None if there is none."""
        return _json(self.price_json).get(RESPONSE_ID)

    @property
    def tags(self) -> dict[str, Any]:
        """The caller's tags."""
        return _json(self.tags_json)

    def __repr__(self) -> str:
        tokens = self.input_tokens, self.output_tokens
        return display.listed(
            "Entry",
            str(self.id),
            repr(self.account),
            self.kind,
            None if self.model is None else repr(self.model),
            self._cost_text(),
            self._hold_text(),
            "{} + {} tokens".format(*tokens) if any(tokens) else None,
            display.iso(self.recorded_at_us),
        )

    def _repr_html_(self) -> str:
        facts = {
            "account": self.account,
            "model": self.model,
            "cost": self._cost_text(),
            "held": self._hold_text(),
            "input tokens": self.input_tokens or None,
            "output tokens": self.output_tokens or None,
            "recorded": display.iso(self.recorded_at_us),
            "occurred": None if self.occurred_at_us is None else display.iso(self.occurred_at_us),
            "price": self.price_source,
            "tags": self.tags_json,
            "key": self.idempotency_key,
            "note": self.note,
        }
        rows = [pair for pair in facts.items() if pair[1] is not None]
        return display.html_table(f"Entry {self.id}: {self.kind}", (), rows)

    def _cost_text(self) -> str | None:
        basis = self.cost_basis
        if self.cost is None:
            return basis
        amount = display.quantity(self.cost)
        return amount if basis in (None, "stated") else f"{amount} ({basis})"

    def _hold_text(self) -> str | None:
        """What a hold sets aside and until when; None for other entries."""
        if self.held is None or self.expires_at_us is None:
            return None
        tokens = f" and {self.held_tokens} tokens" if self.held_tokens else ""
        return f"{display.quantity(self.held)}{tokens} until {display.iso(self.expires_at_us)}"


class ManyCharged(NamedTuple):
    """What `Ledger.charge_many` did, in rows."""

    recorded: int
    """New ones."""
    repeated: int
    """Those whose key was recorded before with the same content."""
    unpriced: int
    """Those of the new ones without a known price."""


class Budget(NamedTuple):
    """A limit on what an account uses of one measure in a window."""

    account: str
    name: str
    measure: Measure
    limit_sum: Sum
    model: str | None
    period: Period
    created_at: float
    """Seconds since 1970, as first set."""
    alert_at: tuple[Decimal, ...] = ()
    """Shares of the limit at which to alert, ascending: 0.8 is 80 %."""
    by_identity: bool = False
    """Whether `model` stands for all names of that model, as in budgets set since 0.1; else for
    this name alone."""

    @property
    def limit(self) -> Decimal | int:
        """USD for the measure ``usd``, a count for ``tokens`` and ``requests``."""
        return self.amount(self.limit_units)

    @property
    def limit_units(self) -> int:
        """The limit in the units of the rows: picodollars, tokens or requests."""
        return self.limit_sum.total_pico if self.measure == "usd" else self.limit_sum.usd

    def amount(self, units: int) -> Decimal | int:
        """*units* of the measure, as USD or a count."""
        return to_usd(units) if self.measure == "usd" else units

    def __repr__(self) -> str:
        return display.listed("Budget", repr(self.account), repr(self.name), *_terms(self))


class DefaultBudget(NamedTuple):
    """The budget that accounts of a kind get at their first hold or charge, if they never had one.

    An account has it by the name ``standard``, until another budget is set on it.
    """

    project: str
    kind: str
    """``user`` for bare names and users below a key, or the prefix of names, such as ``team``."""
    measure: Measure
    limit_sum: Sum
    model: str | None
    period: Period
    anchored: bool
    """Whether windows start from the moment an account gets the budget."""
    alert_at: tuple[Decimal, ...] = ()
    """Shares of the limit at which to alert, ascending: 0.8 is 80 %."""

    @property
    def limit(self) -> Decimal | int:
        """USD for the measure ``usd``, a count for ``tokens`` and ``requests``."""
        limit = self.limit_sum
        return to_usd(limit.total_pico) if self.measure == "usd" else limit.usd

    def __repr__(self) -> str:
        return display.listed("DefaultBudget", repr(self.kind), *_terms(self))


def _terms(budget: Budget | DefaultBudget) -> tuple[str | None, ...]:
    shares = ", ".join(f"{share:f}" for share in budget.alert_at)
    return (
        f"{display.quantity(budget.limit, budget.measure)} {_cadence(budget.period)}",
        None if budget.model is None else f"model {budget.model!r}",
        f"alerts at {shares}" if shares else None,
    )


def _cadence(period: Period) -> str:
    per, timezone, _, anchor_us, span_us = period
    if span_us is not None:
        return f"in any {span_us / 1_000_000:.15g} s"
    if per is None:
        return "for ever"
    anchor = "" if anchor_us is None else f" from {display.iso(anchor_us)}"
    return f"per {per}{anchor} ({timezone})"


class BudgetStatus(NamedTuple):
    """One budget and the use of its active window. USD or counts, by its measure."""

    budget: Budget
    window: Window
    posted: Decimal | int
    held: Decimal | int
    available: Decimal | int
    """Limit less posted and held; negative once overspent."""

    def __repr__(self) -> str:
        budget, measure = self.budget, self.budget.measure
        facts = [f"{name} {display.quantity(amount, measure)}" for name, amount in self._amounts()]
        return display.listed(
            "BudgetStatus", repr(budget.account), repr(budget.name), *facts, _span(self.window)
        )

    def _amounts(self) -> tuple[tuple[str, Decimal | int], ...]:
        return (
            ("posted", self.posted),
            ("held", self.held),
            ("limit", self.budget.limit),
            ("available", self.available),
        )


class Alert(NamedTuple):
    """A threshold of a budget that was reached (``alert``) or resolved (``resolve``)."""

    project: str
    account: str
    budget: str
    measure: Measure
    state: Literal["alert", "resolve"]
    threshold: Decimal
    """A share of the limit: 0.8 is 80 %."""
    limit: Decimal | int
    posted: Decimal | int
    window: Window
    recorded_at_us: int

    @property
    def recorded_at(self) -> datetime:
        """When its row was written."""
        return from_us(self.recorded_at_us)

    def __repr__(self) -> str:
        posted = display.quantity(self.posted, self.measure)
        return display.listed(
            "Alert",
            repr(self.account),
            repr(self.budget),
            f"{'reached' if self.state == 'alert' else 'resolved'} {self.threshold:f}",
            f"posted {posted} of {display.quantity(self.limit, self.measure)}",
            _span(self.window),
            display.iso(self.recorded_at_us),
        )


class Balance(NamedTuple):
    """What an account has spent in a window, and what it may still spend. USD throughout.

    Reports the budget named ``default``, else the USD budget with least available, else (without
    any USD budget) everything the account ever spent, with no limit.
    """

    account: str
    limit: Decimal | None
    posted: Decimal
    held: Decimal
    """Open holds of the account and the accounts under it; 0 in a window that is over, or as
    of a past moment, since those holds have been closed."""
    available: Decimal | None
    """Limit less posted and held; negative once overspent; None without a limit."""
    window: Window
    unpriced: int
    """Requests in the window without a known price; `posted` lacks their costs."""
    budgets: tuple[BudgetStatus, ...] = ()
    """All budgets of the account, by name."""
    assumed: Decimal = Decimal(0)
    """The part of `posted` that is what was held for calls whose cost is not known yet."""

    def __repr__(self) -> str:
        facts = [f"{name} {display.quantity(amount)}" for name, amount in self._amounts()]
        names = ", ".join(repr(status.budget.name) for status in self.budgets)
        return display.listed(
            "Balance",
            repr(self.account),
            *facts,
            *self._unknown(),
            _span(self.window),
            f"budgets {names}" if names else None,
        )

    def _repr_html_(self) -> str:
        headers = "budget", "posted", "held", "limit", "available", "window"
        rows = [
            (
                status.budget.name,
                *(display.quantity(one, status.budget.measure) for _, one in status._amounts()),
                _span(status.window),
            )
            for status in self.budgets
        ]
        if not rows:
            posted, held = display.quantity(self.posted), display.quantity(self.held)
            rows = [("no budget", posted, held, "", "", _span(self.window))]
        caption = ", ".join((f"Balance of {self.account}", *self._unknown()))
        return display.html_table(caption, headers, rows)

    def _unknown(self) -> list[str]:
        assumed = [f"{display.quantity(self.assumed)} assumed"] if self.assumed else []
        return assumed + ([f"{self.unpriced} unpriced"] if self.unpriced else [])

    def _amounts(self) -> list[tuple[str, Decimal]]:
        amounts = [("posted", self.posted), ("held", self.held)]
        if self.limit is not None and self.available is not None:
            amounts += [("limit", self.limit), ("available", self.available)]
        return amounts


def _json(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}


def _span(window: Window) -> str:
    return display.span(window.start_us, window.end_us)
