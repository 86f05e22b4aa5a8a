"""Which versions the tests run with: pinned, newest, or the lowest that pyproject.toml allows.

Usage: python tests/versions.py pin
       python tests/versions.py newest|lowest [PYTEST OPTION ...]

``pin`` writes requirements.txt beside this file: the versions that the README's test line and CI
install. ``newest`` and ``lowest`` install other versions into an environment of their own in the
checkout, print them, and run the tests there; they inform, and nothing depends on their outcome.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = Path("tests", "requirements.txt")
RESOLUTIONS = {"newest": "highest", "lowest": "lowest-direct"}
EDITABLES = "editables"  # hatchling asks for it when it installs a checkout with -e


def main(arguments: list[str]) -> int:
    match arguments:
        case ["pin"]:
            return pin()
        case ["newest" | "lowest" as which, *options]:
            return try_out(which, options)
    print(__doc__)
    return 2


def pin() -> int:
    """Write the newest versions that go together on Python 3.11 and later."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = [*project["build-system"]["requires"], EDITABLES]
    python = environment("uv")
    command = [
        *uv(python, "compile", "pyproject.toml", "-", "--extra", "test", "-o", str(PINS)),
        *("--universal", "--python-version", "3.11", "--upgrade", "--quiet"),
        *("--annotation-style", "line"),
    ]
    shown = {"UV_CUSTOM_COMPILE_COMMAND": "python tests/versions.py pin"}
    return run(command, input="\n".join(build), stdout=subprocess.DEVNULL, env=os.environ | shown)


def try_out(which: str, options: list[str]) -> int:
    """Run the tests with the *which* versions; the exit code is pytest's."""
    python = environment(which)
    install = uv(python, "install", "--python", str(python), "--editable", ".[test]")
    failed = run([*install, "--resolution", RESOLUTIONS[which], "--upgrade", "--quiet"])
    if failed:
        return failed
    run(uv(python, "freeze", "--python", str(python), "--exclude-editable"))
    return run([python, "-m", "pytest", "-n", "2", "--dist", "loadfile", *options])


def environment(name: str) -> Path:
    """The Python of a new environment in the checkout, with uv, which resolves versions."""
    folder = ROOT / f".venv-{name}"
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    if run([python, "-m", "pip", "install", "--quiet", "uv"]):
        raise SystemExit("uv could not be installed")
    return python


def uv(python: Path, *arguments: str) -> list[str | Path]:
    return [python, "-m", "uv", "pip", *arguments]


def run(command: list[str | Path], **more: object) -> int:
    return subprocess.run(command, cwd=ROOT, text=True, **more).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
