"""Writers killed at any moment: what returned is there, what they held comes back in time."""

import json
import os
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from importlib import util
from pathlib import Path

import pytest

from budgetledger import Ledger
from budgetledger.windows import from_us

_spec = util.spec_from_file_location("stress", Path(__file__).parent / "stress.py")
stress = util.module_from_spec(_spec)
_spec.loader.exec_module(stress)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Forks a worker for each line it is sent, `name acknowledgements`: several threads that hold,
# settle, release, extend and charge. Each call that returned goes down a pipe before the next one
# begins. The worker is killed when so many have come, and what it acknowledged until then is told.
# Beside it another one goes on throughout, and is told to stop by a line "stop".
WORKERS = """
import json, os, random, signal, sys, threading
from budgetledger import Ledger

path, clock_file = sys.argv[1:]

def clock():
    with open(clock_file) as file:
        return int(file.read())

def work(name, pipe, stop):
    ledger = Ledger(path, synchronous="NORMAL", clock=clock)

    def done(kind, entry, *more):
        os.write(pipe, (json.dumps([kind, entry.id, *more]) + "\\n").encode())

    def run(n):
        chance = random.Random(f"{name} {n} {os.getpid()}")
        while not stop.is_set():
            held = chance.choice([1, 5, 20])
            hold = ledger.hold(
                name, f"0.{held:02}", tokens=held, model=f"m{n}",
                expires_in=chance.choice([60, 600, 1800]),
            )
            done("hold", hold.entry)
            if chance.random() < 0.2:
                hold.extend(900)
            step = chance.randrange(4)
            if step == 0:
                done("release", hold.release(), hold.id)
            elif step < 3:
                done("settle", hold.settle(f"0.{held:02}"), hold.id)
            done("charge", ledger.charge(name, cost="0.01"))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    ledger.close()

def fork(name):
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
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
    print(json.dumps([status, alive, len(told), whole(acknowledged)]), flush=True)
os.kill(beside, signal.SIGTERM)
status = os.waitpid(beside, 0)[1]
draining.join()
print(json.dumps([status, whole(told)]), flush=True)
"""
