"""A ledger moved from a file to a server and back: every row as it is, or none."""

import json
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from click.testing import CliRunner
from samples import RESPONSE, START

from budgetledger import Ledger
from budgetledger.cli import main
from budgetledger.errors import InvalidInput, StoreError
from budgetledger.ledger import ledger_on
from budgetledger.tables import metadata
from budgetledger.verbs import copying as _copying

TABLES = [table.name for table in metadata.sorted_tables]


def fill(ledger):
    """Rows of every kind, in two projects, two holds open."""
    other = ledger_on(ledger._journal.for_project("other"))
    ledger.set_budget("*", 100, alert_at=(0.01,))
    ledger.set_budget("alice", 10, per="month", timezone="Europe/Berlin")
    ledger.set_budget("alice", tokens=5, model="m'\"%s?:x")
    ledger.set_parent("alice", "team")
    kept = ledger.hold("alice", 2, model="é", key="k", tags={"job": "%s ? :x", "nul": "\0"})
    ledger.hold("alice", 4, model="n").settle("3.5")
    kept.extend(7200)
    ledger.adjust(ledger.charge("alice", cost=1, model="n"), -1, reason="credit: 100 %")
    ledger.shift_window("alice", reason="new plan")
    ledger.charge("alice", RESPONSE, model="my-alias", occurred_at=START - timedelta(days=3))
    ledger.freeze("alice", reason="audit")
    ledger.set_price("é-*", input="0.1", output=1, note="100 %s ?", all_projects=True)
    ledger.set_price("é-*", input="0.2", output=1)
    ledger.remove_price("é-*")
    other.set_budget("alice", 1)
    other.hold("alice", "0.5")
    late = ledger_on(ledger._journal.for_project("late"))
    late.set_budget("erin", 1)
    late.charge("erin", cost="0.25")
    late.set_budget("*", 7)
    for number in range(220):  # more than are copied at once
        other.charge("bob", cost="0.000000000001", model=f"m{number % 7}", tags={"n": number})


def contents(ledger):
    def operation(execute):
        return {
            name: sorted(execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in TABLES
        }

    return ledger._journal.store.read(operation)


@pytest.fixture
def source(database, clock):
    with Ledger(database.target, clock=clock) as ledger:
        with pytest.warns(UserWarning, match="bob"):
            fill(ledger)
        yield ledger


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def target(request, tmp_path):
    """What a ledger that is not there yet is opened by."""
    if request.param == "file":
        return tmp_path / "target.db"
    return request.getfixturevalue("new_schema")().target


def test_every_row_is_copied_as_it_is_and_the_copy_goes_on(source, target, clock):
    told = []
    with Ledger(target, clock=clock) as copy:
        found = _copying.copy(
            source._journal.store, copy._journal.store, lambda *done: told.append(done)
        )
        assert found == source.verify() == copy.verify()
        assert contents(copy) == contents(source)
        assert all(contents(source).values())
        (hold,) = copy.holds("alice")
        assert hold.entry.tags == {"job": "%s ? :x", "nul": "\0"}
        hold.settle("1.5")
        copy.unfreeze("alice")
        expected = ledger_on(source._journal.for_project("other")).charge("bob", cost=1)
        assert (
            ledger_on(copy._journal.for_project("other")).charge("bob", cost=1).cost
            == expected.cost
        )
        assert copy.set_price("é-*", input=3).id == 4
        assert copy.verify().ok
    total = told[-1][1]
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_back_and_forth_is_the_same(source, target, tmp_path, clock):
    with Ledger(target, clock=clock) as there, Ledger(tmp_path / "back.db", clock=clock) as back:
        _copying.copy(source._journal.store, there._journal.store)
        _copying.copy(there._journal.store, back._journal.store)
        assert contents(back) == contents(source)


def test_what_has_rows_is_not_copied_into(source, target):
    with Ledger(target) as copy:
        copy.set_budget("carol", 1)
        before = contents(copy)
        with pytest.raises(InvalidInput, match=r"holds rows already; nothing was copied; name an"):
            _copying.copy(source._journal.store, copy._journal.store)
        assert contents(copy) == before


@pytest.mark.parametrize("at", [0.1, 0.6, 1])
def test_a_copy_that_is_stopped_leaves_nothing(source, target, at):
    def stop(done, total):
        if done >= at * total:
            raise KeyboardInterrupt

    with Ledger(target) as copy:
        with pytest.raises(KeyboardInterrupt):
            _copying.copy(source._journal.store, copy._journal.store, stop)
        assert not any(contents(copy).values())
        _copying.copy(source._journal.store, copy._journal.store)
        assert copy.verify().ok


def test_a_ledger_that_is_not_in_order_is_not_copied(source, target, monkeypatch):
    monkeypatch.setattr(
        _copying.statements, "all_rows", with_another_note(_copying.statements.all_rows)
    )
    with Ledger(target) as copy:
        with pytest.raises(
            StoreError, match=r"failed verification.*nothing was copied; run `budgetl"
        ):
            _copying.copy(source._journal.store, copy._journal.store)
        assert not any(contents(copy).values())


def with_another_note(all_rows):
    def changed(table, columns, key):
        statement = all_rows(table, columns, key)
        return statement.replace(" note,", " 'changed',") if table == "entries" else statement

    return changed


@pytest.mark.postgres
def test_a_backup_of_a_server_is_a_file(common_schema, tmp_path, clock):
    with closing(Ledger(common_schema.target, clock=clock)) as ledger:
        with pytest.warns(UserWarning, match="bob"):
            fill(ledger)
        ledger.backup(tmp_path / "copy.db")
        with Ledger(tmp_path / "copy.db") as copy:
            assert contents(copy) == contents(ledger)
        with suppress(ZeroDivisionError), pytest.MonkeyPatch.context() as patch:
            patch.setattr(_copying, "verify", lambda *_: 1 / 0)
            ledger.backup(tmp_path / "failed.db")
        assert not list(tmp_path.glob("failed.db*"))
    common_schema.empty()


# -- the command -----------------------------------------------------------------------------------


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_the_command(source, target):
    entries = source.verify().entries
    told = run("copy", source._journal.store.path, target)
    assert told.startswith(f"copied and verified {entries:,} entries of 7 accounts from ")
    assert "ok" in run("verify", "--db", target)
    assert "holds rows already" in run("copy", source._journal.store.path, target, code=2)
    assert "into itself" in run("copy", target, target, code=2)
    assert "in memory ends" in run("copy", target, ":memory:", code=2)


def test_the_command_in_json(source, target):
    told = json.loads(run("copy", source._journal.store.path, target, "--json"))
    assert told.keys() == {"source", "target", "accounts", "entries"}


def test_a_source_that_is_not_there(target, tmp_path):
    assert "there is no ledger at" in run("copy", tmp_path / "missing.db", target, code=1)
    assert "there is no ledger at" in run("copy", target, tmp_path / "new.db", code=1)
    assert not (tmp_path / "new.db").exists()
