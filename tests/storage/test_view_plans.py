"""Queries of the views about one account read its rows, not the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from budgetledger import Ledger


@pytest.mark.parametrize("view", ["spend", "spend_by_day", "spend_by_model"])
@pytest.mark.parametrize("where", ["account = 'alice'", "account = 'alice' AND project = 'app'"])
def test_one_account(tmp_path, view, where):
    Ledger(tmp_path / "spend.db").close()
    with closing(sqlite3.connect(tmp_path / "spend.db")) as connection:
        query = f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {where}"
        steps = [row[3] for row in connection.execute(query)]
    assert not [step for step in steps if step.startswith("SCAN e")]
    assert [step for step in steps if "entries_by_account (account_id=?)" in step]
