"""Opens the store that a target names."""

from __future__ import annotations

import os

from budgetledger.storage.sqlite.connection import Synchronous
from budgetledger.storage.sqlite.store import FileStore
from budgetledger.storage.store import Store
from budgetledger.storage.targets import is_server


def open_store(target: str | os.PathLike[str], synchronous: Synchronous) -> Store:
    """Open the store that *target* names: an SQLite file or a PostgreSQL database."""
    if is_server(target):
        from budgetledger.storage.postgres.store import PostgresStore

        return PostgresStore(target, synchronous)
    return FileStore(target, synchronous)
