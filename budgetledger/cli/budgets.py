"""The commands that change settings: budgets, parents and freezing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.limits import limit_options, opened
from budgetledger.cli.options import (
    Where,
    examples,
    names_a_ledger,
    to_reason,
)
from budgetledger.cli.wording import did_you_mean, warnings_as_remarks

if TYPE_CHECKING:
    from budgetledger.entries import Account
    from budgetledger.ledger import Ledger


@click.command(
    epilog=examples(
        "set-budget alice 10 --per month --timezone Asia/Shanghai",
        "set-budget alice 10 --per month --alert-at 50% --alert-at 80%",
        "set-budget team:research --tokens 2000000 --per day",
        "set-budget '*' 100 --per month",
        "set-budget alice --name usd/month --timezone Europe/Berlin",
    )
)
@click.argument("account")
@limit_options
@click.option("--name", help="Name of the budget; by default what it limits, such as usd/month.")
@names_a_ledger
def set_budget(account: str, where: Where, **options: Any) -> None:
    """Limit what ACCOUNT may use.

    The limit is LIMIT in US dollars, or --tokens, or --requests. The same name again changes what
    is passed, and keeps the rest and what was spent; another name adds a budget. A budget of '*'
    limits all accounts of the project together.
    """
    from budgetledger.render.documents import budget_json, print_json
    from budgetledger.render.text import alerts_text, exact_percent, limit_text, plain

    rehearsed = opened(where, lambda draft: draft.set_budget(account, **options))
    with rehearsed as ledger, warnings_as_remarks():
        budget = ledger.set_budget(account, **options)
    beyond = [share for share in budget.alert_at if share > 1]
    if options["alert_at"] and beyond:
        shares = ", ".join(map(exact_percent, beyond))
        remark = "only costs that exceed their holds, or have none, reach more than the limit"
        click.echo(f"alert at {shares}: {remark}", err=True)
    if where.as_json:
        print_json({"project": where.project, **budget_json(budget)})
    else:
        terms = ", ".join(filter(None, (limit_text(budget), alerts_text(budget))))
        click.echo(plain(f"budget {budget.name} of {budget.account}: {terms}"))


@click.command(epilog=examples("remove-budget alice usd/month"))
@click.argument("account")
@click.argument("name")
@names_a_ledger
def remove_budget(account: str, name: str, where: Where) -> None:
    """End the budget NAME of ACCOUNT.

    Its rows and its other budgets stay. `budgetledger balance` shows the names.
    """
    from budgetledger.render.documents import print_json
    from budgetledger.render.text import plain

    with where.existing() as ledger:
        ledger.remove_budget(account, name)
        left = len(ledger.budgets(account))
    if where.as_json:
        print_json({"account": account, "name": name})
    else:
        click.echo(plain(f"removed budget {name} of {account}; {left or 'none'} left"))


@click.command(epilog=examples("shift alice --reason 'a new contract'", "shift alice usd/month"))
@click.argument("account")
@click.argument("name", required=False)
@click.option("--reason", callback=to_reason, help="Why; recorded in the journal.")
@click.option("--key", help="Idempotency key: the same key again shifts nothing.")
@names_a_ledger
def shift(
    account: str, name: str | None, reason: str | None, key: str | None, where: Where
) -> None:
    """Start a new window of budgets of ACCOUNT now.

    NAME is the budget's name; without it, all budgets of ACCOUNT start a new window. No row
    changes: what was spent stays in the window that ends now.
    """
    from budgetledger.render.documents import print_json, window_json
    from budgetledger.render.text import plain, window_text

    with where.existing() as ledger:
        window = ledger.shift_window(account, name, reason=reason, key=key)
    if where.as_json:
        print_json({"account": account, "window": window_json(window)})
    else:
        what = "all budgets" if name is None else f"budget {name}"
        text = window_text(window, datetime.now(UTC))
        click.echo(plain(f"shifted {what} of {account}; the new window: {text}"))


@click.command(
    epilog=examples("set-parent alice team:research", "set-parent alice --none"),
)
@click.argument("account")
@click.argument("parent", required=False)
@click.option("--none", "is_none", is_flag=True, help="Put ACCOUNT under no other account.")
@names_a_ledger
def set_parent(account: str, parent: str | None, is_none: bool, where: Where) -> None:
    """Put ACCOUNT under PARENT.

    Rows recorded from now on count against the budgets of PARENT too; earlier rows stay where
    they are. Every account is under '*', the project itself, once '*' has a budget.
    """
    if (parent is None) != is_none:
        raise click.UsageError("pass one of PARENT or --none")
    if "*" in (account, parent):
        raise click.UsageError("'*' is the project itself: all accounts are under it already")
    with where.existing() as ledger:
        known = [one.name for one in ledger.accounts()]
        ledger.set_parent(account, parent)
        settings = _account(ledger, account)
    from budgetledger.render.text import plain

    for name in (account, parent):
        if name is not None and name not in known:
            remark = f"opened {name}, a new account{did_you_mean(name, known)}"
            click.echo(plain(remark), err=True)
    _show_settings(settings, f"{account} is under {settings.parent or 'no other account'}", where)


@click.command(epilog=examples("freeze alice --reason 'looks like a stolen key'"))
@click.argument("account")
@click.option("--reason", callback=to_reason, help="Why; shown in each refusal.")
@names_a_ledger
def freeze(account: str, reason: str | None, where: Where) -> None:
    """Refuse all holds on ACCOUNT and those under it.

    Costs are still recorded.
    """
    with where.existing() as ledger:
        ledger.freeze(account, reason=reason)
        settings = _account(ledger, account)
    from budgetledger.render.text import plain

    if reason not in (None, settings.frozen):
        remark = f"{account} was already frozen; the earlier reason stays"
        click.echo(plain(remark), err=True)
    why = f" ({settings.frozen})" if settings.frozen else ""
    frozen = f"{account} is frozen{why}: it and the accounts under it take no holds"
    _show_settings(settings, frozen, where)


@click.command(epilog=examples("unfreeze alice --reason 'the key was replaced'"))
@click.argument("account")
@click.option("--reason", callback=to_reason, help="Why; recorded in the journal.")
@names_a_ledger
def unfreeze(account: str, reason: str | None, where: Where) -> None:
    """Let ACCOUNT take holds again.

    It still takes none while an account above it is frozen.
    """
    with where.existing() as ledger:
        ledger.unfreeze(account, reason=reason)
        settings = _account(ledger, account)
    _show_settings(settings, f"{account} is not frozen", where)


def _account(ledger: Ledger, name: str) -> Account:
    return next(account for account in ledger.accounts() if account.name == name)


def _show_settings(account: Account, text: str, where: Where) -> None:
    from budgetledger.render.documents import account_settings_json, print_json
    from budgetledger.render.text import plain

    if where.as_json:
        print_json(account_settings_json(account))
    else:
        click.echo(plain(text))
