"""Verifies what spans journals: repeated rows, and where open holds count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from budgetledger.entries import IMPORTED, MONEY_KINDS
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.answers import models_of
from budgetledger.journal.rows.problem import Problem
from budgetledger.journal.standing import WHOLE_PROJECT
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

_PRICE = 13  # its place in the evidence of ROWS_IN_ORDER


class _Hierarchy:
    """Which accounts are above another, at the row that was passed last."""

    def __init__(self, execute: Execute) -> None:
        self._parent_changes = dict(execute(statements.PARENT_CHANGES).fetchall())
        self._parents: dict[int, int | None] = {}
        self._whole: dict[int, int] = {}
        self._wholes = {
            account_id: project_id
            for account_id, project_id, _, name, _ in execute(compiled(statements.ALL_ACCOUNTS))
            if name == WHOLE_PROJECT
        }

    def pass_row(self, entry_id: int, account_id: int, kind: str) -> None:
        """Follow changes of parents: rows must be passed in order."""
        if kind == "parent":
            self._parents[account_id] = self._parent_changes.get(entry_id)
        if account_id in self._wholes:
            self._whole.setdefault(self._wholes[account_id], account_id)

    def whole(self, project_id: int) -> list[int]:
        """The project's own account, if there is one."""
        return [self._whole[project_id]] if project_id in self._whole else []

    def above(self, account_id: int, project_id: int) -> list[int]:
        """The accounts above, from the bottom up."""
        above_ids: list[int] = []
        whole_id = self._whole.get(project_id)
        while account_id != whole_id:
            upper = self._parents.get(account_id) or whole_id
            if upper is None or upper in above_ids:
                break
            above_ids.append(upper)
            account_id = upper
        return above_ids


def hierarchy_problems(execute: Execute, counted_from: int) -> Iterator[Problem]:
    """Yield rows that are not repeated as they should be, and errors in the list of open holds.

    Reads all rows in the order of writing: a row's repetitions follow it at once. Rows before
    *counted_from* are of the first schema, which had nothing above an account.
    """
    hierarchy = _Hierarchy(execute)
    open_holds: dict[int, _Open] = {}
    of_project: dict[int, list[int]] = {}  # the holds, open or closed
    corrected = {corrects_id for (corrects_id,) in execute(statements.CORRECTED)}
    repeated_in: dict[int, list[int]] = {}  # of those corrected later
    last_id, last_evidence, missing = 0, (), list[int]()
    closed: _Open | None = None
    for row in execute(compiled(statements.ROWS_IN_ORDER)):
        entry_id, account_id, project_id, kind, origin_id, *evidence = row
        if kind in ("alert", "resolve"):
            continue
        if origin_id is not None:
            expected_in = missing.pop(0) if missing else None
            if origin_id != last_id or expected_in != account_id:
                yield Problem("the row does not belong in this journal", None, entry_id)
            elif evidence != last_evidence:
                yield Problem("the row differs from the one it repeats", None, entry_id)
            if origin_id in corrected:
                repeated_in.setdefault(origin_id, []).append(account_id)
            continue
        if missing:
            yield Problem("the row is not repeated in the journals above", None, last_id)
        last_id, last_evidence, missing = entry_id, evidence, []
        hierarchy.pass_row(entry_id, account_id, kind)
        corrects_id, hold_id, model, pico, tokens, expires_at_us, *_ = evidence
        if kind == "hold":
            above = hierarchy.above(account_id, project_id)
            of_project.setdefault(project_id, []).append(entry_id)
            models = models_of(model, evidence[_PRICE])
            open_holds[entry_id] = _Open([account_id, *above], expires_at_us, models, pico, tokens)
        elif kind in ("extend", "increase") and hold_id in open_holds:
            open_holds[hold_id] = open_holds[hold_id].changed(expires_at_us, pico, tokens)
        elif kind in ("settle", "release", "expire"):
            closed = open_holds.pop(hold_id, None)
        elif kind == "prior":  # open holds count on the project's account from here on
            for open_id in of_project.get(project_id, ()):
                if open_id in open_holds and account_id not in open_holds[open_id].counted_on:
                    open_holds[open_id].counted_on.append(account_id)
        if kind == "adjustment":
            missing = list(repeated_in.get(corrects_id, ()))
            for whole_id in hierarchy.whole(project_id):
                if whole_id not in (account_id, *missing):
                    missing += _prior(execute, whole_id, corrects_id, entry_id)
        elif kind == "settle" and closed is not None:
            whole = [one for one in hierarchy.whole(project_id) if one not in closed.counted_on]
            missing = closed.counted_on[1:] + whole
        elif kind in MONEY_KINDS and kind != IMPORTED and entry_id >= counted_from:
            missing = hierarchy.above(account_id, project_id)
    if missing:
        yield Problem("the row is not repeated in the journals above", None, last_id)
    expected = {row for hold_id, one in open_holds.items() for row in one.rows(hold_id)}
    astray = {row[1] for row in expected.symmetric_difference(execute(statements.ALL_OPEN_HOLDS))}
    for hold_id in sorted(astray):
        yield Problem("the list of open holds is wrong about this hold", None, hold_id)


def _prior(execute: Execute, whole_id: int, corrects_id: int, entry_id: int) -> list[int]:
    """The project's own account, if a row of kind ``prior`` counted what is corrected."""
    row = execute(compiled(statements.BELONGS), (corrects_id,)).fetchone()
    where = (whole_id, corrects_id, entry_id, row and row[0])
    is_prior = row and execute(compiled(statements.IS_PRIOR), where).fetchone()
    return [whole_id] if is_prior else []


class _Open(NamedTuple):
    """An open hold, and the accounts it counts against, its own first."""

    counted_on: list[int]
    expires_at_us: int
    models: str | None
    pico: int
    tokens: int

    def changed(self, expires_at_us: int | None, pico: int | None, tokens: int | None) -> _Open:
        """The hold after a row that moves its deadline, or sets more aside."""
        return self._replace(
            expires_at_us=expires_at_us or self.expires_at_us,
            pico=self.pico + (pico or 0),
            tokens=self.tokens + (tokens or 0),
        )

    def rows(self, hold_id: int) -> Iterator[tuple[Any, ...]]:
        """Its rows in the list of open holds."""
        path = "/".join(map(str, self.counted_on[1:]))
        for account_id in self.counted_on:
            yield account_id, hold_id, *self[1:], path
