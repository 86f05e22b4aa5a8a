"""The schema: what the migrations make, what is declared, and what earlier releases left."""

import re
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, timedelta
from decimal import Decimal
from functools import cache
from importlib import util
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from budgetledger import BudgetExceededError, Ledger, Usage
from budgetledger.errors import (
    AccountFrozen,
    BudgetledgerError,
    HoldAlreadyClosed,
    IdempotencyConflict,
    StoreError,
)
from budgetledger.storage import schema as _migrate
from budgetledger.tables import metadata
from budgetledger.testing import FakeClock

SAVED = Path(__file__).parent / "saved"
RELEASED = sorted(file.stem for file in SAVED.glob("*.sql"))
APPEND_ONLY = {
    "projects", "accounts", "entries", "budget_revisions", "window_shifts", "parent_changes",
    "threshold_crossings", "model_runs", "price_revisions", "answers", "late_entries",
    "default_budget_revisions", "prior_costs", "prior_parts",
}  # fmt: skip
TABLES = APPEND_ONLY | {"open_holds"}

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


def rows(path):
    """Every row, by table; each by column."""
    tables = {name for kind, name in schema(path) if kind == "table"} - {"alembic_version"}
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
            for table in tables
        }


def restore(revision, path):
    """Makes *path* the ledger that was saved with *revision*."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((SAVED / f"{revision}.sql").read_text())


# -- declared and made --------------------------------------------------------------------------


def made_of(path):
    """Of each table its columns in order, and all its clauses; and the text of each index.

    Clauses in any order, and references apart from their columns: ALTER TABLE writes a column
    behind the constraints, with its reference.
    """
    found = {}
    for (kind, name), (_, sql) in schema(path).items():
        sql = " ".join(sql.split())
        if kind == "index":
            found[name] = sql
        elif kind == "table" and name != "alembic_version":
            body, _, options = sql.partition("(")[2].rpartition(")")
            written = re.split(r", ?(?![^(]*\))", body)
            inline = re.compile(r"^(?!FOREIGN KEY)((\w+) .*) (REFERENCES .*)")
            clauses = [
                clause.strip()
                for text in written
                for clause in inline.sub(r"\1;FOREIGN KEY(\2) \3", text).split(";")
            ]
            with closing(sqlite3.connect(path)) as database:
                columns = database.execute(f"PRAGMA table_xinfo({name})").fetchall()
            found[name] = columns, sorted(clauses), sorted(options.split())
    return found


def test_the_migrations_make_what_is_declared(tmp_path):
    made, declared = tmp_path / "made.db", tmp_path / "declared.db"
    Ledger(made).close()
    with connected(declared) as connection:
        metadata.create_all(connection)
        connection.commit()

    assert made_of(made) == made_of(declared)
    assert {name for kind, name in schema(declared) if kind == "table"} == TABLES


def test_alembic_finds_nothing_to_do(path):
    Ledger(path).close()
    with connected(path) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_every_table_is_strict_and_guarded_but_for_the_list_of_open_holds(path):
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute(
            "SELECT name, wr, strict FROM pragma_table_list WHERE type = 'table'"
        ).fetchall()
        assert {name for name, _, is_strict in tables if is_strict} == TABLES
        assert {name for name, without_rowid, _ in tables if without_rowid} == {
            "open_holds",
            "model_runs",
            "answers",
            "late_entries",
            "prior_parts",
        }
        triggers = database.execute(
            "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
        )
        assert set(triggers) == {
            (table, f"{table}_{guard}")
            for table in APPEND_ONLY
            for guard in ("no_update", "no_delete", "no_replace")
        }


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnknownAccountWarning")
def test_code_of_before_the_upgrade_writes_no_more(path):
    with Ledger(path) as ledger:
        ledger.charge("alice", cost=1)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TEMP TABLE forged AS SELECT * FROM entries")
        database.execute("UPDATE forged SET id = NULL, settings_rows = NULL")
        with pytest.raises(sqlite3.IntegrityError, match="restart this program"):
            database.execute("INSERT INTO entries SELECT * FROM forged")


def test_code_whose_columns_are_gone_is_told_to_restart(path):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        with closing(sqlite3.connect(path)) as database:  # as a later revision may
            database.execute("ALTER TABLE entries RENAME COLUMN settings_rows TO later")
        with pytest.raises(StoreError, match="restart this program"):
            ledger.charge("alice", cost=1)


def test_head_is_the_newest_revision():
    revisions = sorted(
        file.stem.partition("_")[0] for file in _migrate.scripts().glob("versions/*.py")
    )
    assert revisions[-1] == _migrate.HEAD
    assert len(revisions) == len(set(revisions))


def test_the_scripts_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "budgetledger"
    (package / "_migrations").mkdir(parents=True)
    monkeypatch.setattr(_migrate, "__file__", str(package / "storage" / "schema.py"))
    assert _migrate.scripts() == package / "_migrations"
    (package / "_migrations").rmdir()
    assert _migrate.scripts() == tmp_path / "migrations"


def test_a_new_ledger_is_what_the_revisions_make(path):
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(":memory:")) as migrated:
        migrated.isolation_level = None
        _migrate.upgrade(migrated)
        assert [*new.iterdump()] == [*migrated.iterdump()]
        mark = "PRAGMA application_id"
        assert new.execute(mark).fetchone() == migrated.execute(mark).fetchone()


# -- a later revision ---------------------------------------------------------------------------

LATER = f"{int(_migrate.HEAD) + 1:04}"
REVISION = f"""
from alembic import op
revision, down_revision = "{LATER}", "{_migrate.HEAD}"

def upgrade():
    op.execute("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")
    {{}}
"""
FAILURES = {  # by what the error says
    "no luck": "raise RuntimeError('no luck')",
    "later already exists": "op.execute('CREATE TABLE later (id INTEGER)')",
    "broke a reference": """op.execute("DROP TRIGGER accounts_no_delete")
    op.execute("DELETE FROM accounts")""",
}


@pytest.fixture
def with_revision(tmp_path, monkeypatch):
    """Adds a revision after the newest, with a last statement of choice."""
    _migrate.expected_schema()  # which verify keeps, as the one without it
    makes_it = cache(_migrate.expected_schema.__wrapped__)

    def add(statement="pass"):
        scripts = tmp_path / "migrations"
        shutil.copytree(_migrate.scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
        (scripts / "versions" / f"{LATER}_later.py").write_text(REVISION.format(statement))
        monkeypatch.setattr(_migrate, "scripts", lambda: scripts)
        monkeypatch.setattr(_migrate, "HEAD", LATER)
        monkeypatch.setattr(_migrate, "expected_schema", makes_it)

    return add


def test_an_upgrade_keeps_the_rows(path, with_revision):
    save.fill(path)
    before = rows(path)

    with_revision()

    with Ledger(path) as ledger:
        assert ledger.verify().ok
    assert rows(path) == before | {"later": []}


@pytest.mark.parametrize(
    ("revision", "failure"),
    [
        *((revision, "no luck") for revision in RELEASED),
        *((RELEASED[0], failure) for failure in FAILURES if failure != "no luck"),
    ],
)
def test_a_failed_upgrade_leaves_the_ledger_as_it_was(
    path, with_revision, monkeypatch, revision, failure
):
    restore(revision, path)
    before = schema(path), rows(path)

    with_revision(FAILURES[failure])
    with pytest.raises(Exception, match=failure):
        Ledger(path)

    assert (schema(path), rows(path)) == before
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


def test_a_creation_that_fails_midway_leaves_nothing(path, monkeypatch):
    broken = _migrate.expected_schema() | {("table", "last"): ("last", "CREATE TABLE last (")}
    monkeypatch.setattr(_migrate, "expected_schema", lambda: broken)
    with pytest.raises(StoreError, match="incomplete input"):
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

# project, account; limit, posted, held, and window of the budget it reports; costs by model
BALANCES = """
app alice 10 0.000000000001 0 01-31T23:00Z 02-28T23:00Z gpt-4o=0.000000000001
app bob 6 0.5 0 02-01T00:30Z 02-28T20:30Z o3=0.5
app team:research 1000000000 18000000 0 None None o3=18000000
other alice 1 2 0 None None unknown=2
"""
WITH_HOLDS = """
agents * 1000 5.5 9.75 02-01T00:00Z 03-01T00:00Z my-own=0 o3=5.5
agents alice 20 5.5 2.5 None None o3=5.5
agents bob 5 0 7.25 None None my-own=0
agents mallory 9 0 0 None None
agents team 200 5.5 2.5 02-01T00:00Z 03-01T00:00Z o3=5.5
"""
WITH_PRICES = """
priced carol 1 0.0195 0 None None my-other=0 my-own=0.0195
"""
WITH_ASSUMED_HOLDS = """
agents * 1000 6 9.75 02-01T00:00Z 03-01T00:00Z my-own=0.5 o3=5.5
agents alice 20 5.5 2.5 None None o3=5.5
agents bob 5 0.5 7.25 None None my-own=0.5
agents mallory 9 0 0 None None
agents team 200 5.5 2.5 02-01T00:00Z 03-01T00:00Z o3=5.5
"""
WITH_UNKNOWN_COSTS = """
unknown dave 1 0.076505 0 None None gpt-4o=0.000055 my-secret=0.0202 x=0.025 y=0.03125 z=0
"""
WITH_ANSWERS = """
aliased dora 5 0.0045 0 None None my-alias=0.0045
"""
WITH_HISTORY = """
history erin 1 0 0 None None
"""
WITH_EARLIER_COSTS = """
late * 8 1.625 0 01-31T16:30Z 02-01T01:30Z o3=1.625
late erin 5 1.625 0 None None o3=1.625
"""
WITH_DEFAULT_BUDGETS = """
newcomers * 100 3.5 0 None None gpt-4o=0.5 unknown=3
newcomers eve 9 3.5 0 None None gpt-4o=0.5 unknown=3
newcomers team:new 50 0.5 0 None None gpt-4o=0.5
"""
SAID = {  # by revision: what `verify` counts, and the balances
    "0001": ((4, 17, ()), BALANCES),
    "0002": ((9, 54, ()), BALANCES.rstrip() + WITH_HOLDS),
    "0003": ((10, 59, ()), BALANCES.rstrip() + WITH_HOLDS.rstrip() + WITH_PRICES),
    "0004": (
        (11, 78, ()),
        BALANCES.rstrip() + WITH_ASSUMED_HOLDS.rstrip() + WITH_PRICES.rstrip() + WITH_UNKNOWN_COSTS,
    ),
    "0005": (
        (12, 80, ()),
        BALANCES.rstrip()
        + WITH_ASSUMED_HOLDS.rstrip()
        + WITH_PRICES.rstrip()
        + WITH_UNKNOWN_COSTS.rstrip()
        + WITH_ANSWERS,
    ),
    "0006": (
        (14, 92, ()),
        BALANCES.rstrip()
        + WITH_ASSUMED_HOLDS.rstrip()
        + WITH_PRICES.rstrip()
        + WITH_UNKNOWN_COSTS.rstrip()
        + WITH_ANSWERS.rstrip()
        + WITH_EARLIER_COSTS,
    ),
    "0007": (
        (17, 106, ()),
        BALANCES.rstrip()
        + WITH_ASSUMED_HOLDS.rstrip()
        + WITH_PRICES.rstrip()
        + WITH_UNKNOWN_COSTS.rstrip()
        + WITH_ANSWERS.rstrip()
        + WITH_EARLIER_COSTS.rstrip()
        + WITH_DEFAULT_BUDGETS,
    ),
    "0008": (
        (18, 111, ()),
        BALANCES.rstrip()
        + WITH_ASSUMED_HOLDS.rstrip()
        + WITH_PRICES.rstrip()
        + WITH_UNKNOWN_COSTS.rstrip()
        + WITH_ANSWERS.rstrip()
        + WITH_EARLIER_COSTS.rstrip()
        + WITH_DEFAULT_BUDGETS.rstrip()
        + WITH_HISTORY,
    ),
}


@pytest.fixture
def clock():
    """Hours after the last row that was saved."""
    return FakeClock(save.BEGAN + timedelta(hours=5))


def balances(path, clock):
    projects = "app other agents priced unknown aliased late newcomers history"
    for project in projects.split():
        with Ledger(path, project=project, clock=clock) as ledger:
            for account in ledger.accounts():
                balance = ledger.balance(account.name)
                start, end = (
                    moment and moment.astimezone(UTC).strftime("%m-%dT%H:%MZ")
                    for moment in (balance.window.start, balance.window.end)
                )
                costs = " ".join(
                    f"{model}={cost.normalize():f}"
                    for model, cost in ledger.model_costs(account.name).items()
                )
                amounts = (balance.limit, balance.posted, balance.held)
                said = " ".join(f"{amount.normalize():f}" for amount in amounts)
                yield f"{project} {account.name} {said} {start} {end} {costs}".rstrip()


@pytest.fixture(params=RELEASED)
def saved(request, path):
    restore(request.param, path)
    return request.param


def test_each_released_schema_was_saved():
    versions = {file.stem.partition("_")[0] for file in _migrate.scripts().glob("versions/*.py")}
    assert set(RELEASED) == versions == set(SAID)


def test_a_saved_ledger_opens_and_says_the_same(saved, path, clock, tmp_path):
    counted, said = SAID[saved]
    before = rows(path)

    assert list(balances(path, clock)) == said.strip("\n").splitlines()

    with Ledger(path) as ledger:
        assert ledger.verify() == counted
    after = rows(path)
    for row in before["entries"]:
        for earlier in ("settings_version", "settings_count"):  # before 0003, and 0006
            if earlier in row:
                row["settings_rows"] = row.pop(earlier)
    assert {
        table: [
            {column: now[column] for column in then}
            for then, now in zip(kept, after[table], strict=True)
        ]
        for table, kept in before.items()
    } == before
    anew = tmp_path / "anew.db"
    Ledger(anew).close()
    assert schema(path) == schema(anew)


def test_a_saved_ledger_goes_on(saved, path, clock):
    with Ledger(path, project="app", clock=clock) as ledger:
        assert ledger.charge("alice", cost="1.25", model="gpt-4o", key="k1").id == 6  # known
        posted = ledger.balance("bob").posted
        ledger.charge("bob", cost="0.5", model="o3")
        assert ledger.balance("bob").posted == posted + Decimal("0.5")
        with pytest.raises(IdempotencyConflict):
            ledger.hold("alice", "1.25", model="gpt-4o", key="k1")
        assert ledger.verify().ok


def test_threads_upgrade_one_ledger_at_once(saved, path, clock):
    failed, together = [], threading.Barrier(4)

    def open_and_charge():
        try:
            together.wait(timeout=120)
            with Ledger(path, project="app", synchronous="NORMAL", clock=clock) as ledger:
                ledger.hold("alice", 1).settle("0.5")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_and_charge, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert failed == []
    (accounts, entries, _), _ = SAID[saved]
    with Ledger(path, project="app", clock=clock) as ledger:
        assert ledger.balance("alice").posted == Decimal("2.000000000001")
        assert ledger.verify() == (accounts, entries + 8, ())


# -- accounts from before there were holds ------------------------------------------------------

TINY = Decimal("0.000000000001")


@pytest.fixture
def old(path, clock):
    """Opens a ledger of the first schema, as often as wanted."""
    restore("0001", path)
    ledgers = []

    def open_old(project="app"):
        ledgers.append(Ledger(path, project=project, synchronous="NORMAL", clock=clock))
        return ledgers[-1]

    yield open_old
    for ledger in ledgers:
        ledger.close()


@pytest.mark.parametrize(
    ("project", "account", "available", "budget"),
    [
        ("app", "alice", Decimal("9.999999999999"), "usd/month"),
        ("app", "bob", Decimal("5.5"), "default"),  # as revised, since its window was shifted
        ("other", "alice", Decimal(-1), "usd"),
    ],
)
def test_a_hold_is_judged_by_budgets_set_before_the_upgrade(
    old, project, account, available, budget
):
    ledger = old(project)
    if available > 0:
        ledger.hold(account, available).release()
    with pytest.raises(BudgetExceededError) as caught:
        ledger.hold(account, max(available, 0) + TINY)
    assert (caught.value.budget.name, caught.value.available) == (budget, available)
    assert ledger.verify().ok


def test_a_hold_is_judged_by_old_budgets_of_tokens_and_models_and_not_by_a_removed_one(old):
    ledger = old()
    with pytest.raises(BudgetExceededError) as caught:
        ledger.hold("alice", model="gpt-4o", tokens=5001)
    assert caught.value.budget.name == "tokens/day/gpt-4o"
    ledger.hold("alice", 0, model="o3", tokens=5001)
    ledger.hold("alice", 0, model="gpt-4o", tokens=5000)
    for _ in range(10):  # the budget of nine requests had been removed
        ledger.hold("alice", 0, model="o3", tokens=1)
    assert not ledger.can_afford("alice", model="gpt-4o", tokens=1)


def test_settings_made_since_the_upgrade_reach_who_has_read_the_old_ones(old):
    """Rows of the first schema do not count settings, and what was read of them is kept."""
    ledger, other = old(), old()
    ledger.charge("alice", cost=1)
    ledger.hold("alice", 8).release()

    other.set_budget("alice", 6, per="month", timezone="Europe/Berlin")
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", 8)
    ledger.hold("alice", 4).release()

    other.shift_window("alice")
    ledger.hold("alice", 6).release()

    other.freeze("alice")
    with pytest.raises(AccountFrozen):
        ledger.hold("alice", 1)
    other.unfreeze("alice")

    other.remove_budget("alice", "usd/month")
    ledger.hold("alice", 9)
    assert ledger.verify().ok


def test_old_accounts_take_parents_alerts_and_the_whole_project(old):
    ledger = old()
    ledger.set_parent("alice", "team:research")
    ledger.set_budget("*", 10**9)
    earlier = ledger.balance("*").posted
    assert earlier == 18_000_000 + Decimal("5.500000000001")
    set_by = {"per": "month", "anchor": "creation", "name": "default"}
    ledger.set_budget("bob", 6, alert_at=0.5, **set_by)
    assert ledger.alerts() == []

    ledger.charge("bob", cost="2.49")
    assert ledger.alerts() == []
    ledger.charge("bob", cost="0.01")  # with 0.5 from before the upgrade
    assert [(alert.account, alert.posted) for alert in ledger.alerts()] == [("bob", 3)]

    with ledger.hold("alice", 4) as hold:
        assert [held.id for held in ledger.holds("team:research")] == [hold.id]
        assert ledger.balance("*").held == 4
        hold.settle(3)
    ledger.adjust(7, 1, reason="as billed")  # a charge of alice, before she had a parent
    assert (
        ledger.balance("team:research").posted == 18_000_000 + 3
    )  # the correction goes where the charge was
    assert ledger.balance("*").posted == earlier + Decimal("2.5") + 3 + 1
    assert ledger.verify().ok


def test_the_past_says_the_same_after_new_rows(old, clock):
    ledger = old()
    upgraded_at = clock.now
    ledger.set_parent("alice", "team:research")
    clock.advance(minutes=1)
    ledger.hold("alice", 4).settle(3)
    ledger.set_budget("alice", 3, per="month", timezone="Europe/Berlin")

    for project in ("app", "other"):
        ledger = old(project)
        known = [
            (project, account.name, ledger.balance(account.name, as_of=upgraded_at).posted)
            for account in ledger.accounts()
        ]
        assert known == [
            (project, name, Decimal(posted))
            for of, name, _, posted, *_ in map(str.split, BALANCES.strip().splitlines())
            if of == project
        ]
    then = old().balance("alice", as_of=upgraded_at)
    assert (then.limit, then.held) == (10, 0)


# -- holds from before --------------------------------------------------------------------------


@pytest.fixture(params=[revision for revision in RELEASED if revision >= "0002"])
def agents(request, path, clock):
    """The project with holds, of each schema that had them."""
    restore(request.param, path)
    with Ledger(path, project="agents", synchronous="NORMAL", clock=clock) as ledger:
        yield ledger


def test_open_holds_go_on(agents, clock):
    assert [hold.id for hold in agents.holds("*")] == [26, 40, 54]
    (kept,) = agents.holds("team")
    assert (kept.id, kept.account, kept.amount, kept.tokens) == (26, "alice", Decimal("2.5"), 1500)
    assert kept.entry.tags == {"job": "é"}
    assert kept.expires_at == clock.now + timedelta(hours=23, minutes=5)

    again = agents.hold("alice", "2.5", model="gpt-4o", tokens=1500, key="h1")
    assert again.id == kept.id
    assert not agents.can_afford("alice", model="gpt-4o", tokens=3501)
    assert agents.can_afford("alice", model="gpt-4o", tokens=3500)

    kept.settle(Usage(input_tokens=100, output_tokens=10))
    assert agents.balance("alice").held == agents.balance("team").held == 0
    with pytest.raises(HoldAlreadyClosed, match="settled"):
        agents.hold("alice", "2.5", model="gpt-4o", tokens=1500, key="h1")
    assert agents.verify().ok


def test_open_holds_expire_at_their_deadline(agents, clock):
    clock.advance(hours=23, minutes=5)
    assert agents.holds("*") == []
    agents.hold("alice", 1)
    agents.hold("bob", 1)
    expired = [entry.hold_id for entry in agents.entries() if entry.kind == "expire"]
    assert sorted(expired) == [26, 36, 37, 40, 54]
    assert agents.verify().ok


def test_alerts_freezing_and_parents_go_on(agents):
    assert [(alert.account, alert.state, str(alert.threshold)) for alert in agents.alerts()] == [
        ("alice", "alert", "0.25"),
        ("team", "alert", "0.05"),
        ("team", "alert", "0.06"),
        ("team", "resolve", "0.05"),
        ("team", "resolve", "0.06"),
    ]
    agents.charge("alice", cost="4.5")  # team: 10 of 200, its 0.05 again, of another limit
    agents.charge("bob", cost=2)  # under the project alone
    assert [(alert.account, str(alert.threshold)) for alert in agents.alerts()[5:]] == [
        ("team", "0.05")
    ]
    whole = agents.balance("*")
    assert (agents.balance("team").posted, whole.posted - whole.assumed) == (10, 12)

    with pytest.raises(AccountFrozen, match="audit"):
        agents.hold("mallory", 1)
    assert agents.verify().ok
