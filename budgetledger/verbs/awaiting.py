"""`AsyncJournal`: the journal's transactions, awaited, over the same queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from budgetledger.entries import Alert
from budgetledger.errors import BudgetledgerError
from budgetledger.journal.journal import Journal
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction

T = TypeVar("T")


class AsyncJournal:
    """Writes of *journal* for tasks: none blocks their event loop."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def write(self, operation: Callable[[Transaction], T]) -> T:
        """`Journal.write`. Cancelling the task does not undo what is queued."""
        journal = self.journal
        on_result = None if journal.on_alert is None else self._report
        result, _ = await journal.store.awrite(journal.inside(operation), on_result)
        return result

    def _report(self, outcome: tuple[object, tuple[Alert, ...]]) -> None:
        """Report the alerts of a write, even if its task was cancelled."""
        self.journal.tell(outcome[1])

    def queue(self, operation: Callable[[Transaction], object]) -> None:
        """Queue *operation*, to be written even if this task or its loop ends."""
        writing = self.write(operation)
        writing.send(None)  # runs up to its first await, by which it is queued
        writing.close()

    async def record(
        self,
        draft: Callable[[], Draft],
        operation: Callable[[Draft], Callable[[Transaction], T]],
        *,
        slow: bool,
    ) -> T:
        """Record a paid call. If cancelled early, block the loop rather than lose the cost."""
        try:
            drafted = await asyncio.to_thread(draft) if slow else draft()
        except asyncio.CancelledError:
            with suppress(BudgetledgerError):  # the cancelled task cannot receive it
                self.queue(operation(draft()))
            raise
        return await self.write(operation(drafted))

    def off_loop(self) -> Journal:
        """The journal, for a thread: its alerts are reported on the loop that runs here."""
        loop, tell = asyncio.get_running_loop(), self.journal.tell
        return replace(
            self.journal, on_alert=lambda alert: loop.call_soon_threadsafe(tell, (alert,))
        )
