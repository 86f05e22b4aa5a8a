"""The ledger behind the global cap: `max_budget` is a budget in it, on an account of its own.

The transaction that decides a hold first updates the limit. So `max_budget` as currently set in
this process applies to each call, whatever other processes with this ledger have set.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from os import PathLike
from threading import Lock
from typing import Protocol, TypeAlias, cast

from budgetledger.aio import AsyncLedger
from budgetledger.errors import BudgetExceededError, InvalidInput, UnknownAccount
from budgetledger.journal import settings
from budgetledger.journal.append import find_or_open
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.holding import Granted
from budgetledger.journal.journal import Journal, Taking, journal_of
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.standing import head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.money import Sum
from budgetledger.windows import make_period

CapTarget: TypeAlias = Ledger | AsyncLedger | str | PathLike[str] | None
"""What `max_budget_ledger` may be set to."""

ACCOUNT = "app:litellm"
BUDGET = "max_budget"

_NO_LIMIT = Sum(2**63 - 1)  # dollars: the largest limit of a budget
_FOR_EVER = make_period(None)


class _Globals(Protocol):
    """The globals of the package, as this module reads them; `package.Package` has them."""

    max_budget_ledger: CapTarget
    _max_budget_sum: Sum | None


def _under_the_cap(journal: Journal) -> Journal:
    """The same open file; the current `max_budget` applies to each of its holds.

    Without a bound on the output only the prompt is held: the call that exceeds a small cap is
    still sent, the next one is refused.
    """

    def around_hold(take: Taking) -> Taking:
        limit = cap_limit()

        def operation(tx: Transaction) -> Granted:
            _limited(tx, journal.project, limit)
            try:
                return take(tx)
            except BudgetExceededError as error:
                raise _in_terms_of_the_cap(error) from None

        return operation

    return replace(journal, default_output_tokens=0, around_hold=around_hold)


def _limited(tx: Transaction, project: str, limit: Sum | None) -> Ref:
    """Set `max_budget` to *limit* if it differs. Returns the cap's account."""
    limit = limit or _NO_LIMIT
    account = find_or_open(tx, project, ACCOUNT)
    standing = {
        budget.name: budget.limit_sum
        for budget in settings_of(tx, account, head_of(tx, account).settings_count).budgets
    }
    if standing.get(BUDGET) != limit:
        terms = BudgetTerms(BUDGET, "usd", limit, None, _FOR_EVER)
        settings.set_budget(tx, account, terms)
    return account


def cap_limit() -> Sum | None:
    """The current `max_budget`; None for no limit."""
    return _globals()._max_budget_sum


def cap_ledger() -> Ledger:
    """The ledger of `max_budget_ledger`, opened at its first use; if None, one in memory."""
    global _opened
    target = _globals().max_budget_ledger
    with _opening:
        if _opened is None or _opened[0] != target:
            ledger = target.ledger if isinstance(target, AsyncLedger) else target
            if not isinstance(ledger, Ledger):
                ledger = Ledger(":memory:" if ledger is None else ledger)
            _opened = target, ledger_on(_under_the_cap(journal_of(ledger)))
        return _opened[1]


_opening = Lock()
_opened: tuple[CapTarget, Ledger] | None = None


def current_cost() -> float:
    """USD recorded since the start, or since the last reset; see `Package._current_cost`."""
    try:
        budgets = cap_ledger().balance(ACCOUNT).budgets
    except UnknownAccount:
        return 0.0
    return next((float(each.posted) for each in budgets if each.budget.name == BUDGET), 0.0)


def set_current_cost(value: object) -> None:
    """See `Package._current_cost`; raises `InvalidInput` for anything but 0."""
    if isinstance(value, bool) or value != 0:
        raise InvalidInput(
            f"_current_cost can only be set to 0, which resets it, got {value!r}; record the cost "
            "of other calls with max_budget_ledger.charge"
        )
    journal, limit = journal_of(cap_ledger()), cap_limit()
    reason = "_current_cost was set to 0"
    journal.write(
        lambda tx: settings.shift_windows(tx, _limited(tx, journal.project, limit), BUDGET, reason)
    )


def _globals() -> _Globals:
    return cast(_Globals, sys.modules["budgetledger"])


def _in_terms_of_the_cap(error: BudgetExceededError) -> BudgetExceededError:
    """The refusal in LiteLLM's words if the cap refuses; other refusals stay as they are."""
    if (error.account, error.budget.name) == (ACCOUNT, BUDGET):
        error.message = (
            f"Budget has been exceeded! Current cost: {error.current_cost}, "
            f"Max budget: {error.max_budget} (USD; held by calls in progress: {error.held}, for "
            f"this call: {error.requested}); raise budgetledger.max_budget, or set "
            "budgetledger._current_cost = 0 to reset it"
        )
        error.args = (error.message,)
    return error
