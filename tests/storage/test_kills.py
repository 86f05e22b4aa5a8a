"""Writers killed at any moment: what returned is there, what they held comes back in time."""

import json
import os
import random
import signal
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import stress

from budgetledger import Ledger
from budgetledger.windows import to_us

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Forks a worker for each line it is sent, `name acknowledgements`: several threads that hold,
# settle, release, extend and charge. Each call that returned is told down a pipe before the next
# one begins. The worker is killed when so many have come; what it acknowledged is passed on.
# Beside it another one goes on throughout, until a line "stop".
WORKERS = """
import json, os, random, signal, sys, threading
from budgetledger import Ledger
from budgetledger.errors import HoldAlreadyClosed

path, synchronous, clock_file = sys.argv[1:]

def clock():
    with open(clock_file) as file:
        return int(file.read())

def work(name, pipe, stop):
    ledger = Ledger(path, synchronous=synchronous, clock=clock)

    def done(entry):
        line = json.dumps([entry.id, entry.kind, entry.hold_id]) + "\\n"
        os.write(pipe, line.encode())  # whole lines, whoever else writes

    def run(n):
        chance = random.Random(f"{name} {n} {os.getpid()}")
        while not stop.wait(0.02 if name == "beside" else 0):
            cents = chance.choice([1, 5, 20])
            expires_in = chance.choice([60, 600, 1800])
            hold = ledger.hold(name, f"{cents}e-2", model=f"m{n}", expires_in=expires_in)
            done(hold.entry)
            try:
                if chance.random() < 0.2:
                    hold.extend(900)
                step = chance.randrange(4)
                if step == 0:
                    done(hold.release())
                elif step < 3:
                    done(hold.settle(f"{cents}e-2"))
            except HoldAlreadyClosed:
                pass  # the clock went on
            done(ledger.charge(name, cost="0.01"))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    ledger.close()

def fork(name):
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        signal.alarm(120)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        try:
            work(name, writable, stop)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writable)
    return pid, os.fdopen(readable)

signal.alarm(120)  # it hangs; forked children set their own

def whole(lines):
    return [json.loads(line) for line in lines if line.endswith("\\n")]

beside, beside_lines = fork("beside")
told = []
draining = threading.Thread(target=lambda: told.extend(beside_lines))
draining.start()
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork beside threads
for line in sys.stdin:
    if line == "stop\\n":
        break
    name, number = line.split()
    pid, lines = fork(name)
    acknowledged = [lines.readline() for _ in range(int(number))]
    os.kill(pid, signal.SIGKILL)
    acknowledged += lines
    status = os.waitpid(pid, 0)[1]
    alive = os.waitpid(beside, os.WNOHANG) == (0, 0)
    print(json.dumps([status, alive, whole(acknowledged)]), flush=True)
os.kill(beside, signal.SIGTERM)
status = os.waitpid(beside, 0)[1]
draining.join()
print(json.dumps([status, whole(told)]), flush=True)
"""


class FileClock:
    """A clock that other processes read too."""

    def __init__(self, path, now_us):
        self.path = path
        self.show(now_us)

    def show(self, now_us):
        following = self.path.with_suffix(".new")
        following.write_text(str(now_us))
        os.replace(following, self.path)

    def __call__(self):
        return int(self.path.read_text())


def told_by(process):
    return json.loads(process.stdout.readline())


def assert_recorded(ledger, acknowledged):
    rows = {entry.id: (entry.kind, entry.hold_id) for entry in ledger.entries()}
    assert len(acknowledged) == len({entry_id for entry_id, *_ in acknowledged})
    for entry_id, *row in acknowledged:
        assert rows[entry_id] == tuple(row)
    found = ledger.verify()
    assert found.ok, found.problems


def assert_comes_back(ledger, clock, account):
    """Each of the holds counts up to its deadline, and no more from then on."""
    holds = ledger.holds(account)
    for deadline in sorted({hold.expires_at for hold in holds}):
        for now_us in (to_us(deadline) - 1, to_us(deadline)):
            clock.show(now_us)
            left = [hold for hold in holds if to_us(hold.expires_at) > now_us]
            balance = ledger.balance(account)
            assert balance.held == sum(hold.amount for hold in left)
            assert balance.available == balance.limit - balance.posted - balance.held
            assert {hold.id for hold in ledger.holds(account)} == {hold.id for hold in left}
    assert ledger.balance(account).held == 0
    return len(holds)


def killed_over_and_over(path, launch, synchronous, kills):
    """How many rows were acknowledged, and how many holds the dead left behind."""
    chance = random.Random()
    clock = FileClock(path.with_suffix(".clock"), to_us(datetime(2026, 3, 1, tzinfo=UTC)))
    names = [f"worker-{n}" for n in range(5)]
    held, acknowledged = 0, []
    with Ledger(path, clock=clock) as ledger:
        ledger.set_budget("*", 1_000_000)
        ledger.set_budget("team", 100_000, alert_at=(0.00001, 0.0001))
        for name in (*names, "beside"):
            ledger.set_budget(name, 10_000)
            ledger.set_parent(name, "team")
        workers = launch(WORKERS, path, synchronous, clock.path)

        for n in range(kills):
            name = names[n % len(names)]
            print(name, chance.randrange(20), file=workers.stdin, flush=True)
            status, alive, lines = told_by(workers)

            assert os.WTERMSIG(status) == signal.SIGKILL
            assert alive, "it took another process with it"
            assert_recorded(ledger, lines)
            acknowledged += lines
            held += assert_comes_back(ledger, clock, name)

        # All of it is free again: the last cent can be held, not one more.
        for name in names:
            left = ledger.balance(name).available
            assert not ledger.can_afford(name, left + Decimal("0.01"))
            ledger.hold(name, left).release()
        print("stop", file=workers.stdin, flush=True)
        status, lines = told_by(workers)
        assert status == 0
        assert len(lines) > kills, "the other process stood still"
        assert_recorded(ledger, acknowledged + lines)
    assert stress.audit(path) == []
    return len(acknowledged), held


@pytest.mark.parametrize(("synchronous", "files"), [("NORMAL", 7), ("FULL", 4)])
def test_killed_over_and_over(tmp_path, launch, synchronous, files):
    kills = 10
    acknowledged = held = 0
    for n in range(files):
        found = killed_over_and_over(tmp_path / f"spend-{n}.db", launch, synchronous, kills)
        acknowledged, held = acknowledged + found[0], held + found[1]
    assert acknowledged > kills * files
    assert held > kills * files / 2
