"""Warnings about a row, issued once it is durable, as filters may turn them into errors."""

from __future__ import annotations

from budgetledger.caller_warnings import warn
from budgetledger.entries import MONEY_KINDS, Entry
from budgetledger.errors import ClockWarning, UnknownAccountWarning, UnpricedWarning
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
        warn_if_unpriced(entry)


def warn_if_unpriced(entry: Entry) -> None:
    """Warn of a cost that was recorded without a price."""
    if entry.cost_pico is None and entry.kind in MONEY_KINDS:
        warn(
            f"entry {entry.id} is recorded without a price, as none is known for "
            f"{entry.price.get(ANSWERED, entry.model)!r}; no budget counts it until its price "
            "is set (set_price, with effective_at= before the call, or `budgetledger prices "
            "set`) and reprice applies it, or adjust(entry, cost, reason=...) states its cost",
            UnpricedWarning,
        )
