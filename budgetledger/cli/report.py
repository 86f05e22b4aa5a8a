"""The command `report`: sums as a table with bars, as JSON, CSV or Markdown, or as a page."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.options import Where, examples, names_a_ledger, to_moment, to_span

if TYPE_CHECKING:
    from budgetledger.ledger import Ledger
    from budgetledger.reports.making import Request


def to_last(
    context: click.Context, option: click.Parameter, value: str | None
) -> int | timedelta | None:
    """``30d`` and ``4w`` as local days, ``12h`` as the span that ends now."""
    span = to_span(context, option, value)
    return span.days if span is not None and value and value[-1] in "dw" else span


@click.command(
    epilog=examples(
        "report --last 30d",
        "report --by account --tree --month 2026-10 --timezone Europe/Berlin",
        "report alice --by week --columns tag:feature --csv",
        "report --month 2026-10 --html october.html",
    )
)
@click.argument("account", required=False)
@click.option(
    "--by", default="day", show_default=True, metavar="DIMENSION",
    help="hour, day, week, month, account, kind (of account), model, host or tag:NAME.",
)  # fmt: skip
@click.option("--columns", metavar="DIMENSION", help="A second dimension, as columns.")
@click.option("--tree", is_flag=True, help="Accounts under their parents, whose sums have theirs.")
@click.option(
    "--since", metavar="ISO", callback=to_moment,
    help="Calls at this moment or later. ISO 8601; without an offset in --timezone.",
)  # fmt: skip
@click.option("--until", metavar="ISO", callback=to_moment, help="Calls before this moment.")
@click.option(
    "--last", metavar="SPAN", callback=to_last,
    help="30d or 4w: so many local days, with today; 12h: the span that ends now.",
)  # fmt: skip
@click.option("--month", metavar="YYYY-MM", help="The calendar month.")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", is_eager=True,
    help="Whose days these are: an IANA name.",
)  # fmt: skip
@click.option(
    "--as-of", metavar="ISO", callback=to_moment, help="As the ledger stood at this moment."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown instead of a table.")
@click.option(
    "--html", metavar="FILE", type=click.Path(dir_okay=False, writable=True),
    help="Write one page with charts and tables, which loads nothing from elsewhere.",
)  # fmt: skip
@names_a_ledger
def report(where: Where, as_csv: bool, as_markdown: bool, html: str | None, **request: Any) -> None:
    """Sum what was spent by day, model, account or tag.

    Sums the calls of ACCOUNT, or of the project, each once and where it belongs in time. With
    totals, the average, the range of equal length before, and what is unpriced, assumed or
    estimated. Without a range it covers all time. --html has the cost by --by, or longer periods,
    and --columns, or models; by account; budgets with their pace; and the most expensive calls.
    """
    if sum((where.as_json, as_csv, as_markdown, html is not None)) > 1:
        raise click.UsageError("pass one of --json, --csv, --markdown and --html")
    with where.existing() as ledger:
        if html is not None:
            from budgetledger.reports.making import Request

            _write_page(ledger, Request(**request), html)
            return
        made = ledger.report(**request)
    if where.as_json:
        from budgetledger.render.documents import print_json
        from budgetledger.render.report_documents import report_json

        print_json(report_json(made))
    elif as_csv:
        from budgetledger.render.cells import write_csv
        from budgetledger.render.report_documents import csv_rows

        write_csv(sys.stdout, csv_rows(made))
    elif as_markdown:
        from budgetledger.render.report_tables import markdown

        click.echo(markdown(made))
    else:
        from budgetledger.render.report_tables import show_report
        from budgetledger.render.tables import console, paged

        with paged(console(), len(made.rows)) as out:
            show_report(out, made)


def _write_page(ledger: Ledger, request: Request, path: str) -> None:
    """Write the page, readable by its owner alone, as the ledger is."""
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.report_page import page_html
    from budgetledger.reports.page import make_page

    text = page_html(make_page(journal_of(ledger), request))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"wrote {path}", err=True)
