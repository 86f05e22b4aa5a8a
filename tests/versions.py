"""Choose the versions that the tests run with: pinned, newest, or lowest.

Usage: python tests/versions.py pin
       python tests/versions.py newest|lowest [PYTEST OPTION ...]

``pin`` writes pins.txt beside this file: one version of each package for the README's test line
and CI, on Python 3.11 and later. ``newest`` and ``lowest`` (the lowest that pyproject.toml allows)
make an environment of their own in the checkout, print its versions, and run the tests there.
They inform: CI runs neither.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = "tests/pins.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EDITABLES = "editables"  # hatchling asks for it where a checkout is installed with -e


def main(arguments: list[str]) -> int:
    match arguments:
        case ["pin"]:
            return pin()
        case ["newest", *options]:
            # Before litellm's: its Proxy excludes the newest rich, which other users have.
            own = "\n".join(PROJECT["project"]["dependencies"])
            return try_out("newest", ["--overrides", "-"], own, options)
        case ["lowest", *options]:
            return try_out("lowest", ["--resolution", "lowest-direct"], "", options)
    print(__doc__)
    return 2


def pin() -> int:
    """Write the newest versions that go together."""
    build = [*PROJECT["build-system"]["requires"], EDITABLES]
    command = uv(
        *("compile", "pyproject.toml", "-", "--extra", "test", "--output-file", PINS),
        *("--universal", "--python-version", "3.11", "--upgrade", "--quiet"),
        *("--annotation-style", "line"),
    )
    shown = {"UV_CUSTOM_COMPILE_COMMAND": "python tests/versions.py pin"}
    return run(command, input="\n".join(build), stdout=subprocess.DEVNULL, env=os.environ | shown)


def try_out(name: str, choice: list[str], requirements: str, options: list[str]) -> int:
    """Run the tests with the versions that *choice* makes uv install; return pytest's exit code."""
    python = environment(name)
    target = ["--python", str(python)]
    failed = run(uv("install", *target, "--quiet", "-e", ".[test]", *choice), input=requirements)
    if failed:
        return failed
    run(uv("freeze", *target, "--exclude-editable"))
    return run([str(python), "-m", "pytest", "-n", "2", "--dist", "loadfile", *options])


def uv(*arguments: str) -> list[str]:
    """The command of uv's pip, which is installed in an environment of its own."""
    python = ROOT / ".venv-versions" / "bin" / "python"
    if not python.exists():
        python = environment("versions", "uv")
    return [str(python), "-m", "uv", "pip", *arguments]


def environment(name: str, *packages: str) -> Path:
    """The Python of a new environment in the checkout."""
    folder = ROOT / f".venv-{name}"
    venv.create(folder, clear=True, with_pip=bool(packages))
    python = folder / "bin" / "python"
    if packages and run([str(python), "-m", "pip", "install", "--quiet", *packages]):
        raise SystemExit(f"cannot install {', '.join(packages)}")
    return python


def run(command: list[str], **more: object) -> int:
    return subprocess.run(command, cwd=ROOT, text=True, **more).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
