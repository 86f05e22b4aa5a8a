"""What the endpoints share: the open ledger as each project sees it, and the gate."""

from __future__ import annotations

from collections import OrderedDict

from budgetledger.aio import AsyncLedger
from budgetledger.journal.holding import Granted
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.server.gate import Gate

_MOST_PROJECTS = 256
_MOST_HOLDS = 10_000


class Service:
    """*most_bytes*: the largest body accepted."""

    def __init__(self, ledger: Ledger, gate: Gate, most_bytes: int) -> None:
        self.ledger = ledger
        self.gate = gate
        self.most_bytes = most_bytes
        self._projects: OrderedDict[str, AsyncLedger] = OrderedDict()
        self._holds: OrderedDict[tuple[int, str, int], Granted] = OrderedDict()

    def ledger_of(self, project: str) -> AsyncLedger:
        """The ledger, as *project* sees it."""
        ledger = self._projects.get(project)
        if ledger is None:
            ledger = self._projects[project] = AsyncLedger(
                ledger_on(journal_of(self.ledger).for_project(project))
            )
            if len(self._projects) > _MOST_PROJECTS:
                self._projects.popitem(last=False)
        return ledger

    def remember(self, project: str, granted: Granted) -> None:
        """Cache the row of a hold, which will be settled soon.

        The row never changes, unless the database is restored to an older state.
        """
        self._holds[journal_of(self.ledger).store.renewals, project, granted.entry.id] = granted
        if len(self._holds) > _MOST_HOLDS:
            self._holds.popitem(last=False)

    def recall(self, project: str, hold_id: int) -> Granted | None:
        """The row of a hold, if it is cached."""
        return self._holds.get((journal_of(self.ledger).store.renewals, project, hold_id))
