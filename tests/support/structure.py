"""Measures the structure of a checkout: ``python tests/support/structure.py [ROOT ...]``.

Prints for each root: modules and lines, the largest folder and module, functions over 60 lines,
circles among imports (all of them, and those that run when a module is loaded), and reads of
private attributes of other modules' objects.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# What a NamedTuple gives its users, who may not call it public: the names begin with "_" so that
# they cannot be fields.
_OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
_LONG = 60


class Import(NamedTuple):
    """*importer* imports *imported*; ``when`` is "loaded", "called" or "typed"."""

    importer: str
    imported: str
    when: str


class Reach(NamedTuple):
    """A read of a private attribute that its own file does not define."""

    file: str
    line: int
    text: str


class Package:
    """The modules of the package in the folder *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trees = {
            self._name(file): (file, ast.parse(file.read_text("utf-8")))
            for file in sorted(path.rglob("*.py"))
        }

    def _name(self, file: Path) -> str:
        parts = file.relative_to(self.path.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[Import]:
        """Every import of one module of the package by another."""
        for name, (_, tree) in self.trees.items():
            yield from self._imports(name, tree.body, "loaded")

    def _imports(self, name: str, body: list[ast.stmt], when: str) -> Iterator[Import]:
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (Import(name, other, when) for other in self._named(node) - {name})
                continue
            inner = when
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = "called"
            elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                inner = "typed"
            for field in "body", "orelse", "finalbody", "handlers", "cases":
                parts = getattr(node, field, None) or []
                statements = [part for part in parts if isinstance(part, ast.stmt)]
                for part in parts:
                    if not isinstance(part, ast.stmt):  # except and case clauses
                        statements += part.body
                is_else = inner == "typed" and field == "orelse"
                yield from self._imports(name, statements, when if is_else else inner)

    def _named(self, node: ast.Import | ast.ImportFrom) -> set[str]:
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names if alias.name in self.trees}
        found = set()
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            found.add(full if full in self.trees else str(node.module))
        return found & self.trees.keys()

    def reaches(self) -> list[Reach]:
        """Private attributes read of objects whose class stands in another file."""
        found = []
        for file, tree in self.trees.values():
            own = _defined(tree) | _OF_NAMED_TUPLES
            for node in ast.walk(tree):
                if not isinstance(node, ast.Attribute) or node.attr in own:
                    continue
                is_private = node.attr.startswith("_") and not node.attr.endswith("__")
                is_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                if is_private and not is_self:
                    shown = str(file.relative_to(self.path))
                    found.append(Reach(shown, node.lineno, ast.unparse(node)))
        return found

    def long_functions(self) -> list[tuple[int, str]]:
        """Functions of more than 60 lines, with their docstrings: length and name."""
        functions = (
            (node.end_lineno - node.lineno + 1, f"{name}.{node.name}")
            for name, (_, tree) in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        return sorted((one for one in functions if one[0] > _LONG), reverse=True)


def _defined(tree: ast.Module) -> set[str]:
    """Names that a file defines: functions, classes, variables, attributes of ``self``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            names.add(node.attr)
    return names


def circles(imports: set[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules that import each other, over others or not (Tarjan's algorithm)."""
    graph: dict[str, set[str]] = {}
    for importer, imported in imports:
        graph.setdefault(importer, set()).add(imported)
        graph.setdefault(imported, set())
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(found)


def report(root: Path) -> None:
    """Print the figures of a checkout."""
    package = Package(root / "budgetledger")
    files = [file for file, _ in package.trees.values()]
    lines = {file: len(file.read_text("utf-8").splitlines()) for file in files}
    folder, most = Counter(file.parent for file in files).most_common(1)[0]
    largest = max(lines, key=lambda file: lines[file])
    print(f"{root}: {len(files)} modules, {sum(lines.values()):,} lines")
    print(f"  largest folder: {folder.relative_to(root)}, {most} modules")
    print(f"  largest module: {largest.relative_to(root)}, {lines[largest]} lines")
    print(f"  functions over {_LONG} lines: {len(package.long_functions())}")
    for length, name in package.long_functions():
        print(f"    {length} {name}")
    every = [*package.imports()]
    for label, kinds in (
        ("when loaded", {"loaded"}),
        ("at run time", {"loaded", "called"}),
        ("with annotations", {"loaded", "called", "typed"}),
    ):
        found = circles({(one.importer, one.imported) for one in every if one.when in kinds})
        print(f"  circles {label}: {len(found)}")
        for group in found:
            print(f"    {', '.join(name.removeprefix('budgetledger.') for name in group)}")
    reaches = package.reaches()
    print(f"  private reads of other modules' objects: {len(reaches)}")
    for (file, text), count in sorted(Counter((one.file, one.text) for one in reaches).items()):
        print(f"    {count} {file}: {text}")


if __name__ == "__main__":
    for argument in sys.argv[1:] or [str(Path(__file__).parents[2])]:
        report(Path(argument).resolve())
