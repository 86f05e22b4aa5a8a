"""The command that imports: LiteLLM's user_cost.json, and logs of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from budgetledger.cli.importing_user_cost import import_user_cost, located
from budgetledger.cli.options import Where, dry_run, examples, names_a_ledger

if TYPE_CHECKING:
    from budgetledger.imports.importing import Imported
    from budgetledger.ledger import Ledger

SOURCES = "litellm-logs", "llm", "claude-code", "codex", "opencode"
_AT_LIST_PRICES = "claude-code", "codex", "opencode"
_SHOWN = 3  # places of what was skipped


@click.command(
    "import",
    epilog=examples(
        "import user_cost.json --project my-app",
        "import --from claude-code ~/.claude/projects --account me --dry-run",
        "import --from litellm-logs spend-2026-08.json spend-2026-09.json",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--from", "source", type=click.Choice(SOURCES), help="The program whose log it is.")
@click.option("--account", help="The account of all calls; without it, the log's own user.")
@click.option(
    "--count", is_flag=True, help="Let the calls count in budgets, and raise their alerts."
)
@dry_run
@names_a_ledger
def import_(
    files: tuple[str, ...],
    source: str | None,
    account: str | None,
    count: bool,
    is_rehearsal: bool,
    where: Where,
) -> None:
    """Import costs that other programs recorded.

    Without --from, FILE is the user_cost.json of LiteLLM's BudgetManager: its users, budgets and
    costs are imported together or not at all.

    With --from, FILE is a file or folder of a program's log: rows of LiteLLM_SpendLogs as JSON,
    the logs.db of llm, ~/.claude/projects, ~/.codex, ~/.local/share/opencode. Each call is a row
    at the time it happened, at the price of that time. The rows are in reports, and in no budget
    without --count.

    Importing the same files again changes nothing, in any order.
    """
    if source is not None:
        _import_log(files, source, account, count, is_rehearsal, where)
    elif account is not None or count or is_rehearsal:
        raise click.UsageError("--account, --count and --dry-run are for a log; pass --from too")
    elif len(files) != 1 or os.path.isdir(files[0]):
        raise click.UsageError("pass one user_cost.json, or --from with files and folders of a log")
    else:
        import_user_cost(files[0], where)


def _import_log(
    files: tuple[str, ...],
    source: str,
    account: str | None,
    count: bool,
    is_rehearsal: bool,
    where: Where,
) -> None:
    from budgetledger.imports.importing import import_log
    from budgetledger.imports.sources import read_log
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.documents import imported_json, print_json
    from budgetledger.render.tables import progress_on_terminal
    from budgetledger.render.text import plain

    path, exists = located(where, files, "the log's files")
    log = read_log(source, files)  # before the ledger is there, so that a misuse makes no file
    if account is None and log.calls and all(call.account is None for call in log.calls):
        raise click.UsageError(f"{source} names no users; pass --account")
    with (
        _opened(path, exists, where, is_rehearsal) as ledger,
        progress_on_terminal("importing", len(log.calls) >= 1000) as progress,
    ):
        done = import_log(
            journal_of(ledger), source, log, account=account, count=count, dry_run=is_rehearsal,
            progress=progress,
        )  # fmt: skip
        place = ledger.path if exists or not is_rehearsal else path
    if where.as_json:
        print_json(imported_json(done, source, is_rehearsal))
        return
    for remark in _remarks(done, source):
        click.echo(plain(remark), err=True)
    verb = "would import" if is_rehearsal else "imported"
    click.echo(plain(f"{verb} {_counts(done)} into {place}"))


@contextmanager
def _opened(path: str, exists: bool, where: Where, is_rehearsal: bool) -> Iterator[Ledger]:
    from budgetledger.ledger import Ledger

    target = path if exists or not is_rehearsal else ":memory:"
    with Ledger(target, project=where.project) as ledger:
        yield ledger


def _counts(done: Imported) -> str:
    from budgetledger.render.text import usd

    more = f" and more of {done.grown:,}" if done.grown else ""
    return f"{done.calls:,} {'call' if done.calls == 1 else 'calls'}{more}, {usd(done.cost)}"


def _remarks(done: Imported, source: str) -> list[str]:
    """What an import left out, and why, in a few lines."""
    remarks = list(done.remarks)
    if done.repeated:
        remarks.append(f"{done.repeated:,} were imported before")
    by_reason: dict[str, list[str]] = {}
    for reason, place in done.skipped:
        by_reason.setdefault(reason, []).append(place)
    for reason, places in by_reason.items():
        more = f" and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
        remarks.append(f"skipped {len(places):,}: {reason}: {', '.join(places[:_SHOWN])}{more}")
    if done.unpriced:
        remarks.append(
            f"{done.unpriced:,} without a price; `budgetledger prices set` with --effective-at, "
            "then `budgetledger reprice`"
        )
    if done.cost and source in _AT_LIST_PRICES:
        remarks.append("the cost is at list prices; a subscription is billed otherwise")
    return remarks
