"""The READMEs: the one of the checkout and those of the rooms, and the blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page, and the output that the page gives for it, if any."""

    kind: str
    text: str
    output: str | None


def texts() -> dict[str, str]:
    """Every page's text, by its path in the checkout."""
    found = [ROOT / "README.md"]
    for folder in "budgetledger", "migrations", "benchmarks":
        found += sorted((ROOT / folder).rglob("README.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in found}


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order; a text right after a block is its output."""
    return [Block(kind, text, output or None) for kind, text, output in _BLOCK.findall(f"{page}\n")]


def tables(page: str, *header: str) -> list[list[str]]:
    """The rows of the table with that *header*."""
    lines = page.splitlines()
    start = lines.index("| " + " | ".join(header) + " |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows
