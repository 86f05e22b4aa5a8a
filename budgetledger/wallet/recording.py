"""Settles and releases the holds of a wallet. No error here may keep an answer from its client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from budgetledger.aio import AsyncHold, AsyncLedger, asettle_stream
from budgetledger.clients.settling import asettled
from budgetledger.errors import BudgetledgerError, HoldAlreadyClosed, StoreError
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading
from budgetledger.wallet.bill import Bill

_log = logging.getLogger("budgetledger.wallet")
_PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15, 30, 60)  # seconds between tries to record a cost


class Recorder:
    """Closes holds, and tries again in the background where the store failed."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._later: set[asyncio.Task[None]] = set()

    async def settle(
        self, ledger: AsyncLedger, hold: AsyncHold, paid: Reading | StreamReading
    ) -> None:
        """Record what a call cost; durable on return, unless the store fails."""
        try:
            if isinstance(paid, StreamReading):
                await asettle_stream(hold, paid)
            else:
                await asettled(ledger.ledger, hold, paid)
        except Exception:
            _log.exception("a call was answered, but its cost could not be recorded")
        self.closed(hold)

    def closed(self, hold: AsyncHold) -> None:
        """Take note of a hold that its stream settled; try again if it could not."""
        if hold.closed_by is None:
            self._bill.unrecorded += 1
            self._keep(asyncio.ensure_future(self._again(hold)))
        else:
            self._count(hold)

    async def release(self, hold: AsyncHold, reason: str) -> None:
        """Give back what was held for a call that was not answered."""
        self._bill.closed(hold.amount)
        self._bill.failed += 1
        try:
            await hold.release(reason=reason)
        except BudgetledgerError as error:
            _log.warning("hold %s could not be released: %s", hold.id, error)

    def _count(self, hold: AsyncHold) -> None:
        self._bill.closed(hold.amount)
        entry = hold.closed_by
        if entry is not None and entry.kind == "settle":
            self._bill.settled(entry)
        else:
            self._bill.failed += 1  # the answer says so

    async def _again(self, hold: AsyncHold) -> None:
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                await hold.settle()
            except HoldAlreadyClosed:
                break
            except StoreError as error:
                _log.warning("still not recorded: %s", error)
                continue
            except BudgetledgerError:
                return
            self._bill.unrecorded -= 1
            self._count(hold)
            return

    def later(self, closing: Coroutine[Any, Any, None]) -> None:
        """Close a hold in the background: its task was cancelled, as a server does that stops."""
        self._keep(asyncio.ensure_future(closing))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for what is still to be recorded; then give up."""
        if self._later:
            _, pending = await asyncio.wait(self._later, timeout=seconds)
            for task in pending:
                task.cancel()
