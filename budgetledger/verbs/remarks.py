"""Warnings about a row, issued once it is durable, as filters may turn them into errors."""

from __future__ import annotations

from budgetledger.caller_warnings import warn
from budgetledger.entries import ASSUMED_COST, Budget, Entry
from budgetledger.errors import (
    AddedBudgetWarning,
    ClockWarning,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.journal.append import Appended
from budgetledger.pricing.sources import ANSWERED

TOLERATED_US = 1_000_000
"""Clock corrections smaller than this are routine and cause no warning."""


def warn_of(appended: Appended) -> None:
    """Warn of a clock that is behind, of an account without a budget, and of a missing price."""
    entry = appended.entry
    if appended.behind_us > TOLERATED_US:
        warn(
            f"the clock is {appended.behind_us / 1e6:.0f} s behind the last entry of "
            f"{entry.account!r}; this entry has the time of that one; check the clock",
            ClockWarning,
        )
    if appended.opened and appended.whole_id is None:
        warn(
            f"account {entry.account!r} of project {entry.project!r} was opened by this "
            "charge and has no budget; set one with set_budget",
            UnknownAccountWarning,
        )
    if appended.is_new:
        warn_if_unknown(entry)


def warn_if_unknown(entry: Entry) -> None:
    """Warn of a cost that is not known. The text names no row: Python shows equal ones once."""
    basis = entry.cost_basis
    price = f"{_STATED}, or " if entry.usage_json is not None else ""
    if basis == "unpriced":
        warn(
            f"a call is recorded without a price, as {_cause(entry)}; no budget counts it until "
            f"{price}adjust(entry, cost, reason=...) states its cost",
            UnpricedWarning,
        )
    elif basis == "assumed":
        warn(
            f"a call is recorded with what was held for it, as {_cause(entry)}; its cost is "
            f"assumed until {price}adjust(entry, difference, reason=...) states it",
            UnpricedWarning,
        )


def warn_if_beside(budget: Budget, beside: list[Budget]) -> None:
    """Warn of a budget that was added without ``per=``, *beside* others that limit the same."""
    if beside:
        warn(
            f"set_budget {added_beside(budget, beside)}; to change one of those pass its per= or "
            "name=, for a budget for ever pass per=None",
            AddedBudgetWarning,
        )


def added_beside(budget: Budget, beside: list[Budget]) -> str:
    """What happened, for a message that ends with what to do."""
    names = ", ".join(repr(one.name) for one in beside)
    return f"added the budget {budget.name!r} of {budget.account!r}, for ever, beside {names}"


_STATED = (
    "its price is set (set_price, with effective_at= before the call, or `budgetledger prices "
    "set`) and reprice applies it"
)


def _cause(entry: Entry) -> str:
    model, note = entry.price.get(ANSWERED, entry.model), entry.note or ""
    if entry.usage_json is not None:
        return f"none is known for {model!r}"
    if note.startswith(_ASSUMED):
        return f"{note.removeprefix(_ASSUMED)} ({model!r})"
    return f"the answer of {model!r} reports no usage"


_ASSUMED = f"{ASSUMED_COST}: "  # so begins the note on a settle that says why
