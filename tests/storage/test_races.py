"""Many callers after the same money: exactly as many get it as there is, at every level."""

import asyncio
import json
import os
import threading
from collections import Counter
from decimal import Decimal
from importlib import util
from pathlib import Path

import pytest

from budgetledger import AsyncLedger, Ledger
from budgetledger.errors import BudgetExceededError, UnboundedWarning

SCRIPT = Path(__file__).parents[1] / "support" / "stress.py"
_spec = util.spec_from_file_location("stress", SCRIPT)
stress = util.module_from_spec(_spec)
_spec.loader.exec_module(stress)

METHODS = ["spawn", *(["fork", "forkserver"] if hasattr(os, "fork") else [])]


def together(number, action):
    """What each of *number* threads got from *action*, all let go at once."""
    ready = threading.Barrier(number, timeout=120)
    outcomes = []

    def run(n):
        ready.wait()
        try:
            outcomes.append(action(n))
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == number, "somebody is stranded"
    return Counter(type(outcome).__name__ for outcome in outcomes)


def assert_balance(path, account, *, posted, held):
    with Ledger(path) as ledger:
        status = ledger.balance(account).budgets[0]
        assert (status.posted, status.held) == (Decimal(posted), Decimal(held))
        assert status.available >= 0
        found = ledger.verify()
        assert found.ok, found.problems
    assert stress.audit(path, always=True) == []


# -- in one process -----------------------------------------------------------------------------


def test_a_hundred_threads_and_money_for_twenty(path):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", "1.00")
        seen, ended = [], threading.Event()

        def watch():
            while not ended.is_set():
                balance = ledger.balance("alice")
                seen.append(balance.posted + balance.held)

        watcher = threading.Thread(target=watch)
        watcher.start()
        outcomes = together(100, lambda _: ledger.hold("alice", "0.05").settle("0.05"))
        ended.set()
        watcher.join()

    assert outcomes == {"Entry": 20, "BudgetExceededError": 80}
    assert max(seen) <= 1
    assert_balance(path, "alice", posted="1.00", held=0)


@pytest.mark.parametrize(
    ("limit", "asked", "held"),
    [({"limit": 500}, {"amount": 75}, 450), ({"tokens": 500}, {"tokens": 75}, 450),
     ({"requests": 6}, {"amount": 75}, 6)],
    ids=["USD", "tokens", "requests"],
)  # fmt: skip
def test_twenty_at_once_and_room_for_six(path, limit, asked, held):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", **limit)
        outcomes = together(20, lambda _: ledger.hold("alice", **asked))
    assert outcomes == {"Hold": 6, "BudgetExceededError": 14}
    assert_balance(path, "alice", posted=0, held=held)


def test_what_one_gives_back_is_taken_once(path):
    """Releases and new holds race: what is free is granted again, and never twice."""
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        first = [ledger.hold("alice", "0.1") for _ in range(10)]

        def swap(n):
            return first[n // 2].release() if n % 2 else ledger.hold("alice", "0.1")

        outcomes = together(20, swap)
        assert outcomes["Entry"] == 10
        left = 10 - outcomes["Hold"]
        assert together(20, lambda _: ledger.hold("alice", "0.1"))["Hold"] == left
    assert_balance(path, "alice", posted=0, held=1)


def test_one_key_at_once_is_one_hold(path):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1)
        ids = set()
        outcomes = together(30, lambda _: ids.add(ledger.hold("alice", "0.4", key="call").id))
        assert (outcomes, len(ids)) == ({"NoneType": 30}, 1)
    assert_balance(path, "alice", posted=0, held="0.4")


def test_a_hold_is_closed_once(path):
    """Settles and releases of one hold race: one cost is posted, whoever is first."""
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 100)
        for _ in range(5):
            hold = ledger.hold("alice", 1)
            (found,) = ledger.holds("alice")  # the same, in other hands
            outcomes = together(12, lambda n: (hold, found)[n % 2].settle(1))  # noqa: B023
            assert outcomes == {"Entry": 1, "HoldAlreadyClosed": 11}
    assert_balance(path, "alice", posted=5, held=0)


def test_a_thousand_tasks_and_money_for_twenty(path):
    async def pay(ledger):
        try:
            async with ledger.hold("alice", "0.05") as hold:
                await asyncio.sleep(0)
                return type(await hold.settle("0.05")).__name__
        except BudgetExceededError as error:
            return type(error).__name__

    async def race():
        async with AsyncLedger(path) as ledger:
            await ledger.set_budget("alice", "1.00")
            return await asyncio.gather(*(pay(ledger) for _ in range(1000)))

    outcomes = Counter(asyncio.run(asyncio.wait_for(race(), 60)))
    assert outcomes == {"Entry": 20, "BudgetExceededError": 980}
    assert_balance(path, "alice", posted="1.00", held=0)


def test_threads_and_tasks_share_one_ledger(path):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", "1.00")

        async def race():
            shared = AsyncLedger(ledger)

            async def pay():
                await (await shared.hold("alice", "0.05")).settle("0.05")

            return await asyncio.gather(*(pay() for _ in range(50)), return_exceptions=True)

        def run(n):
            if n:
                return ledger.hold("alice", "0.05").settle("0.05")
            return tasks.extend(asyncio.run(asyncio.wait_for(race(), 30)))

        tasks = []
        threads = together(51, run)
        passed = [outcome for outcome in tasks if outcome is None]
        assert threads["Entry"] + len(passed) == 20
        assert {type(outcome) for outcome in tasks} <= {type(None), BudgetExceededError}
    assert_balance(path, "alice", posted="1.00", held=0)


# -- in many processes ----------------------------------------------------------------------------

# A module that the processes import again where they are spawned.
RACE = """
import json, multiprocessing, random, sys, threading, warnings
from collections import Counter
from budgetledger import Ledger
from budgetledger.errors import BudgetExceededError, BudgetledgerWarning, UnknownAccount

warnings.simplefilter("ignore", BudgetledgerWarning)
MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"]

def pay(ledger, chance):
    ledger.hold("alice", "0.05").settle("0.05")
    return "paid"

def hold_usd(ledger, chance):
    ledger.hold("alice", 75)
    return "held"

def hold_tokens(ledger, chance):
    ledger.hold("alice", tokens=75)
    return "held"

def meet(ledger, chance):
    "A first call of one of a few new accounts, while a default is set."
    account = f"user{chance.randrange(12)}"
    if chance.random() < 0.1:
        ledger.set_default_budget(1)
        return "set"
    if chance.random() < 0.5:
        ledger.charge(account, cost="0.05")
        return "charged"
    try:
        ledger.hold(account, "0.05").settle("0.05")
    except UnknownAccount:
        return "no budget"
    return "paid"

def mixed(ledger, chance):
    amount = chance.randint(1, 50)
    try:
        hold = ledger.hold(
            f"user:{chance.randrange(6)}", f"{amount}e-2", model=chance.choice(MODELS),
            tokens=chance.choice([0, 10, 100]),
        )
    except BudgetExceededError as error:
        return f"{error.account} {error.budget.name}"
    if chance.random() < 0.4:
        hold.release()
        return "released"
    hold.settle(f"{chance.randint(0, amount)}e-2")
    return "settled"

def run(ledger, action, seed, times, ready, counted):
    chance = random.Random(seed)
    ready.wait()
    for _ in range(times):
        try:
            outcome = globals()[action](ledger, chance)
        except BudgetExceededError:
            outcome = "refused"
        except BaseException as error:
            outcome = repr(error)
        with counting:
            counted[outcome] += 1

counting = threading.Lock()

def process(ledger, number, action, threads, times, everybody, outcomes):
    if isinstance(ledger, str):
        ledger = Ledger(ledger, synchronous="NORMAL")
    ledger.accounts()  # everybody is open before the race begins
    counted = Counter()
    ready = threading.Barrier(threads, action=everybody.wait, timeout=120)
    workers = [
        threading.Thread(target=run, args=(ledger, action, f"{number} {n}", times, ready, counted))
        for n in range(threads)
    ]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    ledger.close()
    outcomes.put(counted)

if __name__ == "__main__":
    path, method, action, *numbers = sys.argv[1:]
    processes, threads, times = map(int, numbers)
    method, _, inherited = method.partition(", ")
    context = multiprocessing.get_context(method)
    ready, outcomes = context.Barrier(processes, timeout=120), context.Queue()
    ledger = Ledger(path) if inherited else path
    started = [
        context.Process(target=process, args=(ledger, n, action, threads, times, ready, outcomes))
        for n in range(processes)
    ]
    [one.start() for one in started]
    total = sum((outcomes.get(timeout=120) for _ in started), Counter())
    [one.join() for one in started]
    assert not any(one.exitcode for one in started)
    print(json.dumps(total))
"""


RUN = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


@pytest.fixture
def race(path, tmp_path, elsewhere):
    """Lets processes race that a method started; how often each outcome came."""
    script = tmp_path / "race.py"
    script.write_text(RACE)

    def raced(method, action, processes, threads, times=1):
        numbers = (processes, threads, times)
        return json.loads(elsewhere(RUN, script, path, method, action, *numbers))

    return raced


@pytest.mark.parametrize("method", [*METHODS, *["fork, inherited"][: len(METHODS) - 1]])
def test_four_hundred_threads_of_processes_and_money_for_twenty(path, race, method):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", "1.00")
    assert race(method, "pay", 8, 50) == {"paid": 20, "refused": 380}
    assert_balance(path, "alice", posted="1.00", held=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measure", ["usd", "tokens"])
def test_twenty_in_processes_and_room_for_six(path, race, method, measure):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", **{"limit" if measure == "usd" else "tokens": 500})
    assert race(method, f"hold_{measure}", 4, 5) == {"held": 6, "refused": 14}
    assert_balance(path, "alice", posted=0, held=450)


@pytest.mark.parametrize("method", METHODS)
def test_no_level_is_ever_over(path, race, method):
    with Ledger(path) as ledger:
        ledger.set_budget("*", 20)
        ledger.set_budget("*", "4.5", model="gpt-4o")
        for n, team in enumerate(["team:red", "team:blue"]):
            ledger.set_budget(team, 12 + n)
            ledger.set_budget(team, tokens=4000)
            ledger.set_budget(team, "1.5", model="gpt-4o-mini")
        for n in range(6):
            ledger.set_parent(f"user:{n}", ["team:red", "team:blue"][n % 2])
            ledger.set_budget(f"user:{n}", "3.75")
            ledger.set_budget(f"user:{n}", requests=70)

    outcomes = race(method, "mixed", 6, 4, 40)

    levels = {outcome.partition(" ")[0].partition(":")[0] for outcome in outcomes}
    assert {"user", "team", "*", "settled", "released"} == levels, outcomes
    with Ledger(path) as ledger:
        for account in ledger.accounts():
            for status in ledger.balance(account.name).budgets:
                assert status.held == 0
                assert status.available >= 0
        found = ledger.verify()
        assert found.ok, found.problems
    assert stress.audit(path, always=True) == []


@pytest.mark.parametrize("method", METHODS)
def test_first_holds_of_a_new_account_get_one_default_budget_and_never_more(path, race, method):
    with Ledger(path) as ledger, pytest.warns(UnboundedWarning):
        ledger.set_default_budget("1.00")
    assert race(method, "pay", 8, 10) == {"paid": 20, "refused": 60}
    assert_balance(path, "alice", posted="1.00", held=0)
    with Ledger(path) as ledger:
        assert [entry.kind for entry in ledger.entries("alice")].count("budget") == 1


def test_each_new_account_gets_the_default_once_that_is_set_amid_its_first_calls(path, race):
    outcomes = race("spawn", "meet", 6, 4, 12)
    assert {"set", "charged", "paid", "refused"} <= outcomes.keys() <= {
        "set", "charged", "paid", "refused", "no budget",
    }  # fmt: skip
    with Ledger(path) as ledger:
        assert len(ledger.accounts()) == 12
        for account in ledger.accounts():
            kinds = [entry.kind for entry in ledger.entries(account.name)]
            assert kinds.count("budget") == 1
            (status,) = ledger.balance(account.name).budgets
            assert (status.budget.name, status.held) == ("standard", 0)
        found = ledger.verify()
        assert found.ok, found.problems
    assert stress.audit(path) == []


# -- the auditor, and the script that runs for as long as one likes --------------------------------


def overdrawn(path):
    """A ledger in which two holds were granted where there was room for one."""
    with Ledger(path, enforce=False) as ledger:
        ledger.set_budget("alice", 5)
        ledger.set_budget("team", 1)
        ledger.set_parent("alice", "team")
        ledger.hold("alice", "0.6")
        ledger.hold("alice", "0.6")


def test_the_auditor_sees_a_budget_that_is_over(path):
    overdrawn(path)
    (found,) = stress.audit(path)
    assert found == f"row 5 finds usd of team at {12 * 10**11} of {10**12}"


def test_stress_at_small_size(elsewhere):
    least = ("--minutes", 0.02, "--rows", 600)  # as long as the machine takes for them
    options = (*least, "--processes", 3, "--threads", 3, "--kill-every", 0.7)
    written = elsewhere(RUN, SCRIPT, *options)
    counted = dict(line.strip("│").split("│") for line in written.splitlines() if line[:1] == "│")
    counted = {what.strip(): int(times) for what, times in counted.items()}
    assert counted.pop("violations") == 0
    assert {"hold", "settle", "release", "charge", "killed", "rows"} <= counted.keys()


def test_stress_ends_with_1_when_something_is_violated(path, launch):
    overdrawn(path)
    process = launch(RUN, SCRIPT, "--check", path)
    written = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "row 5 finds usd of team" in written
