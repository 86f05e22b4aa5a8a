"""What may be found where a ledger shall be, and what opening it does then."""

import inspect
import os
import pickle
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from budgetledger import Ledger, errors
from budgetledger.errors import (
    InvalidInput,
    NotALedger,
    SchemaTooNew,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
)
from budgetledger.storage import schema as _migrate
from budgetledger.storage.sqlite import connection as _sqlite

# -- many at once -------------------------------------------------------------------------------

OPEN_TOGETHER = """
import multiprocessing, sys
import alembic.command
from budgetledger import Ledger

def open_and_charge(name, together):
    for turn in range(5):
        together.wait()
        with Ledger(f"{sys.argv[1]}-{turn}") as ledger:
            ledger.set_budget(name, 10)
            ledger.charge(name, cost="0.1")

fork = multiprocessing.get_context("fork")  # which imports once for all
together = fork.Barrier(8, timeout=120)
processes = [fork.Process(target=open_and_charge, args=(f"user-{n}", together)) for n in range(8)]
[process.start() for process in processes]
[process.join() for process in processes]
assert not any(process.exitcode for process in processes), "somebody failed"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_eight_processes_open_a_new_file_at_once(path, elsewhere):
    elsewhere(OPEN_TOGETHER, path)
    for turn in range(5):
        with Ledger(f"{path}-{turn}") as ledger:
            assert [ledger.balance(f"user-{n}").posted for n in range(8)] == [Decimal("0.1")] * 8
            assert ledger.verify() == (8, 16, ())


def test_eight_threads_open_a_new_file_at_once(tmp_path):
    failed = []

    def open_and_charge(path, together, name):
        try:
            together.wait()
            with Ledger(path, synchronous="NORMAL") as ledger:
                ledger.set_budget(name, 10)
                ledger.charge(name, cost="0.1")
        except Exception as error:
            failed.append(error)

    for turn in range(5):
        path, together = tmp_path / f"{turn}.db", threading.Barrier(8)
        threads = [
            threading.Thread(target=open_and_charge, args=(path, together, f"user-{n}"))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        with Ledger(path) as ledger:
            assert ledger.verify() == (8, 16, ())


OPEN_DIFFERENT_FILES = """
import sys, threading
from budgetledger import Ledger
failed = []

def open_and_charge(target, together):
    try:
        together.wait()
        with Ledger(target) as ledger:
            ledger.set_budget("alice", 1)
            assert ledger.verify().ok
    except BaseException as error:
        failed.append(error)

for turn in range(4):
    together = threading.Barrier(4)
    targets = [f"{sys.argv[1]}-{turn}-{n}" for n in range(3)] + [":memory:"]
    threads = [threading.Thread(target=open_and_charge, args=(t, together)) for t in targets]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
assert not failed, failed
"""


def test_threads_open_different_new_files_at_once(path, elsewhere):
    elsewhere(OPEN_DIFFERENT_FILES, path)


def test_a_link_leads_to_the_same_lock(path):
    link = path.with_name("link.db")
    link.symlink_to(path)
    with Ledger(path) as ledger, Ledger(link) as linked:
        ledger.set_budget("alice", 1)
        assert linked.path == ledger.path
    assert {file.name for file in path.parent.iterdir()} == {
        "link.db", "spend.db", "spend.db.lock",
    }  # fmt: skip


class Fetched(list):
    def fetchone(self):
        return self[0] if self else None

    def fetchall(self):
        return self


def test_a_file_that_becomes_a_ledger_while_it_is_looked_at_is_one(path, monkeypatch):
    monkeypatch.setattr(_sqlite, "BUSY_SECONDS", 0.1)

    class Looking(sqlite3.Connection):
        meanwhile = 0

        def execute(self, *statement):
            found = Fetched(super().execute(*statement))
            self.meanwhile += 1
            if self.meanwhile == 1:
                with suppress(StoreBusy):  # a look in one transaction lets nobody in
                    Ledger(path).close()
            return found

    with closing(sqlite3.connect(path, factory=Looking, isolation_level=None)) as connection:
        assert _migrate.revision(connection, str(path)) in (None, _migrate.HEAD)


# -- what is no ledger --------------------------------------------------------------------------


def database(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        for statement in statements:
            made.execute(statement)


def other_application(path, *statements):
    database(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", *statements)


def killed_application(path):
    """Its last rows are in the log still."""
    code = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE t (x)")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, path], check=True)


def newer(path, *statements):
    Ledger(path).close()
    database(path, "UPDATE alembic_version SET version_num = '9999'", *statements)


def newer_and_moved_here(path):
    newer(path, "PRAGMA journal_mode = DELETE")
    Path(f"{path}.lock").unlink()


def damaged(path, *statements):
    database(path, f"PRAGMA application_id = {_migrate.APPLICATION_ID}", *statements)


VERSIONS = "CREATE TABLE alembic_version (version_num TEXT)"
VERSION = f"INSERT INTO alembic_version VALUES ('{_migrate.HEAD}')"
ANOTHER = NotALedger, "another file"
UPGRADE = SchemaTooNew, "pip install -U budgetledger"
UNFIT = {  # how to make it; the error's class, and what it says to do
    "text": (lambda path: path.write_text("hello\n" * 900), *ANOTHER),
    "short text": (lambda path: path.write_text("hello\n"), *ANOTHER),
    "one byte": (lambda path: path.write_text("7"), *ANOTHER),
    "random": (lambda path: path.write_bytes(random.Random(1).randbytes(5000)), *ANOTHER),
    "other": (other_application, *ANOTHER),
    "other with Alembic": (lambda path: other_application(path, VERSIONS, VERSION), *ANOTHER),
    "other with an id": (
        lambda path: other_application(path, "PRAGMA application_id = 77"),
        *ANOTHER,
    ),
    "other, empty": (lambda path: database(path, "PRAGMA application_id = 77"), *ANOTHER),
    "other in WAL mode": (
        lambda path: other_application(path, "PRAGMA journal_mode = WAL"),
        *ANOTHER,
    ),
    "other, killed": (killed_application, *ANOTHER),
    "newer": (newer, *UPGRADE),
    "newer, moved here": (newer_and_moved_here, *UPGRADE),
    "damaged": (damaged, StoreError, ""),
    "damaged, no revision": (lambda path: damaged(path, VERSIONS), StoreError, ""),
    "folder": (lambda path: path.mkdir(), StoreNotFound, "name a file"),
}


@pytest.mark.parametrize("found", UNFIT)
def test_what_is_no_ledger_is_refused_and_left_alone(path, digest, found):
    make, kind, remedy = UNFIT[found]
    make(path)
    before = {file.name: digest(file) for file in path.parent.iterdir()}

    with pytest.raises(kind) as caught:
        Ledger(path)

    assert str(path) in str(caught.value)
    assert caught.value.target == str(path)
    assert remedy in str(caught.value)
    after = {file.name: digest(file) for file in path.parent.iterdir()}
    before.pop("spend.db-shm", None)  # an index over the log, which every reader renews
    after.pop("spend.db-shm", None)
    assert after == before


def test_a_missing_folder_is_not_made(tmp_path):
    path = tmp_path / "no" / "such" / "spend.db"
    with pytest.raises(StoreNotFound, match="mkdir -p") as caught:
        Ledger(path)
    assert caught.value.target == str(path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_ledger(path):
    path.touch()
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        assert ledger.verify().ok


# -- names and targets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "", "a\0b", b"spend.db",
        "mysql://localhost/spend", "http://localhost", "file://spend.db", "sqlite+aiosqlite:///x.db",
        "sqlite://spend.db",       # two slashes: a host, which SQLite has not
        "sqlite:///x.db?mode=ro",  # an option that would not be obeyed
    ],
)  # fmt: skip
def test_other_targets_are_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput):
        Ledger(target)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_url_keeps_its_password(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        Ledger("mysql://root:secret@localhost/spend")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a b", "100%", "100%25", "what?x=1", "a#b", "ключ-钥匙", "'\";--"]
)
def test_any_file_name_will_do(tmp_path, name):
    path = tmp_path / name
    with Ledger(path) as ledger:
        assert ledger.path == str(path)
    assert {file.name for file in tmp_path.iterdir()} == {name, f"{name}.lock"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("x.db", "{here}/x.db"),
        ("./x.db", "{here}/x.db"),
        (Path("x.db"), "{here}/x.db"),
        ("sqlite:///x.db", "{here}/x.db"),
        ("sqlite:///{here}/x.db", "{here}/x.db"),
        ("sqlite:///a%20b.db", "{here}/a b.db"),
        (":memory:", ":memory:"),
        ("sqlite://", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
    ],
)
def test_targets(tmp_path, monkeypatch, target, expected):
    monkeypatch.chdir(tmp_path)
    if isinstance(target, str):
        target = target.format(here=tmp_path)
    expected = expected.format(here=tmp_path)
    with Ledger(target) as ledger:
        ledger.set_budget("alice", 1)
        assert ledger.path == expected
    assert os.path.isfile(expected) == (expected != ":memory:")


# -- permissions --------------------------------------------------------------------------------


def test_new_files_are_for_their_owner_alone(path):
    inherited = os.umask(0)
    try:
        with Ledger(path) as ledger:
            ledger.set_budget("alice", 1)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(inherited)
    names = ["spend.db", "spend.db-shm", "spend.db-wal", "spend.db.lock"]
    assert modes == dict.fromkeys(names, 0o600)


# Root may write anything: the attempt is nobody's. What is imported late, is imported before.
AS_NOBODY = """
import os, sys
import alembic.command, alembic.config
from budgetledger import Ledger, errors
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Ledger(sys.argv[1])
except errors.BudgetledgerError as error:
    print(type(error).__name__, error, sep="|")
else:
    print("it opened|")
"""


@pytest.fixture
def shared_folder():
    """A folder that other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)
        os.chmod(folder, 0o777)


@pytest.mark.parametrize(
    ("found", "file_mode", "folder_mode"),
    [
        ("ledger", 0o444, 0o777),
        ("ledger", 0o666, 0o555),
        ("ledger", 0o444, 0o555),
        ("copy of a ledger", 0o444, 0o777),
        ("copy of a ledger", 0o666, 0o555),
        ("nothing", None, 0o555),
    ],
)
def test_what_cannot_be_written_is_refused(
    shared_folder, elsewhere, digest, found, file_mode, folder_mode
):
    path = shared_folder / "spend.db"
    if found != "nothing":
        Ledger(path).close()
        os.chmod(path, file_mode)
        lock = Path(f"{path}.lock")
        lock.unlink() if found == "copy of a ledger" else lock.chmod(0o666)
    os.chmod(shared_folder, folder_mode)
    before = digest(path), set(os.listdir(shared_folder))

    kind, _, message = elsewhere(AS_NOBODY, path).strip().partition("|")

    assert kind == StoreReadOnly.__name__, message
    assert str(path) in message
    assert "let this user write" in message
    assert (digest(path), set(os.listdir(shared_folder))) == before


# -- a full disk --------------------------------------------------------------------------------

# A disk of so many kilobytes, in a place that only this process sees.
ON_A_SMALL_DISK = """
mount -t tmpfs -o size="$1"k tmpfs "$2" && cd "$2" && exec "$3" -W error -c "$4" "$2"
"""
CAN_MOUNT = next(
    (
        command
        for command in (["unshare", "-rm"], ["sudo", "-n", "unshare", "-m"])
        if sys.platform == "linux"
        and subprocess.run(
            ["sh", "-c", f"{' '.join(command)} mount -t tmpfs tmpfs /mnt"],
            capture_output=True, check=False,
        ).returncode == 0
    ),
    None,
)  # fmt: skip


@pytest.fixture
def on_a_small_disk(tmp_path):
    if CAN_MOUNT is None:
        pytest.skip("needs to mount a small disk of its own")

    def run(kilobytes, code):
        arguments = ["sh", "-c", ON_A_SMALL_DISK, "sh", str(kilobytes), tmp_path, sys.executable]
        done = subprocess.run(
            [*CAN_MOUNT, *arguments, code],
            capture_output=True, text=True, timeout=30, env=os.environ, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("kilobytes", [4, 8, 40, 64])
def test_a_disk_too_small_for_a_new_ledger(on_a_small_disk, kilobytes):
    on_a_small_disk(
        kilobytes,
        """
import os, subprocess, sys
from budgetledger import Ledger
from budgetledger.errors import StoreFull
path = sys.argv[1] + "/spend.db"
try:
    Ledger(path)
except StoreFull as error:
    assert path in str(error) and "make room" in str(error), error
else:
    sys.exit("it opened")
subprocess.run(["mount", "-o", "remount,size=9m", sys.argv[1]], check=True)
with Ledger(path) as ledger:
    ledger.set_budget("alice", 1)
    assert ledger.verify() == (1, 1, ()), ledger.verify()
""",
    )


def test_a_disk_that_fills_up(on_a_small_disk):
    on_a_small_disk(
        256,
        """
import os, subprocess, sys, threading
from budgetledger import Ledger
from budgetledger.errors import StoreFull
path = sys.argv[1] + "/spend.db"
ledger = Ledger(path)
ledger.set_budget("alice", 1)
charged = refused = 0

def charge():
    global charged, refused
    try:
        while True:
            ledger.charge("alice", cost=1, tags={"words": "many" * 99})
            charged += 1
    except StoreFull as error:
        assert path in str(error) and "nothing was recorded" in str(error), error
        refused += 1

charge()
assert charged > 3
assert ledger.balance("alice").posted == charged
assert ledger.verify() == (1, 1 + charged, ())

threads = [threading.Thread(target=charge) for _ in range(8)]  # they wait for one transaction
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert refused == 9, refused
assert ledger.balance("alice").posted == charged

subprocess.run(["mount", "-o", "remount,size=9m", sys.argv[1]], check=True)
ledger.charge("alice", cost=1)
assert ledger.balance("alice").posted == charged + 1
ledger.close()
with Ledger(path) as ledger:
    assert ledger.verify() == (1, 2 + charged, ()), ledger.verify()
""",
    )


def test_a_file_that_may_not_grow(path):
    """The same where no disk can be mounted: SQLite's own limit stands in for the disk's."""
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        execute = ledger._journal.store._writer._connection.execute
        execute(f"PRAGMA max_page_count = {execute('PRAGMA page_count').fetchone()[0] + 2}")

        def charge_on():
            while True:
                ledger.charge("alice", cost=1, tags={"words": "many" * 99})

        with pytest.raises(StoreFull, match="nothing was recorded"):
            charge_on()
        posted = ledger.balance("alice").posted
        assert ledger.verify() == (1, 1 + posted, ())

        execute("PRAGMA max_page_count = 100000")
        ledger.charge("alice", cost=1)
        assert ledger.balance("alice").posted == posted + 1
        assert ledger.verify().ok


# -- others in the way --------------------------------------------------------------------------

HOLD_THE_WRITE_LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_program_holds(path, launch, await_end, monkeypatch):
    monkeypatch.setattr(_sqlite, "BUSY_SECONDS", 0.2)
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 10)
        other = launch(HOLD_THE_WRITE_LOCK, path)
        assert other.stdout.readline() == "held\n"

        Ledger(path).close()  # looking needs no lock
        with pytest.raises(StoreBusy, match="close it there and retry"):
            ledger.charge("alice", cost=1, key="k")
        assert ledger.balance("alice").posted == 0

        await_end(other)
        ledger.charge("alice", cost=1, key="k")
        assert ledger.verify() == (1, 2, ())


# -- errors and imports -------------------------------------------------------------------------

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, (Exception, Warning)) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_pickle(kind):
    error = kind("it is so; do this")
    error.__dict__.update(key="k", limit=Decimal("1.5"))

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert str(again) == str(error)
    assert again.args == error.args
    assert again.__dict__ == error.__dict__


def test_a_real_error_pickles_with_its_facts(path):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        ledger.charge("alice", cost=1, key="k")
        with pytest.raises(errors.IdempotencyConflict) as caught:
            ledger.charge("alice", cost=2, key="k")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.key, again.entry) == ("k", caught.value.entry)
    assert str(again) == str(caught.value)


HEAVY = {"alembic", "sqlalchemy", "sqlmodel", "tiktoken", "genai_prices", "click", "rich"}


@pytest.mark.parametrize(
    "code",
    [
        "import budgetledger",
        "from budgetledger import Ledger; Ledger(sys.argv[1]).close()",
        "from budgetledger import Ledger; Ledger(sys.argv[1]).charge('alice', cost=1)",
    ],
    ids=["import", "open", "charge"],
)
def test_what_is_not_imported(path, elsewhere, code):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
    listing = "print(*{name.partition('.')[0] for name in sys.modules})"
    found = elsewhere(f"import sys; {code}; {listing}", path)
    assert HEAVY.isdisjoint(found.split())
