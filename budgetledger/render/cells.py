"""Text in files that spreadsheets and Markdown readers open."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TextIO

from budgetledger.money import is_decimal

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(cell: object) -> object:
    """*cell* for a spreadsheet: a text that would be a formula begins with an apostrophe.

    Numbers are left as they are, negative ones too.
    """
    if isinstance(cell, str) and cell.startswith(_STARTS) and not is_decimal(cell):
        return f"'{cell}"
    return cell


def write_csv(file: TextIO, rows: Iterable[Sequence[object]]) -> None:
    """Write *rows* as CSV, with formulas escaped; None is an empty cell."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([safe(cell) for cell in row] for row in rows)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """*rows* as CSV."""
    file = io.StringIO(newline="")
    write_csv(file, rows)
    return file.getvalue()


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. ``>`` before a header aligns to the right."""
    rules = ["---:" if header.startswith(">") else "---" for header in headers]
    head = [header.lstrip(">") for header in headers]
    lines = [head, rules, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: object) -> str:
    """Text on one line that is neither markup nor HTML."""
    text = " ".join(str("" if cell is None else cell).splitlines())
    for mark in "\\`*_[]|<>":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;")
