"""The data dictionary is that of the schema, and of the room's page."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pages
from click.testing import CliRunner

from budgetledger import Ledger
from budgetledger.cli import main
from budgetledger.storage.dictionary import TABLES, VIEWS, markdown


def run(*words, code=0):
    done = CliRunner().invoke(main, ["schema", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_it_has_every_table_view_and_column_in_order(tmp_path):
    Ledger(tmp_path / "spend.db").close()
    with closing(sqlite3.connect(tmp_path / "spend.db")) as connection:
        query = """SELECT type, name FROM sqlite_master
            WHERE type IN ('table', 'view') AND name NOT IN ('alembic_version')"""
        there = {
            name: (kind, [row[1] for row in connection.execute(f"PRAGMA table_info({name})")])
            for kind, name in connection.execute(query).fetchall()
        }
    described = {
        one.name: (one.kind, [column.name for column in one.columns]) for one in (*VIEWS, *TABLES)
    }
    assert described == there


def test_every_column_has_a_meaning_and_money_and_time_have_units():
    for relation in (*VIEWS, *TABLES):
        for column in relation.columns:
            assert column.meaning, column
            ends = ("_us", "_pico", "_usd", "_at", "_tokens", "_value", "_seconds")
            assert column.unit or not column.name.endswith(ends), column


def test_the_page_has_the_same():
    page = pages.texts()["budgetledger/storage/README.md"]
    assert page.endswith(markdown())


def test_the_command():
    assert "picodollars" in run("spend")
    document = json.loads(run("--json"))
    assert [one["name"] for one in document] == [one.name for one in (*VIEWS, *TABLES)]
    assert "there is no table or view 'spent'; there are spend," in run("spent", code=2)
    assert run().count("(view)") == len(VIEWS)
