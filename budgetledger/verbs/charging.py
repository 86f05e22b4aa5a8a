"""Records the costs of calls, and corrections."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TypeAlias

from budgetledger.entries import Alert, Entry
from budgetledger.journal import posting
from budgetledger.journal.append import Appended, find_or_open, insert_after
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.journal import Journal
from budgetledger.journal.posting import post, post_once
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.standing import ancestors
from budgetledger.journal.transaction import Transaction
from budgetledger.money import Amount, count, to_pico, to_usd
from budgetledger.names import checked_name, checked_reason
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.verbs.remarks import TOLERATED_US, warn_of

Charged: TypeAlias = tuple[Appended, Ref | None]
"""The row, and its account if that was not cached."""


def charge(journal: Journal, account: str, draft: Draft) -> Entry:
    """Record *draft*; durable on return. Then report alerts and warnings."""
    is_known = isinstance(account, str) and account in journal.refs
    if draft.idempotency_key is not None or not is_known:
        return charged(journal, journal.write(charging(journal, account, draft)))
    entry, remarks = journal.store.write(partial(_charge_known, journal, account, draft))
    if remarks is not None:
        appended, alerts = remarks
        journal.tell(alerts)
        warn_of(appended)
    return entry


def charging(journal: Journal, account: str, draft: Draft) -> Callable[[Transaction], Charged]:
    """The operation that records *draft*."""
    checked_name(account, "account")

    def operation(tx: Transaction) -> Charged:
        ref = journal.refs.get(account)
        if ref is None:
            return _find_and_charge(tx, journal.project, account, draft)
        return post_once(tx, ref, draft), None

    return operation


def charged(journal: Journal, outcome: Charged) -> Entry:
    """The entry that was written; caches its account, and warns."""
    appended, ref = outcome
    entry = appended.entry
    if ref is not None:
        journal.refs[ref.name] = ref
    if entry.cost_pico is None or ref is not None or appended.behind_us > TOLERATED_US:
        warn_of(appended)
    return entry


def _charge_known(
    journal: Journal, account: str, draft: Draft, execute: Execute
) -> tuple[Entry, tuple[Appended, tuple[Alert, ...]] | None]:
    """Fast path of `charge`: one INSERT when the account's head and settings are cached.

    It repeats the checks of `Journal.begin` and `post`. Also returns the alerts
    to report and the row to warn of, if any.
    """
    store, memory = journal.store, journal.memory
    data_version, ref = store.data_version, journal.refs.get(account)
    if (
        ref is not None
        and memory.generation == store.generation
        and data_version is not None
        and memory.data_version == execute(data_version).fetchone()[0]
        and (head := memory.heads.get(ref.id)) is not None
        and (settings := memory.settings.get(ref.id)) is not None
        and settings.plain_version == head.settings_count
        and (settings.budgets or not head.has_defaults)
        and head.whole_id is None
        and head.model == draft.model
    ):
        now_us = journal.clock()
        at_us, behind_us = max(now_us, head.recorded_at_us), head.recorded_at_us - now_us
        entry, memory.heads[ref.id] = insert_after(
            execute, ref, head, at_us, draft, budgeted=settings.budgeted
        )
        if behind_us > TOLERATED_US or draft.cost_pico is None:
            return entry, (Appended(entry, behind_us), ())
        return entry, None
    tx = journal.begin(execute)
    ref = journal.refs.get(account)
    if ref is None:  # no longer cached
        appended, _ = _find_and_charge(tx, journal.project, account, draft)
    else:
        appended = post(tx, ref, draft)
    return appended.entry, (appended, tx.alerts)


def _find_and_charge(
    tx: Transaction, project: str, account: str, draft: Draft
) -> tuple[Appended, Ref]:
    known = accounts.find(tx.execute, project, account)
    opened = known or find_or_open(tx, project, account)
    appended = post_once(tx, opened, draft)
    is_bare = known is None and not ancestors(tx, opened)[0].settings.budgets
    return appended._replace(opened=is_bare), opened


def adjust(
    journal: Journal,
    entry: Entry | int,
    amount: Amount,
    *,
    reason: str,
    key: str | None = None,
    is_total: bool = False,
) -> Entry:
    """Correct an entry by *amount* USD, or to *amount* in all; see `Ledger.adjust`."""
    appended = journal.write(
        adjusting(journal, entry, amount, reason=reason, key=key, is_total=is_total)
    )
    warn_of(appended)
    return appended.entry


def net_cost(tx: Transaction, project: str, entry_id: int) -> Decimal | None:
    """The cost of an entry with its adjustments; None without a price, or without the entry."""
    project_id = accounts.find_project(tx.execute, project)
    entry = entry_with_id(tx.execute, project_id, entry_id)
    if entry is None:
        return None
    millions, rest = tx.execute(compiled(statements.STATED_SINCE), (entry_id,)).fetchone()
    is_stated = tx.execute(compiled(statements.IS_CORRECTED), (entry_id,)).fetchone()[0]
    if entry.cost_pico is None and not is_stated:
        return None
    return to_usd((entry.cost_pico or 0) + int(millions) * 10**6 + int(rest))


def adjusting(
    journal: Journal,
    entry: Entry | int,
    amount: Amount,
    *,
    reason: str,
    key: str | None = None,
    is_total: bool = False,
) -> Callable[[Transaction], Appended]:
    """The operation that corrects an entry; see `adjust`."""
    entry_id = entry.id if isinstance(entry, Entry) else count(entry, "entry")
    draft = Draft(
        "adjustment",
        cost_pico=to_pico(amount, "amount", signed=not is_total, one_entry=True),
        price_source="given",
        note=checked_reason(reason),
        idempotency_key=None if key is None else checked_name(key, "key"),
    )
    return lambda tx: posting.adjust(tx, journal.project, entry_id, draft, is_total=is_total)
