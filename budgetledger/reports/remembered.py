"""Sums of rows that were read before, so that the same report again reads only newer rows.

Rows never change, and ids ascend in the order of commits. So the sums of the rows up to an id stay
what they are, and those of later rows are added: a correction is a later row too, and one that
belongs to an earlier time is summed where it belongs. They are kept in memory while a ledger is
open, and those of many rows in a file for the next process; they are never the only copy of
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

from budgetledger.reporting import Figures
from budgetledger.reports import kept_sums
from budgetledger.reports.sums import Key, Part, Scope, read_sums
from budgetledger.storage.protocols import Execute
from budgetledger.storage.sqlite.connection import MEMORY
from budgetledger.storage.store import Store

_MOST_REPORTS = 16
_MOST_SUMS = 100_000  # of one report: about 30 MB


class _Sums(NamedTuple):
    """The sums of the rows up to an id, as a server had them since it was connected."""

    last_id: int
    renewals: int
    sums: Mapping[Key, Figures]


_kept: WeakKeyDictionary[Store, dict[tuple[Scope, tuple[Part, ...]], _Sums]] = WeakKeyDictionary()
_lock = Lock()


def remembered_sums(
    store: Store, execute: Execute, scope: Scope, dimensions: Sequence[Part]
) -> Mapping[Key, Figures]:
    """`read_sums` of *store*; of the rows after those that were summed before, if they were.

    *execute*: on one snapshot. A file that was replaced is refused by the store; after a
    reconnection to a server, which may have been restored, all rows are read again.
    """
    (last_id,) = execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
    what, renewals = (scope, (*dimensions,)), store.renewals
    with _lock:
        known = _kept.setdefault(store, {}).get(what)
    if known is None or known.renewals != renewals or known.last_id > last_id:
        known = _of_another_process(store, execute, what, renewals)
    if known is None:
        sums: Mapping[Key, Figures] = read_sums(execute, scope, dimensions)
    elif known.last_id == last_id:
        sums = known.sums
    else:
        newer = read_sums(execute, scope._replace(after_id=known.last_id), dimensions)
        added = {
            key: figures.plus(known.sums[key]) if key in known.sums else figures
            for key, figures in newer.items()
        }
        sums = {**known.sums, **added}
    if len(sums) <= _MOST_SUMS:
        if (
            last_id - (known.last_id if known else 0) >= kept_sums.KEPT_FROM
            and store.path != MEMORY
        ):
            kept_sums.keep(execute, (store.path, *what), last_id, sums)
        with _lock:
            reports = _kept[store]
            reports.pop(what, None)
            if len(reports) >= _MOST_REPORTS:
                del reports[next(iter(reports))]  # the one that was made longest ago
            reports[what] = _Sums(last_id, renewals, sums)
    return sums


def _of_another_process(
    store: Store, execute: Execute, what: tuple[Scope, tuple[Part, ...]], renewals: int
) -> _Sums | None:
    if store.path == MEMORY:
        return None
    kept = kept_sums.load(execute, (store.path, *what))
    return None if kept is None else _Sums(kept[0], renewals, kept[1])
