"""The SQLite file: opening it, one connection that writes, one that reads, and its errors.

The file is only ever touched through SQLite. Opening it any other way inside this process,
even to read a byte, would drop SQLite's locks on it when that descriptor closes.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from budgetledger import _migrate
from budgetledger._lock import NoLock, ProcessLock
from budgetledger._writer import Execute, Writer
from budgetledger.errors import (
    BudgetledgerError,
    InvalidInput,
    NotALedger,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
)

T = TypeVar("T")
Synchronous = Literal["FULL", "NORMAL"]

MEMORY = ":memory:"
_BUSY_SECONDS = 60.0
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables


class Store:
    """An open ledger file. Safe to share between threads, and to carry over a fork."""

    def __init__(self, target: str | os.PathLike[str], synchronous: Synchronous) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise InvalidInput(
                f"synchronous must be 'FULL' (survives power loss) or 'NORMAL' (survives a "
                f"killed process), got {synchronous!r}"
            )
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old, budgetledger needs 3.37 or later; "
                "use a Python built with a newer SQLite",
                target=str(target),
            )
        self.path = _path(target)
        self._synchronous = synchronous
        self._fork_lock = Lock()
        self._open()

    # -- using it ---------------------------------------------------------------------------

    def write(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* in a write transaction of its own; durable on return."""
        if os.getpid() != self._pid:
            self._reopen_after_fork()
        try:
            return self._writer.run(operation)
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def read(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* on one snapshot of the ledger."""
        if os.getpid() != self._pid:
            self._reopen_after_fork()
        try:
            with self._read_lock:
                execute = self._reader.execute
                if self._reader.in_transaction:  # in memory, inside verify
                    return operation(execute)
                execute("BEGIN")
                try:
                    return operation(execute)
                finally:
                    execute("COMMIT")
        except sqlite3.Error as error:
            raise self._translated(error) from error

    @contextmanager
    def reading_apart(self) -> Iterator[sqlite3.Connection]:
        """One snapshot on a connection of its own, for what takes long."""
        try:
            if self.path == MEMORY:
                with self._read_lock:
                    yield self._reader
                return
            connection = self.connect_to_read()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._writer.exclusively(connection.close)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def connect_to_read(self) -> sqlite3.Connection:
        """A connection of its own that cannot write."""
        if self.path == MEMORY:
            raise InvalidInput("a ledger in memory has one connection; name a file instead")
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def backup(self, path: str) -> None:
        """Copy the whole ledger, as of now, into the new file *path*."""
        if os.path.exists(path):
            raise StoreError(f"{path} exists already; name a new file", target=path)
        try:
            copy = sqlite3.connect(path, isolation_level=None)
            try:
                _make_private(path)
                with self.reading_apart() as connection:
                    connection.backup(copy)
            finally:
                copy.close()
        except sqlite3.Error as error:
            raise _translate(error, path) from error

    def close(self) -> None:
        """Give files and locks back. Harmless when repeated."""
        self._close()

    # -- opening and closing ------------------------------------------------------------------

    def _open(self) -> None:
        self._pid = os.getpid()
        self._read_lock = Lock()
        try:
            if self.path == MEMORY:
                connection = self._connect()
                _migrate.upgrade(connection, MEMORY)
                lock: ProcessLock = NoLock()
                self._writer = Writer(connection, lock)
                self._reader, self._read_lock = connection, self._writer.turn
                connections = [connection]
            else:
                existed = os.path.exists(self.path)
                connection = self._connect()
                if not existed:
                    _make_private(self.path)
                try:
                    current = _migrate.revision(connection, self.path) == _migrate.HEAD
                    lock = self._make_lock()
                    try:
                        if not current:
                            _migrate.prepare()
                        self._writer = Writer(connection, lock)
                        if not current:
                            self._writer.exclusively(lambda: self._make_current(connection))
                        # A read-only file says so now, not at the first charge.
                        self._writer.run(lambda execute: None)
                        self._reader = self.connect_to_read()
                    except BaseException:
                        lock.close()
                        raise
                except BaseException:
                    connection.close()
                    raise
                connections = [connection, self._reader]
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error
        self._close = weakref.finalize(self, _close, self._pid, self._writer, connections, lock)

    def _connect(self) -> sqlite3.Connection:
        folder = os.path.dirname(self.path)
        if self.path != MEMORY and not os.path.isdir(folder):
            raise StoreNotFound(
                f"there is no folder {folder}; create it first: mkdir -p {folder}",
                target=self.path,
            )
        connection = sqlite3.connect(
            self.path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: 4 MB, as by default
            if sys.platform == "darwin":  # where fsync alone does not reach the disk
                full = int(self._synchronous == "FULL")
                connection.execute(f"PRAGMA fullfsync = {full}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_lock(self) -> ProcessLock:
        path = f"{self.path}.lock"
        try:
            return ProcessLock(path)
        except PermissionError as error:
            raise StoreReadOnly(
                f"the lock file {path} cannot be written; let this user write the folder",
                target=self.path,
            ) from error

    def _make_current(self, connection: sqlite3.Connection) -> None:
        """Create or upgrade the schema, under the lock; somebody may have done it meanwhile."""
        if _migrate.revision(connection, self.path) == _migrate.HEAD:
            return
        # A commit writes whole pages and sums them up: small ones make it a third cheaper.
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
        _migrate.upgrade(connection, self.path)

    def _reopen_after_fork(self) -> None:
        # A connection must not be used, nor closed, on the other side of a fork: the child
        # keeps the inherited ones out of reach and opens its own.
        with self._fork_lock:
            if os.getpid() != self._pid:
                self._close.detach()
                _inherited.append((self._writer, self._reader))
                self._open()

    def _translated(self, error: Exception) -> BudgetledgerError:
        return _translate(error, self.path)


_inherited: list[Any] = []


def _close(
    pid: int, writer: Writer, connections: list[sqlite3.Connection], lock: ProcessLock
) -> None:
    if os.getpid() != pid:
        _inherited.append((writer, connections, lock))
        return

    def close_all() -> None:
        for connection in connections:
            connection.close()

    # The last connection to close writes the log back into the file. SQLite up to 3.51.2 can
    # corrupt it if another process commits meanwhile, so nobody may.
    writer.exclusively(close_all)
    lock.close()


def _path(target: str | os.PathLike[str]) -> str:
    """The file a target names: a path or an ``sqlite:///`` URL."""
    path = os.fspath(target)
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInput(f"a ledger's target is a path or a URL, got {target!r}")
    scheme, separator, rest = path.partition("://")
    if separator and scheme == "sqlite":
        path = unquote(rest[1:]) or MEMORY
    elif separator:
        raise InvalidInput(
            f"{scheme}:// is not supported by this version; "
            "pass a path such as 'spend.db' or 'sqlite:///spend.db'"
        )
    return path if path == MEMORY else os.path.abspath(path)


def _make_private(path: str) -> None:
    """A bill is nobody else's business. The log files inherit the mode."""
    os.chmod(path, 0o600)


def _translate(error: Exception, target: str) -> BudgetledgerError:
    """budgetledger's own error for what SQLite or the system reported."""
    if isinstance(error, OSError):
        return StoreError(
            f"{target} cannot be locked ({error.strerror}); keep the ledger on a local disk",
            target=target,
        )
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreClosed("this ledger was closed; open it again with Ledger(...)", target=target)
    kind, message = _BY_CODE.get(
        getattr(error, "sqlite_errorcode", 0) & 0xFF,
        (StoreError, f"SQLite reports: {error}; run `budgetledger verify` on the file"),
    )
    return kind(f"{target} {message}", target=target)


_BY_CODE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        f"stayed locked by another program for {_BUSY_SECONDS:.0f} s; close it there and retry",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "is read-only; let this user write the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "could not be read or written; nothing was recorded; check the disk",
    ),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "has no room left on its disk; nothing was recorded; make room and retry",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreNotFound,
        "cannot be opened; name a file in a folder that this user can read and write",
    ),
    sqlite3.SQLITE_NOTADB: (
        NotALedger,
        "is not an SQLite file and was left alone; name another file",
    ),
}
