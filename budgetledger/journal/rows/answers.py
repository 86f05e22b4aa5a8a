"""Calls that another model answered than the one asked for, for budgets of the answering one.

A row's running totals are those of the model asked for. Where the answer names another, which no
budget on the one would count as the other, the row's price says so, and a row of ``answers`` has
the totals of the account's calls of these two names so far: an index, as `model_runs` is, that
`verify` recounts. An alias of a router or a deployment's own name is such a call.

A snapshot, or a host's own name, that answered a bare name is noted in the price too. As that is
so of most calls, it has rows in ``answers`` only where a budget on the account needs them: from
its first one on, which also adds them for earlier calls.

A hold of such an alias names the models that may answer it, and counts in the budgets of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from budgetledger.journal.rows import statements
from budgetledger.journal.rows.rules import BY_IDENTITY, EVER, ZEROS, Draft, sums
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute


class Counted(NamedTuple):
    """What of an account is added up: the ``models`` asked for, and pairs in ``answers``."""

    models: Sequence[str]
    answers: Sequence[str] = ()


KEY, _SNAPSHOT = "answered", "snapshot"
# A name that contains these has its quotes escaped.
_MARK, _SNAPSHOT_MARK = f'"{KEY}":', f'"{_SNAPSHOT}":'


@lru_cache(maxsize=4096)
def with_answer(price_json: str | None, asked: str | None, answered: str | None) -> str | None:
    """The price of a row, with the model that *answered* if it says more than the one *asked*."""
    if asked is None or answered is None or covers(answered, asked):
        return price_json
    key = _SNAPSHOT if covers(asked, answered) else KEY
    price = {**json.loads(price_json or "{}"), key: answered}
    return json.dumps(price, separators=(",", ":"), sort_keys=True)


def answer_in(price: Mapping[str, str]) -> str | None:
    """The model that answered, if `with_answer` noted it."""
    return price.get(KEY, price.get(_SNAPSHOT))


# -- holds ---------------------------------------------------------------------------------------

_MAY_ANSWER = "may_answer"
_LISTED = '["'


def with_candidates(price_json: str | None, asked: str, models: Iterable[str]) -> str | None:
    """The price of a hold, with those of *models* that may answer under other names than *asked*.

    None of them is left out that a budget may count though it does not count *asked*.
    """
    others = {one for one in models if not (covers(asked, one) and covers(one, asked))}
    if not others:
        return price_json
    price = {**json.loads(price_json or "{}"), _MAY_ANSWER: sorted(others)}
    return json.dumps(price, separators=(",", ":"), sort_keys=True)


def models_of(model: str | None, price_json: str | None) -> str | None:
    """All names of a hold of *model* with *price_json*, as ``open_holds`` has them.

    That is *model*, or a JSON array of it and of the models that may answer.
    """
    if price_json is None or f'"{_MAY_ANSWER}":' not in price_json:
        return model
    return json.dumps([model, *json.loads(price_json)[_MAY_ANSWER]])


@lru_cache(maxsize=4096)
def each_of(models: str) -> tuple[str, ...]:
    """The names in `models_of`; the one asked for comes first."""
    if models.startswith(_LISTED):
        try:
            names = json.loads(models)
        except ValueError:  # the name of one model
            return (models,)
        if all(isinstance(name, str) for name in names):
            return tuple(names)
    return (models,)


# -- calls ---------------------------------------------------------------------------------------


def has_answer(draft: Draft) -> bool:
    """Whether the row's price says which model answered."""
    price_json = draft.price_json
    return price_json is not None and (_MARK in price_json or _SNAPSHOT_MARK in price_json)


def is_listed(draft: Draft, budgeted: tuple[str, ...]) -> bool:
    """Whether the row has one in ``answers``.

    *budgeted*: the models that budgets on its account were ever set on, by identity.
    """
    price_json = draft.price_json
    if price_json is None:
        return False
    if _MARK in price_json:
        return True
    if not budgeted or _SNAPSHOT_MARK not in price_json:
        return False
    return _is_needed(budgeted, draft.model or "", price_json)


@lru_cache(maxsize=4096)
def _is_needed(budgeted: tuple[str, ...], asked: str, price_json: str) -> bool:
    """Whether a budget on one of *budgeted* counts a row by its snapshot alone."""
    answered = json.loads(price_json)[_SNAPSHOT]
    return any(covers(one, answered) and not covers(one, asked) for one in budgeted)


def names_of(draft: Draft) -> str:
    """The two names of a row that `has_answer`, as in ``answers``: asked, answered."""
    return json.dumps([draft.model, answer_in(json.loads(draft.price_json or "{}"))])


def follow_answer(draft: Draft, before: tuple[int, ...] | None) -> tuple[int, ...]:
    """The totals of the two names up to a row, from those *before* it."""
    tokens = draft.input_tokens + draft.output_tokens
    return sums(before or ZEROS, draft.cost_pico or 0, tokens, draft.requests)


def note_answer(
    execute: Execute, account_id: int, at_us: int, entry_id: int | None, draft: Draft
) -> None:
    """Insert the row of ``answers`` for the entry of *draft*, which `is_listed`."""
    names = names_of(draft)
    where = (account_id, names, EVER)
    before = execute(compiled(statements.ANSWERS_BEFORE), where).fetchone()
    totals = follow_answer(draft, before)
    execute(statements.INSERT_ANSWER, (account_id, names, at_us, entry_id, *totals))


def list_earlier(execute: Execute, account_id: int, before: tuple[str, ...], model: str) -> None:
    """Insert the rows for earlier calls that a budget on *model* is the first to need.

    *before*: the models of the account's earlier budgets. Reads the account's journal once; later
    calls are listed as they are recorded.
    """
    rows = AnswerRows((*before, model))
    for entry_id, at_us, *evidence in execute(compiled(statements.SNAPSHOTS), (account_id,)):
        draft = Draft("charge", *evidence)
        if not is_listed(draft, before):
            rows.pass_row(entry_id, at_us, draft)
    for row in sorted(rows.rows):
        execute(statements.INSERT_ANSWER, (account_id, *row))


class AnswerRows:
    """Works out the rows of ``answers`` of an account, row by row of its journal."""

    def __init__(self, budgeted: tuple[str, ...]) -> None:
        """*budgeted*: as for `is_listed`."""
        self.rows: set[tuple[Any, ...]] = set()
        self._budgeted = budgeted
        self._totals: dict[str, tuple[int, ...]] = {}

    def pass_row(self, entry_id: int, at_us: int, draft: Draft) -> None:
        """Take the next row of the journal."""
        if is_listed(draft, self._budgeted):
            names = names_of(draft)
            self._totals[names] = totals = follow_answer(draft, self._totals.get(names))
            self.rows.add((names, at_us, entry_id, *totals))


def budgeted_models(execute: Execute, account_id: int) -> tuple[str, ...]:
    """The models that budgets on the account were ever set on, by identity."""
    where = (account_id, BY_IDENTITY)
    return tuple(model for (model,) in execute(compiled(statements.BUDGETED_MODELS), where))


def answers_counted(execute: Execute, account_id: int, budgeted: str) -> list[str]:
    """The pairs of names whose answer a budget on *budgeted* counts, though not their question."""
    rows = execute(compiled(statements.ANSWERS), (account_id,) * 2).fetchall()
    pairs = [(names, *json.loads(names)) for (names,) in rows]
    return [
        names
        for names, asked, answered in pairs
        if covers(budgeted, answered) and not covers(budgeted, asked)
    ]
