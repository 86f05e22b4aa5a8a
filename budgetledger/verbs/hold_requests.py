"""Drafts holds, takes them, answers can_afford, and lists open holds."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import NamedTuple

from budgetledger.callers import holds_around
from budgetledger.entries import Entry
from budgetledger.errors import (
    BudgetExceededError,
    HoldRefused,
    NoBudget,
    UnknownEntry,
    UnpricedModel,
)
from budgetledger.journal import holding
from budgetledger.journal.default_budgets import with_defaults
from budgetledger.journal.drafts import HoldRequest, draft_hold
from budgetledger.journal.holding import Granted, Queue
from budgetledger.journal.journal import Journal, Taking, books_of
from budgetledger.journal.refusals import with_largest_output
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.standing import ancestors
from budgetledger.journal.transaction import Memory, Transaction
from budgetledger.names import checked_name
from budgetledger.pricing.estimates import Estimate
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import span_us


class Prepared(NamedTuple):
    """The draft of a hold and the estimate it is made from.

    ``unpriced``: the error that prevented an estimate, in a ledger that does not enforce; then
    the draft is minimal.
    """

    draft: Draft
    estimate: Estimate | None
    unpriced: UnpricedModel | None = None


def prepare(journal: Journal, request: HoldRequest) -> Prepared:
    """Draft the hold of *request*. Raises `UnpricedModel`, if the ledger enforces."""
    settings = journal.default_output_tokens, journal.clock, journal.prices
    try:
        return Prepared(*draft_hold(request, *settings))
    except UnpricedModel as unpriced:
        if journal.enforce:
            raise
        minimal = HoldRequest(
            model=request.model, key=request.key, tags=request.tags, is_minimal=True
        )
        return Prepared(draft_hold(minimal, *settings)[0], None, unpriced)


def take(
    journal: Journal,
    account: str,
    prepared: Prepared,
    expires_in: float | timedelta,
    wait: float | timedelta = 0,
) -> Granted:
    """Take the hold; durable on return. Raises the refusal, after *wait* (see `waiting`)."""
    seconds = seconds_of(wait)
    try:
        if seconds and journal.enforce:
            from budgetledger.verbs.waiting import Place  # its imports take milliseconds

            taking_in = partial(taking, journal, account, prepared, expires_in)
            granted, alerts = Place(journal, taking_in, prepared.draft).take(seconds)
            journal.tell(alerts)
        else:
            granted = journal.write(taking(journal, account, prepared, expires_in))
    except HoldRefused as error:
        raise refusal_of(error, prepared.estimate) from None
    return taken(journal, granted, prepared.estimate)


def refusal_of(error: HoldRefused, estimate: Estimate | None) -> HoldRefused:
    """The refusal as callers get it."""
    if isinstance(error, BudgetExceededError):
        return with_largest_output(error, estimate)
    error.__dict__.pop("room", None)
    return error


def seconds_of(wait: float | timedelta) -> float:
    """How long to wait for room. Raises `InvalidPeriod`."""
    return 0.0 if wait in (0, timedelta()) and wait is not False else span_us(wait, "wait") / 1e6


def taking(
    journal: Journal,
    account: str,
    prepared: Prepared,
    expires_in: float | timedelta,
    queue: Queue | None = None,
) -> Taking:
    """The operation that takes the hold, if all budgets grant it. *queue*: if it may wait."""
    checked_name(account, "account")
    expires_in_us = span_us(expires_in, "expires_in")
    around = holds_around(books_of(journal))  # now: another thread may run the operation

    def operation(tx: Transaction) -> Granted:
        ref = journal.refs.get(account)
        return holding.hold(
            tx, journal.project, account, ref, prepared.draft, expires_in_us, prepared.unpriced,
            enforce=journal.enforce, around=around, queue=queue,
        )  # fmt: skip

    return operation if journal.around_hold is None else journal.around_hold(operation)


def taken(journal: Journal, granted: Granted, estimate: Estimate | None) -> Granted:
    """Cache the account of *granted*; add the largest output to a refusal not enforced."""
    if isinstance(granted.refusal, BudgetExceededError):
        with_largest_output(granted.refusal, estimate)
    journal.refs[granted.account.name] = granted.account
    return granted


def can_afford(journal: Journal, account: str, request: HoldRequest) -> bool:
    """Whether *request* would be granted now. Raises `NoBudget`, `UnpricedModel`."""
    checked_name(account, "account")
    draft, _ = draft_hold(request, journal.default_output_tokens, journal.clock, journal.prices)

    def operation(execute: Execute) -> bool:
        tx = Transaction(execute, journal.clock(), Memory())
        ref = accounts.find(execute, journal.project, account)
        if ref is None:
            project_id = accounts.find_project(execute, journal.project)
            if project_id is None:
                raise accounts.no_budget_to_hold(journal.project, account)
            ref = Ref(0, project_id, journal.project, account, tx.now_us)  # as if it was opened
        levels = with_defaults(tx, ancestors(tx, ref))
        refused = holding.judged(tx, account, levels, draft)
        if isinstance(refused, NoBudget):
            raise refused
        return refused is None

    return journal.read(operation)


def open_holds(journal: Journal, account: str) -> list[Granted]:
    """The open holds that count against *account*: its own and those of accounts under it."""

    def operation(execute: Execute, ref: Ref) -> list[Granted]:
        holds = []
        statement = compiled(statements.OPEN_ENTRIES)
        for expires_at_us, pico, tokens, *row in execute(
            statement, (ref.id, journal.clock())
        ).fetchall():
            entry = holding.as_listed(Entry._make(row), expires_at_us, pico, tokens)
            holds.append(Granted(entry, accounts.known(execute, journal.project, entry.account)))
        return holds

    return journal.read_known(account, operation)


def find_hold(journal: Journal, hold_id: int) -> Granted:
    """The hold *hold_id* of the journal's project, open or closed. Raises `UnknownEntry`."""
    try:
        return journal.read(lambda execute: holding.find_hold(execute, journal.project, hold_id))
    except UnknownEntry as error:
        remedy = "`budgetledger holds ACCOUNT` lists those that are open"
        raise UnknownEntry(f"{error}; {remedy}") from None
