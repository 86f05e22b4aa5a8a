"""Runs the appends of one transaction with their INSERTs collected: many rows in one statement.

What appends a row need not know: its INSERT gets the id that the row will have, and every statement
that reads the tables written to first writes out what is collected.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from itertools import chain
from typing import Any, TypeAlias

from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.answers import has_answer
from budgetledger.journal.rows.late import late_row
from budgetledger.journal.rows.rules import BEFORE_HOLDS, Draft, Head, sha256
from budgetledger.journal.standing import head_in
from budgetledger.journal.transaction import Transaction
from budgetledger.money import PICO
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Cursor, Execute

_MOST_VALUES = 30_000  # of one statement: SQLite takes 32,766, PostgreSQL 65,535
_MOST_ROWS = 500  # a few lengths of statements, each of which is prepared once
_WRITTEN = ("entries", "model_runs", "answers", "late_entries")
_HEAD, _MODEL_HEAD = compiled(statements.HEAD), compiled(statements.MODEL_HEAD)
_SETTINGS = tuple(map(compiled, (statements.CURRENT_BUDGETS, statements.STANDING)))

Run: TypeAlias = Generator[Head | None, Draft | None, None]
"""Appends the drafts that it is sent; sent None, it yields the head."""

_SOURCE, _SELDOM = map(Draft._fields.index, ("price_source", "tags_json"))
_KEY = Draft._fields.index("idempotency_key")
_COST_ALONE = Draft("", price_source="given", requests=1)[_SOURCE:_SELDOM]


@cache
def _reads(sql: str) -> bool:
    """Whether *sql* may depend on rows that are collected. No settings are."""
    if sql.startswith("INSERT INTO "):  # details of an entry refer to it
        return not sql.startswith(("INSERT INTO accounts", "INSERT INTO projects"))
    return sql not in _SETTINGS and any(table in sql for table in _WRITTEN)


@cache
def _many(insert: str, count: int, *, with_ids: bool) -> str:
    """*insert* for *count* rows, perhaps with their ids."""
    return statements.many_of(insert, count, *(("id",) if with_ids else ()))


class _Inserted:
    """The cursor of an INSERT that is collected."""

    __slots__ = ("lastrowid",)

    def __init__(self, row_id: int | None) -> None:
        self.lastrowid = row_id

    def fetchone(self) -> Any:
        """None: an INSERT returns no rows."""

    def fetchall(self) -> list[Any]:
        """No rows."""
        return []

    def __iter__(self) -> Any:
        return iter(())


_NONE = _Inserted(None)
_ENTRIES = statements.INSERT_ENTRY, statements.INSERT_KEYED, statements.INSERT_KEYED_COST
_INDEXES = (
    statements.INSERT_LATE,
    statements.INSERT_MODEL_RUN,
    statements.INSERT_ANSWER,
)


class Batch:
    """An `Execute` that collects the INSERTs of entries and of the indexes over them."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        (last,) = execute(statements.LAST_ENTRY_ID).fetchone()
        self.next_id = (last or 0) + 1
        """The id of the next entry."""
        self._entries: dict[str, list[tuple[Any, ...]]] = {insert: [] for insert in _ENTRIES}
        self._last: str | None = None  # the INSERT of the last entry
        self._accounts: set[int] = set()  # those of the collected entries
        self._indexed: dict[str, list[tuple[Any, ...]]] = {insert: [] for insert in _INDEXES}

    def __call__(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run *sql*, or collect it."""
        if sql is statements.INSERT_ENTRY:
            return _Inserted(self.collect(sql, (self.next_id, *parameters)))
        if sql in self._indexed:
            self._indexed[sql].append(tuple(parameters))
            return _NONE
        if _reads(sql) and not self._is_of_others(sql, parameters):
            self.write_out()
        cursor = self._execute(sql, parameters)
        if sql.startswith("INSERT INTO entries "):
            self.next_id += 1
        return cursor

    def collect(self, insert: str, row: tuple[Any, ...]) -> int:
        """Collect an entry: the values of *insert*, after its id, which is `next_id`."""
        self._entries[insert].append(row)
        self._last = insert
        self._accounts.add(row[2])
        self.next_id += 1
        row_id: int = row[0]
        return row_id

    def _is_of_others(self, sql: str, parameters: Any) -> bool:
        """Whether *sql* reads the head of an account that has no collected entries."""
        if sql == _HEAD:
            return parameters[1] not in self._accounts
        return sql == _MODEL_HEAD and parameters[0] not in self._accounts

    def write_out(self) -> None:
        """Run what is collected. No entry refers to one of another form that is collected."""
        if self._last is not None:
            # The last one alone, as the store watches single rows: by the last one it knows
            # whether a commit succeeded.
            row = self._entries[self._last].pop()
            for insert, rows in self._entries.items():
                self._insert(insert, rows, with_ids=True)
            written = self._execute(self._last, row[1:])
            assert written.lastrowid == row[0]
            self._last = None
            self._accounts.clear()
        for insert, rows in self._indexed.items():
            self._insert(insert, rows, with_ids=False)

    def _insert(self, insert: str, rows: list[tuple[Any, ...]], *, with_ids: bool) -> None:
        if not rows:
            return
        at_once = min(_MOST_ROWS, _MOST_VALUES // len(rows[0]))
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            values = tuple(chain.from_iterable(part))
            self._execute(_many(insert, len(part), with_ids=with_ids), values)
        rows.clear()


def run_of(tx: Transaction, batch: Batch, account: Ref, draft: Draft) -> Run | None:
    """A run that takes *draft* and those after it, if it needs nothing but an INSERT.

    None if the account's head or settings are not cached, it has parents or alerts, it may get a
    default budget, or the row before is of another model.
    """
    head, settings = tx.memory.heads.get(account.id), tx.memory.settings.get(account.id)
    if (
        head is None
        or settings is None
        or settings.plain_version != head.settings_count
        or (head.has_defaults and not settings.budgets)
        or head.model != draft.model
        or head.model_usd is None
        or head.whole_id is not None
    ):
        return None
    run = _run(batch, account, head, tx.now_us)
    next(run)
    return run


def fits(draft: Draft) -> bool:
    """Whether a run takes *draft*: of what is seldom it has a key only."""
    return draft.tags_json is None and not has_answer(draft)


def _run(batch: Batch, account: Ref, known: tuple[Any, ...], now_us: int) -> Run:
    """Append the drafts sent, all of one model, to a journal whose head is *known*.

    As `append`, in one piece, since a hundred thousand rows wait for it: it repeats
    `rules.follow`, and a test compares the two. Sent None, it yields the head.
    """
    account_id, project_id, *_ = account
    (
        digest, at_us, usd, pico, tokens, requests,
        model_usd, model_pico, model_tokens, model_requests, count, entry_id, model, _, late_id,
        has_defaults,
    ) = known  # fmt: skip
    at_us = max(now_us, at_us)
    draft = yield None
    while True:
        if draft is None:
            draft = yield head_in((
                digest, at_us, usd, pico, tokens, requests, model_usd, model_pico,
                model_tokens, model_requests, count, entry_id, model, None, late_id, has_defaults,
            ))  # fmt: skip
            continue
        _, _, cost, _, belongs_us, used, output, calls, *_ = draft
        used += output
        pico, model_pico = pico + (cost or 0), model_pico + (cost or 0)
        if pico >= PICO:
            usd, pico = usd + pico // PICO, pico % PICO
        if model_pico >= PICO:
            model_usd, model_pico = model_usd + model_pico // PICO, model_pico % PICO
        tokens, model_tokens = tokens + used, model_tokens + used
        requests, model_requests = requests + calls, model_requests + calls
        digest = sha256(digest + ascii((at_us, *draft[:BEFORE_HOLDS])).encode()).digest()
        entry_id = batch.next_id
        if belongs_us is not None and belongs_us < at_us:
            batch(
                statements.INSERT_LATE,
                late_row(account_id, entry_id, at_us, belongs_us, draft, True),
            )
            late_id = entry_id
        insert, values = statements.INSERT_KEYED, draft[:_SELDOM]
        if draft[_SOURCE:_SELDOM] == _COST_ALONE:
            insert, values = statements.INSERT_KEYED_COST, draft[:_SOURCE]
        batch.collect(insert, (
            entry_id, project_id, account_id, at_us, *values, draft[_KEY],
            usd, pico, tokens, requests, model_usd, model_pico, model_tokens, model_requests,
            bytearray(digest), count,
        ))  # fmt: skip
        draft = yield None
