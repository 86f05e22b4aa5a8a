"""Every statement the ledger runs, each saying whom it serves.

Written with named parameters, put once into the driver's style, and run by position on the
driver's own connection: an ORM session would cost fifty times as much a row, and importing one
more than everything else here. The tables themselves are declared in `budgetledger.tables`.
"""

from __future__ import annotations

import re
from functools import cache

# Order within a journal: by time, then by id. Both never decrease, so both indexes seek it.
_LAST = "ORDER BY recorded_at_us DESC, id DESC LIMIT 1"
_TOTALS = "total_usd, total_pico, total_tokens, total_requests"
_MODEL_TOTALS = "model_usd, model_pico, model_tokens, model_requests"

# -- writing ------------------------------------------------------------------------------

# Every row: what the next row of an account follows.
HEAD = f"""
SELECT hash, recorded_at_us, {_TOTALS}, {_MODEL_TOTALS}, model FROM entries
WHERE account_id = :account_id {_LAST}"""

# Rows of another model than the row before: what the next row of that model follows.
MODEL_HEAD = f"""
SELECT {_MODEL_TOTALS} FROM entries
WHERE account_id = :account_id AND model = :model {_LAST}"""

# charge, adjust with a key: what the key stands for already.
ENTRY_BY_KEY = "e.project_id = :project_id AND e.idempotency_key = :idempotency_key"
ENTRY_BY_ID = "e.project_id = :project_id AND e.id = :id"


def _insert(table: str, *columns: str) -> str:
    places = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"


# All columns, in the tables' order; a test compares them.
INSERT_PROJECT = _insert("projects", "id", "name")
INSERT_ACCOUNT = _insert("accounts", "id", "project_id", "name", "created_at_us")
INSERT_ENTRY = _insert(
    "entries",
    *("id", "project_id", "account_id", "recorded_at_us", "kind", "model", "cost_pico"),
    *("price_source", "occurred_at_us", "input_tokens", "output_tokens", "requests"),
    *("usage", "price", "tags", "note", "corrects_id", "idempotency_key"),
    *(_TOTALS.split(", ") + _MODEL_TOTALS.split(", ")),
    "hash",
)
INSERT_BUDGET_REVISION = _insert(
    "budget_revisions",
    *("entry_id", "account_id", "name", "measure", "limit_units", "limit_pico", "model", "per"),
    *("timezone", "week_start", "anchor_us", "span_us", "created_at", "removed"),
)
INSERT_WINDOW_SHIFT = _insert(
    "window_shifts", "entry_id", "account_id", "budget", "start_us", "turned"
)

# -- reading ------------------------------------------------------------------------------

PROJECT_ID = "SELECT id FROM projects WHERE name = :name"
ACCOUNT = """
SELECT id, created_at_us FROM accounts WHERE project_id = :project_id AND name = :name"""
ACCOUNTS = "SELECT name, created_at_us FROM accounts WHERE project_id = :project_id ORDER BY name"
PROJECTS = "SELECT name FROM projects ORDER BY name"

# balance, entries: the account's time, which a clock that stepped back does not turn back.
LAST_TIME = f"SELECT recorded_at_us FROM entries WHERE account_id = :account_id {_LAST}"

# balance, current cost: two of these are a window. Reads the index, then one row.
TOTALS_BEFORE = f"""
SELECT {_TOTALS} FROM entries
WHERE account_id = :account_id AND recorded_at_us < :before_us {_LAST}"""

# balance: the requests of a window that were recorded without a price and have none yet.
UNPRICED = """
SELECT count(*) FROM entries e
WHERE e.account_id = :account_id AND e.kind = 'charge' AND e.cost_pico IS NULL
      AND (:model IS NULL OR e.model = :model_2)
      AND e.recorded_at_us >= :start_us AND e.recorded_at_us < :end_us
      AND NOT EXISTS (SELECT 1 FROM entries later WHERE later.corrects_id = e.id
                      AND later.recorded_at_us <= :known_us)"""

# model_costs: the same for one model.
MODEL_TOTALS_BEFORE = f"""
SELECT {_MODEL_TOTALS} FROM entries
WHERE account_id = :account_id AND model = :model AND recorded_at_us < :before_us {_LAST}"""

# get_users: the accounts whose budget of a name is in force, oldest first.
ACCOUNTS_WITH_BUDGET = """
SELECT a.name FROM accounts a JOIN budget_revisions b ON b.account_id = a.id
WHERE a.project_id = :project_id AND b.name = :budget AND b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = a.id AND later.name = b.name)
ORDER BY a.id"""

# model_costs: the models of an account, one index seek for each, however many rows they have.
MODELS = """
WITH RECURSIVE found(model) AS (
    SELECT min(model) FROM entries WHERE account_id = :account_id AND model IS NOT NULL
    UNION ALL
    SELECT (SELECT min(model) FROM entries WHERE account_id = :account_id_2 AND model > found.model)
    FROM found WHERE found.model IS NOT NULL
)
SELECT model FROM found WHERE model IS NOT NULL"""

_BUDGET = """
SELECT b.name, b.measure, b.limit_units, b.limit_pico, b.model, b.per, b.timezone, b.week_start,
       b.anchor_us, b.span_us, b.created_at, b.removed, e.recorded_at_us
FROM budget_revisions b JOIN entries e ON e.id = b.entry_id"""

# budgets, balance, shift_window: the revisions of an account's budgets, oldest first.
BUDGET_REVISIONS = f"{_BUDGET} WHERE b.account_id = :account_id ORDER BY b.name, b.entry_id"

# balance: the shifts around a moment, known at another.
SHIFT_BEFORE = """
SELECT max(start_us) FROM window_shifts
WHERE account_id = :account_id AND budget = :budget AND start_us <= :moment_us AND turned = 0"""
SHIFT_AFTER = """
SELECT min(start_us) FROM window_shifts
WHERE account_id = :account_id AND budget = :budget
      AND start_us > :moment_us AND start_us <= :known_us AND turned = 0"""

# reset_on_duration: whether a window's start is written down already.
LAST_SHIFT = """
SELECT max(start_us) FROM window_shifts WHERE account_id = :account_id AND budget = :budget"""

_ENTRY = """
SELECT e.id, p.name, a.name, e.recorded_at_us, e.kind, e.model, e.cost_pico, e.price_source,
       e.occurred_at_us, e.input_tokens, e.output_tokens, e.requests, e.usage,
       e.price, e.tags, e.note, e.corrects_id, e.idempotency_key, e.hash
FROM entries e JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = e.project_id"""

ENTRY_WITH_KEY = f"{_ENTRY} WHERE {ENTRY_BY_KEY}"
ENTRY_WITH_ID = f"{_ENTRY} WHERE {ENTRY_BY_ID}"

# entries: a page of an account's journal in order, after a row already seen.
ACCOUNT_ENTRIES = f"""{_ENTRY}
WHERE e.account_id = :account_id AND (e.recorded_at_us, e.id) > (:after_us, :after_id)
      AND e.recorded_at_us < :until_us
ORDER BY e.recorded_at_us, e.id LIMIT :most"""

# entries of the whole project, in the order they were written.
PROJECT_ENTRIES = f"""{_ENTRY}
WHERE e.project_id = :project_id AND e.id > :after_id
      AND e.recorded_at_us >= :since_us AND e.recorded_at_us < :until_us
ORDER BY e.id LIMIT :most"""

# -- verify: everything, in journal order ---------------------------------------------------

ALL_ACCOUNTS = """
SELECT a.id, a.project_id, p.name, a.name, a.created_at_us
FROM accounts a JOIN projects p ON p.id = a.project_id ORDER BY a.id"""

JOURNAL = f"""
SELECT e.id, e.project_id, e.hash, {_TOTALS}, {_MODEL_TOTALS},
       e.recorded_at_us, e.kind, e.model, e.cost_pico, e.price_source, e.occurred_at_us,
       e.input_tokens, e.output_tokens, e.requests, e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.idempotency_key
FROM entries e WHERE e.account_id = :account_id ORDER BY e.recorded_at_us, e.id"""

BUDGET_DETAIL = """
SELECT name, measure, limit_units, limit_pico, model, per, timezone, week_start,
       anchor_us, span_us, created_at, removed
FROM budget_revisions WHERE entry_id = :entry_id"""

SHIFT_DETAIL = "SELECT budget, start_us, turned FROM window_shifts WHERE entry_id = :entry_id"

# adjust: what was stated of the cost of an entry without a price.
STATED_SINCE = "SELECT coalesce(sum(cost_pico), 0) FROM entries WHERE corrects_id = :id"

# An adjustment's hash covers the entry it corrects, not only that entry's number.
CORRECTED_DETAIL = "SELECT lower(hex(hash)) FROM entries WHERE id = :id"

DETAILS_WITHOUT_ENTRY = """
SELECT b.entry_id FROM budget_revisions b LEFT JOIN entries e ON e.id = b.entry_id
WHERE e.kind IS NOT 'budget' OR e.account_id IS NOT b.account_id
UNION ALL
SELECT s.entry_id FROM window_shifts s LEFT JOIN entries e ON e.id = s.entry_id
WHERE e.kind IS NOT 'shift' OR e.account_id IS NOT s.account_id"""


@cache
def compiled(sql: str) -> str:
    """*sql* in the driver's parameter style, its parameters by position."""
    return re.sub(r":[a-z_0-9]+", "?", sql).strip()
