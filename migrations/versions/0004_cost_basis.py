"""What costs are based on: in the views, and indexes of assumed costs and minimal holds.

Rows have the columns that they had, so code of before this revision may go on. The costs that it
leaves unpriced stay so, and what it holds for is limited as before.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MINIMAL = "kind = 'settle' AND substr(note, 1, 11) = 'no estimate'"
INDEXES = {
    "entries_assumed": (["account_id", "recorded_at_us"], "price_source = 'assumed'"),
    "entries_unestimated": (
        ["account_id", "recorded_at_us"],
        f"cost_pico IS NULL AND {_MINIMAL}",
    ),
    "entries_by_unestimated": (["project_id", "note", "id"], _MINIMAL),
}


def upgrade() -> None:
    for name, (columns, where) in INDEXES.items():
        condition = sa.text(where)
        op.create_index(
            name, "entries", columns, sqlite_where=condition, postgresql_where=condition
        )
    for view in ("spend_by_day", "spend_by_model", "spend"):
        op.execute(f"DROP VIEW {view}")
    on_postgres = op.get_bind().dialect.name == "postgresql"
    for view in VIEWS_ON_POSTGRES if on_postgres else VIEWS:
        op.execute(view)


# Microseconds as ISO 8601 in UTC, in functions every SQLite since 3.37 has.
def iso(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"  # of the second, before 1970 too
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', ({column} - {within}) / 1000000, 'unixepoch')"
        f" || printf('.%06dZ', {within})"
    )


# As `Entry.cost_basis`; and whether it is the cost that still counts.
BASIS = """CASE WHEN e.cost_pico IS NULL THEN 'unpriced'
            WHEN e.price_source = 'assumed' THEN 'assumed'
            WHEN e.usage LIKE '%"estimated":%' THEN 'estimated'
            ELSE 'stated' END AS cost_basis"""
NOT_STATED = "NOT EXISTS (SELECT 1 FROM entries later WHERE later.corrects_id = e.id)"


# A sum of picodollars in dollars. sum(cost_pico) itself overflows beyond nine million dollars.
def sum_usd(pico: str) -> str:
    return f"(sum({pico} / 1000000) + sum({pico} % 1000000) / 1e6) / 1e6"


COST_USD = sum_usd("cost_pico")
ASSUMED_USD = sum_usd("(cost_pico * assumed)")
FROM = """
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment') AND e.origin_id IS NULL"""

VIEWS = [
    f"""
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account, {iso("e.recorded_at_us")} AS recorded_at,
       {iso("e.occurred_at_us")} AS occurred_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       {BASIS},
       e.input_tokens, e.output_tokens, e.requests,
       e.cost_pico IS NULL AND {NOT_STATED} AS unpriced,
       coalesce(e.price_source, '') = 'assumed' AND {NOT_STATED} AS assumed,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, lower(hex(e.hash)) AS hash{FROM}""",
    *(
        f"""
CREATE VIEW {view} AS
SELECT {columns},
       {COST_USD} AS cost_usd, {ASSUMED_USD} AS assumed_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3"""
        for view, columns in (
            ("spend_by_day", "substr(recorded_at, 1, 10) AS day, project, account"),
            ("spend_by_model", "project, account, model"),
        )
    ),
]


# The same columns of the same kinds: integers, floats and text.


def iso_on_postgres(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"
    return (
        f"to_char(to_timestamp(({column} - {within}) / 1000000) AT TIME ZONE 'UTC',"
        f" 'YYYY-MM-DD\"T\"HH24\\:MI\\:SS') || '.' || lpad(CAST({within} AS TEXT), 6, '0') || 'Z'"
    )


def whole_sum(column: str) -> str:
    return f"CAST(sum({column}) AS BIGINT) AS {column}"


SUMS_ON_POSTGRES = f"""CAST({COST_USD} AS DOUBLE PRECISION) AS cost_usd,
       CAST({ASSUMED_USD} AS DOUBLE PRECISION) AS assumed_usd,
       {whole_sum("requests")}, {whole_sum("input_tokens")}, {whole_sum("output_tokens")},
       {whole_sum("unpriced")}"""

VIEWS_ON_POSTGRES = [
    f"""
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account,
       {iso_on_postgres("e.recorded_at_us")} AS recorded_at,
       {iso_on_postgres("e.occurred_at_us")} AS occurred_at,
       e.kind, e.model, CAST(e.cost_pico / 1e12 AS DOUBLE PRECISION) AS cost_usd,
       e.cost_pico, e.price_source, {BASIS},
       e.input_tokens, e.output_tokens, e.requests,
       CAST(e.cost_pico IS NULL AND {NOT_STATED} AS INTEGER) AS unpriced,
       CAST(coalesce(e.price_source, '') = 'assumed' AND {NOT_STATED} AS INTEGER) AS assumed,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, encode(e.hash, 'hex') AS hash{FROM}""",
    f"""
CREATE VIEW spend_by_day AS
SELECT substr(recorded_at, 1, 10) AS day, project, account, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW spend_by_model AS
SELECT project, account, model, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
]


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
