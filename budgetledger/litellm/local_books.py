"""The records of `BudgetManager` in local mode: every read is from the ledger."""

from __future__ import annotations

from typing import Any

from budgetledger.entries import DefaultBudget
from budgetledger.errors import InvalidName, UnknownAccount
from budgetledger.holds import Hold
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.journal import journal_of
from budgetledger.journal.reports import DEFAULT_BUDGET
from budgetledger.journal.settings import set_budget_of, shift_if_due
from budgetledger.ledger import Ledger
from budgetledger.litellm.records import DAYS, UNITS, budget_fields, cost_fields
from budgetledger.money import Amount, Sum, to_pico, to_usd
from budgetledger.usage import Usage
from budgetledger.verbs.balances import snapshot
from budgetledger.verbs.listing import accounts_with_budget
from budgetledger.windows import make_period


class LocalBooks:
    """What `BudgetManager` works with in local mode."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self) -> None:
        """Nothing to load: every read is from the file as it is now."""

    def save(self) -> dict[str, Any]:
        """Nothing to save: a cost is durable when the call that recorded it returns."""
        return {"status": "success"}

    def users(self) -> list[str]:
        """The accounts with a budget, in the order in which they were created."""
        return accounts_with_budget(journal_of(self._ledger), DEFAULT_BUDGET)

    def has(self, user: str) -> bool:
        """Whether *user* has a budget."""
        try:
            budgets = self._ledger.budgets(user)
        except (UnknownAccount, InvalidName):
            return False
        return any(budget.name == DEFAULT_BUDGET for budget in budgets)

    def record(self, user: str) -> dict[str, Any]:
        """LiteLLM's record of a user: USD, days, seconds since 1970."""
        balance, models = snapshot(journal_of(self._ledger), user)
        record: dict[str, Any] = {}
        for budget, window, *_ in balance.budgets:
            if budget.name == DEFAULT_BUDGET:
                record |= budget_fields(budget, window)
        return record | cost_fields(balance.posted, models)

    def current_pico(self, user: str) -> int:
        """What *user* spent in the active window, in picodollars."""
        return to_pico(self._ledger.balance(user).posted, signed=True)

    def set_budget(
        self, user: str, limit: Sum, duration: str | None, created_at: float | None
    ) -> None:
        """Set the budget named ``default``."""
        terms = BudgetTerms(
            DEFAULT_BUDGET,
            "usd",
            limit,
            None,
            make_period(None if duration is None else UNITS[DAYS[duration]]),
            anchored=duration is not None,
            created_at=created_at,
        )
        set_budget_of(journal_of(self._ledger), user, terms)

    def set_default_budget(self, kind: str, limit: Sum, duration: str | None) -> None:
        """Set the default budget of the accounts of *kind*."""
        self._ledger.set_default_budget(
            to_usd(limit.total_pico),
            per=None if duration is None else UNITS[DAYS[duration]],
            anchor=None if duration is None else "creation",
            kind=kind,
        )

    def remove_default_budget(self, kind: str) -> None:
        """End the default budget of *kind*. Raises `UnknownAccount`."""
        self._ledger.remove_default_budget(kind)

    def default_budgets(self) -> list[DefaultBudget]:
        """The default budgets in force."""
        return self._ledger.default_budgets()

    def charge(
        self, user: str, response: object, model: str | None = None, usage: Usage | None = None
    ) -> None:
        """Record what a call of *user* cost."""
        self._ledger.charge(user, response, model=model, usage=usage)

    def hold(self, user: str, amount: Amount | None = None, **options: Any) -> Hold:
        """See `Ledger.hold`."""
        return self._ledger.hold(user, amount, **options)

    def shift(self, user: str) -> None:
        """Start a new window now."""
        self._ledger.shift_window(user, DEFAULT_BUDGET, reason="reset_cost")

    def shift_if_due(self, user: str) -> None:
        """Record that the window has turned, if it has."""
        journal_of(self._ledger).write_known(
            user, lambda tx, ref: shift_if_due(tx, ref, DEFAULT_BUDGET)
        )
