"""The commands about many accounts: listing them, what is near its limit, and projects."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from budgetledger.cli.exit_codes import ExitCode
from budgetledger.cli.options import Where, Whole, examples, names_a_ledger, to_share
from budgetledger.errors import UnknownAccount

if TYPE_CHECKING:
    from budgetledger.entries import Account, Balance, BudgetStatus
    from budgetledger.ledger import Ledger
    from budgetledger.reporting import BudgetPace


@click.command(
    epilog=examples(
        "accounts --project my-app", "accounts --sort spent --top 20", "accounts --over 80%"
    )
)
@click.option(
    "--sort",
    type=click.Choice(["name", "spent", "left"]),
    default="name",
    show_default=True,
    help="By name, by the most spent, or by the least left.",
)
@click.option("--top", type=Whole(min=1), metavar="N", help="Only the first N of them.")
@click.option(
    "--over", metavar="SHARE", callback=to_share,
    help="Only those that used at least this share of a budget, in any measure: 0.8 or 80%.",
)  # fmt: skip
@click.option("--match", metavar="TEXT", help="Only names with this text, in any case.")
@names_a_ledger
def accounts(
    sort: str, top: int | None, over: Decimal | None, match: str | None, where: Where
) -> None:
    """List the accounts and how full their budgets are.

    Shows the budgets in US dollars; `budgetledger status` has those of tokens and requests too.
    Also shows what is held on each account, its parent, and whether it is frozen.
    """
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.documents import account_json, print_json
    from budgetledger.render.text import plain
    from budgetledger.verbs.listing import projects

    with where.existing() as ledger:
        every = ledger.accounts()
        listed = [one for one in every if (match or "").casefold() in one.name.casefold()]
        pairs = [(account, ledger.balance(account.name)) for account in listed]
        others = [] if every else projects(journal_of(ledger))
    pairs = _chosen(pairs, sort, top, over)
    if where.as_json:
        print_json([account_json(*pair) for pair in pairs])
    elif pairs:
        from budgetledger.render.tables import console, paged, show_accounts

        with paged(console(), len(pairs)) as out:
            balances = [balance for _, balance in pairs]
            show_accounts(out, [account for account, _ in pairs], balances, datetime.now(UTC))
    if not every:
        known = ", ".join(others) or "none yet"
        click.echo(plain(f"no accounts in project {where.project}; projects: {known}"), err=True)
    elif not pairs:
        click.echo(f"none of {len(every):,} accounts matches", err=True)


def _chosen(
    pairs: list[tuple[Account, Balance]], sort: str, top: int | None, over: Decimal | None
) -> list[tuple[Account, Balance]]:
    if over is not None:
        pairs = [pair for pair in pairs if _share(pair[1]) >= over]
    if sort == "spent":
        pairs.sort(key=lambda pair: -pair[1].posted)
    elif sort == "left":
        pairs.sort(key=lambda pair: (pair[1].available is None, pair[1].available or Decimal(0)))
    return pairs[:top]


def _share(balance: Balance) -> float:
    """How full the fullest budget is; negative without a budget."""
    from budgetledger.render.text import used

    return max((used(one.posted, one.budget.limit) for one in balance.budgets), default=-1.0)


@click.command(epilog=examples("status", "status alice --near 90%", "status --json || notify"))
@click.argument("account", required=False)
@click.option(
    "--near", metavar="SHARE", default="80%", show_default=True, callback=to_share,
    help="The share of a limit from which a budget is near it.",
)  # fmt: skip
@names_a_ledger
def status(account: str | None, near: Decimal, where: Where) -> None:
    """Show budgets near their limit or exceeded.

    These are the budgets of ACCOUNT, or of all accounts of the project, the fullest first, with
    when they are exhausted at this rate (see balance).
    Exits with 3 if a budget is exceeded, with 6 if one is near its limit, else with 0.
    """
    from budgetledger.render.documents import print_json
    from budgetledger.render.report_documents import status_with_pace
    from budgetledger.render.text import exact_percent, used

    with where.existing() as ledger:
        _check_project(ledger)
        every = _statuses(ledger, account)
        listed = [
            one
            for one in every
            if one.posted >= one.budget.limit or used(one.posted, one.budget.limit) >= near
        ]
        shown = _with_paces(ledger, listed)
    exceeded = [one for one in every if one.posted >= one.budget.limit]
    if where.as_json:
        print_json(
            [
                {
                    "state": "exceeded" if one.status in exceeded else "near",
                    **status_with_pace(one.status, one.pace),
                }
                for one in shown
            ]
        )
    elif shown:
        from budgetledger.render.tables import console, show_statuses

        show_statuses(console(), shown, datetime.now(UTC))
    else:
        click.echo(f"none of {len(every):,} budgets has used {exact_percent(near)} of its limit")
    if shown:
        sys.exit(ExitCode.EXCEEDED if exceeded else ExitCode.NEAR)


def _with_paces(ledger: Ledger, statuses: Sequence[BudgetStatus]) -> list[BudgetPace]:
    """*statuses* in their order, each with its pace."""
    from budgetledger.journal.journal import journal_of
    from budgetledger.reporting import BudgetPace
    from budgetledger.reports.budgets import paces

    names = dict.fromkeys(one.budget.account for one in statuses)
    found = {
        (one.budget.account, one.budget.name): one.pace
        for name in names
        for one in paces(journal_of(ledger), name)
    }
    return [BudgetPace(one, found.get((one.budget.account, one.budget.name))) for one in statuses]


def _check_project(ledger: Ledger) -> None:
    """Raise `UnknownAccount` for a project without accounts: a misspelt one is never near."""
    from budgetledger.journal.journal import journal_of
    from budgetledger.verbs.listing import projects

    if not ledger.accounts():
        known = ", ".join(projects(journal_of(ledger))) or "none yet"
        raise UnknownAccount(
            f"there are no accounts in project {ledger.project!r}; projects: {known}",
            account="",
            project=ledger.project,
        )


def _statuses(ledger: Ledger, account: str | None) -> Sequence[BudgetStatus]:
    """The budgets of an account or of all, the fullest first."""
    from budgetledger.render.text import used

    names = [one.name for one in ledger.accounts()] if account is None else [account]
    every = [status for name in names for status in ledger.balance(name).budgets]
    return sorted(every, key=lambda one: -used(one.posted, one.budget.limit))


@click.command(epilog=examples("projects --db spend.db"))
@names_a_ledger
def projects(where: Where) -> None:
    """List the projects in the ledger."""
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.documents import print_json
    from budgetledger.render.text import plain
    from budgetledger.verbs.listing import projects as names_of

    with where.existing() as ledger:
        names = names_of(journal_of(ledger))
    if where.as_json:
        print_json(names)
    else:
        for name in names:
            click.echo(plain(name))
    if not names:
        click.echo("no projects", err=True)
