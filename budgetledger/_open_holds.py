"""An open hold by its number, for whoever no longer has it in hand."""

from __future__ import annotations

from budgetledger.entries import Entry
from budgetledger.errors import UnknownEntry
from budgetledger.holds import Hold
from budgetledger.journal import reports as _reports
from budgetledger.journal import statements as _sql
from budgetledger.journal.holding import Granted
from budgetledger.journal.statements import compiled
from budgetledger.ledger import Ledger
from budgetledger.storage.writer import Execute


def hold_with_id(ledger: Ledger, hold_id: int) -> Hold:
    """The hold *hold_id* of the ledger's project, open or closed. Raises `UnknownEntry`."""

    def operation(execute: Execute) -> Granted:
        project_id = _reports.find_project(execute, ledger.project)
        row = execute(compiled(_sql.ENTRY_WITH_ID), (project_id, hold_id)).fetchone()
        entry = None if row is None else Entry._make(row)
        if entry is None or entry.kind != "hold":
            kind = "" if entry is None else f" (that entry is of kind {entry.kind})"
            raise UnknownEntry(
                f"there is no hold {hold_id} in project {ledger.project!r}{kind}; "
                "`budgetledger holds ACCOUNT` lists those that are open"
            )
        account = _reports.known(execute, ledger.project, entry.account)
        listed = execute(compiled(_sql.OPEN_HOLD), (account.id, hold_id)).fetchone()
        if listed is not None:  # its deadline may have been moved
            entry = entry._replace(expires_at_us=listed[1])
        return Granted(entry, account)

    return Hold(ledger, ledger._store.read(operation), None)
