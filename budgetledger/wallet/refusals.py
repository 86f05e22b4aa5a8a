"""What a person reads whose program was refused a call: the figures, and which command helps.

Agents put it into their transcripts: it names no path and no secret, and has no word by which
they recognise a full context.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from shlex import quote

from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    BudgetledgerError,
    NoBudget,
    StoreError,
    UnpricedModel,
)
from budgetledger.wallet.bill import usd


def message(error: BudgetledgerError, run: str | None) -> str:
    """The message for *error*. *run*: the account of the run, if its budget is its ``--limit``."""
    if isinstance(error, BudgetExceededError):
        return _exceeded(error, is_run=error.account == run)
    if isinstance(error, AccountFrozen):
        name = error.account
        return f"account {name!r} is frozen; to go on: budgetledger unfreeze {quote(name)}"
    if isinstance(error, NoBudget):
        name = error.account
        return (
            f"no budget applies to {name!r}, so nothing may be spent; set one: budgetledger "
            f"set-budget {quote(name)} 5 --per day"
        )
    if isinstance(error, UnpricedModel):
        return (
            f"no price is known for model {error.model!r}, so the call was not sent; set one: "
            f"budgetledger prices set {quote(error.model)} --input USD --output USD"
        )
    if isinstance(error, StoreError):
        return "the ledger is unavailable, so the call was not sent; try again"
    return str(error)


def _exceeded(error: BudgetExceededError, *, is_run: bool) -> str:
    limit, budget, name = error.limit, error.budget, error.account
    if isinstance(limit, Decimal):
        requested, spent, held = (
            usd(Decimal(amount)) for amount in (error.requested, error.posted, error.held)
        )
        needed = (
            f"the call may cost up to {requested}; limit {usd(limit)}, spent {spent}, held for "
            f"open calls {held}"
        )
        wanted = _enough(error)
    else:  # tokens or requests
        needed = (
            f"the call may use {error.requested} {budget.measure}; limit {limit}, used "
            f"{error.posted}, held for open calls {error.held}"
        )
        wanted = f"--{budget.measure} {max(2 * limit, error.posted + error.held + error.requested)}"
    if is_run:
        start = "the limit of this run is reached"
        if error.requested > limit:
            start = "one call may cost more than the limit of this run"
        return f"{start}: {needed}; raise it: budgetledger run --limit {wanted} ..."
    command = f"budgetledger set-budget {quote(name)} {wanted} --name {quote(budget.name)}"
    return f"budget {budget.name!r} of {name!r} is reached: {needed}; raise it: {command}"


def _enough(error: BudgetExceededError) -> str:
    """A limit with room for the call: twice the one in force, or as much more as it takes."""
    needed = Decimal(error.posted) + Decimal(error.held) + Decimal(error.requested)
    wanted = max(2 * Decimal(error.limit), needed)
    step = Decimal(1) if wanted >= 1 else Decimal("0.01")
    rounded = (wanted / step).to_integral_value(ROUND_CEILING) * step
    return f"{rounded.normalize():f}"
