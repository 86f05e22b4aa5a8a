"""Finds calls of a log that the ledger has already, by the ids of their responses.

Gateways and caches repeat ids, so a call is only the same if the model is, within a day.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from budgetledger.entries import RESPONSE_ID
from budgetledger.imports.calls import Call
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.answers import KEY as ANSWERED
from budgetledger.journal.rows.response_ids import kept_id
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

_DAY_US = 86_400_000_000


class KnownResponses:
    """The rows with the ids of a log's responses that did not come from that program's log."""

    def __init__(self, calls: Sequence[Call], prefix: str) -> None:
        """*prefix*: that of the keys of the program's rows."""
        self._prefix = prefix
        self._rows: dict[str, list[tuple[set[str], int]]] = {
            kept: []
            for call in calls
            if call.response_id is not None and (kept := kept_id(call.response_id)) is not None
        }
        self._last_id = 0

    def look(self, execute: Execute, project: str) -> None:
        """Read the rows that were appended since the last look."""
        project_id = accounts.find_project(execute, project)
        if not self._rows or project_id is None:
            return
        (last_id,) = execute(statements.LAST_ENTRY_ID).fetchone()
        where = (project_id, self._last_id)
        for model, at_us, key, price_json in execute(compiled(statements.WITH_RESPONSE), where):
            price = json.loads(price_json)
            rows = self._rows.get(price.get(RESPONSE_ID))
            if rows is not None and not (key or "").startswith(self._prefix):
                rows.append(({model, price.get(ANSWERED, model)}, at_us))
        self._last_id = last_id or 0

    def has(self, call: Call) -> bool:
        """Whether a row has the id and the model of *call*, and is of a day around it."""
        kept = None if call.response_id is None else kept_id(call.response_id)
        if kept is None:
            return False
        names = {name for name in (call.model, call.answered) if name is not None}
        return any(
            abs(at_us - call.at_us) <= _DAY_US
            and any(covers(one, two) or covers(two, one) for one in models for two in names)
            for models, at_us in self._rows.get(kept, ())
        )
