"""The command line: the ledger's verbs, as tables for people and JSON for programs.

Results go to stdout, everything else to stderr. Each command imports the ledger and rich when it
needs them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from budgetledger.cli import exit_codes
from budgetledger.cli.accounts import accounts, projects, status
from budgetledger.cli.budgets import (
    freeze,
    remove_budget,
    set_budget,
    set_parent,
    shift,
    unfreeze,
)
from budgetledger.cli.copying import backup, copy
from budgetledger.cli.default_budgets import (
    default_budgets,
    remove_default_budget,
    set_default_budget,
)
from budgetledger.cli.exit_codes import ExitCode
from budgetledger.cli.export import export
from budgetledger.cli.holds import holds, release
from budgetledger.cli.importing import import_
from budgetledger.cli.options import (
    Where,
    before_the_command,
    examples,
    from_either_place,
    is_given,
    names_a_ledger,
)
from budgetledger.cli.prices import prices, reprice
from budgetledger.cli.report import report
from budgetledger.cli.reports import alerts, balance, entries, model_costs
from budgetledger.cli.run import run
from budgetledger.cli.schema import schema
from budgetledger.cli.serve import serve
from budgetledger.cli.spending import adjust, charge, estimate
from budgetledger.cli.wording import in_commands
from budgetledger.errors import BudgetledgerError, InvalidInput


class _Commands(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            known = {one.name for one in command.params}
            for option in self.params:
                if option.name not in known and is_given(ctx, str(option.name)):
                    raise click.UsageError(f"{name} takes no {option.opts[0]}", ctx)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BudgetledgerError as error:
            from budgetledger.render.text import plain

            misused = isinstance(error, InvalidInput)  # exit code 2, else 1
            message = in_commands(plain(error))
            raise (click.UsageError if misused else click.ClickException)(message) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="--db, --project and --json can also follow the command; there they take precedence."
    f"\n\n{exit_codes.listed()}",
)
@click.version_option(package_name="budgetledger", prog_name="budgetledger")
@before_the_command
def main() -> None:
    """Budgets for LLM calls, in an append-only ledger: an SQLite file, or PostgreSQL."""


@main.command(epilog=examples("demo"))
@click.option(
    "--db",
    metavar="PATH",
    default="budgetledger-demo.db",
    show_default=True,
    callback=from_either_place,
    help="The ledger's file; an existing one gets another project.",
)
@click.option(
    "--json", "as_json", is_flag=True, callback=from_either_place, help="Print a summary as JSON."
)
def demo(db: str, as_json: bool) -> None:
    """Play a day of three users and show the bill. No key, no network."""
    from budgetledger.cli.demo.day import play
    from budgetledger.cli.demo.show import show, summary

    day = play(db)
    if as_json:
        from budgetledger.render.documents import print_json

        print_json(summary(day))
    else:
        from budgetledger.render.tables import console

        show(console(), day)


@main.command(epilog=examples("verify --db spend.db"))
@names_a_ledger
def verify(where: Where) -> None:
    """Recount every row and report differences.

    Covers all projects, repairs nothing, and exits with 4 if anything differs.
    """
    from budgetledger.render.documents import print_json, verification_json
    from budgetledger.render.tables import console, progress_on_terminal, show_verification

    with where.existing() as ledger, progress_on_terminal("recounting") as progress:
        verification, path = ledger.verify(progress=progress), ledger.path
    if where.as_json:
        print_json(verification_json(verification, path))
    else:
        show_verification(console(), verification)
    if not verification.ok:
        sys.exit(ExitCode.DIFFERS)


for command in (
    *(accounts, alerts, balance, entries, export, model_costs, projects, report, status),
    *(charge, adjust, estimate),
    *(holds, release, prices, reprice, backup, copy),
    *(set_budget, remove_budget, shift, set_parent, freeze, unfreeze),
    *(set_default_budget, remove_default_budget, default_budgets, import_),
    *(schema, run, serve),
):
    main.add_command(command)
