"""Rows recorded later than they belong, for the windows that lie between.

A row belongs to the earlier of when its call was made and when it was recorded; a settle never
before its hold was granted; an adjustment to the time of the entry that it corrects. Running
totals are in the order of recording. So what belongs before a moment is the total of the rows
recorded before it, and the late rows recorded since: ``late_entries`` finds these. It is an
index, as `model_runs` is, that `verify` recounts.
"""

from __future__ import annotations

from collections.abc import Set
from operator import add, sub
from typing import Any, NamedTuple

from budgetledger.journal.rows import statements
from budgetledger.journal.rows.answers import Counted, has_answer, names_of
from budgetledger.journal.rows.rules import EVER, Draft
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

_NEAR_US = 60_000_000
_NOTHING = (0, 0, 0, 0)
_HAS, _SINCE, _ADDED, _GONE = map(
    compiled,
    (statements.HAS_LATE, statements.LATE_SINCE, statements.LATE_ADDED, statements.LATE_GONE),
)


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
    account_id: int,
    entry_id: int | None,
    at_us: int,
    belongs_us: int,
    draft: Draft,
    is_counted: bool,
) -> tuple[object, ...]:
    """The row of ``late_entries``. ``names``: as in ``answers``, if the row `has_answer`.

    ``within_us`` is the least power of two above the delay. Late rows recorded at or after a
    moment that belong before it are those of each ``within_us`` that were recorded within it of
    the moment: an index seek for each. It is 0 for a row that counts in no total.
    """
    names = names_of(draft) if has_answer(draft) else None
    within_us = 1 << (at_us - belongs_us).bit_length() if is_counted else 0
    return account_id, entry_id, at_us, belongs_us, within_us, names


def late_totals(
    execute: Execute, account_id: int, moment_us: int, known_us: int, counted: Counted | None
) -> tuple[int, ...]:
    """The sum of the rows that belong before a moment and were recorded at or after it.

    In `Head`'s order; of *counted* unless None. *known_us*: the moment of knowledge; later rows
    are left out.
    """
    if execute(_HAS, (account_id, moment_us)).fetchone() is None:
        return _NOTHING
    where = (account_id, account_id, moment_us, moment_us, known_us, moment_us)
    if counted is None:
        sums = execute(compiled(statements.LATE_OF_ALL), (account_id, *where)).fetchone()
        micro, pico, tokens, requests = sums
        return 0, micro * 1_000_000 + pico, tokens, requests
    rows = execute(compiled(statements.LATE), (account_id, *where)).fetchall()
    return _summed(rows, counted)


class Kept(NamedTuple):
    """`late_totals` of a window's start, up to the account's late row ``late_id``."""

    start_us: int
    late_id: int
    totals: tuple[int, ...]


def moved(
    execute: Execute,
    account_id: int,
    kept: Kept | None,
    start_us: int,
    late_id: int,
    counted: Counted | None,
) -> Kept:
    """*kept* for a later start and last late row: only rows that make a difference are read.

    Where the start has moved far, these may be more than the late rows of the new start.
    """
    if kept is None or not 0 <= start_us - kept.start_us <= _NEAR_US:
        totals = late_totals(execute, account_id, start_us, EVER, counted)
        return Kept(start_us, late_id, totals)
    before_us, last_id, totals = kept
    if late_id != last_id:
        rows = execute(_SINCE, (account_id, last_id, before_us, before_us)).fetchall()
        totals = tuple(map(add, totals, _summed(rows, counted)))
    if start_us != before_us:
        rows = execute(_ADDED, (account_id, before_us, start_us, start_us)).fetchall()
        totals = tuple(map(add, totals, _summed(rows, counted)))
        rows = execute(_GONE, (account_id, before_us, start_us, before_us)).fetchall()
        totals = tuple(map(sub, totals, _summed(rows, counted)))
    return Kept(start_us, late_id, totals)


def _summed(rows: list[Any], counted: Counted | None) -> tuple[int, ...]:
    """The sum of rows of sums by model and answer."""
    if counted is not None:
        models, answers = counted
        rows = [row for row in rows if row[0] in models or row[1] in answers]
    if not rows:
        return _NOTHING
    _, _, micro, pico, tokens, requests = zip(*rows, strict=True)
    return 0, sum(micro) * 1_000_000 + sum(pico), sum(tokens), sum(requests)


class LateRows:
    """Works out the late rows of an account again, row by row, for `verify`."""

    def __init__(self, execute: Execute, account_id: int, corrected: Set[int]) -> None:
        """*corrected*: the ids of the entries that have adjustments."""
        self._execute, self._account_id, self._corrected = execute, account_id, corrected
        self._belongs: dict[int, int] = {}  # of those corrected
        self._rows: set[tuple[Any, ...]] = set()

    def pass_row(self, entry_id: int, at_us: int, draft: Draft, is_counted: bool) -> None:
        """Take the next row of the journal."""
        belongs_us = draft.occurred_at_us
        if draft.corrects_id is not None:
            belongs_us = self._belongs.get(draft.corrects_id)
            if belongs_us is None:  # of before the project's account was there
                where = (draft.corrects_id,)
                row = self._execute(compiled(statements.BELONGS), where).fetchone()
                belongs_us = row and row[0]
        elif draft.kind == "settle":
            belongs_us = settle_belongs(self._execute, draft)
        if belongs_us is not None and belongs_us < at_us:
            row = late_row(self._account_id, entry_id, at_us, belongs_us, draft, is_counted)
            self._rows.add(row)
        call_id = draft.origin_id or entry_id
        if call_id in self._corrected:
            self._belongs[call_id] = at_us if belongs_us is None else min(at_us, belongs_us)

    def astray(self) -> list[int]:
        """The entries about which ``late_entries`` is wrong."""
        listed = self._execute(compiled(statements.ALL_LATE), (self._account_id,))
        return sorted({entry_id for _, entry_id, *_ in self._rows.symmetric_difference(listed)})
