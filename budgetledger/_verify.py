"""Decides every row again from the rows before it, and compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from budgetledger import _migrate, _sql
from budgetledger._sql import compiled
from budgetledger._writer import Execute
from budgetledger.rules import Draft, Head, chained_hash, genesis, totals_after

_EVERY = 1000  # rows between two calls of progress


class Problem(NamedTuple):
    """Something in the file that budgetledger did not write so."""

    message: str
    account: str | None = None
    entry_id: int | None = None


class Verification(NamedTuple):
    """What `Ledger.verify` recounted, and every difference it found."""

    accounts: int
    entries: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def verify(execute: Execute, progress: Callable[[int, int], None] | None) -> Verification:
    """Recount the whole file on one snapshot."""
    found, expected = _migrate.schema(execute), _migrate.expected_schema()
    problems = _schema_problems(found, expected)
    if any(what not in found for what in expected if what[0] == "table"):
        return Verification(0, 0, tuple(problems))  # nothing else can be said
    problems += _file_problems(execute)
    (total,) = execute("SELECT count(*) FROM entries").fetchone()
    accounts = execute(compiled(_sql.ALL_ACCOUNTS)).fetchall()
    done = 0

    def count_row() -> None:
        nonlocal done
        done += 1
        if progress is not None and (done % _EVERY == 0 or done == total):
            progress(done, total)

    for account in accounts:
        problems += _journal_problems(execute, account, count_row)
    return Verification(len(accounts), done, tuple(problems))


def _schema_problems(found: _migrate.Schema, expected: _migrate.Schema) -> list[Problem]:
    problems = []
    for what, text in expected.items():
        if what not in found:
            problems.append(Problem(f"the {' '.join(what)} is missing"))
        elif found[what] != text:
            problems.append(Problem(f"the {' '.join(what)} was changed"))
    for kind, name in found.keys() - expected.keys():
        table = found[kind, name][0]  # other tools may have tables of their own
        if kind == "trigger" and ("table", table) in expected:
            problems.append(Problem(f"the trigger {name} was added"))
    return problems


def _file_problems(execute: Execute) -> list[Problem]:
    problems = [
        Problem(f"SQLite reports: {message}")
        for (message,) in execute("PRAGMA integrity_check")
        if message != "ok"
    ]
    for table, rowid, parent, _ in execute("PRAGMA foreign_key_check"):
        problems.append(Problem(f"row {rowid} of {table} refers to a missing row of {parent}"))
    # Rows are numbered without gaps under the write lock, and a failed one gives its number
    # back; a missing number is a missing row, even the last one of its account.
    first, last, rows = execute("SELECT min(id), max(id), count(*) FROM entries").fetchone()
    if (rows and last - first + 1 != rows) or first not in (None, 1):
        problems.append(Problem(f"{last - rows} of {last} rows are missing from entries"))
    for (entry_id,) in execute(compiled(_sql.DETAILS_WITHOUT_ENTRY)):
        problems.append(Problem("a budget or shift does not belong to its entry", None, entry_id))
    return problems


def _journal_problems(
    execute: Execute, found: tuple[int, int, str, str, int], count_row: Callable[[], None]
) -> list[Problem]:
    account_id, project_id, project, account, created_at_us = found
    problems: list[Problem] = []
    head = genesis(project, account, created_at_us)
    models: dict[str | None, tuple[int | None, ...]] = {}
    for row in execute(compiled(_sql.JOURNAL), (account_id,)):
        entry_id, row_project_id, found_hash = row[:3]
        found_totals, recorded_at_us, draft = row[3:11], row[11], Draft._make(row[12:])
        detail = _detail(execute, draft, entry_id)
        problem = None
        if detail is None:
            problem = f"what belongs to this {draft.kind} is missing"
        elif chained_hash(head.hash, recorded_at_us, draft, detail) != found_hash:
            problem = "the row, or the one before it, was changed, removed or put there by hand"
        head = Head(*head[:6], *models.get(draft.model, ()))
        if problem is None and totals_after(head, draft) != found_totals:
            problem = "its running totals do not add up"
        if problem is None and row_project_id != project_id:
            problem = "it belongs to another project than the account"
        if problem is not None:
            problems.append(Problem(problem, account, entry_id))
        # Go on from what the row states, so that one change is not reported at every later row.
        head = Head(found_hash, recorded_at_us, *found_totals[:4])
        if draft.model is not None:
            models[draft.model] = found_totals[4:]
        count_row()
    return problems


def _detail(execute: Execute, draft: Draft, entry_id: int) -> tuple[object, ...] | None:
    if draft.kind == "budget":
        found = execute(compiled(_sql.BUDGET_DETAIL), (entry_id,))
    elif draft.kind == "shift":
        found = execute(compiled(_sql.SHIFT_DETAIL), (entry_id,))
    elif draft.kind == "adjustment":
        found = execute(compiled(_sql.CORRECTED_DETAIL), (draft.corrects_id,))
    else:
        return ()
    row: tuple[object, ...] | None = found.fetchone()
    return row
