"""What the endpoints share: the open ledger under its projects, and who may use them."""

from __future__ import annotations

from collections import OrderedDict

from budgetledger.aio import AsyncLedger
from budgetledger.ledger import Ledger
from budgetledger.server.gate import Gate

_MOST_PROJECTS = 256


class Service:
    """*most_bytes*: the largest body that is read."""

    def __init__(self, ledger: Ledger, gate: Gate, most_bytes: int) -> None:
        self.ledger = ledger
        self.gate = gate
        self.most_bytes = most_bytes
        self._projects: OrderedDict[str, AsyncLedger] = OrderedDict()

    def ledger_of(self, project: str) -> AsyncLedger:
        """The ledger, as *project* sees it."""
        found = self._projects.get(project)
        if found is None:
            found = self._projects[project] = AsyncLedger(self.ledger._of_project(project))
            if len(self._projects) > _MOST_PROJECTS:
                self._projects.popitem(last=False)
        return found
