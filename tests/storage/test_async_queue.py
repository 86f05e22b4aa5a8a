"""Many tasks on one ledger, and loops that end amid writing: each outcome is somebody's own."""

import asyncio
import os
import signal
import threading
from collections import Counter
from decimal import Decimal

import pytest

from budgetledger import AsyncLedger, Ledger
from budgetledger.errors import (
    BudgetExceededError,
    HoldAlreadyClosed,
    InvalidAmount,
    StoreClosed,
    UnknownAccount,
)
from budgetledger.journal import holding as _holding

SOON = 120  # seconds; only what hangs comes near it


@pytest.fixture
def ledger(path):
    """A ledger in which alice may use 1 USD; found to be in order at the end."""
    with Ledger(path, synchronous="NORMAL") as opened:
        opened.set_budget("alice", "1.00")
        yield opened
    with Ledger(path) as opened:
        assert opened.verify().problems == ()


def run(main):
    """What the coroutine *main* returns; it must end in time."""
    return asyncio.run(asyncio.wait_for(main, SOON))


async def until(condition):
    for _ in range(SOON * 1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never comes to pass")


def queued(ledger):
    return len(ledger._journal.store._writer._queue)


def join(*threads):
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive(), "somebody is stranded"


def kinds(path):
    """The rows of alice's journal, after her budget."""
    with Ledger(path) as ledger:
        assert ledger.verify().problems == ()
        return [entry.kind for entry in ledger.entries("alice")][1:]


def stand(path):
    with Ledger(path) as ledger:
        balance = ledger.balance("alice")
        return balance.posted, balance.held


# -- together -----------------------------------------------------------------------------------


@pytest.mark.parametrize("in_turn", [False, True], ids=["as they come", "all at once"])
def test_three_hundred_tasks_keep_their_own_outcomes(ledger, in_turn):
    shared = AsyncLedger(ledger)
    ledger.set_budget("rich", "10000")

    async def one(n):
        match n % 6:
            case 0:
                return (await shared.charge("rich", cost=n, key=f"c{n}")).cost
            case 1:
                async with shared.hold("rich", 1, key=f"h{n}") as hold:
                    return (await hold.settle(Decimal(n) / 1000, tags={"n": n})).tags
            case 2:
                return await shared.hold("alice", 2)
            case 3:
                return await shared.hold("nobody", 1)
            case 4:
                hold = await shared.hold("rich", 1)
                await hold.release(reason=f"r{n}")
                return await hold.release()
            case 5:
                return await shared.charge("rich", cost=-n)

    async def together():
        tasks = [asyncio.create_task(one(n)) for n in range(300)]
        if in_turn:
            with ledger._journal.store._writer.turn:
                await until(lambda: queued(ledger) == 250)
        return await asyncio.gather(*tasks, return_exceptions=True)

    for n, outcome in enumerate(run(together())):
        match n % 6:
            case 0:
                assert outcome == n
            case 1:
                assert outcome == {"n": n}
            case 2:
                assert isinstance(outcome, BudgetExceededError)
            case 3:
                assert isinstance(outcome, UnknownAccount)
            case 4:
                assert isinstance(outcome, HoldAlreadyClosed)
                assert outcome.entry.note == f"r{n}"
            case 5:
                assert isinstance(outcome, InvalidAmount)
    rows = Counter(entry.kind for entry in ledger.entries("rich"))
    assert rows == {"budget": 1, "charge": 50, "hold": 100, "settle": 50, "release": 50}


def test_loops_and_threads_share_one_ledger(ledger, path):
    shared, paid = AsyncLedger(ledger), []

    async def pay():
        try:
            async with shared.hold("alice", "0.05") as hold:
                await asyncio.sleep(0)
                await hold.settle("0.05")
                paid.append("task")
        except BudgetExceededError:
            pass

    async def in_loop():
        await asyncio.gather(*(pay() for _ in range(50)))

    def in_thread():
        for _ in range(50):
            try:
                with ledger.hold("alice", "0.05") as hold:
                    hold.settle("0.05")
                    paid.append("thread")
            except BudgetExceededError:
                pass

    threads = [
        *(threading.Thread(target=lambda: run(in_loop()), daemon=True) for _ in range(3)),
        *(threading.Thread(target=in_thread, daemon=True) for _ in range(3)),
    ]
    for thread in threads:
        thread.start()
    join(*threads)
    assert (len(paid), stand(path)) == (20, (1, 0))


# -- a loop ends --------------------------------------------------------------------------------


def test_holds_that_a_loop_left_in_the_queue_are_not_taken(ledger, path):
    shared = AsyncLedger(ledger)

    async def leave():
        tasks.extend(asyncio.create_task(shared.hold("alice", "0.05")) for _ in range(10))
        await until(lambda: queued(ledger) == 10)

    tasks = []
    with ledger._journal.store._writer.turn:
        asyncio.run(leave())
    assert all(task.cancelled() for task in tasks)
    ledger.close()
    assert kinds(path) == []


def test_holds_that_were_being_written_when_their_loop_ended_are_given_back(
    ledger, path, monkeypatch
):
    shared, append = AsyncLedger(ledger), _holding.append
    third, go_on, written = threading.Event(), threading.Event(), []

    def slowly(*arguments):
        written.append(arguments)
        if len(written) == 3:
            third.set()
            assert go_on.wait(SOON)
        return append(*arguments)

    async def leave():
        with ledger._journal.store._writer.turn:
            tasks = [asyncio.create_task(shared.hold("alice", "0.05")) for _ in range(10)]
            await until(lambda: queued(ledger) == 10)
        await until(third.is_set)
        return tasks

    monkeypatch.setattr(_holding, "append", slowly)
    tasks = asyncio.run(leave())
    assert all(task.cancelled() for task in tasks)
    go_on.set()
    ledger.close()
    assert kinds(path) == ["hold"] * 3 + ["release"] * 3
    assert stand(path) == (0, 0)


def test_what_was_paid_is_recorded_after_its_loop_ended(ledger, path):
    shared, holds, turn = AsyncLedger(ledger), [], ledger._journal.store._writer.turn

    async def pay(go_on):
        async with shared.hold("alice", "0.05") as hold:
            holds.append(hold)
            await go_on.wait()
            await hold.settle("0.01")

    async def leave():
        go_on = asyncio.Event()
        tasks = [asyncio.create_task(pay(go_on)) for _ in range(10)]
        await until(lambda: len(holds) == 10)
        turn.acquire()
        go_on.set()
        await until(lambda: queued(ledger) == 10)
        assert not any(task.done() for task in tasks)
        threading.Timer(0.05, turn.release).start()  # the loop waits for what is paid

    asyncio.run(leave())
    ledger.close()
    assert kinds(path) == ["hold"] * 10 + ["settle"] * 10
    assert stand(path) == (Decimal("0.10"), 0)


INTERRUPTED = """
import asyncio, sys
from budgetledger import AsyncLedger

async def pay(ledger):
    while True:
        async with ledger.hold("alice", "0.01") as hold:
            await asyncio.sleep(0)
            await hold.settle("0.01")

async def main():
    async with AsyncLedger(sys.argv[1], synchronous="NORMAL") as ledger:
        await ledger.set_budget("alice", 1000)
        tasks = [asyncio.create_task(pay(ledger)) for _ in range(40)]
        while len(await ledger.holds("alice")) == 0:
            await asyncio.sleep(0)
        print("ready", flush=True)
        await asyncio.gather(*tasks)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a process")
def test_ctrl_c_leaves_no_hold_behind(path, launch, await_end):
    process = launch(INTERRUPTED, path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert await_end(process) == "interrupted\n"
    rows = Counter(kinds(path))
    assert rows["hold"] == rows["settle"] + rows["release"] >= 40
    assert stand(path) == (Decimal("0.01") * rows["settle"], 0)


# -- the ledger ends ----------------------------------------------------------------------------


def test_closing_the_ledger_leaves_no_task_waiting(ledger, path):
    async def close():
        shared, closing = AsyncLedger(ledger), []
        with ledger._journal.store._writer.turn:
            tasks = [asyncio.create_task(shared.charge("alice", cost=1)) for _ in range(20)]
            await until(lambda: queued(ledger) == 20)
            closing.append(asyncio.create_task(shared.close()))
            await asyncio.sleep(0.01)
            tasks += [asyncio.create_task(shared.charge("alice", cost=1)) for _ in range(20)]
            await until(lambda: queued(ledger) == 40)
        await closing[0]
        with pytest.raises(StoreClosed):
            await shared.charge("alice", cost=1)
        with pytest.raises(StoreClosed):
            await shared.hold("alice", "0.05")
        with pytest.raises(StoreClosed):
            await shared.balance("alice")
        return await asyncio.gather(*tasks)

    assert len(run(close())) == 40
    assert kinds(path) == ["charge"] * 40


def test_a_hold_that_outlives_the_ledger_says_so(ledger, path):
    async def outlive():
        shared = AsyncLedger(ledger)
        async with shared.hold("alice", "0.05") as hold:
            await shared.close()
            with pytest.raises(StoreClosed):
                await hold.settle("0.05")

    with pytest.raises(StoreClosed):
        run(outlive())
    assert kinds(path) == ["hold"]


# -- a process forks, or has just begun ---------------------------------------------------------

FORKED = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork beside threads
from budgetledger import AsyncLedger

async def pay(ledger, count):
    for _ in range(count):
        async with ledger.hold("alice", "0.01") as hold:
            await asyncio.sleep(0)
            await hold.settle("0.01")

async def main():
    ledger = AsyncLedger(sys.argv[1], synchronous="NORMAL")
    await ledger.set_budget("alice", 1000)
    tasks = [asyncio.create_task(pay(ledger, 10)) for _ in range(10)]
    while (await ledger.balance("alice")).posted == 0:
        await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.events._set_running_loop(None)
            asyncio.run(pay(ledger, 10))
            ledger.ledger.close()
            code = 0
        finally:
            os._exit(code)
    await asyncio.gather(*tasks)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        await asyncio.sleep(0.001)
    await ledger.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_tasks_pay(path, elsewhere):
    elsewhere(FORKED, path)
    assert Counter(kinds(path)) == {"hold": 110, "settle": 110}
    assert stand(path) == (Decimal("1.10"), 0)


COLD = """
import asyncio, sys, threading
from budgetledger import AsyncLedger, Ledger
Ledger(sys.argv[1]).close()
importing = {}

def note(event, arguments):
    if event == "import":
        importing.setdefault(arguments[0], threading.current_thread())

sys.addaudithook(note)
response = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
prompt = {"model": "gpt-4o", "text": "hello"}

async def said():
    yield {"choices": [{"index": 0, "delta": {"content": "hello"}}]}
    yield {"choices": [], **response}

async def main():
    async with AsyncLedger(sys.argv[1]) as ledger:
        await ledger.set_budget("alice", "1.00")
        async with ledger.hold("alice", "0.05", model="gpt-4o") as hold:
            step = sys.argv[2]
            if step == "charge":
                await ledger.charge("alice", response)
            elif step == "settle":
                await hold.settle(response)
            elif step == "hold":
                await ledger.hold("alice", **prompt)
            elif step == "stream":
                async for _ in hold.stream(said()):
                    pass

asyncio.run(main())
assert importing["genai_prices"] is not threading.main_thread()
if "tiktoken" in importing:
    assert importing["tiktoken"] is not threading.main_thread()
"""


@pytest.mark.parametrize("step", ["charge", "settle", "hold", "stream"])
def test_prices_and_tokenizers_are_loaded_off_the_loop(path, elsewhere, step):
    elsewhere(COLD, path, step)
