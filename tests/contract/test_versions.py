"""The versions that tests and CI install are exact, complete, and within the ranges promised."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "tests" / "pins.txt").read_text()
PINS = [Requirement(line.partition("#")[0]) for line in TEXT.splitlines() if line[:1].isalnum()]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = [
    text.rpartition(" ")[2]
    for text in PROJECT["project"]["classifiers"]
    if re.search(r"Python :: 3\.\d+$", text)
]


def requirements():
    """Of the library, its extras and the build, without what an extra says of other extras."""
    project = PROJECT["project"]
    listed = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        listed += extra
    return [one for one in map(Requirement, listed) if one.name != "budgetledger"]


def applies(requirement, environment, extras=("",)):
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": one}) for one in extras)


def pinned(environment):
    """The version of each package in an *environment*, by name."""
    versions = {}
    for pin in PINS:
        if applies(pin, environment):
            [specifier] = pin.specifier
            assert specifier.operator == "==", pin
            assert "*" not in specifier.version, pin
            assert canonicalize_name(pin.name) not in versions, f"{pin.name} is pinned twice"
            versions[canonicalize_name(pin.name)] = specifier.version
    return versions


def check(requirement, versions):
    name = canonicalize_name(requirement.name)
    assert name in versions, f"tests/pins.txt has no {name}: python tests/versions.py pin"
    assert requirement.specifier.contains(versions[name], prereleases=True), requirement


def test_all_pythons_are_checked():
    assert PYTHONS == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_every_requirement_has_one_version_in_its_range(python, system):
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
    }
    versions = pinned(environment)
    for requirement in requirements():
        check(requirement, versions)


def test_what_they_require_has_a_version_too():
    """As far as what is installed here is what is pinned: other versions require other things."""
    environment = default_environment()
    versions = pinned(environment)
    waiting, seen = requirements(), set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        check(requirement, versions)
        if (name, extras) in seen or not is_installed(name, versions[name]):
            continue
        seen.add((name, extras))
        further = map(Requirement, metadata.requires(name) or ())
        waiting += [one for one in further if applies(one, environment, {"", *extras})]


def is_installed(name, version):
    try:
        return metadata.version(name) == version
    except metadata.PackageNotFoundError:
        return False


def test_pins_name_no_place():
    """Neither where packages come from, nor a folder of the machine that resolved them."""
    assert [line for line in TEXT.splitlines() if re.search(r"://|@|(^|\s)-|(^|\s)/", line)] == []
    assert TEXT.startswith("#")
    assert "python tests/versions.py pin" in TEXT.splitlines()[1]
