"""Sets, ends and lists the default budgets of a project."""

from __future__ import annotations

from budgetledger.caller_warnings import warn
from budgetledger.entries import DefaultBudget
from budgetledger.errors import UnboundedWarning
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.default_budgets import (
    checked_kind,
    has_common_budget,
    in_force,
    remove_default,
    set_default,
)
from budgetledger.journal.journal import Journal
from budgetledger.journal.transaction import Transaction


def set_default_budget(journal: Journal, kind: str, terms: BudgetTerms) -> DefaultBudget:
    """See `Ledger.set_default_budget`."""
    checked_kind(kind)

    def operation(tx: Transaction) -> tuple[DefaultBudget, bool]:
        default = set_default(tx, journal.project, kind, terms)
        return default, has_common_budget(tx.execute, journal.project)

    default, is_bounded = journal.write(operation)
    if not is_bounded:
        warn(
            f"each new name of kind {kind!r} gets a budget of its own, and nothing limits them "
            "together; set a budget on '*', or put the accounts under a parent with a budget",
            UnboundedWarning,
        )
    return default


def remove_default_budget(journal: Journal, kind: str) -> None:
    """See `Ledger.remove_default_budget`."""
    checked_kind(kind)
    journal.write(lambda tx: remove_default(tx, journal.project, kind))


def default_budgets(journal: Journal) -> list[DefaultBudget]:
    """The defaults in force, by kind."""
    return journal.read(lambda execute: in_force(execute, journal.project))
