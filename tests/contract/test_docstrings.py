"""What help() and an editor show: examples that run, public names only, and a text for each."""

from __future__ import annotations

import ast
import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import budgetledger
from budgetledger import AsyncLedger, BudgetManager, Ledger, metered, wrap
from budgetledger.aio import AsyncHold
from budgetledger.holds import Hold

PACKAGE = Path(budgetledger.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))
WITH_EXAMPLE = [Ledger, Hold, AsyncLedger, BudgetManager, wrap, metered]


# -- examples -----------------------------------------------------------------------------------


def examples_in(name):
    """The examples of a module, each with names of its own only."""
    module = import_module(f"budgetledger.{name}")
    return [one for one in doctest.DocTestFinder().find(module, globs={}) if one.examples]


@pytest.mark.parametrize("name", [n for n in MODULES if ">>>" in (PACKAGE / f"{n}.py").read_text()])
@pytest.mark.parametrize("turn", ["first", "second"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # examples do not close their clients
def test_examples_print_what_they_say(name, turn, provider, tmp_path, monkeypatch):
    """In a folder of their own; the second time everything is loaded already."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, example in enumerate(examples_in(name)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("BUDGETLEDGER_DB", str(folder / "default.db"))
        printed = []
        assert runner.run(example, out=printed.append).failed == 0, "".join(printed)
    assert runner.tries


@pytest.mark.parametrize("value", WITH_EXAMPLE, ids=lambda value: value.__name__)
def test_what_people_look_up_has_an_example(value):
    examples = {one.name for one in examples_in(value.__module__.rpartition(".")[2])}
    assert f"{value.__module__}.{value.__name__}" in examples


# -- names --------------------------------------------------------------------------------------


def documented(module):
    """The names that a module defines with a docstring, or with a string after their value."""
    body = ast.parse(inspect.getsource(module)).body
    found = set()
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            found.add(node.name)
        text = getattr(following, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(text, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(text.value, str)}
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_says_which_of_its_names_are_public(name):
    module = import_module(f"budgetledger.{name}")
    public = module.__all__
    assert public
    assert len({*public}) == len(public)
    assert not [each for each in public if each.startswith("_")]
    if name != "proxy":  # it hands on a name of the room litellm
        assert {*public} <= documented(module)


@pytest.mark.parametrize("kind", [Hold, AsyncHold, Ledger, AsyncLedger, BudgetManager])
def test_what_help_lists_is_public_and_described(kind):
    """Each method and property, whichever class it comes from; no data, no private base."""
    assert not [base for base in kind.__mro__ if base.__name__.startswith("_")]
    for base in kind.__mro__[:-1]:
        assert base.__name__ in import_module(base.__module__).__all__
    for attribute in inspect.classify_class_attrs(kind):
        if attribute.name.startswith("_") or attribute.defining_class is object:
            assert attribute.name != "__annotations__"
            continue
        assert attribute.kind != "data", attribute.name
        assert inspect.getdoc(attribute.object), attribute.name


@pytest.mark.parametrize("name", [n for n in vars(AsyncLedger) if not n.startswith("_")])
def test_methods_of_the_async_ledger_go_by_their_own_name(name):
    method = getattr(AsyncLedger, name)
    assert (method.__module__, method.__qualname__) == ("budgetledger.aio", f"AsyncLedger.{name}")
    signature = inspect.signature(method)
    assert next(iter(signature.parameters)) == "self"
    returned = signature.return_annotation
    assert returned is not signature.empty
    assert "_" not in returned.partition("[")[0]


def test_a_type_that_a_public_method_returns_is_public():
    assert inspect.signature(AsyncLedger.hold).return_annotation == "PendingHold"
    assert "PendingHold" in import_module("budgetledger.aio").__all__
