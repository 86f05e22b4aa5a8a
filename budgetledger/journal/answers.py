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
from collections.abc import Iterable, Mapping
from functools import lru_cache

from budgetledger.journal import statements
from budgetledger.journal.rules import ZEROS, Draft, sums
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

KEY = "answered"
_SNAPSHOT = "snapshot"
# A name that contains these has its quotes escaped.
_MARK, _SNAPSHOT_MARK = f'"{KEY}":', f'"{_SNAPSHOT}":'


def with_answer(price_json: str | None, asked: str | None, answered: str | None) -> str | None:
    """The price of a row, with the model that *answered* if it says more than the one *asked*."""
    if asked is None or answered is None or asked == answered:
        return price_json
    key = _key_of(asked, answered)
    if key is None:
        return price_json
    noted = f'"{key}":{json.dumps(answered)}}}'  # last: `needs_snapshot` finds it there
    return "{" + noted if price_json in (None, "{}") else f"{price_json[:-1]},{noted}"


@lru_cache(maxsize=4096)
def _key_of(asked: str, answered: str) -> str | None:
    """Where the price of a row has the model that answered; None if *asked* says as much."""
    if covers(answered, asked):
        return None
    return _SNAPSHOT if covers(asked, answered) else KEY


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
    """Whether another model answered than the row's."""
    return draft.price_json is not None and _MARK in draft.price_json


def has_snapshot(draft: Draft) -> bool:
    """Whether a snapshot of the row's model answered, or a host's."""
    return draft.price_json is not None and _SNAPSHOT_MARK in draft.price_json


def needs_snapshot(budgeted: tuple[str, ...], draft: Draft) -> bool:
    """Whether a budget on one of *budgeted* counts a row by its snapshot alone."""
    answered_json = (draft.price_json or "").rpartition(_SNAPSHOT_MARK)[2][:-1]
    return _needs(budgeted, draft.model or "", answered_json)


@lru_cache(maxsize=4096)
def _needs(budgeted: tuple[str, ...], asked: str, answered_json: str) -> bool:
    answered = json.loads(answered_json)
    return any(covers(one, answered) and not covers(one, asked) for one in budgeted)


def names_of(draft: Draft) -> str:
    """The two names of a row that has an answer or a snapshot, as in ``answers``."""
    return json.dumps([draft.model, answer_in(json.loads(draft.price_json or "{}"))])


def follow_answer(draft: Draft, before: tuple[int, ...] | None) -> tuple[int, ...]:
    """The totals of the two names up to a row, from those *before* it."""
    tokens = draft.input_tokens + draft.output_tokens
    return sums(before or ZEROS, draft.cost_pico or 0, tokens, draft.requests)


def note_answer(
    execute: Execute, account_id: int, at_us: int, entry_id: int | None, draft: Draft
) -> None:
    """Insert the row of ``answers`` for the entry of *draft*."""
    names = names_of(draft)
    where = (account_id, names, 2**63 - 1)
    before = execute(compiled(statements.ANSWERS_BEFORE), where).fetchone()
    totals = follow_answer(draft, before)
    execute(statements.INSERT_ANSWER, (account_id, names, at_us, entry_id, *totals))


def note_earlier(execute: Execute, account_id: int, before: tuple[str, ...], budgeted: str) -> None:
    """Insert the rows for earlier calls that *budgeted* needs, and none of the models *before*.

    It reads the account's calls once; later ones are noted as they are recorded.
    """
    where = (account_id, f"%{_SNAPSHOT_MARK}%")
    totals: dict[str, tuple[int, ...]] = {}
    for row in execute(compiled(statements.SNAPSHOTS), where).fetchall():
        entry_id, at_us, model, cost_pico, input_tokens, output_tokens, requests, price_json = row
        draft = Draft(
            "charge", model, cost_pico, None, None, input_tokens, output_tokens, requests,
            price_json=price_json,
        )  # fmt: skip
        if not has_snapshot(draft) or needs_snapshot(before, draft):
            continue
        if needs_snapshot((budgeted,), draft):
            names = names_of(draft)
            totals[names] = follow_answer(draft, totals.get(names))
            execute(statements.INSERT_ANSWER, (account_id, names, at_us, entry_id, *totals[names]))


def answers_counted(execute: Execute, account_id: int, budgeted: str) -> list[str]:
    """The pairs of names whose answer a budget on *budgeted* counts, though not their question."""
    rows = execute(compiled(statements.ANSWERS), (account_id,) * 2).fetchall()
    pairs = [(names, *json.loads(names)) for (names,) in rows]
    return [
        names
        for names, asked, answered in pairs
        if covers(budgeted, answered) and not covers(budgeted, asked)
    ]
