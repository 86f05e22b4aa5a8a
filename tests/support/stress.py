"""Many processes and threads at work on one ledger, some killed; then everything is recounted.

    python tests/support/stress.py --minutes 5 --processes 8 --threads 8

Workers hold, settle, release, extend, charge, adjust and move limits, and write down each call
that returned. Now and then one is killed. At the end every row written down must be there,
`verify` must find nothing, no hold may stand after its deadline, and the auditor below, which
shares no code with the ledger, must find no moment at which a budget was over. Ends with a
summary, and exit code 1 if anything was violated; the file is kept then.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from budgetledger import Ledger
from budgetledger.errors import AccountFrozen, BudgetExceededError, HoldAlreadyClosed
from budgetledger.journal.journal import system_clock

# -- the auditor --------------------------------------------------------------------------------

ROWS = """
SELECT e.id, e.account_id, e.recorded_at_us, e.kind, e.model, coalesce(e.cost_pico, 0),
       e.input_tokens + e.output_tokens, e.requests, e.hold_id, e.held_pico, e.held_tokens,
       e.expires_at_us, e.corrects_id
FROM entries e WHERE e.origin_id IS NULL ORDER BY e.id"""
BUDGETS = """
SELECT entry_id, name, measure, limit_units, limit_pico, model, removed FROM budget_revisions"""
LAST_TOTALS = """
SELECT account_id, total_usd * 1000000000000 + total_pico, total_tokens, total_requests
FROM entries WHERE id IN (SELECT max(id) FROM entries GROUP BY account_id)"""
MEASURES = ("usd", "tokens", "requests")


def audit(path, *, always=False):
    """Replay the rows in the order of their numbers, and tell of each budget that was over.

    A hold may be granted only while every budget on its account and above has room for all
    that is posted and held, and no account in that line is frozen. *always*: where no call
    costs more than it held, no row at all may find a budget over. Budgets are for ever here;
    rows that repeat others are not looked at, but counted upwards anew.
    """
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(ROWS).fetchall()
        settings = {row[0]: row[1:] for row in database.execute(BUDGETS)}
        parents = dict(database.execute("SELECT entry_id, parent_id FROM parent_changes"))
        names = dict(database.execute("SELECT id, name FROM accounts"))
        projects = dict(database.execute("SELECT id, project_id FROM accounts"))
        totals = {row[0]: row[1:] for row in database.execute(LAST_TOTALS)}
        listed = set(database.execute("SELECT account_id, hold_id FROM open_holds"))
    audited = _Audit(names, projects, always)
    for row in rows:
        audited.replay(*row, settings, parents)
    return audited.wrong + audited.differing(totals, listed)


class _Audit:
    def __init__(self, names, projects, always):
        self.names, self.projects, self.always = names, projects, always
        self.whole = {}  # project: its account "*", once that has a row
        self.parent = {}
        self.frozen = set()
        self.budgets = defaultdict(dict)
        self.posted = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))  # account, model
        self.stands = {}  # cost: the accounts it counts on
        self.open = {}  # hold: its accounts, model, need and deadline
        self.wrong = []

    def line(self, account):
        line = [account]
        while (above := self.parent.get(line[-1])) is not None:
            line.append(above)
        whole = self.whole.get(self.projects[account])
        return line if whole in (None, line[-1]) else [*line, whole]

    def replay(
        self, entry, account, at_us, kind, model, pico, tokens, requests,
        hold, held_pico, held_tokens, expires_at_us, corrected, settings, parents,
    ):  # fmt: skip
        if self.names[account] == "*":
            self.whole.setdefault(self.projects[account], account)
        if kind == "budget":
            name, measure, units, limit_pico, of_model, removed = settings[entry]
            limit = units * 10**12 + limit_pico if measure == "usd" else units
            self.budgets[account][name] = measure, limit, of_model
            if removed:
                del self.budgets[account][name]
        elif kind == "parent":
            self.parent[account] = parents[entry]
        elif kind in ("freeze", "unfreeze"):
            (self.frozen.add if kind == "freeze" else self.frozen.discard)(account)
        elif kind == "hold":
            need = (held_pico, held_tokens, 1)
            line = self.line(account)
            self.open[entry] = line, model, need, expires_at_us
            if frozen := self.frozen.intersection(line):
                self.wrong.append(f"row {entry} holds, but {self.names[frozen.pop()]} is frozen")
            self.check(entry, line, at_us, model, need)
        elif kind == "extend":
            self.open[hold] = (*self.open[hold][:3], expires_at_us)
        else:
            held = self.open.pop(hold, None)
            # A correction counts where the entry counted that it corrects, a settle where the
            # hold did, and for the project.
            line = self.stands.get(corrected) or self.line(account)
            if held is not None:
                whole = [level for level in line if self.names[level] == "*"]
                line = list(dict.fromkeys([*held[0], *whole]))
            self.stands[entry] = line
            for level in line:
                for measure, amount in enumerate((pico, tokens, requests)):
                    self.posted[level][model][measure] += amount
        if self.always:
            for level in list(self.budgets):
                self.check(entry, [level], at_us)

    def check(self, entry, line, at_us, model=None, need=(1, 1, 1)):
        for level in line:
            for name, (measure, limit, of_model) in self.budgets[level].items():
                which = MEASURES.index(measure)
                if need[which] == 0 or (model is not None and of_model not in (None, model)):
                    continue
                used = sum(
                    posted[which]
                    for model_, posted in self.posted[level].items()
                    if of_model in (None, model_)
                ) + sum(
                    held[which]
                    for accounts, model_, held, expires_at_us in self.open.values()
                    if level in accounts and expires_at_us > at_us and of_model in (None, model_)
                )
                if used > limit:
                    self.wrong.append(
                        f"row {entry} finds {name} of {self.names[level]} at {used} of {limit}"
                    )

    def differing(self, totals, listed):
        wrong = []
        for account, stated in totals.items():
            counted = tuple(map(sum, zip((0, 0, 0), *self.posted[account].values(), strict=True)))
            if stated != counted:
                wrong.append(f"{self.names[account]} states {stated}, counted: {counted}")
        found = {(level, hold) for hold, (line, *_) in self.open.items() for level in line}
        wrong += [f"hold {hold} is listed or not, wrongly" for _, hold in sorted(found ^ listed)]
        return wrong


# -- the workers --------------------------------------------------------------------------------

USERS = [f"user:{n}" for n in range(6)]
TEAMS = ["team:red", "team:blue"]
MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"]
LONGEST_HOLD = 2.0  # seconds


def furnish(path):
    """A ledger of users in teams, with budgets of all kinds at every level."""
    with Ledger(path) as ledger:
        ledger.set_budget("*", 40, name="usd")
        ledger.set_budget("*", tokens=60_000, name="tokens")
        for n, team in enumerate(TEAMS):
            ledger.set_budget(team, 20, name="usd", alert_at=(0.5, 0.8, 1))
            ledger.set_budget(team, 5, model=MODELS[n], name="model")
        for n, user in enumerate(USERS):
            ledger.set_parent(user, TEAMS[n % 2])
            ledger.set_budget(user, 5, name="usd", alert_at=(0.8,))
            ledger.set_budget(user, requests=40, name="requests")


class Worker:
    """One thread's calls, each written down when it has returned."""

    def __init__(self, ledger, chance, write):
        self.ledger, self.chance, self.write = ledger, chance, write
        self.holds = []
        self.entry = None
        actions = {
            self.hold: 40, self.settle: 22, self.release: 8, self.extend: 6, self.forget: 3,
            self.charge: 6, self.adjust: 3, self.stream: 4, self.read: 6, self.more: 3,
            self.move: 1, self.freeze: 1,
        }  # fmt: skip
        self.actions, self.weights = list(actions), list(actions.values())

    def done(self, entry):
        self.write(f"{entry.id} {entry.kind} {entry.account}\n")
        return entry

    def step(self):
        (action,) = self.chance.choices(self.actions, self.weights)
        try:
            action()
        except (BudgetExceededError, AccountFrozen, HoldAlreadyClosed) as error:
            self.write(f"- {type(error).__name__} -\n")

    def some_hold(self):
        return self.holds.pop(self.chance.randrange(len(self.holds))) if self.holds else None

    def hold(self):
        hold = self.ledger.hold(
            self.chance.choice(USERS),
            self.chance.choice(["0.05", "0.25", "0.5", "1"]),
            model=self.chance.choice(MODELS),
            tokens=self.chance.choice([0, 75, 500]),
            key=self.chance.choice([None, f"{self.chance.getrandbits(64)}"]),
            expires_in=self.chance.uniform(0.05, LONGEST_HOLD),
        )
        self.done(hold.entry)
        self.holds.append(hold)

    def settle(self):
        if hold := self.some_hold():
            share = self.chance.choice([0, 0.5, 1, 1, 1, 1.5])  # some cost more than was held
            self.done(hold.settle(float(hold.amount) * share))

    def release(self):
        if hold := self.some_hold():
            self.done(hold.release())

    def extend(self):
        if hold := self.some_hold():
            hold.extend(self.chance.uniform(0.05, LONGEST_HOLD))
            self.holds.append(hold)

    def forget(self):
        self.holds = self.holds[-3:]

    def charge(self):
        user, model = self.chance.choice(USERS), self.chance.choice(MODELS)
        self.entry = self.done(self.ledger.charge(user, cost="0.01", model=model))

    def adjust(self):
        if self.entry is not None:
            self.done(self.ledger.adjust(self.entry, "-0.001", reason="credit"))

    def stream(self):
        with self.ledger.hold(self.chance.choice(USERS), "0.2", expires_in=LONGEST_HOLD) as hold:
            for n, _ in enumerate(hold.stream(iter(["a", "few", "words"]))):
                if n == self.chance.randrange(4):
                    break

    def read(self):
        user = self.chance.choice(USERS)
        self.ledger.can_afford(user, "0.25", tokens=75)
        self.ledger.holds(user)
        assert self.ledger.balance(user).held >= 0

    def more(self):
        """Room for some more, wherever there is none left."""
        for account in (*TEAMS, "*", self.chance.choice(USERS)):
            for status in self.ledger.balance(account).budgets:
                budget = status.budget
                if status.available > budget.limit / 4:
                    continue
                limit = status.posted + (2000 if budget.measure == "tokens" else 10)
                given = {"limit" if budget.measure == "usd" else budget.measure: limit}
                self.ledger.set_budget(
                    account, **given, model=budget.model, name=budget.name,
                    alert_at=budget.alert_at,
                )  # fmt: skip

    def move(self):
        self.ledger.set_parent(self.chance.choice(USERS), self.chance.choice([*TEAMS, None]))

    def freeze(self):
        user = self.chance.choice(USERS)
        self.ledger.freeze(user)
        self.ledger.unfreeze(user)


def work(path, notes, seed, threads):
    """Let threads do what they like until they are to end; *notes* takes what returned."""
    warnings.simplefilter("ignore")
    ledger = Ledger(path, synchronous="NORMAL")
    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(line):
        os.write(file, line.encode())  # whole lines, which a kill does not take back

    def run(number):
        worker = Worker(ledger, random.Random(f"{seed}-{number}"), write)
        try:
            while not os.path.exists(ending(path)):
                worker.step()
        except BaseException:
            write(f"! {traceback.format_exc()!r} -\n")

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger.close()


# -- the whole ----------------------------------------------------------------------------------


def ending(path):
    """The file that makes workers end: a lock could be left locked by one that is killed."""
    return f"{path}.ending"


def stress(path, seconds, rows, processes, threads, kill_every, seed, console):
    """Run it; what was counted, and what was violated."""
    chance = random.Random(seed)
    spawn = multiprocessing.get_context("spawn")
    until = time.monotonic() + seconds
    counted, wrong, notes, running = Counter(), [], [], []

    def start():
        notes.append(f"{path}.notes-{len(notes)}")
        arguments = (path, notes[-1], f"{seed}-{len(notes)}", threads)
        running.append(spawn.Process(target=work, args=arguments, daemon=True))
        running[-1].start()

    furnish(path)
    for _ in range(processes):
        start()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=seconds)
        next_kill = time.monotonic() + kill_every
        written = at_last_kill = _rows(path)
        while (left := until - time.monotonic()) > 0 or written < rows:
            written = _rows(path)
            progress.update(
                task,
                completed=min(seconds, seconds - left),
                description=f"{written} rows, {counted['killed']} kills",
            )
            if kill_every and time.monotonic() > next_kill and written > at_last_kill:
                at_last_kill = written
                next_kill = time.monotonic() + kill_every * chance.uniform(0.5, 1.5)
                victim = running.pop(chance.randrange(len(running)))
                victim.kill()
                victim.join()
                counted["killed"] += 1
                start()
            time.sleep(0.1)
        Path(ending(path)).touch()
        progress.update(task, completed=seconds, description="waiting for the last calls")
        for process in running:
            process.join(60)
            if process.exitcode != 0:
                wrong.append(f"a worker ended with {process.exitcode}")
                process.kill()
    return counted, wrong + check(path, notes, counted, console)


def _rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT max(id) FROM entries").fetchone()[0]


def check(path, notes, counted, console):
    """What is wrong with a ledger that nobody works on any more; *notes* tell what returned."""
    with console.status("recounting"):
        with closing(sqlite3.connect(path)) as database:
            rows = {
                entry: (kind, account)
                for entry, kind, account in database.execute(
                    "SELECT e.id, e.kind, a.name FROM entries e JOIN accounts a "
                    "ON a.id = e.account_id"
                )
            }
        counted["rows"] = len(rows)
        wrong = []
        for file in notes:
            if not os.path.exists(file):  # killed before it had begun
                continue
            for line in Path(file).read_text().splitlines():
                entry, _, rest = line.partition(" ")
                kind, _, account = rest.rpartition(" ")
                counted[kind if entry != "!" else "failed"] += 1
                if entry == "!":
                    wrong.append(f"a worker failed: {rest}")
                elif entry != "-" and rows.get(int(entry)) != (kind, account):
                    wrong.append(f"{line} was acknowledged; found: {rows.get(int(entry))}")
        later = round(LONGEST_HOLD * 1e6) + 1
        with Ledger(path, clock=lambda: system_clock() + later) as ledger:
            wrong += [
                f"{balance.held} USD of {account.name} are held after their deadlines"
                for account in ledger.accounts()
                if (balance := ledger.balance(account.name)).held
            ]
            wrong += [f"verify: {problem}" for problem in ledger.verify().problems]
        return wrong + audit(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--rows", type=int, default=0, help="go on until there are so many")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=1, help="seconds; 0 for no kills")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--check", metavar="FILE", help="recount a ledger that is there already")
    asked = parser.parse_args()
    console = Console()
    folder = None
    if asked.check:
        counted = Counter()
        wrong = check(asked.check, [], counted, console)
    else:
        folder = tempfile.mkdtemp(prefix="stress-")
        counted, wrong = stress(
            os.path.join(folder, "spend.db"), asked.minutes * 60, asked.rows, asked.processes,
            asked.threads, asked.kill_every, asked.seed, console,
        )  # fmt: skip
    table = Table("what", "how often", title=f"seed {asked.seed}")
    for what, times in sorted(counted.items()):
        table.add_row(what, str(times))
    table.add_row("violations", str(len(wrong)))
    console.print(table)
    for line in wrong[:20]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if folder is not None and wrong:
        console.print(f"the ledger is kept in {folder}", soft_wrap=True)
    elif folder is not None:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
