"""Python as it is where some extras are installed alone: what else the tests need is hidden.

The test environment has far more than users have: litellm's Proxy alone brings a hundred packages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement

COMMAND = "import runpy; runpy.run_module('budgetledger', run_name='__main__', alter_sys=True)"


def python(*extras: str, without: tuple[str, ...] = ()) -> list[str]:
    """A Python that imports what ``budgetledger[extras]`` needs; its code is the next argument.

    *without* names modules to be hidden as well. Warnings are errors.
    """
    hidden = sorted(_hidden(frozenset(extras)) | set(without))
    start = f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))"
    return [sys.executable, "-W", "error", "-c", f"{start}; exec(sys.argv.pop(1))"]


def command(*extras: str) -> list[str]:
    """The command line there; its arguments follow."""
    return [*python(*extras), COMMAND]


@cache
def _hidden(extras: frozenset[str]) -> set[str]:
    """The modules of all distributions that *extras* do not bring, but for those of others too."""
    needed = {_plain(name) for name in _needed("budgetledger", extras)}
    return {
        module
        for module, distributions in _installed().items()
        if not needed & {_plain(name) for name in distributions}
    }


@cache
def _installed() -> Mapping[str, list[str]]:
    """The distributions that have a module of each name."""
    return metadata.packages_distributions()


def _needed(name: str, extras: frozenset[str]) -> set[str]:
    """The distributions that are installed with *name* and its *extras*, itself included."""
    found, waiting = set(), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if _applies(requirement, extras):
                waiting.append((_plain(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in found}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
