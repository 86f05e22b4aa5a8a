"""The part of a ledger that sets: budgets, windows, parents, freezing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from budgetledger.entries import Budget, Measure
from budgetledger.errors import (
    InvalidInput,
    InvalidPeriod,
)
from budgetledger.journal import reports as _reports
from budgetledger.journal import settings as _settings
from budgetledger.journal.append import find_or_open
from budgetledger.journal.journal import LedgerCore
from budgetledger.journal.reports import Ref
from budgetledger.journal.standing import WHOLE_PROJECT
from budgetledger.journal.transaction import Transaction
from budgetledger.money import Amount, Sum, count, limit_sum, to_pico, to_usd
from budgetledger.names import checked_name, checked_reason
from budgetledger.windows import UNITS, Period, Window, make_period, to_us

_MOST_THRESHOLDS = 20


class SettingLedger(LedgerCore):
    """See `Ledger`."""

    def set_budget(
        self,
        account: str,
        limit: Amount | None = None,
        *,
        tokens: int | None = None,
        requests: int | None = None,
        per: str | timedelta | None = None,
        timezone: str = "UTC",
        week_start: str | int = "monday",
        anchor: datetime | Literal["creation"] | None = None,
        model: str | None = None,
        alert_at: Sequence[Amount] | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
    ) -> Budget:
        """Limit what *account* may use in a window; open the account if it is new.

        One of *limit* (USD), *tokens* or *requests* says how much, of one *model* if given.
        *per*: minute, hour, day, week, month, year (by the calendar of *timezone*, or stepped
        from *anchor*), a timedelta (the span that ends now), or None (for ever). *alert_at*:
        shares of the limit, such as ``(0.5, 0.8, 1)``, that raise an `Alert` once a window (and
        again if the limit was raised); None keeps those there are.

        A parent's budget limits all accounts under it together, that of ``"*"`` the project.
        The same *name* again revises the budget and keeps what is spent; another name adds a
        budget. The name defaults to what is limited: ``usd/month``, ``tokens/day/gpt-4o``.
        *created_at*: when it counts as created; by default when its name was first set.
        """
        checked_name(account, "account")
        if model is not None:
            checked_name(model, "model")
        measure, amount = _limit(limit, tokens, requests)
        anchored = anchor == "creation"
        at_us = None if anchor is None or isinstance(anchor, str) else to_us(anchor)
        if isinstance(anchor, str) and not anchored:
            raise InvalidInput(f"anchor must be a datetime or 'creation', got {anchor!r}")
        if anchored and per not in UNITS:
            raise InvalidPeriod(f"anchor='creation' goes with per= one of {', '.join(UNITS)}")
        period = make_period(per, timezone=timezone, week_start=week_start, anchor_us=at_us)
        name = _budget_name(measure, period, model) if name is None else checked_name(name, "name")
        shares = None if alert_at is None else _shares(alert_at)
        return self._set_budget(
            account, name, measure, amount, model, period, alert_at=shares, anchored=anchored,
            created_at=None if created_at is None else to_us(created_at) / 1e6,
        )  # fmt: skip

    def _set_budget(
        self,
        account: str,
        name: str,
        measure: Measure,
        limit: Sum,
        model: str | None,
        period: Period,
        *,
        alert_at: tuple[Decimal, ...] | None = None,
        anchored: bool,
        created_at: float | None = None,
    ) -> Budget:
        def operation(tx: Transaction) -> tuple[Ref, Budget]:
            ref = find_or_open(tx, self.project, account)
            return ref, _settings.set_budget(
                tx, ref, name, measure, limit, model, period,
                alert_at=alert_at, anchored=anchored, created_at=created_at,
            )  # fmt: skip

        self._accounts[account], budget = self._write(operation)
        return budget

    def remove_budget(self, account: str, name: str) -> None:
        """End the budget *name*; what it counted stays. Raises `UnknownAccount`."""
        checked_name(name, "name")
        self._write_known(account, lambda tx, ref: _settings.remove_budget(tx, ref, name))

    def shift_window(
        self,
        account: str,
        name: str | None = None,
        *,
        reason: str | None = None,
        key: str | None = None,
    ) -> Window:
        """Start a new window now, of the budget *name* or of all the account's budgets.

        No row is touched: what was spent stays in the window that ends here. *key*: the same
        key again shifts nothing more. Returns the new window. Raises `UnknownAccount` if there
        is no such account or budget.
        """
        if name is not None:
            checked_name(name, "name")
        note = _note(reason)
        if key is not None:
            checked_name(key, "key")
        return self._write_known(
            account, lambda tx, ref: _settings.shift_windows(tx, ref, name, note, key)
        )

    def _shift_if_due(self, account: str, name: str) -> None:
        self._write_known(account, lambda tx, ref: _settings.shift_if_due(tx, ref, name))

    def set_parent(self, account: str, parent: str | None) -> None:
        """Put *account* under *parent*, whose budgets it counts against too; None for none.

        With a parent, accounts are opened if they are new. Rows so far stay where they
        counted. Everything is under ``"*"``, the project itself, from when that account is
        opened (by a budget).
        Raises `InvalidInput` for a cycle, `UnknownAccount`.
        """
        checked_name(account, "account")
        if parent is not None:
            checked_name(parent, "parent")
        if WHOLE_PROJECT in (account, parent):
            raise InvalidInput(
                "'*' is the project itself, above all accounts; set a budget on it, and pass "
                "None as parent for an account that is under nothing else"
            )

        def operation(tx: Transaction) -> None:
            ref = (
                _reports.known(tx.execute, self.project, account)
                if parent is None
                else find_or_open(tx, self.project, account)
            )
            _settings.set_parent(tx, ref, parent)

        self._write(operation)

    def freeze(self, account: str, *, reason: str | None = None) -> None:
        """Refuse all holds on *account* and those under it; costs are still recorded."""
        self._freeze(account, True, reason)

    def unfreeze(self, account: str, *, reason: str | None = None) -> None:
        """Grant holds on *account* again. Raises `UnknownAccount`."""
        self._freeze(account, False, reason)

    def _freeze(self, account: str, frozen: bool, reason: str | None) -> None:
        note = _note(reason)
        self._write_known(account, lambda tx, ref: _settings.set_frozen(tx, ref, frozen, note))


def _limit(limit: Amount | None, tokens: int | None, requests: int | None) -> tuple[Measure, Sum]:
    given = [value for value in (limit, tokens, requests) if value is not None]
    if len(given) != 1:
        raise InvalidInput("a budget limits one thing: pass an amount in USD, tokens= or requests=")
    if tokens is not None:
        return "tokens", Sum(count(tokens, "tokens"))
    if requests is not None:
        return "requests", Sum(count(requests, "requests"))
    assert limit is not None
    return "usd", limit_sum(limit)


def _budget_name(measure: str, period: Period, model: str | None) -> str:
    per = period.per
    if per == "rolling":
        assert period.span_us is not None
        seconds, us = divmod(period.span_us, 1_000_000)
        per = f"{seconds}.{us:06d}".rstrip("0").rstrip(".") + "s" if us else f"{seconds}s"
    return "/".join(part for part in (measure, per, model) if part)


def _shares(alert_at: Sequence[Amount]) -> tuple[Decimal, ...]:
    """Thresholds as shares of a limit, ascending."""
    given = alert_at if isinstance(alert_at, (list, tuple, set, frozenset)) else (alert_at,)
    shares = {to_usd(to_pico(share, "alert_at")).normalize() for share in given}
    if any(not 0 < share <= 1000 for share in shares) or len(shares) > _MOST_THRESHOLDS:
        raise InvalidInput(
            f"alert_at takes up to {_MOST_THRESHOLDS} shares of the limit above 0, "
            f"got {alert_at!r}; pass for example (0.5, 0.8, 1)"
        )
    return tuple(sorted(Decimal(f"{share:f}") for share in shares))


def _note(text: str | None) -> str | None:
    return None if text is None else checked_reason(text)
