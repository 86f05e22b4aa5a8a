"""Finds, compares and upgrades the schema; imports Alembic only when an upgrade is due."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from sqlite3 import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from budgetledger.errors import NotALedger, SchemaTooNew, StoreError
from budgetledger.storage.protocols import Execute

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0008"
"""The revision this code reads and writes: the newest under ``migrations``."""

APPLICATION_ID = 0x62676C72
"""Marks an SQLite file as a ledger; the first revision sets it."""


Schema: TypeAlias = "dict[tuple[str, str], tuple[str, str]]"
"""Tables, indexes, triggers and views: kind and name to the table it belongs to and its SQL."""


class Inspection(NamedTuple):
    """What `verify` compares: the schema, the one expected, and damage."""

    schema: Callable[[Execute], Schema]
    expected_schema: Callable[[], Schema]
    damage: Callable[[Execute], Iterator[str]]
    """Messages about damage to the database itself."""


_alembic = Lock()
"""Alembic runs one upgrade at a time in a process: its context is global."""


def _renew_lock() -> None:
    global _alembic
    _alembic = Lock()  # may be held by a thread that the fork did not copy


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def revision(connection: Connection, target: str) -> str | None:
    """The schema's revision, or None for an empty database. Reads one snapshot.

    Raises `NotALedger` for another application's database, `StoreError` for a damaged ledger.
    """
    connection.execute("BEGIN")
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id == APPLICATION_ID:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        else:
            other = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            if application_id == 0 and other is None:
                return None
            raise NotALedger(
                f"{target} is an SQLite database of another application and was left alone; "
                "name another file",
                target=target,
            )
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
    if row is None:
        raise StoreError(
            f"{target} is damaged: its schema has no revision; restore a backup", target=target
        )
    return str(row[0])


def schema(execute: Execute) -> Schema:
    """Read the schema of the database."""
    rows = execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name): (table, sql) for kind, name, table, sql in rows}


@cache
def expected_schema() -> Schema:
    """The `schema` of a new ledger, made once: it takes longer than to verify a small ledger."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        upgrade(connection)
        return schema(connection.execute)


def _damage(execute: Execute) -> Iterator[str]:
    for (message,) in execute("PRAGMA integrity_check"):
        if message != "ok":
            yield f"SQLite reports: {message}"
    for table, rowid, parent, _ in execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} refers to a missing row of {parent}"


INSPECTION = Inspection(schema, expected_schema, _damage)


def scripts() -> Path:
    """The folder of the migrations: inside an installed package, or beside it in a checkout.

    An editable install leaves a stale copy in site-packages, so the search starts from this file.
    """
    package = Path(__file__).resolve().parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def prepare(current: str | None, target: str) -> None:
    """Do what is slow before a lock is taken for `create` or `upgrade`: import Alembic.

    Raises `SchemaTooNew` if this version does not know the revision *current*.
    """
    if current is None:
        expected_schema()
        return
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        ScriptDirectory.from_config(_config()).get_revision(current)
    except CommandError as error:
        raise SchemaTooNew(
            f"{target} has schema {current}, newer than this budgetledger knows ({HEAD}); "
            "upgrade budgetledger: pip install -U budgetledger",
            target=target,
        ) from error


def create(connection: Connection) -> None:
    """Make the schema of `HEAD` in an empty database, in one transaction.

    It is the one that the revisions made once in this process, which takes ten times as long.
    """
    statements = [sql for _, sql in expected_schema().values()]
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def upgrade(connection: Connection) -> None:
    """Upgrade the schema to `HEAD` in one transaction, which a failure rolls back.

    The caller holds the process lock.
    """
    with revisions_on("sqlite://", connection, lambda: connection.execute("BEGIN IMMEDIATE")):
        # References are checked here and by verify, and not at each row: rows are never
        # deleted, and the code that adds one has just read what it refers to.
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        assert broken is None, f"the upgrade broke a reference: {broken}"


@contextmanager
def revisions_on(url: str, connection: Any, begin: Callable[[], object]) -> Iterator[None]:
    """Run the missing revisions on the driver's *connection*, after *begin*.

    Commits at the end of the ``with`` block.
    """
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    config = _config()
    engine = create_engine(url, creator=lambda: connection, poolclass=StaticPool)
    with _alembic, engine.connect() as handed_over:
        try:
            # Alembic neither commits nor rolls back a transaction that was begun before it.
            with handed_over.begin():
                begin()
                config.attributes["connection"] = handed_over
                command.upgrade(config, "head")
                yield
        except DBAPIError as error:
            raise error.orig or error from None


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config
