"""The commands about default budgets."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.limits import limit_options, opened
from budgetledger.cli.options import Where, examples, names_a_ledger
from budgetledger.cli.wording import warnings_as_remarks

if TYPE_CHECKING:
    from budgetledger.entries import DefaultBudget
    from budgetledger.ledger import Ledger

_KIND = "user for bare names and users below a key, or the prefix of names such as team."


@click.command(
    epilog=examples(
        "set-default-budget 5 --per day",
        "set-default-budget 200 --per month --kind team",
        "set-default-budget --tokens 100000 --per day --alert-at 80%",
    )
)
@limit_options
@click.option("--kind", default="user", show_default=True, help=f"Of which accounts: {_KIND}")
@names_a_ledger
def set_default_budget(where: Where, **options: Any) -> None:
    """Set the budget that new accounts of a kind get.

    An account that never had a budget gets it at its first hold or charge, once, under the name
    standard; set-budget ends it. New names get a budget each, so set one on '*' too, which
    limits them together.
    """
    from budgetledger.render.documents import default_budget_json, print_json
    from budgetledger.render.text import plain

    def rehearse(draft: Ledger) -> None:
        with warnings.catch_warnings(action="ignore"):
            draft.set_default_budget(**options)

    with opened(where, rehearse) as ledger, warnings_as_remarks():
        default = ledger.set_default_budget(**options)
    if where.as_json:
        print_json(default_budget_json(default))
    else:
        click.echo(plain(f"default budget of kind {default.kind}: {_terms(default)}"))


@click.command(epilog=examples("remove-default-budget", "remove-default-budget team"))
@click.argument("kind", default="user")
@names_a_ledger
def remove_default_budget(kind: str, where: Where) -> None:
    """End the default budget of KIND.

    KIND is user if it is left out. Accounts that got a budget by it keep that budget.
    """
    from budgetledger.render.documents import print_json
    from budgetledger.render.text import plain

    with where.existing() as ledger:
        ledger.remove_default_budget(kind)
        left = len(ledger.default_budgets())
    if where.as_json:
        print_json({"project": where.project, "kind": kind})
    else:
        remark = f"removed the default budget of kind {kind}; {left or 'none'} left"
        click.echo(plain(remark))


@click.command(epilog=examples("default-budgets", "default-budgets --json"))
@names_a_ledger
def default_budgets(where: Where) -> None:
    """List the default budgets of the project in force."""
    from budgetledger.render.documents import default_budget_json, print_json

    with where.existing() as ledger:
        listed = ledger.default_budgets()
    if where.as_json:
        print_json([default_budget_json(default) for default in listed])
    elif listed:
        from budgetledger.render.tables import console, label, table

        out = console()
        grid = table(out, "kind", "default budget")
        for default in listed:
            grid.add_row(label(out, default.kind), label(out, _terms(default)))
        out.print(grid)
    else:
        click.echo("no default budgets", err=True)


def _terms(default: DefaultBudget) -> str:
    from budgetledger.render.text import alerts_text, limit_text

    anchor = "from the budget's creation" if default.anchored else ""
    return ", ".join(filter(None, (limit_text(default), anchor, alerts_text(default))))
