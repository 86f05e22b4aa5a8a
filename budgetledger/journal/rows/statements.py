"""Every SQL statement of the ledger, each with the verbs that run it.

They have named parameters, are compiled once, and run by position on the driver's connection: an
ORM session would cost fifty times as much a row, and its import more than everything else here.
`budgetledger.tables` declares the tables.

SQLite and PostgreSQL take the same text, except for what `storage.dialect` changes. PostgreSQL
needs the type of a parameter that is only compared with NULL, and sums integers to decimals.
"""

from __future__ import annotations

from collections.abc import Sequence

from budgetledger.storage.dialect import LONG

# Order within a journal: by time, then by id. Both never decrease, so both indexes seek it.
_LAST = "ORDER BY recorded_at_us DESC, id DESC LIMIT 1"
_TOTALS = "total_usd, total_pico, total_tokens, total_requests"
_MODEL_TOTALS = "model_usd, model_pico, model_tokens, model_requests"

# When the row e belongs.
_BELONGS = """coalesce((SELECT late.belongs_at_us FROM late_entries late
                WHERE late.account_id = e.account_id AND late.entry_id = e.id), e.recorded_at_us)"""

# -- writing ------------------------------------------------------------------------------

# Every row: what the next row of an account follows.
HEAD = f"""
SELECT hash, recorded_at_us, {_TOTALS}, {_MODEL_TOTALS}, coalesce(settings_rows, 0), id, model,
       (SELECT id FROM accounts WHERE project_id = :project_id AND name = '*') AS whole_id,
       (SELECT max(entry_id) FROM late_entries WHERE account_id = :account_id) AS late_id,
       EXISTS (SELECT 1 FROM default_budget_revisions WHERE project_id = :project_id_2)
FROM entries WHERE account_id = :account_id_2 {_LAST}"""

# The same for an account without rows.
HEAD_WITHOUT_ROWS = """
SELECT (SELECT id FROM accounts WHERE project_id = :project_id AND name = '*'),
       EXISTS (SELECT 1 FROM default_budget_revisions WHERE project_id = :project_id_2)"""

# Rows of another model than the row before: what the next row of that model follows, and where
# the run of the other one ended.
MODEL_HEAD = f"""
SELECT {_MODEL_TOTALS} FROM entries WHERE id = (
    SELECT entry_id FROM model_runs WHERE account_id = :account_id AND model = :model
    ORDER BY recorded_at_us DESC, entry_id DESC LIMIT 1)"""

# charge, adjust with a key: the entry recorded earlier under it.
ENTRY_BY_KEY = "e.project_id = :project_id AND e.idempotency_key = :idempotency_key"
ENTRY_BY_ID = "e.project_id = :project_id AND e.id = :id"


def _insert(table: str, *columns: str, **same: str) -> str:
    """A statement that inserts a row of *columns*, and of constants, *same*."""
    places = ", ".join([*same.values(), *"?" * len(columns)])
    return f"INSERT INTO {table} ({', '.join([*same, *columns])}) VALUES ({places})"


# All columns of the tables, except ids; a test compares them.
INSERT_PROJECT = _insert("projects", "name")
INSERT_ACCOUNT = _insert("accounts", "project_id", "name", "created_at_us")
_PLACE = ("project_id", "account_id", "recorded_at_us")
_COST = ("kind", "model", "cost_pico")
_SPENT = (
    *(*_COST, "price_source", "occurred_at_us", "input_tokens"),
    *("output_tokens", "requests", "usage", "price"),
)
_SELDOM = ("tags", "note", "corrects_id", "idempotency_key", "origin_id")
_OF_HOLD = ("hold_id", "held_pico", "held_tokens", "expires_at_us")
_FOLLOWS = (*_TOTALS.split(", "), *_MODEL_TOTALS.split(", "), "hash", "settings_rows")
INSERT_ENTRY = _insert("entries", *_PLACE, *_SPENT, *_SELDOM, *_OF_HOLD, *_FOLLOWS)

# Most rows use few columns, and binding a NULL takes three times as long as a number.
_ALONE = {"price_source": "'given'", "input_tokens": "0", "output_tokens": "0", "requests": "1"}
INSERT_COST_ALONE = _insert("entries", *_PLACE, *_COST, *_FOLLOWS, **_ALONE)
INSERT_PLAIN_ENTRY = _insert("entries", *_PLACE, *_SPENT, *_FOLLOWS)
INSERT_STEP_OF_HOLD = _insert("entries", *_PLACE, *_SPENT, *_OF_HOLD, *_FOLLOWS)
# The same in rows with a key and nothing else that is seldom: charge_many.
INSERT_KEYED_COST = _insert("entries", *_PLACE, *_COST, "idempotency_key", *_FOLLOWS, **_ALONE)
INSERT_KEYED = _insert("entries", *_PLACE, *_SPENT, "idempotency_key", *_FOLLOWS)
INSERT_BUDGET_REVISION = _insert(
    "budget_revisions",
    *("entry_id", "account_id", "name", "measure", "limit_units", "limit_pico", "model", "per"),
    *("timezone", "week_start", "anchor_us", "span_us", "created_at", "removed"),
    "alert_at",
)
INSERT_DEFAULT_BUDGET = _insert(
    "default_budget_revisions",
    *("project_id", "kind", "measure", "limit_units", "limit_pico", "model", "per", "timezone"),
    *("week_start", "anchor_us", "span_us", "anchored", "alert_at", "removed"),
    *("recorded_at_us", "hash"),
)
INSERT_WINDOW_SHIFT = _insert(
    "window_shifts", "entry_id", "account_id", "budget", "start_us", "turned"
)
INSERT_PARENT_CHANGE = _insert("parent_changes", "entry_id", "account_id", "parent_id")
INSERT_CROSSING = _insert(
    "threshold_crossings",
    *("entry_id", "account_id", "budget", "measure", "threshold", "limit_units"),
    *("limit_pico", "posted_units", "posted_pico", "start_us", "end_us", "timezone"),
)
INSERT_PRICE_REVISION = _insert(
    "price_revisions",
    *("project_id", "model", "rates", "effective_at_us", "recorded_at_us", "note", "hash"),
)
INSERT_MODEL_RUN = _insert("model_runs", "account_id", "model", "recorded_at_us", "entry_id")
INSERT_ANSWER = _insert(
    "answers", "account_id", "names", "recorded_at_us", "entry_id", *_TOTALS.split(", ")
)
INSERT_LATE = _insert(
    "late_entries",
    *("account_id", "entry_id", "recorded_at_us", "belongs_at_us", "within_us", "names"),
)
INSERT_PRIOR = _insert("prior_costs", "entry_id", "account_id", "budget", "start_us")
INSERT_PRIOR_PART = _insert("prior_parts", "entry_id", "belongs_at_us", *_TOTALS.split(", "))
INSERT_OPEN_HOLD = _insert(
    "open_holds",
    *("account_id", "hold_id", "expires_at_us", "model", "held_pico", "held_tokens", "path"),
)

# hold: the sum of an account's holds, and their first deadline, which may have passed. In two
# parts, as a sum of whole amounts could overflow.
HELD = """
SELECT count(*), CAST(sum(held_pico / 1000000) AS BIGINT),
       CAST(sum(held_pico % 1000000) AS BIGINT), CAST(sum(held_tokens) AS BIGINT),
       min(expires_at_us)
FROM open_holds WHERE account_id = :account_id AND expires_at_us > :from_us"""
# The same by model, for budgets of a model.
HELD_BY_MODEL = f"{HELD.replace('SELECT', 'SELECT model,', 1)} GROUP BY model"

# balance: an account's holds before their deadline, one by one.
OPEN_HOLDS = """
SELECT model, held_pico, held_tokens FROM open_holds
WHERE account_id = :account_id AND expires_at_us > :now_us"""

# balance(at=): the same of those that were taken by that moment, for rolling windows.
OPEN_HOLDS_TAKEN_BY = """
SELECT o.model, o.held_pico, o.held_tokens FROM open_holds o JOIN entries e ON e.id = o.hold_id
WHERE o.account_id = :account_id AND o.expires_at_us > :now_us AND e.recorded_at_us <= :moment_us"""

# settle, release, extend, increase: whether the hold is open, the accounts above that it counts
# on, and what it sets aside.
OPEN_HOLD = """
SELECT path, expires_at_us, held_pico, held_tokens FROM open_holds
WHERE account_id = :account_id AND hold_id = :hold_id"""
# hold, refused: what a hold of a call around this one sets aside.
HELD_AROUND = """
SELECT model, held_pico, held_tokens FROM open_holds
WHERE account_id = :account_id AND hold_id = :hold_id AND expires_at_us > :now_us"""
# hold that waits: when the next of an account's holds expires.
FIRST_DEADLINE = """
SELECT min(expires_at_us) FROM open_holds
WHERE account_id = :account_id AND expires_at_us > :now_us"""
CLOSE_HOLD = """
DELETE FROM open_holds WHERE account_id = :account_id AND hold_id = :hold_id RETURNING path"""
EXTEND_HOLD = """
UPDATE open_holds SET expires_at_us = :expires_at_us
WHERE account_id = :account_id AND hold_id = :hold_id"""

INCREASE_HOLD = """
UPDATE open_holds SET held_pico = held_pico + :pico, held_tokens = held_tokens + :tokens
WHERE account_id = :account_id AND hold_id = :hold_id"""

# hold: the account of an expired hold.
HOLDER = "SELECT account_id FROM entries WHERE id = :hold_id"

# hold: the holds of an account past their deadline, to append their expiry rows.
PASSED = """
SELECT hold_id FROM open_holds
WHERE account_id = :account_id AND expires_at_us <= :now_us LIMIT :most"""

# hold that is refused: the deadlines to come on an account.
DEADLINES = """
SELECT expires_at_us, held_pico, held_tokens, model FROM open_holds
WHERE account_id = :account_id AND expires_at_us > :now_us ORDER BY expires_at_us"""

# minimal hold: settles of such on an account that still have no price, the first of each model.
# Index: entries_unestimated.
UNPRICED_MINIMAL = f"""
SELECT min(coalesce(e.origin_id, e.id)) AS first_id, e.model, e.price FROM entries e
WHERE e.account_id = :account_id AND e.recorded_at_us >= :from_us
      AND {_BELONGS} >= :start_us AND e.cost_pico IS NULL AND e.kind = 'settle'
      AND substr(e.note, 1, 11) = 'no estimate'
      AND NOT EXISTS (SELECT 1 FROM entries later
                      WHERE later.corrects_id = coalesce(e.origin_id, e.id))
GROUP BY e.model, e.price ORDER BY first_id"""

# minimal hold: the open ones of an account, one for each model and function.
OPEN_MINIMAL = """
SELECT min(e.id), e.model, e.price FROM open_holds o JOIN entries e ON e.id = o.hold_id
WHERE o.account_id = :account_id AND o.expires_at_us > :now_us AND o.held_pico = 1
      AND e.price_source = :no_estimate
GROUP BY e.model, e.price"""

# minimal hold: whether the last settle of one of a model or function has a price. Index:
# entries_by_unestimated.
LAST_MINIMAL = """
SELECT cost_pico FROM entries
WHERE project_id = :project_id AND kind = 'settle' AND note = :note
      AND substr(note, 1, 11) = 'no estimate' AND origin_id IS NULL
ORDER BY id DESC LIMIT 1"""

# hold, charge: the settings of an account, cached while its count of settings is unchanged.
CURRENT_BUDGETS = """
SELECT b.name, b.measure, b.limit_units, b.limit_pico, b.model, b.per, b.timezone, b.week_start,
       b.anchor_us, b.span_us, b.created_at, b.alert_at,
       (SELECT tags FROM entries WHERE id = b.entry_id)
FROM budget_revisions b WHERE b.account_id = :account_id AND b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name)
ORDER BY b.name"""
LAST_SHIFTS = """
SELECT budget, max(start_us) FROM window_shifts
WHERE account_id = :account_id AND turned = 0 GROUP BY budget"""
STANDING = """
SELECT (SELECT parent_id FROM parent_changes WHERE account_id = :account_id
        ORDER BY entry_id DESC LIMIT 1),
       (SELECT CASE kind WHEN 'freeze' THEN coalesce(note, '') END FROM entries
        WHERE account_id = :account_id_2 AND model IS NULL AND kind IN ('freeze', 'unfreeze')
        ORDER BY id DESC LIMIT 1),
       EXISTS (SELECT 1 FROM window_shifts WHERE account_id = :account_id_3)"""
_CROSSING = """
SELECT t.budget, t.measure, t.threshold, t.limit_units, t.limit_pico, t.posted_units, t.posted_pico,
       t.start_us, t.end_us, t.timezone, e.kind, e.recorded_at_us, a.name
FROM threshold_crossings t JOIN entries e ON e.id = t.entry_id
JOIN accounts a ON a.id = t.account_id"""
LAST_CROSSING = f"""{_CROSSING}
WHERE t.account_id = :account_id AND t.budget = :budget AND t.threshold = :threshold
ORDER BY t.entry_id DESC LIMIT 1"""

# alerts: of the project or of an account, in the order they were raised.
ALERTS_OF_PROJECT = f"{_CROSSING} WHERE a.project_id = :project_id ORDER BY t.entry_id"
ALERTS_OF_ACCOUNT = f"{_CROSSING} WHERE t.account_id = :account_id ORDER BY t.entry_id"

# -- reading ------------------------------------------------------------------------------

PROJECT_ID = "SELECT id FROM projects WHERE name = :name"
ACCOUNT = """
SELECT a.id, a.project_id, a.created_at_us FROM projects p JOIN accounts a ON a.project_id = p.id
WHERE p.name = :project AND a.name = :name"""
ACCOUNT_BY_ID = "SELECT name, created_at_us FROM accounts WHERE id = :id"
ACCOUNTS = """
SELECT a.name, a.created_at_us,
       (SELECT above.name FROM parent_changes c LEFT JOIN accounts above ON above.id = c.parent_id
        WHERE c.account_id = a.id ORDER BY c.entry_id DESC LIMIT 1),
       (SELECT CASE e.kind WHEN 'freeze' THEN coalesce(e.note, '') END FROM entries e
        WHERE e.account_id = a.id AND e.model IS NULL AND e.kind IN ('freeze', 'unfreeze')
        ORDER BY e.id DESC LIMIT 1)
FROM accounts a WHERE a.project_id = :project_id ORDER BY a.name"""
PROJECTS = "SELECT name FROM projects ORDER BY name"

# balance, entries: the time of the account's last row, even if the clock stepped back since.
LAST_TIME = f"SELECT recorded_at_us FROM entries WHERE account_id = :account_id {_LAST}"

# balance, current cost: two of these are a window. Reads the index, then one row.
TOTALS_BEFORE = f"""
SELECT {_TOTALS} FROM entries
WHERE account_id = :account_id AND recorded_at_us < :before_us {_LAST}"""

# balance: the requests of a window that were recorded without a price and have none yet; and the
# sum of its costs that are assumed and were not stated since, in two parts. By model and answer.
_ANSWERED = """CASE WHEN e.price LIKE '%"answered":%' OR e.price LIKE '%"snapshot":%'
            THEN e.price END"""
_NOT_STATED = """NOT EXISTS (SELECT 1 FROM entries later
                      WHERE later.corrects_id = coalesce(e.origin_id, e.id)
                      AND later.recorded_at_us <= :known_us_2)"""
_IN_WINDOW = f"""e.account_id = :account_id
      AND e.recorded_at_us >= :start_us AND e.recorded_at_us <= :known_us
      AND {_BELONGS} >= :start_us_2 AND {_BELONGS} < :end_us AND {_NOT_STATED}"""
_IS_UNPRICED = "e.cost_pico IS NULL AND e.kind IN ('charge', 'settle')"
_IS_ASSUMED = "e.price_source = 'assumed'"
_SUM_PICO = """CAST(coalesce(sum(e.cost_pico / 1000000), 0) AS BIGINT),
       CAST(coalesce(sum(e.cost_pico % 1000000), 0) AS BIGINT)"""
UNPRICED = f"""
SELECT e.model, {_ANSWERED}, count(*)
FROM entries e WHERE {_IS_UNPRICED} AND {_IN_WINDOW} GROUP BY 1, 2"""
ASSUMED = f"""
SELECT e.model, {_ANSWERED}, {_SUM_PICO}
FROM entries e WHERE {_IS_ASSUMED} AND {_IN_WINDOW} GROUP BY 1, 2"""

# balance, hold: the late rows that belong before a moment and were recorded at or after it. One
# index seek for each power of two that bounds delays of the account (see journal.late).
_SUMS = f"""{_SUM_PICO},
       CAST(coalesce(sum(e.input_tokens + e.output_tokens), 0) AS BIGINT),
       CAST(coalesce(sum(e.requests), 0) AS BIGINT)"""
_LATE = f"""
SELECT e.model, l.names, {_SUMS}
FROM late_entries l JOIN entries e ON e.id = l.entry_id WHERE l.account_id = :account_id"""
_BY_NAME = "GROUP BY e.model, l.names"
LATE = f"""
WITH RECURSIVE scales(within_us) AS (
    SELECT min(within_us) FROM late_entries WHERE account_id = :account_id_2
    UNION ALL
    SELECT (SELECT min(within_us) FROM late_entries WHERE account_id = :account_id_3
            AND within_us > scales.within_us)
    FROM scales WHERE scales.within_us IS NOT NULL
)
{_LATE.replace("FROM", "FROM scales CROSS JOIN")} AND l.within_us = scales.within_us
      AND l.recorded_at_us >= :moment_us AND l.recorded_at_us < :moment_us_2 + scales.within_us
      AND l.recorded_at_us <= :known_us AND l.belongs_at_us < :moment_us_3 {_BY_NAME}"""
# The same of all models: without groups it takes less than half the time.
LATE_OF_ALL = LATE.replace("e.model, l.names,", "").replace(_BY_NAME, "")

# balance: whether there are any, one seek. Most accounts have none, and no window's end has.
HAS_LATE = """
SELECT 1 FROM late_entries
WHERE account_id = :account_id AND recorded_at_us >= :moment_us LIMIT 1"""

# hold: those that were recorded since the last look; and where the window's start has moved from
# one moment to another, those that come to belong before it, and those recorded before it by now.
_LATE += " AND l.within_us > 0"  # rows that count
LATE_SINCE = f"""{_LATE} AND l.entry_id > :late_id
      AND l.belongs_at_us < :moment_us AND l.recorded_at_us >= :moment_us_2 {_BY_NAME}"""
LATE_ADDED = f"""{_LATE} AND l.belongs_at_us >= :from_us AND l.belongs_at_us < :moment_us
      AND l.recorded_at_us >= :moment_us_2 {_BY_NAME}"""
LATE_GONE = f"""{_LATE} AND l.recorded_at_us >= :from_us AND l.recorded_at_us < :moment_us
      AND l.belongs_at_us < :from_us_2 {_BY_NAME}"""

# set_budget of *, verify: the project's rows that * does not repeat, from a moment on; each where
# it belongs, or all at the start of the window.
_BY_MOMENT = f"""
SELECT CASE WHEN :is_rolling = 1 THEN {_BELONGS} ELSE CAST(:start_us AS BIGINT) END,
       e.model, {_ANSWERED}"""
_EARLIER = f"""FROM accounts a JOIN entries e ON e.account_id = a.id
WHERE a.project_id = :project_id AND a.id <> :whole_id AND e.id < :before_id
      AND e.origin_id IS NULL AND e.recorded_at_us >= :from_us AND {_BELONGS} >= :from_us_2"""
EARLIER = f"""{_BY_MOMENT}, {_SUMS}
{_EARLIER} AND e.kind IN ('opening', 'charge', 'settle', 'adjustment')
      AND NOT EXISTS (SELECT 1 FROM entries c WHERE c.id = e.corrects_id AND c.kind = 'import')
      AND e.id NOT IN (SELECT coalesce(w.origin_id, w.id) FROM entries w
                       WHERE w.account_id = :whole_id_2 AND w.id < :before_id_2)
GROUP BY 1, 2, 3 ORDER BY 1"""


def _earlier_unstated(columns: str, condition: str) -> str:
    """Those of `EARLIER` that fulfil *condition*, as the rows of * that repeat them do."""
    return f"""{_BY_MOMENT}, {columns}
{_EARLIER} AND {condition} AND {_NOT_STATED}
      AND e.id NOT IN (SELECT coalesce(w.origin_id, w.id) FROM entries w
                       WHERE w.account_id = :whole_id_2 AND {condition.replace("e.", "w.")})
GROUP BY 1, 2, 3"""


# balance of *: as UNPRICED and ASSUMED.
EARLIER_UNPRICED = _earlier_unstated("count(*)", _IS_UNPRICED)
EARLIER_ASSUMED = _earlier_unstated(_SUM_PICO, _IS_ASSUMED)

# balance, hold: the rows of kind prior of *, and the sum of one up to a moment.
PRIOR_ROWS = """
SELECT c.budget, max(c.entry_id) FROM prior_costs c JOIN entries e ON e.id = c.entry_id
WHERE c.account_id = :account_id AND e.recorded_at_us <= :known_us GROUP BY c.budget"""
PRIOR_BEFORE = f"""
SELECT {_TOTALS} FROM prior_parts WHERE entry_id = :entry_id AND belongs_at_us < :before_us
ORDER BY belongs_at_us DESC LIMIT 1"""

# model_costs of *: from when on such rows count, up to which row, recorded when.
PRIOR_REACH = """
SELECT CASE WHEN count(*) = count(c.start_us) THEN min(c.start_us) END, max(c.entry_id),
       max(e.recorded_at_us)
FROM prior_costs c JOIN entries e ON e.id = c.entry_id
WHERE c.account_id = :account_id AND e.recorded_at_us <= :known_us"""

# verify: a row of kind prior, with the terms of its budget; its parts.
PRIOR = """
SELECT c.budget, c.start_us, b.model, b.per, e.tags
FROM prior_costs c
JOIN budget_revisions b ON b.entry_id = (
    SELECT max(r.entry_id) FROM budget_revisions r
    WHERE r.account_id = c.account_id AND r.name = c.budget AND r.entry_id < c.entry_id)
JOIN entries e ON e.id = b.entry_id
WHERE c.entry_id = :entry_id"""
PRIOR_PARTS = f"""
SELECT belongs_at_us, {_TOTALS} FROM prior_parts WHERE entry_id = :entry_id
ORDER BY belongs_at_us"""

# verify: when an entry that counts in totals belongs.
BELONGS = f"SELECT {_BELONGS} FROM entries e WHERE e.id = :id AND e.kind <> 'import'"

# adjust, verify: whether a budget of * counts an earlier entry by a row of kind prior.
IS_PRIOR = """
SELECT 1 FROM prior_costs WHERE account_id = :whole_id AND entry_id > :corrected_id
      AND entry_id < :before_id AND (start_us IS NULL OR start_us <= :belongs_us) LIMIT 1"""

# set_budget of *: the project's open holds that are not listed for it; their longer path.
UNLISTED_HOLDS = """
SELECT o.account_id, o.hold_id, o.expires_at_us, o.model, o.held_pico, o.held_tokens, o.path
FROM accounts a JOIN open_holds o ON o.account_id = a.id
JOIN entries h ON h.id = o.hold_id AND h.account_id = o.account_id
WHERE a.project_id = :project_id AND NOT EXISTS (
    SELECT 1 FROM open_holds w WHERE w.account_id = :whole_id AND w.hold_id = o.hold_id)
ORDER BY o.hold_id"""
MOVE_HOLD = """
UPDATE open_holds SET path = :path WHERE account_id = :account_id AND hold_id = :hold_id"""

# settle with the time of the call: when its hold was granted.
RECORDED_AT = "SELECT recorded_at_us FROM entries WHERE id = :id"

# model_costs: the same for one model. Its last row is the account's, or the end of a run.
MODEL_TOTALS_BEFORE = f"""
SELECT {_MODEL_TOTALS} FROM entries WHERE id = coalesce(
    (SELECT CASE last.model WHEN :model THEN last.id END FROM (
        SELECT id, model FROM entries
        WHERE account_id = :account_id AND recorded_at_us < :before_us {_LAST}) AS last),
    (SELECT entry_id FROM model_runs
     WHERE account_id = :account_id_2 AND model = :model_2 AND recorded_at_us < :before_us_2
     ORDER BY recorded_at_us DESC, entry_id DESC LIMIT 1))"""

# get_users: the accounts whose budget of a name is in force, oldest first.
ACCOUNTS_WITH_BUDGET = """
SELECT a.name FROM accounts a JOIN budget_revisions b ON b.account_id = a.id
WHERE a.project_id = :project_id AND b.name = :budget AND b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = a.id AND later.name = b.name)
ORDER BY a.id"""

# model_costs: the models of an account, one index seek for each, however many rows they have.
MODELS = f"""
WITH RECURSIVE found(model) AS (
    SELECT min(model) FROM model_runs WHERE account_id = :account_id
    UNION ALL
    SELECT (SELECT min(model) FROM model_runs WHERE account_id = :account_id_2
            AND model > found.model)
    FROM found WHERE found.model IS NOT NULL
)
SELECT model FROM found WHERE model IS NOT NULL
UNION
SELECT model FROM (SELECT model FROM entries WHERE account_id = :account_id_3 {_LAST}) AS last
WHERE model IS NOT NULL"""

# Budgets of a model: the pairs of names of an account, as MODELS; the totals of one of them.
ANSWERS = """
WITH RECURSIVE found(names) AS (
    SELECT min(names) FROM answers WHERE account_id = :account_id
    UNION ALL
    SELECT (SELECT min(names) FROM answers WHERE account_id = :account_id_2
            AND names > found.names)
    FROM found WHERE found.names IS NOT NULL
)
SELECT names FROM found WHERE names IS NOT NULL"""
ANSWERS_BEFORE = f"""
SELECT {_TOTALS} FROM answers
WHERE account_id = :account_id AND names = :names AND recorded_at_us < :before_us
ORDER BY recorded_at_us DESC, entry_id DESC LIMIT 1"""

# set_budget of a snapshot: the calls before it that a snapshot answered. Reads the whole journal.
SNAPSHOTS = """
SELECT e.id, e.recorded_at_us, e.model, e.cost_pico, e.price_source, e.occurred_at_us,
       e.input_tokens, e.output_tokens, e.requests, e.usage, e.price
FROM entries e WHERE e.account_id = :account_id AND e.price LIKE '%"snapshot":%'
      AND e.kind <> 'import'
      AND NOT EXISTS (SELECT 1 FROM entries c WHERE c.id = e.corrects_id AND c.kind = 'import')
ORDER BY e.recorded_at_us, e.id"""

# hold, charge, with the settings: the models that budgets were ever set on, by identity.
BUDGETED_MODELS = """
SELECT DISTINCT b.model FROM budget_revisions b JOIN entries e ON e.id = b.entry_id
WHERE b.account_id = :account_id AND b.model IS NOT NULL AND e.tags = :by_identity"""

_BUDGET = """
SELECT b.name, b.measure, b.limit_units, b.limit_pico, b.model, b.per, b.timezone, b.week_start,
       b.anchor_us, b.span_us, b.created_at, b.alert_at, b.removed, e.recorded_at_us,
       e.tags
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

# reset_on_duration: whether a window's start is recorded already.
LAST_SHIFT = """
SELECT max(start_us) FROM window_shifts WHERE account_id = :account_id AND budget = :budget"""

_ENTRY = """
SELECT e.id, p.name, a.name, e.recorded_at_us, e.kind, e.model, e.cost_pico, e.price_source,
       e.occurred_at_us, e.input_tokens, e.output_tokens, e.requests, e.usage,
       e.price, e.tags, e.note, e.corrects_id, e.idempotency_key, e.origin_id, e.hold_id,
       e.held_pico, e.held_tokens, e.expires_at_us, e.hash
FROM entries e JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = e.project_id"""

ENTRY_WITH_KEY = f"{_ENTRY} WHERE {ENTRY_BY_KEY}"


def entries_with_keys(count: int) -> str:
    """charge_many: the entries recorded earlier under any of *count* keys."""
    places = ", ".join("?" * count)
    return f"{_ENTRY} WHERE e.project_id = ? AND e.idempotency_key IN ({places})"


# The last change a LiteLLM client sent the server: its keys have a prefix and a number.
LAST_WITH_KEY = f"""{_ENTRY}
WHERE e.project_id = :project_id AND e.idempotency_key > :after_key
      AND e.idempotency_key < :before_key
ORDER BY e.idempotency_key DESC LIMIT 1"""
ENTRY_WITH_ID = f"{_ENTRY} WHERE {ENTRY_BY_ID}"

# settle, release, extend of a closed hold: the row that closed it, preferably a settle.
CLOSED_BY = f"""{_ENTRY}
WHERE e.account_id = :account_id AND e.hold_id = :hold_id AND e.recorded_at_us >= (
          SELECT hold.recorded_at_us FROM entries hold WHERE hold.id = :hold_id_2)
      AND e.kind IN ('settle', 'release', 'expire')
ORDER BY e.kind = 'settle' DESC, e.id LIMIT 1"""

# holds: those of an account, and of the accounts under it, that count at a moment.
_LISTED = "SELECT open.expires_at_us, open.held_pico, open.held_tokens,"
OPEN_ENTRIES = f"""{_ENTRY.replace("SELECT", _LISTED, 1)}
JOIN open_holds open ON open.hold_id = e.id
WHERE open.account_id = :account_id AND open.expires_at_us > :now_us ORDER BY e.id"""

# entries: a page of an account's journal in order, after a row already seen.
ACCOUNT_ENTRIES = f"""{_ENTRY}
WHERE e.account_id = :account_id AND (e.recorded_at_us, e.id) > (:after_us, :after_id)
      AND e.recorded_at_us < :until_us
ORDER BY e.recorded_at_us, e.id LIMIT :most"""

# entries(last=): the newest of an account, newest first.
LAST_ACCOUNT_ENTRIES = f"""{_ENTRY}
WHERE e.account_id = :account_id
      AND e.recorded_at_us >= :since_us AND e.recorded_at_us < :until_us
ORDER BY e.recorded_at_us DESC, e.id DESC LIMIT :most"""

# entries of the whole project, in the order they were written.
PROJECT_ENTRIES = f"""{_ENTRY}
WHERE e.project_id = :project_id AND e.id > :after_id AND e.id <= :last_id
      AND e.origin_id IS NULL
      AND e.recorded_at_us >= :since_us AND e.recorded_at_us < :until_us
ORDER BY e.id LIMIT :most"""

# entries(last=) of the whole project, newest first.
LAST_PROJECT_ENTRIES = f"""{_ENTRY}
WHERE e.project_id = :project_id AND e.id > :after_id AND e.id <= :last_id
      AND e.origin_id IS NULL
      AND e.recorded_at_us >= :since_us AND e.recorded_at_us < :until_us
ORDER BY e.id DESC LIMIT :most"""

# entries of the project since a moment, or before one: the ids between which they lie. Ids and
# times ascend together within an account only.
FIRST_ID_SINCE = """
SELECT min((SELECT e.id FROM entries e WHERE e.account_id = a.id AND e.recorded_at_us >= :since_us
            ORDER BY e.recorded_at_us, e.id LIMIT 1))
FROM accounts a WHERE a.project_id = :project_id"""
LAST_ID_BEFORE = """
SELECT max((SELECT e.id FROM entries e WHERE e.account_id = a.id AND e.recorded_at_us < :until_us
            ORDER BY e.recorded_at_us DESC, e.id DESC LIMIT 1))
FROM accounts a WHERE a.project_id = :project_id"""

# an account's last row, where hosted mode keeps what the server knows.
LAST_ENTRY = f"""{_ENTRY}
WHERE e.account_id = :account_id ORDER BY e.recorded_at_us DESC, e.id DESC LIMIT 1"""

# -- default budgets ----------------------------------------------------------------------

_DEFAULT = """
SELECT p.name, d.kind, d.measure, d.limit_units, d.limit_pico, d.model, d.per, d.timezone,
       d.week_start, d.anchor_us, d.span_us, d.anchored, d.alert_at, d.removed, d.recorded_at_us
FROM default_budget_revisions d JOIN projects p ON p.id = d.project_id"""

# hold, charge of an account without budgets, in a project that has set a default: the latest.
DEFAULT_OF_KIND = f"""{_DEFAULT}
WHERE d.project_id = :project_id AND d.kind = :kind ORDER BY d.id DESC LIMIT 1"""

# default_budgets: those in force, by kind.
DEFAULTS = f"""{_DEFAULT}
WHERE d.project_id = :project_id AND d.removed = 0 AND d.id = (
    SELECT max(later.id) FROM default_budget_revisions later
    WHERE later.project_id = d.project_id AND later.kind = d.kind)
ORDER BY d.kind"""

# set_default_budget: the row that the next one follows, over all projects.
DEFAULT_HEAD = "SELECT hash, recorded_at_us FROM default_budget_revisions ORDER BY id DESC LIMIT 1"

# hold, charge: whether an account ever had a budget.
HAD_BUDGET = "SELECT EXISTS (SELECT 1 FROM budget_revisions WHERE account_id = :account_id)"

# set_budget: the note on the row of a budget in force, which says that it came by default.
NOTE_OF_BUDGET = """
SELECT e.note FROM budget_revisions b JOIN entries e ON e.id = b.entry_id
WHERE b.account_id = :account_id AND b.name = :name AND b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name)"""

# set_default_budget: whether a budget limits names together: on the project, or on a parent.
COMMON_BUDGET = """
SELECT EXISTS (
    SELECT 1 FROM budget_revisions b JOIN accounts a ON a.id = b.account_id
    WHERE a.project_id = :project_id AND b.removed = 0 AND b.entry_id = (
        SELECT max(later.entry_id) FROM budget_revisions later
        WHERE later.account_id = b.account_id AND later.name = b.name)
    AND (a.name = '*' OR a.id IN (
        SELECT c.parent_id FROM parent_changes c WHERE c.entry_id = (
            SELECT max(later.entry_id) FROM parent_changes later
            WHERE later.account_id = c.account_id))))"""

# verify: every row, in order.
DEFAULT_CHAIN = f"""
{_DEFAULT.replace("SELECT", "SELECT d.id, d.hash,", 1)} ORDER BY d.id"""

# -- own prices ---------------------------------------------------------------------------

# Whenever a call is priced: whether the cached prices are complete.
LAST_PRICE = "SELECT max(id) FROM price_revisions"

_PRICE = """
SELECT r.id, p.name, r.model, r.rates, r.effective_at_us, r.recorded_at_us, r.note
FROM price_revisions r LEFT JOIN projects p ON p.id = r.project_id"""

# Whenever a call is priced, and prices: those of a project and of all projects.
PRICES = f"{_PRICE} WHERE r.project_id IS NULL OR p.name = :project ORDER BY r.id"

# set_price, remove_price: the price they revise, of a project or of all projects.
_STANDING = """r.model = :model AND r.effective_at_us <= :effective_at_us
ORDER BY r.effective_at_us DESC, r.id DESC LIMIT 1"""
PRICE_OF_PROJECT_AT = f"{_PRICE} WHERE r.project_id = :project_id AND {_STANDING}"
PRICE_OF_ALL_AT = f"{_PRICE} WHERE r.project_id IS NULL AND {_STANDING}"

# set_price, remove_price: the row that the next one follows.
PRICE_HEAD = "SELECT hash, recorded_at_us FROM price_revisions ORDER BY id DESC LIMIT 1"

# reprice: the calls without a price, and those of assumed cost, that count on an account, or in
# the project. Each account by itself, and in an order without an index,
# so that only such rows are read.
_STILL_UNPRICED = """
WHERE e.cost_pico IS NULL AND e.kind IN ('charge', 'settle')
      AND NOT EXISTS (SELECT 1 FROM entries later
                      WHERE later.corrects_id = coalesce(e.origin_id, e.id))"""
_STILL_ASSUMED = _STILL_UNPRICED.replace(
    "e.cost_pico IS NULL AND e.kind IN ('charge', 'settle')",
    "e.price_source = 'assumed'",
)
_STILL_UNPRICED_IMPORTS = _STILL_UNPRICED.replace("IN ('charge', 'settle')", "= 'import'")
UNPRICED_OF_ACCOUNT = f"""
SELECT coalesce(e.origin_id, e.id) FROM entries e {_STILL_UNPRICED}
      AND e.account_id = :account_id
UNION ALL
SELECT e.id FROM entries e {_STILL_UNPRICED_IMPORTS} AND e.account_id = :account_id_3
UNION ALL
SELECT coalesce(e.origin_id, e.id) FROM entries e {_STILL_ASSUMED}
      AND e.account_id = :account_id_2
ORDER BY 1"""
UNPRICED_OF_PROJECT = f"""
SELECT e.id FROM accounts a JOIN entries e ON e.account_id = a.id {_STILL_UNPRICED}
      AND a.project_id = :project_id AND e.origin_id IS NULL
UNION ALL
SELECT e.id FROM accounts a JOIN entries e ON e.account_id = a.id {_STILL_UNPRICED_IMPORTS}
      AND a.project_id = :project_id_3
UNION ALL
SELECT e.id FROM accounts a JOIN entries e ON e.account_id = a.id {_STILL_ASSUMED}
      AND a.project_id = :project_id_2 AND e.origin_id IS NULL
ORDER BY 1"""

# reprice: whether the cost was stated meanwhile.
IS_CORRECTED = "SELECT EXISTS (SELECT 1 FROM entries WHERE corrects_id = :id)"

# verify: every price row, in order.
PRICE_CHAIN = f"""
{_PRICE.replace("r.note", "r.note, r.hash")} ORDER BY r.id"""

# -- verify: everything, in journal order ---------------------------------------------------

ALL_ACCOUNTS = """
SELECT a.id, a.project_id, p.name, a.name, a.created_at_us
FROM accounts a JOIN projects p ON p.id = a.project_id ORDER BY a.id"""

JOURNAL = f"""
{LONG}
SELECT e.id, e.project_id, e.hash, {_TOTALS}, {_MODEL_TOTALS},
       e.recorded_at_us, e.kind, e.model, e.cost_pico, e.price_source, e.occurred_at_us,
       e.input_tokens, e.output_tokens, e.requests, e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.idempotency_key, e.origin_id, e.hold_id, e.held_pico, e.held_tokens,
       e.expires_at_us, e.settings_rows
FROM entries e WHERE e.account_id = :account_id ORDER BY e.recorded_at_us, e.id"""

BUDGET_DETAIL = """
SELECT name, measure, limit_units, limit_pico, model, per, timezone, week_start,
       anchor_us, span_us, created_at, removed, alert_at
FROM budget_revisions WHERE entry_id = :entry_id"""

PARENT_DETAIL = "SELECT parent_id FROM parent_changes WHERE entry_id = :entry_id"
CROSSING_DETAIL = """
SELECT budget, measure, threshold, limit_units, limit_pico, posted_units, posted_pico,
       start_us, end_us, timezone
FROM threshold_crossings WHERE entry_id = :entry_id"""

SHIFT_DETAIL = "SELECT budget, start_us, turned FROM window_shifts WHERE entry_id = :entry_id"

# adjust: an entry and the rows that follow it; those that repeat it come first, in its
# transaction.
ROWS_FROM = f"""
SELECT coalesce(e.origin_id, e.id), e.kind, e.account_id, {_BELONGS}
FROM entries e WHERE e.id >= :id ORDER BY e.id LIMIT :most"""

# adjust: the sum of an entry's adjustments, in two parts, as whole amounts could overflow.
STATED_SINCE = """
SELECT CAST(coalesce(sum(cost_pico / 1000000), 0) AS BIGINT),
       CAST(coalesce(sum(cost_pico % 1000000), 0) AS BIGINT)
FROM entries WHERE corrects_id = :id AND origin_id IS NULL"""

# An adjustment's hash covers the entry it corrects, not only that entry's number.
CORRECTED_DETAIL = """
SELECT lower(hex(hash)), CASE kind WHEN 'import' THEN kind END FROM entries WHERE id = :id"""

DETAILS_WITHOUT_ENTRY = """
SELECT b.entry_id FROM budget_revisions b LEFT JOIN entries e ON e.id = b.entry_id
WHERE coalesce(e.kind, '') <> 'budget' OR e.account_id <> b.account_id
UNION ALL
SELECT s.entry_id FROM window_shifts s LEFT JOIN entries e ON e.id = s.entry_id
WHERE coalesce(e.kind, '') <> 'shift' OR e.account_id <> s.account_id
UNION ALL
SELECT c.entry_id FROM parent_changes c LEFT JOIN entries e ON e.id = c.entry_id
WHERE coalesce(e.kind, '') <> 'parent' OR e.account_id <> c.account_id
UNION ALL
SELECT c.entry_id FROM prior_costs c LEFT JOIN entries e ON e.id = c.entry_id
WHERE coalesce(e.kind, '') <> 'prior' OR e.account_id <> c.account_id
UNION ALL
SELECT p.entry_id FROM prior_parts p LEFT JOIN prior_costs c ON c.entry_id = p.entry_id
WHERE c.entry_id IS NULL
UNION ALL
SELECT t.entry_id FROM threshold_crossings t LEFT JOIN entries e ON e.id = t.entry_id
WHERE coalesce(e.kind, '') NOT IN ('alert', 'resolve') OR e.account_id <> t.account_id"""

# verify: all rows in the order they were written.
ROWS_IN_ORDER = f"""
{LONG}
SELECT id, account_id, project_id, kind, origin_id, corrects_id, hold_id, model, held_pico,
       held_tokens, expires_at_us, cost_pico, price_source, occurred_at_us, input_tokens,
       output_tokens, requests, usage, price, tags, note
FROM entries ORDER BY id"""
ALL_OPEN_HOLDS = """
SELECT account_id, hold_id, expires_at_us, model, held_pico, held_tokens, path FROM open_holds"""
MODEL_RUNS = "SELECT model, recorded_at_us, entry_id FROM model_runs WHERE account_id = :account_id"
ALL_ANSWERS = f"""
SELECT names, recorded_at_us, entry_id, {_TOTALS} FROM answers WHERE account_id = :account_id"""
ALL_LATE = """
SELECT account_id, entry_id, recorded_at_us, belongs_at_us, within_us, names FROM late_entries
WHERE account_id = :account_id"""
PARENT_CHANGES = "SELECT entry_id, parent_id FROM parent_changes"
CORRECTED = "SELECT DISTINCT corrects_id FROM entries WHERE corrects_id IS NOT NULL"

# import: the rows that keep the id of a response, since the last look.
WITH_RESPONSE = f"""
{LONG}
SELECT e.model, coalesce(e.occurred_at_us, e.recorded_at_us), e.idempotency_key, e.price
FROM entries e WHERE e.project_id = :project_id AND e.id > :last_id AND e.origin_id IS NULL
      AND e.model IS NOT NULL AND e.price LIKE '%"response_id":%' ORDER BY e.id"""

# charge_many, import: the id before that of the next row.
LAST_ENTRY_ID = "SELECT max(id) FROM entries"

# verify: the first row with a count of settings; rows of the first schema have none.
COUNTED_FROM = """
SELECT coalesce(min(id), 9223372036854775807) FROM entries WHERE settings_rows IS NOT NULL"""


# -- copy: every column of every table ------------------------------------------------------


def all_rows(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """A SELECT of all rows of a table, in the order of its key."""
    return f"{LONG} SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(key)}"


def insert_rows(table: str, columns: Sequence[str], count: int) -> str:
    """An INSERT of *count* rows of a table, ids included."""
    return many_of(_insert(table, *columns), count)


def many_of(insert: str, count: int, *before: str) -> str:
    """*insert* for *count* rows, with columns *before* the others."""
    head, _, places = insert.partition(" VALUES (")
    places = f"({', '.join(['?' * len(before), places])}" if before else f"({places}"
    if before:
        head = head.replace("(", f"({', '.join(before)}, ", 1)
    return f"{head} VALUES {', '.join([places] * count)}"


# Where each account's chain of hashes ends.
DIGESTS = """
SELECT p.name, a.name, e.id, e.hash
FROM accounts a JOIN projects p ON p.id = a.project_id
LEFT JOIN entries e ON e.id = (SELECT max(last.id) FROM entries last WHERE last.account_id = a.id)
ORDER BY a.id""".strip()
