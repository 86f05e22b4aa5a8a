"""The command `export`: entries for pandas, polars and spreadsheets."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from budgetledger.cli.options import Where, examples, moment_options, names_a_ledger


@click.command(
    epilog=examples(
        "export --format csv > entries.csv",
        "export alice --format json --since 2026-10-01 > alice.jsonl",
    )
)
@click.argument("account", required=False)
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True,
    help="CSV with a header, or JSON, an object a line.",
)  # fmt: skip
@moment_options(since="Recorded at this moment or later", until="Recorded before this moment")
@names_a_ledger
def export(
    account: str | None, form: str, since: datetime | None, until: datetime | None, where: Where
) -> None:
    """Write all entries to standard output, all columns.

    These are the rows of ACCOUNT, or of the project, in the order they were recorded. They are
    written while they are read, so there may be any number of them. In CSV, a text that begins
    like a formula gets an apostrophe before it; JSON has every text as it is.
    """
    from budgetledger.render.exports import write_entries_csv, write_entries_json

    with where.existing() as ledger:
        entries = ledger.entries(account, since=since, until=until)
        write = write_entries_json if where.as_json or form == "json" else write_entries_csv
        write(sys.stdout, entries)
