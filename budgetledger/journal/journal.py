"""What every part of a ledger works with: the open file, the clock, and transactions on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from budgetledger.callers import AsUser
from budgetledger.entries import Alert
from budgetledger.journal import reports as _reports
from budgetledger.journal.reports import EVER, Ref
from budgetledger.journal.transaction import Memory, Transaction
from budgetledger.money import count
from budgetledger.names import checked_name
from budgetledger.storage.sqlite.connection import Synchronous
from budgetledger.storage.sqlite.store import open_store
from budgetledger.storage.writer import Execute
from budgetledger.windows import to_us

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Microseconds since 1970."""

_log = logging.getLogger("budgetledger")


def system_clock() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1000


class LedgerCore:
    """An open ledger without its methods for money, holds, settings and reading."""

    def __init__(
        self,
        target: str | PathLike[str],
        *,
        project: str = "default",
        synchronous: Synchronous = "FULL",
        enforce: bool = True,
        default_output_tokens: int = 4096,
        on_alert: Callable[[Alert], object] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.project = checked_name(project, "project")
        self.enforce = enforce
        self._default_output_tokens = count(default_output_tokens, "default_output_tokens")
        self._on_alert = on_alert
        self._clock = clock
        self._memory = Memory()
        self._accounts = self._memory.accounts.setdefault(self.project, {})
        self._store = open_store(target, synchronous)

    def _of_project(self, project: str) -> Self:
        """The same open file, under another project."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.project = checked_name(project, "project")
        other._accounts = self._memory.accounts.setdefault(project, {})
        return other

    @property
    def path(self) -> str:
        """The ledger's file, absolute; or ``:memory:``; or its URL, without the password."""
        return self._store.path

    def as_user(
        self, user: str, *, tags: Mapping[str, Any] | None = None, key: str | None = None
    ) -> AsUser:
        """For ``with``: metered calls made inside count for *user*, with *tags* on their rows.

        For every call of wrapped clients and metered functions that the block makes, in the
        tasks it starts too, and in threads started by ``asyncio.to_thread``. The innermost
        block wins, and its tags are added to those of the blocks around it. *key*: of the
        hold, if the block makes one call.
        """
        return AsUser(user, tags, key)

    def backup(self, path: str | PathLike[str]) -> None:
        """Copy the ledger as of now into the new SQLite file *path*, while others go on writing.

        From PostgreSQL too: each row as it is, and verified.
        """
        self._store.backup(path)

    def close(self) -> None:
        """Give files and locks back. Harmless when repeated."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.path!r}, project={self.project!r})"

    # -- for the parts ---------------------------------------------------------------------------

    def _write(self, operation: Callable[[Transaction], T]) -> T:
        result, alerts = self._store.write(self._inside(operation))
        if alerts:
            self._tell(alerts)
        return result

    def _inside(
        self, operation: Callable[[Transaction], T]
    ) -> Callable[[Execute], tuple[T, tuple[Alert, ...]]]:
        """*operation* as the store runs it."""
        begin = self._begin

        def run(execute: Execute) -> tuple[T, tuple[Alert, ...]]:
            tx = begin(execute)
            return operation(tx), tx.alerts

        return run

    def _begin(self, execute: Execute) -> Transaction:
        memory, store = self._memory, self._store
        if memory.generation != store.generation:  # what was read may have been undone
            memory.settings.clear()
            memory.heads.clear()
            memory.generation = store.generation
            memory.forget_before(store.renewals)  # which follow a failure, so come in here
        if store.data_version is None:
            memory.heads.clear()
        else:
            (version,) = execute(store.data_version).fetchone()
            if memory.data_version != version:
                memory.heads.clear()
                memory.data_version = version
        return Transaction(execute, self._clock(), memory)

    def _tell(self, alerts: tuple[Alert, ...]) -> None:
        """Call ``on_alert``; what it raises must not eat what the caller did."""
        if self._on_alert is None:
            return
        for alert in alerts:
            try:
                self._on_alert(alert)
            except Exception:
                _log.exception("on_alert failed for %s", alert)

    def _write_known(self, account: str, operation: Callable[[Transaction, Ref], T]) -> T:
        checked_name(account, "account")
        return self._write(
            lambda tx: operation(tx, _reports.known(tx.execute, self.project, account))
        )

    def _read_known(self, account: str, operation: Callable[[Execute, Ref], T]) -> T:
        checked_name(account, "account")

        def with_account(execute: Execute) -> T:
            self._memory.forget_before(self._store.renewals)
            ref = self._accounts.get(account) or _reports.known(execute, self.project, account)
            return operation(execute, ref)

        return self._store.read(with_account)

    def _moments(
        self, execute: Execute, ref: Ref, at: datetime | None, as_of: datetime | None
    ) -> tuple[int, int]:
        """The moment asked about, and the moment of knowing, in microseconds."""
        known_us = EVER if as_of is None else to_us(as_of)
        if at is not None:
            return to_us(at), known_us
        # An account's time never runs back, even if the clock does.
        now_us = max(self._clock(), _reports.last_time(execute, ref.id))
        return min(now_us, known_us), known_us
