"""What kind of target it is, and the default one."""

from __future__ import annotations

import os

ENVIRONMENT = "BUDGETLEDGER_DB"


def is_server(target: object) -> bool:
    """Whether *target* is a URL of PostgreSQL, rather than a path or a URL of a file."""
    return isinstance(target, str) and target.startswith(
        ("postgresql+psycopg://", "postgresql://", "postgres://")
    )


def without_password(target: str) -> str:
    """*target* without its password."""
    if not is_server(target):
        return target
    from budgetledger.storage.postgres.url import address_of

    return address_of(target).shown


def default_path() -> str:
    """``BUDGETLEDGER_DB``, else one ledger in the user's data directory, which is created."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return named
    from platformdirs import user_data_path

    return str(user_data_path("budgetledger", appauthor=False, ensure_exists=True) / "ledger.db")
