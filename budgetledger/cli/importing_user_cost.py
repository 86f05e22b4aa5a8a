"""Imports LiteLLM's user_cost.json, for the command `import`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.options import Where
from budgetledger.errors import InvalidInput
from budgetledger.storage.targets import is_server

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from budgetledger.litellm.user_cost_file import ImportResult


def import_user_cost(file: str, where: Where) -> None:
    """Record the users, budgets and costs of *file*, and print what was recorded."""
    from budgetledger.ledger import Ledger
    from budgetledger.litellm.user_cost_file import read_user_cost, write_records
    from budgetledger.render.documents import print_json
    from budgetledger.render.tables import console, progress_on_terminal
    from budgetledger.render.text import plain

    path, exists = located(where, (file,), "LiteLLM's user_cost.json")
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
        print_json(_document(result, where.project))
    else:
        out = console()
        out.print(_table(out, result))


def located(where: Where, files: tuple[str, ...], instead: str) -> tuple[str, bool]:
    """The ledger's path or URL, and whether it exists; none of *files* is the ledger."""
    path, exists = where.locate()
    for file in files:
        if exists and not is_server(path) and os.path.samefile(file, path):
            raise InvalidInput(f"{file} is the ledger itself; pass {instead}")
    return path, exists


def _document(result: ImportResult, project: str) -> dict[str, Any]:
    users = [user._asdict() for user in result.users]
    return {"project": project, **result._asdict(), "users": users}


def _table(out: Console, result: ImportResult) -> Table:
    """What an import recorded, user by user."""
    from budgetledger.render.tables import label, table
    from budgetledger.render.text import decimals_of, usd

    grid = table(out, "user", ">limit", "per", ">spent", "")
    limits = decimals_of(user.limit for user in result.users)
    spent = decimals_of([result.total, *(user.cost for user in result.users)])
    for user in result.users:
        note = "its window had ended; the new one starts at $0.00" if user.elapsed else ""
        grid.add_row(
            label(out, user.name),
            usd(user.limit, limits),
            user.per or "",
            usd(user.cost, spent),
            note if user.entries else "imported before",
        )
    summary = f"{result.entries:,} entries written"
    grid.add_row("total", "", "", usd(result.total, spent), summary, style="bold")
    return grid
