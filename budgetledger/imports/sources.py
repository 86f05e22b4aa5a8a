"""The programs whose logs can be imported, and how their files are found and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

from budgetledger.errors import InvalidInput
from budgetledger.imports import claude_code, codex, litellm_logs, llm_logs, opencode
from budgetledger.imports.calls import Log
from budgetledger.imports.files import found, is_sqlite, json_files, json_lines, tables

Paths: TypeAlias = Sequence[str | os.PathLike[str]]


def read_log(source: str, paths: Paths) -> Log:
    """The calls in the files and folders *paths* of the program *source*; see `SOURCES`.

    Raises `InvalidInput` for files that are not such a log.
    """
    if source not in SOURCES:
        raise InvalidInput(f"{source!r} is no source; pass one of {', '.join(SOURCES)}")
    return SOURCES[source](paths)


def _litellm(paths: Paths) -> Log:
    return litellm_logs.read(json_files(_some(paths, "*.json", "*.jsonl")))


def _llm(paths: Paths) -> Log:
    files = _some(paths, "logs.db")
    read = [(file, tables(file, "turns", "responses")) for file in files]
    for file, there in read:
        if not there:
            raise InvalidInput(f"{file} has no table of calls; pass the logs.db of llm")
    return llm_logs.read(read)


def _claude_code(paths: Paths) -> Log:
    return claude_code.read(json_lines(_some(paths, "*.jsonl")))


def _codex(paths: Paths) -> Log:
    return codex.read(json_lines(_some(paths, "*.jsonl")))


def _opencode(paths: Paths) -> Log:
    files = _some(paths, "opencode*.db", "storage/message/**/*.json", "message/**/*.json")
    databases = [file for file in files if is_sqlite(file)]
    read = [(file, tables(file, "message", "session_message")) for file in databases]
    return opencode.read(json_files(file for file in files if file not in databases), read)


def _some(paths: Paths, *patterns: str) -> list[str]:
    files = found(paths, *patterns)
    if not files:
        shown = ", ".join(os.fspath(path) for path in paths)
        raise InvalidInput(f"{shown} has no {' or '.join(patterns)}; name the log's files")
    return files


SOURCES: dict[str, Callable[[Paths], Log]] = {
    "litellm-logs": _litellm,
    "llm": _llm,
    "claude-code": _claude_code,
    "codex": _codex,
    "opencode": _opencode,
}
"""The readers, by the name of the program."""
