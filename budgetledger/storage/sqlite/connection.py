"""SQLite: the path of a target, connections, and SQLite's errors as those of this package.

Only SQLite may open a ledger's file. If this process opens it in any other way, even to read a
byte, SQLite's locks on it are lost when that descriptor closes.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from typing import Literal
from urllib.parse import quote, unquote

from budgetledger.errors import (
    InvalidInput,
    NotALedger,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
)
from budgetledger.storage import schema as _migrate

Synchronous = Literal["FULL", "NORMAL"]

MEMORY = ":memory:"
BUSY_SECONDS = 60.0
_OLDEST = (3, 37, 0)  # STRICT tables
_SHORTEST = 512  # bytes of the smallest database that is not empty


def path_of(target: str | os.PathLike[str]) -> str:
    """The absolute path that a path or an ``sqlite:///`` URL names, or ``:memory:``."""
    path = os.fspath(target) if isinstance(target, (str, os.PathLike)) else target
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInput(f"a ledger is named by a path or a URL, got {target!r}")
    scheme, separator, rest = path.partition("://")
    if separator:
        if scheme != "sqlite" or (rest and not rest.startswith("/")) or "?" in rest:
            raise InvalidInput(
                f"this {scheme}:// URL is not supported; "
                "pass a path such as 'spend.db', or a URL such as 'sqlite:///spend.db' or "
                "'postgresql+psycopg://user@host/database'"
            )
        path = unquote(rest[1:]) or MEMORY
    # One file has one lock file, whatever links lead to it.
    return path if path == MEMORY else os.path.realpath(path)


def check_version() -> None:
    """Raise `StoreError` if Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old, budgetledger needs 3.37 or later; "
            "use a Python built with a newer SQLite"
        )


def file_revision(path: str) -> str | None:
    """The schema's revision of the file at *path*, or None if it is missing or empty.

    Writes nothing, not even another program's log back into its file. Raises `NotALedger`;
    `StoreNotFound` and `StoreReadOnly` if the file could not be written later.
    """
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise StoreNotFound(
            f"there is no folder for {path}; create it first: mkdir -p {folder}", target=path
        )
    size = _size(path)
    exists = size is not None
    if os.path.isdir(path):
        raise StoreNotFound(f"{path} is a folder; name a file in it", target=path)
    if not os.access(folder, os.W_OK) or (exists and not os.access(path, os.W_OK)):
        raise StoreReadOnly(
            f"{path} is read-only; let this user write the file and its folder", target=path
        )
    if not size:
        return None
    # Without a log the file is complete; "immutable" keeps SQLite from creating a log.
    mode = "mode=ro" if _size(f"{path}-wal") else "immutable=1"
    with closing(sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True)) as connection:
        connection.isolation_level = None
        revision = _migrate.revision(connection, path)
    if revision is None and size < _SHORTEST:
        raise NotALedger(f"{path} is not an SQLite file; name another file", target=path)
    return revision


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:  # the last connection to close may delete the log at any moment
        return None


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the file at *path*, or None if there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def connect(path: str, synchronous: Synchronous) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time; transactions are explicit."""
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: 4 MB, as by default
        if sys.platform == "darwin":  # where fsync alone does not reach the disk
            connection.execute(f"PRAGMA fullfsync = {int(synchronous == 'FULL')}")
    except BaseException:
        connection.close()
        raise
    return connection


def make_current(connection: sqlite3.Connection, path: str) -> None:
    """Create or upgrade the schema, unless another process just did. Call it under the lock."""
    current = _migrate.revision(connection, path)
    if current == _migrate.HEAD:
        return
    if path != MEMORY:
        # A commit writes and checksums whole pages: small ones make it a third cheaper.
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
    if current is None:
        _migrate.create(connection)
    else:
        _migrate.upgrade(connection)


def make_private(path: str) -> None:
    """Let only the file's owner read costs. The log files inherit the mode."""
    os.chmod(path, 0o600)


def translated(error: Exception, target: str) -> StoreError:
    """The error of this package for one of SQLite or the system."""
    if isinstance(error, OSError):
        return StoreError(
            f"{target} cannot be used ({error.strerror}); keep the ledger on a local disk that "
            "this user can write",
            target=target,
        )
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return closed(target)
    if str(error).startswith("no such column") or str(error).startswith("no such table"):
        return StoreError(
            f"{target} was upgraded by a newer budgetledger, or its tables were changed, while it "
            "was open; nothing was recorded; restart this program",
            target=target,
        )
    code = getattr(error, "sqlite_errorcode", 0)
    kind, message = _BY_CODE.get(code) or _BY_CODE.get(
        code & 0xFF,
        (StoreError, f"is damaged, or SQLite failed: {error}; restore a backup if that repeats"),
    )
    return kind(f"{target} {message}", target=target)


def closed(target: str) -> StoreClosed:
    """The error for a ledger that is used after it was closed."""
    return StoreClosed(f"{target} was closed; open it again with Ledger(...)", target=target)


_FULL = StoreFull, "has no room left on its disk; nothing was recorded; make room and retry"
_BY_CODE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "stayed locked by another program; nothing was recorded; close it there and retry",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "is read-only; let this user write the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "could not be read or written; nothing was recorded; check the disk",
    ),
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_CANTOPEN: (
        StoreNotFound,
        "cannot be opened; name a file in a folder that this user can read and write",
    ),
    sqlite3.SQLITE_NOTADB: (
        NotALedger,
        "is not an SQLite file and was left alone; name another file",
    ),
}
