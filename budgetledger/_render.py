"""What the command line shows: values as text, tables and bars for people, JSON for programs.

Imported only once a command runs, because rich is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from budgetledger.entries import Account, Balance, Budget, BudgetStatus, Entry
from budgetledger.windows import Period, Window, from_us

if TYPE_CHECKING:  # nothing heavy for a message, or for --help
    from budgetledger._importing import ImportResult
    from budgetledger._verify import Verification

_ENDLESS = 10_000  # columns: a file or a pipe has no right edge, and nothing may be cut off there
_BAR = 24
_ENTRY = (
    *("id", "project", "account", "recorded_at", "occurred_at", "kind", "model", "cost"),
    *("price_source", "price", "input_tokens", "output_tokens", "requests", "usage", "tags"),
    *("note", "corrects_id", "idempotency_key", "hash"),
)


def console(*, stderr: bool = False) -> Console:
    """Where to print. Markup is off: what users named ``[red]`` is shown as it is."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _ENDLESS
    return made


def plain(text: object, encoding: str | None = None) -> str:
    """*text* on one line, whatever it holds: line ends, escapes and the like are spelled out."""
    spelled = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in str(text)
    )
    encoding = encoding or sys.stdout.encoding
    return spelled.encode(encoding, "backslashreplace").decode(encoding)


def label(out: Console, text: object, style: str = "") -> Text:
    """*text*, which somebody else chose, ready to print on *out*."""
    return Text(plain(text, out.encoding), style)


def usd(amount: Decimal, decimals: int = 2) -> str:
    """Dollars, exact: ``-$1,234.50``; with at least so many decimals."""
    whole, _, rest = f"{abs(amount):,f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{rest:0<{decimals}}"


def decimals_of(amounts: Iterable[Decimal | None]) -> int:
    """The decimals that show all *amounts* exactly, so that their points stand in one line."""
    exponents = (amount.as_tuple().exponent for amount in amounts if amount is not None)
    return max((-one for one in exponents if isinstance(one, int)), default=2)


def quantity(amount: Decimal | int, measure: str) -> str:
    """An amount of any measure: ``$0.25``, ``1,200 tokens``."""
    return usd(amount) if isinstance(amount, Decimal) else f"{amount:,} {measure}"


def used(posted: Decimal | int, limit: Decimal | int) -> float:
    """The share of *limit* that is used; a limit of 0 is used up."""
    return float(posted / limit) if limit else 1.0


def percent(share: float) -> str:
    """``62 %``; neither 0 % nor 100 % for what is only nearly so."""
    value = round(share * 100)
    if value == 0 and share > 0:
        return "<1 %"
    return f"{99 if value == 100 and share < 1 else value:,} %"


def cadence(period: Period) -> str:
    """``a day``, ``in any 24 h``, ``for ever``."""
    if period.span_us is not None:
        return f"in any {span(timedelta(microseconds=period.span_us))}"
    return "for ever" if period.per is None else f"a {period.per}".replace("a hour", "an hour")


def span(length: timedelta) -> str:
    """The two largest units of a length of time: ``3 d 4 h``."""
    left = int(length.total_seconds())
    parts = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def clock_time(moment: datetime) -> str:
    """``2026-03-02 09:00``, with seconds where there are any."""
    moment = moment.replace(microsecond=0, tzinfo=None)
    return moment.isoformat(" ", "minutes" if moment.second == 0 else "seconds")


def window_text(window: Window, now: datetime) -> str:
    """From when to when, by the clock of the window's zone, and when it turns."""
    if window.start is None and window.end is None:
        return "for ever"
    start = "the first entry" if window.start is None else clock_time(window.start)
    if window.end is None:
        return f"since {start} ({window.timezone})"
    text = f"{start} to {clock_time(window.end)} ({window.timezone})"
    left = window.end - now  # of a rolling window a microsecond
    return f"{text}, turns in {span(left)}" if left > timedelta(seconds=1) else text


# -- bars and tables --------------------------------------------------------------------------


def bar(
    out: Console, share: float, width: int = _BAR, style: str | None = None
) -> ProgressBar | str:
    """How full something is: green, yellow from 80 %, red once used up. Only for a terminal."""
    if not out.is_terminal:
        return ""
    color = style or ("red" if share >= 1 else "yellow" if share >= 0.8 else "green")
    full = min(max(share, 0.0), 1.0)
    return ProgressBar(1.0, full, width=width, complete_style=color, finished_style=color)


@contextmanager
def progress_on_terminal(
    what: str, wanted: bool = True
) -> Iterator[Callable[[int, int], None] | None]:
    """A function to tell the progress to, shown on stderr; None where nobody would see it."""
    out = console(stderr=True)
    if not (wanted and out.is_terminal):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=out, transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def table(out: Console, *headers: str) -> Table:
    """A table; ``>`` before a header is for figures, on the right, ``|`` for what never wraps."""
    made = Table(
        box=box.SIMPLE_HEAD if out.is_terminal else None,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if out.is_terminal else 2, 0, 0),  # the box adds a column between two
    )
    for header in headers:
        if header.startswith(">"):
            made.add_column(header[1:], justify="right", no_wrap=True)
        elif header.startswith("|"):
            made.add_column(header[1:], no_wrap=True)
        else:
            made.add_column(header, overflow="fold")
    return made


def shares(out: Console, amounts: Mapping[str, Decimal], what: str, style: str) -> Table:
    """*amounts* in USD by name, the largest first, each with its share of the sum."""
    total = sum(amounts.values(), Decimal(0))
    decimals = decimals_of(amounts.values())
    made = table(out, what, "", ">share", ">USD")
    for name, amount in sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0])):
        share = float(amount / total) if total > 0 else 0.0
        graph = bar(out, share, style=style)
        made.add_row(label(out, name), graph, percent(share), usd(amount, decimals))
    if len(amounts) != 1:
        made.add_row("total", "", "", usd(total, decimals), style="bold")
    return made


def entries_table(out: Console, entries: Sequence[Entry]) -> Table:
    """Rows of a journal, times in UTC."""
    headers = ">id", "|UTC", "account", "model", ">in", ">out", ">USD", "note"
    made = table(out, *headers)
    decimals = decimals_of(entry.cost for entry in entries)
    for entry in entries:
        cost = Text("" if entry.cost is None else usd(entry.cost, decimals))
        if entry.price_source == "unpriced":
            cost = Text("unpriced", "yellow")
        kind = "" if entry.kind == "charge" else entry.kind
        if entry.corrects_id is not None:
            kind = f"corrects {entry.corrects_id}"
        tokens = (f"{n:,}" if n else "" for n in (entry.input_tokens, entry.output_tokens))
        made.add_row(
            str(entry.id),
            clock_time(entry.recorded_at),
            label(out, entry.account),
            label(out, entry.model or ""),
            *tokens,
            cost,
            label(out, ": ".join(filter(None, (kind, entry.note)))),
        )
    return made


def show_balance(out: Console, balance: Balance, project: str, now: datetime) -> None:
    """An account and each of its budgets: how full, how much is left, when it turns."""
    out.print(label(out, balance.account, "bold"), label(out, f"(project {project})", "dim"))
    if not balance.budgets:
        out.print(f"no budget; spent {usd(balance.posted)} so far", soft_wrap=True)
    for status in balance.budgets:
        out.print()
        _show_budget(out, status, now)
    if balance.unpriced:
        out.print()
        calls = "1 call is" if balance.unpriced == 1 else f"{balance.unpriced:,} calls are"
        out.print(Text(f"{calls} without a price, and not in these figures", "yellow"))


def _show_budget(out: Console, status: BudgetStatus, now: datetime) -> None:
    budget, measure = status.budget, status.budget.measure
    share = used(status.posted, budget.limit)
    grid = Table.grid(padding=(0, 2, 0, 0))
    name = label(out, budget.name, "bold")
    grid.add_row(name, bar(out, share), f"{percent(share)} of {limit_text(budget)}")
    out.print(grid)
    left = Text(quantity(status.available, measure), "" if status.available > 0 else "red")
    figures = Text.assemble(
        "  posted ", quantity(status.posted, measure), "   limit ", quantity(budget.limit, measure),
        "   available ", left,
    )  # fmt: skip
    out.print(figures, soft_wrap=True)
    out.print(f"  {window_text(status.window, now)}", soft_wrap=True)


def limit_text(budget: Budget) -> str:
    """``$10.00 a month for gpt-4o``."""
    model = "" if budget.model is None else f" for {plain(budget.model)}"
    return f"{quantity(budget.limit, budget.measure)} {cadence(budget.period)}{model}"


def accounts_table(out: Console, balances: Sequence[Balance], now: datetime) -> Table:
    """Every account: how full its budget is, and what is left of it."""
    made = table(out, "account", "", ">used", ">posted", ">limit", ">available", "turns in")
    columns = ([one.posted, one.limit, one.available] for one in balances)
    posted, limit, available = (decimals_of(column) for column in zip(*columns, strict=True))
    for one in balances:
        name, spent = label(out, one.account), usd(one.posted, posted)
        if one.limit is None or one.available is None:
            made.add_row(name, "", "", spent, "none in USD" if one.budgets else "no budget")
            continue
        share = used(one.posted, one.limit)
        end = one.window.end
        made.add_row(
            name,
            bar(out, share, 16),
            percent(share),
            spent,
            usd(one.limit, limit),
            Text(usd(one.available, available), "" if one.available > 0 else "red"),
            "" if end is None or end - now < timedelta(seconds=1) else span(end - now),
        )
    return made


def show_verification(out: Console, found: Verification) -> None:
    """What was recounted, and a row for each difference."""
    counted = f"{found.entries:,} entries of {found.accounts:,} accounts recounted"
    if found.ok:
        out.print(Text(f"ok: {counted}, no differences", "green"))
        return
    out.print(Text(f"{len(found.problems):,} differences; {counted}", "red"))
    made = table(out, "account", ">entry", "difference")
    for problem in found.problems:
        entry = "" if problem.entry_id is None else str(problem.entry_id)
        made.add_row(label(out, problem.account or ""), entry, label(out, problem.message))
    out.print(made)


# -- JSON -------------------------------------------------------------------------------------


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One document on stdout; money as strings, because a JSON number may lose digits."""
    json.dump(document, sys.stdout, indent=indent, default=_as_json)
    sys.stdout.write("\n")


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {value!r}")


def window_json(window: Window) -> dict[str, Any]:
    """Start and end in UTC; null is unbounded."""
    return {"start": window.start, "end": window.end, "timezone": window.timezone}


def budget_json(budget: Budget) -> dict[str, Any]:
    """A budget as it was set."""
    period = budget.period
    return {
        "account": budget.account,
        "name": budget.name,
        "measure": budget.measure,
        "limit": budget.limit,
        "model": budget.model,
        "per": period.per,
        "span_seconds": None if period.span_us is None else period.span_us / 1e6,
        "timezone": period.timezone,
        "week_start": period.week_start,
        "anchor": None if period.anchor_us is None else from_us(period.anchor_us),
        "created_at": from_us(round(budget.created_at * 1e6)),
    }


def balance_json(balance: Balance, project: str) -> dict[str, Any]:
    """A balance and each of its budgets."""
    return {
        "project": project,
        "account": balance.account,
        "limit": balance.limit,
        "posted": balance.posted,
        "held": balance.held,
        "available": balance.available,
        "unpriced": balance.unpriced,
        "window": window_json(balance.window),
        "budgets": [
            {
                **budget_json(status.budget),
                "posted": status.posted,
                "available": status.available,
                "window": window_json(status.window),
            }
            for status in balance.budgets
        ],
    }


def account_json(account: Account, balance: Balance) -> dict[str, Any]:
    """An account and its balance."""
    return {**balance_json(balance, account.project), "created_at": from_us(account.created_at_us)}


def model_costs_json(
    balance: Balance, project: str, costs: Mapping[str, Decimal]
) -> dict[str, Any]:
    """USD by model, and the window they were spent in."""
    whole = balance_json(balance, project)
    known = {name: whole[name] for name in ("project", "account", "window", "unpriced")}
    return {**known, "model_costs": costs}


def entry_json(entry: Entry) -> dict[str, Any]:
    """One row of a journal."""
    return {name: getattr(entry, name) for name in _ENTRY}


def verification_json(found: Verification, path: str) -> dict[str, Any]:
    """What was recounted, and every difference."""
    problems = [problem._asdict() for problem in found.problems]
    return {"path": path, "ok": found.ok, **found._asdict(), "problems": problems}


def import_table(out: Console, result: ImportResult) -> Table:
    """What an import brought in, user by user."""
    made = table(out, "user", ">limit", "per", ">spent", "")
    limits = decimals_of(user.limit for user in result.users)
    spent = decimals_of([result.total, *(user.cost for user in result.users)])
    for user in result.users:
        note = "its window had ended: the new one begins at $0.00" if user.elapsed else ""
        made.add_row(
            label(out, user.name),
            usd(user.limit, limits),
            user.per or "",
            usd(user.cost, spent),
            note if user.entries else "imported before",
        )
    summary = f"{result.entries:,} entries written"
    made.add_row("total", "", "", usd(result.total, spent), summary, style="bold")
    return made


def import_json(result: ImportResult, project: str) -> dict[str, Any]:
    """What an import brought in."""
    users = [user._asdict() for user in result.users]
    return {"project": project, **result._asdict(), "users": users}
