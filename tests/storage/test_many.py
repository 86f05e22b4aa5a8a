"""Many writers on one ledger: threads, processes, forks, some killed, some interrupted."""

import itertools
import os
import random
import signal
import sqlite3
import threading
from collections import deque
from decimal import Decimal

import pytest

from budgetledger import Ledger
from budgetledger.errors import IdempotencyConflict, StoreClosed
from budgetledger.storage.process_lock import NoLock
from budgetledger.storage.writer import Writer

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def assert_recorded(path, acknowledged):
    """All *acknowledged* entries of a cent each are there, and the totals are of what is."""
    with Ledger(path) as ledger:
        entries = {entry.id: entry for entry in ledger.entries()}
        charges = [entry for entry in entries.values() if entry.kind == "charge"]
        assert len(acknowledged) == len(set(acknowledged))
        assert set(acknowledged) <= entries.keys()
        posted = sum(ledger.balance(name).posted for name in {entry.account for entry in charges})
        assert posted == Decimal("0.01") * len(charges)
        found = ledger.verify()
        assert found.ok, found.problems
    return len(charges)


# -- threads and processes ----------------------------------------------------------------------

CHARGE = """
import os, sys, threading
from budgetledger import Ledger
path, synchronous, accounts, threads, times = sys.argv[1:]
ledger = Ledger(path, synchronous=synchronous)

def charge(n):
    for i in range(int(times)):
        account = "all" if i % 2 else f"user-{(n + i) % int(accounts)}"
        entry = ledger.charge(account, cost="0.01", model=f"m{n % 2}")
        os.write(1, b"%d\\n" % entry.id)  # whole lines, whoever else writes

workers = [threading.Thread(target=charge, args=(n,)) for n in range(int(threads))]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
ledger.close()
"""


def with_accounts(path, number=3):
    with Ledger(path) as ledger:
        for name in ("all", *(f"user-{n}" for n in range(number))):
            ledger.set_budget(name, 1)


@pytest.mark.parametrize(("synchronous", "times"), [("NORMAL", 50), ("FULL", 20)])
def test_threads_of_processes(path, launch, await_end, synchronous, times):
    with_accounts(path)
    processes = [launch(CHARGE, path, synchronous, 3, 3, times) for _ in range(4)]
    acknowledged = [int(line) for process in processes for line in await_end(process).split()]
    assert len(acknowledged) == 4 * 3 * times
    assert assert_recorded(path, acknowledged) == len(acknowledged)


def test_one_failing_among_threads_fails_alone(path):
    together = threading.Barrier(9)
    outcomes = {}

    def charge(n):
        together.wait()
        for i in range(20):
            key = "taken" if n % 3 == 0 else f"{n}-{i}"
            try:
                outcomes[n, i] = ledger.charge("alice", cost="0.01", key=key).idempotency_key
            except Exception as error:
                outcomes[n, i] = type(error)

    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        ledger.charge("alice", cost="5", key="taken")
        threads = [threading.Thread(target=charge, args=(n,)) for n in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert outcomes == {
            (n, i): IdempotencyConflict if n % 3 == 0 else f"{n}-{i}"
            for n, i in itertools.product(range(9), range(20))
        }
        assert ledger.balance("alice").posted == 5 + Decimal("0.01") * 6 * 20
        assert ledger.verify() == (1, 2 + 6 * 20, ())


# -- killed -------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_the_kill(path, launch):
    chance = random.Random()
    acknowledged = []
    with_accounts(path)
    for _ in range(8):
        writers = [launch(CHARGE, path, "NORMAL", 3, 3, 10_000) for _ in range(2)]
        for writer in writers:
            acknowledged += [int(writer.stdout.readline()) for _ in range(chance.randrange(1, 60))]
            writer.kill()
            # A last line that the kill cut short acknowledged nothing.
            written = writer.stdout.read()  # communicate would drop what readline has buffered
            writer.wait()
            acknowledged += map(int, written[: written.rfind("\n") + 1].split())
        assert_recorded(path, acknowledged)
    assert len(acknowledged) > 16


OPEN_SLOWLY = """
import sys
import alembic.command
from budgetledger import Ledger
print("ready", flush=True)
for n in range(1000):
    Ledger(f"{sys.argv[1]}-{n}").close()
    print(n, flush=True)
"""


def test_killed_while_making_a_ledger(path, launch):
    chance = random.Random()
    process = launch(OPEN_SLOWLY, path)
    assert process.stdout.readline() == "ready\n"
    for _ in range(chance.randrange(1, 4)):
        process.stdout.readline()
    threading.Event().wait(chance.uniform(0, 0.1))
    process.kill()
    process.communicate()
    for n in range(5):
        with Ledger(f"{path}-{n}") as ledger:
            ledger.set_budget("alice", 1)
            assert ledger.verify() == (1, 1, ())


# -- forked -------------------------------------------------------------------------------------

# Each acts as a process with a ledger open that forks; `child` is what the child does.
FORK = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork beside threads
import budgetledger.storage.sqlite.connection as sqlite
from budgetledger import Ledger

sqlite.BUSY_SECONDS = 3.0
path = sys.argv[1]
in_transaction = lambda: None

def clock():
    connection = ledger and ledger._journal.store._writer._connection
    if connection and connection.in_transaction:
        in_transaction()
    return time.time_ns() // 1000

ledger = None
ledger = Ledger(path, clock=clock)
ledger.set_budget("alice", 1)

def charge(times=1):
    for _ in range(times):
        os.write(1, b"%d\\n" % ledger.charge("alice", cost="0.01").id)

def fork(child):
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def reap(pid):
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"

def gate():
    readable, writable = os.pipe()
    return (lambda: os.read(readable, 1)), (lambda: os.write(writable, b"."))
"""

FORKS = {
    "both go on": """
charge(5)
children = [fork(lambda: charge(20)) for _ in range(3)]
charge(20)
for pid in children:
    reap(pid)
charge()
""",
    "the child closes": """
charge()
reap(fork(lambda: (charge(), ledger.close())))
charge(5)
""",
    "the child never uses it": """
charge()
reap(fork(lambda: ledger.close()))
charge(5)
""",
    "the parent closes": """
charge()
child_wrote, tell_parent = gate()
parent_closed, tell_child = gate()

def child():
    charge()
    tell_parent()
    parent_closed()
    charge(5)
    ledger.close()

pid = fork(child)
child_wrote()
charge()
ledger.close()
tell_child()
reap(pid)
""",
    "the parent closes and another comes": """
charge()
child_wrote, tell_parent = gate()
parent_went_on, tell_child = gate()

def child():
    charge()
    tell_parent()
    parent_went_on()
    charge(5)
    tell_parent()
    parent_went_on()
    charge(5)

pid = fork(child)
child_wrote()
ledger.close()
tell_child()
child_wrote()
import subprocess
other = "import sys; from budgetledger import Ledger; ledger = Ledger(sys.argv[1]);" \\
    "print(ledger.charge('alice', cost='0.01').id)"
print(subprocess.check_output([sys.executable, "-c", other, path], text=True), end="", flush=True)
tell_child()
reap(pid)
""",
    "the child opens its own": """
charge()
child_wrote, tell_parent = gate()
parent_closed, tell_child = gate()

def child():
    global ledger
    ledger = Ledger(path)
    charge()
    tell_parent()
    parent_closed()
    charge(5)
    ledger.close()

pid = fork(child)
child_wrote()
ledger.close()
tell_child()
reap(pid)
""",
    "amid a write": """
inside, go_on = threading.Event(), threading.Event()
in_transaction = lambda: (inside.set(), go_on.wait(9))
writer = threading.Thread(target=charge)
writer.start()
inside.wait()
in_transaction = lambda: None
threading.Timer(0.3, go_on.set).start()  # the fork may wait for it, or not
pid = fork(lambda: charge(5))
writer.join()
charge(5)
reap(pid)
""",
}


@forking
@pytest.mark.parametrize("story", FORKS)
def test_a_forked_ledger(path, elsewhere, story):
    acknowledged = [int(line) for line in elsewhere(FORK + FORKS[story], path).split()]
    assert assert_recorded(path, acknowledged) == len(acknowledged)


SESSION_THEN_FORK = """
from sqlalchemy import text
child_wrote, tell_parent = gate()
parent_closed, tell_child = gate()

def child():
    charge()
    tell_parent()
    parent_closed()
    charge(10)

with ledger.session() as session:
    session.exec(text("SELECT count(*) FROM entries")).all()
pid = fork(child)
child_wrote()
ledger.close()
tell_child()
reap(pid)
"""


@forking
def test_a_session_that_was_used_before_a_fork_leaves_nothing_open(path, elsewhere):
    acknowledged = [int(line) for line in elsewhere(FORK + SESSION_THEN_FORK, path).split()]
    assert len(acknowledged) == 11
    assert_recorded(path, acknowledged)


FORK_INSIDE_A_SESSION = """
from budgetledger.errors import StoreError

def child():
    for use in (charge, lambda: Ledger(path)):
        try:
            use()
        except StoreError as error:
            assert "close it before forking" in str(error), error
        else:
            raise AssertionError("it trusts locks that it does not hold")

with ledger.session():
    reap(fork(child))
charge(3)
"""


@forking
def test_a_child_of_a_fork_inside_a_session_is_refused(path, elsewhere):
    acknowledged = [int(line) for line in elsewhere(FORK + FORK_INSIDE_A_SESSION, path).split()]
    assert len(acknowledged) == 3
    assert_recorded(path, acknowledged)


REFUSED = """
from budgetledger.errors import StoreError
other = Ledger(path + ".other")
other.set_budget("alice", 1)
other.charge("alice", cost="0.01")
charge()

def child():
    signal.alarm(9)  # it hangs
    for shared in refused:
        try:
            shared.charge("alice", cost=1)
        except StoreError as error:
            assert "when this process was forked" in str(error), error
        else:
            raise AssertionError("it writes on its parent's connection")
    ledger.close()
    other.close()
"""

FORKS_THAT_CANNOT_WAIT = {
    "amid a write": """
refused = [ledger]
children = []
in_transaction = lambda: children or children.append(fork(child))
charge()
reap(children[0])
""",
    "interrupted while it waits for a reader": """
refused = [ledger, other]
reading, end = threading.Event(), threading.Event()

def read():
    with ledger._journal.store.reading_apart(), other._journal.store.reading_apart():
        reading.set()
        end.wait()

reader = threading.Thread(target=read)
reader.start()
reading.wait()
main = threading.main_thread().ident
threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
sys.unraisablehook = lambda raised: None  # that is where the interrupt ends
pid = fork(child)
reap(pid)
end.set()
reader.join()
""",
}


@forking
@pytest.mark.parametrize("story", FORKS_THAT_CANNOT_WAIT)
def test_a_child_of_a_fork_that_could_not_wait_is_refused(path, elsewhere, story):
    """Nobody else can write on what it shares with its parent, and lose it."""
    code = FORK + REFUSED + FORKS_THAT_CANNOT_WAIT[story] + "charge(3)"
    acknowledged = [int(line) for line in elsewhere(code, path).split()]
    assert assert_recorded(path, acknowledged) == len(acknowledged)


PARENT_KILLED_AMID_A_WRITE = """
inside = threading.Event()
in_transaction = lambda: (inside.set(), time.sleep(1))
threading.Thread(target=charge, daemon=True).start()
inside.wait()
in_transaction = lambda: None
parent = os.getpid()

def child():
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        time.sleep(0.01)
    signal.alarm(9)  # it hangs
    charge(5)
    print("done", flush=True)

fork(child)
time.sleep(20)
"""


@forking
def test_the_lock_of_a_killed_parent_is_free(path, launch):
    parent = launch(FORK + PARENT_KILLED_AMID_A_WRITE, path)
    lines = parent.communicate(timeout=30)[0].split()  # until the child ends too
    assert lines[-1:] == ["done"]
    assert_recorded(path, [int(line) for line in lines[:-1]])


PROCESSES = """
import multiprocessing, sys
from budgetledger import Ledger

def charge(path):
    with Ledger(path) as ledger:
        return [ledger.charge("alice", cost="0.01").id for _ in range(10)]

if __name__ == "__main__":
    ledger = Ledger(sys.argv[1])
    ledger.set_budget("alice", 1)
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        for ids in pool.map(charge, [sys.argv[1]] * 4):
            print(*ids, sep="\\n")
        pool.close()
        pool.join()
    print(ledger.charge("alice", cost="0.01").id)
    ledger.close()
"""


@forking
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(path, tmp_path, elsewhere, method):
    script = tmp_path / "script.py"
    script.write_text(PROCESSES)
    run = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"
    acknowledged = [int(line) for line in elsewhere(run, script, path, method).split()]
    assert len(acknowledged) == 41
    assert assert_recorded(path, acknowledged) == 41


# -- interrupted --------------------------------------------------------------------------------


class Interruptible(sqlite3.Connection):
    """Ctrl-C arrives while a statement runs: Python raises it when the statement is done."""

    interrupt_after = None

    def execute(self, statement, *parameters):
        cursor = super().execute(statement, *parameters)
        if statement == self.interrupt_after:
            self.interrupt_after = None
            raise KeyboardInterrupt
        return cursor


class InterruptedQueue(deque):
    """Ctrl-C arrives when the leader has taken all requests but has not begun."""

    interrupted = False

    def popleft(self):
        request = super().popleft()
        if not self and not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return request


@pytest.fixture
def connection(path):
    opened = sqlite3.connect(
        path, factory=Interruptible, isolation_level=None, check_same_thread=False
    )
    opened.execute("CREATE TABLE t (x)")
    yield opened
    opened.close()


def rows(path):
    """What another connection sees: what is committed."""
    reader = sqlite3.connect(path)
    try:
        return sorted(x for (x,) in reader.execute("SELECT x FROM t"))
    finally:
        reader.close()


INSERT = "INSERT INTO t VALUES (?)"


def writer_on(connection):
    writer = Writer(lambda: None)
    writer.attach(connection, NoLock())
    return writer


def inserting(value):
    def operation(execute):
        execute(INSERT, (value,))
        return value

    return operation


def run_together(writer, operations):
    """What became of each, all having queued while the turn was taken."""
    outcomes = {}

    def run(name):
        try:
            outcomes[name] = writer.run(operations[name])
        except BaseException as error:
            outcomes[name] = error

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in operations]
    with writer.turn:
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(writer._queue) < number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "somebody is stranded"
    return outcomes


def test_who_fails_in_a_common_transaction_undoes_only_their_own(path, connection):
    def failing(execute):
        execute(INSERT, ("half done",))
        raise LookupError

    operations = {name: inserting(name) for name in ("one", "two", "three")} | {"bad": failing}
    outcomes = run_together(writer_on(connection), operations)

    assert isinstance(outcomes.pop("bad"), LookupError)
    assert outcomes == {name: name for name in ("one", "two", "three")}
    assert rows(path) == ["one", "three", "two"]


@pytest.mark.parametrize(
    "moment", ["BEGIN IMMEDIATE", "SAVEPOINT one", INSERT, "RELEASE one", "COMMIT", "queue"]
)
def test_an_interrupted_leader_takes_nobody_with_it(path, connection, moment):
    writer = writer_on(connection)
    if moment == "queue":
        writer._queue = InterruptedQueue()
    connection.interrupt_after = moment
    names = ["one", "two", "three", "four"]

    outcomes = run_together(writer, {name: inserting(name) for name in names})

    (leader,) = (name for name in names if isinstance(outcomes[name], KeyboardInterrupt))
    followers = [name for name in names if name != leader]
    assert [outcomes[name] for name in followers] == followers
    assert [row for row in rows(path) if row != leader] == sorted(followers), "each once"
    assert rows(path).count(leader) <= 1
    assert not connection.in_transaction
    assert writer.run(inserting("later")) == "later"


@pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", INSERT, "COMMIT"])
def test_an_interrupted_caller_leaves_the_ledger_usable(path, connection, moment):
    writer = writer_on(connection)
    connection.interrupt_after = moment
    with pytest.raises(KeyboardInterrupt):
        writer.run(inserting("mine"))

    assert not connection.in_transaction
    assert writer.run(inserting("later")) == "later"
    assert rows(path) in (["later"], ["later", "mine"])


def test_who_is_interrupted_while_waiting_writes_nothing_later(path, connection):
    class Interrupted:
        def locked(self):
            return True

        def acquire(self, blocking=True):
            if blocking:
                raise KeyboardInterrupt
            return False

        def __enter__(self):
            raise KeyboardInterrupt

        def __exit__(self, *error): ...

    writer = writer_on(connection)
    turn, writer.turn = writer.turn, Interrupted()
    with pytest.raises(KeyboardInterrupt):
        writer.run(inserting("given up"))
    writer.turn = turn

    assert writer.run(inserting("later")) == "later"
    assert rows(path) == ["later"]


INTERRUPTED_WHILE_BUSY = """
import os, signal, sys, threading, time
from budgetledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.set_budget("alice", 1)
import sqlite3
other = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
other.execute("BEGIN IMMEDIATE")

def interrupt_then_let_go():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    other.execute("ROLLBACK")

threading.Thread(target=interrupt_then_let_go).start()
try:
    ledger.charge("alice", cost="0.01")
    sys.exit("not interrupted")
except KeyboardInterrupt:
    pass
print(ledger.charge("alice", cost="0.01").id)
"""


def test_a_real_interrupt_while_another_program_holds_the_file(path, elsewhere):
    acknowledged = [int(line) for line in elsewhere(INTERRUPTED_WHILE_BUSY, path).split()]
    assert_recorded(path, acknowledged)


INTERRUPTED_WHILE_READING = """
import random, signal, sys, threading
from budgetledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.set_budget("alice", 1)
signal.signal(signal.SIGALRM, signal.default_int_handler)
busy = [threading.Thread(target=lambda: [ledger.balance("alice") for _ in range(3000)])
        for _ in range(2)]
[thread.start() for thread in busy]
interrupts = 0
while interrupts < 60:
    try:
        # And again, should it come in a callback of the collector, which swallows it.
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.01), 0.5)
        while True:
            ledger.balance("alice")
    except KeyboardInterrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(ledger.charge("alice", cost="0.01").id)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_interrupted_reads_leave_the_ledger_readable(path, elsewhere):
    elsewhere(INTERRUPTED_WHILE_READING, path)
    assert assert_recorded(path, []) == 1


CHARGED_AT_EXIT = """
import atexit, sys
atexit.register(lambda: ledger.charge("alice", cost="0.01"))  # before the library's own hook
from budgetledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.set_budget("alice", 1)
"""


def test_what_is_charged_while_the_interpreter_exits_is_recorded(path, elsewhere):
    elsewhere(CHARGED_AT_EXIT, path)
    assert assert_recorded(path, []) == 1


# -- closed -------------------------------------------------------------------------------------

USES = {
    "charge": lambda ledger, path: ledger.charge("alice", cost=1),
    "set_budget": lambda ledger, path: ledger.set_budget("alice", 2),
    "balance": lambda ledger, path: ledger.balance("alice"),
    "entries": lambda ledger, path: list(ledger.entries("alice")),
    "verify": lambda ledger, path: ledger.verify(),
    "backup": lambda ledger, path: ledger.backup(f"{path}.copy"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("in_memory", [False, True])
def test_use_after_close(path, use, in_memory):
    ledger = Ledger(":memory:" if in_memory else path)
    ledger.set_budget("alice", 1)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreClosed, match=r"open it again with Ledger\(\.\.\.\)"):
        USES[use](ledger, path)
    assert {file.name for file in path.parent.iterdir()} <= {"spend.db", "spend.db.lock"}


CLOSE_AMID_USE = """
import sys, threading, time
from budgetledger import Ledger
from budgetledger.errors import StoreClosed
ended = []

def use(action):
    try:
        while True:
            action()
    except StoreClosed:
        pass
    except BaseException as error:
        ended.append(error)

for n in range(4):
    ledger = Ledger(f"{sys.argv[1]}-{n}", synchronous="NORMAL")
    ledger.set_budget("alice", 1)
    for _ in range(50):
        ledger.charge("alice", cost="0.01")
    actions = [
        lambda: ledger.charge("alice", cost="0.01"),
        lambda: ledger.charge("alice", cost="0.01"),
        lambda: ledger.balance("alice"),
        lambda: list(ledger.entries("alice")),
        *([ledger.verify] if sys.argv[2] == "verify" else []),
    ]
    threads = [threading.Thread(target=use, args=(action,)) for action in actions]
    [thread.start() for thread in threads]
    time.sleep(0.01)
    ledger.close()
    [thread.join(20) for thread in threads]
    assert not any(thread.is_alive() for thread in threads), "somebody still waits"
    with Ledger(ledger.path) as ledger:
        assert ledger.verify().ok
assert not ended, ended
"""


@pytest.mark.parametrize("others", ["charge and read", "verify"])
def test_closing_while_others_use_it(path, elsewhere, others):
    elsewhere(CLOSE_AMID_USE, path, others, options=("-X", "faulthandler"))


CLOSED_BY_THE_COLLECTOR = """
import gc, sys, time
from budgetledger import Ledger

def clock():
    if armed and ledger._journal.store._writer._connection.in_transaction:
        gc.collect()
    return time.time_ns() // 1000

class Holder: ...

gc.disable()
armed = False
ledger = Ledger(sys.argv[1], clock=clock)
ledger.set_budget("alice", 1)
holder = Holder()
holder.itself, holder.ledger = holder, Ledger(sys.argv[1])
holder.ledger.charge("alice", cost="0.01")
del holder
armed = True
ledger.charge("alice", cost="0.01")
"""


def test_a_forgotten_ledger_is_collected_amid_a_write_of_another(path, launch, await_end):
    await_end(launch(CLOSED_BY_THE_COLLECTOR, path))
    assert assert_recorded(path, []) == 2


EXIT_WITHOUT_CLOSE = """
import os, sys, threading
from budgetledger import Ledger
ledger = Ledger(sys.argv[1], synchronous=sys.argv[2])
ledger.set_budget("alice", 1)

def charge():
    for _ in range(10):
        os.write(1, b"%d\\n" % ledger.charge("alice", cost="0.01").id)

threads = [threading.Thread(target=charge) for _ in range(2)]  # the exit waits for them
[thread.start() for thread in threads]
charge()
forgotten = Ledger(sys.argv[1])
forgotten.balance("alice")
forgotten.itself = forgotten
"""


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_exit_without_close(path, launch, await_end, synchronous):
    process = launch(EXIT_WITHOUT_CLOSE, path, synchronous, options=("-W", "error", "-X", "dev"))
    written, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    acknowledged = [int(line) for line in written.split()]
    assert assert_recorded(path, acknowledged) == len(acknowledged) == 30
    assert {file.name for file in path.parent.iterdir()} == {"spend.db", "spend.db.lock"}


# -- in memory ----------------------------------------------------------------------------------

IN_MEMORY = """
import sys
from budgetledger import Ledger
ledger = Ledger(":memory:")
ledger.set_budget("alice", 1)
ledger.charge("alice", cost="0.01")
ledger.backup(sys.argv[1])
"""


def test_a_ledger_in_memory_is_backed_up(path, elsewhere):
    elsewhere(IN_MEMORY, path)
    assert assert_recorded(path, []) == 1
