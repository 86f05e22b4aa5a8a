"""The commands that read: balances, entries, model costs and alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import click

from budgetledger.cli.options import (
    Where,
    Whole,
    examples,
    moment_options,
    names_a_ledger,
    past_options,
)

_MOST = 1_000_000  # rows of --last, which are read at once
_PAGE = 1000  # entries in one table, so that a long journal is shown while it is read


@click.command(epilog=examples("balance alice", "balance alice --at 2026-01-31 --json"))
@click.argument("account")
@past_options
@names_a_ledger
def balance(account: str, at: datetime | None, as_of: datetime | None, where: Where) -> None:
    """Show how full the budgets of ACCOUNT are.

    Also shows until when their windows last. From three full days on, it says when a limit is
    reached at this rate; with 28 days of calls, as a range: at the mean of the window, and at that
    of each weekday.
    """
    from budgetledger.journal.journal import journal_of
    from budgetledger.reports.budgets import paces as paces_of

    with where.existing() as ledger:
        report = ledger.balance(account, at=at, as_of=as_of)
        is_now = at is None and as_of is None
        listed = paces_of(journal_of(ledger), account) if is_now else []
    paces = {one.budget.name: one.pace for one in listed}
    if where.as_json:
        from budgetledger.render.documents import print_json
        from budgetledger.render.report_documents import balance_with_paces

        print_json(balance_with_paces(report, where.project, paces))
    else:
        from budgetledger.render.tables import console, show_balance

        show_balance(console(), report, where.project, at or as_of or datetime.now(UTC), paces)


@click.command(
    epilog=examples("entries alice --last 20", "entries --since 2026-03-01 --json | jq .cost")
)
@click.argument("account", required=False)
@moment_options(since="Recorded at this moment or later", until="Recorded before this moment")
@click.option("--last", type=Whole(1, _MOST), metavar="N", help="Only the last N of them.")
@names_a_ledger
def entries(
    account: str | None, since: datetime | None, until: datetime | None, last: int | None,
    where: Where,
) -> None:  # fmt: skip
    """Show the rows of ACCOUNT, or of the project. With --json, one row a line."""
    from budgetledger.render.documents import entry_json, print_json

    with where.existing() as ledger:
        rows = ledger.entries(account, since=since, until=until, last=last)
        if where.as_json:
            for entry in rows:
                print_json(entry_json(entry), indent=None)
            return
        from budgetledger.journal.journal import journal_of
        from budgetledger.render.tables import console, show_entries
        from budgetledger.verbs.listing import settings_in

        out, journal = console(), journal_of(ledger)
        page = list(islice(rows, _PAGE))
        if not page:
            click.echo("no entries", err=True)
        while page:
            show_entries(out, page, settings_in(journal, page))
            page = list(islice(rows, _PAGE))


@click.command(epilog=examples("model-costs alice"))
@click.argument("account")
@past_options
@names_a_ledger
def model_costs(account: str, at: datetime | None, as_of: datetime | None, where: Where) -> None:
    """Show what each model cost ACCOUNT.

    The window is the one that `budgetledger balance` reports.
    """
    from budgetledger.journal.journal import journal_of
    from budgetledger.verbs.balances import snapshot

    with where.existing() as ledger:
        reported, costs = snapshot(journal_of(ledger), account, at, as_of)
    if where.as_json:
        from budgetledger.render.documents import model_costs_json, print_json

        print_json(model_costs_json(reported, where.project, costs))
        return
    from budgetledger.render.tables import console, shares
    from budgetledger.render.text import usd, window_text

    out = console()
    now = at or as_of or datetime.now(UTC)
    click.echo(f"window: {window_text(reported.window, now)}", err=True)
    if reported.unpriced:
        click.echo(
            f"not in these figures, for lack of a price: {reported.unpriced:,} calls", err=True
        )
    if reported.assumed:
        click.echo(
            f"assumed to be what was held, as the cost is not known: {usd(reported.assumed)}",
            err=True,
        )
    out.print(shares(out, costs, "model", "cyan"))


@click.command(epilog=examples("alerts", "alerts team:research --json"))
@click.argument("account", required=False)
@names_a_ledger
def alerts(account: str | None, where: Where) -> None:
    """List the alerts on ACCOUNT, or in the project.

    The oldest come first. There is a row for each threshold that was reached, and for each that
    was resolved.
    """
    from budgetledger.render.documents import alert_json, print_json

    with where.existing() as ledger:
        if account is not None:
            ledger.budgets(account)  # raises UnknownAccount
        listed = ledger.alerts(account)
    if where.as_json:
        print_json([alert_json(alert, where.project) for alert in listed])
    elif listed:
        from budgetledger.render.tables import console, show_alerts

        out = console()
        show_alerts(out, listed, datetime.now(UTC))
    else:
        click.echo("no alerts", err=True)
