"""The command `schema`: the data dictionary."""

from __future__ import annotations

import click

from budgetledger.cli.options import examples, from_either_place


@click.command(epilog=examples("schema", "schema spend", "schema --json | jq '.[].name'"))
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, callback=from_either_place, help="Print JSON instead."
)
def schema(name: str | None, as_json: bool) -> None:
    """Explain the tables and views, column by column.

    Prints the units and meanings of all columns, or of those of NAME. The views are the stable
    interface for SQL; the tables may change with a new version. Needs no ledger.
    """
    from budgetledger.storage.dictionary import TABLES, VIEWS

    every = {relation.name: relation for relation in (*VIEWS, *TABLES)}
    if name is not None and name not in every:
        raise click.UsageError(f"there is no table or view {name!r}; there are {', '.join(every)}")
    shown = [*every.values()] if name is None else [every[name]]
    if as_json:
        from budgetledger.render.documents import print_json

        print_json(
            [
                {**one._asdict(), "columns": [each._asdict() for each in one.columns]}
                for one in shown
            ]
        )
        return
    from rich.console import RenderableType
    from rich.text import Text

    from budgetledger.render.tables import console, print_rows

    out = console()
    for relation in shown:
        out.print(Text.assemble((relation.name, "bold"), f" ({relation.kind}): {relation.meaning}"))
        rows: list[list[RenderableType]] = [
            [one.name, one.unit, one.meaning.replace("`", "")] for one in relation.columns
        ]
        print_rows(out, ("|column", "unit", "meaning"), rows)
        out.print()
