"""The demo's day as pages for people, and as one JSON document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from budgetledger.cli.demo.day import MORNING, TEAM, ZONE, Day, Step
from budgetledger.render.documents import (
    alert_json,
    balance_json,
    entry_json,
    verification_json,
    window_json,
)
from budgetledger.render.tables import bar, label, shares, show_verification, table
from budgetledger.render.text import (
    alerts_text,
    clock_time,
    decimals_of,
    limit_text,
    percent,
    quantity,
    usd,
    used,
)
from budgetledger.storage.targets import is_server


def summary(day: Day) -> dict[str, Any]:
    """The day as a JSON document."""
    return {
        "path": day.path,
        "project": day.project,
        "refused": [_refusal_json(step) for step in day.steps if step.refusal is not None],
        "alerts": [alert_json(step.alert, day.project) for step in day.steps if step.alert],
        "expired": [entry_json(entry) for entry in day.entries if entry.kind == "expire"],
        "entries": [entry_json(entry) for entry in day.costs],
        "spent_by_account": day.spent_by("account"),
        "spent_by_model": day.spent_by("model"),
        "balances": [balance_json(balance, day.project) for balance in day.balances],
        "verify": verification_json(day.verified, day.path),
        "query": day.query,
        "command": day.command,
    }


def _refusal_json(step: Step) -> dict[str, Any]:
    refusal = step.refusal
    assert refusal is not None
    return {
        "account": step.account,
        "at": step.time,
        "refused_by": {"account": refusal.account, "budget": refusal.budget.name},
        "requested": refusal.requested,
        "available": refusal.available,
        "window": window_json(refusal.window),
        "retry_after": refusal.retry_after,
        "blocked_by_holds": refusal.blocked_by_holds,
        "largest_output": refusal.largest_output,
        "message": refusal.message,
    }


def show(out: Console, day: Day) -> None:
    """Print the day, the bill, and where the ledger is."""

    def heading(text: str) -> None:
        out.print(Text(f"\n{text}", "bold cyan"))

    date = f"{MORNING:%A} {MORNING.day} {MORNING:%B %Y}"
    out.print(Text(f"A day of three users: {date}, by the clock of {ZONE}", "bold cyan"))
    _show_budgets(out, day)
    _show_steps(out, day)
    heading("The refusals, before anything was spent")
    for step in day.steps:
        _show_refusal(out, step)
    heading("The bill, row by row; a row is never rewritten")
    _show_bill(out, day)
    heading("What each model cost")
    out.print(shares(out, day.spent_by("model"), "model", "cyan"))
    heading("What each user spent")
    out.print(shares(out, day.spent_by("account"), "account", "magenta"))
    heading("Everything recounted, hashes included")
    show_verification(out, day.verified)
    tools = "PostgreSQL" if is_server(day.path) else "SQLite"
    heading(f"The ledger is here; any {tools} tool reads it")
    out.print(label(out, day.path), soft_wrap=True)
    out.print(label(out, day.command), soft_wrap=True)


def _show_budgets(out: Console, day: Day) -> None:
    *users, team = (balance.budgets[0].budget for balance in day.balances)
    each = ", ".join(f"{budget.account} {limit_text(budget)}" for budget in users)
    out.print(f"Budgets: {each};", soft_wrap=True)
    out.print(f"above them {TEAM} {limit_text(team)}, {alerts_text(team)}\n", soft_wrap=True)


def _show_steps(out: Console, day: Day) -> None:
    steps = table(out, "|time", "|who", "", ">held", ">paid", ">left", ">used")
    for step in day.steps:
        held = "" if step.hold is None else _rounded(step.hold.amount)
        paid, style = "", ""
        if step.entry is not None and step.entry.cost is not None:
            paid = _rounded(step.entry.cost)
        elif step.refusal is not None:
            paid, style = "refused", "red"
        elif step.alert is not None:
            style = "yellow"
        elif step.hold is None:  # time alone
            style = "green"
        posted, limit, available = step.balance.posted, step.balance.limit, step.balance.available
        assert limit is not None
        assert available is not None
        share = used(posted, limit)
        row = f"{step.time:%H:%M}", step.account, step.text, held, paid, _rounded(available)
        steps.add_row(*row, bar(out, share, 8) or percent(share), style=style)
    out.print(steps)


def _rounded(amount: Decimal) -> str:
    return usd(round(amount, 4), 4)


def _show_refusal(out: Console, step: Step) -> None:
    refusal = step.refusal
    if refusal is None:
        return
    text = f"{step.time:%H:%M} {step.account}: {refusal}"
    facts = [f"available {quantity(refusal.available, refusal.budget.measure)}"]
    end, zone = refusal.window.end, refusal.window.timezone
    if end is not None:
        facts.append(f"the window turns {clock_time(end)} ({zone})")
    if refusal.largest_output is not None:
        facts.append(f"largest output still granted {refusal.largest_output:,} tokens")
    out.print(Text(text), soft_wrap=True)
    out.print(f"      {', '.join(facts)}", soft_wrap=True)


def _show_bill(out: Console, day: Day) -> None:
    bill = table(out, ">id", "UTC", "account", "model", ">in", ">out", ">USD")
    decimals = decimals_of(entry.cost for entry in day.costs)
    for entry in day.costs:
        assert entry.cost is not None
        what = entry.model if entry.corrects_id is None else f"corrects {entry.corrects_id}"
        bill.add_row(
            str(entry.id),
            f"{entry.recorded_at:%m-%d %H:%M}",
            entry.account,
            what,
            f"{entry.input_tokens:,}",
            f"{entry.output_tokens:,}",
            usd(entry.cost, decimals),
        )
    out.print(bill)
