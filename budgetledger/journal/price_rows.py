"""Own prices as rows: appends, reads and verifies them.

They belong to no account, so they have a chain of hashes of their own, over all projects.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from budgetledger.errors import UnpricedModel
from budgetledger.journal.append import find_or_open_project, inserted
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.problem import Problem
from budgetledger.journal.transaction import Transaction
from budgetledger.prices import OwnPrice
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

_GENESIS = sha256(b"own prices").digest()


class Revision(NamedTuple):
    """A change of a model's price.

    ``project``: None for all projects. ``effective_at_us``: None for now. ``rates_json``: None to
    end the price.
    """

    project: str | None
    model: str
    effective_at_us: int | None
    note: str | None
    rates_json: str | None = None


def revise(tx: Transaction, revision: Revision) -> tuple[OwnPrice, bool]:
    """Append a price, unless the same is in force. Returns the row, and whether it is new.

    Raises `UnpricedModel` if there is no price to end at that time.
    """
    project, model, effective_at_us, note, rates_json = revision
    at_us = tx.now_us if effective_at_us is None else effective_at_us
    project_id = None if project is None else find_or_open_project(tx, project)
    current = _in_force(tx.execute, project_id, model, at_us)
    if rates_json is None and (current is None or current.removed):
        whose = "for all projects" if project is None else f"for project {project!r}"
        raise UnpricedModel(
            model,
            f"there is no own price of {model!r} {whose} to remove; `prices` lists those in force",
        )
    if current is not None and current.rates_json == rates_json:
        return current, False
    before, last_us = tx.execute(statements.PRICE_HEAD).fetchone() or (_GENESIS, 0)
    recorded_at_us = max(tx.now_us, last_us)  # never before the row it follows
    terms = (model, rates_json, at_us, recorded_at_us, note)
    row = (project_id, *terms, chained(before, project, terms))
    return OwnPrice(
        inserted(tx.execute(statements.INSERT_PRICE_REVISION, row)), project, *terms
    ), True


def last_id(execute: Execute) -> int | None:
    """The id of the newest price row, or None."""
    newest: int | None = execute(statements.LAST_PRICE).fetchone()[0]
    return newest


def rows(execute: Execute, project: str) -> list[OwnPrice]:
    """Every row of *project* and of all projects, in the order they were written."""
    return [OwnPrice._make(row) for row in execute(compiled(statements.PRICES), (project,))]


def price_problems(execute: Execute) -> Iterator[Problem]:
    """Recompute the hash of every price row, and yield the differences."""
    digest, number = _GENESIS, 0
    for *row, row_hash in execute(statements.PRICE_CHAIN):
        price, number = OwnPrice._make(row), number + 1
        if price.id != number or chained(digest, price.project, price[2:]) != row_hash:
            yield Problem(
                f"own price {price.id}, or the one before it, was changed, removed or put there "
                "by hand"
            )
        digest, number = row_hash, price.id


def _in_force(execute: Execute, project_id: int | None, model: str, at_us: int) -> OwnPrice | None:
    if project_id is None:
        rows = execute(compiled(statements.PRICE_OF_ALL_AT), (model, at_us))
    else:
        rows = execute(compiled(statements.PRICE_OF_PROJECT_AT), (project_id, model, at_us))
    row = rows.fetchone()
    return None if row is None else OwnPrice._make(row)


def chained(before: bytes, project: str | None, terms: tuple[object, ...]) -> bytes:
    """The hash of a row: over the hash of the row before it, its project and its terms."""
    return sha256(before + ascii((project, *terms)).encode()).digest()
