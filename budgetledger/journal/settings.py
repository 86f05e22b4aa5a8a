"""Appends settings as rows: budgets, window shifts, parents, and freezing."""

from __future__ import annotations

from budgetledger.entries import Budget, Entry
from budgetledger.errors import InvalidInput
from budgetledger.journal import accounts, reports, statements
from budgetledger.journal.accounts import Ref
from budgetledger.journal.alerts import raise_alerts, resolve
from budgetledger.journal.append import append, find_or_open, recorded
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.journal import Journal
from budgetledger.journal.prior import BY_IDENTITY
from budgetledger.journal.rules import Draft
from budgetledger.journal.standing import WHOLE_PROJECT, ancestors, head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.journal.whole_project import count_earlier
from budgetledger.names import checked_name, checked_reason
from budgetledger.windows import Window, window_at


def set_budget(tx: Transaction, account: Ref, terms: BudgetTerms) -> Budget:
    """Append a revision of the budget that *terms* name, unless the same is in force."""
    name, measure, limit, model, period, alert_at, anchored, created_at = terms
    revisions = reports.revisions(tx.execute, account.id, account.name).get(name, [])
    now_us = tx.now_us
    if created_at is None:
        created_at = revisions[0].budget.created_at if revisions else now_us / 1e6
    if anchored:
        period = period._replace(anchor_us=round(created_at * 1e6))
    if alert_at is None:
        stands = revisions and not revisions[-1].removed
        alert_at = revisions[-1].budget.alert_at if stands else ()
    was = revisions[-1].budget if revisions and not revisions[-1].removed else None
    # A revision of a budget on the name alone, as they were before, stays one.
    by_identity = model is not None and (was is None or was.model != model or was.by_identity)
    budget = Budget(
        account.name, name, measure, limit, model, period, float(created_at), alert_at, by_identity
    )
    if not revisions or revisions[-1].removed or revisions[-1].budget != budget:
        head = head_of(tx, account)
        standing = settings_of(tx, account, head.settings_count).standing
        _append_revision(tx, account, budget, removed=False)
        if account.name == WHOLE_PROJECT:
            count_earlier(tx, account, budget, was)
        was = revisions[-1].budget if revisions else budget
        is_another = (was.measure, was.model, was.period) != (measure, model, period)
        given_up = [
            crossed
            for crossed in standing
            if crossed.budget == name and (is_another or crossed.threshold not in alert_at)
        ]
        resolve(tx, account, given_up)
        raise_alerts(tx, account)
    return budget


def set_budget_of(journal: Journal, account: str, terms: BudgetTerms) -> Budget:
    """Set a budget of *account*, which is opened if it is new."""

    def operation(tx: Transaction) -> tuple[Ref, Budget]:
        ref = find_or_open(tx, journal.project, account)
        return ref, set_budget(tx, ref, terms)

    journal.refs[account], budget = journal.write(operation)
    return budget


def remove_budget(tx: Transaction, account: Ref, name: str) -> None:
    """Append the revision that ends the budget *name*. Raises `UnknownAccount`."""
    revisions = reports.revisions(tx.execute, account.id, account.name).get(name, [])
    if not revisions or revisions[-1].removed:
        raise accounts.no_budget(account.project, account.name, name)
    head = head_of(tx, account)
    standing = settings_of(tx, account, head.settings_count).standing
    _append_revision(tx, account, revisions[-1].budget, removed=True)
    resolve(tx, account, [crossed for crossed in standing if crossed.budget == name])


def _append_revision(tx: Transaction, account: Ref, budget: Budget, *, removed: bool) -> None:
    period = budget.period
    detail = (
        budget.name,
        budget.measure,
        *budget.limit_sum,
        budget.model,
        period.per,
        period.timezone,
        period.week_start,
        period.anchor_us,
        period.span_us,
        budget.created_at,
        int(removed),
    )
    alert_at = ",".join(map(str, budget.alert_at)) or None
    # Without thresholds the hash is that of revisions before thresholds existed.
    hashed = detail if alert_at is None else (*detail, alert_at)
    draft = Draft("budget", tags_json=BY_IDENTITY if budget.by_identity else None)
    entry = append(tx, account, draft, hashed).entry
    tx.execute(statements.INSERT_BUDGET_REVISION, (entry.id, account.id, *detail, alert_at))


def shift_windows(
    tx: Transaction, account: Ref, name: str | None, reason: str | None, key: str | None = None
) -> Window:
    """Start a new window now of the budget *name*, or of every budget the account has.

    All earlier spending lies before its start, even within the same microsecond. Does nothing if
    a shift of the account was recorded under *key*. Returns the window of the first budget.
    """
    budgets = reports.budgets_in_force(tx.execute, account.id, account.name)
    shifted = [budget for budget in budgets if name is None or budget.name == name]
    if not shifted:
        raise accounts.no_budget(account.project, account.name, name)
    draft = Draft("shift", note=reason, idempotency_key=key)
    first = recorded(tx, account, draft)
    if first is not None:
        moment_us = max(tx.now_us, first.recorded_at_us)
        return reports.window_of(tx.execute, account.id, shifted[0], moment_us)
    start_us = max(tx.now_us, accounts.last_time(tx.execute, account.id) + 1)
    for budget in shifted:
        _append_shift(tx, account, budget.name, start_us, draft, not_before_us=start_us)
        draft = draft._replace(idempotency_key=None)
    raise_alerts(tx, account)
    return reports.window_of(tx.execute, account.id, shifted[0], start_us)


def shift_if_due(tx: Transaction, account: Ref, name: str) -> None:
    """Append the row that the window of *name* has turned, once a window; or nothing.

    The row changes no sum: spending leaves a window when the window ends.
    """
    budget = reports.budget_in_force(tx.execute, account, name)
    moment_us = max(tx.now_us, accounts.last_time(tx.execute, account.id))
    turned = window_at(budget.period, moment_us)
    if budget.period.per == "rolling" or turned.start_us is None:
        return
    is_first = turned.start_us <= budget.created_at * 1e6
    if not is_first and not reports.has_shift(tx.execute, account.id, name, turned.start_us):
        _append_shift(tx, account, name, turned.start_us, Draft("shift"), turned=True)


def _append_shift(
    tx: Transaction,
    account: Ref,
    budget: str,
    start_us: int,
    draft: Draft,
    *,
    turned: bool = False,
    not_before_us: int = 0,
) -> None:
    detail = (budget, start_us, int(turned))
    entry = append(tx, account, draft, detail, not_before_us).entry
    tx.execute(statements.INSERT_WINDOW_SHIFT, (entry.id, account.id, *detail))


def set_parent(tx: Transaction, account: Ref, parent: str | None) -> None:
    """Append the row that puts the account under *parent*, opened if new, or under none."""
    above = None if parent is None else find_or_open(tx, account.project, parent)
    head = head_of(tx, account)
    if settings_of(tx, account, head.settings_count).parent_id == (above and above.id):
        return
    if above is not None:
        upwards = [level.account.name for level in ancestors(tx, above)]
        if account.name in upwards:
            chain = " under ".join(upwards[: upwards.index(account.name) + 1])
            raise InvalidInput(
                f"{account.name!r} cannot be put under {parent!r}: that would be a cycle "
                f"({chain}); choose another parent, or none"
            )
    detail = (None if above is None else above.id,)
    entry = append(tx, account, Draft("parent", note=parent), detail).entry
    tx.execute(statements.INSERT_PARENT_CHANGE, (entry.id, account.id, *detail))


def set_parent_of(journal: Journal, account: str, parent: str | None) -> None:
    """See `Ledger.set_parent`."""
    checked_name(account, "account")
    if parent is not None:
        checked_name(parent, "parent")
    if WHOLE_PROJECT in (account, parent):
        raise InvalidInput(
            "'*' is the project itself, above all accounts without being set as a parent; set a "
            "budget on '*', and no parent for an account that is under nothing else"
        )

    def operation(tx: Transaction) -> None:
        ref = (
            accounts.known(tx.execute, journal.project, account)
            if parent is None
            else find_or_open(tx, journal.project, account)
        )
        set_parent(tx, ref, parent)

    journal.write(operation)


def freeze(journal: Journal, account: str, frozen: bool, reason: str | None) -> None:
    """Freeze or unfreeze the account. Raises `UnknownAccount`."""
    note = None if reason is None else checked_reason(reason)
    journal.write_known(account, lambda tx, ref: set_frozen(tx, ref, frozen, note))


def set_frozen(tx: Transaction, account: Ref, frozen: bool, reason: str | None) -> Entry | None:
    """Append the row that freezes or unfreezes the account; None if nothing changes."""
    head = head_of(tx, account)
    settings = settings_of(tx, account, head.settings_count)
    if (settings.frozen is not None) == frozen:
        return None
    return append(tx, account, Draft("freeze" if frozen else "unfreeze", note=reason)).entry
