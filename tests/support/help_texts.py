"""Write the help of every command into budgetledger/cli/README.md.

Usage: python tests/support/help_texts.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click

from budgetledger.cli import main

PAGE = Path(__file__).parents[2] / "budgetledger" / "cli" / "README.md"
START = "<!-- From here on: written by `python tests/support/help_texts.py`. -->\n"


def sections() -> str:
    """A section for each command, from the marker to the end of the page."""
    return START + "".join(
        f"\n### {name}\n\n```console\n$ {name} --help\n{text}```\n" for name, text in help_texts()
    )


def help_texts() -> Iterator[tuple[str, str]]:
    """Each command as it is typed, and its help on a terminal of 80 columns."""
    with mock.patch.dict(os.environ, COLUMNS="80"):
        for context in _contexts(main, None, "budgetledger"):
            yield context.command_path, context.get_help() + "\n"


def _contexts(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[click.Context]:
    context = click.Context(command, parent, name, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for inner_name, inner in sorted(command.commands.items()):
            yield from _contexts(inner, context, inner_name)


if __name__ == "__main__":
    before, _, _ = PAGE.read_text("utf-8").partition(START)
    PAGE.write_text(before + sections(), "utf-8")
