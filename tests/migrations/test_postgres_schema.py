"""The schema on PostgreSQL: what the migrations make, what is declared, and who may change it."""

from datetime import UTC, datetime

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from samples import RESPONSE, START
from sqlalchemy import create_engine, event

from budgetledger import Ledger
from budgetledger.errors import NotALedger, SchemaTooNew, StoreError
from budgetledger.storage import schema as _migrate
from budgetledger.storage.postgres.schema import schema as schema_of
from budgetledger.tables import metadata
from budgetledger.testing import FakeClock

pytestmark = pytest.mark.postgres
APPEND_ONLY = {table.name for table in metadata.sorted_tables} - {"open_holds"}


@pytest.fixture
def made(new_schema):
    """An empty ledger in a schema of its own."""
    schema = new_schema()
    Ledger(schema.target).close()
    return schema


@pytest.fixture
def ledger(made):
    """A ledger of rows of every kind."""
    with Ledger(made.target, clock=FakeClock(START)) as opened:
        opened.set_budget("*", 100, alert_at=(0.01,))
        opened.set_budget("alice", 10)
        opened.set_parent("alice", "team")
        kept = opened.hold("alice", 2, model="m", tokens=10, key="k", tags={"job": 1})
        opened.hold("alice", 4, model="n").settle("3.5")
        kept.extend(7200)
        opened.adjust(opened.charge("alice", cost=1, model="m"), -1, reason="credit")
        opened.shift_window("alice", reason="new plan")
        opened.set_price("own-*", input="0.3", output=4, request="0.001", all_projects=True)
        opened.set_price("own-m", input="1e-7", cache_read="12.5", note="per contract")
        opened.remove_price("own-m")
        opened.charge("alice", RESPONSE, model="my-alias")
        opened.charge("alice", cost=1, occurred_at=datetime(2026, 1, 2, tzinfo=UTC))
        with Ledger(made.target, project="late", clock=FakeClock(START)) as late:
            late.charge("bob", cost=1)
            late.set_budget("*", 10)
        yield opened


def engine(schema):
    made = create_engine("postgresql+psycopg://", creator=lambda: schema._connection)
    event.listen(made, "checkout", lambda raw, *_: raw.execute(f"SET search_path = {name(schema)}"))
    return made


def name(schema):
    return schema._address.quoted_schema


def found(schema):
    return schema_of(lambda sql: schema._connection.execute(sql))


# -- declared and made --------------------------------------------------------------------------


def test_the_migrations_make_what_is_declared(made, new_schema):
    declared = new_schema()
    declared.sql(f"CREATE SCHEMA {name(declared)}")
    with engine(declared).connect() as connection:
        metadata.create_all(connection)
        connection.commit()
    kinds = {"table", "index"}
    expected = {what: text for what, text in found(declared).items() if what[0] in kinds}
    there = {what: text for what, text in found(made).items() if what[0] in kinds}
    for what in [("table", "alembic_version"), ("index", "alembic_version_pkc")]:
        del there[what]
    # ALTER TABLE puts columns last, and constraints in the order of their names.
    assert there.keys() == expected.keys()
    for what, (table, text) in expected.items():
        assert (table, sorted(text.split(", "))) == (
            there[what][0],
            sorted(there[what][1].split(", ")),
        )


def test_alembic_finds_nothing_to_do(made):
    with engine(made).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                # Alembic looks at the one for SQLite; the test above compares it.
                "include_name": lambda name, *_: name != "entries_by_account",
                "include_object": lambda _, name, *__: name != "entries_by_account",
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_views_have_the_columns_they_have_in_a_file(made, tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        views = [
            what[1] for what in ledger._journal.store.read(_migrate.schema) if what[0] == "view"
        ]
        for view in views:
            statement = f"SELECT * FROM {view}"
            expected = ledger._journal.store.read(lambda e, s=statement: e(s).description)
            columns = made._connection.execute(statement).description
            assert [column.name for column in columns] == [column[0] for column in expected], view


def test_the_views_say_what_they_say_of_a_file(ledger, made, tmp_path):
    ledger.backup(tmp_path / "copy.db")
    with Ledger(tmp_path / "copy.db") as copy:
        views = [what[1] for what in copy._journal.store.read(_migrate.schema) if what[0] == "view"]
        assert len(views) == 7
        for view in views:
            rows = copy._journal.store.read(
                lambda e, v=view: e(f"SELECT * FROM {v} ORDER BY 1, 2, 3")
            )
            assert made.sql(f"SELECT * FROM {view} ORDER BY 1, 2, 3") == list(rows), view


# -- what nobody may do ---------------------------------------------------------------------------


def attempts(table, columns, key):
    first, listed = columns[0], ", ".join(columns)
    yield f"UPDATE {table} SET {first} = {first}"
    yield f"DELETE FROM {table}"
    yield f"TRUNCATE {table} CASCADE"
    yield (
        f"INSERT INTO {table} SELECT * FROM {table} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {first} = excluded.{first}"
    )
    yield (
        f"MERGE INTO {table} USING (SELECT 1) AS one ON true "
        f"WHEN MATCHED THEN UPDATE SET {first} = {first}"
    )
    yield f"WITH gone AS (DELETE FROM {table} RETURNING {listed}) SELECT * FROM gone"


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_no_statement_changes_a_row(ledger, made, table, role):
    declared = metadata.tables[table]
    columns = [column.name for column in declared.columns]
    before = made.sql(f"SELECT * FROM {table} ORDER BY 1")
    assert before
    made.sql(f"SET session_replication_role = {role}")
    for statement in attempts(table, columns, [column.name for column in declared.primary_key]):
        with pytest.raises(psycopg.errors.RaiseException, match="budgetledger: rows "):
            made.sql(statement)
    made.sql("RESET session_replication_role")
    assert made.sql(f"SELECT * FROM {table} ORDER BY 1") == before
    assert ledger.verify().problems == ()


TAMPERED = {
    "UPDATE entries SET cost_pico = cost_pico + 1 WHERE id = 6": "was changed, removed or put",
    "UPDATE entries SET total_tokens = total_tokens + 1 WHERE id = 6": "do not add up",
    "UPDATE accounts SET name = 'eve' WHERE name = 'alice'": "was changed, removed or put",
    "UPDATE budget_revisions SET limit_units = 9": "was changed, removed or put",
    "UPDATE parent_changes SET parent_id = account_id": "was changed, removed or put",
    "DELETE FROM model_runs": "the list of runs of a model is wrong",
    "DELETE FROM answers": "the totals of what another model answered are wrong",
    "DELETE FROM late_entries": "the list of late rows is wrong",
    "DELETE FROM prior_parts": "was changed",
    "UPDATE prior_parts SET total_usd = 0": "was changed",
    "DELETE FROM prior_costs": "a setting does not belong",
    "DELETE FROM open_holds": "the list of open holds is wrong",
    "UPDATE price_revisions SET effective_at_us = 0 WHERE id = 1": "own price 1, or the one before",
    "DELETE FROM price_revisions WHERE id = 2": "own price 3, or the one before",
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_what_a_superuser_changed_shows(ledger, made, statement):
    tables = sorted(APPEND_ONLY)
    made.sql(
        "; ".join(
            [
                *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in tables),
                statement,
                *(f"ALTER TABLE {table} ENABLE TRIGGER ALL" for table in tables),
                *(
                    f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_{event}"
                    for table in tables
                    for event in ("update", "delete", "truncate")
                ),
            ]
        )
    )
    problems = ledger.verify().problems
    assert any(TAMPERED[statement] in problem.message for problem in problems), problems


def test_a_missing_row_shows(ledger, made):
    made.sql("ALTER TABLE entries DISABLE TRIGGER ALL; DELETE FROM entries WHERE id = 5")
    told = " ".join(problem.message for problem in ledger.verify().problems)
    assert "1 of" in told
    assert "rows are missing from entries" in told
    assert "refer to missing rows of entries" in told


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("ALTER TABLE entries DISABLE TRIGGER entries_no_delete", "entries_no_delete was changed"),
        ("ALTER TABLE entries ENABLE TRIGGER entries_no_update", "entries_no_update was changed"),
        ("DROP TRIGGER entries_no_truncate ON entries", "entries_no_truncate is missing"),
        ("CREATE OR REPLACE VIEW alerts AS SELECT * FROM alerts", None),
        ("DROP VIEW alerts", "the view alerts is missing"),
        (
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN NULL; END $$",
            "the function refuse was changed",
        ),
        ("DROP INDEX entries_by_key", "the index entries_by_key is missing"),
        ("ALTER TABLE entries ADD COLUMN more TEXT", "the table entries was changed"),
        ("ALTER TABLE entries ALTER cost_pico SET DEFAULT 0", "the table entries was changed"),
        ("CREATE RULE r AS ON INSERT TO entries DO INSTEAD NOTHING", "the rule r was added"),
        (
            "CREATE TRIGGER t BEFORE INSERT ON entries EXECUTE FUNCTION refuse('no')",
            "the trigger t was added",
        ),
        ("CREATE TABLE mine (id INTEGER)", None),
    ],
)
def test_a_changed_schema_shows(made, statement, problem):
    if "OR REPLACE VIEW" in statement:
        (((text),),) = made.sql("SELECT pg_get_viewdef('alerts'::regclass)")
        statement = f"CREATE OR REPLACE VIEW alerts AS {text}"
    made.sql(statement)
    with Ledger(made.target) as ledger:
        problems = [one.message for one in ledger.verify().problems]
    assert problems == ([] if problem is None else problems)
    assert problem is None or any(problem in one for one in problems), problems


# -- other schemas -------------------------------------------------------------------------------


def test_somebody_elses_tables_are_left_alone(new_schema):
    schema = new_schema()
    schema.sql(f"CREATE SCHEMA {name(schema)}; CREATE TABLE {name(schema)}.entries (id INTEGER)")
    with pytest.raises(NotALedger, match=r"another application.*\?schema="):
        Ledger(schema.target)
    assert schema.sql("SELECT count(*) FROM entries") == [(0,)]


def test_a_later_schema_is_refused(made):
    made.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="upgrade budgetledger"):
        Ledger(made.target)


def test_a_schema_that_is_there_already_and_empty(new_schema):
    schema = new_schema()
    schema.sql(f"CREATE SCHEMA {name(schema)}")
    with Ledger(schema.target) as ledger:
        ledger.set_budget("alice", 1)
        assert ledger.verify().ok


def test_code_whose_columns_are_gone_is_told_to_restart(made):
    with Ledger(made.target) as ledger:
        ledger.set_budget("alice", 1)
        made.sql("ALTER TABLE entries RENAME COLUMN settings_rows TO later")
        with pytest.raises(StoreError, match="restart this program"):
            ledger.charge("alice", cost=1)


def test_two_ledgers_in_one_database(made, new_schema):
    with Ledger(made.target) as one, Ledger(new_schema().target) as other:
        one.set_budget("alice", 1)
        other.set_budget("alice", 2)
        assert one.balance("alice").limit == 1
        assert other.balance("alice").limit == 2
