"""Balances as `Ledger` reports them: at any moment, as known at any other."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from budgetledger.entries import Balance
from budgetledger.journal import reports
from budgetledger.journal.journal import Journal
from budgetledger.journal.rows.accounts import Ref
from budgetledger.money import to_usd
from budgetledger.storage.protocols import Execute


def balance(
    journal: Journal, account: str, at: datetime | None = None, as_of: datetime | None = None
) -> Balance:
    """The account's balance. Raises `UnknownAccount`."""

    def operation(execute: Execute, ref: Ref) -> Balance:
        return _balance(journal, execute, ref, at, as_of)[0]

    return journal.read_known(account, operation)


def snapshot(
    journal: Journal, account: str, at: datetime | None = None, as_of: datetime | None = None
) -> tuple[Balance, dict[str, Decimal]]:
    """The balance, and what was posted in its window by model, in USD."""

    def operation(execute: Execute, ref: Ref) -> tuple[Balance, dict[str, Decimal]]:
        balance, known_us = _balance(journal, execute, ref, at, as_of)
        used = reports.model_costs(execute, ref, balance.window, known_us)
        return balance, {model: to_usd(posted.pico) for model, posted in used.items()}

    return journal.read_known(account, operation)


def _balance(
    journal: Journal, execute: Execute, ref: Ref, at: datetime | None, as_of: datetime | None
) -> tuple[Balance, int]:
    """The balance, and the moment of knowledge, in microseconds since 1970."""
    # Deadlines of holds follow the clock, even if it is behind the account's last row. It is
    # read first, so that the present moment is not before it.
    now_us = journal.clock()
    moment_us, known_us = journal.moments(execute, ref, at, as_of)
    if known_us < now_us:
        return reports.balance(execute, ref, moment_us, known_us, None), known_us
    now_us = max(now_us, moment_us) if at is not None else now_us
    return reports.balance(execute, ref, moment_us, known_us, now_us), known_us
