"""A day of three users, played into a real ledger with a clock that the demo moves.

Each call is held for and then settled, as in an application; prices are those of the shipped
list. Everything that is shown is read from the ledger.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from budgetledger.cli.demo.calls import chat, embeddings, message, prompt, response
from budgetledger.entries import MONEY_KINDS, Alert, Balance, Entry
from budgetledger.errors import BudgetExceededError
from budgetledger.holds import Hold
from budgetledger.journal.journal import journal_of
from budgetledger.journal.verify import Verification
from budgetledger.ledger import Ledger
from budgetledger.render.text import exact_percent
from budgetledger.storage.targets import is_server
from budgetledger.testing import FakeClock
from budgetledger.verbs.listing import projects

ZONE = "Europe/Berlin"
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=ZoneInfo(ZONE))  # a Monday
TEAM = "team:docs"
USERS = ("alice", "bob", "carol")


class Step(NamedTuple):
    """An event of the day, and the account's balance after it."""

    time: datetime
    account: str
    text: str
    balance: Balance
    hold: Hold | None = None
    entry: Entry | None = None
    """The row that moved money."""
    refusal: BudgetExceededError | None = None
    alert: Alert | None = None


class Day(NamedTuple):
    """What happened, and the ledger's state at the end."""

    path: str
    project: str
    steps: list[Step]
    entries: list[Entry]
    """All rows, without their repetitions in parent accounts."""
    balances: list[Balance]
    verified: Verification

    @property
    def costs(self) -> list[Entry]:
        """The rows that moved money."""
        return [entry for entry in self.entries if entry.kind in MONEY_KINDS]

    def spent_by(self, field: str) -> dict[str, Decimal]:
        """USD by ``account`` or ``model``."""
        spent: dict[str, Decimal] = {}
        for entry in self.costs:
            if entry.cost is not None:
                name = getattr(entry, field)
                spent[name] = spent.get(name, Decimal(0)) + entry.cost
        return spent

    @property
    def query(self) -> str:
        """SQL that shows what each user spent."""
        return (
            "SELECT account, count(*) AS entries, sum(cost_pico) / 1e12 AS usd "
            f"FROM spend WHERE project = '{self.project}' GROUP BY account ORDER BY usd DESC"
        )

    @property
    def command(self) -> str:
        """The query, ready to paste into a shell."""
        if is_server(self.path):
            from budgetledger.storage.postgres.url import address_of

            place, query = address_of(self.path), shlex.quote(self.query)
            first = shlex.quote(f"SET search_path = {place.quoted_schema}")
            return f"psql {shlex.quote(place.conninfo)} -c {first} -c {query}"
        path = f'"{self.path}"' if os.name == "nt" else shlex.quote(self.path)
        return f'sqlite3 -box {path} "{self.query}"'


def play(path: str) -> Day:
    """Play the day into the ledger at *path*, in a new project."""
    clock, alerts = FakeClock(MORNING), list[Alert]()
    with Ledger(path, clock=clock) as ledger:
        taken = projects(journal_of(ledger))
    names = ("demo", *(f"demo-{number}" for number in range(2, len(taken) + 3)))
    project = next(name for name in names if name not in taken)
    with Ledger(path, project=project, on_alert=alerts.append, clock=clock) as ledger:
        ledger.set_budget(TEAM, "0.60", per="week", timezone=ZONE, alert_at=("0.8",))
        ledger.set_budget("alice", "0.05", per="day", timezone=ZONE)
        ledger.set_budget("bob", "0.50", per="month", timezone=ZONE)
        ledger.set_budget("carol", "0.30", per="week", timezone=ZONE)
        for user in USERS:
            ledger.set_parent(user, TEAM)
        steps = _Playing(ledger, clock, alerts).day()
        return Day(
            ledger.path,
            project,
            steps,
            list(ledger.entries()),
            [ledger.balance(account) for account in (*USERS, TEAM)],
            ledger.verify(),
        )


class _Playing:
    def __init__(self, ledger: Ledger, clock: FakeClock, alerts: list[Alert]) -> None:
        self.ledger, self.clock, self.alerts = ledger, clock, alerts
        self.steps: list[Step] = []

    def day(self) -> list[Step]:
        """Everything that happens, in order."""
        plan = _asking("gpt-5", 2_180, 3_000)
        self.call("09:04", "alice", "asks for a plan", chat("gpt-5", 2_180, 2_010), **plan)
        first = message(240, 610, written=18_400)
        self.call("09:31", "carol", "reads the handbook", first, **_handbook(18_640))
        self.call("10:15", "bob", "indexes his notes", embeddings(412_000), amount="0.01")
        answer = message(380, 540, read=18_400)
        self.call("11:20", "carol", "asks about it", answer, **_handbook(18_780))
        self.lose_a_call("13:00", "bob")
        report = response(148_200, 9_400)
        summed_up = self.call("13:47", "bob", "sums up a report", report, amount="0.40")
        self.ask_for_less("15:12", "alice")
        self.credit("18:00", summed_up, "-0.0376", "provider credit: cut-off answer")
        answer = message(510, 720, read=18_400)
        self.call("18:26", "carol", "asks again", answer, **_handbook(18_910))
        self.call("19:10", "carol", "asks once more", answer, **_handbook(18_910))
        self.turn_the_day("alice")
        text, answer = "has it written out", chat("gpt-5", 4_870, 2_960)
        self.call("08:15", "alice", text, answer, days=1, **_asking("gpt-5", 4_870, 3_000))
        return self.steps

    def call(
        self, time: str, user: str, text: str, answer: dict[str, Any], days: int = 0, **asked: Any
    ) -> Step:
        """Hold, call and settle; note the alerts that this raised."""
        self.at(time, days)
        try:
            with self.ledger.hold(user, **asked) as hold:
                entry = hold.settle(answer)  # an application would call its client here
        except BudgetExceededError as refusal:
            return self.note(user, text, refusal=refusal)
        step = self.note(user, text, hold=hold, entry=entry)
        for alert in self.alerts:
            self.note(alert.account, f"alert: {exact_percent(alert.threshold)} used", alert=alert)
        self.alerts.clear()
        return step

    def lose_a_call(self, time: str, user: str) -> None:
        """A program that crashes between its hold and its settle."""
        self.at(time)
        hold = self.ledger.hold(user, "0.12", model="gpt-4.1", expires_in=timedelta(minutes=30))
        self.note(user, "calls, and crashes", hold=hold)
        self.clock.move_to(hold.expires_at)
        assert self.ledger.holds(user) == []
        self.note(user, "that hold expires")

    def ask_for_less(self, time: str, user: str) -> None:
        """A refused call, repeated with the largest output that the refusal offers."""
        asked = _asking("gpt-5", 4_870, 3_000)
        answer = chat("gpt-5", 4_870, 1_960, cached=4_096)
        refusal = self.call(time, user, "wants it written out", answer, **asked).refusal
        if refusal is not None and refusal.largest_output is not None:
            asked["max_output_tokens"] = refusal.largest_output
            text = f"takes {refusal.largest_output:,} tokens"
            self.call(time, user, text, answer, **asked)

    def credit(self, time: str, paid: Step, amount: str, reason: str) -> None:
        """A correction of what a call cost."""
        self.at(time)
        assert paid.entry is not None
        corrected = self.ledger.adjust(paid.entry, amount, reason=reason)
        self.note(paid.account, "gets a credit", entry=corrected)

    def turn_the_day(self, user: str) -> None:
        """Midnight: a new window begins, and nothing is written."""
        rows = len(list(self.ledger.entries()))
        self.at("00:00", days=1)
        self.note(user, "has a new day")
        assert len(list(self.ledger.entries())) == rows

    def at(self, time: str, days: int = 0) -> None:
        """Move the clock on."""
        hour, minute = map(int, time.split(":"))
        self.clock.move_to(MORNING.replace(hour=hour, minute=minute) + timedelta(days=days))

    def note(self, account: str, text: str, **facts: Any) -> Step:
        """Record what happened, and the account's balance now."""
        now = self.clock.now.astimezone(ZoneInfo(ZONE))
        step = Step(now, account, text, self.ledger.balance(account), **facts)
        self.steps.append(step)
        return step


def _asking(model: str, tokens: int, most: int) -> dict[str, Any]:
    """What a hold is estimated from: the prompt and the longest answer."""
    return {"model": model, "messages": prompt(tokens), "max_output_tokens": most}


def _handbook(tokens: int) -> dict[str, Any]:
    return _asking("claude-sonnet-4-6", tokens, 1_600)
