"""The commands about open holds: listing them, and releasing one."""

from __future__ import annotations

import click

from budgetledger.cli.options import Where, Whole, examples, names_a_ledger, to_reason

_LARGEST_ID = 2**63 - 1


@click.command(epilog=examples("holds alice", "holds '*' --json"))
@click.argument("account")
@names_a_ledger
def holds(account: str, where: Where) -> None:
    """List the open holds that count against ACCOUNT.

    These are its own and those of accounts under it. Times are in UTC.
    """
    from budgetledger.render.documents import hold_json, print_json

    with where.existing() as ledger:
        open_holds = ledger.holds(account)
    if where.as_json:
        print_json([hold_json(hold) for hold in open_holds])
    elif open_holds:
        from budgetledger.render.tables import console, show_holds

        out = console()
        show_holds(out, open_holds)
    else:
        click.echo("no open holds", err=True)


@click.command(epilog=examples("release 1042 --reason 'the worker was killed'"))
@click.argument("hold_id", type=Whole(1, _LARGEST_ID))
@click.option("--reason", callback=to_reason, help="Why; recorded in the journal.")
@names_a_ledger
def release(hold_id: int, reason: str | None, where: Where) -> None:
    """Release the hold HOLD_ID now, with nothing spent.

    Use it when the process that took the hold is gone; otherwise the hold counts until its
    deadline. If the call was made after all, its cost can still be recorded.
    """
    from budgetledger.holds import Hold
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.documents import entry_json, hold_json, print_json
    from budgetledger.render.text import held_text, plain
    from budgetledger.verbs.hold_requests import find_hold

    with where.existing() as ledger:
        journal = journal_of(ledger)
        hold = Hold(journal, find_hold(journal, hold_id), None)
        entry = hold.release(reason=reason)
    if where.as_json:
        print_json({**hold_json(hold), "closed_by": entry_json(entry)})
    else:
        held = held_text(hold.entry)
        past = ", which had expired" if entry.recorded_at >= hold.expires_at else ""
        click.echo(plain(f"released hold {hold.id} of {hold.account}: {held}{past}"))
