"""The command line: the ledger's own verbs, a table for people, JSON for programs.

Results go to stdout, everything else to stderr. Only click is imported here; the ledger and
rich come with the command that needs them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import click

from budgetledger import __version__
from budgetledger.errors import BudgetledgerError, InvalidInput, StoreNotFound

if TYPE_CHECKING:
    from budgetledger.ledger import Ledger

_DIFFERS = 4  # exit code; 3 is kept for a call that a budget refuses

_PAGE = 1000  # entries in one table: a long journal is shown while it is read
_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

F = TypeVar("F", bound=Callable[..., Any])


class Where(NamedTuple):
    """What the options of every command say."""

    db: str | None
    project: str
    as_json: bool

    def locate(self) -> tuple[str, bool]:
        """The ledger's path, and whether there is a file."""
        from budgetledger._paths import default_path
        from budgetledger._sqlite import path_of

        path = path_of(self.db or default_path())
        return path, os.path.exists(path) and os.path.getsize(path) > 0

    def existing(self) -> Ledger:
        """The ledger, for a command that reads: it makes no file."""
        path, exists = self.locate()
        if not exists:
            remedy = "name one with --db, or make one with `budgetledger set-budget`"
            raise StoreNotFound(f"there is no ledger at {path}; {remedy}", target=path)
        from budgetledger.ledger import Ledger

        return Ledger(path, project=self.project)


def _examples(*commands: str) -> str:
    return "\n".join(("\b", "Examples:", *(f"  budgetledger {command}" for command in commands)))


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BudgetledgerError as error:
            from budgetledger._render import plain

            misused = isinstance(error, InvalidInput)  # exit code 2, else 1
            raise (click.UsageError if misused else click.ClickException)(plain(error)) from None


def _where(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that opens a ledger, handed to it as one `Where`."""

    @wraps(command)
    def run(db: str | None, project: str, as_json: bool, **rest: Any) -> None:
        command(where=Where(db, project, as_json), **rest)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
        click.option("--project", default="default", show_default=True, help="Project in it."),
        click.option(
            "--db",
            metavar="PATH",
            envvar="BUDGETLEDGER_DB",
            show_envvar=True,
            help="The ledger's file; without it, the one in your data directory.",
        ),
    ):
        run = option(run)
    return run


def _moment(context: click.Context, _: click.Parameter, value: str | None) -> datetime | None:
    """Without an offset, what the clock of --timezone shows; of UTC where there is no such."""
    try:
        moment = None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2026-03-02T09:00Z") from None
    if moment is None or moment.tzinfo is not None:
        return moment
    try:
        return moment.replace(tzinfo=ZoneInfo(context.params.get("timezone", "UTC")))
    except (LookupError, ValueError, OSError):
        return moment  # set_budget says what is wrong with the zone


def _anchor(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    return value if value == "creation" else _moment(context, parameter, value)


def _span(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([mhdw])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a span such as 24h, 30d or 12w")
    return timedelta(**{_SPANS[found[2]]: int(found[1])})


def _moments(**options: str) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for name, text in reversed(options.items()):
            text = f"{text}. ISO 8601; UTC unless it says otherwise."
            option = f"--{name.replace('_', '-')}"
            command = click.option(option, name, metavar="ISO", callback=_moment, help=text)(
                command
            )
        return command

    return decorate


_past = _moments(
    at="In the windows that hold this moment", as_of="As the ledger stood at this moment"
)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 misused, 4 verify found differences.",
)
@click.version_option(__version__, prog_name="budgetledger")
def main() -> None:
    """Budgets for LLM calls, in an append-only ledger that is one SQLite file."""


@main.command(epilog=_examples("demo"))
@click.option(
    "--db",
    metavar="PATH",
    default="budgetledger-demo.db",
    show_default=True,
    help="The ledger's file; one that exists gets another project.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def demo(db: str, as_json: bool) -> None:
    """Play a day of three users and show the bill. No key, no network."""
    from budgetledger._demo import play, show, summary
    from budgetledger._render import console, print_json

    day = play(db)
    if as_json:
        print_json(summary(day))
    else:
        show(console(), day)


@main.command(
    epilog=_examples(
        "set-budget alice 10 --per month --timezone Asia/Shanghai",
        "set-budget team:research --tokens 2000000 --per day",
    )
)
@click.argument("account")
@click.argument("limit", required=False)
@click.option("--tokens", type=int, help="Limit tokens instead of US dollars.")
@click.option("--requests", type=int, help="Limit calls instead of US dollars.")
@click.option(
    "--per",
    type=click.Choice(["minute", "hour", "day", "week", "month", "year"]),
    help="Window, by the calendar; without it (and --rolling) the budget is for ever.",
)
@click.option(
    "--rolling", metavar="SPAN", callback=_span, help="Window that ends now: 24h, 30d or 12w."
)
@click.option(
    "--timezone", default="UTC", show_default=True, is_eager=True, help="Whose calendar: IANA name."
)
@click.option("--week-start", default="monday", show_default=True, help="First day of a week.")
@click.option(
    "--anchor",
    metavar="ISO|creation",
    callback=_anchor,
    help="Step windows from this moment (in --timezone), or from the budget's creation.",
)
@click.option("--model", help="Limit this model alone.")
@click.option("--name", help="Name of the budget; by default what it limits, as usd/month.")
@_where
def set_budget(
    account: str,
    limit: str | None,
    tokens: int | None,
    requests: int | None,
    per: str | None,
    rolling: timedelta | None,
    anchor: datetime | Literal["creation"] | None,
    where: Where,
    **options: Any,
) -> None:
    """Limit what ACCOUNT may use: LIMIT in US dollars, or --tokens, or --requests.

    The same name again revises the budget and keeps what is spent; another name adds one.
    """
    if [limit, tokens, requests].count(None) != 2:
        raise click.UsageError("pass one of LIMIT (US dollars), --tokens or --requests")
    if rolling is not None and (per is not None or anchor is not None):
        raise click.UsageError("--rolling stands alone; leave out --per and --anchor")
    options |= {"tokens": tokens, "requests": requests, "anchor": anchor}
    options["per"] = per if rolling is None else rolling
    from budgetledger._render import budget_json, limit_text, plain, print_json
    from budgetledger.ledger import Ledger

    path, exists = where.locate()
    if not exists:  # tried where it leaves nothing, so that a misuse makes no file
        with Ledger(":memory:", project=where.project) as draft:
            draft.set_budget(account, limit, **options)
    with Ledger(path, project=where.project) as ledger:
        budget = ledger.set_budget(account, limit, **options)
        if not exists:
            click.echo(f"created {ledger.path}", err=True)
    if where.as_json:
        print_json({"project": where.project, **budget_json(budget)})
    else:
        click.echo(plain(f"budget {budget.name} of {budget.account}: {limit_text(budget)}"))


@main.command(epilog=_examples("balance alice", "balance alice --at 2026-01-31 --json"))
@click.argument("account")
@_past
@_where
def balance(account: str, at: datetime | None, as_of: datetime | None, where: Where) -> None:
    """Show how full each budget of ACCOUNT is, and when it turns."""
    with where.existing() as ledger:
        found = ledger.balance(account, at=at, as_of=as_of)
    from budgetledger._render import balance_json, console, print_json, show_balance

    if where.as_json:
        print_json(balance_json(found, where.project))
    else:
        show_balance(console(), found, where.project, at or as_of or datetime.now(UTC))


@main.command(epilog=_examples("accounts --project my-app"))
@_where
def accounts(where: Where) -> None:
    """List the accounts and how full their budgets are."""
    from budgetledger._render import account_json, accounts_table, console, plain, print_json

    with where.existing() as ledger:
        found = [(account, ledger.balance(account.name)) for account in ledger.accounts()]
        others = ledger._projects()
    if where.as_json:
        print_json([account_json(account, balance) for account, balance in found])
    elif found:
        out = console()
        out.print(accounts_table(out, [balance for _, balance in found], datetime.now(UTC)))
    if not found:
        known = ", ".join(others) or "none yet"
        click.echo(plain(f"no accounts in project {where.project}; projects: {known}"), err=True)


@main.command(
    epilog=_examples("entries alice --last 20", "entries --since 2026-03-01 --json | jq .cost")
)
@click.argument("account", required=False)
@_moments(since="Recorded at this moment or later", until="Recorded before this moment")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N of them.")
@_where
def entries(
    account: str | None, since: datetime | None, until: datetime | None, last: int | None,
    where: Where,
) -> None:  # fmt: skip
    """Show the rows of ACCOUNT, or of the project. As JSON, one row a line."""
    from budgetledger._render import console, entries_table, entry_json, print_json

    with where.existing() as ledger:
        found: Iterable[Any] = ledger.entries(account, since=since, until=until)
        if last is not None:
            found = deque(found, maxlen=last)
        rows = iter(found)
        if where.as_json:
            for entry in rows:
                print_json(entry_json(entry), indent=None)
            return
        out = console()
        page = list(islice(rows, _PAGE))
        if not page:
            click.echo("no entries", err=True)
        while page:
            out.print(entries_table(out, page))
            page = list(islice(rows, _PAGE))


@main.command(epilog=_examples("model-costs alice"))
@click.argument("account")
@_past
@_where
def model_costs(account: str, at: datetime | None, as_of: datetime | None, where: Where) -> None:
    """Show what each model cost ACCOUNT in the window that balance reports."""
    from budgetledger._render import console, model_costs_json, print_json, shares, window_text

    with where.existing() as ledger:
        reported, costs = ledger._snapshot(account, at, as_of)
    if where.as_json:
        print_json(model_costs_json(reported, where.project, costs))
        return
    out = console()
    now = at or as_of or datetime.now(UTC)
    click.echo(f"window: {window_text(reported.window, now)}", err=True)
    if reported.unpriced:
        click.echo(f"without a price, and not in these figures: {reported.unpriced:,}", err=True)
    out.print(shares(out, costs, "model", "cyan"))


@main.command(epilog=_examples("verify --db spend.db"))
@_where
def verify(where: Where) -> None:
    """Recount every row of the file and report differences.

    Takes in all projects, repairs nothing, and exits with 4 if anything differs.
    """
    from budgetledger._render import (
        console,
        print_json,
        progress_on_terminal,
        show_verification,
        verification_json,
    )

    with where.existing() as ledger, progress_on_terminal("recounting") as progress:
        found, path = ledger.verify(progress=progress), ledger.path
    if where.as_json:
        print_json(verification_json(found, path))
    else:
        show_verification(console(), found)
    if not found.ok:
        sys.exit(_DIFFERS)


@main.command("import", epilog=_examples("import user_cost.json --project my-app"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_where
def import_(file: str, where: Where) -> None:
    """Bring in the user_cost.json of LiteLLM's BudgetManager.

    Users, budgets and costs come in as a whole or not at all; the same file again changes
    nothing.
    """
    from budgetledger._importing import read_user_cost, write_records
    from budgetledger._render import (
        console,
        import_json,
        import_table,
        plain,
        print_json,
        progress_on_terminal,
    )
    from budgetledger.ledger import Ledger

    path, exists = where.locate()
    if exists and os.path.samefile(file, path):
        raise InvalidInput(f"{file} is the ledger itself; pass LiteLLM's user_cost.json")
    records = read_user_cost(file)
    with (
        Ledger(path, project=where.project) as ledger,
        progress_on_terminal("importing", len(records) >= 1000) as progress,
    ):
        result = write_records(ledger, records, progress=progress)
        click.echo(f"{'imported into' if exists else 'created'} {ledger.path}", err=True)
    for remark in result.remarks:
        click.echo(plain(remark), err=True)
    if where.as_json:
        print_json(import_json(result, where.project))
    else:
        out = console()
        out.print(import_table(out, result))


if __name__ == "__main__":
    main()
