"""A day of three users, played into a real ledger by a clock that moves when told.

The responses have the shapes that the OpenAI and Anthropic clients return, as plain dicts; the
prices are the shipped list's. Before each call the balance is asked, as an application would.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from budgetledger._verify import Verification
from budgetledger.entries import MONEY_KINDS, Balance, Entry
from budgetledger.ledger import Ledger
from budgetledger.testing import FakeClock

if TYPE_CHECKING:
    from rich.console import Console

_ZONE = "Europe/Berlin"
_MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=ZoneInfo(_ZONE))  # a Monday
_NEW_DAY = "a new day, no row touched"
_USERS = ("alice", "bob", "team:docs")


class Step(NamedTuple):
    """A moment of the day: a call that was made or refused, or something else that happened."""

    time: datetime
    text: str
    balance: Balance
    entry: Entry | None = None
    """The row that was written; None for a call that was refused."""


class Day(NamedTuple):
    """What happened, and how the ledger stood in the end."""

    path: str
    project: str
    steps: list[Step]
    entries: list[Entry]
    balances: list[Balance]
    verified: Verification

    def spent_by(self, field: str) -> dict[str, Decimal]:
        """USD by ``account`` or ``model``."""
        found: dict[str, Decimal] = {}
        for entry in self.entries:
            if entry.cost is not None:
                name = getattr(entry, field)
                found[name] = found.get(name, Decimal(0)) + entry.cost
        return found

    @property
    def query(self) -> str:
        """SQL for any SQLite tool: what each user spent."""
        return (
            "SELECT account, count(*) AS entries, sum(cost_pico) / 1e12 AS usd "
            f"FROM spend WHERE project = '{self.project}' GROUP BY account ORDER BY usd DESC"
        )

    @property
    def command(self) -> str:
        """The query, ready to paste into a shell."""
        path = f'"{self.path}"' if os.name == "nt" else shlex.quote(self.path)
        return f'sqlite3 -box {path} "{self.query}"'


# -- playing it -------------------------------------------------------------------------------


def play(path: str) -> Day:
    """Play the day into the ledger at *path*, in a project that it does not have yet."""
    clock = FakeClock(_MORNING)
    with Ledger(path, clock=clock) as ledger:
        taken = ledger._projects()
    names = ("demo", *(f"demo-{number}" for number in range(2, len(taken) + 3)))
    project = next(name for name in names if name not in taken)
    with Ledger(path, project=project, clock=clock) as ledger:
        ledger.set_budget("alice", "0.05", per="day", timezone=_ZONE, name="default")
        ledger.set_budget("bob", "0.50", per="month", name="default")
        ledger.set_budget("team:docs", "0.25", per="week", name="default")
        steps = list(_steps(ledger, clock))
        return Day(
            ledger.path,
            project,
            steps,
            [entry for entry in ledger.entries() if entry.kind in MONEY_KINDS],
            [ledger.balance(user) for user in _USERS],
            ledger.verify(),
        )


def _steps(ledger: Ledger, clock: FakeClock) -> Iterator[Step]:
    def call(time: str, user: str, text: str, response: dict[str, Any], days: int = 0) -> Step:
        hour, minute = map(int, time.split(":"))
        clock.move_to(_MORNING.replace(hour=hour, minute=minute) + timedelta(days=days))
        available = ledger.balance(user).available
        assert available is not None
        paid = ledger.charge(user, response) if available > 0 else None
        return Step(_local(clock), text, ledger.balance(user), paid)

    yield call("09:04", "alice", "asks for a plan", _chat("gpt-5", 2_180, 2_010))
    yield call("09:31", "team:docs", "reads the handbook", _message(240, 610, written=18_400))
    yield call("10:15", "bob", "indexes his notes", _embeddings(412_000))
    yield call("11:20", "team:docs", "answers a question", _message(380, 540, read=18_400))
    answer = call("13:47", "bob", "summarizes a report", _response(148_200, 9_400))
    yield answer
    yield call("15:12", "alice", "has it written out", _chat("gpt-5", 4_870, 2_960, cached=4_096))
    yield call("17:38", "alice", "wants one more", _chat("gpt-5", 5_200, 1_800, cached=4_864))
    assert answer.entry is not None
    clock.advance(minutes=22)
    corrected = ledger.adjust(answer.entry, "-0.0376", reason="provider credit: cut-off answer")
    yield Step(_local(clock), "credited: cut-off answer", ledger.balance("bob"), corrected)
    yield call("18:26", "team:docs", "answers a question", _message(510, 720, read=18_400))
    before = len(list(ledger.entries()))
    clock.move_to(_MORNING.replace(hour=0) + timedelta(days=1))
    fresh = ledger.balance("alice")
    assert fresh.posted == 0
    assert len(list(ledger.entries())) == before
    yield Step(_local(clock), _NEW_DAY, fresh)
    yield call("08:15", "alice", "has her one more", _chat("gpt-5", 5_200, 1_800), days=1)


def _local(clock: FakeClock) -> datetime:
    return clock.now.astimezone(ZoneInfo(_ZONE))


def _chat(model: str, prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """An OpenAI chat completion; the prompt counts the cached tokens in."""
    return {
        "id": "chatcmpl-B6x2",
        "object": "chat.completion",
        "model": f"{model}-2025-08-07",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def _response(prompt: int, output: int) -> dict[str, Any]:
    """An OpenAI Responses answer."""
    return {
        "id": "resp_67c9",
        "object": "response",
        "model": "gpt-4.1-2025-04-14",
        "status": "incomplete",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + output,
        },
    }


def _embeddings(prompt: int) -> dict[str, Any]:
    """OpenAI embeddings."""
    return {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [],
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def _message(prompt: int, output: int, written: int = 0, read: int = 0) -> dict[str, Any]:
    """An Anthropic message; the cache counts stand beside the input."""
    return {
        "id": "msg_01Xf",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": prompt,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": output,
        },
    }


# -- showing it -------------------------------------------------------------------------------


def summary(day: Day) -> dict[str, Any]:
    """The day as a JSON document."""
    from budgetledger._render import balance_json, entry_json, verification_json

    return {
        "path": day.path,
        "project": day.project,
        "refused": [
            {"account": step.balance.account, "at": step.time}
            for step in day.steps
            if _refused(step)
        ],
        "entries": [entry_json(entry) for entry in day.entries],
        "spent_by_account": day.spent_by("account"),
        "spent_by_model": day.spent_by("model"),
        "balances": [balance_json(balance, day.project) for balance in day.balances],
        "verify": verification_json(day.verified, day.path),
        "query": day.query,
        "command": day.command,
    }


def show(out: Console, day: Day) -> None:
    """The day, the bill, and where to find it."""
    from rich.text import Text

    from budgetledger._render import label, shares, show_verification

    def heading(text: str) -> None:
        out.print(Text(f"\n{text}", "bold cyan"))

    date = f"{_MORNING:%A} {_MORNING.day} {_MORNING:%B %Y}"
    out.print(Text(f"A day of three users: {date}, by the clock of {_ZONE}", "bold cyan"))
    _show_steps(out, day)
    heading("The bill, row by row; a row is never rewritten")
    _show_bill(out, day)
    heading("What each model cost")
    out.print(shares(out, day.spent_by("model"), "model", "cyan"))
    heading("What each user spent")
    out.print(shares(out, day.spent_by("account"), "account", "magenta"))
    heading("Everything recounted, hashes included")
    show_verification(out, day.verified)
    heading("The ledger is this file; any SQLite tool reads it")
    out.print(label(out, day.path), soft_wrap=True)
    out.print(label(out, day.command), soft_wrap=True)


def _show_steps(out: Console, day: Day) -> None:
    from rich.text import Text

    from budgetledger._render import bar, decimals_of, limit_text, percent, table, usd, used

    limits = (f"{one.account} {limit_text(one.budgets[0].budget)}" for one in day.balances)
    out.print(f"Budgets: {', '.join(limits)}\n", soft_wrap=True)
    made = table(out, "time", "user", "", ">USD", "budget", ">used")
    decimals = decimals_of(entry.cost for entry in day.entries)
    for step in day.steps:
        status = step.balance.budgets[0]
        share = used(status.posted, status.budget.limit)
        style = "red" if _refused(step) else "green" if _turned(step) else ""
        cost = "refused" if _refused(step) else ""
        if step.entry is not None and step.entry.cost is not None:
            cost = usd(step.entry.cost, decimals)
        made.add_row(
            f"{step.time:%H:%M}",
            step.balance.account,
            Text(step.text),
            Text(cost),
            bar(out, share, 12),
            percent(share),
            style=style,
        )
    out.print(made)


def _show_bill(out: Console, day: Day) -> None:
    from budgetledger._render import decimals_of, table, usd

    made = table(out, ">id", "UTC", "account", "model", ">in", ">out", ">USD")
    decimals = decimals_of(entry.cost for entry in day.entries)
    for entry in day.entries:
        assert entry.cost is not None
        what = entry.model if entry.corrects_id is None else f"corrects {entry.corrects_id}"
        made.add_row(
            str(entry.id),
            f"{entry.recorded_at:%m-%d %H:%M}",
            entry.account,
            what,
            f"{entry.input_tokens:,}",
            f"{entry.output_tokens:,}",
            usd(entry.cost, decimals),
        )
    out.print(made)


def _turned(step: Step) -> bool:
    return step.text == _NEW_DAY


def _refused(step: Step) -> bool:
    return step.entry is None and not _turned(step)
