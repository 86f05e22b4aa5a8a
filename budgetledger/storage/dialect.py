"""Rewrites SQL for each driver: positional parameters, and what differs on PostgreSQL."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

LONG = "/* many rows */"
"""Begins a statement whose rows a PostgreSQL server sends in portions."""


@cache
def compiled(sql: str) -> str:
    """Return *sql* with positional parameters, as sqlite3 takes them."""
    return re.sub(r":[a-z_0-9]+", "?", sql).strip()


# Ids have no gaps. A sequence would leave one at each rollback.
_NUMBERED = re.compile(
    r"INSERT INTO (projects|accounts|entries|price_revisions|default_budget_revisions) "
    r"\((?!id)(.*)\) VALUES \((.*)\)"
)

# Who waits for room on other connections is notified when a hold is closed.
CHANNEL = "budgetledger_room"
_CLOSING = re.compile(r"(DELETE FROM open_holds .* RETURNING path)", re.DOTALL)
_AS_NOTIFYING = (
    rf"WITH closed AS (\1) SELECT path FROM closed, pg_notify('{CHANNEL}', current_schema())"
)

_AS_NUMBERED = (
    r"INSERT INTO \1 (id, \2) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM \1), \3)"
    r" RETURNING id, xmin"
)


@cache
def for_postgres(sql: str) -> tuple[str, bool]:
    """Return a compiled statement in psycopg's style, and whether it returns the new row's id."""
    numbered, count = _NUMBERED.subn(_AS_NUMBERED, sql)
    numbered = _CLOSING.sub(_AS_NOTIFYING, numbered)
    numbered = numbered.replace("lower(hex(hash))", "encode(hash, 'hex')")
    return numbered.replace("%", "%%").replace("?", "%s"), bool(count)


class Hashed(NamedTuple):
    """Where an INSERT writes a row's hash: the table, and the index of the parameter."""

    table: str
    place: int


_INSERT = re.compile(r"INSERT INTO (\w+) \((.*)\) VALUES \((.*)\)")


@cache
def hash_written_by(sql: str) -> Hashed | None:
    """Find the parameter of a one-row INSERT that is the row's hash, if there is one."""
    match = _INSERT.fullmatch(sql)
    if match is None:
        return None
    table, columns, values = match[1], match[2].split(", "), match[3].split(", ")
    if "hash" not in columns or len(columns) != len(values):
        return None
    return Hashed(table, values[: columns.index("hash")].count("?"))
