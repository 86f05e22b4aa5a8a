"""Where tests lie: in the folder of the room that they test, as tests/README.md lists them."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "budgetledger"
TOP = {"words", "ledger"}  # rooms whose modules lie at the top of the package
NO_ROOM = {"contract", "migrations", "support"}


def folders(place):
    """The folders in *place* that hold Python files, at any depth."""
    return {file.relative_to(place).parts[0] for file in place.glob("*/**/*.py")}


def test_tests_lie_in_the_folder_of_a_room():
    assert folders(TESTS) <= folders(PACKAGE) | TOP | NO_ROOM


def test_no_test_lies_beside_the_folders_or_among_their_helpers():
    assert not [*TESTS.glob("test_*.py"), *TESTS.glob("support/**/test_*.py")]


def test_the_readme_has_a_row_for_each_folder():
    rows = re.findall(r"^\| `(\w+)` \|", (TESTS / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(folders(TESTS))


def test_what_is_said_to_be_slow_is_there(pytestconfig):
    conftest = pytestconfig.pluginmanager.get_plugin(str(TESTS / "conftest.py"))
    assert [name for name in conftest.SLOW if not (TESTS / name).exists()] == []
