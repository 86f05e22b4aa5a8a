"""Computes every row again from the rows before it, and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from budgetledger.journal.default_budgets import default_problems
from budgetledger.journal.price_rows import price_problems
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.answers import AnswerRows, budgeted_models
from budgetledger.journal.rows.late import LateRows
from budgetledger.journal.rows.prior import is_recounted, stored_detail
from budgetledger.journal.rows.problem import Problem
from budgetledger.journal.rows.rules import (
    SETTINGS,
    Draft,
    Head,
    counts,
    follow,
    genesis,
    model_totals,
    with_model_totals,
)
from budgetledger.journal.verify_hierarchy import hierarchy_problems
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.storage.schema import Inspection, Schema

_EVERY = 1000  # rows between two calls of progress
_DETAILS = {  # the row elsewhere that a row's hash covers, by kind
    "budget": statements.BUDGET_DETAIL,
    "shift": statements.SHIFT_DETAIL,
    "parent": statements.PARENT_DETAIL,
    "alert": statements.CROSSING_DETAIL,
    "resolve": statements.CROSSING_DETAIL,
    "adjustment": statements.CORRECTED_DETAIL,
}


class Verification(NamedTuple):
    """What `Ledger.verify` recounted, and every difference it found."""

    accounts: int
    entries: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def verify(
    execute: Execute, inspection: Inspection, progress: Callable[[int, int], None] | None
) -> Verification:
    """Recount the whole file on one snapshot."""
    actual, expected = inspection.schema(execute), inspection.expected_schema()
    problems = _schema_problems(actual, expected)
    if any(what not in actual for what in expected if what[0] == "table"):
        return Verification(0, 0, tuple(problems))  # nothing else can be checked
    problems += map(Problem, inspection.damage(execute))
    problems += _numbering_problems(execute)
    (total,) = execute("SELECT count(*) FROM entries").fetchone()
    accounts = execute(compiled(statements.ALL_ACCOUNTS)).fetchall()
    (counted_from,) = execute(statements.COUNTED_FROM).fetchone()
    corrected = {corrects_id for (corrects_id,) in execute(statements.CORRECTED)}
    done = 0

    def count_row() -> None:
        nonlocal done
        done += 1
        if progress is not None and (done % _EVERY == 0 or done == total):
            progress(done, total)

    for account in accounts:
        late = LateRows(execute, account[0], corrected)
        problems += _journal_problems(execute, account, counted_from, count_row, late)
    problems += hierarchy_problems(execute, counted_from)
    problems += price_problems(execute)
    problems += default_problems(execute)
    return Verification(len(accounts), done, tuple(problems))


def _schema_problems(actual: Schema, expected: Schema) -> list[Problem]:
    problems = []
    for what, text in expected.items():
        if what not in actual:
            problems.append(Problem(f"the {' '.join(what)} is missing"))
        elif actual[what] != text:
            problems.append(Problem(f"the {' '.join(what)} was changed"))
    for kind, name in actual.keys() - expected.keys():
        table = actual[kind, name][0]  # other tools may have tables of their own
        if kind in ("trigger", "rule") and ("table", table) in expected:
            problems.append(Problem(f"the {kind} {name} was added"))
    return problems


def _numbering_problems(execute: Execute) -> list[Problem]:
    problems = []
    # Rows are numbered without gaps under the write lock, and a failed one gives its number
    # back; a missing number is a missing row, even the last one of its account.
    first, last, rows = execute("SELECT min(id), max(id), count(*) FROM entries").fetchone()
    if (rows and last - first + 1 != rows) or first not in (None, 1):
        problems.append(Problem(f"{last - rows} of {last} rows are missing from entries"))
    for (entry_id,) in execute(compiled(statements.DETAILS_WITHOUT_ENTRY)):
        problems.append(Problem("a setting does not belong to its entry", None, entry_id))
    return problems


def _journal_problems(
    execute: Execute,
    account_row: tuple[int, int, str, str, int],
    counted_from: int,
    count_row: Callable[[], None],
    late: LateRows,
) -> list[Problem]:
    account_id, project_id, project, account, created_at_us = account_row
    problems: list[Problem] = []
    head = genesis(project, account, created_at_us)
    models: dict[str | None, tuple[int | None, ...]] = {}
    runs: set[tuple[Any, ...]] = set()
    answers = AnswerRows(budgeted_models(execute, account_id))
    for row in execute(compiled(statements.JOURNAL), (account_id,)):
        entry_id, row_project_id, row_hash, *rest = row
        row_totals, (recorded_at_us, *evidence, row_count) = tuple(rest[:8]), rest[8:]
        draft = Draft._make(evidence)
        count = head.settings_count + (draft.kind in SETTINGS)
        detail = _detail(execute, draft, entry_id)
        problem = None
        if detail is None:
            problem = f"the row that belongs to this {draft.kind} is missing"
        before = with_model_totals(head, models.get(draft.model))
        totals, digest = follow(before, recorded_at_us, draft, detail or ())
        if problem is None and digest != row_hash:
            problem = "the row, or the one before it, was changed, removed or put there by hand"
        if problem is None and totals != row_totals:
            problem = "its running totals do not add up"
        is_prior = draft.kind == "prior"
        if (
            problem is None
            and is_prior
            and not is_recounted(execute, project_id, account_id, entry_id)
        ):
            problem = "what it says was posted before is not what the rows before it say"
        if problem is None and row_project_id != project_id:
            problem = "it belongs to another project than the account"
        # Rows of the first schema have no count.
        if problem is None and row_count != (count if entry_id >= counted_from else None):
            problem = "its count of settings is wrong"
        if problem is not None:
            problems.append(Problem(problem, account, entry_id))
        # Go on from what the row states, so that one change is not reported at every later row.
        if head.model not in (None, draft.model):
            runs.add((head.model, head.recorded_at_us, head.id))
        place = row_count or 0, entry_id, draft.model, None, None, False
        head = Head._make((row_hash, recorded_at_us, *row_totals, *place))
        if draft.model is not None:
            models[draft.model] = model_totals(head)
        is_counted = counts(draft, detail or ())
        if is_counted:
            answers.pass_row(entry_id, recorded_at_us, draft)
        late.pass_row(entry_id, recorded_at_us, draft, is_counted)
        count_row()
    problems += _index_problems(execute, account_id, account, runs, answers.rows, late)
    return problems


def _index_problems(
    execute: Execute,
    account_id: int,
    account: str,
    runs: set[tuple[Any, ...]],
    answered: set[tuple[Any, ...]],
    late: LateRows,
) -> Iterator[Problem]:
    """Compare the indexes over an account's rows with what was worked out."""
    runs ^= set(execute(compiled(statements.MODEL_RUNS), (account_id,)))
    answered ^= set(execute(compiled(statements.ALL_ANSWERS), (account_id,)))
    for entry_id in sorted({entry_id for _, _, entry_id in runs}):
        yield Problem("the list of runs of a model is wrong about this row", account, entry_id)
    for entry_id in sorted({entry_id for _, _, entry_id, *_ in answered}):
        yield Problem("the totals of what another model answered are wrong", account, entry_id)
    for entry_id in late.astray():
        yield Problem("the list of late rows is wrong about this row", account, entry_id)


def _detail(execute: Execute, draft: Draft, entry_id: int) -> tuple[object, ...] | None:
    if draft.kind == "prior":
        return stored_detail(execute, entry_id)
    if draft.kind not in _DETAILS:
        return ()
    belonging_to = draft.corrects_id if draft.kind == "adjustment" else entry_id
    row: tuple[object, ...] | None = execute(
        compiled(_DETAILS[draft.kind]), (belonging_to,)
    ).fetchone()
    if draft.kind in ("budget", "adjustment") and row is not None and row[-1] is None:
        return row[:-1]  # as before thresholds, and imported entries, existed
    return row
