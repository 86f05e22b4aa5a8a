"""Finds, compares and upgrades the schema on PostgreSQL, as `storage.schema` does on SQLite."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from budgetledger.errors import NotALedger, StoreError
from budgetledger.storage import schema as _migrate
from budgetledger.storage.postgres.connection import (
    APPLICATION_ID,
    Connection,
    connect,
    psycopg,
    translated,
)
from budgetledger.storage.postgres.url import Address
from budgetledger.storage.protocols import Execute
from budgetledger.storage.schema import Inspection, Schema

Driver: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_SCRATCH = "budgetledger_expected"
_expected: dict[int, Schema] = {}  # by the server's version, each with its own wording


def revision(address: Address, connection: Connection) -> str | None:
    """The schema's revision, or None where there is no ledger yet. Reads only.

    Raises `NotALedger` for another application's tables, `StoreError` for a damaged ledger.
    """
    connection.execute("BEGIN")
    try:
        relations = {name for (name,) in connection.execute(_RELATIONS, (address.schema,))}
        if not relations:
            return None
        if not {"alembic_version", "entries", "budget_revisions"} <= relations:
            raise NotALedger(
                f"schema {address.schema!r} of {address.shown} has tables of another application "
                "and was left alone; name another one: ?schema=name",
                target=address.shown,
            )
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if row is None:
        raise StoreError(
            f"{address.shown} is damaged: its schema has no revision; restore a backup",
            target=address.shown,
        )
    return str(row[0])


def upgrade(address: Address) -> None:
    """Create the schema or bring it to the newest revision, in one transaction."""
    quoted = address.quoted_schema

    driver = connect(address)

    def begin() -> None:
        driver.execute("BEGIN")
        driver.execute(f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, {address.lock})")
        exists = driver.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = %s", (address.schema,)
        ).fetchone()
        if not exists:  # a user of a schema may lack the right to create one
            driver.execute(f"CREATE SCHEMA {quoted}")
        driver.execute(f"SET LOCAL search_path = {quoted}")

    _run(address, driver, begin, lambda: None)


def inspection(address: Address) -> Inspection:
    """What `verify` checks besides the rows."""

    def expected() -> Schema:
        """The `schema` of a new ledger, created in a transaction that is rolled back."""
        driver = connect(address)
        version = driver.info.server_version
        if version in _expected:
            driver.close()
            return _expected[version]

        def begin() -> None:
            driver.execute("BEGIN")
            driver.execute(f"CREATE SCHEMA {_SCRATCH}")
            driver.execute(f"SET LOCAL search_path = {_SCRATCH}")

        def look() -> None:
            _expected[version] = schema(driver.execute)
            driver.execute("ROLLBACK")

        _run(address, driver, begin, look)
        return _expected[version]

    return Inspection(schema, expected, _damage)


def _run(
    address: Address, driver: Driver, begin: Callable[[], None], end: Callable[[], None]
) -> None:
    """Run the revisions between *begin* and *end*, and close the connection."""
    try:
        with _migrate.revisions_on("postgresql+psycopg://", driver, begin):
            end()
    except psycopg.Error as error:
        raise translated(error, address.shown) from error
    finally:
        driver.close()


_RELATIONS = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"""

_HERE = "n.nspname = current_schema()"
_OBJECTS = f"""
SELECT 'table', c.relname, c.relname, concat_ws(', ',
    c.relkind, c.relpersistence, c.relrowsecurity,
    (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), o.collname,
                CASE WHEN a.attnotnull THEN 'NOT NULL' END, a.attgenerated, a.attidentity,
                pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_collation o ON o.oid = a.attcollation
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT string_agg(concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated), ', '
                       ORDER BY k.conname)
     FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND c.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'view', c.relname, c.relname, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND c.relkind IN ('v', 'm')
UNION ALL
SELECT 'index', c.relname, t.relname, concat_ws(' ', pg_get_indexdef(c.oid), i.indisvalid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE}
UNION ALL
SELECT 'trigger', g.tgname, c.relname, concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND NOT g.tgisinternal
UNION ALL
SELECT 'rule', r.rulename, c.relname, pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND c.relkind = 'r'
UNION ALL
SELECT 'function', f.proname, '', pg_get_functiondef(f.oid)
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE {_HERE}"""


def schema(execute: Callable[..., Any]) -> Schema:
    """Read the current schema, as text that does not name it."""
    ((here,),) = execute("SELECT quote_ident(current_schema()) || '.'").fetchall()
    named = re.compile(rf"\b(ON|FUNCTION) {re.escape(here)}")
    return {
        # The text of tables and views never has it; and in a view, ON may precede an alias.
        (kind, name): (table, text if kind in ("table", "view") else named.sub(r"\1 ", text))
        for kind, name, table, text in execute(_OBJECTS).fetchall()
    }


_REFERENCES = f"""
SELECT k.conrelid::regclass::text, a.attname, k.confrelid::regclass::text, b.attname
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
WHERE {_HERE} AND k.contype = 'f' ORDER BY k.conname"""


def _damage(execute: Execute) -> Iterator[str]:
    for table, column, parent, key in execute(_REFERENCES).fetchall():
        missing = f"""
        SELECT count(*) FROM {table} AS t LEFT JOIN {parent} AS p ON p.{key} = t.{column}
        WHERE t.{column} IS NOT NULL AND p.{key} IS NULL"""
        ((count,),) = execute(missing).fetchall()
        if count:
            yield f"{count} rows of {table} refer to missing rows of {parent} ({column})"
