"""Finalisers and signal handlers may run amid a write of their own thread, and must not hang.

The ledger's clock is read amid a write; here it runs what such a handler would.
"""

import signal
import threading
import time

import pytest

from budgetledger import Ledger
from budgetledger.errors import StoreBusy

CHUNK = {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Once upon"}}]}


@pytest.fixture
def amid(database):
    """Runs something amid the next write, and tells what it raised."""
    acts, raised = [], []

    def clock():
        while acts:
            try:
                acts.pop()()
            except Exception as error:
                raised.append(error)
        return time.time_ns() // 1000

    with Ledger(database.target, clock=clock) as ledger:
        ledger.set_budget("alice", 10)
        yield ledger, acts, raised


def kinds(ledger):
    return [entry.kind for entry in ledger.entries()]


@pytest.mark.parametrize("act", ["charge", "close"])
def test_what_would_wait_for_itself_is_refused(amid, act):
    ledger, acts, raised = amid
    acts.append(lambda: ledger.charge("alice", cost=1) if act == "charge" else ledger.close())
    ledger.charge("alice", cost=2)
    assert [type(error) for error in raised] == [StoreBusy]
    assert [entry.cost for entry in ledger.entries() if entry.cost is not None] == [2]


def test_an_abandoned_stream_is_settled_a_little_later(amid):
    ledger, acts, raised = amid
    hold = ledger.hold("alice", 1, model="gpt-4o")
    streams = [hold.stream(iter([CHUNK, CHUNK]))]
    next(streams[0])
    acts.append(streams.clear)
    ledger.charge("alice", cost=2)
    for _ in range(500):
        if kinds(ledger)[-1] == "settle":
            break
        time.sleep(0.01)
    assert (kinds(ledger), raised) == (["budget", "hold", "charge", "settle"], [])
    assert (ledger.holds("alice"), ledger.verify().ok) == ([], True)


def test_a_session_that_ends_amid_a_write(amid):
    ledger, acts, raised = amid

    def reading():
        with ledger.session() as session:
            yield session

    readings = [reading()]
    next(readings[0])
    acts.append(readings.clear)
    ledger.charge("alice", cost=2)
    assert (kinds(ledger), raised) == (["budget", "charge"], [])


@pytest.mark.parametrize("act", ["balance", "close"])
def test_a_handler_amid_a_read_is_refused(amid, act):
    ledger, acts, raised = amid
    acts.append(lambda: ledger.balance("alice") if act == "balance" else ledger.close())
    assert ledger.balance("alice").posted == 0
    assert [type(error) for error in raised] == [StoreBusy]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_a_handler_while_another_thread_writes_is_refused(amid):
    ledger, acts, _ = amid
    writes, goes_on, refused = threading.Event(), threading.Event(), []

    def hold_up():
        writes.set()
        assert goes_on.wait(10)

    def handler(*_):
        try:
            ledger.charge("alice", cost=3)
        except StoreBusy as error:
            refused.append(error)
        goes_on.set()

    acts.append(hold_up)
    other = threading.Thread(target=ledger.charge, args=("alice",), kwargs={"cost": 1})
    other.start()
    assert writes.wait(10)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        ledger.charge("alice", cost=2)  # waits for the other thread; the handler strikes
    finally:
        signal.signal(signal.SIGALRM, before)
    other.join(10)
    assert len(refused) == 1
    assert ledger.balance("alice").posted == 3
