"""The commands about own prices, and about calls that were recorded without a price."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.options import (
    Where,
    before_the_command,
    examples,
    names_a_ledger,
    to_moment,
    to_rate,
    to_reason,
)
from budgetledger.storage.targets import is_server

if TYPE_CHECKING:
    from budgetledger.litellm.price_file import PriceImport
    from budgetledger.prices import OwnPrice

_RATES = {
    "input": "a million tokens of input",
    "output": "a million tokens of output",
    "cache_read": "a million tokens read from the cache (default: as input)",
    "cache_write": "a million tokens written to the cache (default: as input)",
    "cache_write_1h": "the same, kept for an hour (default: as --cache-write)",
    "reasoning": "a million tokens of reasoning (default: as output)",
    "input_audio": "a million tokens of audio input",
    "output_audio": "a million tokens of audio output",
    "request": "one call",
    "web_search": "one search",
    "image": "one generated image",
}


def _dated(command: Any) -> Any:
    """Add the options for when a price starts and which projects it covers."""
    for option in (
        click.option("--note", callback=to_reason, help="Why; recorded with the price."),
        click.option("--all-projects", is_flag=True, help="For all projects, not just this one."),
        click.option(
            "--effective-at",
            metavar="ISO",
            callback=to_moment,
            help="For calls made from this moment on (default: now). UTC without an offset.",
        ),
    ):
        command = option(command)
    return command


@click.group(epilog=examples("prices set my-model --input 3 --output 15", "prices list"))
@before_the_command
def prices() -> None:
    """Set, list, remove and import your own prices.

    Own prices take precedence over litellm's figure and the shipped price list. Each command
    takes --db PATH (or BUDGETLEDGER_DB), --project and --json.
    """


def _with_rates(command: Any) -> Any:
    for name, what in reversed(_RATES.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, metavar="USD", callback=to_rate, help=f"For {what}.")(
            command
        )
    return command


@prices.command(
    "set",
    epilog=examples(
        "prices set my-model --input 3 --output 15 --cache-read 0.3",
        "prices set 'my-model-*' --input 0 --output 0 --all-projects",
        "prices set my-model --request 0.01 --rate input_mtok_batch=1.5 --input 3",
    ),
)
@click.argument("model")
@_with_rates
@click.option(
    "--rate",
    "rates",
    metavar="KEY=USD",
    multiple=True,
    help="A rate by its stored key, such as input_mtok_batch. May be repeated.",
)
@_dated
@names_a_ledger
def set_(model: str, rates: tuple[str, ...], where: Where, **options: Any) -> None:
    """Set what calls of MODEL cost, in USD.

    MODEL is a name, or a pattern such as 'my-model-*'. 0 is free. A call that uses something
    without a rate has no price.
    """
    pairs = [rate.partition("=") for rate in rates]
    if any(not equals for _, equals, _ in pairs):
        raise click.UsageError("--rate takes KEY=USD, such as input_mtok_batch=1.5")
    if not rates and all(options[name] is None for name in _RATES):
        raise click.UsageError("pass a rate, such as --input 3 --output 15")
    options["rates"] = {key: usd for key, _, usd in pairs}
    from budgetledger.ledger import Ledger

    path, exists = where.locate()
    if not exists:  # try it in memory first, so that a misuse creates no file
        with Ledger(":memory:", project=where.project) as draft:
            draft.set_price(model, **options)
    with Ledger(path, project=where.project) as ledger:
        price = ledger.set_price(model, **options)
        if not exists:
            click.echo(f"created {ledger.path}", err=True)
    _show_one(price, where)


@prices.command(epilog=examples("prices remove my-model --note 'now in the price list'"))
@click.argument("model")
@_dated
@names_a_ledger
def remove(model: str, where: Where, **options: Any) -> None:
    """End the own price of MODEL; name it as it was set.

    Its rows stay, and costs computed from it do not change.
    """
    with where.existing() as ledger:
        price = ledger.remove_price(model, **options)
    _show_one(price, where)


def _show_one(price: OwnPrice, where: Where) -> None:
    from budgetledger.render.documents import price_json, print_json
    from budgetledger.render.text import plain, price_text

    if where.as_json:
        print_json(price_json(price))
    else:
        click.echo(plain(f"{price.source} of {price.model}: {price_text(price)}"))


@prices.command("list", epilog=examples("prices list", "prices list --history --json"))
@click.option("--at", metavar="ISO", callback=to_moment, help="Prices in force at this moment.")
@click.option("--history", is_flag=True, help="Every row, in the order they were written.")
@names_a_ledger
def list_(at: datetime | None, history: bool, where: Where) -> None:
    """List your own prices in force.

    They are those of this project and of all projects, in USD for a million tokens, or for one
    call or image.
    """
    with where.existing() as ledger:
        listed = ledger.prices(at=at, history=history)
    if where.as_json:
        from budgetledger.render.documents import price_json, print_json

        print_json([price_json(price) for price in listed])
    elif listed:
        from budgetledger.render.tables import console, prices_table

        out = console()
        out.print(prices_table(out, listed))
    else:
        click.echo("no own prices", err=True)


@prices.command(
    "import",
    epilog=examples(
        "prices import model_prices_and_context_window.json --model 'azure/*'",
        "prices import model_prices_and_context_window.json --all-projects",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--model",
    "models",
    metavar="PATTERN",
    multiple=True,
    help="Only these models. May be repeated.",
)
@click.option("--all-projects", is_flag=True, help="For all projects, not just this one.")
@click.option(
    "--effective-at",
    metavar="ISO",
    callback=to_moment,
    help="For calls made from this moment on (default: now). UTC without an offset.",
)
@names_a_ledger
def import_(
    file: str,
    models: tuple[str, ...],
    all_projects: bool,
    effective_at: datetime | None,
    where: Where,
) -> None:
    """Import prices from LiteLLM's price file.

    FILE is model_prices_and_context_window.json, or one of the same form. Prices already in
    force are left alone. The models that are skipped are listed with the reason.
    """
    import os

    from budgetledger.errors import InvalidInput
    from budgetledger.ledger import Ledger
    from budgetledger.litellm.price_file import import_prices
    from budgetledger.render.documents import print_json
    from budgetledger.render.tables import console, prices_table, progress_on_terminal
    from budgetledger.render.text import plain

    path, exists = where.locate()
    if exists and not is_server(path) and os.path.samefile(file, path):
        raise InvalidInput(f"{file} is the ledger itself; pass LiteLLM's price file")
    if not exists:
        from budgetledger.litellm.price_file import read_prices

        read_prices(file, models)  # so that a misuse makes no file
    with (
        Ledger(path, project=where.project) as ledger,
        progress_on_terminal("importing") as progress,
    ):
        done = import_prices(
            ledger, file, models=models, effective_at=effective_at,
            all_projects=all_projects, progress=progress,
        )  # fmt: skip
        click.echo(f"{'imported into' if exists else 'created'} {ledger.path}", err=True)
    if where.as_json:
        print_json(_document(done))
        return
    if done.appended:
        out = console()
        out.print(prices_table(out, done.appended))
    for remark in _remarks(done):
        click.echo(plain(remark), err=True)


def _document(done: PriceImport) -> dict[str, Any]:
    from budgetledger.render.documents import price_json

    return {
        "set": [price_json(price) for price in done.appended],
        "unchanged": done.unchanged,
        "skipped": [one._asdict() for one in done.skipped],
        "not_counted": done.left_out,
    }


def _remarks(done: PriceImport) -> list[str]:
    """What an import did and left out, in a few lines."""
    remarks = [f"{len(done.appended):,} prices set, {done.unchanged:,} already in force"]
    free = [price.model for price in done.appended if not any(price.rates.values())]
    if free:
        remarks.append(f"free according to the file: {_some(free)}")
    reasons: dict[str, list[str]] = {}
    for model, why in done.skipped:
        reasons.setdefault(why, []).append(model)
    remarks += [f"skipped, as {why}: {_some(models)}" for why, models in reasons.items()]
    fields: dict[str, list[str]] = {}
    for model, left_out in done.left_out.items():
        for field in left_out:
            fields.setdefault(field, []).append(model)
    return remarks + [
        f"{field} is not supported, and left out: {_some(of)}" for field, of in fields.items()
    ]


def _some(models: list[str]) -> str:
    more = f" and {len(models) - 3:,} more" if len(models) > 3 else ""
    return ", ".join(models[:3]) + more


@click.command(epilog=examples("reprice", "reprice --account alice --model 'my-*' --apply"))
@click.option("--account", help="Only calls that count on this account.")
@click.option("--model", metavar="PATTERN", help="Only calls of this model.")
@click.option(
    "--apply", is_flag=True, help="Write the adjustments; without this option nothing changes."
)
@names_a_ledger
def reprice(account: str | None, model: str | None, apply: bool, where: Where) -> None:
    """Price calls whose cost is not known, or assumed.

    Each call gets the price at the time of the call: your own, else the shipped list's. Without
    --apply the result is only shown; with it, one adjustment for each call states its cost, or how
    it differs from the assumed one.
    """
    from decimal import Decimal

    from budgetledger.journal.journal import journal_of
    from budgetledger.render.documents import print_json, repriced_json
    from budgetledger.render.tables import console, progress_on_terminal, repriced_table
    from budgetledger.render.text import plain, usd
    from budgetledger.verbs.repricing import reprice as calls_repriced

    priced, unknown = [], []
    with where.existing() as ledger, progress_on_terminal("pricing") as progress:
        for repriced, unpriced in calls_repriced(
            journal_of(ledger), account, model, dry_run=not apply, progress=progress
        ):
            priced += repriced
            unknown += unpriced
    if where.as_json:
        print_json(repriced_json(priced, [call.entry for call in unknown], apply))
        return
    if priced:
        out = console()
        out.print(repriced_table(out, priced))
    state = "priced" if apply else "to be priced; pass --apply to do so"
    click.echo(f"{len(priced):,} {'call' if len(priced) == 1 else 'calls'} {state}", err=True)
    untold = [call.entry for call in unknown if call.usage is None]
    if untold:
        ids = _some([str(entry.id) for entry in untold])
        calls = "1 call reports" if len(untold) == 1 else f"{len(untold):,} calls report"
        assumed = sum((entry.cost or Decimal(0) for entry in untold), Decimal(0))
        remark = f"{calls} no usage (entries {ids})"
        remark += f", and {usd(assumed)} is assumed" if assumed else ""
        click.echo(f"{remark}: `budgetledger adjust ENTRY AMOUNT --reason ...`", err=True)
    unknown = [call for call in unknown if call.usage is not None]
    models = sorted({call.model for call in unknown})
    if models:
        click.echo(plain(f"{len(unknown):,} still without a price: {_some(models)}"), err=True)
        click.echo(
            "set one with `budgetledger prices set MODEL ... --effective-at`, before the call",
            err=True,
        )
