"""The schema: what the migrations make, what is declared, and what earlier releases left."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, timedelta
from decimal import Decimal
from importlib import util
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from budgetledger import Ledger, _migrate
from budgetledger.errors import BudgetledgerError
from budgetledger.tables import metadata
from budgetledger.testing import FakeClock

SAVED = Path(__file__).parent / "saved"
TABLES = {"projects", "accounts", "entries", "budget_revisions", "window_shifts"}

_spec = util.spec_from_file_location("save", Path(__file__).parent / "save.py")
save = util.module_from_spec(_spec)
_spec.loader.exec_module(save)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spend.db"


def schema(path):
    with closing(sqlite3.connect(path)) as database:
        return _migrate.schema(database.execute)


def connected(path):
    return create_engine(f"sqlite:///{path}", poolclass=NullPool).connect()


# -- declared and made --------------------------------------------------------------------------


def test_the_migrations_make_what_is_declared(tmp_path):
    made, declared = tmp_path / "made.db", tmp_path / "declared.db"
    Ledger(made).close()
    with connected(declared) as connection:
        metadata.create_all(connection)
        connection.commit()

    def tables_and_indexes(path):
        return {
            (kind, name): " ".join(sql.split())
            for (kind, name), (_, sql) in schema(path).items()
            if kind in ("table", "index") and name != "alembic_version"
        }

    assert tables_and_indexes(made) == tables_and_indexes(declared)
    assert {name for kind, name in tables_and_indexes(made) if kind == "table"} == TABLES


def test_alembic_finds_nothing_to_do(path):
    Ledger(path).close()
    with connected(path) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_every_table_is_strict_and_guarded(path):
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as database:
        strict = database.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table'")
        assert {name for name, is_strict in strict if is_strict} == TABLES
        triggers = database.execute(
            "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
        )
        assert set(triggers) == {
            (table, f"{table}_{guard}")
            for table in TABLES
            for guard in ("no_update", "no_delete", "no_replace")
        }


def test_head_is_the_newest_revision():
    revisions = sorted(
        file.stem.partition("_")[0] for file in _migrate.scripts().glob("versions/*.py")
    )
    assert revisions[-1] == _migrate.HEAD
    assert len(revisions) == len(set(revisions))


def test_the_scripts_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "budgetledger"
    (package / "_migrations").mkdir(parents=True)
    monkeypatch.setattr(_migrate, "__file__", str(package / "_migrate.py"))
    assert _migrate.scripts() == package / "_migrations"
    (package / "_migrations").rmdir()
    assert _migrate.scripts() == tmp_path / "migrations"


# -- a later revision ---------------------------------------------------------------------------

REVISION = """
from alembic import op
revision, down_revision = "0002", "0001"

def upgrade():
    op.execute("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")
    {}
"""
FAILURES = {  # by what the error says
    "no luck": "raise RuntimeError('no luck')",
    "later already exists": "op.execute('CREATE TABLE later (id INTEGER)')",
    "broke a reference": """op.execute("DROP TRIGGER accounts_no_delete")
    op.execute("DELETE FROM accounts")""",
}


@pytest.fixture
def with_revision(tmp_path, monkeypatch):
    """Adds a revision 0002 with a last statement of choice."""

    def add(statement="pass"):
        scripts = tmp_path / "migrations"
        shutil.copytree(_migrate.scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
        (scripts / "versions" / "0002_later.py").write_text(REVISION.format(statement))
        monkeypatch.setattr(_migrate, "scripts", lambda: scripts)
        monkeypatch.setattr(_migrate, "HEAD", "0002")

    return add


def test_an_upgrade_keeps_the_rows(path, with_revision):
    save.fill(path)
    with Ledger(path, project="app") as ledger:
        before = list(ledger.entries())

    with_revision()

    with Ledger(path, project="app") as ledger:
        assert list(ledger.entries()) == before
        assert ledger.verify().ok
    assert ("table", "later") in schema(path)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_upgrade_leaves_the_ledger_as_it_was(path, with_revision, monkeypatch, failure):
    save.fill(path)
    before = schema(path)

    with_revision(FAILURES[failure])
    with pytest.raises(Exception, match=failure):
        Ledger(path)

    assert schema(path) == before
    monkeypatch.undo()
    with Ledger(path, project="app") as ledger:
        assert ledger.verify().ok
        ledger.charge("alice", cost=1)


@pytest.mark.parametrize("failure", ["no luck", "later already exists"])
def test_a_failed_creation_leaves_nothing(path, with_revision, monkeypatch, failure):
    with_revision(FAILURES[failure])
    with pytest.raises(Exception, match=failure):
        Ledger(path)
    assert schema(path) == {}

    monkeypatch.undo()
    with Ledger(path) as ledger:
        assert ledger.verify() == (0, 0, ())


def test_no_error_of_sqlalchemy_escapes(path, with_revision):
    with_revision(FAILURES["later already exists"])
    with pytest.raises(BudgetledgerError) as caught:
        Ledger(path)
    assert str(path) in str(caught.value)


# -- what earlier releases left -----------------------------------------------------------------

# project, account; limit, posted, and window of the budget it reports; costs by model
BALANCES = """
app alice 10 -0.249999999999 01-31T23:00Z 02-28T23:00Z gpt-4o=-0.249999999999
app bob 6 0.5 02-01T00:30Z 02-28T20:30Z o3=0.5
app team:research 1000000000 18000000 None None o3=18000000
other alice 1 2 None None unknown=2
"""


def balances(path):
    clock = FakeClock(save.BEGAN + timedelta(hours=4))
    for project, accounts in {"app": ["alice", "bob", "team:research"], "other": ["alice"]}.items():
        with Ledger(path, project=project, clock=clock) as ledger:
            for name in accounts:
                balance = ledger.balance(name)
                start, end = (
                    moment and moment.astimezone(UTC).strftime("%m-%dT%H:%MZ")
                    for moment in (balance.window.start, balance.window.end)
                )
                costs = " ".join(
                    f"{model}={cost.normalize():f}"
                    for model, cost in ledger.model_costs(name).items()
                )
                limit, posted = (f"{x.normalize():f}" for x in (balance.limit, balance.posted))
                yield f"{project} {name} {limit} {posted} {start} {end} {costs}"


@pytest.fixture(params=sorted(file.stem for file in SAVED.glob("*.sql")))
def saved(request, path):
    with closing(sqlite3.connect(path)) as database:
        database.executescript((SAVED / f"{request.param}.sql").read_text())
    return path


def test_each_released_schema_was_saved():
    versions = {file.stem.partition("_")[0] for file in _migrate.scripts().glob("versions/*.py")}
    assert {file.stem for file in SAVED.glob("*.sql")} == versions


def test_a_saved_ledger_opens_and_says_the_same(saved, tmp_path):
    assert list(balances(saved)) == BALANCES.strip().splitlines()
    with Ledger(saved, project="app") as ledger:
        assert ledger.verify() == (4, 17, ())

    anew = tmp_path / "anew.db"
    Ledger(anew).close()
    assert schema(saved) == schema(anew)


def test_a_saved_ledger_goes_on(saved):
    clock = FakeClock(save.BEGAN + timedelta(hours=4))
    with Ledger(saved, project="app", clock=clock) as ledger:
        assert ledger.charge("alice", cost="1.25", model="gpt-4o", key="k1").id == 6  # known
        posted = ledger.balance("bob").posted
        ledger.charge("bob", cost="0.5", model="o3")
        assert ledger.balance("bob").posted == posted + Decimal("0.5")
        assert ledger.verify().ok
