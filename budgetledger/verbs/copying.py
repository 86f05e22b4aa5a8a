"""Copies a whole ledger into an empty one, row by row: between files and servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any

from budgetledger.errors import InvalidInput, StoreError
from budgetledger.journal.rows import statements
from budgetledger.journal.verify import Verification, verify
from budgetledger.storage.protocols import Execute
from budgetledger.storage.sqlite.connection import MEMORY, path_of
from budgetledger.storage.sqlite.store import FileStore
from budgetledger.storage.store import Store

_AT_ONCE = 200  # rows in a statement

Progress = Callable[[int, int], None]


def copy(source: Store, target: Store, progress: Progress | None = None) -> Verification:
    """Copy all of *source* as it is now into *target*, and verify it there, or copy nothing.

    One transaction: a failure leaves the target empty. *progress* is called with the number of
    rows done and the total; each entry counts twice, as it is verified too. Raises
    `InvalidInput` if the target has rows, `StoreError` if the copy fails verification.
    """
    with source.reading_apart() as connection:
        read = connection.execute

        def operation(execute: Execute) -> Verification:
            return _copy(read, execute, source, target, progress or _no_progress)

        return target.write(operation)


def backup(source: Store, target: str | os.PathLike[str]) -> None:
    """Copy all of *source*, as of now, into the new SQLite file *target*.

    A file is copied page by page, a server's ledger row by row. Raises `InvalidInput` if the
    file exists; a failed copy leaves no file.
    """
    path = path_of(target)
    if path == MEMORY or os.path.exists(path):
        raise InvalidInput(f"a backup needs a file that does not exist yet, got {path}")
    try:
        if isinstance(source, FileStore):
            source.copy_to(path)
        else:
            with closing(FileStore(path, "FULL")) as made:
                copy(source, made)
    except BaseException:
        for name in (path, *(f"{path}{end}" for end in ("-journal", "-wal", "-shm", ".lock"))):
            with suppress(FileNotFoundError):
                os.unlink(name)
        raise


def _copy(
    read: Execute, execute: Execute, source: Store, target: Store, progress: Progress
) -> Verification:
    tables = _tables()
    for table in tables:
        if execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:
            raise InvalidInput(
                f"{target.path} holds rows already; nothing was copied; name an empty ledger, or "
                "one that does not exist yet"
            )
    counts = [read(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    entries = counts[list(tables).index("entries")]
    total, done = sum(counts) + entries, 0
    for table, (columns, key) in tables.items():
        for rows in _portions(read(statements.all_rows(table, columns, key))):
            execute(
                statements.insert_rows(table, columns, len(rows)), [v for row in rows for v in row]
            )
            done += len(rows)
            progress(done, total)
    verification = verify(execute, target.inspection, lambda rows, _: progress(done + rows, total))
    if not verification.ok:
        raise StoreError(
            f"the copy failed verification: {verification.problems[0].message} (and "
            f"{len(verification.problems) - 1} more); nothing was copied; run "
            f"`budgetledger verify` on {source.path}",
            target=target.path,
        )
    if execute(statements.DIGESTS).fetchall() != read(statements.DIGESTS).fetchall():
        raise StoreError(
            f"the last rows of accounts differ between {target.path} and {source.path}; "
            "nothing was copied; retry",
            target=target.path,
        )
    return verification


def _tables() -> dict[str, tuple[list[str], list[str]]]:
    """The columns and the key of each table; referenced tables come first."""
    from budgetledger.tables import metadata

    return {
        table.name: (
            [column.name for column in table.columns],
            [column.name for column in table.primary_key],
        )
        for table in metadata.sorted_tables
    }


def _portions(rows: Any) -> Iterator[list[tuple[Any, ...]]]:
    rows = iter(rows)
    while portion := list(islice(rows, _AT_ONCE)):
        yield portion


def _no_progress(done: int, total: int) -> None: ...
