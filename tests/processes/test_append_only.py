"""What other programs can do to the rows: nothing; and what a determined hand leaves behind."""

import shutil
import subprocess

import pytest

from budgetledger import Ledger

KEYS = {  # of each table: its primary key, and its other unique keys
    "projects": ("id", "name"),
    "accounts": ("id", "project_id, name"),
    "entries": ("id", "project_id, idempotency_key"),
    "budget_revisions": ("entry_id", None),
    "window_shifts": ("entry_id", None),
}


def contents(sql, path):
    return sql(path, *(f"SELECT * FROM {table} ORDER BY 1" for table in KEYS))


def attempts(table, columns):
    """Every way there is to change a row of *table* in place."""
    primary, alternate = KEYS[table]
    other = columns[-1]
    listed = ", ".join(columns)
    renumbered = listed.replace(primary, f"{primary} + 1000", 1)
    yield f"UPDATE {table} SET {other} = {other}"
    yield f"UPDATE {table} SET {primary} = {primary} + 1000"
    yield f"UPDATE OR REPLACE {table} SET {primary} = 1"
    yield f"UPDATE OR IGNORE {table} SET {other} = {other}"
    yield f"DELETE FROM {table}"
    yield f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"
    for verb in ("REPLACE", "INSERT OR REPLACE"):
        yield f"{verb} INTO {table} SELECT * FROM {table}"
    upsert = f"ON CONFLICT ({{}}) DO UPDATE SET {other} = excluded.{other}"
    yield f"INSERT INTO {table} SELECT * FROM {table} WHERE true {upsert.format(primary)}"
    if alternate is not None:
        keyed = f"{alternate.split(', ')[-1]} IS NOT NULL"
        indexed = alternate + (f") WHERE ({keyed}" if table == "entries" else "")
        for id_ in (renumbered, listed.replace(primary, "NULL", 1)):
            yield f"REPLACE INTO {table} SELECT {id_} FROM {table} WHERE {keyed}"
            yield f"INSERT OR REPLACE INTO {table} SELECT {id_} FROM {table} WHERE {keyed}"
            yield (
                f"INSERT INTO {table} SELECT {id_} FROM {table} WHERE {keyed} "
                f"{upsert.format(indexed)}"
            )


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize("table", KEYS)
def test_no_statement_changes_a_row(sample, sql, table, recursive_triggers):
    (columns,) = sql(sample, f"SELECT name FROM pragma_table_info('{table}')")
    statements = list(attempts(table, [name for (name,) in columns]))
    before = contents(sql, sample)
    assert all(before)

    pragma = f"PRAGMA recursive_triggers = {recursive_triggers}"
    for foreign_keys in ("ON", "OFF"):
        done, _, *outcomes = sql(
            sample, f"PRAGMA foreign_keys = {foreign_keys}", pragma, *statements
        )
        assert done == []
        for statement, outcome in zip(statements, outcomes, strict=True):
            assert str(outcome).startswith("budgetledger: "), statement

    assert contents(sql, sample) == before
    with Ledger(sample) as ledger:
        assert ledger.verify().ok


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 program")
@pytest.mark.parametrize("table", KEYS)
def test_nor_through_the_sqlite3_program(sample, sql, table):
    (columns,) = sql(sample, f"SELECT name FROM pragma_table_info('{table}')")
    before = contents(sql, sample)

    for statement in attempts(table, [name for (name,) in columns]):
        asked = subprocess.run(["sqlite3", sample, statement], capture_output=True, text=True)
        assert asked.returncode != 0, statement
        assert "budgetledger: " in asked.stderr, statement

    assert contents(sql, sample) == before


def forged(source, **changed):
    """Inserts a copy of a row with some values changed."""
    values = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return (
        f"CREATE TEMP TABLE forged AS SELECT * FROM entries WHERE id = {source};"
        f"UPDATE forged SET {values};"
        "INSERT INTO entries SELECT * FROM forged"
    )


# What the hand did, and where verify points: an account and an entry, or a word of the message.
BY_HAND = [
    # Any fact of a row.
    ("UPDATE entries SET cost_pico = 1 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET cost_pico = NULL WHERE id = 12", "carol", 12),
    ("UPDATE entries SET kind = 'opening' WHERE id = 5", "alice", 5),
    ("UPDATE entries SET model = 'cheap' WHERE id = 5", "alice", 5),
    ("UPDATE entries SET recorded_at_us = recorded_at_us + 1 WHERE id = 9", "alice", 9),
    ("UPDATE entries SET recorded_at_us = recorded_at_us - 86400000000 WHERE id = 9", "alice", 9),
    ("UPDATE entries SET occurred_at_us = 1 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET price_source = 'litellm' WHERE id = 5", "alice", 5),
    ("UPDATE entries SET input_tokens = 1 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET requests = 0 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET usage = '{}' WHERE id = 5", "alice", 5),
    ("UPDATE entries SET price = '{}' WHERE id = 5", "alice", 5),
    ("UPDATE entries SET tags = NULL WHERE id = 3", "alice", 3),
    ("UPDATE entries SET note = 'agreed' WHERE id = 6", "alice", 6),
    ("UPDATE entries SET corrects_id = 5 WHERE id = 6", "alice", 6),
    ("UPDATE entries SET idempotency_key = NULL WHERE id = 9", "alice", 9),
    # Running totals and the chain.
    ("UPDATE entries SET total_usd = total_usd - 1 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET total_pico = total_pico + 1 WHERE id = 12", "carol", 12),
    ("UPDATE entries SET model_usd = 0 WHERE id = 9", "alice", 9),
    ("UPDATE entries SET total_requests = total_requests + 1 WHERE id = 12", "carol", 12),
    ("UPDATE entries SET hash = randomblob(32) WHERE id = 5", "alice", 5),
    # Rows removed, added, moved.
    ("DELETE FROM entries WHERE id = 5", "alice", 6),
    ("DELETE FROM entries WHERE id = 5", None, "1 of 12 rows are missing"),
    ("DELETE FROM entries WHERE id = 1", "alice", 3),
    ("DELETE FROM entries WHERE id = 1", None, "1 of 12 rows are missing"),
    ("DELETE FROM entries WHERE id = 8", None, "1 of 12 rows are missing"),  # the last of bob
    (forged(9, id=13, idempotency_key="NULL"), "alice", 13),
    (forged(12, id=13, cost_pico=-1, kind="'adjustment'", corrects_id=12), "carol", 13),
    (forged(9, id=0, idempotency_key="NULL"), None, "missing"),
    ("UPDATE entries SET account_id = 1 WHERE id = 8", "alice", 8),
    ("UPDATE entries SET account_id = 2 WHERE id = 9", "bob", 9),
    ("UPDATE entries SET project_id = 2 WHERE id = 5", "alice", 5),
    ("UPDATE entries SET project_id = 2 WHERE account_id = 2", "bob", 2),
    ("UPDATE entries SET project_id = 77 WHERE account_id = 2", "bob", 2),
    # Budgets and shifts.
    ("UPDATE budget_revisions SET limit_units = 1000 WHERE entry_id = 1", "alice", 1),
    ("UPDATE budget_revisions SET name = 'x' WHERE entry_id = 1", "alice", 1),
    ("UPDATE budget_revisions SET created_at = created_at - 1 WHERE entry_id = 1", "alice", 1),
    ("UPDATE budget_revisions SET removed = 1 WHERE entry_id = 10", "carol", 10),
    ("UPDATE budget_revisions SET account_id = 2 WHERE entry_id = 1", None, 1),
    ("DELETE FROM budget_revisions WHERE entry_id = 1", "alice", 1),
    ("INSERT INTO budget_revisions SELECT 3, account_id, name, measure, 9999, 0, model, per,"
     " timezone, week_start, anchor_us, span_us, created_at, removed"
     " FROM budget_revisions WHERE entry_id = 1", None, 3),
    ("UPDATE window_shifts SET start_us = start_us + 1", "alice", 7),
    ("DELETE FROM window_shifts", "alice", 7),
    # The number of a row that an adjustment names: 3 and 8 change places.
    ("UPDATE entries SET id = 99 WHERE id = 3; UPDATE entries SET id = 3 WHERE id = 8;"
     "UPDATE entries SET id = 8 WHERE id = 99", "alice", 6),
    # Names.
    ("UPDATE accounts SET created_at_us = 1 WHERE id = 1", "alice", 1),
    ("UPDATE accounts SET name = CASE id WHEN 1 THEN '-' ELSE 'alice' END WHERE id < 3;"
     "UPDATE accounts SET name = 'bob' WHERE id = 1", "bob", 1),
    ("UPDATE accounts SET name = 'dora' WHERE id = 1", "dora", 1),
    ("UPDATE accounts SET project_id = 2 WHERE id = 1", "alice", 1),
    ("UPDATE projects SET name = 'else' WHERE id = 2", "carol", 10),
    ("DELETE FROM accounts WHERE id = 2", None, "missing row of accounts"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "account", "where"), BY_HAND)
def test_verify_points_at_what_a_hand_changed(sample, sql, edit, account, where):
    (guards,) = sql(sample, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    outcomes = sql(
        sample,
        *(f"DROP TRIGGER {name}" for name, _ in guards),
        *edit.split(";"),
        *(guard for _, guard in guards),  # nobody sees that they were gone
    )
    assert not any(outcomes), outcomes

    with Ledger(sample) as ledger:
        found = ledger.verify()

    assert not found.ok
    if isinstance(where, int):
        assert (account, where) in [
            (problem.account, problem.entry_id) for problem in found.problems
        ]
    else:
        assert any(where in problem.message for problem in found.problems), found.problems


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("DROP TRIGGER entries_no_update", "entries_no_update is missing"),
        (
            "DROP TRIGGER entries_no_update; CREATE TRIGGER entries_no_update"
            " BEFORE UPDATE ON entries BEGIN SELECT 1\\; END",
            "entries_no_update was changed",
        ),
        (
            "CREATE TRIGGER discount AFTER INSERT ON entries BEGIN SELECT 1\\; END",
            "discount was added",
        ),
        ("DROP VIEW spend; CREATE VIEW spend AS SELECT 0 AS cost_usd", "spend was changed"),
        ("DROP INDEX entries_by_key", "entries_by_key is missing"),
        ("DROP TABLE window_shifts", "window_shifts is missing"),
        ("ALTER TABLE entries ADD COLUMN extra TEXT", "entries was changed"),
    ],
)
def test_verify_names_what_differs_in_the_schema(sample, sql, edit, named):
    statements = edit.replace("\\;", "\0").split(";")
    outcomes = sql(sample, *(statement.replace("\0", ";") for statement in statements))
    assert not any(outcomes), outcomes

    with Ledger(sample) as ledger:
        found = ledger.verify()

    assert any(named in problem.message for problem in found.problems), found.problems


def test_an_untouched_ledger_is_ok_with_the_tables_of_other_tools_in_it(sample, sql):
    with Ledger(sample) as ledger:
        assert ledger.verify() == (3, 12, ())

    outcomes = sql(
        sample,
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
        "CREATE TABLE _litestream_lock (id INTEGER)",
        "INSERT INTO _litestream_seq VALUES (1, 1)",
        "CREATE INDEX my_notes ON entries (note)",
        "CREATE VIEW my_view AS SELECT * FROM spend",
        "ANALYZE",
        "VACUUM",
    )
    assert not any(outcomes), outcomes

    with Ledger(sample) as ledger:
        assert ledger.verify() == (3, 12, ())


def test_the_known_limit_is_the_end_of_the_file(sample, sql):
    """Whoever removes the newest rows of all leaves no trace inside the file.

    Only a copy of the last hash kept elsewhere could tell.
    """
    sql(sample, "DROP TRIGGER entries_no_delete")
    sql(sample, "DELETE FROM entries WHERE id = 12")

    with Ledger(sample) as ledger:
        found = ledger.verify()

    assert found.entries == 11
    assert [problem.message for problem in found.problems] == [
        "the trigger entries_no_delete is missing"
    ]
