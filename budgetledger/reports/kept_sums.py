"""Sums of many rows, kept in the user's cache folder for the next process.

A file has the sums of one report up to an entry, with that entry's hash. If the ledger has no such
entry (it is another file, or was restored from a backup), the sums are not used. Losing a file
costs time alone: any of them may be deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from budgetledger.reporting import Figures
from budgetledger.storage.protocols import Execute

KEPT_FROM = 100_000
"""Rows: sums of fewer are read as fast as they are loaded."""

_FORMAT = 1  # what sums mean: raise it with every change of `sums.py` that changes them
_MOST_FILES = 64
_HASH = "SELECT hash FROM entries WHERE id = ?"


def load(execute: Execute, what: object) -> tuple[int, Mapping[Any, Figures]] | None:
    """The sums kept for *what*, and the last entry in them; None without sums of this ledger."""
    try:
        kept = json.loads(_file(what).read_bytes())
        last_id, digest = kept["last_id"], bytes.fromhex(kept["hash"])
        sums = {tuple(key): Figures(*map(int, figures)) for key, figures in kept["sums"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    row = execute(_HASH, (last_id,)).fetchone()
    return (last_id, sums) if row is not None and bytes(row[0]) == digest else None


def keep(execute: Execute, what: object, last_id: int, sums: Mapping[Any, Figures]) -> None:
    """Write *sums* of the rows up to *last_id*; does nothing where no file can be written."""
    digest = bytes(execute(_HASH, (last_id,)).fetchone()[0]).hex()
    text = json.dumps({"last_id": last_id, "hash": digest, "sums": [*sums.items()]})
    with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
        file = _file(what)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent, delete=False) as new:  # readable by its owner
            new.write(text)
        os.replace(new.name, file)
        files = sorted(file.parent.iterdir(), key=lambda one: one.stat().st_mtime)
        for oldest in files[:-_MOST_FILES]:
            oldest.unlink()


def _file(what: object) -> Path:
    from platformdirs import user_cache_path

    name = sha256(repr((_FORMAT, what)).encode()).hexdigest()
    return user_cache_path("budgetledger") / "sums" / f"{name}.json"
