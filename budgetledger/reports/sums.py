"""The statements that sum calls by any dimension, each call where it belongs.

A row belongs where `late_entries` says, else where it was recorded. So the rows of a range are
those recorded in it, and late rows recorded after it. The rows of the project lie between two
ids, those of an account in its index: what lies outside the range is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any, NamedTuple, TypeAlias

from budgetledger.entries import IMPORTED, MONEY_KINDS
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.rules import EVER
from budgetledger.reporting import Figures
from budgetledger.reports.periods import Run
from budgetledger.storage.dialect import LONG, compiled
from budgetledger.storage.protocols import Execute

Key: TypeAlias = tuple[Any, ...]
"""The values of the dimensions: the number of a period, an account's id, a name."""


class Part(NamedTuple):
    """SQL, with its parameters in their order."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Scope(NamedTuple):
    """The rows that are summed: of the project, or of an account's journal, in a range.

    ``known_us``: the moment of knowledge; later rows are left out. ``is_server``: PostgreSQL.
    """

    project_id: int
    account_id: int | None
    start_us: int
    end_us: int
    known_us: int
    is_server: bool
    after_id: int = 0
    """Only rows with larger ids."""


# When a row belongs. Rows with neither are never late, and most rows have neither.
BELONGS = """CASE WHEN e.occurred_at_us IS NULL AND e.corrects_id IS NULL THEN e.recorded_at_us
    ELSE coalesce((SELECT late.belongs_at_us FROM late_entries late
        WHERE late.account_id = e.account_id AND late.entry_id = e.id), e.recorded_at_us) END"""
_KINDS = ", ".join(f"'{kind}'" for kind in MONEY_KINDS)
_CALLS = f"'charge', 'settle', '{IMPORTED}'"


# -- dimensions -----------------------------------------------------------------------------------


def by_period(runs: Sequence[Run]) -> Part:
    """The number of the period in which a row belongs."""
    if len(runs) == 1:
        [(start_us, length_us, first)] = runs
        return Part(f"({BELONGS} - ?) / ? + ?", (start_us, length_us, first))
    middle = len(runs) // 2
    before, after = by_period(runs[:middle]), by_period(runs[middle:])
    return Part(
        f"CASE WHEN {BELONGS} < ? THEN {before.sql} ELSE {after.sql} END",
        (runs[middle].start_us, *before.parameters, *after.parameters),
    )


# In the journal of an account above, the account that made the call is that of the origin.
BY_ACCOUNT = Part("""CASE WHEN e.origin_id IS NULL THEN e.account_id
    ELSE (SELECT origin.account_id FROM entries origin WHERE origin.id = e.origin_id) END""")
BY_MODEL = Part("e.model")


def by_host(is_server: bool) -> Part:
    """The provider whose price a row has, or that is stored with an unpriced one."""
    return Part(_json("e.price", "provider", is_server))


def by_tag(name: str, is_server: bool) -> Part:
    """The value of a tag, as text; of a correction, that of the entry that it corrects."""
    tags = """CASE WHEN e.corrects_id IS NULL THEN e.tags
        ELSE (SELECT first.tags FROM entries first WHERE first.id = e.corrects_id) END"""
    if is_server:
        return Part(f"CAST({tags} AS json) ->> CAST(? AS TEXT)", (name,))
    value = "CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE '' || value END"
    return Part(f"(SELECT {value} FROM json_each({tags}) WHERE key = ?)", (name,))


def _json(column: str, key: str, is_server: bool) -> str:
    if is_server:
        return f"CAST({column} AS json) ->> '{key}'"
    return f"json_extract({column}, '$.{key}')"


# -- sums -----------------------------------------------------------------------------------------

_STATED, _UNPRICED, _ASSUMED, _ESTIMATED = range(4)


def _status(row: str) -> str:
    """What the cost of *row*, an alias, is based on, as `Entry.cost_basis`; 0 if it is stated."""
    return f"""CASE WHEN {row}.cost_pico IS NULL
        THEN CASE WHEN {row}.kind IN ({_CALLS}) THEN {_UNPRICED} ELSE {_STATED} END
    WHEN {row}.price_source = 'assumed' THEN {_ASSUMED}
    WHEN {row}.usage LIKE '%"estimated":%' THEN {_ESTIMATED} ELSE {_STATED} END AS status"""


def _counts(is_server: bool) -> str:
    return f"""e.requests, e.input_tokens, e.output_tokens,
    CASE WHEN e.usage LIKE '%"cache_read_tokens":%'
         THEN CAST({_json("e.usage", "cache_read_tokens", is_server)} AS BIGINT)
         ELSE 0 END AS cached,
    e.cost_pico, {_status("e")}"""


# The first correction of an entry ends that its cost is unknown, assumed or estimated.
_ENDED = f"""0 AS requests, 0 AS input_tokens, 0 AS output_tokens, 0 AS cached, c.cost_pico,
    {_status("c")}"""
_CORRECTED = "JOIN entries c ON c.id = e.corrects_id"
_FIRST = """AND e.corrects_id > 0 AND NOT EXISTS (
    SELECT 1 FROM entries earlier WHERE earlier.corrects_id = e.corrects_id
    AND earlier.id < coalesce(e.origin_id, e.id))"""


def read_sums(execute: Execute, scope: Scope, dimensions: Sequence[Part]) -> dict[Key, Figures]:
    """The sums of the rows in *scope*, by the values of *dimensions*.

    Rows are grouped by their status too: sorting them takes most of the time, so there is little
    in each. One sum of picodollars could overflow: there are two, of micro dollars and the rest.
    """
    sums: dict[Key, list[int]] = {}
    names = [f"d{number}" for number in range(len(dimensions))]
    for rows in _rows_of(execute, scope):
        for columns, join, only, sign in (
            (_counts(scope.is_server), "", "", 1),
            (_ENDED, _CORRECTED, _FIRST, -1),
        ):
            named = [f"{one.sql} AS {name}" for one, name in zip(dimensions, names, strict=True)]
            inner = f"SELECT {', '.join([*named, columns])} {rows.sql.format(join=join)} {only}"
            if not scope.is_server:
                inner += " LIMIT -1"  # computed once for each row, and sorted as it is
            sql = f"""{LONG} SELECT {", ".join([*names, "status"])}, count(*), sum(requests),
                sum(input_tokens), sum(output_tokens), sum(cached), sum(cost_pico / 1000000),
                sum(cost_pico % 1000000) FROM ({inner}) AS belonging
                GROUP BY {", ".join([*names, "status"])}"""
            parameters = [value for one in dimensions for value in one.parameters]
            for row in execute(sql, (*parameters, *rows.parameters)):
                _add(sums.setdefault(row[: len(names)], [0] * 10), row[len(names) :], sign)
    return {key: Figures(*each) for key, each in sums.items()}


def _add(figures: list[int], group: Sequence[Any], sign: int) -> None:
    """Add what a statement returns of rows of one status to *figures*, in the order of `Figures`.

    *sign* -1: these rows no longer have the status.
    """
    status, count, requests, input_tokens, output_tokens, cached, micro, pico = (
        int(one or 0) for one in group
    )
    cost = micro * 1_000_000 + pico
    if sign > 0:
        counts = requests, input_tokens, output_tokens, cached, cost
        figures[:5] = map(add, figures[:5], counts)
    if status == _UNPRICED:
        figures[5] += sign * count
    elif status != _STATED:
        place = 6 if status == _ASSUMED else 8
        figures[place] += sign * count
        figures[place + 1] += sign * cost


def _rows_of(execute: Execute, scope: Scope) -> list[Part]:
    """FROM and WHERE of the rows recorded in the range, and of those recorded later."""
    project_id, account_id, start_us, end_us, known_us, _, after_id = scope
    conditions, parameters = [f"e.kind IN ({_KINDS})"], list[Any]()
    if after_id:
        conditions.append("e.id > ?")
        parameters.append(after_id)
    if known_us != EVER:
        conditions.append("e.recorded_at_us <= ?")
        parameters.append(known_us)
    if start_us > 0:
        conditions.append(f"{BELONGS} >= ?")
        parameters.append(start_us)
    if end_us != EVER:
        conditions.append(f"{BELONGS} < ?")
        parameters.append(end_us)
    here, late = (
        _of_project(execute, project_id, start_us, end_us)
        if account_id is None
        else _of_account(account_id, start_us, end_us)
    )
    parts = [here] if end_us == EVER else [here, late]
    return [
        Part(f"{sql} AND {' AND '.join(conditions)}", (*bounds, *parameters))
        for sql, bounds in parts
    ]


def _of_project(execute: Execute, project_id: int, start_us: int, end_us: int) -> tuple[Part, Part]:
    last_id, bounds, ids = EVER, "", list[int]()
    if start_us > 0:
        where = (start_us, project_id)
        (first,) = execute(compiled(statements.FIRST_ID_SINCE), where).fetchone()
        bounds += " AND e.id >= ?"
        ids.append(EVER if first is None else first)
    if end_us != EVER:
        (last,) = execute(compiled(statements.LAST_ID_BEFORE), (end_us, project_id)).fetchone()
        last_id = 0 if last is None else last
        bounds += " AND e.id <= ?"
        ids.append(last_id)
    here = Part(
        f"FROM entries e {{join}} WHERE e.project_id = ? AND e.origin_id IS NULL{bounds}",
        (project_id, *ids),
    )
    late = Part(
        """FROM accounts a JOIN late_entries l ON l.account_id = a.id
        JOIN entries e ON e.id = l.entry_id {join}
        WHERE a.project_id = ? AND l.belongs_at_us >= ? AND l.belongs_at_us < ?
        AND l.entry_id > ? AND e.origin_id IS NULL""",
        (project_id, start_us, end_us, last_id),
    )
    return here, late


def _of_account(account_id: int, start_us: int, end_us: int) -> tuple[Part, Part]:
    here = Part(
        """FROM entries e {join} WHERE e.account_id = ?
        AND e.recorded_at_us >= ? AND e.recorded_at_us < ?""",
        (account_id, start_us, end_us),
    )
    late = Part(
        """FROM late_entries l JOIN entries e ON e.id = l.entry_id {join}
        WHERE l.account_id = ? AND l.belongs_at_us >= ? AND l.belongs_at_us < ?
        AND l.recorded_at_us >= ?""",
        (account_id, start_us, end_us, end_us),
    )
    return here, late


def most_expensive(execute: Execute, scope: Scope, count: int) -> list[int]:
    """The ids of the calls in *scope* that cost most; not of rows that repeat others."""
    found: list[tuple[int, int]] = []
    for rows in _rows_of(execute, scope):
        sql = f"""{LONG} SELECT e.cost_pico, coalesce(e.origin_id, e.id)
            {rows.sql.format(join="")} AND e.cost_pico > 0
            AND e.kind IN ({_CALLS}) ORDER BY e.cost_pico DESC, e.id LIMIT ?"""
        found += execute(sql, (*rows.parameters, count)).fetchall()
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    return [entry_id for _, entry_id in found[:count]]


# Where reports of everything begin and end: the first and the last moment that a row belongs to.
_SPAN = """
SELECT min(first_us), max(last_us) FROM (
    SELECT (SELECT min(e.recorded_at_us) FROM entries e WHERE e.account_id = a.id) AS first_us,
           (SELECT max(e.recorded_at_us) FROM entries e WHERE e.account_id = a.id) AS last_us
    FROM accounts a WHERE {accounts}
    UNION ALL
    SELECT (SELECT min(l.belongs_at_us) FROM late_entries l WHERE l.account_id = a.id), NULL
    FROM accounts a WHERE {accounts}) AS spans"""


def span_of(
    execute: Execute, project_id: int, account_id: int | None = None
) -> tuple[int, int] | None:
    """The first and the last moment to which rows belong; None without rows.

    Of an account, or of the project: one index seek for each account.
    """
    where, value = (
        ("a.project_id = ?", project_id) if account_id is None else ("a.id = ?", account_id)
    )
    first_us, last_us = execute(_SPAN.format(accounts=where), (value, value)).fetchone()
    return None if first_us is None or last_us is None else (first_us, last_us)
