"""Other processes, and a small ledger for them to work on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from budgetledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 240  # seconds that a process may take; only what hangs comes near it


def start(code, *argv, options=(), **popen):
    """Another Python that runs *code*; *argv* are its ``sys.argv[1:]``."""
    return subprocess.Popen(
        [sys.executable, *options, "-c", code, *map(str, argv)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        **popen,
    )


def finish(process):
    """What *process* wrote; it must have ended well, and in time."""
    try:
        output, errors = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        pytest.fail(f"it hangs, after writing: {output}{errors}")
    assert process.returncode == 0, f"it ended with {process.returncode}: {output}{errors}"
    return output


SQL = """
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
outcomes = []
for statement in json.load(sys.stdin):
    try:
        outcomes.append(database.execute(statement).fetchall())
    except sqlite3.Error as error:
        outcomes.append(str(error))
database.close()
print(json.dumps(outcomes, default=bytes.hex))
"""
DIGEST = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"


@pytest.fixture
def launch():
    """`start`, for a process that is killed if the test leaves it running."""
    running = []

    def launched(*args, **kwargs):
        running.append(start(*args, **kwargs))
        return running[-1]

    yield launched
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def elsewhere(launch):
    """Runs code in another process to its end and returns what it wrote."""
    return lambda *args, **kwargs: finish(launch(*args, **kwargs))


@pytest.fixture
def await_end():
    return finish


@pytest.fixture
def sql(launch):
    """Runs statements as any other program would: the rows of each, or its error's text."""

    def run(path, *statements):
        process = launch(SQL, path, options=("-I", "-S"))
        process.stdin.write(json.dumps(statements))
        return json.loads(finish(process))

    return run


@pytest.fixture
def digest(elsewhere):
    """The sha256 of a file, or None for a folder or nothing.

    Taken in another process: closing the file in this one would drop SQLite's locks on it.
    """

    def taken(path):
        return elsewhere(DIGEST, path, options=("-I", "-S")) if Path(path).is_file() else None

    return taken


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spend.db"


@pytest.fixture
def sample(path, sample_file):
    """A copy of ``sample_file``: its path."""
    return shutil.copy(sample_file, path)


@pytest.fixture(scope="session")
def sample_file(tmp_path_factory):
    """A ledger of twelve rows in two projects, closed; its path."""
    path = tmp_path_factory.mktemp("sample") / "spend.db"
    with Ledger(path) as ledger, Ledger(path, project="other") as other:
        ledger.set_budget("alice", "10", per="month")
        ledger.set_budget("bob", "10", per="day")
        ledger.charge("alice", cost="1.5", model="m", key="k1", tags={"feature": "search"})
        ledger.charge("bob", cost="2", model="m")
        ledger.charge("alice", cost="3", model="m")
        ledger.adjust(3, "-0.25", reason="credit")
        ledger.shift_window("alice", reason="new plan")
        ledger.charge("bob", cost="4", model="n")
        ledger.charge("alice", cost="5", model="n", key="k2")
        other.set_budget("carol", "10")
        other.charge("carol", cost="6", model="m", key="k1")
        other.charge("carol", cost="7", model="m")
    return path
