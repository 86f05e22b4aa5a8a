"""The commands that copy a ledger: a backup while it is in use, and a move to another store."""

from __future__ import annotations

import click

from budgetledger.cli.options import (
    Where,
    examples,
    from_either_place,
    names_a_ledger,
    open_existing,
)
from budgetledger.errors import InvalidInput


@click.command(
    epilog=examples("copy spend.db postgresql://user@host/database", "copy spend.db new.db")
)
@click.argument("source")
@click.argument("target")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=from_either_place,
    help="Print JSON instead of a line.",
)
def copy(source: str, target: str, as_json: bool) -> None:
    """Copy the ledger SOURCE into the empty TARGET.

    The copy is verified. Each is a path or a URL. All rows and hashes are kept. If the copy
    fails or is stopped, TARGET stays empty. Rows written to SOURCE during the copy are not
    copied, so stop all writers first.
    """
    from budgetledger.journal.journal import journal_of
    from budgetledger.ledger import Ledger
    from budgetledger.render.documents import print_json
    from budgetledger.render.tables import progress_on_terminal
    from budgetledger.verbs.copying import copy as copy_rows

    with open_existing(source, remedy="name another SOURCE") as old:
        new_path = _path(target)
        if new_path == old.path:
            raise InvalidInput(f"{old.path} cannot be copied into itself; name another TARGET")
        if new_path == ":memory:":
            raise InvalidInput("a copy in memory ends with this command; name a file as TARGET")
        with Ledger(target) as new, progress_on_terminal("copying") as progress:
            copied = copy_rows(journal_of(old).store, journal_of(new).store, progress)
        where = {"source": old.path, "target": new.path}
    if as_json:
        print_json(where | {"accounts": copied.accounts, "entries": copied.entries})
    else:
        click.echo(
            f"copied and verified {copied.entries:,} entries of {copied.accounts:,} accounts from "
            f"{where['source']} to {where['target']}"
        )


@click.command(epilog=examples("backup backups/spend-2026-03-02.db"))
@click.argument("path", type=click.Path(dir_okay=False))
@names_a_ledger
def backup(path: str, where: Where) -> None:
    """Copy the ledger into the new SQLite file PATH.

    The copy has all rows of this moment; programs can use the ledger meanwhile.
    """
    from budgetledger.render.documents import print_json

    with where.existing() as ledger:
        ledger.backup(path)
        source = ledger.path
    if where.as_json:
        print_json({"source": source, "target": path})
    else:
        click.echo(f"backed up {source} to {path}")


def _path(target: str) -> str:
    """*target* in the form of `Ledger.path`, to compare the two."""
    from budgetledger.storage.sqlite.connection import path_of
    from budgetledger.storage.targets import is_server, without_password

    return without_password(target) if is_server(target) else path_of(target)
