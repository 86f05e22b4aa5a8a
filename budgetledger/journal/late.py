"""Rows recorded later than they belong, for the windows that lie between.

A row belongs to the earlier of when its call was made and when it was recorded; a settle never
before its hold was granted; an adjustment to the time of the entry that it corrects. Running
totals are in the order of recording. So what belongs before a moment is the total of the rows
recorded before it, and the late rows recorded since: ``late_entries`` finds these. It is an
index, as `model_runs` is, that `verify` recounts.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from budgetledger.journal import statements
from budgetledger.journal.rules import Draft
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

_LATE = compiled(statements.LATE)
_LATE_ANSWERS = compiled(statements.LATE_ANSWERS)


def settle_belongs(execute: Execute, draft: Draft) -> int | None:
    """When the settle *draft* belongs, if it states when its call was made.

    A call that was paid for from a hold was not made before the hold was granted.
    """
    if draft.occurred_at_us is None:
        return None
    row = execute(compiled(statements.RECORDED_AT), (draft.hold_id,)).fetchone()
    granted_at_us: int = draft.occurred_at_us if row is None else row[0]
    return max(draft.occurred_at_us, granted_at_us)


def late_row(
    account_id: int, entry_id: int | None, at_us: int, belongs_us: int
) -> tuple[int, int | None, int, int, int]:
    """The row of ``late_entries``: ``within_us`` is the least power of two above the delay.

    Late rows recorded at or after a moment, which belong before it, are those of each
    ``within_us`` that were recorded within it of that moment: an index seek for each.
    """
    return account_id, entry_id, at_us, belongs_us, 1 << (at_us - belongs_us).bit_length()


def late_totals(
    execute: Execute,
    account_id: int,
    moment_us: int,
    known_us: int,
    models: Sequence[str] | None,
    answers: Sequence[str],
) -> tuple[int, int, int, int]:
    """The sum of the rows that belong before a moment and were recorded at or after it.

    In `Head`'s order. Of *models* and pairs in *answers*; all if *models* is None. *known_us*:
    the moment of knowledge; later rows are left out.
    """
    where = (account_id, account_id, account_id, moment_us, moment_us, known_us, moment_us)
    rows = execute(_LATE, where).fetchall()
    if not rows:
        return 0, 0, 0, 0
    counted = [row for row in rows if models is None or row[0] in models]
    for names in answers:
        counted += execute(_LATE_ANSWERS, (*where, names)).fetchall()
    micro, pico, tokens, requests = (sum(int(row[n]) for row in counted) for n in range(1, 5))
    return 0, micro * 1_000_000 + pico, tokens, requests


class LateRows:
    """Works out the late rows of an account again, row by row, for `verify`."""

    def __init__(self, execute: Execute, account_id: int, corrected: Set[int]) -> None:
        """*corrected*: the ids of the entries that have adjustments."""
        self._execute, self._account_id, self._corrected = execute, account_id, corrected
        self._belongs: dict[int, int] = {}  # of those corrected
        self._rows: set[tuple[Any, ...]] = set()

    def pass_row(self, entry_id: int, at_us: int, draft: Draft) -> None:
        """Take the next row of the journal."""
        belongs_us = draft.occurred_at_us
        if draft.corrects_id is not None:
            belongs_us = self._belongs.get(draft.corrects_id)
        elif draft.kind == "settle":
            belongs_us = settle_belongs(self._execute, draft)
        if belongs_us is not None and belongs_us < at_us:
            self._rows.add(late_row(self._account_id, entry_id, at_us, belongs_us))
        call_id = draft.origin_id or entry_id
        if call_id in self._corrected:
            self._belongs[call_id] = at_us if belongs_us is None else min(at_us, belongs_us)

    def astray(self) -> list[int]:
        """The entries about which ``late_entries`` is wrong."""
        listed = self._execute(compiled(statements.ALL_LATE), (self._account_id,))
        return sorted({entry_id for _, entry_id, *_ in self._rows.symmetric_difference(listed)})
