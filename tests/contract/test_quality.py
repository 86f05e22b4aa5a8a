"""What a reviewer would run first: the formatter, the linter and the type checker."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import budgetledger

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]],
    ids=lambda arguments: " ".join(arguments),
)
def test_nothing_to_say(arguments):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_are_there_and_said():
    for name in budgetledger.__all__:
        value = getattr(budgetledger, name)
        assert value.__doc__, name
        assert value.__module__.startswith("budgetledger."), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        budgetledger.nothing  # noqa: B018


LOW = ("errors", "names", "money", "windows", "entries", "usage", "journal.rows.rules")


def test_the_lower_floors_need_neither_database_nor_clients():
    code = f"""
import sys
for name in {LOW!r}:
    __import__("budgetledger." + name)
heavy = {{"sqlite3", "sqlalchemy", "sqlmodel", "alembic", "tiktoken", "genai_prices", "pydantic"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_version_is_the_packages():
    metadata = importlib.import_module("importlib.metadata")
    assert metadata.version("budgetledger") == budgetledger.__version__
