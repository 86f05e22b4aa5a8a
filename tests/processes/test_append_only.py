"""What other programs can do to the rows: nothing; and what a determined hand leaves behind."""

import shutil
import subprocess

import pytest

from budgetledger import Ledger

TABLES = ("projects", "accounts", "entries", "budget_revisions", "window_shifts")
ALTERNATE_KEYS = {  # a row of another id that has the unique values of one already there
    "projects": "SELECT id + 1000, name FROM projects",
    "accounts": "SELECT id + 1000, project_id, name, created_at_us + 1 FROM accounts",
}
RECURSIVE = pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])


def contents(sql, path):
    return sql(path, *(f"SELECT *, quote(rowid) FROM {table} ORDER BY rowid" for table in TABLES))


@pytest.fixture
def columns(sql, sample):
    """The columns of each table, and a column that no constraint is on."""
    found = sql(sample, *(f"SELECT name FROM pragma_table_info('{table}')" for table in TABLES))
    return {table: [name for (name,) in names] for table, names in zip(TABLES, found, strict=True)}


@pytest.fixture(autouse=True)
def hide_hashes(monkeypatch):
    """Blobs do not travel as JSON: `contents` shows them quoted."""
    hashed = "SELECT *, quote(rowid) FROM entries"
    assert hashed.endswith("entries")
    return monkeypatch
