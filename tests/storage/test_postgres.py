"""PostgreSQL restarted, killed and unplugged while many write: nothing lost, nothing twice."""

import asyncio
import multiprocessing
import pickle
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from select import select as ready
from urllib.parse import quote

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import func, insert, select, text

from budgetledger import AsyncLedger, BudgetExceededError, Ledger, Usage
from budgetledger.errors import InvalidInput, StoreBusy, StoreClosed, StoreError, StoreNotFound
from budgetledger.journal.posting import post
from budgetledger.journal.rows.accounts import known
from budgetledger.journal.rows.rules import Draft
from budgetledger.storage.postgres import connection as _postgres
from budgetledger.tables import EntryRow, Project
from budgetledger.verbs.listing import projects

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore::budgetledger.errors.UnknownAccountWarning"),
]
SOON = 120


@pytest.fixture(scope="module")
def server(own_server):
    return own_server()


@pytest.fixture
def url(server, request):
    """A schema of the test's own."""
    return server.url(schema=f"t_{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def ledger(url):
    with Ledger(url) as opened:
        opened.set_budget("alice", 10)
        yield opened
        assert opened.verify().problems == ()


# -- many at once -------------------------------------------------------------------------------

WORKER = """
import itertools, sys, time
from budgetledger import BudgetExceededError, Ledger
url, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
ledger = Ledger(url)
print("ready", flush=True)
end = time.monotonic() + seconds
for number in itertools.count():
    if time.monotonic() > end and number >= 80:  # three of them use up what alice has
        break
    label = f"{name}-{number}"
    try:
        if number % 2:
            ledger.charge("bob", cost="0.001", tags={"n": label})
        else:
            hold = ledger.hold("alice", "0.01", tags={"n": label}, expires_in=3600)
            hold.settle("0.01")
    except BudgetExceededError:
        continue
    print(label, flush=True)
ledger.close()
"""


def test_nothing_is_lost_or_overspent_while_the_server_restarts(server, url, launch):
    seconds, workers = 6, 4
    with Ledger(url) as ledger:
        ledger.set_budget("alice", "1.00")
        ledger.set_budget("bob", 1000)
    running = [launch(WORKER, url, f"w{number}", seconds) for number in range(workers)]
    outputs = [[] for _ in running]

    def listen(process, output):
        output.extend(process.stdout)

    for process in running:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    listeners = [
        threading.Thread(target=listen, args=pair) for pair in zip(running, outputs, strict=True)
    ]
    for listener in listeners:
        listener.start()
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGINT):  # the second as if it crashed
        time.sleep(0.8)
        server.stop(how)
        time.sleep(0.1)
        server.start()
    running[0].kill()
    for process in running[1:]:
        assert process.wait(SOON) == 0, process.stderr.read()
    for listener in listeners:
        listener.join(SOON)

    with Ledger(url) as ledger:
        assert ledger.verify().problems == ()
        told = [line.strip() for output in outputs for line in output if line.endswith("\n")]
        labels = [entry.tags["n"] for entry in ledger.entries() if entry.kind in ("charge", "hold")]
        assert len(told) > 20 * workers
        assert len(labels) == len(set(labels)), "a row was recorded twice"
        assert set(told) <= set(labels), "what was acknowledged is lost"
        # Each killed process may leave one row that nobody was told of, and others none; but
        # for a charge in flight at the kill.
        assert len(set(labels) - set(told)) <= 2
        alice = ledger.balance("alice")
        assert alice.posted + alice.held <= Decimal("1.00")
        assert alice.available < Decimal("0.02")


def test_threads_of_one_process_share_commits(url):
    with Ledger(url) as ledger, ThreadPoolExecutor(16) as pool:
        ledger.set_budget("alice", "1.00")

        def hold(_):
            try:
                return ledger.hold("alice", "0.02").settle("0.02")
            except BudgetExceededError:
                return None

        assert len([one for one in pool.map(hold, range(120)) if one]) == 50
        assert ledger.verify().problems == ()


def test_many_open_a_new_ledger_at_once(url):
    with ThreadPoolExecutor(6) as pool:
        ledgers = list(pool.map(lambda _: Ledger(url), range(6)))
    for ledger in ledgers:
        ledger.charge("alice", cost=1)
    assert [entry.id for entry in ledgers[0].entries("alice")] == [1, 2, 3, 4, 5, 6]
    for ledger in ledgers:
        ledger.close()


def _charge(ledger, count):
    for _ in range(count):
        ledger.charge("alice", cost=1)


def test_a_fork_while_it_is_open(ledger):
    child = multiprocessing.get_context("fork").Process(target=_charge, args=(ledger, 5))
    child.start()
    _charge(ledger, 5)
    child.join(SOON)
    assert child.exitcode == 0
    assert ledger.balance("alice").posted == 10


# -- a connection that is lost --------------------------------------------------------------------


class Wire:
    """Between a ledger and the server; cut at a chosen moment."""

    def __init__(self, server, folder):
        self._server = server.conninfo.split()[0].removeprefix("host=") + "/.s.PGSQL.5432"
        self.folder = folder
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self.cut_before = self.cut_after = None
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._carry, args=[client]))
                self._threads[-1].start()

    def _carry(self, client):
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._server)
            while True:
                for end in ready([client, server], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is server:
                        client.sendall(data)
                    elif self.cut_before and self.cut_before in data:
                        self.cut_before = None
                        return
                    elif self.cut_after and self.cut_after in data:
                        self.cut_after = None
                        server.sendall(data)
                        server.recv(1)  # it has answered
                        return
                    else:
                        server.sendall(data)

    def close(self):
        """Let nobody connect any more; who is connected goes on."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def join(self):
        for thread in self._threads:
            thread.join(SOON)


@pytest.fixture
def wire(server):
    with tempfile.TemporaryDirectory(prefix="wire-", dir="/tmp") as folder:
        made = Wire(server, Path(folder))
        yield made
        made.close()
        made.join()


@pytest.fixture
def wired(ledger, wire, url):
    """The same ledger over the wire."""
    _, _, query = url.partition("schema=")
    target = f"postgresql://postgres@/postgres?host={wire.folder}&schema={query}"
    with Ledger(target) as opened:
        opened.charge("alice", cost=1)
        yield opened


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
@pytest.mark.parametrize("statement", [b"BEGIN", b"INSERT", b"COMMIT\0"])
@pytest.mark.parametrize("model", ["m", None])
def test_a_cost_is_recorded_once_wherever_the_connection_is_cut(
    ledger, wired, wire, statement, cut, model
):
    for _ in range(2):  # once the statements are prepared, INSERT is sent no more
        wired._journal.store._files.writing.driver.close()
        setattr(wire, cut, statement)
        entry = wired.charge("alice", cost=2, model=model)
        assert getattr(wire, cut) is None
        assert [one for one in ledger.entries("alice") if one.cost == 2][-1] == entry
    assert ledger.balance("alice").posted == 5


def test_a_refusal_is_told_although_the_connection_was_lost(wired, wire):
    wire.cut_before = b"BEGIN"
    with pytest.raises(BudgetExceededError):
        wired.hold("alice", 11)
    wire.cut_before = b"ROLLBACK"
    with pytest.raises(BudgetExceededError):
        wired.hold("alice", 11)
    wired.hold("alice", 9)


def test_a_read_goes_on_over_another_connection(wired, wire):
    assert wired.balance("alice").posted == 1
    wire.cut_after = b"BEGIN"
    assert wired.balance("alice").posted == 1


def test_all_who_share_a_commit_are_recorded_once(ledger, wired, wire):
    with ThreadPoolExecutor(8) as pool:
        with wired._journal.store._writer.turn:  # so that they queue
            charges = [pool.submit(wired.charge, "bob", cost=1) for _ in range(8)]
            time.sleep(0.2)
            wire.cut_after = b"COMMIT\0"
        entries = [charge.result(SOON) for charge in charges]
    assert wire.cut_after is None
    assert sorted(entry.id for entry in entries) == [e.id for e in ledger.entries("bob")]


def test_a_shared_commit_whose_last_part_was_undone_is_found(ledger, wired, wire):
    """What the undone part wrote is not there, and is not what tells of the commit."""

    def in_vain(tx):
        post(tx, known(tx.execute, "default", "alice"), Draft("charge", cost_pico=1))
        raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        with wired._journal.store._writer.turn:
            charge = pool.submit(wired.charge, "bob", cost=1)
            time.sleep(0.1)
            undone = pool.submit(wired._journal.store.write, wired._journal.inside(in_vain))
            time.sleep(0.1)
            wire.cut_after = b"COMMIT\0"
        assert charge.result(SOON) == next(ledger.entries("bob"))
        with pytest.raises(ZeroDivisionError):
            undone.result(SOON)
    assert len(list(ledger.entries())) == 3


@pytest.mark.parametrize("first", ["charge", "hold", "balance", "charge by price", "in a task"])
def test_what_a_restored_backup_does_not_have_is_forgotten(new_schema, first):
    """Ids of accounts and prices that were known are others' by then."""
    schema = new_schema()
    with Ledger(schema.target) as ledger, Ledger(schema.target) as restored:
        ledger.set_budget("alice", 10)
        ledger.set_price("m", input=1)
        assert ledger.charge("alice", model="m", usage=Usage(1_000_000)).cost == 1
        assert ledger.balance("alice").posted == 1
        for opened in ledger._journal.store._files.writing, ledger._journal.store._files.reading:
            schema.sql(f"SELECT pg_terminate_backend({opened.driver.info.backend_pid}, 5000)")
        schema.empty()
        restored.set_budget("bob", 10)
        restored.set_price("m", input=2)
        restored.set_budget("alice", 20)

        if first == "balance":
            assert ledger.balance("alice").limit == 20
        elif first == "hold":
            ledger.hold("alice", 15).release()
        elif first == "charge by price":
            assert ledger.charge("alice", model="m", usage=Usage(1_000_000)).cost == 2
        elif first == "charge":
            ledger.charge("alice", cost=2)
        else:
            asyncio.run(AsyncLedger(ledger).charge("alice", cost=2))
        assert ledger.charge("alice", model="m", usage=Usage(1_000_000)).cost == 2
        assert [entry.account for entry in restored.entries()][-1] == "alice"
        assert restored.balance("bob").posted == restored.balance("bob").held == 0
        assert ledger.verify().problems == ()


def test_a_price_is_set_and_removed_once_wherever_the_connection_is_cut(ledger, wired, wire):
    for change in (lambda: wired.set_price("m", input=1), lambda: wired.remove_price("m")):
        wire.cut_after = b"COMMIT\0"
        change()
        assert wire.cut_after is None
    assert [row.removed for row in ledger.prices(history=True)] == [False, True]


# -- conflicts, waits, a server that is gone -------------------------------------------------------


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("together", [1, 3])
def test_a_serialization_failure_is_tried_again(ledger, state, together):
    failures = [state]

    def operation(execute):
        execute("INSERT INTO projects (name) VALUES (?)", (f"p{len(done)}",))
        if failures:
            code = failures.pop()
            execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
        done.append(len(done))
        return len(done)

    done = []
    with ThreadPoolExecutor(together) as pool:
        with ledger._journal.store._writer.turn:
            found = [pool.submit(ledger._journal.store.write, operation) for _ in range(together)]
            time.sleep(0.1)
        assert [one.result(SOON) for one in found]
    assert not failures
    names = ledger._journal.store.read(
        lambda execute: execute("SELECT name FROM projects").fetchall()
    )
    assert len(names) == 1 + together


def test_another_writer_that_stopped(server, url, monkeypatch):
    import psycopg

    monkeypatch.setattr(_postgres, "LOCK_SECONDS", 1)
    with Ledger(url) as ledger:
        ledger.charge("alice", cost=1)
        lock = ledger._journal.store._address.lock
        with psycopg.connect(server.conninfo) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({_postgres.APPLICATION_ID}, {lock})")
            with pytest.raises(StoreBusy, match=r"stayed locked by another writer.*retry"):
                ledger.charge("alice", cost=1)
        ledger.charge("alice", cost=1)
        assert ledger.balance("alice").posted == 2

        # What stops amid its own write loses its turn, and is told to do it again.
        slow = []

        def stop(execute):
            execute("INSERT INTO projects (name) VALUES (?)", ("slow",))
            if not slow:
                slow.append(time.sleep(1.5))

        ledger._journal.store.write(stop)
        assert projects(ledger._journal) == ["default", "slow"]


def test_a_server_that_stays_away(server, ledger, monkeypatch):
    monkeypatch.setattr(_postgres, "PATIENCE_SECONDS", 0.3)
    server.stop()
    try:
        with pytest.raises(StoreBusy, match=r"cannot be reached.*nothing was recorded.*retry"):
            ledger.charge("alice", cost=1)
        with pytest.raises(StoreBusy, match="cannot be reached"):
            ledger.balance("alice")
        with pytest.raises(StoreNotFound, match="start the server"):
            Ledger(server.url())
    finally:
        server.start()
    ledger.charge("alice", cost=1)
    assert ledger.balance("alice").posted == 1


def test_a_commit_that_nobody_can_tell_of(server, ledger, wired, wire, monkeypatch):
    monkeypatch.setattr(_postgres, "PATIENCE_SECONDS", 0.3)
    wire.cut_after = b"COMMIT\0"
    wire.close()
    (wire.folder / ".s.PGSQL.5432").unlink()
    with pytest.raises(StoreError, match=r"may or may not be recorded.*same key"):
        wired.charge("alice", cost=2)


def test_a_pooler_that_mixes_up_prepared_statements(ledger):
    ledger.charge("alice", cost=1)
    ledger._journal.store._files.writing.driver.pgconn.exec_(b"DEALLOCATE ALL")
    with pytest.raises(StoreError, match=r"pooler.*nothing was recorded.*session mode"):
        ledger.charge("alice", cost=1)


# -- secrets, settings ---------------------------------------------------------------------------


def test_no_password_is_told(server):
    secret = "s3cr3t"
    folder = server.conninfo.split()[0]
    for target in (
        f"postgresql+psycopg://postgres:{secret}@/nowhere?{folder}",
        f"postgresql://postgres@/nowhere?{folder}&password={secret}",
        f"postgresql://postgres:{secret}@127.0.0.1:1/postgres",
        f"postgresql://postgres:{secret}/x@127.0.0.1:1/postgres",
        f"postgresql://postgres:{secret}?x@127.0.0.1:1/postgres",
        f"postgresql://postgres:{secret}@127.0.0.1:1/postgres?colour=red",
    ):
        with pytest.raises((StoreError, InvalidInput)) as raised:
            Ledger(target)
        told = str(raised.value) + repr(raised.value) + repr(raised.value.__dict__)
        assert secret not in told + repr(pickle.loads(pickle.dumps(raised.value)))
    with Ledger(server.url(schema="secretive", password=secret)) as ledger:
        shown = repr(ledger) + ledger.path + repr(ledger._journal.store._files.writing)
        assert secret not in shown + repr(ledger._journal.store._address)
        assert "schema=secretive" in ledger.path


@pytest.mark.parametrize("schema", ["a", "e", "Own.Schema", 'it"s'])
def test_a_schema_of_any_name_is_in_order(server, schema):
    with Ledger(server.url(schema=quote(schema))) as ledger:
        ledger.set_budget("alice", 1)
        assert ledger.verify().problems == ()


@pytest.mark.parametrize(("synchronous", "setting"), [("FULL", "on"), ("NORMAL", "off")])
def test_synchronous_is_the_servers_synchronous_commit(url, synchronous, setting):
    with Ledger(url, synchronous=synchronous) as ledger:
        shown = ledger._journal.store.write(lambda e: e("SHOW synchronous_commit").fetchone())
        assert shown == (setting,)


def test_closed(ledger):
    ledger.close()
    with pytest.raises(StoreClosed, match="open it again"):
        ledger.balance("alice")
    with pytest.raises(StoreClosed, match="open it again"):
        ledger.verify()
    ledger._journal.store._closed = False  # for the end of the test


def test_a_session_reads_one_snapshot_and_writes_nothing(ledger):
    with ledger.session() as session:
        ledger.charge("alice", cost=1)
        count = select(func.count()).select_from(EntryRow)
        assert session.exec(count).one() == 1
        assert session.execute(text("SELECT count(*) FROM spend")).one() == (0,)
        for _ in range(2):
            with pytest.raises(DBAPIError, match="read-only transaction"):
                session.exec(insert(Project).values(id=9, name="x"))
            session.rollback()
        assert session.exec(count).one() == 2
    assert ledger.balance("alice").posted == 1
