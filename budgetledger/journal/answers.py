"""Calls that another model answered than the one asked for, for budgets of the answering one.

A row's running totals are those of the model asked for. Where the answer names another, which no
budget on the one would count as the other, the row's price says so, and a row of ``answers`` has
the totals of the account's calls of these two names so far: an index, as `model_runs` is, that
`verify` recounts. An alias of a router or a deployment's own name is such a call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from budgetledger.journal import statements
from budgetledger.journal.rules import ZEROS, Draft, sums
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute


class Counted(NamedTuple):
    """What of an account is added up: the ``models`` asked for, and pairs in ``answers``."""

    models: Sequence[str]
    answers: Sequence[str] = ()


KEY = "answered"
_MARK = f'"{KEY}":'  # a name that contains it has its quotes escaped


def with_answer(price_json: str | None, asked: str | None, answered: str | None) -> str | None:
    """The price of a row, with the model that *answered* if it is another than the one *asked*."""
    if asked is None or answered is None or covers(asked, answered) or covers(answered, asked):
        return price_json
    price = {**json.loads(price_json or "{}"), KEY: answered}
    return json.dumps(price, separators=(",", ":"), sort_keys=True)


def has_answer(draft: Draft) -> bool:
    """Whether another model answered than the row's."""
    return draft.price_json is not None and _MARK in draft.price_json


def names_of(draft: Draft) -> str:
    """The two names of a row that `has_answer`, as in ``answers``: asked, answered."""
    return json.dumps([draft.model, json.loads(draft.price_json or "{}")[KEY]])


def follow_answer(draft: Draft, before: tuple[int, ...] | None) -> tuple[int, ...]:
    """The totals of the two names up to a row, from those *before* it."""
    tokens = draft.input_tokens + draft.output_tokens
    return sums(before or ZEROS, draft.cost_pico or 0, tokens, draft.requests)


def note_answer(
    execute: Execute, account_id: int, at_us: int, entry_id: int | None, draft: Draft
) -> None:
    """Insert the row of ``answers`` for the entry of *draft*, which `has_answer`."""
    names = names_of(draft)
    where = (account_id, names, 2**63 - 1)
    before = execute(compiled(statements.ANSWERS_BEFORE), where).fetchone()
    totals = follow_answer(draft, before)
    execute(statements.INSERT_ANSWER, (account_id, names, at_us, entry_id, *totals))


def answers_counted(execute: Execute, account_id: int, budgeted: str) -> list[str]:
    """The pairs of names whose answer a budget on *budgeted* counts, though not their question."""
    rows = execute(compiled(statements.ANSWERS), (account_id,) * 2).fetchall()
    pairs = [(names, *json.loads(names)) for (names,) in rows]
    return [
        names
        for names, asked, answered in pairs
        if covers(budgeted, answered) and not covers(budgeted, asked)
    ]
