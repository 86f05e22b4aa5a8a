"""What a project had posted before its own account ``*`` had a budget.

``*`` repeats the rows of all accounts from its own first row on. A budget set on it also counts
the earlier rows of its active window: a row of kind ``prior`` lists them in ``prior_parts``, as
running totals in the order in which they belong. It is no money row and counts for that budget
alone. In a rolling window each earlier row ages by itself; in another all leave at its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import sub
from typing import Any, NamedTuple, TypeAlias

from budgetledger.entries import Budget
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.answers import answer_in
from budgetledger.journal.rows.rules import BY_IDENTITY, EVER, digest_of, sums
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Window

Part: TypeAlias = tuple[int, ...]
"""A moment, and the totals of the rows that belong up to it, in `Head`'s order."""

_NOTHING = (0, 0, 0, 0)


def prior_rows(execute: Execute, account_id: int, known_us: int = EVER) -> dict[str, int]:
    """The last row of kind ``prior`` of each budget, by its name, as known at a moment."""
    return dict(execute(compiled(statements.PRIOR_ROWS), (account_id, known_us)).fetchall())


def prior_before(execute: Execute, prior_id: int, moment_us: int) -> tuple[int, ...]:
    """The sum of the earlier rows that belong before a moment, in `Head`'s order."""
    row = execute(compiled(statements.PRIOR_BEFORE), (prior_id, moment_us)).fetchone()
    return row or _NOTHING


def prior_within(execute: Execute, prior_id: int, window: Window) -> tuple[int, ...]:
    """The sum of the earlier rows that belong to *window*, in `Head`'s order."""
    start_us, end_us, _ = window
    until = prior_before(execute, prior_id, EVER if end_us is None else end_us)
    if start_us is None:
        return until
    return tuple(map(sub, until, prior_before(execute, prior_id, start_us)))


def prior_by_model(
    execute: Execute, project_id: int, whole_id: int, window: Window, known_us: int
) -> dict[str, tuple[int, ...]]:
    """The earlier rows that belong to *window* and that a budget counts, by model.

    In `Head`'s order. Unlike sums without models, it reads all of these rows.
    """
    where = (whole_id, known_us)
    first_us, last_id, last_us = execute(compiled(statements.PRIOR_REACH), where).fetchone()
    start_us, end_us, _ = window
    start_us = first_us if start_us is None else max(start_us, first_us or start_us)
    if last_id is None or (start_us is not None and start_us > last_us):
        return {}
    from_us = -EVER if start_us is None else start_us
    parameters = (1, 0, project_id, whole_id, last_id, from_us, from_us, whole_id, last_id)
    models: dict[str, tuple[int, ...]] = {}
    rows = execute(compiled(statements.EARLIER), parameters)
    for moment_us, model, _, micro, pico, *rest in rows:
        if end_us is None or moment_us < end_us:
            cost_pico = int(micro) * 1_000_000 + int(pico)
            models[model] = sums(models.get(model, _NOTHING), cost_pico, *map(int, rest))
    return models


def prior_unstated(
    execute: Execute,
    project_id: int,
    whole_id: int,
    prior_id: int,
    window: Window,
    known_us: int,
) -> tuple[int, int]:
    """The calls without a price among the rows that a row of kind ``prior`` counts in *window*.

    And the sum of the assumed costs, in picodollars; of both without those stated since, as known
    at a moment.
    """
    scope = _scope_of_row(execute, prior_id)
    start_us, end_us, _ = window
    assert scope is not None
    from_us = -EVER if scope.start_us is None else scope.start_us
    placed = (int(scope.is_rolling), scope.start_us or 0, project_id, whole_id, prior_id)
    where = (*placed, from_us, from_us, known_us, whole_id)

    def counted(statement: str) -> Iterator[list[Any]]:
        for moment_us, model, price_json, *units in execute(compiled(statement), where).fetchall():
            is_within = (start_us is None or start_us <= moment_us) and (
                end_us is None or moment_us < end_us
            )
            if is_within and is_counted(scope, model, price_json):
                yield units

    unpriced = sum(count for (count,) in counted(statements.EARLIER_UNPRICED))
    parts = counted(statements.EARLIER_ASSUMED)
    return unpriced, sum(int(micro) * 1_000_000 + int(pico) for micro, pico in parts)


class Scope(NamedTuple):
    """Which earlier rows a budget counts: of its models, from the start of its window on."""

    model: str | None
    by_identity: bool
    is_rolling: bool
    start_us: int | None


def scope_of(budget: Budget, start_us: int | None) -> Scope:
    """The scope of a budget whose active window starts at *start_us*."""
    return Scope(budget.model, budget.by_identity, budget.period.per == "rolling", start_us)


def parts_of(
    execute: Execute, project_id: int, whole_id: int, scope: Scope, before_id: int
) -> list[Part]:
    """Count the rows before the row *before_id* that ``*``, *whole_id*, does not repeat."""
    start_us = scope.start_us
    from_us = -EVER if start_us is None else start_us
    where = (
        int(scope.is_rolling),
        start_us or 0,
        project_id,
        whole_id,
        before_id,
        from_us,
        from_us,
    )
    rows = execute(compiled(statements.EARLIER), (*where, whole_id, before_id)).fetchall()
    parts: dict[int, tuple[int, ...]] = {}
    totals: tuple[int, ...] = _NOTHING
    for moment_us, model, price_json, micro, pico, tokens, requests in rows:
        if is_counted(scope, model, price_json):
            cost_pico = int(micro) * 1_000_000 + int(pico)
            parts[moment_us] = totals = sums(totals, cost_pico, int(tokens), int(requests))
    return [(moment_us, *totals) for moment_us, totals in parts.items()]


def is_counted(scope: Scope | Budget, model: str | None, price_json: str | None) -> bool:
    """Whether a budget counts a row of *model*, which may name the model that answered."""
    if scope.model is None or scope.model == model:
        return True
    if not scope.by_identity or model is None:
        return False
    answered = answer_in(json.loads(price_json)) if price_json else None
    return covers(scope.model, model) or (answered is not None and covers(scope.model, answered))


def prior_detail(budget: str, start_us: int | None, parts: Sequence[Part]) -> tuple[Any, ...]:
    """What the hash of a row of kind ``prior`` covers."""
    return budget, start_us, digest_of(ascii([tuple(part) for part in parts]))


def stored_detail(execute: Execute, entry_id: int) -> tuple[Any, ...] | None:
    """`prior_detail` of a row as stored; None if it is missing."""
    row = execute(compiled(statements.PRIOR), (entry_id,)).fetchone()
    return None if row is None else prior_detail(row[0], row[1], _stored_parts(execute, entry_id))


def is_recounted(execute: Execute, project_id: int, whole_id: int, entry_id: int) -> bool:
    """Whether the parts of a row of kind ``prior`` are those of the rows before it."""
    scope = _scope_of_row(execute, entry_id)
    if scope is None:
        return False
    parts = parts_of(execute, project_id, whole_id, scope, entry_id)
    return parts == _stored_parts(execute, entry_id)


def _scope_of_row(execute: Execute, entry_id: int) -> Scope | None:
    row = execute(compiled(statements.PRIOR), (entry_id,)).fetchone()
    if row is None:
        return None
    _, start_us, model, per, tags = row
    return Scope(model, tags == BY_IDENTITY, per == "rolling", start_us)


def _stored_parts(execute: Execute, entry_id: int) -> list[Part]:
    return [tuple(part) for part in execute(compiled(statements.PRIOR_PARTS), (entry_id,))]
