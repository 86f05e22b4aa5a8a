"""What the command line shows people: tables, and bars on a terminal.

Import it only when a command shows something: it imports rich.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from budgetledger.entries import Account, Alert, Balance, BudgetStatus, Entry
from budgetledger.journal.rows.basis import passed_tokens
from budgetledger.render.text import (
    LEAST,
    alerts_text,
    clock_time,
    decimals_of,
    entry_text,
    exact_percent,
    is_minimal,
    limit_text,
    pace_text,
    percent,
    plain,
    quantity,
    span,
    usd,
    used,
    window_text,
)
from budgetledger.reporting import BudgetPace, Pace

if TYPE_CHECKING:  # keep messages and --help fast
    from budgetledger.holds import Hold
    from budgetledger.journal.row_settings import Setting
    from budgetledger.journal.verify import Verification
    from budgetledger.prices import OwnPrice, Repriced
    from budgetledger.windows import Window

_ENDLESS = 10_000  # columns of a file or a pipe: it has no right edge, so nothing is cut
_BAR = 24
_ACCOUNT_BARS = (16, 8, 0)  # widths, in the order they are tried
_MANY = 200  # accounts


def console(*, stderr: bool = False) -> Console:
    """Where to print. Markup is off, so that a name such as ``[red]`` is shown as it is."""
    out = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = _ENDLESS
    return out


@contextmanager
def paged(out: Console, rows: int) -> Iterator[Console]:
    """*out*, through the user's pager if it is a terminal that *rows* would not fit on."""
    if not (out.is_terminal and sys.stdin.isatty() and rows >= out.height - 1):
        yield out
        return
    with out.capture() as captured:
        yield out
    click.echo_via_pager(captured.get(), color=True)


def label(out: Console, text: object, style: str = "") -> Text:
    """*text* from a user, made safe to print on *out*."""
    return Text(plain(text, out.encoding), style)


def bar(
    out: Console, share: float, width: int = _BAR, style: str | None = None
) -> ProgressBar | str:
    """A bar for *share*: green, yellow from 80 %, red once exhausted. Only on a terminal."""
    if not out.is_terminal:
        return ""
    color = style or ("red" if share >= 1 else "yellow" if share >= 0.8 else "green")
    full = min(max(share, 0.0), 1.0)
    return ProgressBar(1.0, full, width=width, complete_style=color, finished_style=color)


@contextmanager
def progress_on_terminal(
    what: str, wanted: bool = True
) -> Iterator[Callable[[int, int], None] | None]:
    """A function that shows progress on stderr; None if stderr is no terminal."""
    out = console(stderr=True)
    if not (wanted and out.is_terminal):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=out, transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def table(out: Console, *headers: str) -> Table:
    """A table. ``>`` before a header aligns figures to the right; ``|`` prevents wrapping."""
    grid = Table(
        box=box.SIMPLE_HEAD if out.is_terminal else None,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if out.is_terminal else 2, 0, 0),  # the box adds one more space
    )
    for header in headers:
        if header.startswith(">"):
            grid.add_column(header[1:], justify="right", no_wrap=True)
        elif header.startswith("|"):
            grid.add_column(header[1:], no_wrap=True)
        else:
            grid.add_column(header, overflow="fold")
    return grid


def shares(out: Console, amounts: Mapping[str, Decimal], what: str, style: str) -> Table:
    """*amounts* in USD by name, the largest first, each with its share of the sum."""
    total = sum(amounts.values(), Decimal(0))
    decimals = decimals_of(amounts.values())
    grid = table(out, what, "", ">share", ">USD")
    for name, amount in sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0])):
        share = float(amount / total) if total > 0 else 0.0
        graph = bar(out, share, style=style)
        grid.add_row(label(out, name), graph, percent(share), usd(amount, decimals))
    if len(amounts) != 1:
        grid.add_row("total", "", "", usd(total, decimals), style="bold")
    return grid


def show_entries(
    out: Console, entries: Sequence[Entry], settings: Mapping[int, Setting] = {}
) -> None:
    """Rows of a journal, times in UTC. *settings*: what rows set, by their id."""
    headers = ">id", "|UTC", "account", "model", ">in", ">out", ">USD", "note"
    decimals = decimals_of(entry.cost for entry in entries)
    rows: list[list[RenderableType]] = []
    for entry in entries:
        cost = Text("" if entry.cost is None else usd(entry.cost, decimals))
        if entry.cost_basis == "unpriced":
            cost = Text("unpriced", "yellow")
        elif entry.cost_basis == "assumed":
            cost.stylize("yellow")
        tokens = (f"{n:,}" if n else "" for n in (entry.input_tokens, entry.output_tokens))
        row: list[RenderableType] = [
            str(entry.id),
            clock_time(entry.recorded_at),
            label(out, entry.account),
            label(out, entry.model or ""),
            *tokens,
            cost,
            label(out, entry_text(entry, settings.get(entry.id))),
        ]
        rows.append(row)
    print_rows(out, headers, rows)


def show_balance(
    out: Console,
    balance: Balance,
    project: str,
    now: datetime,
    paces: Mapping[str, Pace | None] | None = None,
) -> None:
    """An account and each of its budgets: how full, how much is left, until when.

    *paces*: where the budgets lead, by name.
    """
    out.print(label(out, balance.account, "bold"), label(out, f"(project {project})", "dim"))
    if not balance.budgets:
        out.print(f"no budget; spent {usd(balance.posted)} so far", soft_wrap=True)
    for status in balance.budgets:
        out.print()
        _show_budget(out, status, now)
        pace = (paces or {}).get(status.budget.name)
        if pace is not None:
            out.print(f"  {pace_text(pace, status)}", soft_wrap=True)
    if balance.assumed:
        out.print()
        remark = (
            f"{usd(balance.assumed)} of it is assumed: what was held, as the cost is not known; "
            "`budgetledger reprice` or `adjust` states it"
        )
        out.print(Text(remark, "yellow"), soft_wrap=True)
    if balance.unpriced:
        out.print()
        calls = "1 call is" if balance.unpriced == 1 else f"{balance.unpriced:,} calls are"
        remark = (
            f"{calls} without a price, and not in these figures; `budgetledger reprice` or "
            "`adjust` states it"
        )
        out.print(Text(remark, "yellow"), soft_wrap=True)


def _show_budget(out: Console, status: BudgetStatus, now: datetime) -> None:
    budget, measure = status.budget, status.budget.measure
    share = used(status.posted, budget.limit)
    grid = Table.grid(padding=(0, 2, 0, 0))
    name = label(out, budget.name, "bold")
    grid.add_row(name, bar(out, share), f"{percent(share)} of {limit_text(budget)}")
    out.print(grid)
    left = Text(quantity(status.available, measure), "" if status.available > 0 else "red")
    figures = Text.assemble(
        "  posted ", quantity(status.posted, measure), "   held ", quantity(status.held, measure),
        "   limit ", quantity(budget.limit, measure), "   available ", left,
    )  # fmt: skip
    out.print(figures, soft_wrap=True)
    if budget.alert_at:
        out.print(f"  {alerts_text(budget)}", soft_wrap=True)
    out.print(f"  {window_text(status.window, now)}", soft_wrap=True)


def show_accounts(
    out: Console, accounts: Sequence[Account], balances: Sequence[Balance], now: datetime
) -> None:
    """Every account: how full its budget is, what is left, its parent, and whether it is frozen.

    Prints a table if it fits, with a narrower bar or none if necessary; otherwise a few lines
    for each account. Names and amounts are never cut. Many accounts are a table without bars.
    """
    if len(accounts) > _MANY:
        print_rows(out, *_accounts_rows(out, accounts, balances, now, 0))
        return
    for bar_width in _ACCOUNT_BARS:
        headers, rows = _accounts_rows(out, accounts, balances, now, bar_width)
        grid = table(out, *headers)
        for row in rows:
            grid.add_row(*row)
        if Measurement.get(out, out.options.update(width=_ENDLESS), grid).maximum <= out.width:
            out.print(grid)
            return
    for account, balance in zip(accounts, balances, strict=True):
        _show_account(out, account, balance, now)


def _accounts_rows(
    out: Console,
    accounts: Sequence[Account],
    balances: Sequence[Balance],
    now: datetime,
    bar_width: int,
) -> tuple[list[str], list[list[RenderableType]]]:
    """Headers for `table`, and a row for each account."""
    above = any(account.parent is not None for account in accounts)
    frozen = any(account.frozen is not None for account in accounts)
    headers = ["|account", "|", ">used", ">posted", ">held", ">limit", ">available", "|turns in"]
    headers += [*(["|under"] if above else []), *(["|frozen"] if frozen else [])]
    columns = ([one.posted, one.held, one.limit, one.available] for one in balances)
    decimals = [decimals_of(column) for column in zip(*columns, strict=True)]
    rows = []
    for account, balance in zip(accounts, balances, strict=True):
        row = [label(out, account.name), *_account_figures(out, balance, decimals, now, bar_width)]
        if above:
            row.append(label(out, account.parent or ""))
        if frozen:
            row.append(label(out, "" if account.frozen is None else account.frozen or "yes", "red"))
        rows.append(row)
    return headers, rows


def print_rows(
    out: Console, headers: Sequence[str], rows: Sequence[Sequence[RenderableType]]
) -> None:
    """Print a table; on a terminal that is too narrow for its words, a few lines for each row.

    Many rows are plain lines, as rich takes seconds for thousands of them.
    """
    if len(rows) <= _MANY:
        grid = table(out, *headers)
        for row in rows:
            grid.add_row(*row)
        if Measurement.get(out, out.options.update(width=_ENDLESS), grid).minimum <= out.width:
            out.print(grid)
            return
        for row in rows:
            named = zip(headers, row, strict=True)
            facts = [Text(f"{name.lstrip('|>')} {cell}") for name, cell in named if str(cell)]
            first, *more = _lines_of(facts, out.width)
            for line in (first[2:], *more):
                out.print(line, soft_wrap=True)
        return
    texts = [[header.lstrip("|>") for header in headers], *([str(one) for one in r] for r in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    shown = [at for at, width in enumerate(widths) if width]
    for text in texts:
        cells = (
            " " * (widths[at] - cell_len(text[at])) + text[at]
            if headers[at].startswith(">")
            else text[at] + " " * (widths[at] - cell_len(text[at]))
            for at in shown
        )
        click.echo("  ".join(cells).rstrip(), file=out.file)


def _account_figures(
    out: Console, balance: Balance, decimals: Sequence[int], now: datetime, bar_width: int
) -> list[RenderableType]:
    posted, held, limit, available = decimals
    spent, reserved = usd(balance.posted, posted), usd(balance.held, held)
    if balance.limit is None or balance.available is None:
        return ["", "", spent, reserved, _no_limit(balance), "", ""]
    share = used(balance.posted, balance.limit)
    return [
        bar(out, share, bar_width) if bar_width else "",
        percent(share),
        spent,
        reserved,
        usd(balance.limit, limit),
        Text(usd(balance.available, available), "" if balance.available > 0 else "red"),
        _turns_in(balance.window, now),
    ]


def _no_limit(balance: Balance) -> str:
    return "none in USD" if balance.budgets else "no budget"


def _turns_in(window: Window, now: datetime) -> str:
    """How long the window still lasts; empty if it has no end, or is rolling."""
    end = window.end
    return "" if end is None or end - now < timedelta(seconds=1) else span(end - now)


def _show_account(out: Console, account: Account, balance: Balance, now: datetime) -> None:
    """One account, in a few lines of at most the terminal's width (longer names excepted)."""
    out.print(label(out, account.name, "bold"), soft_wrap=True)
    facts = [Text(f"posted {usd(balance.posted)}"), Text(f"held {usd(balance.held)}")]
    if balance.limit is None or balance.available is None:
        facts.append(Text(_no_limit(balance)))
    else:
        style = "" if balance.available > 0 else "red"
        facts.insert(0, Text(f"{percent(used(balance.posted, balance.limit))} used", style))
        facts.append(Text(f"limit {usd(balance.limit)}"))
        facts.append(Text(f"available {usd(balance.available)}", style))
    turns_in = _turns_in(balance.window, now)
    if turns_in:
        facts.append(Text(f"turns in {turns_in}"))
    for line in _lines_of(facts, out.width):
        out.print(line, soft_wrap=True)
    if account.parent is not None:
        out.print(label(out, f"  under {account.parent}"), soft_wrap=True)
    if account.frozen is not None:
        why = f": {account.frozen}" if account.frozen else ""
        out.print(label(out, f"  frozen{why}", "red"), soft_wrap=True)


def _lines_of(facts: Sequence[Text], width: int) -> list[Text]:
    """*facts*, indented, in as few lines as possible; none is broken."""
    lines = [Text("  ") + facts[0]]
    for fact in facts[1:]:
        joined = Text.assemble(lines[-1], "   ", fact)
        if joined.cell_len <= width:
            lines[-1] = joined
        else:
            lines.append(Text("  ") + fact)
    return lines


def show_statuses(out: Console, paces: Sequence[BudgetPace], now: datetime) -> None:
    """Budgets that are near their limit or exceeded, with what is left and until when.

    Below the table, where they lead.
    """
    statuses = [one.status for one in paces]
    headers = "account", "budget", "state", ">used", ">posted", ">limit", ">available", "turns in"
    rows: list[list[RenderableType]] = []
    for status in statuses:
        is_exceeded = status.posted >= status.budget.limit
        rows.append(
            [
                label(out, status.budget.account),
                label(out, status.budget.name),
                Text("exceeded", "red") if is_exceeded else Text("near", "yellow"),
                percent(used(status.posted, status.budget.limit)),
                *(_amount(one) for one in (status.posted, status.budget.limit, status.available)),
                _turns_in(status.window, now),
            ]
        )
    print_rows(out, headers, rows)
    show_paces(out, paces)


def show_paces(out: Console, paces: Sequence[BudgetPace]) -> None:
    """A line for each budget that has a pace."""
    for status, pace in paces:
        if pace is not None:
            name = f"{status.budget.account}, {status.budget.name}: "
            out.print(label(out, name + pace_text(pace, status)), soft_wrap=True)


def show_holds(out: Console, holds: Sequence[Hold]) -> None:
    """Open holds: amount, account, call and deadline; times in UTC."""
    headers = ">id", "account", "model", ">USD", ">tokens", "|recorded", "|expires", "key"
    rows: list[list[RenderableType]] = []
    stated = [hold.amount for hold in holds if not is_minimal(hold.entry)]
    decimals = decimals_of(stated)
    for hold in holds:
        row: list[RenderableType] = [
            str(hold.id),
            label(out, hold.account),
            label(out, hold.model or ""),
            LEAST if is_minimal(hold.entry) else usd(hold.amount, decimals),
            f"{tokens:,}" if (tokens := passed_tokens(hold.entry)) else "",
            clock_time(hold.entry.recorded_at),
            clock_time(hold.expires_at),
            label(out, hold.entry.idempotency_key or ""),
        ]
        rows.append(row)
    if len(holds) > 1:
        amount = sum(stated, Decimal(0))
        held_tokens = sum(passed_tokens(hold.entry) or 0 for hold in holds)
        total = usd(amount, decimals), f"{held_tokens:,}" if held_tokens else ""
        rows.append([Text(cell, "bold") for cell in ("", "total", "", *total, "", "", "")])
    print_rows(out, headers, rows)


def show_alerts(out: Console, alerts: Sequence[Alert], now: datetime) -> None:
    """Thresholds that were reached or resolved; times in UTC."""
    headers = "|UTC", "account", "budget", "state", ">share", ">posted", ">limit", "window"
    rows: list[list[RenderableType]] = []
    for alert in alerts:
        reached = alert.state == "alert"
        row: list[RenderableType] = [
            clock_time(alert.recorded_at),
            label(out, alert.account),
            label(out, alert.budget),
            Text("reached", "yellow") if reached else "resolved",
            exact_percent(alert.threshold),
            _amount(alert.posted),
            _amount(alert.limit),
            window_text(alert.window, now),
        ]
        rows.append(row)
    print_rows(out, headers, rows)


def _amount(amount: Decimal | int) -> str:
    return usd(amount) if isinstance(amount, Decimal) else f"{amount:,}"


def show_verification(out: Console, verification: Verification) -> None:
    """How many rows were recounted, and a row for each difference."""
    counted = f"{verification.entries:,} entries of {verification.accounts:,} accounts recounted"
    if verification.ok:
        out.print(Text(f"ok: {counted}, no differences", "green"))
        return
    out.print(Text(f"{len(verification.problems):,} differences; {counted}", "red"))
    grid = table(out, "account", ">entry", "difference")
    for problem in verification.problems:
        entry = "" if problem.entry_id is None else str(problem.entry_id)
        grid.add_row(label(out, problem.account or ""), entry, label(out, problem.message))
    out.print(grid)


_SHOWN = {  # rates with a column of their own
    "input_mtok": ">input",
    "output_mtok": ">output",
    "cache_read_mtok": ">cache read",
    "cache_write_mtok": ">cache write",
}


def prices_table(out: Console, prices: Sequence[OwnPrice]) -> Table:
    """Own prices: USD for a million tokens, and their other rates; times in UTC."""
    grid = table(out, ">id", "model", "project", *_SHOWN.values(), "other rates", "|from")
    for price in prices:
        rates = price.rates
        others = " ".join(f"{key}={usd:f}" for key, usd in rates.items() if key not in _SHOWN)
        grid.add_row(
            str(price.id),
            label(out, price.model),
            label(out, price.project or "all"),
            *(usd(rates[key]) if key in rates else "" for key in _SHOWN),
            label(out, "ends" if price.removed else others),
            clock_time(price.effective_at),
        )
    return grid


def repriced_table(out: Console, priced: Sequence[Repriced]) -> Table:
    """Calls that were recorded without a price, with their cost now; times in UTC."""
    grid = table(out, ">id", "|UTC", "account", "model", ">USD", "source", ">adjustment")
    decimals = decimals_of(one.cost for one in priced)
    for one in priced:
        entry = one.entry
        grid.add_row(
            str(entry.id),
            clock_time(entry.occurred_at or entry.recorded_at),
            label(out, entry.account),
            label(out, one.unit_prices.get("model", entry.model)),
            usd(one.cost, decimals),
            label(out, one.source),
            "" if one.adjustment is None else str(one.adjustment.id),
        )
    total = sum((one.cost for one in priced), Decimal(0))
    grid.add_row("", "", "total", "", usd(total, decimals), "", "", style="bold")
    return grid
