"""A ledger in an SQLite file: its connections, and what protects the file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from budgetledger.errors import StoreNotFound
from budgetledger.storage import schema as _migrate
from budgetledger.storage.process_lock import LockTimeout, NoLock, ProcessLock
from budgetledger.storage.sqlite import connection as _sqlite
from budgetledger.storage.sqlite.connection import MEMORY, Synchronous
from budgetledger.storage.store import Store, translating

if TYPE_CHECKING:
    from sqlalchemy import Engine

_CLOSING_SECONDS = 5.0
_IDENTIFIED_SECONDS = 0.01


class FileStore(Store):
    """See `Store`; ``path`` is absolute, or ``:memory:``."""

    inspection = _migrate.INSPECTION
    data_version = "PRAGMA data_version"
    _identity: tuple[int, int] | None = None

    def _locate(self, target: str | os.PathLike[str]) -> str:
        _sqlite.check_version()
        return _sqlite.path_of(target)

    def _open(self) -> _Files:
        if self._closed:
            raise _sqlite.closed(self.path)
        if isinstance(self._files, _Files):
            return self._files
        self._check_identity()
        is_file = self.path != MEMORY
        is_new = is_file and not os.path.exists(self.path)
        current = _sqlite.file_revision(self.path) if is_file else None
        if current != _migrate.HEAD:
            _migrate.prepare(current, self.path)
        files = _Files(self.path, self._synchronous)
        try:
            if current != _migrate.HEAD:
                if is_new:
                    files.writing.execute("PRAGMA user_version")  # creates the file, empty
                    _sqlite.make_private(self.path)
                files.lock.acquire()
                try:
                    _sqlite.make_current(files.writing, self.path)
                finally:
                    files.lock.release()
            if is_file:
                files.reading = self._connect_to_read()
        except BaseException:
            files.close()
            raise
        if is_file and self._identity is None:
            self._identity = _sqlite.identity(self.path)
        self._keep(files)
        self._writer.attach(files.writing, files.lock, self._check_now_and_then)
        return files

    def _check_now_and_then(self) -> float:
        """Run `_check_identity`; return when to do so again, as it takes 5 % of a write."""
        self._check_identity()
        return monotonic() + _IDENTIFIED_SECONDS

    def _check_identity(self) -> None:
        """Raise `StoreNotFound` if the path now leads to another file, or to none.

        SQLite would go on writing to the deleted file and lose everything at its closing.
        """
        if self._identity is not None and _sqlite.identity(self.path) != self._identity:
            raise StoreNotFound(
                f"{self.path} was deleted or replaced while it was open; nothing was recorded; "
                "put it back, or close the ledger and open it again",
                target=self.path,
            )

    # -- long reads ---------------------------------------------------------------------------

    @contextmanager
    def reading_apart(self) -> Iterator[sqlite3.Connection]:
        """See `Store.reading_apart`."""
        if self.path == MEMORY:
            with translating(self.path), closing(sqlite3.connect(MEMORY)) as copy:
                with self._read_lock:
                    files = self._files or self._reopen()
                    assert isinstance(files, _Files)
                    files.writing.backup(copy)
                yield copy
            return
        if not self._is_here:
            self._refuse_after_fork()
        thread = get_ident()
        with translating(self.path):
            with self._apart:
                # A thread that reads already goes on; others wait while `_at_rest` is wanted.
                self._apart.wait_for(lambda: not self._rests_wanted or self._readers_apart[thread])
                connection = self._connect_to_read()
                self._readers_apart[thread] += 1
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._exclusively(connection.close)
                with self._apart:
                    self._readers_apart[thread] -= 1
                    self._apart.notify_all()

    def _connect_to_read(self) -> sqlite3.Connection:
        if self._closed:
            raise _sqlite.closed(self.path)
        connection = _sqlite.connect(self.path, self._synchronous)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def copy_to(self, path: str) -> None:
        """Copy the file as of now, page by page, to *path*, which must not exist yet."""
        with self.reading_apart() as connection, translating(path):
            copy = sqlite3.connect(path, isolation_level=None)
            try:
                copy.execute("PRAGMA user_version")  # creates the file, empty
                _sqlite.make_private(path)
                self.copy_pages(connection, copy)
            finally:
                copy.close()

    @staticmethod
    def copy_pages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        """Copy all pages, whatever is written meanwhile."""
        source.backup(target)

    @contextmanager
    def session_engine(self) -> Iterator[Engine]:
        """An SQLAlchemy engine on one snapshot, read-only."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool

        with self.reading_apart() as connection:
            yield create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)


class _Files:
    """The connections and the lock of an SQLite file."""

    def __init__(self, path: str, synchronous: Synchronous) -> None:
        self.lock: ProcessLock = NoLock() if path == MEMORY else ProcessLock(f"{path}.lock")
        try:
            self.writing = _sqlite.connect(path, synchronous)
        except BaseException:
            self.lock.close()
            raise
        self.reading = self.writing

    def close(self) -> None:
        # The last connection to close writes the log back into the file. SQLite up to 3.51.2
        # can corrupt it if another process commits meanwhile, so close under the lock. If a
        # process hangs in a write, closing without the lock is safe: that process has the file
        # open, so this connection is not the last one.
        try:
            with suppress(LockTimeout):
                self.lock.acquire(_CLOSING_SECONDS)
            self.reading.close()
            self.writing.close()
        finally:
            self.lock.release()
            self.lock.close()
