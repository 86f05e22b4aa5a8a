"""The queue of writes: waiting ends, tasks and threads share it, and nothing in it is lost."""

import asyncio
import os
import signal
import sqlite3
import threading
from contextlib import contextmanager

import pytest

from budgetledger import Ledger
from budgetledger.errors import StoreBusy, StoreClosed
from budgetledger.storage import on_demand_thread as _helper
from budgetledger.storage import process_lock as _lock
from budgetledger.storage.process_lock import LockTimeout, NoLock, ProcessLock
from budgetledger.storage.sqlite.store import FileStore
from budgetledger.storage.writer import Writer

SOON = 120  # seconds; only what hangs comes near it


def wait_until(condition):
    for _ in range(SOON * 1000):
        if condition():
            return
        threading.Event().wait(0.001)
    pytest.fail("it never comes to pass")


def join(*threads):
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive(), "somebody is stranded"


# -- waiting for another process ----------------------------------------------------------------


@contextmanager
def held(path):
    """Somebody else holds the lock; not for ever, should somebody wait for ever."""
    other = ProcessLock(path)
    other.acquire()
    timer = threading.Timer(SOON, other.release)
    timer.start()
    try:
        yield other
    finally:
        timer.cancel()
        other.release()
        other.close()


@pytest.fixture
def lock(path):
    opened = ProcessLock(f"{path}.lock")
    yield opened
    opened.release()
    opened.close()


@pytest.fixture(params=["with a thread", "without"])
def threads_start(request, monkeypatch):
    """Threads can be started, or cannot, as while the interpreter exits."""

    def refused(*arguments):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    if request.param == "without":
        monkeypatch.setattr(_helper, "start_new_thread", refused)
    return request.param == "with a thread"


@pytest.mark.usefixtures("threads_start")
def test_waiting_for_the_lock_ends(path, lock):
    with held(f"{path}.lock"):
        for _ in range(3):
            with pytest.raises(LockTimeout):
                lock.acquire(0.05)
            lock.release()
    lock.acquire(SOON)


@pytest.mark.usefixtures("threads_start")
def test_waiting_for_the_lock_ends_when_it_is_given_back(path, lock):
    with held(f"{path}.lock") as other:
        threading.Timer(0.1, other.release).start()
        lock.acquire(SOON)
        lock.release()


def test_a_lock_that_comes_too_late_is_given_straight_back(path, lock):
    with held(f"{path}.lock"):
        with pytest.raises(LockTimeout):
            lock.acquire(0.05)
        lock.release()
    third = ProcessLock(f"{path}.lock")
    third.acquire(SOON)
    with pytest.raises(LockTimeout):
        lock.acquire(0.05)
    third.release()
    third.close()


def test_a_lock_that_was_closed_while_waiting_is_given_back_too(path):
    lock = ProcessLock(f"{path}.lock")
    with held(f"{path}.lock"):
        with pytest.raises(LockTimeout):
            lock.acquire(0.05)
        lock.release()
        lock.close()
    third = ProcessLock(f"{path}.lock")
    third.acquire(SOON)
    third.release()
    third.close()


def test_who_waits_again_shares_no_turn_with_who_waits_still(path, lock, monkeypatch):
    """The thread in line may be late to notice that it has the lock."""
    late, taking = threading.Event(), _lock._lock

    def take(descriptor, how):
        taking(descriptor, how)
        if how == _lock._TAKE:
            late.wait(SOON)

    monkeypatch.setattr(_lock, "_lock", take)
    with held(f"{path}.lock"):
        with pytest.raises(LockTimeout):
            lock.acquire(0.05)
        lock.release()
    again = threading.Thread(target=lock.acquire, args=(SOON,), daemon=True)
    again.start()
    threading.Timer(0.1, late.set).start()
    join(again)
    wait_until(lambda: not lock._waiter.is_waiting)
    third = ProcessLock(f"{path}.lock")
    with pytest.raises(LockTimeout):
        third.acquire(0.05)
    third.release()
    third.close()


STOPPED = """
import os, signal, sys, time
from budgetledger import Ledger

def clock():
    connection = ledger and ledger._journal.store._writer._connection
    if connection and connection.in_transaction and not stops:
        stops.append(1)
        print("stops", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    return time.time_ns() // 1000

ledger, stops = None, [1]
ledger = Ledger(sys.argv[1], clock=clock)
ledger.charge("alice", cost="0.01")
stops.clear()
print(ledger.charge("alice", cost="0.01").id)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_process_that_was_stopped_amid_a_write_is_not_waited_for(
    path, launch, await_end, monkeypatch
):
    monkeypatch.setattr(_lock, "PATIENCE_SECONDS", 0.3)
    with Ledger(path) as ledger, Ledger(path) as second:
        ledger.set_budget("alice", 1)
        process = launch(STOPPED, path)
        assert process.stdout.readline() == "stops\n"
        timer = threading.Timer(SOON, process.send_signal, [signal.SIGCONT])
        timer.start()

        with pytest.raises(StoreBusy, match=r"resume or end that process .* and retry"):
            ledger.charge("alice", cost="0.01", key="k")
        with pytest.raises(StoreBusy):
            asyncio.run(ledger._journal.store.awrite(lambda execute: None))
        monkeypatch.setattr("budgetledger.storage.sqlite.store._CLOSING_SECONDS", 0.3)
        second.close()

        timer.cancel()
        process.send_signal(signal.SIGCONT)
        await_end(process)
        monkeypatch.setattr(_lock, "PATIENCE_SECONDS", SOON)
        ledger.charge("alice", cost="0.01", key="k")
        assert ledger.verify() == (1, 4, ())


INTERRUPTED_WHILE_LOCKED = """
import os, signal, sys, threading, time
from budgetledger import Ledger
from budgetledger.storage.process_lock import ProcessLock
ledger = Ledger(sys.argv[1])
ledger.set_budget("alice", 1)
other = ProcessLock(sys.argv[1] + ".lock")
other.acquire()
main = threading.main_thread().ident
threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
try:
    ledger.charge("alice", cost="0.01")
    sys.exit("not interrupted")
except KeyboardInterrupt:
    pass
other.release()
line = ledger._journal.store._files.lock._waiter
for _ in range(9000):
    if line.is_waiting:
        time.sleep(0.001)
other.acquire(9)  # the interrupted one does not keep it
other.release()
print(ledger.charge("alice", cost="0.01").id)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs pthread_kill")
def test_who_is_interrupted_while_waiting_for_the_lock_leaves_the_line(path, elsewhere):
    assert elsewhere(INTERRUPTED_WHILE_LOCKED, path).split() == ["2"]
    with Ledger(path) as ledger:
        assert ledger.verify() == (1, 2, ())


# -- a writer by itself -------------------------------------------------------------------------

INSERT = "INSERT INTO t VALUES (?)"


class Interruptible(sqlite3.Connection):
    """Ctrl-C arrives while a statement runs: Python raises it when the statement is done."""

    interrupt_after = None

    def execute(self, statement, *parameters):
        cursor = super().execute(statement, *parameters)
        if statement == self.interrupt_after:
            self.interrupt_after = None
            raise KeyboardInterrupt
        return cursor


@pytest.fixture
def connection(path):
    opened = sqlite3.connect(
        path, factory=Interruptible, isolation_level=None, check_same_thread=False
    )
    opened.execute("CREATE TABLE t (x)")
    yield opened
    opened.close()


def writer_on(connection, lock=None):
    writer = Writer(lambda: None)
    writer.attach(connection, lock or NoLock())
    return writer


def inserting(value):
    def operation(execute):
        execute(INSERT, (value,))
        return value

    return operation


def failing(execute):
    execute(INSERT, ("half done",))
    raise LookupError("mine")


def rows(path):
    """What another connection sees: what is committed."""
    reader = sqlite3.connect(path)
    try:
        return [x for (x,) in reader.execute("SELECT x FROM t ORDER BY rowid")]
    finally:
        reader.close()


def run_in_thread(writer, operation, outcomes):
    """Starts a thread that runs *operation*; what became of it is appended to *outcomes*."""

    def run():
        try:
            outcomes.append(writer.run(operation))
        except BaseException as error:
            outcomes.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def queue_in_thread(writer, operation, outcomes):
    """The same, and waits until it has its place in the queue."""
    place = len(writer._queue)
    thread = run_in_thread(writer, operation, outcomes)
    wait_until(lambda: len(writer._queue) > place)
    return thread


def test_who_is_interrupted_while_being_chosen_to_lead_leads_no_more(path, connection):
    class Chosen(dict):
        """Ctrl-C arrives while the leader is chosen: Python raises it when that is done."""

        def setdefault(self, *chosen):
            super().setdefault(*chosen)
            raise KeyboardInterrupt

    writer, outcomes = writer_on(connection), []
    writer._next = Chosen()
    with pytest.raises(KeyboardInterrupt):
        writer.run(inserting("interrupted"))
    writer._next = dict(writer._next)

    join(run_in_thread(writer, inserting("another"), outcomes))
    assert writer.run(inserting("the same")) == "the same"
    assert (outcomes, rows(path)) == (["another"], ["another", "the same"])


@pytest.mark.parametrize("first", ["queued", "alone"])
def test_who_waits_behind_a_leader_shares_its_timeout(connection, first):
    attempts, outcomes, threads = [], [], []

    class Held(NoLock):
        def acquire(self, seconds=None):
            attempts.append(1)
            wait_until(lambda: len(writer._queue) == 4)  # who comes meanwhile waits as well
            raise LockTimeout

    writer = writer_on(connection, Held())
    if first == "queued":
        with writer.turn:
            threads += [queue_in_thread(writer, inserting(n), outcomes) for n in range(4)]
    else:
        threads.append(run_in_thread(writer, inserting("alone"), outcomes))
        wait_until(lambda: attempts)
        threads += [run_in_thread(writer, inserting(n), outcomes) for n in range(4)]
    join(*threads)

    assert len(attempts) == 1
    assert {type(outcome) for outcome in outcomes} == {LockTimeout}
    writer.attach(connection, NoLock())
    assert writer.run(inserting("later")) == "later"


def test_nobody_overtakes_who_waits_for_the_turn(path, connection):
    writer, outcomes = writer_on(connection), []
    writer._next["leader"] = "has been woken, but does not run yet"
    threads = [queue_in_thread(writer, inserting(n), outcomes) for n in range(2)]
    assert not writer.turn.locked()
    writer._lead()
    join(*threads)
    assert sorted(outcomes) == rows(path) == [0, 1]


def test_who_is_alone_and_interrupted_at_the_turn_passes_it_on(path, connection):
    writer, outcomes, threads = writer_on(connection), [], []
    turn = writer.turn

    class Interrupted:
        def locked(self):
            return False

        def __enter__(self):
            writer.turn = turn
            threads.append(queue_in_thread(writer, inserting("other"), outcomes))
            raise KeyboardInterrupt

        def __exit__(self, *error): ...

    writer.turn = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        writer.run(inserting("interrupted"))
    join(*threads)
    assert outcomes == rows(path) == ["other"]


def test_more_than_one_transaction_may_hold(path, connection):
    writer = writer_on(connection)

    async def all_at_once():
        written = asyncio.gather(*(writer.arun(inserting(n)) for n in range(1000)))
        return await asyncio.wait_for(written, SOON)

    assert asyncio.run(all_at_once()) == list(range(1000)) == rows(path)


def test_tasks_have_their_own_outcomes_and_wake_their_loop_once(path, connection):
    writer, wakes = writer_on(connection), []

    async def together():
        loop = asyncio.get_running_loop()
        original = loop.call_soon_threadsafe

        def counted(*arguments):
            wakes.append(1)
            return original(*arguments)

        loop.call_soon_threadsafe = counted
        operations = [failing if n % 3 == 0 else inserting(n) for n in range(30)]
        with writer.turn:  # held: the loop goes on all the same
            tasks = [asyncio.create_task(writer.arun(operation)) for operation in operations]
            await asyncio.sleep(0.01)
            assert len(writer._queue) == 30
            assert not any(task.done() for task in tasks)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)

    outcomes = asyncio.run(together())

    assert [type(outcome) for outcome in outcomes[::3]] == [LookupError] * 10
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == rows(path)
    assert len(rows(path)) == 20
    assert len(wakes) == 1


def test_a_cancelled_task_does_not_withdraw_what_it_queued(path, connection):
    writer = writer_on(connection)

    async def cancelled():
        with writer.turn:
            one = asyncio.create_task(writer.arun(inserting("one")))
            two = asyncio.create_task(writer.arun(inserting("two")))
            await asyncio.sleep(0)
            one.cancel()
            await asyncio.sleep(0)
        assert await asyncio.wait_for(two, SOON) == "two"
        assert one.cancelled()

    asyncio.run(cancelled())
    assert rows(path) == ["one", "two"]


def test_a_loop_that_has_gone_is_nobody_to_tell(path, connection):
    writer = writer_on(connection)
    writer.turn.acquire()
    loop = asyncio.new_event_loop()
    task = loop.create_task(writer.arun(inserting("one")))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    writer.turn.release()

    assert writer.run(inserting("two")) == "two"
    assert rows(path) == ["one", "two"]


def test_an_operation_may_raise_anything_without_stranding_the_tasks(path, connection):
    writer = writer_on(connection)

    class Odd(BaseException): ...

    def raising(error):
        def operation(execute):
            execute(INSERT, ("half done",))
            raise error

        return operation

    async def one_after_another():
        with pytest.raises(Odd):
            await asyncio.wait_for(writer.arun(raising(Odd())), SOON)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(writer.arun(raising(StopIteration())), SOON)
        return await asyncio.wait_for(writer.arun(inserting("later")), SOON)

    assert asyncio.run(one_after_another()) == "later"
    assert rows(path) == ["later"]


@pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", "SAVEPOINT one", INSERT, "COMMIT"])
def test_an_interrupted_leader_leaves_no_task_behind(path, connection, moment):
    writer, outcomes = writer_on(connection), []

    async def together():
        with writer.turn:
            thread = queue_in_thread(writer, inserting("thread"), outcomes)
            wait_until(lambda: writer._next)
            tasks = [asyncio.create_task(writer.arun(inserting(n))) for n in range(3)]
            await asyncio.sleep(0)
            connection.interrupt_after = moment
        return thread, await asyncio.wait_for(asyncio.gather(*tasks), SOON)

    thread, written = asyncio.run(together())
    join(thread)

    assert isinstance(outcomes[0], KeyboardInterrupt)
    assert written == [0, 1, 2]
    assert [row for row in rows(path) if row != "thread"] == [0, 1, 2]


@pytest.mark.parametrize("others", ["threads", "tasks"])
def test_who_should_lead_next_and_is_interrupted_passes_it_on(path, connection, others):
    writer, outcomes = writer_on(connection), []
    turn = writer.turn

    class Interrupted:
        locked = turn.locked

        def __enter__(self):
            wait_until(lambda: len(writer._queue) == 3)
            writer.turn = turn
            raise KeyboardInterrupt

        def __exit__(self, *error): ...

    async def two_tasks():
        tasks = [asyncio.create_task(writer.arun(inserting(n))) for n in range(2)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.wait_for(asyncio.gather(*tasks), SOON)

    release, turn_is_free = threading.Event(), threading.Event()

    def hold():
        with turn:
            release.wait(SOON)
        turn_is_free.set()

    threading.Thread(target=hold).start()
    wait_until(turn.locked)
    writer.turn = Interrupted()
    threads = [queue_in_thread(writer, inserting("interrupted"), outcomes)]
    wait_until(lambda: writer._next)
    if others == "threads":
        threads += [queue_in_thread(writer, inserting(n), outcomes) for n in range(2)]
        release.set()
    else:
        assert asyncio.run(two_tasks()) == [0, 1]
    join(*threads)

    assert isinstance(outcomes[0], KeyboardInterrupt)
    assert sorted(rows(path)) == [0, 1]


# -- a store ------------------------------------------------------------------------------------


@pytest.fixture
def store(path):
    opened = FileStore(path, "NORMAL")
    yield opened
    opened.close()


def naming(name):
    """Opens a project: the smallest row there is."""

    def operation(execute):
        execute("INSERT INTO projects (name) VALUES (?)", (name,))
        return name

    return operation


def names(execute):
    return [name for (name,) in execute("SELECT name FROM projects ORDER BY id")]


def test_loops_and_threads_share_one_queue(store):
    async def in_loop(n):
        written = asyncio.gather(*(store.awrite(naming(f"loop {n}-{i}")) for i in range(50)))
        await asyncio.wait_for(written, SOON)
        return await store.aread(names)

    def in_thread(n):
        for i in range(50):
            store.write(naming(f"thread {n}-{i}"))

    threads = [
        *(
            threading.Thread(target=lambda n=n: asyncio.run(in_loop(n)), daemon=True)
            for n in range(3)
        ),
        *(threading.Thread(target=in_thread, args=(n,), daemon=True) for n in range(3)),
    ]
    for thread in threads:
        thread.start()
    join(*threads)

    assert sorted(store.read(names)) == sorted(
        f"{kind} {n}-{i}" for kind in ("loop", "thread") for n in range(3) for i in range(50)
    )


def test_a_task_sees_the_stores_own_errors(store):
    def damaged(execute):
        execute("INSERT INTO nothing VALUES (1)")

    async def use():
        with pytest.raises(Exception, match="restore a backup") as caught:
            await store.awrite(damaged)
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        store.close()
        with pytest.raises(StoreClosed):
            await store.awrite(names)
        with pytest.raises(StoreClosed):
            await store.aread(names)

    asyncio.run(use())


def test_what_is_queued_is_written_before_the_files_close(path, store):
    store._writer._helper.ask = lambda: None  # never gets there by itself

    async def close_at_once():
        task = asyncio.create_task(store.awrite(naming("queued")))
        await asyncio.sleep(0)
        store.close()
        return await asyncio.wait_for(task, SOON)

    assert asyncio.run(close_at_once()) == "queued"
    with Ledger(path) as ledger:
        assert ledger._journal.store.read(names) == ["queued"]


QUEUED_AT_EXIT = """
import asyncio, sys
from budgetledger import Ledger
ledger = Ledger(sys.argv[1])
store = ledger._journal.store
store._writer._helper.ask = lambda: None  # never gets there by itself
loop = asyncio.new_event_loop()
for name in ("one", "two"):
    loop.create_task(store.awrite(
        lambda execute, name=name: execute("INSERT INTO projects (name) VALUES (?)", (name,))
    ))
loop.run_until_complete(asyncio.sleep(0))
"""


def test_what_is_queued_is_written_when_the_interpreter_exits(path, elsewhere):
    elsewhere(QUEUED_AT_EXIT, path)
    with Ledger(path) as ledger:
        assert ledger._journal.store.read(names) == ["one", "two"]


FORKED_AMID_TASKS = """
import asyncio, os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork beside threads
from budgetledger import Ledger
store = Ledger(sys.argv[1])._journal.store

def naming(name):
    return lambda execute: execute("INSERT INTO projects (name) VALUES (?)", (name,)) and None

async def several(who):
    await asyncio.gather(*(store.awrite(naming(f"{who} {i}")) for i in range(20)))

async def fork_amid():
    helper = store._writer._helper
    ask, helper.ask = helper.ask, lambda: None
    tasks = [asyncio.create_task(store.awrite(naming(f"queued {i}"))) for i in range(3)]
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        signal.alarm(9)  # it hangs
        try:
            asyncio.events._set_running_loop(None)
            asyncio.run(several("child"))
            store.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    helper.ask = ask
    helper.ask()
    await asyncio.gather(*tasks)
    await several("parent")

asyncio.run(several("before"))
asyncio.run(fork_amid())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_tasks_queued_is_written_once_over_a_fork(path, elsewhere):
    elsewhere(FORKED_AMID_TASKS, path)
    with Ledger(path) as ledger:
        found = sorted(ledger._journal.store.read(names))
    assert found == sorted(
        [f"{who} {i}" for who in ("before", "child", "parent") for i in range(20)]
        + [f"queued {i}" for i in range(3)]
    )


# -- what layers above may keep -----------------------------------------------------------------


def failing_write(execute):
    naming("gone")(execute)
    raise LookupError("mine")


def test_the_generation_counts_what_undoes_rows(store):
    before = store.generation
    store.write(naming("one"))
    store.read(names)
    assert store.generation == before

    with pytest.raises(LookupError):
        store.write(failing_write)
    assert store.generation == before + 1

    async def one_of_several():
        operations = [naming("two"), failing_write, lambda execute: store.generation]
        with store._writer.turn:
            tasks = [asyncio.create_task(store.awrite(operation)) for operation in operations]
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)

    assert asyncio.run(one_of_several())[2] == before + 2, "the next one in line sees it"
    assert store.read(names) == ["one", "two"]


def test_the_generation_counts_a_failed_commit(store):
    connection = store._files.writing
    before = store.generation

    def left_dangling(execute):
        execute("PRAGMA defer_foreign_keys = ON")
        naming("one")(execute)
        execute("INSERT INTO accounts VALUES (NULL, 77, 'nobody', 0)")

    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(Exception, match="FOREIGN KEY"):
        store.write(left_dangling)
    assert store.generation == before + 1
    assert store.read(names) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_generation_counts_an_opening(path, elsewhere):
    code = """
import os, sys
from budgetledger import Ledger
store = Ledger(sys.argv[1])._journal.store
before = store.generation
pid = os.fork()
store.read(lambda execute: None)
if pid == 0:
    os._exit(store.generation - before)
assert store.generation > before
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert elsewhere(code, path) == "1\n"
