"""The rooms of the package, from the ground up: each imports itself and those it is given here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import structure

import budgetledger

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "budgetledger"

# Modules at the top, by what they are; every other module is in the room of its folder, an inner
# one if the table below has it.
TOP = {
    "words": "caller_warnings callers display entries errors money names prices reporting tables "
    "testing usage windows",
    "ledger": "aio holds ledger",
    "faces": "manager metering proxy wrapping",
    "package": "__main__",
}
MAY_IMPORT = {
    "words": "",
    "apis": "words",
    "tokens": "words",
    "responses/fields": "words",
    "responses/usage": "words responses/fields",
    "responses": "words tokens responses/fields responses/usage",
    "pricing": "words tokens",
    "storage": "words",
    "journal/rows": "words pricing storage",
    "journal/holds": "words responses journal/rows",
    "journal": "words responses pricing storage journal/rows journal/holds",
    "verbs": "words pricing storage journal/rows journal/holds journal",
    "reports": "words pricing storage journal/rows journal",
    "ledger": "words responses pricing storage journal/rows journal/holds journal verbs reports",
    "imports": "words responses/fields responses/usage responses pricing storage journal/rows"
    " journal verbs",
    "render": "words pricing journal/rows journal reports ledger",
    "clients": "words apis responses ledger",
    "wallet": "words apis responses ledger clients",
    "litellm": "words apis tokens responses pricing storage journal/rows journal verbs ledger "
    "clients",
    "hosted": "words responses pricing storage journal/rows journal verbs ledger render litellm",
    "server": "words storage journal/rows journal verbs ledger render litellm wallet",
    "faces": "words apis tokens pricing storage journal/rows journal ledger clients litellm hosted",
    "cli": "words storage journal verbs reports ledger imports render litellm wallet server",
    "package": "words tokens ledger litellm faces cli",
}


@pytest.fixture(scope="module")
def package():
    return structure.Package(PACKAGE)


def room(module):
    _, _, name = module.partition(".")
    if not name:
        return "package"
    first, _, rest = name.partition(".")
    inner = f"{first}/{rest.partition('.')[0]}"
    if inner in MAY_IMPORT:
        return inner
    if rest or (PACKAGE / first).is_dir():
        return first
    return next(found for found, names in TOP.items() if first in names.split())


def test_imports_run_one_way(package):
    strays = {
        f"{one.importer} imports {one.imported}"
        for one in package.imports()
        if one.when != "typed"
        and room(one.imported) not in (room(one.importer), *MAY_IMPORT[room(one.importer)].split())
    }
    assert not strays


def test_every_room_is_in_the_table_above_those_it_imports(package):
    seen = set()
    for name, others in MAY_IMPORT.items():
        assert set(others.split()) <= seen | {"faces", "cli"} or name == "package", name
        seen.add(name)
    assert {room(name) for name in package.trees} == seen


def test_no_table_entry_is_idle(package):
    used = {(room(one.importer), room(one.imported)) for one in package.imports()}
    allowed = {(name, other) for name, others in MAY_IMPORT.items() for other in others.split()}
    assert not allowed - used


def test_no_module_imports_itself_over_others(package):
    imports = {(one.importer, one.imported) for one in package.imports() if one.when != "typed"}
    assert not structure.circles(imports)


def test_private_attributes_are_read_where_they_are_defined(package):
    """But for what Python and the libraries around do not give otherwise."""
    assert {one.text for one in package.reaches()} == {
        "asyncio.coroutines._is_coroutine",
        "client._client",
        "function._is_coroutine",
        "loaded._core_bpe",
        "sys._getframe",
        "wrapped._build_middleware_chain",
        "wrapped._middleware_chain",
    }


def test_no_function_is_longer_than_a_page(package):
    assert not package.long_functions()


def test_no_folder_is_longer_than_a_list_one_can_read(package):
    sizes = Counter(file.parent for file, _ in package.trees.values())
    assert not {folder for folder, modules in sizes.items() if modules > 25}


def test_lazy_names_lead_into_rooms_that_the_package_may_import():
    allowed = MAY_IMPORT["package"].split()
    assert {room(home) for home in budgetledger._HOMES.values()} <= {*allowed}


def test_rooms_hold_no_more_than_their_docstring(package):
    """Importing a room costs nothing; three hand on public names."""
    for name, (file, tree) in package.trees.items():
        is_room = file.name == "__init__.py" and name not in ("budgetledger", *_HANDING_ON)
        assert not is_room or len(tree.body) == 1, name


_HANDING_ON = [
    "budgetledger.cli",
    "budgetledger.server",
    "budgetledger.tokens",
    "budgetledger.tokens.vocabularies",
]
