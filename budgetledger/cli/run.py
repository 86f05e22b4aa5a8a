"""The command that runs a program with a wallet."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import click

from budgetledger.cli.exit_codes import ExitCode
from budgetledger.cli.options import examples, from_either_place, to_rate, to_tags
from budgetledger.errors import BudgetledgerWarning, InvalidInput
from budgetledger.storage.targets import ENVIRONMENT, default_path

_WAIT = 60.0


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples(
        'run --limit 5 -- claude -p "Fix the tests"',
        "run --user alice -- python agents.py",
        "run --user alice --limit 2 --tag job=nightly -- aider --message-file todo.txt",
    ),
)
@click.option("--limit", metavar="USD", callback=to_rate, help="The most that this run may spend.")
@click.option("--user", metavar="NAME", help="Whose budgets apply, besides those above NAME.")
@click.option(
    "--tag",
    "tags",
    metavar="KEY=VALUE",
    multiple=True,
    callback=to_tags,
    help="Tag of the rows. May be repeated.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=_WAIT,
    show_default=True,
    help="How long a call waits while only calls in progress are in its way.",
)
@click.option(
    "--stop-at-limit",
    "stops_at_limit",
    is_flag=True,
    help="Stop a stream that goes beyond what was held for it, once no more is granted.",
)
@click.option(
    "--pass-keys",
    "passes_keys",
    is_flag=True,
    help="Pass the real API keys to the program instead of stand-ins.",
)
@click.option(
    "--project",
    default="default",
    show_default=True,
    callback=from_either_place,
    help="Project in the ledger.",
)
@click.option(
    "--db",
    metavar="PATH",
    envvar=ENVIRONMENT,
    show_envvar=True,
    callback=from_either_place,
    help="The ledger's file or URL, created if missing; by default in your data directory.",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, required=True)
def run(
    limit: Decimal | None,
    user: str | None,
    tags: Mapping[str, Any] | None,
    wait: float,
    stops_at_limit: bool,
    passes_keys: bool,
    project: str,
    db: str | None,
    program: Sequence[str],
) -> None:
    """Run a program with a limit on its LLM calls.

    Works with programs in any language that take a base URL from OPENAI_BASE_URL,
    ANTHROPIC_BASE_URL, GOOGLE_GEMINI_BASE_URL and the like, and with codex. API keys in the
    environment are replaced by stand-ins, so that a program that ignores those variables fails
    instead of spending unseen. A call beyond the limit is refused with a message, and nothing
    of it is sent. At the end the bill is on stderr.

    Exits as PROGRAM does; with 3 if a call was refused and PROGRAM still returned 0; with 127 if
    there is no such program.
    """
    check_extra("run")
    from budgetledger.ledger import Ledger
    from budgetledger.wallet.running import Options, open_account
    from budgetledger.wallet.running import run as run_program

    if limit is not None and not limit:
        raise InvalidInput("--limit is 0, so every call would be refused; pass more")
    options = Options(user, limit, tags, wait, stops_at_limit, passes_keys)
    warnings.simplefilter("ignore", BudgetledgerWarning)  # the bill says it
    with Ledger(db or default_path(), project=project) as ledger:
        account = open_account(ledger, options)
        ended = run_program(program, ledger, account, options, os.environ, _say)
    _show(ended, program)
    code, bill = ended.code, ended.bill
    sys.exit(ExitCode.EXCEEDED if code == 0 and (bill.refused or bill.stopped) else code)


def _say(text: str) -> None:
    click.echo(f"budgetledger: {text}", err=True)


def _show(ended: Any, program: Sequence[str]) -> None:
    bill, started = ended.bill, ended.code not in (126, 127)
    if ended.error is not None:
        _say(f"the wallet ended early: {ended.error}")
    if bill.requests or bill.refused:
        _say(f"{ended.account}\n{bill.text()}")
    elif started:
        _say(
            f"no call came through the wallet. If {program[0]} made calls, it made them past it, "
            "and they are not counted: see whether it takes a base URL from another place"
        )


def check_extra(command: str) -> None:
    """Raise `click.ClickException` unless what the wallet needs is installed."""
    for module in ("uvicorn", "httpx2"):
        if find_spec(module) is None:
            raise click.ClickException(f"{command} needs {module}; pip install 'budgetledger[run]'")
