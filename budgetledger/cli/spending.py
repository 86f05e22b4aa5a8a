"""The commands about single costs: charge, adjust, and estimate before a call."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from budgetledger.cli.options import (
    Where,
    Whole,
    dry_run,
    examples,
    names_a_ledger,
    to_difference,
    to_moment,
    to_rate,
    to_reason,
    to_tags,
)
from budgetledger.cli.wording import did_you_mean, warnings_as_remarks
from budgetledger.errors import InvalidInput

if TYPE_CHECKING:
    from budgetledger.entries import Entry
    from budgetledger.journal.append import Appended
    from budgetledger.journal.transaction import Transaction

_TOKENS = Whole(0, 10**12)


@click.command(
    epilog=examples(
        "charge alice 0.25 --model gpt-4o --tag feature=search",
        "charge alice --model gpt-4o --input-tokens 1200 --output-tokens 300",
    )
)
@click.argument("account")
@click.argument("cost", required=False, callback=to_rate)
@click.option("--model", help="The model that was called.")
@click.option("--input-tokens", type=_TOKENS, help="Tokens of the prompt, cached ones included.")
@click.option("--output-tokens", type=_TOKENS, help="Tokens of the answer.")
@click.option("--cached-tokens", type=_TOKENS, help="Of the prompt, those read from a cache.")
@click.option("--key", help="Idempotency key: the same key again records nothing.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=to_tags,
    help="Stored with the row. May be repeated.",
)  # fmt: skip
@click.option(
    "--occurred-at", metavar="ISO", callback=to_moment,
    help="When the call was made. ISO 8601; UTC without an offset.",
)  # fmt: skip
@dry_run
@names_a_ledger
def charge(
    account: str,
    cost: Decimal | None,
    model: str | None,
    input_tokens: int | None,
    output_tokens: int | None,
    cached_tokens: int | None,
    key: str | None,
    tags: dict[str, str] | None,
    occurred_at: datetime | None,
    is_rehearsal: bool,
    where: Where,
) -> None:
    """Record what a call of ACCOUNT cost.

    The cost is COST in US dollars, or the price of --model for the tokens. No budget refuses
    it, because the money is spent.
    """
    counted = (input_tokens, output_tokens, cached_tokens) != (None, None, None)
    if counted and model is None:
        raise click.UsageError("tokens have a price for a model only; pass --model")
    if cost is None and not counted:
        raise click.UsageError("pass COST in US dollars, or --model with --input-tokens")
    from budgetledger.journal.drafts import draft_charge
    from budgetledger.journal.journal import journal_of
    from budgetledger.render.text import plain
    from budgetledger.usage import Usage
    from budgetledger.verbs.charging import charged, charging
    from budgetledger.verbs.rehearsing import rehearsed

    if (cached_tokens or 0) > (input_tokens or 0):
        raise click.UsageError("--cached-tokens must not exceed --input-tokens, of which they are")
    usage = Usage(input_tokens or 0, output_tokens or 0, cached_tokens or 0) if counted else None
    with where.existing() as ledger, warnings_as_remarks():
        journal = journal_of(ledger)
        names = [one.name for one in ledger.accounts()]
        if account not in names:
            click.echo(plain(f"{account} is a new account{did_you_mean(account, names)}"), err=True)
        draft = draft_charge(
            None, cost, model, usage, key, tags, occurred_at, journal.clock, journal.prices
        )
        operation = charging(journal, account, draft)
        outcome = rehearsed(journal, operation) if is_rehearsal else journal.write(operation)
        if not is_rehearsal:
            charged(journal, outcome)
    appended = outcome[0]
    entry = appended.entry
    what = f"{_amount(entry)} of {entry.account}"
    _show(appended, what, is_rehearsal, where, _CHARGE)


@click.command(
    epilog=examples(
        "adjust 1042 -0.25 --reason 'credit by the provider'",
        "adjust 1042 1.75 --reason 'invoice' --dry-run",
    ),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("entry_id", metavar="ENTRY", type=Whole(1, 2**63 - 1))
@click.argument("amount", callback=to_difference)
@click.option("--reason", required=True, callback=to_reason, help="Why; recorded in the journal.")
@click.option("--key", help="Idempotency key: the same key again records nothing.")
@dry_run
@names_a_ledger
def adjust(
    entry_id: int, amount: Decimal, reason: str, key: str | None, is_rehearsal: bool, where: Where
) -> None:
    """Correct the cost of ENTRY by AMOUNT in US dollars.

    A negative AMOUNT lowers the cost; for an entry without a price, AMOUNT states it. The
    correction is a new row; `budgetledger entries` shows the ids.
    """
    from budgetledger.journal.journal import journal_of
    from budgetledger.verbs.charging import adjusting, net_cost
    from budgetledger.verbs.rehearsing import rehearsed
    from budgetledger.verbs.remarks import warn_of

    with where.existing() as ledger, warnings_as_remarks():
        journal = journal_of(ledger)
        correct = adjusting(journal, entry_id, amount, reason=reason, key=key)

        def operation(tx: Transaction) -> tuple[Decimal | None, Appended, Decimal | None]:
            before = net_cost(tx, journal.project, entry_id)
            return before, correct(tx), net_cost(tx, journal.project, entry_id)

        if is_rehearsal:
            before, appended, after = rehearsed(journal, operation)
        else:
            before, appended, after = journal.write(operation)
            warn_of(appended)
    entry = appended.entry
    what = f"entry {entry_id} of {entry.account} by {_amount(entry)}"
    if appended.is_new:
        what += f", {_cost(before)} -> {_cost(after)}"
    _show(appended, what, is_rehearsal, where, _ADJUST)


@click.command(
    epilog=examples(
        "estimate gpt-4o 'How many planets are there?' --max-output-tokens 200",
        "estimate claude-sonnet-4-5 --messages chat.json --json",
    )
)
@click.argument("model")
@click.argument("text", required=False)
@click.option(
    "--messages", type=click.File("r", "utf-8"), help="A JSON file with a list of messages."
)
@click.option(
    "--max-output-tokens", type=_TOKENS, help="The bound of the call's output; 4,096 by default."
)
@click.option("--n", type=Whole(1, 10_000), default=1, help="Answers to one prompt.")
@names_a_ledger
def estimate(
    model: str, text: str | None, messages: Any, max_output_tokens: int | None, n: int, where: Where
) -> None:
    """Show what a call of MODEL can cost.

    The prompt is TEXT (- reads standard input) or --messages. Your own prices apply if the
    ledger exists. Nothing is recorded.
    """
    if (text is None) == (messages is None):
        raise click.UsageError("pass one of TEXT and --messages")
    if text == "-":
        text = sys.stdin.read()
    chat = None if messages is None else _messages(messages)
    from budgetledger.ledger import Ledger

    path, exists = where.locate()
    with Ledger(path if exists else ":memory:", project=where.project) as ledger:
        found = ledger.estimate(
            model, text=text, messages=chat, max_output_tokens=max_output_tokens, n=n
        )
    if where.as_json:
        from budgetledger.render.documents import estimate_json, print_json

        print_json(estimate_json(model, found))
        return
    from budgetledger.render.text import plain, usd

    output = f"up to {found.output_tokens:,} of output"
    if not found.bounded:
        output += ", the default"
    tokens = f"{found.input_tokens:,} tokens of input ({found.method}), {output}"
    click.echo(plain(f"{model}: {usd(found.low)} to {usd(found.high)}; {tokens}"))


def _messages(file: Any) -> list[dict[str, Any]]:
    try:
        chat = json.load(file)
    except ValueError as error:
        raise InvalidInput(f"{file.name} is not JSON: {error}; pass a list of messages") from None
    if not isinstance(chat, list) or not all(isinstance(message, dict) for message in chat):
        raise InvalidInput(f"{file.name} has no list of messages, such as "
                           '[{"role": "user", "content": "Hello"}]')  # fmt: skip
    return chat


def _amount(entry: Entry) -> str:
    return "an unknown cost" if entry.cost is None else _cost(entry.cost)


def _cost(cost: Decimal | None) -> str:
    from budgetledger.render.text import usd

    return "no price" if cost is None else usd(cost)


_CHARGE = "would charge", "charged", "recorded"
_ADJUST = "would adjust", "adjusted", "adjusted"


def _show(
    appended: Appended, what: str, is_rehearsal: bool, where: Where, verbs: tuple[str, str, str]
) -> None:
    """Print the entry: as one to come, as written now, or as recorded earlier under its key."""
    from budgetledger.render.documents import entry_json, print_json
    from budgetledger.render.text import plain

    entry, (to_come, done, earlier) = appended.entry, verbs
    if where.as_json:
        flags = {"dry_run": is_rehearsal, "repeated": not appended.is_new}
        print_json({**entry_json(entry), **{name: True for name in flags if flags[name]}})
    elif not appended.is_new:
        key = entry.idempotency_key
        text = f"key {key} {earlier} {what} earlier, as entry {entry.id}; nothing is recorded"
        click.echo(plain(text))
    elif is_rehearsal:
        click.echo(plain(f"{to_come} {what}; nothing is recorded"))
    else:
        click.echo(plain(f"{done} {what}: entry {entry.id}"))
