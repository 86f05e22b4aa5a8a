"""What a PostgreSQL URL names: a server, a database in it, and a schema of the ledger's own."""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode
from zlib import crc32

from budgetledger.errors import InvalidInput

SCHEMA = "budgetledger"
"""The schema of the tables, unless the URL has ``?schema=``: their names are common ones."""

_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_LONGEST = 63  # bytes; PostgreSQL truncates longer names


class Address(NamedTuple):
    """A ledger's place: *conninfo* for the driver, and *shown*, the URL without secrets."""

    conninfo: str
    schema: str
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @property
    def quoted_schema(self) -> str:
        """The schema's name, quoted for SQL."""
        return '"' + self.schema.replace('"', '""') + '"'

    @property
    def lock(self) -> int:
        """The key of the advisory lock for writers of this schema; it is local to the database."""
        return crc32(self.schema.encode()) - (1 << 31)  # a signed integer of 32 bits


def address_of(target: str | os.PathLike[str]) -> Address:
    """Parse the URL *target*. Raises `InvalidInput`, which does not repeat the URL."""
    _, _, rest = str(target).partition("://")
    place, _, query = rest.partition("?")
    if "@" in place.partition("/")[2] or "@" in query.partition("&")[0].partition("=")[0]:
        raise InvalidInput(
            "this PostgreSQL URL has a / or ? before its @; write special characters in the user's "
            "name and the password with %-escapes: / as %2F, ? as %3F, @ as %40"
        )
    parameters = parse_qsl(query, keep_blank_values=True)
    schemas = [value for name, value in parameters if name == "schema"] or [SCHEMA]
    schema = schemas[-1]
    if not schema or "\0" in schema or len(schema.encode()) > _LONGEST:
        raise InvalidInput(f"?schema= must name a schema in 1 to {_LONGEST} bytes, got {schema!r}")
    others = [(name, value) for name, value in parameters if name != "schema"]
    shown = [pair for pair in parameters if pair[0] not in _SECRETS]
    user, at, hosts = place.rpartition("@")
    user = user.partition(":")[0]
    return Address(
        f"postgresql://{place}{_query(others)}",
        schema,
        f"postgresql://{user}{at}{hosts}{_query(shown)}",
    )


def _query(pairs: list[tuple[str, str]]) -> str:
    return f"?{urlencode(pairs, safe='/:,=')}" if pairs else ""
