"""Every operation under every fault: a clear error or a row, never half of one, nothing stuck.

The table says what each cell does. Operations are run on copies of one small ledger under a clock
that stands still, so that "recorded" can mean: the file is the same as without the fault.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from samples import START

from budgetledger import AsyncLedger, Ledger
from budgetledger.errors import (
    BudgetExceededError,
    HoldAlreadyClosed,
    StoreBusy,
    StoreError,
    UnpricedWarning,
    UnrecordedWarning,
)
from budgetledger.storage import process_lock as _lock
from budgetledger.storage.process_lock import LockTimeout, ProcessLock
from budgetledger.storage.sqlite import connection as _sqlite
from budgetledger.testing import FakeClock

ROOT = Path(__file__).resolve().parents[2]

# `+` recorded   `.` nothing recorded   CLK ClockWarning   UNR UnrecordedWarning   ^C interrupted
# FULL, BUSY, RO: StoreFull, StoreBusy, StoreReadOnly   ERR any StoreError   HAC HoldAlreadyClosed
# An error without `+` recorded nothing; `-` cannot happen.
TABLE = """
            full  nospace ioerr commit int  int+  killed killed+ log  back ahead warn
hold        FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
settle      FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
release     FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
extend      FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    HAC   +
charge      FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     CLK+
adjust      FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     CLK+
set_budget  FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
set_parent  FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
freeze      FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     +
alert       FULL  FULL    ERR   ERR    ^C   ^C+   .      +       +    +    +     CLK+
stream      UNR   UNR     UNR   UNR    ^C   ^C+   .      +       +    +    +     +
can_afford  .     .       ERR   .      ^C   ^C    .      .       .    .    .     .
balance     .     .       ERR   .      ^C   ^C    .      .       .    .    .     .
holds       .     .       ERR   .      ^C   ^C    .      .       .    .    .     .
close       .     .       .     .      -    -     .      .       .    .    .     .

            readonly remount locked gone replaced exit on_alert with
hold        RO       RO      BUSY   ERR  ERR      +    +        +
settle      RO       RO      BUSY   ERR  ERR      +    +        +
release     RO       RO      BUSY   ERR  ERR      +    +        +
extend      RO       RO      BUSY   ERR  ERR      +    +        +
charge      RO       RO      BUSY   ERR  ERR      +    +        +
adjust      RO       RO      BUSY   ERR  ERR      +    +        +
set_budget  RO       RO      BUSY   ERR  ERR      +    +        +
set_parent  RO       RO      BUSY   ERR  ERR      +    +        +
freeze      RO       RO      BUSY   ERR  ERR      +    +        +
alert       RO       RO      BUSY   ERR  ERR      +    +        +
stream      UNR      UNR     UNR    UNR  UNR      +    +        +
can_afford  .        RO      .      .    .        .    .        .
balance     .        RO      .      .    .        .    .        .
holds       .        RO      .      .    .        .    .        .
close       .        .       .      .    .        .    .        UNR
"""
SHORT = {
    "StoreFull": "FULL", "StoreBusy": "BUSY", "StoreReadOnly": "RO", "ClockWarning": "CLK",
    "UnrecordedWarning": "UNR", "KeyboardInterrupt": "^C", "HoldAlreadyClosed": "HAC",
}  # fmt: skip


def _cells():
    for part in TABLE.strip("\n").split("\n\n"):
        faults, *rows = [line.split() for line in part.splitlines()]
        for operation, *outcomes in rows:
            yield from zip(faults, [operation] * len(faults), outcomes, strict=True)


CELLS = {(fault, operation): outcome for fault, operation, outcome in _cells()}
WRITES = [operation for (fault, operation), cell in CELLS.items() if fault == "log" and cell == "+"]


def cells(*faults):
    found = [(*at, cell) for at, cell in CELLS.items() if at[0] in faults and cell != "-"]
    return pytest.mark.parametrize(("fault", "operation", "expected"), found)


# -- the ledger, and what is done to it -----------------------------------------------------------

CHUNKS = [
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Hello"}}]},
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [],
     "usage": {"prompt_tokens": 1000, "completion_tokens": 200}},
]  # fmt: skip

OPERATIONS = {
    "hold": lambda case: case.ledger.hold("alice", 3, key="new"),
    "settle": lambda case: case.hold.settle("1.5"),
    "release": lambda case: case.hold.release(reason="not sent"),
    "extend": lambda case: case.hold.extend(3600),
    "charge": lambda case: case.ledger.charge("alice", cost="0.5", key="call"),
    "adjust": lambda case: case.ledger.adjust(case.paid, "-0.25", reason="credit", key="credit"),
    "set_budget": lambda case: case.ledger.set_budget("alice", 12, alert_at=(0.05, 1)),
    "set_parent": lambda case: case.ledger.set_parent("alice", "another team"),
    "freeze": lambda case: case.ledger.freeze("alice", reason="odd"),
    "alert": lambda case: case.ledger.charge("alice", cost=5, key="much"),
    "stream": lambda case: list(case.hold.stream(iter(CHUNKS))),
    "can_afford": lambda case: case.ledger.can_afford("alice", 3),
    "balance": lambda case: case.ledger.balance("alice"),
    "holds": lambda case: case.ledger.holds("alice"),
    "close": lambda case: case.ledger.close(),
}


def furnish(path, clock):
    with Ledger(path, clock=clock) as ledger:
        ledger.set_budget("*", 100, alert_at=(0.05,))
        ledger.set_budget("team", 50, alert_at=(0.1,))
        ledger.set_budget("alice", 10, alert_at=(0.5, 1))
        ledger.set_parent("alice", "team")
        ledger.charge("alice", cost=1, model="gpt-4o")
        ledger.hold("alice", 2, model="gpt-4o")


def begin(path, clock, **options):
    """A ledger in use, with the hold and the entry that operations are about."""
    ledger = Ledger(path, clock=clock, synchronous="NORMAL", **options)
    ledger.prices()  # as they are read at a call, and kept
    (hold,) = ledger.holds("alice")
    (paid,) = (entry.id for entry in ledger.entries("alice") if entry.kind == "charge")
    return SimpleNamespace(ledger=ledger, hold=hold, paid=paid, path=path, clock=clock)


def again(case, operation):
    """What a caller does who was told that nothing is recorded."""
    if operation == "stream":
        return case.hold.settle() if case.hold.closed_by is None else None
    return OPERATIONS[operation](case)


def dump(path):
    """All rows of all tables."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in tables
        }


@contextmanager
def copied(source):
    """A copy of the files in *source*, for a while; the path of the ledger among them."""
    with tempfile.TemporaryDirectory() as folder:
        yield copy(source, folder)


def copy(source, folder):
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return Path(folder) / "spend.db"


@cache
def reference(source, operation, now):
    """What the tables hold before *operation*, and after it where nothing is in its way."""
    with copied(source) as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clock = FakeClock(START)
        case = begin(path, clock)
        before = dump(path)
        clock.move_to(now)
        OPERATIONS[operation](case)
        case.ledger.close()
        return before, dump(path)


def outcome(run, before, after, read):
    """The cell for what *run* does: its error or warning, `+` if what should be recorded is."""
    raised = ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UnrecordedWarning)  # never raised
        try:
            run()
        except BaseException as error:
            name = type(error).__name__
            raised = SHORT.get(name, "ERR" if isinstance(error, StoreError) else repr(error))
    raised = " ".join([*{SHORT[told.category.__name__]: None for told in warned}, raised]).strip()
    now = read()
    if now not in (before, after):
        return f"{raised} half done: {now}"
    return f"{raised}+" if now != before else raised or "."


def same(found, expected):
    """Whether a cell is as expected; ERR stands for any error of the store."""
    return found == expected or (expected == "ERR" and found in ("FULL", "BUSY", "RO"))


def assert_done_once(case, operation, before, after):
    """Once the fault is over the caller tries again, and then it is recorded, once."""
    if operation in ("extend", "close") and dump(case.path) == after:
        return
    with suppress(HoldAlreadyClosed):
        again(case, operation)
    assert dump(case.path) == after


def assert_not_stuck(path, clock):
    """Whoever opens the ledger next finds it in order, and what is held comes back in time."""
    with warnings.catch_warnings(), Ledger(path, clock=clock, synchronous="NORMAL") as ledger:
        warnings.simplefilter("ignore")
        assert ledger.verify().ok, ledger.verify().problems
        ledger.unfreeze("alice")
        holds = ledger.holds("alice")
        if holds:
            last = max(hold.expires_at for hold in holds)
            clock.move_to(last - timedelta(microseconds=1))
            assert ledger.balance("alice").held > 0
            clock.move_to(last)
        assert ledger.balance("alice").held == 0
        left = ledger.balance("alice").available
        ledger.hold("alice", left).release()
        assert not ledger.can_afford("alice", left + Decimal("0.01"))
        assert ledger.verify().ok, ledger.verify().problems


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    furnish(folder / "spend.db", FakeClock(START))
    return folder


@pytest.fixture
def case(base, path, monkeypatch):
    """Begins on a copy of the small ledger; its connections can be made to fail."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Faulty))
    begun = []

    def case(source=base, now=START, **options):
        begun.append(begin(copy(source, path.parent), FakeClock(now), **options))
        return begun[-1]

    yield case
    Faulty.fault = None
    for one in begun:
        one.ledger.close()


# -- faults at statements -------------------------------------------------------------------------


class Faulty(sqlite3.Connection):
    """A connection on which statements meet a fault, before or after they are run."""

    fault = None
    only_reads = False

    def execute(self, statement, *parameters):
        self.only_reads |= statement == "PRAGMA query_only = ON"
        fault = Faulty.fault
        if fault is not None:
            fault.meet(self, statement, "before")
        cursor = super().execute(statement, *parameters)
        if fault is not None:
            fault.meet(self, statement, "after")
        return cursor


class Fault:
    """Strikes once: at the *nth* statement of those it concerns.

    What writes is struck where it writes: it may read prices before, and go on without them.
    """

    def __init__(self, strike, when, concerns, nth=0, operation=None):
        self.strike, self.when, self.concerns, self.left = strike, when, concerns, nth
        self.struck, self.writes = False, operation in WRITES

    def meet(self, connection, statement, when):
        if self.writes and connection.only_reads:
            return
        if not self.struck and when == self.when and self.concerns(connection, statement):
            self.struck = self.left == 0
            self.left -= 1
            if self.struck:
                self.strike(connection)


def failing(code, message):
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    raise error


def no_room(connection):
    if connection.in_transaction:  # as SQLite does by itself
        sqlite3.Connection.execute(connection, "ROLLBACK")
    failing(sqlite3.SQLITE_FULL, "database or disk is full")


def broken(connection):
    failing(sqlite3.SQLITE_IOERR, "disk I/O error")


def interrupted(connection):
    raise KeyboardInterrupt


def kill(connection):
    os.kill(os.getpid(), signal.SIGKILL)


def any_statement(connection, statement):
    return statement not in ("ROLLBACK", "COMMIT")


def committing(connection, statement):
    return statement == "COMMIT"


def committing_a_write(connection, statement):
    return statement == "COMMIT" and connection.total_changes > 0


def writing(connection, statement):
    return statement.startswith(("INSERT", "UPDATE", "DELETE")) or committing_a_write(
        connection, statement
    )


AT_STATEMENTS = {
    "full": (no_room, "before", writing),
    "ioerr": (broken, "before", any_statement),
    "commit": (broken, "before", committing_a_write),
    "int": (interrupted, "after", any_statement),
    "int+": (interrupted, "after", committing),
    "killed": (kill, "before", committing),
    "killed+": (kill, "after", committing),
}


@cells("full", "ioerr", "commit", "int", "int+")
def test_a_fault_at_each_statement(case, base, fault, operation, expected):
    before, after = reference(base, operation, START)
    struck = case()
    for nth in range(100):
        Faulty.fault = at = Fault(*AT_STATEMENTS[fault], nth, operation)
        found = outcome(
            lambda: OPERATIONS[operation](struck), before, after, partial(read, struck.path)
        )
        Faulty.fault = None
        if not at.struck:  # there was no such statement
            assert found == ("+" if operation in WRITES else ".")
            break
        assert same(found, expected), f"at statement {nth}"
        if "+" in expected:
            break
    assert nth > 0 or "+" in expected or expected == ".", "it has met no fault"
    assert_done_once(struck, operation, before, after)
    struck.ledger.close()
    assert_not_stuck(struck.path, struck.clock)


def read(path):
    """The tables as anybody sees them who is met by no fault."""
    fault, Faulty.fault = Faulty.fault, None
    try:
        return dump(path)
    finally:
        Faulty.fault = fault


def test_a_cost_is_recorded_though_prices_cannot_be_read(case):
    struck = case()

    def charge():
        Faulty.fault = Fault(broken, "before", any_statement)
        entry = struck.ledger.charge("alice", CHUNKS[-1])
        Faulty.fault = None
        return entry

    assert charge().cost == Decimal("0.0045")  # by prices as they were read last
    struck.ledger._journal.memory.books.clear()
    with pytest.warns(UnpricedWarning):
        assert charge().cost is None
    assert struck.ledger.verify().ok


def fail_at_commit(call):
    Faulty.fault = Fault(broken, "before", committing_a_write)
    with pytest.raises(StoreError):
        call()
    Faulty.fault = None


@pytest.mark.parametrize("through", ["the same ledger", "another"])
def test_settings_that_were_undone_are_forgotten(case, through):
    """Otherwise the next settings, which get the number of those, would be taken for them."""
    struck = case()
    ledger = struck.ledger
    other = ledger if through == "the same ledger" else Ledger(struck.path, clock=struck.clock)
    with other if other is not ledger else nullcontext():
        ledger.charge("team", cost=30)
        fail_at_commit(lambda: ledger.set_budget("alice", 1000, alert_at=(0.9,)))
        other.set_budget("alice", 7, alert_at=(0.9,))
        with pytest.raises(BudgetExceededError):
            ledger.hold("alice", 8)

        fail_at_commit(lambda: ledger.shift_window("team"))
        other.set_budget("team", 40)
        other.set_budget("alice", 100)
        with pytest.raises(BudgetExceededError):
            ledger.hold("alice", 9)
        ledger.hold("alice", 6)


def test_an_interrupt_in_a_callback_comes_through_and_takes_nothing_back(case, base):
    def on_alert(alert):
        raise KeyboardInterrupt

    before, after = reference(base, "alert", START)
    struck = case(on_alert=on_alert)
    assert run_once(struck, "alert", before, after) == "^C+"
    assert_done_once(struck, "alert", before, after)


class InterruptAtCall:
    """Ctrl-C arrives as the *nth* function in these modules begins, where Python raises it."""

    def __init__(self, modules, nth):
        self.modules, self.left, self.at = modules, nth, None

    def __call__(self, frame, event, argument):
        module = frame.f_globals.get("__name__", "").removeprefix("budgetledger.")
        begun = frame.f_code.co_name[0] != "<"  # a generator only goes on
        if module in self.modules and begun:
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                self.at = f"{module}: {frame.f_code.co_qualname}"
                raise KeyboardInterrupt


def wait_for_lock(struck):
    """Have waited for the file's lock, so that the steps of taking it in line are gone through."""
    other, lock = ProcessLock(f"{struck.path}.lock"), struck.ledger._journal.store._files.lock
    other.acquire()
    with pytest.raises(LockTimeout):
        lock.acquire(0.01)
    lock.release()
    other.release()
    while lock._waiter.is_waiting:
        time.sleep(0.001)
    other.close()


STEPS = {
    *("ledger", "holds", "verbs.hold_requests", "verbs.charging", "journal.journal"),
    *("journal.append", "journal.holding", "journal.posting", "storage.store", "storage.writer"),
}
LOCK = {"storage.process_lock"}


@pytest.mark.parametrize(
    ("modules", "least"),
    [(STEPS, 4), (LOCK, 2)],
    ids=["the steps of a call", "a lock that was waited for"],
)
@pytest.mark.parametrize("operation", ["hold", "settle", "release", "charge"])
def test_an_interrupt_at_each_call_leaves_no_lock_behind(base, operation, modules, least):
    before, after = reference(base, operation, START)
    for nth in range(1000):
        with copied(base) as path:
            struck = begin(path, FakeClock(START))
            if modules == LOCK:
                wait_for_lock(struck)
            interrupt = InterruptAtCall(modules, nth)
            traced = sys.gettrace()
            sys.settrace(interrupt)
            with suppress(KeyboardInterrupt):
                OPERATIONS[operation](struck)
            sys.settrace(traced)
            if interrupt.at is None:
                break
            assert dump(path) in (before, after), interrupt.at
            other = ProcessLock(f"{path}.lock")
            other.acquire(seconds=0.2)
            other.release()
            other.close()
            assert not struck.ledger._journal.store._writer.turn.locked(), interrupt.at
            assert not struck.ledger._journal.store._files.writing.in_transaction, interrupt.at
            assert_done_once(struck, operation, before, after)
            struck.ledger.close()
    assert nth >= least, "it was never interrupted"


# -- faults of the surroundings -------------------------------------------------------------------


def run_once(struck, operation, before, after):
    return outcome(lambda: OPERATIONS[operation](struck), before, after, partial(dump, struck.path))


@cells("readonly")
def test_a_file_that_may_only_be_read(case, base, fault, operation, expected):
    before, after = reference(base, operation, START)
    struck = case()
    execute = struck.ledger._journal.store._writer._connection.execute
    execute("PRAGMA query_only = ON")
    assert same(run_once(struck, operation, before, after), expected)
    if operation != "close":
        execute("PRAGMA query_only = OFF")
    assert_done_once(struck, operation, before, after)
    assert_not_stuck(struck.path, struck.clock)


@cells("locked")
def test_a_file_that_another_program_holds(case, base, monkeypatch, fault, operation, expected):
    monkeypatch.setattr(_sqlite, "BUSY_SECONDS", 0.05)
    before, after = reference(base, operation, START)
    struck = case()
    with closing(sqlite3.connect(struck.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert same(run_once(struck, operation, before, after), expected)
        other.execute("ROLLBACK")
    assert_done_once(struck, operation, before, after)
    assert_not_stuck(struck.path, struck.clock)


@cells("back", "ahead", "warn")
def test_a_clock_that_is_off(case, base, fault, operation, expected):
    off = START + (timedelta(days=40) if fault == "ahead" else timedelta(days=-1))
    reached = START if expected == "HAC" else off
    struck = case()
    struck.clock.move_to(off)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if fault == "warn" else "ignore")
        before, after = reference(base, operation, reached)
        assert run_once(struck, operation, before, after) == expected
    struck.ledger.close()
    struck.clock.move_to(START)
    assert_not_stuck(struck.path, struck.clock)


@cells("on_alert")
def test_a_callback_that_raises(case, base, fault, operation, expected):
    told = []

    def on_alert(alert):
        told.append(alert)
        raise LookupError

    before, after = reference(base, operation, START)
    struck = case(on_alert=on_alert)
    assert run_once(struck, operation, before, after) == expected
    assert bool(told) == (operation in ("alert", "set_budget"))
    assert_done_once(struck, operation, before, after)
    assert_not_stuck(struck.path, struck.clock)


@cells("with")
def test_an_exception_inside_the_with_block(case, base, fault, operation, expected):
    def inside(struck):
        with struck.ledger.hold("alice", 1) as struck.hold:
            OPERATIONS[operation](struck)
            raise LookupError

    with copied(base) as path:
        twin = begin(path, FakeClock(START))
        twin.hold = twin.ledger.hold("alice", 1)
        held = dump(path)
        OPERATIONS[operation](twin)
        if operation not in ("settle", "release", "stream", "close"):
            twin.hold.release()
        after = dump(path)
        twin.ledger.close()

    struck = case()
    with suppress(LookupError):
        found = outcome(lambda: inside(struck), held, after, partial(dump, struck.path))
    wanted = "UNR LookupError()" if expected == "UNR" else "LookupError()+"
    assert found == wanted
    assert_not_stuck(struck.path, struck.clock)


@cells("gone", "replaced")
def test_a_file_that_is_taken_away(case, base, fault, operation, expected):
    struck = case()
    files = [struck.path.with_name(struck.path.name + end) for end in ("", "-wal", "-shm")]
    for file in files:
        file.unlink(missing_ok=True)
    if fault == "replaced":
        shutil.copy(base / "spend.db", struck.path)
    found = outcome(lambda: OPERATIONS[operation](struck), None, None, lambda: None)
    assert same(found, expected)


REPLACED = """
import os, shutil, sys
from budgetledger import Ledger
path, other = sys.argv[1:]
ledger = Ledger(path)
ledger.charge("alice", cost=1)
for end in ("-wal", "-shm"):  # SQLite would read the one file's log into the other
    os.remove(path + end)
os.replace(other, path)
if os.fork() == 0:
    os._exit(0)
os.wait()
try:
    print(ledger.charge("alice", cost=2).account)
except Exception as error:
    print(type(error).__name__)
with Ledger(path) as found:
    print(found.balance("bob").posted)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_file_that_is_replaced_before_a_fork_mixes_nobody_up(path, tmp_path, elsewhere):
    other = tmp_path / "other.db"
    for name, place in (("alice", path), ("bob", other)):
        with Ledger(place) as ledger:
            ledger.set_budget(name, 10)
    charged, posted = elsewhere(REPLACED, path, other).split()
    assert charged in ("alice", "StoreError", "StoreNotFound")
    assert posted == "0.00", "bob paid for alice"


STOPPED = """
import os, signal, sys, time
from budgetledger import Ledger

def clock():
    if ledger is not None and ledger._journal.store._writer._connection.in_transaction:
        print("amid a write", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    return time.time_ns() // 1000

ledger = None
ledger = Ledger(sys.argv[1], clock=clock)
print(ledger.charge("alice", cost=1).id, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs to stop a process")
def test_a_process_that_was_stopped_amid_a_write_is_not_waited_for(
    path, launch, await_end, monkeypatch
):
    monkeypatch.setattr(_lock, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(_sqlite, "BUSY_SECONDS", 0.2)
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 10)
        stopped = launch(STOPPED, path)
        assert stopped.stdout.readline() == "amid a write\n"
        for call in (
            lambda: ledger.hold("alice", 1, key="new"),
            lambda: ledger.charge("alice", cost=1, key="call"),
        ):
            with pytest.raises(StoreBusy):
                call()
        assert ledger.balance("alice").posted == 0
        assert ledger.can_afford("alice", 10)

        stopped.send_signal(signal.SIGCONT)
        assert await_end(stopped) == "2\n"
        ledger.hold("alice", 9, key="new")
        assert not ledger.can_afford("alice", "0.01")
        assert ledger.verify() == (1, 3, ())


# -- faults that end the process, or need a disk of their own -------------------------------------

DRIVE = "import runpy, sys; runpy.run_path(sys.argv[1])['drive'](*sys.argv[2:])"


def driven(fault, base, folder, *before):
    """What `drive` found, operation by operation, in a process of its own."""
    done = subprocess.run(
        [*before, sys.executable, "-c", DRIVE, __file__, fault, str(base), str(folder)],
        capture_output=True, text=True, timeout=100, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/support")))},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def drive(fault, base, folder):
    """Let *fault* meet each operation, each on a ledger in a folder of its own."""
    warnings.simplefilter("error")
    sqlite3.connect = partial(sqlite3.connect, factory=Faulty)
    found = {}
    for operation in OPERATIONS:
        if (fault, operation) in CELLS:
            place = Path(folder) / f"{fault}-{operation}"
            place.mkdir()
            found[operation] = DRIVERS[fault](Path(base), place, operation)
    print(json.dumps(found))


def in_a_child(act):
    """How a forked process ended that did *act*."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # it hangs
        act()
        sys.exit(0)
    return os.waitpid(pid, 0)[1]


def kill_amid(fault, base, place, operation):
    def act():
        struck = begin(copy(base, place), FakeClock(START))
        if operation == "close" and fault == "killed":
            kill(None)
        Faulty.fault = Fault(*AT_STATEMENTS[fault], operation=operation)
        OPERATIONS[operation](struck)
        kill(None)

    return in_a_child(act)


def leave_a_log(base, place, operation):
    """Killed amid a write so large that half of it was in the log already."""

    def act():
        struck = begin(copy(base, place), FakeClock(START))
        struck.ledger.charge("team", cost=1)
        execute = struck.ledger._journal.store._writer._connection.execute
        execute("PRAGMA cache_size = 5")
        execute("BEGIN IMMEDIATE")
        for n in range(2000):
            execute("INSERT INTO projects (name) VALUES (?)", (f"{n:200}",))
        kill(None)

    return in_a_child(act)


def exit_amid(base, place, operation):
    """The interpreter exits while the operation still waits for the file."""

    def act():
        struck = begin(copy(base, place), FakeClock(START))
        other = sqlite3.connect(struck.path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Thread(target=OPERATIONS[operation], args=(struck,)).start()
        threading.Timer(0.1, other.execute, ("ROLLBACK",)).start()

    return in_a_child(act)


def no_room_left(base, place, operation):
    before, after = reference(base, operation, START)
    struck = begin(copy(base, place), FakeClock(START))
    with closing(sqlite3.connect(struck.path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    filler = place / "filler"
    with suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    found = run_once(struck, operation, before, after)
    filler.unlink()
    return found + mend(struck, operation, before, after)


def remounted(base, place, operation):
    before, after = reference(base, operation, START)
    struck = begin(copy(base, place), FakeClock(START))
    if operation != "close":
        in_a_child(lambda: os._exit(0))  # a fork closes the files; the next call opens them again
    else:
        struck.ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", place.parent], check=True)
    try:
        found = outcome(lambda: OPERATIONS[operation](struck), None, None, lambda: None)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place.parent], check=True)
    return found + mend(struck, operation, before, after)


def mend(struck, operation, before, after):
    try:
        assert_done_once(struck, operation, before, after)
        struck.ledger.close()
        assert_not_stuck(struck.path, struck.clock)
    except Exception as error:
        return f", and then {error!r}"
    return ""


DRIVERS = {
    "killed": partial(kill_amid, "killed"),
    "killed+": partial(kill_amid, "killed+"),
    "log": leave_a_log,
    "exit": exit_amid,
    "nospace": no_room_left,
    "remount": remounted,
}
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def ended(base, tmp_path_factory):
    """How the processes ended that a fault was to end, by operation; and where they worked."""
    found = {}

    def ended(fault, operation):
        if fault not in found:
            folder = tmp_path_factory.mktemp(fault)
            found[fault] = driven(fault, base, folder), folder
        statuses, folder = found[fault]
        return statuses[operation], folder / f"{fault}-{operation}"

    return ended


@forking
@cells("killed", "killed+", "exit")
def test_a_process_that_ends(base, ended, fault, operation, expected):
    status, place = ended(fault, operation)
    assert status == (0 if fault == "exit" else signal.SIGKILL)
    path, clock = place / "spend.db", FakeClock(START)
    before, after = reference(base, operation, START)
    assert outcome(lambda: None, before, after, partial(dump, path)) == expected
    if expected == "." and operation in WRITES:
        following = begin(path, clock)
        OPERATIONS[operation](following)
        following.ledger.close()
        assert dump(path) == after
    assert_not_stuck(path, clock)


@forking
@cells("log")
def test_the_log_of_a_killed_process(case, ended, fault, operation, expected):
    status, place = ended(fault, operation)
    assert status == signal.SIGKILL
    assert (place / "spend.db-wal").stat().st_size > 100_000, "nothing was left behind"
    before, after = reference(place, operation, START)
    struck = case(place)
    assert [entry.account for entry in struck.ledger.entries()][-1] == "team"
    assert run_once(struck, operation, before, after) == expected
    assert_done_once(struck, operation, before, after)
    struck.ledger.close()
    assert_not_stuck(struck.path, struck.clock)


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
SMALL_DISK = 'mount -t tmpfs -o size=2m tmpfs "$1" && shift && exec "$@"'


@pytest.fixture(scope="module")
def on_a_small_disk(base, tmp_path_factory):
    if CAN_MOUNT is None:
        pytest.skip("needs to mount a small disk of its own")
    found = {}

    def on_a_small_disk(fault, operation):
        if fault not in found:
            folder = tmp_path_factory.mktemp(fault)
            mounted = [*CAN_MOUNT, "sh", "-c", SMALL_DISK, "sh", str(folder)]
            found[fault] = driven(fault, base, folder, *mounted)
        return found[fault][operation]

    return on_a_small_disk


@cells("nospace", "remount")
def test_a_disk_that_takes_nothing(on_a_small_disk, fault, operation, expected):
    assert on_a_small_disk(fault, operation) == expected


QUEUED_BY_DAEMONS = """
import os, sys, threading
from budgetledger import Ledger
ledger = Ledger(sys.argv[1], synchronous="NORMAL")
ledger.set_budget("alice", 1000)
begun = threading.Barrier(5)

def pay():
    begun.wait()
    while True:
        hold = ledger.hold("alice", "0.01")
        os.write(1, b"%d\\n" % hold.id)
        os.write(1, b"%d\\n" % hold.settle("0.01").id)

for _ in range(4):
    threading.Thread(target=pay, daemon=True).start()
begun.wait()
ledger.charge("alice", cost="0.01")
"""


def test_daemons_that_are_paying_when_the_interpreter_exits(path, elsewhere):
    for _ in range(5):
        acknowledged = [int(line) for line in elsewhere(QUEUED_BY_DAEMONS, path).split()]
        with Ledger(path) as ledger:
            assert set(acknowledged) <= {entry.id for entry in ledger.entries()}
            assert ledger.verify().ok


# -- streams that are cut short -------------------------------------------------------------------

CUTS = ["left", "closed", "thrown into", "broken", "forgotten", "interrupted"]


class Source:
    """Gives the chunks out, until it breaks; `closed` once it was told to stop."""

    def __init__(self, breaks_at=None, error=LookupError):
        self.breaks_at, self.error, self.given, self.closed = breaks_at, error, 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.breaks_at:
            raise self.error
        if self.given == len(CHUNKS):
            raise StopIteration
        self.given += 1
        return CHUNKS[self.given - 1]

    def close(self):
        self.closed = True


def cut(hold, how, step):
    """Read *step* chunks of a stream, and then no more."""
    if how in ("broken", "interrupted"):
        error = LookupError if how == "broken" else KeyboardInterrupt
        source = Source(breaks_at=step, error=error)
    else:
        source = Source()
    chunks = hold.stream(source)
    for _ in range(step):
        next(chunks)
    if how == "closed":
        chunks.close()
    elif how == "thrown into":
        chunks.throw(LookupError)
    elif how in ("broken", "interrupted"):
        next(chunks)
    elif how == "forgotten":
        del chunks
    return source


@pytest.mark.parametrize("step", range(len(CHUNKS) + 1))
@pytest.mark.parametrize("how", CUTS)
def test_a_stream_that_is_cut_at_each_step(case, how, step):
    struck = case()
    source = None
    with suppress(LookupError, KeyboardInterrupt), struck.hold as hold:
        source = cut(hold, how, step)
    kind = "settle" if step else "release"
    assert hold.closed_by.kind == kind
    assert [entry.kind for entry in struck.ledger.entries("alice")].count(kind) == 1
    if step:
        assert hold.closed_by.cost > 0
        assert source is None or source.closed
    if step == len(CHUNKS):
        assert hold.closed_by.cost == Decimal("0.0045")
    struck.ledger.close()
    assert_not_stuck(struck.path, struck.clock)


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")
@pytest.mark.parametrize(
    ("strike", "raised"), [(broken, UnrecordedWarning), (interrupted, KeyboardInterrupt)]
)
@pytest.mark.parametrize("step", range(1, len(CHUNKS) + 1))
def test_a_stream_whose_settle_fails_is_settled_on_leaving(case, strike, raised, step):
    struck = case()
    with struck.hold as hold:
        chunks = hold.stream(iter(CHUNKS))
        for _ in range(step):
            next(chunks)
        Faulty.fault = Fault(strike, "before", writing)
        with (pytest.warns if issubclass(raised, Warning) else pytest.raises)(raised):
            chunks.close()
        assert hold.closed_by is None
    assert hold.closed_by is not None
    assert hold.closed_by.kind == "settle"
    struck.ledger.close()
    assert_not_stuck(struck.path, struck.clock)


# -- tasks that are cancelled ---------------------------------------------------------------------


class Gate:
    """Where a task waits to be cancelled."""

    def __init__(self):
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def pass_through(self):
        self.reached.set()
        await self.opened.wait()


async def use(ledger, gate, step):
    """Stream with a hold, and stop at the gate at *step*."""

    async def source():
        for n, chunk in enumerate(CHUNKS):
            if step == f"before chunk {n}":
                await gate.pass_through()
            yield chunk
        if step == "after the last chunk":
            await gate.pass_through()

    async with ledger.hold("alice", 1, model="gpt-4o") as hold:
        if step == "in the block":
            await gate.pass_through()
        elif step == "settling":
            gate.reached.set()
            await hold.settle("0.5")
        elif step == "releasing":
            gate.reached.set()
            await hold.release()
        elif step == "leaving":
            gate.reached.set()
        else:
            async for _ in hold.stream(source()):
                pass


STEPS = {
    **dict.fromkeys(
        ["asking", "in the block", "before chunk 0", "releasing", "leaving"], "release"
    ),
    **dict.fromkeys(["before chunk 1", "before chunk 2", "after the last chunk"], "settle"),
    "settling": "settle",
}
LOCKED = ("asking", "settling", "releasing", "leaving")  # these wait for the file


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(("step", "kind"), STEPS.items())
def test_a_task_cancelled_at_each_step(path, step, kind, times):
    async def cancelled():
        async with AsyncLedger(path) as ledger:
            await ledger.set_budget("alice", 10)
            gate = Gate()
            other = sqlite3.connect(path, isolation_level=None)
            if step == "asking":
                other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(use(ledger, gate, step))
            if step == "asking":
                await asyncio.sleep(0.05)
            else:
                await gate.reached.wait()
                if step in LOCKED:
                    other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.01)
            if step in LOCKED:
                other.execute("ROLLBACK")
            other.close()
            with suppress(asyncio.CancelledError):
                await task
            await ledger.set_budget("bob", 1)  # by then the file has taken what was before
            while await ledger.holds("alice"):
                await asyncio.sleep(0.01)
            assert await ledger.can_afford("alice", 9)

    asyncio.run(asyncio.wait_for(cancelled(), 20))
    with Ledger(path) as ledger:
        kinds = [entry.kind for entry in ledger.entries("alice")]
        # What was still queued may have been withdrawn.
        assert kinds == ["budget", "hold", kind] or (step, kinds) == ("asking", ["budget"])
        assert ledger.verify().ok
