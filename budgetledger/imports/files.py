"""Finds the files of a log and parses them: JSON, lines of JSON, and tables of SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from budgetledger.errors import InvalidInput

_BROKEN = (ValueError, RecursionError)  # no JSON, no UTF-8, too long numbers


class Parsed(NamedTuple):
    """One JSON value of a file; ``value`` is None if it cannot be read."""

    place: str
    value: Any
    file: str


def found(paths: Iterable[str | os.PathLike[str]], *patterns: str) -> list[str]:
    """The files that *paths* name, each once: a folder stands for those in it that match."""
    files: dict[str, str] = {}
    for path in map(Path, paths):
        try:
            if path.is_dir():
                inside = sorted({file for pattern in patterns for file in path.rglob(pattern)})
            else:
                inside = [path]
                path.stat()
        except OSError as error:
            raise _unreadable(os.fspath(path), error) from error
        for file in inside:
            files.setdefault(os.path.realpath(file), os.fspath(file))
    return list(files.values())


def json_lines(files: Iterable[str]) -> Iterator[Parsed]:
    """The lines of *files*. A line that cannot be read, such as a cut one, has no value."""
    for file in files:
        try:
            with open(file, "rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield Parsed(f"{file}:{number}", _value(line), file)
        except OSError as error:
            raise _unreadable(file, error) from error


def json_files(files: Iterable[str]) -> Iterator[Parsed]:
    """The value of each of *files*; of a file of lines, a list of their values."""
    for file in files:
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise _unreadable(file, error) from error
        value = _value(content)
        if value is None and b"\n" in content.strip():
            lines = [_value(line) for line in content.splitlines() if line.strip()]
            if not all(line is None for line in lines[:2]):
                value = lines
        yield Parsed(file, value, file)


def _value(text: bytes) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"), parse_float=Decimal, parse_constant=str)
    except _BROKEN:
        return None


class Table(NamedTuple):
    """The rows of a table, as dicts by column."""

    name: str
    rows: list[dict[str, Any]]


def tables(file: str, *names: str) -> list[Table]:
    """Those of the tables *names* that the SQLite *file* has. Raises `InvalidInput`."""
    try:
        with closing(sqlite3.connect(f"file:{quote(file)}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")  # one snapshot of all of them
            there = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            return [
                Table(name, [dict(row) for row in database.execute(f"SELECT * FROM {name}")])
                for name in names
                if name in there
            ]
    except sqlite3.Error as error:
        raise InvalidInput(f"{file} cannot be read as an SQLite file: {error}") from error


def is_sqlite(file: str) -> bool:
    """Whether *file* begins as SQLite files do."""
    try:
        with open(file, "rb") as content:
            return content.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise _unreadable(file, error) from error


def json_in(value: object) -> Any:
    """JSON that a column has as text; other values as they are."""
    return _value(value.encode(errors="replace")) if isinstance(value, str) else value


def _unreadable(path: str, error: OSError) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read: {error.strerror}; check the path")
