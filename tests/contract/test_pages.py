"""What READMEs say of the code is true: views, rooms, files, functions, help, links."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
from pathlib import Path

import alone
import help_texts
import pages
import pytest
import structure

from budgetledger.storage.dictionary import VIEWS

ROOT = Path(__file__).parents[2]
ROOMS = runpy.run_path(str(Path(__file__).with_name("test_rooms.py")))
MAY_IMPORT, TOP = ROOMS["MAY_IMPORT"], ROOMS["TOP"]
PAGES = pages.texts()
MAP = PAGES["budgetledger/README.md"]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", MAP)))
"""The files that the map names, each with the function, class or constant in it, or nothing."""


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 300


def test_the_readme_names_the_views():
    text = PAGES["README.md"].partition("## SQL")[2].partition("With `sqlite3")[0]
    shown = re.findall(r"`(\w+)`", text.partition(":")[2].partition(". ")[0])
    assert shown == [view.name for view in VIEWS]


def test_the_maps_rooms_are_those_of_the_code():
    shown = pages.tables(MAP, "room", "what it holds", "may import")
    assert [(room, allowed.split(", ") if allowed else []) for room, _, allowed in shown] == [
        (room, allowed.split()) for room, allowed in MAY_IMPORT.items()
    ]
    for room, holds, _ in shown:
        if room in TOP and room != "package":
            named = re.findall(r"`(\w+)\.py`", holds)
            assert sorted(named) == sorted(TOP[room].split()), room


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_the_map_names_exists(file, name):
    [path] = [path for path in (ROOT / "budgetledger" / file, ROOT / file) if path.is_file()]
    body = ast.parse(path.read_text("utf-8")).body
    for part in filter(None, name.split(".")):
        found = [node for node in body if part in defined(node)]
        assert found, f"{file} has no {name}"
        body = getattr(found[0], "body", [])


def defined(node):
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return names | {getattr(node, "name", None)}


def test_the_map_answers():
    assert len(NAMED) > 60
    for question in (
        "When does a hold expire?",
        "Which price wins?",
        "Where is Anthropic's usage read?",
        "What does an idempotency key compare?",
    ):
        assert f"**{question}**" in MAP


def test_the_commands_page_has_the_help_of_every_command():
    page = PAGES["budgetledger/cli/README.md"]
    _, start, rest = page.partition(help_texts.START)
    assert start + rest == help_texts.sections(), "run: python tests/support/help_texts.py"


@pytest.mark.parametrize("words", [[], ["set-budget"], ["prices", "set"]])
def test_that_help_is_what_the_command_prints(words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    program = "import sys; from budgetledger.cli import main; main(sys.argv[1:], 'budgetledger')"
    command = [*alone.python(), program, *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == dict(help_texts.help_texts())[" ".join(["budgetledger", *words])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_as_the_commands_page_says(shell, tmp_path):
    assert (
        f"_BUDGETLEDGER_COMPLETE={shell}_source budgetledger" in PAGES["budgetledger/cli/README.md"]
    )
    variables = {"_BUDGETLEDGER_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    program = "from budgetledger.cli import main; main(prog_name='budgetledger')"
    done = subprocess.run(
        [*alone.python(), program], env=variables, capture_output=True, text=True, timeout=60
    )
    assert "_budgetledger_completion" in done.stdout


def test_links_lead_somewhere():
    for name, page in PAGES.items():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page):
            path = (ROOT / name).parent / target if target else ROOT / name
            assert path.is_file(), f"{name}: {target}"
            if anchor:
                assert anchor in anchors(path.read_text("utf-8")), f"{name}: {target}#{anchor}"


def anchors(page):
    """The anchors of the headings, as a host makes them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_public_modules_are_those_at_the_top():
    named = re.findall(r"`(\w+)`", MAP.partition("## Rooms")[0])
    top = {name for names in TOP.values() for name in names.split()}
    assert set(named) - {"create_app"} <= top
    assert structure.Package(ROOT / "budgetledger").trees.keys() >= {
        f"budgetledger.{name}" for name in top
    }
