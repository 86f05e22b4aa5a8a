"""Entries as lines of CSV or JSON, one by one, so that any number of them can be written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TextIO

from budgetledger.entries import Entry
from budgetledger.render.cells import write_csv
from budgetledger.render.documents import as_json, entry_json

COLUMNS = [
    *("id", "project", "account", "recorded_at", "occurred_at", "kind", "model"),
    *("cost", "cost_basis", "price_source", "price"),
    *("input_tokens", "output_tokens", "requests", "usage", "tags", "note"),
    *("corrects_id", "idempotency_key", "origin_id"),
    *("hold_id", "held", "held_tokens", "expires_at", "hash"),
]
"""The fields of an entry, in their order."""

_AS_JSON = ("usage", "price", "tags")
"""Columns whose cells are JSON objects."""


def write_entries_csv(file: TextIO, entries: Iterable[Entry]) -> None:
    """A header and a line for each entry; see `entry_json` for the columns."""
    write_csv(file, _lines(entries))


def write_entries_json(file: TextIO, entries: Iterable[Entry]) -> None:
    """An object on a line for each entry."""
    for entry in entries:
        file.write(json.dumps(entry_json(entry), default=as_json) + "\n")


def _lines(entries: Iterable[Entry]) -> Iterator[Sequence[object]]:
    yield COLUMNS
    for entry in entries:
        yield [_cell(name, value) for name, value in entry_json(entry).items()]


def _cell(name: str, value: Any) -> object:
    if name in _AS_JSON:
        return json.dumps(value, separators=(",", ":"), default=as_json) if value else None
    if value is None or isinstance(value, (str, int)):
        return value
    return as_json(value) if not isinstance(value, Decimal) else f"{value:f}"
