"""Messages of the ledger in the words of the command line, and its warnings as remarks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import click

_IN_COMMANDS = (
    (r"`prices` lists", "`budgetledger prices list` lists"),
    (r"\bchoose another parent, or none\b", "name another PARENT, or pass --none"),
    (r", 0\.25 or '0\.25'", " or 0.25"),
    (r", or 0 \(Monday\) to 6 \(Sunday\)", ""),
    (r"`default_budgets` lists", "`budgetledger default-budgets` lists"),
    (
        r"set a budget on '\*', or put the accounts under a parent with a budget",
        "set one on all with `budgetledger set-budget '*' ...`, or put the accounts under a parent "
        "with a budget by `budgetledger set-parent`",
    ),
    (r"as `entries` lists them", "as `budgetledger entries` lists them"),
    (r"\bset one with set_budget\b", "set one with `budgetledger set-budget`"),
    (
        r"^set_budget added(.*) pass its per= or name=, for a budget for ever pass per=None$",
        r"set-budget added\1 pass its --per or --name, for a budget for ever pass --per forever",
    ),
    (r"\bpass a limit in USD, or tokens, or requests\b", "pass LIMIT, --tokens or --requests"),
    (r"^anchor 'creation' needs per", "--anchor needs --per"),
    (r"(?<=budget counts it until )its price is set \(.*", "`budgetledger reprice` or `adjust`"),
)
"""Parts of messages that name Python calls, and what the command line says instead."""


def in_commands(message: str) -> str:
    """*message* of an error in the words of the command line."""
    for python, here in _IN_COMMANDS:
        message = re.sub(python, here, message)
    return message


@contextmanager
def warnings_as_remarks() -> Iterator[None]:
    """Print the warnings of the block to stderr, a line each."""
    from budgetledger.render.text import plain

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        click.echo(in_commands(plain(warning.message)), err=True)


def did_you_mean(name: str, names: list[str]) -> str:
    """The most similar of *names* as a question, to be appended to a message; else empty."""
    similar = get_close_matches(name, names, 1)
    return f"; did you mean {similar[0]!r}?" if similar else ""
