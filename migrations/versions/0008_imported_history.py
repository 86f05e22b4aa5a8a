"""Imported history: entries that count in no budget are in the views, marked as such.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    condition = sa.text("cost_pico IS NULL AND kind = 'import'")
    op.create_index(
        "entries_unpriced_imports",
        "entries",
        ["account_id", "recorded_at_us"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    for view in ("spend_by_day", "spend_by_model", "spend"):
        op.execute(f"DROP VIEW {view}")
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
NOT_IMPORTED = """e.kind <> 'import' AND NOT EXISTS (
           SELECT 1 FROM entries c WHERE c.id = e.corrects_id AND c.kind = 'import')"""
NOT_STATED = "NOT EXISTS (SELECT 1 FROM entries later WHERE later.corrects_id = e.id)"


# When a row belongs: views show it as the day of a cost.
BELONGS = "coalesce(l.belongs_at_us, e.recorded_at_us)"


# A sum of picodollars in dollars. sum(cost_pico) itself overflows beyond nine million dollars.
def sum_usd(pico: str) -> str:
    return f"(sum({pico} / 1000000) + sum({pico} % 1000000) / 1e6) / 1e6"


COST_USD = sum_usd("cost_pico")
ASSUMED_USD = sum_usd("(cost_pico * assumed)")
FROM = """
FROM entries e
LEFT JOIN late_entries l ON l.account_id = e.account_id AND l.entry_id = e.id
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = a.project_id
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment', 'import') AND e.origin_id IS NULL"""

VIEWS = [
    f"""
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account, {iso("e.recorded_at_us")} AS recorded_at,
       {iso("e.occurred_at_us")} AS occurred_at,
       {iso(BELONGS)} AS belongs_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       {BASIS},
       e.input_tokens, e.output_tokens, e.requests,
       e.cost_pico IS NULL AND {NOT_STATED} AS unpriced,
       coalesce(e.price_source, '') = 'assumed' AND {NOT_STATED} AS assumed,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, lower(hex(e.hash)) AS hash,
       {NOT_IMPORTED} AS counted{FROM}""",
    *(
        f"""
CREATE VIEW {view} AS
SELECT {columns},
       {COST_USD} AS cost_usd, {ASSUMED_USD} AS assumed_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3"""
        for view, columns in (
            ("spend_by_day", "substr(belongs_at, 1, 10) AS day, project, account"),
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
       {iso_on_postgres(BELONGS)} AS belongs_at,
       e.kind, e.model, CAST(e.cost_pico / 1e12 AS DOUBLE PRECISION) AS cost_usd,
       e.cost_pico, e.price_source, {BASIS},
       e.input_tokens, e.output_tokens, e.requests,
       CAST(e.cost_pico IS NULL AND {NOT_STATED} AS INTEGER) AS unpriced,
       CAST(coalesce(e.price_source, '') = 'assumed' AND {NOT_STATED} AS INTEGER) AS assumed,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, encode(e.hash, 'hex') AS hash,
       CAST({NOT_IMPORTED} AS INTEGER) AS counted{FROM}""",
    f"""
CREATE VIEW spend_by_day AS
SELECT substr(belongs_at, 1, 10) AS day, project, account, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW spend_by_model AS
SELECT project, account, model, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
]


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
