"""What other programs can do to the rows: nothing; and what a determined hand leaves behind."""

import shutil
import subprocess

import pytest
from samples import START

from budgetledger import Ledger
from budgetledger.journal import posting as _posting
from budgetledger.testing import FakeClock

KEYS = {  # of each table: its primary key, and its other unique keys
    "projects": ("id", "name"),
    "accounts": ("id", "project_id, name"),
    "entries": ("id", "project_id, idempotency_key"),
    "budget_revisions": ("entry_id", None),
    "window_shifts": ("entry_id", None),
    "parent_changes": ("entry_id", None),
    "threshold_crossings": ("entry_id", None),
    "price_revisions": ("id", None),
    "default_budget_revisions": ("id", None),
}


@pytest.fixture
def holding(path, held):
    """A copy of ``held``: its path."""
    return shutil.copy(held, path)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A ledger of twenty-four rows in which money is held, closed; its path.

    Its accounts, by id: ``*``, team, alice under team, bob. Two holds are open: 6 of alice and
    17 of bob.
    """
    path, clock = tmp_path_factory.mktemp("held") / "spend.db", FakeClock(START)
    with Ledger(path, clock=clock) as ledger:
        ledger.set_budget("*", 100)  # 1
        ledger.set_budget("team", 50, alert_at=(0.05, 0.5), name="all")  # 2
        ledger.set_budget("alice", 10)  # 3
        ledger.set_parent("alice", "team")  # 4
        ledger.set_budget("bob", 10)  # 5
        kept = ledger.hold("alice", 2, model="m", tokens=10, key="k", tags={"job": 1})  # 6
        ledger.hold("alice", 4, model="m").settle("3.5")  # 7; 8, in team 9, an alert 10, in * 11
        ledger.hold("alice", 1).release(reason="unused")  # 12, 13
        kept.extend(7200)  # 14
        ledger.hold("bob", "0.5", expires_in=60)  # 15
        clock.advance(minutes=5)
        ledger.hold("bob", 1, tokens=3)  # it expires: 16; 17
        ledger.freeze("bob", reason="audit")  # 18
        ledger.unfreeze("bob")  # 19
        ledger.set_budget("team", 80, alert_at=(0.05, 0.5), name="all")  # 20, resolved by 21
        ledger.shift_window("bob", reason="new plan")  # 22
        ledger.charge("bob", cost=1)  # 23, in * 24
        ledger.set_price("m", input=1, note="agreed")
        ledger.set_price("m*", input=2, all_projects=True)
        ledger.remove_price("m")
        ledger.set_default_budget(5, per="day", model="m", alert_at=(0.5,))
        ledger.set_default_budget(tokens=9, kind="bot", anchor="creation", per="week")
        ledger.remove_default_budget()
    return path


def contents(sql, path):
    return sql(path, *(f"SELECT * FROM {table} ORDER BY 1" for table in KEYS))


def attempts(table, columns):
    """Every way there is to change a row of *table* in place."""
    primary, alternate = KEYS[table]
    other = columns[-1]
    listed = ", ".join(columns)
    renumbered = listed.replace(primary, f"{primary} + 1000", 1)
    for column in columns:
        yield f"UPDATE {table} SET {column} = {column}"
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
def test_no_statement_changes_a_row(holding, sql, table, recursive_triggers):
    (columns,) = sql(holding, f"SELECT name FROM pragma_table_info('{table}')")
    statements = list(attempts(table, [name for (name,) in columns]))
    before = contents(sql, holding)
    assert all(before)

    pragma = f"PRAGMA recursive_triggers = {recursive_triggers}"
    for foreign_keys in ("ON", "OFF"):
        done, _, *outcomes = sql(
            holding, f"PRAGMA foreign_keys = {foreign_keys}", pragma, *statements
        )
        assert done == []
        for statement, outcome in zip(statements, outcomes, strict=True):
            assert str(outcome).startswith("budgetledger: "), statement

    assert contents(sql, holding) == before
    with Ledger(holding) as ledger:
        assert ledger.verify().ok


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 program")
@pytest.mark.parametrize("table", KEYS)
def test_nor_through_the_sqlite3_program(holding, sql, table):
    (columns,) = sql(holding, f"SELECT name FROM pragma_table_info('{table}')")
    before = contents(sql, holding)

    for statement in attempts(table, [name for (name,) in columns]):
        asked = subprocess.run(["sqlite3", holding, statement], capture_output=True, text=True)
        assert asked.returncode != 0, statement
        assert "budgetledger: " in asked.stderr, statement

    assert contents(sql, holding) == before


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
     " timezone, week_start, anchor_us, span_us, created_at, removed,"
     " alert_at FROM budget_revisions WHERE entry_id = 1", None, 3),
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
    change_by_hand(sql, sample, edit)
    assert_found(sample, account, where)


def change_by_hand(sql, path, edit):
    (guards,) = sql(path, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    looks = [f"SELECT * FROM {table}" for table in (*KEYS, "model_runs")]
    outcomes = sql(
        path,
        *looks,
        *(f"DROP TRIGGER {name}" for name, _ in guards),
        *edit.split(";"),
        *(guard for _, guard in guards),  # nobody sees that they were gone
        *looks,
    )
    before, done, after = (
        outcomes[: len(looks)], outcomes[len(looks) : -len(looks)], outcomes[-len(looks) :]
    )  # fmt: skip
    assert not any(done), done
    assert before != after


def assert_found(path, account, where):
    with Ledger(path) as ledger:
        found = ledger.verify()

    assert not found.ok
    if isinstance(where, int):
        assert (account, where) in [
            (problem.account, problem.entry_id) for problem in found.problems
        ]
    else:
        assert any(where in problem.message for problem in found.problems), found.problems


# The same of what came with holds: rows 6 and 17 are the open ones.
BY_HAND_OF_HOLDS = [
    # What a row repeats, which hold it is of, what is held and until when.
    ("UPDATE entries SET origin_id = NULL WHERE id = 9", "team", 9),
    ("UPDATE entries SET origin_id = 23 WHERE id = 9", "team", 9),
    ("UPDATE entries SET origin_id = 9 WHERE id = 11", "*", 11),
    ("UPDATE entries SET origin_id = 8 WHERE id = 23", "bob", 23),
    ("UPDATE entries SET origin_id = 0 WHERE id = 23", None, 23),
    ("UPDATE entries SET hold_id = NULL WHERE id = 8", "alice", 8),
    ("UPDATE entries SET hold_id = 6 WHERE id = 8", "alice", 8),
    ("UPDATE entries SET hold_id = NULL WHERE id = 9", "team", 9),
    ("UPDATE entries SET hold_id = 6 WHERE id = 13", "alice", 13),
    ("UPDATE entries SET hold_id = 12 WHERE id = 14", "alice", 14),
    ("UPDATE entries SET hold_id = 17 WHERE id = 16", "bob", 16),
    ("UPDATE entries SET hold_id = 17 WHERE id = 23", "bob", 23),
    ("UPDATE entries SET hold_id = 0 WHERE id = 23", None, "missing row of entries"),
    ("UPDATE entries SET held_pico = held_pico + 1 WHERE id = 6", "alice", 6),
    ("UPDATE entries SET held_pico = 0 WHERE id = 17", "bob", 17),
    ("UPDATE entries SET held_pico = NULL WHERE id = 7", "alice", 7),
    ("UPDATE entries SET held_pico = 1 WHERE id = 23", "bob", 23),
    ("UPDATE entries SET held_tokens = 9 WHERE id = 6", "alice", 6),
    ("UPDATE entries SET held_tokens = NULL WHERE id = 17", "bob", 17),
    ("UPDATE entries SET held_tokens = NULL WHERE id = 7", "alice", 7),  # which held none
    ("UPDATE entries SET held_tokens = 1 WHERE id = 9", "team", 9),
    ("UPDATE entries SET expires_at_us = expires_at_us - 1 WHERE id = 6", "alice", 6),
    ("UPDATE entries SET expires_at_us = NULL WHERE id = 17", "bob", 17),
    ("UPDATE entries SET expires_at_us = expires_at_us + 1 WHERE id = 14", "alice", 14),
    ("UPDATE entries SET expires_at_us = 1 WHERE id = 23", "bob", 23),
    # How many settings there were.
    ("UPDATE entries SET settings_rows = settings_rows + 1 WHERE id = 6", "alice", 6),
    ("UPDATE entries SET settings_rows = settings_rows - 1 WHERE id = 19", "bob", 19),
    ("UPDATE entries SET settings_rows = 0 WHERE id = 8", "alice", 8),
    ("UPDATE entries SET settings_rows = NULL WHERE id = 8", "alice", 8),
    ("UPDATE entries SET settings_rows = NULL WHERE id = 1", "*", 11),
    # A repeated row that is changed, removed, moved.
    ("UPDATE entries SET cost_pico = 1 WHERE id = 9", "team", 9),
    ("UPDATE entries SET cost_pico = 1 WHERE id = 9", None, 9),
    ("UPDATE entries SET cost_pico = 1 WHERE id = 8", None, 9),
    ("UPDATE entries SET model = 'cheap' WHERE id = 11", "*", 11),
    ("UPDATE entries SET total_usd = total_usd - 1 WHERE id = 24", "*", 24),
    ("UPDATE entries SET account_id = 4 WHERE id = 9", "bob", 9),
    ("DELETE FROM entries WHERE id = 9", "team", 10),
    ("DELETE FROM entries WHERE id = 11", None, "1 of 24 rows are missing"),
    # Steps of a hold, and freezing.
    ("UPDATE entries SET kind = 'release' WHERE id = 16", "bob", 16),
    ("UPDATE entries SET note = NULL WHERE id = 13", "alice", 13),
    ("DELETE FROM entries WHERE id = 13", None, "1 of 24 rows are missing"),
    ("DELETE FROM entries WHERE id = 13", None, 12),  # not closed, and not open
    ("UPDATE entries SET kind = 'unfreeze' WHERE id = 18", "bob", 18),
    ("DELETE FROM entries WHERE id = 18", "bob", 19),
    # Alerts.
    ("UPDATE threshold_crossings SET threshold = '0.5' WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET limit_units = 51 WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET limit_pico = 1 WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET posted_units = 2 WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET posted_pico = 0 WHERE entry_id = 21", "team", 21),
    ("UPDATE threshold_crossings SET budget = 'none' WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET measure = 'tokens' WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET start_us = 1 WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET end_us = 1 WHERE entry_id = 10", "team", 10),
    ("UPDATE threshold_crossings SET account_id = 1 WHERE entry_id = 10", None, 10),
    ("UPDATE threshold_crossings SET entry_id = 23 WHERE entry_id = 10", None, 23),
    ("DELETE FROM threshold_crossings WHERE entry_id = 10", "team", 10),
    ("INSERT INTO threshold_crossings SELECT 23, 4, budget, measure, threshold, limit_units,"
     " limit_pico, posted_units, posted_pico, start_us, end_us, timezone"
     " FROM threshold_crossings WHERE entry_id = 10", None, 23),
    ("UPDATE entries SET kind = 'resolve' WHERE id = 10", "team", 10),
    ("UPDATE budget_revisions SET alert_at = NULL WHERE entry_id = 2", "team", 2),
    ("UPDATE budget_revisions SET alert_at = '0.5' WHERE entry_id = 20", "team", 20),
    ("UPDATE budget_revisions SET alert_at = '0.5' WHERE entry_id = 3", "alice", 3),
    ("UPDATE budget_revisions SET alert_at = '' WHERE entry_id = 3", "alice", 3),
    # Parents.
    ("UPDATE parent_changes SET parent_id = NULL", "alice", 4),
    ("UPDATE parent_changes SET parent_id = 4", "alice", 4),
    ("UPDATE parent_changes SET account_id = 4", None, 4),
    ("UPDATE parent_changes SET entry_id = 23", None, 23),
    ("DELETE FROM parent_changes", "alice", 4),
    ("INSERT INTO parent_changes VALUES (23, 4, 2)", None, 23),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "account", "where"), BY_HAND_OF_HOLDS)
def test_verify_points_at_what_a_hand_changed_of_holds(holding, sql, edit, account, where):
    change_by_hand(sql, holding, edit)
    assert_found(holding, account, where)


BY_HAND_OF_PRICES = [
    ("UPDATE price_revisions SET rates = '{\"input_mtok\":\"2\"}' WHERE id = 1", "own price 1"),
    ("UPDATE price_revisions SET rates = NULL WHERE id = 2", "own price 2"),
    ("UPDATE price_revisions SET rates = '{}' WHERE id = 3", "own price 3"),
    ("UPDATE price_revisions SET model = 'n' WHERE id = 1", "own price 1"),
    ("UPDATE price_revisions SET project_id = NULL WHERE id = 1", "own price 1"),
    ("UPDATE price_revisions SET project_id = 1 WHERE id = 2", "own price 2"),
    ("UPDATE price_revisions SET effective_at_us = 1 WHERE id = 2", "own price 2"),
    ("UPDATE price_revisions SET recorded_at_us = 1 WHERE id = 2", "own price 2"),
    ("UPDATE price_revisions SET note = NULL WHERE id = 1", "own price 1"),
    ("UPDATE price_revisions SET hash = randomblob(32) WHERE id = 3", "own price 3"),
    ("UPDATE price_revisions SET id = 4 WHERE id = 3", "own price 4"),
    ("DELETE FROM price_revisions WHERE id = 1", "own price 2"),
    ("DELETE FROM price_revisions WHERE id = 2", "own price 3"),
    ("INSERT INTO price_revisions SELECT 4, project_id, model, rates, effective_at_us,"
     " recorded_at_us, note, hash FROM price_revisions WHERE id = 1", "own price 4"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "where"), BY_HAND_OF_PRICES)
def test_verify_points_at_what_a_hand_changed_of_prices(holding, sql, edit, where):
    change_by_hand(sql, holding, edit)
    assert_found(holding, None, where)


BY_HAND_OF_DEFAULTS = [
    *(
        (f"UPDATE default_budget_revisions SET {change} WHERE id = {row}", row)
        for row in (1, 2)
        for change in (
            "project_id = 2", "kind = 'x'", "measure = 'requests'", "limit_units = 6",
            "limit_pico = 1", "model = 'n'", "per = 'hour'", "timezone = 'Asia/Tokyo'",
            "week_start = 6", "anchor_us = 1", "span_us = 1", "anchored = 1 - anchored",
            "alert_at = '1'", "removed = 1", "recorded_at_us = 1", "hash = randomblob(32)",
        )
    ),
    ("DELETE FROM default_budget_revisions WHERE id = 1", 2),
    ("DELETE FROM default_budget_revisions WHERE id = 2", 3),
    ("UPDATE default_budget_revisions SET id = 4 WHERE id = 3", 4),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "row"), BY_HAND_OF_DEFAULTS)
def test_verify_points_at_what_a_hand_changed_of_default_budgets(holding, sql, edit, row):
    sql(holding, "INSERT INTO projects VALUES (2, 'other')")
    change_by_hand(sql, holding, edit)
    assert_found(holding, None, f"default budget {row}")


# What no hash covers, and no trigger guards. *found* is the hold that verify points at.
OF_ALICE, ABOVE, OF_BOB = "hold_id = 6", "hold_id = 6 AND account_id = 2", "hold_id = 17"
COPIED = "hold_id, expires_at_us, model, held_pico, held_tokens, path FROM open_holds WHERE"
OPEN_HOLDS_BY_HAND = [
    ("DELETE FROM open_holds", 6),
    ("DELETE FROM open_holds", 17),
    (f"DELETE FROM open_holds WHERE {OF_ALICE}", 6),
    *((f"DELETE FROM open_holds WHERE {OF_ALICE} AND account_id = {n}", 6) for n in (1, 2, 3)),
    ("INSERT INTO open_holds VALUES (3, 7, 1769857200000000, 'm', 4000000000000, 0, '2/1')", 7),
    ("INSERT INTO open_holds VALUES (2, 7, 1769857200000000, 'm', 4000000000000, 0, '2/1')", 7),
    ("INSERT INTO open_holds VALUES (4, 15, 1769853660000000, 'unknown', 500000000000, 0, '1')",
     15),
    ("INSERT INTO open_holds VALUES (4, 23, 1769857200000000, 'm', 1, 0, '1')", 23),
    (f"INSERT INTO open_holds SELECT 4, {COPIED} {ABOVE}", 6),
    (f"INSERT INTO open_holds SELECT 2, {COPIED} {OF_BOB} AND account_id = 4", 17),
    *(
        (f"UPDATE open_holds SET {change} WHERE {rows}", hold)
        for rows, hold in ((OF_ALICE, 6), (ABOVE, 6), (OF_BOB, 17))
        for change in (
            "held_pico = 0", "held_pico = held_pico + 1", "held_tokens = held_tokens + 1",
            "model = NULL", "model = 'n'", "expires_at_us = 1", "expires_at_us = expires_at_us + 1",
            "path = ''", "path = '4'", "path = '2/1/4'", "path = 'x'", "path = '/2/1'",
        )
    ),
    (f"UPDATE open_holds SET account_id = 4 WHERE {ABOVE}", 6),
    (f"UPDATE open_holds SET hold_id = 7 WHERE {OF_ALICE}", 6),
    (f"UPDATE open_holds SET hold_id = 7 WHERE {OF_ALICE}", 7),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "found"), OPEN_HOLDS_BY_HAND)
def test_verify_points_at_what_a_hand_changed_of_the_list_of_open_holds(holding, sql, edit, found):
    assert sql(holding, edit) == [[]]
    assert_found(holding, None, found)


# A hand that leaves the list of open holds consistent, so that above they count no more.
CONSISTENT = [
    (f"UPDATE open_holds SET path = '1' WHERE {OF_ALICE}; DELETE FROM open_holds WHERE {ABOVE}", 6),
    (f"UPDATE open_holds SET path = '' WHERE {OF_BOB};"
     f"DELETE FROM open_holds WHERE {OF_BOB} AND account_id = 1", 17),
    (f"UPDATE open_holds SET path = '1/2' WHERE {OF_BOB};"
     f"INSERT INTO open_holds SELECT 2, {COPIED} {OF_BOB} AND account_id = 4", 17),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "found"), CONSISTENT)
def test_verify_knows_where_an_open_hold_counts(holding, sql, edit, found):
    assert not any(sql(holding, *edit.split(";")))
    assert_found(holding, None, found)


@pytest.mark.parametrize("column", ["held_pico", "held_tokens", "expires_at_us"])
def test_verify_tells_nothing_from_none(holding, sql, column):
    change_by_hand(sql, holding, f"UPDATE entries SET {column} = 0 WHERE id = 23")
    assert_found(holding, "bob", 23)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE entries SET settings_rows = NULL WHERE account_id = 3",
        "UPDATE entries SET settings_rows = 0 WHERE account_id = 3",
    ],
)
def test_verify_counts_settings_where_no_row_of_an_account_does(holding, sql, edit):
    change_by_hand(sql, holding, edit)
    assert_found(holding, "alice", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"cost_pico": 1},
        {"model": "n"},
        {"input_tokens": 5},
        {"tags_json": "{}"},
        {"occurred_at_us": 1},
        {"note": "x"},
        {"hold_id": 6},
        {"origin_id": 8},
    ],
    ids=str,
)
def test_a_repeated_row_has_to_say_the_same_though_its_journal_adds_up(
    holding, monkeypatch, change
):
    repeat_with(monkeypatch, **change)
    with Ledger(holding) as ledger:
        entry = ledger.charge("bob", cost=2)
        problems = ledger.verify().problems

    assert [(problem.account, problem.entry_id) for problem in problems] == [(None, entry.id + 1)]


def repeat_with(monkeypatch, **change):
    append = _posting.append

    def append_another(tx, account, draft, *detail, **belonging):
        changed = draft._replace(**change) if draft.origin_id else draft
        return append(tx, account, changed, *detail, **belonging)

    monkeypatch.setattr(_posting, "append", append_another)


@pytest.mark.parametrize("repeated", ["a row of the same account", "a row that repeats one"])
def test_a_repeated_row_names_the_first_of_all(holding, monkeypatch, repeated):
    with Ledger(holding) as ledger:
        of_whole = ledger.charge("*", cost=2)
        of_team = ledger.charge("alice", cost=2).id + 1
        repeat_with(monkeypatch, origin_id=of_team if "repeats" in repeated else of_whole.id)
        entry = ledger.charge("bob", cost=2)
        problems = ledger.verify().problems

    assert [(problem.account, problem.entry_id) for problem in problems] == [(None, entry.id + 1)]


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
        ("DROP TABLE open_holds", "open_holds is missing"),
        ("DROP TRIGGER parent_changes_no_delete", "parent_changes_no_delete is missing"),
        (
            "CREATE TRIGGER unheld BEFORE INSERT ON open_holds BEGIN SELECT RAISE(IGNORE)\\; END",
            "unheld was added",
        ),
        ("DROP VIEW holds", "view holds is missing"),
        ("DROP VIEW alerts; CREATE VIEW alerts AS SELECT 0 AS id", "alerts was changed"),
        ("ALTER TABLE open_holds ADD COLUMN extra TEXT", "open_holds was changed"),
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


# -- the list of runs of a model ------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_runs SET recorded_at_us = recorded_at_us",
        "DELETE FROM model_runs",
        "DELETE FROM model_runs WHERE entry_id = 12",
        "REPLACE INTO model_runs SELECT * FROM model_runs",
        "INSERT OR REPLACE INTO model_runs SELECT * FROM model_runs",
        "INSERT INTO model_runs SELECT * FROM model_runs WHERE true"
        " ON CONFLICT DO UPDATE SET recorded_at_us = 0",
    ],
)
def test_no_statement_changes_where_runs_end(holding, sql, statement):
    (before,) = sql(holding, "SELECT * FROM model_runs")
    assert len(before) == 6
    (outcome,) = sql(holding, statement)
    assert str(outcome).startswith("budgetledger: ")
    assert sql(holding, "SELECT * FROM model_runs") == [before]


@pytest.mark.parametrize(
    ("edit", "account", "entry_id"),
    [
        ("DELETE FROM model_runs WHERE entry_id = 8", "alice", 8),
        ("INSERT INTO model_runs VALUES (4, 'm', 5, 22)", "bob", 22),
        ("UPDATE model_runs SET entry_id = 7 WHERE entry_id = 8", "alice", 7),
        ("UPDATE model_runs SET entry_id = 7 WHERE entry_id = 8", "alice", 8),
        ("UPDATE model_runs SET model = 'n' WHERE entry_id = 8", "alice", 8),
        ("UPDATE model_runs SET recorded_at_us = 5 WHERE entry_id = 8", "alice", 8),
        ("UPDATE model_runs SET account_id = 2 WHERE entry_id = 8", "alice", 8),
        ("UPDATE model_runs SET account_id = 2 WHERE entry_id = 8", "team", 8),
    ],
)
def test_verify_points_at_what_a_hand_changed_of_where_runs_end(
    holding, sql, edit, account, entry_id
):
    change_by_hand(sql, holding, edit)
    assert_found(holding, account, entry_id)
