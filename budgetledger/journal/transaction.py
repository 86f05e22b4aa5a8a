"""One operation's write transaction, and the caches between transactions."""

from __future__ import annotations

from budgetledger.entries import Alert, Budget
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.late import Kept
from budgetledger.journal.rows.rules import Crossed, Head
from budgetledger.prices import PriceBook
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period, Window

_MOST_REMEMBERED = 20_000  # accounts; a little over a kilobyte each


class Settings:
    """The cached settings of an account, valid while its `settings_count` equals *version*.

    ``cuts``, by budget: the last active window, and what was recorded before it; ``late``: which
    of the rows recorded since belong before it. ``stated``, by model: between which moments every
    settle of a minimal hold has a price. ``prior``, by budget of ``*``: see `journal.prior`.
    ``budgeted``: the models that budgets were ever set on, by identity.
    """

    __slots__ = (
        "budgeted",
        "budgets",
        "cuts",
        "frozen",
        "has_alerts",
        "late",
        "parent_id",
        "plain_version",
        "prior",
        "shifts",
        "standing",
        "stated",
        "version",
    )

    def __init__(
        self,
        version: int,
        budgets: tuple[Budget, ...],
        shifts: dict[str, int],
        parent_id: int | None,
        frozen: str | None,
        standing: tuple[Crossed, ...],
    ) -> None:
        self.version = version
        self.budgets = budgets
        self.shifts = shifts
        self.parent_id = parent_id
        self.frozen = frozen
        self.standing = standing
        self.has_alerts = bool(standing) or any(budget.alert_at for budget in budgets)
        self.plain_version = -1 if self.has_alerts or parent_id is not None else version
        self.budgeted: tuple[str, ...] = ()
        self.prior: dict[str, int] = {}
        self.cuts: dict[str, tuple[Window, tuple[int, ...]]] = {}
        self.late: dict[str, Kept] = {}
        self.stated: dict[str | None, tuple[int, int]] = {}


class Memory:
    """The caches of an open ledger, and what clears each.

    settings, by account id                      the store's generation changes
    heads, by account id                         the same, or data_version: another writer
    windows, the last one of each period         nothing: they depend on the period alone
    accounts and own prices (books), by project  renewals: the store has reconnected
    """

    __slots__ = (
        "accounts",
        "books",
        "data_version",
        "generation",
        "heads",
        "renewals",
        "settings",
        "windows",
    )

    def __init__(self) -> None:
        self.generation = -1
        self.data_version = -1
        self.heads: dict[int, Head] = {}
        self.renewals = 0
        self.settings: dict[int, Settings] = {}
        self.windows: dict[Period, Window] = {}
        self.accounts: dict[str, dict[str, Ref]] = {}
        self.books: dict[str, tuple[int | None, PriceBook]] = {}

    def remember(self, account_id: int, settings: Settings) -> None:
        """Keep *settings*; forget all others when there are too many."""
        if len(self.settings) >= _MOST_REMEMBERED:
            self.settings.clear()
            self.heads.clear()  # of the same accounts at most
        self.settings[account_id] = settings

    def forget_before(self, renewals: int) -> None:
        """Clear the caches if the store has reconnected since: *renewals* has changed.

        Its server may have been restored to an older state, with other rows under the same ids.
        """
        if self.renewals != renewals:
            self.renewals = renewals
            self.settings.clear()
            self.books.clear()
            for accounts in self.accounts.values():
                accounts.clear()


class Transaction:
    """What an operation works with: statements, one time for all its rows, and the caches.

    The time is read under the write lock: read before, it would let racing callers write into
    the wrong window. ``alerts`` reach the caller once the rows are durable; ``passed``: the ids
    of accounts with a hold past its deadline; ``makes_room``: whether a hold was closed.
    ``models``, by account id and model: the running totals where a run of the model ended in this
    transaction, if it appends many rows.
    """

    __slots__ = ("alerts", "execute", "makes_room", "memory", "models", "now_us", "passed")

    def __init__(self, execute: Execute, now_us: int, memory: Memory) -> None:
        self.execute = execute
        self.now_us = now_us
        self.memory = memory
        self.alerts: tuple[Alert, ...] = ()
        self.passed: frozenset[int] = frozenset()
        self.makes_room = False
        self.models: dict[tuple[int, str], tuple[int | None, ...]] | None = None
