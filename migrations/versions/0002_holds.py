"""Holds, parents, freezing and alerts: their rows, the list of open holds, and their views.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    extend_tables(*(("BIGINT", 'TEXT COLLATE "C"') if on_postgres else ("INTEGER", "TEXT")))
    create_tables()
    if on_postgres:
        for table in ("parent_changes", "threshold_crossings"):
            make_append_only_on_postgres(table)
        for view in VIEWS_ON_POSTGRES:
            op.execute(view)
        return
    for table in ("parent_changes", "threshold_crossings"):
        make_append_only(table)
    # A process that runs the code before this revision, and has the file open, must not go on:
    # it would not repeat rows for the accounts above.
    op.execute("DROP TRIGGER entries_no_replace")
    op.execute("""
        CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN NEW.settings_version IS NULL
            OR (NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
            OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                SELECT 1 FROM entries WHERE project_id = NEW.project_id
                AND idempotency_key = NEW.idempotency_key))
        BEGIN SELECT CASE WHEN NEW.settings_version IS NULL
            THEN RAISE(ABORT, 'budgetledger: the file was upgraded; restart this program')
            ELSE RAISE(ABORT, 'budgetledger: this row is recorded already') END; END""")
    for view in ("spend_by_day", "spend_by_model", "spend", "current_budgets"):
        op.execute(f"DROP VIEW {view}")
    for view in VIEWS:
        op.execute(view)


def extend_tables(integer: str, text: str) -> None:
    for column in (
        f"origin_id {integer} REFERENCES entries (id)",
        f"hold_id {integer} REFERENCES entries (id)",
        f"held_pico {integer} CHECK (held_pico >= 0)",
        f"held_tokens {integer} CHECK (held_tokens >= 0)",
        f"expires_at_us {integer}",
        f"settings_version {integer}",
    ):
        op.execute(f"ALTER TABLE entries ADD COLUMN {column}")
    op.execute(f"ALTER TABLE budget_revisions ADD COLUMN alert_at {text}")
    op.drop_index("entries_unpriced", "entries")
    op.drop_index("entries_by_model", "entries")
    for name, column, where in (
        (
            "entries_unpriced",
            "account_id, recorded_at_us",
            "cost_pico IS NULL AND kind IN ('charge', 'settle')",
        ),
        (
            "entries_by_model",
            "account_id, model, recorded_at_us",
            "model IS NOT NULL AND kind <> 'hold'",
        ),
        ("entries_freezing", "account_id, id", "model IS NULL AND kind IN ('freeze', 'unfreeze')"),
    ):
        columns = column.split(", ")
        condition = sa.text(where)
        op.create_index(
            name, "entries", columns, sqlite_where=condition, postgresql_where=condition
        )


def create_tables() -> None:
    op.create_table(
        "parent_changes",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("parent_id", BIG, sa.ForeignKey("accounts.id")),
        sqlite_strict=True,
    )
    op.create_index("parent_changes_by_account", "parent_changes", ["account_id", "entry_id"])
    op.create_table(
        "threshold_crossings",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("budget", TEXT, nullable=False),
        sa.Column("measure", TEXT, nullable=False),
        sa.Column("threshold", TEXT, nullable=False),
        sa.Column("limit_units", BIG, nullable=False),
        sa.Column("limit_pico", BIG, nullable=False),
        sa.Column("posted_units", BIG, nullable=False),
        sa.Column("posted_pico", BIG, nullable=False),
        sa.Column("start_us", BIG),
        sa.Column("end_us", BIG),
        sa.Column("timezone", TEXT, nullable=False),
        sa.CheckConstraint("budget <> ''"),
        sqlite_strict=True,
    )
    op.create_index(
        "threshold_crossings_by_budget",
        "threshold_crossings",
        ["account_id", "budget", "threshold", "entry_id"],
    )
    # Which holds are open: an index over the rows, for looking them up, and no evidence itself.
    op.create_table(
        "open_holds",
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("hold_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("expires_at_us", BIG, nullable=False),
        sa.Column("model", TEXT),
        sa.Column("held_pico", BIG, nullable=False),
        sa.Column("held_tokens", BIG, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def make_append_only(table: str) -> None:
    """Refuse UPDATE, DELETE and REPLACE on a table of details, whatever tool asks."""
    op.execute(f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END""")


def make_append_only_on_postgres(table: str) -> None:
    """The same, also against TRUNCATE; there is no REPLACE, and an upsert is an UPDATE."""
    for event, why in (
        ("update", "rows never change; append an adjustment"),
        ("delete", "rows stay; append an adjustment"),
        ("truncate", "rows stay; append an adjustment"),
    ):
        op.execute(f"""
            CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse('{why}')""")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_{event}")


# Microseconds as ISO 8601 in UTC, in functions every SQLite since 3.37 has.
def iso(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"  # of the second, before 1970 too
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', ({column} - {within}) / 1000000, 'unixepoch')"
        f" || printf('.%06dZ', {within})"
    )


# A sum of picodollars in dollars. sum(cost_pico) itself overflows beyond nine million dollars.
COST_USD = "(sum(cost_pico / 1000000) + sum(cost_pico % 1000000) / 1e6) / 1e6"

VIEWS = [
    f"""
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account, {iso("e.recorded_at_us")} AS recorded_at,
       {iso("e.occurred_at_us")} AS occurred_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       e.input_tokens, e.output_tokens, e.requests,
       e.cost_pico IS NULL AND NOT EXISTS (
           SELECT 1 FROM entries later WHERE later.corrects_id = e.id) AS unpriced,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, lower(hex(e.hash)) AS hash
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment') AND e.origin_id IS NULL""",
    f"""
CREATE VIEW spend_by_day AS
SELECT substr(recorded_at, 1, 10) AS day, project, account,
       {COST_USD} AS cost_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW spend_by_model AS
SELECT project, account, model,
       {COST_USD} AS cost_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW current_budgets AS
SELECT p.name AS project, a.name AS account, b.name AS budget, b.measure,
       b.limit_units + b.limit_pico / 1e12 AS limit_value, b.model, b.per,
       b.span_us / 1e6 AS span_seconds, b.timezone, {iso("b.anchor_us")} AS anchored_at,
       b.alert_at, {iso("e.recorded_at_us")} AS set_at,
       (SELECT {iso("max(s.start_us)")} FROM window_shifts s
        WHERE s.account_id = b.account_id AND s.budget = b.name AND s.turned = 0)
        AS last_shift_at
FROM budget_revisions b
JOIN accounts a ON a.id = b.account_id
JOIN projects p ON p.id = a.project_id
JOIN entries e ON e.id = b.entry_id
WHERE b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name)""",
    f"""
CREATE VIEW holds AS
SELECT h.id, p.name AS project, a.name AS account, h.model, h.held_pico / 1e12 AS held_usd,
       h.held_pico, h.held_tokens, {iso("h.recorded_at_us")} AS recorded_at,
       {iso("coalesce(x.expires_at_us, h.expires_at_us)")} AS expires_at,
       CASE WHEN later.settled THEN 'settle' WHEN later.released THEN 'release'
            WHEN later.expired THEN 'expire' END AS closed_by,
       later.cost_pico / 1e12 AS cost_usd, h.tags, h.note, h.idempotency_key
FROM entries h
JOIN accounts a ON a.id = h.account_id
JOIN projects p ON p.id = h.project_id
LEFT JOIN (
    SELECT hold_id, max(kind = 'settle') AS settled, max(kind = 'release') AS released,
           max(kind = 'expire') AS expired, sum(cost_pico) AS cost_pico,
           max(CASE kind WHEN 'extend' THEN id END) AS extend_id
    FROM entries WHERE hold_id IS NOT NULL AND origin_id IS NULL GROUP BY hold_id
) later ON later.hold_id = h.id
LEFT JOIN entries x ON x.id = later.extend_id
WHERE h.kind = 'hold'""",
    f"""
CREATE VIEW alerts AS
SELECT e.id, p.name AS project, a.name AS account, {iso("e.recorded_at_us")} AS recorded_at,
       e.kind AS state, t.budget, t.measure, t.threshold,
       t.limit_units + t.limit_pico / 1e12 AS limit_value,
       t.posted_units + t.posted_pico / 1e12 AS posted_value,
       {iso("t.start_us")} AS window_start, {iso("t.end_us")} AS window_end
FROM threshold_crossings t
JOIN entries e ON e.id = t.entry_id
JOIN accounts a ON a.id = t.account_id
JOIN projects p ON p.id = a.project_id""",
]


# The same columns of the same kinds: integers, floats and text.


def iso_on_postgres(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"
    return (
        f"to_char(to_timestamp(({column} - {within}) / 1000000) AT TIME ZONE 'UTC',"
        f" 'YYYY-MM-DD\"T\"HH24\\:MI\\:SS') || '.' || lpad(CAST({within} AS TEXT), 6, '0') || 'Z'"
    )


def usd(pico: str) -> str:
    return f"CAST({pico} / 1e12 AS DOUBLE PRECISION)"


def whole_sum(column: str) -> str:
    return f"CAST(sum({column}) AS BIGINT) AS {column}"


SUMS_ON_POSTGRES = f"""CAST({COST_USD} AS DOUBLE PRECISION) AS cost_usd,
       {whole_sum("requests")}, {whole_sum("input_tokens")}, {whole_sum("output_tokens")},
       {whole_sum("unpriced")}"""

VIEWS_ON_POSTGRES = [
    f"""
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account,
       {iso_on_postgres("e.recorded_at_us")} AS recorded_at,
       {iso_on_postgres("e.occurred_at_us")} AS occurred_at,
       e.kind, e.model, {usd("e.cost_pico")} AS cost_usd, e.cost_pico, e.price_source,
       e.input_tokens, e.output_tokens, e.requests,
       CAST(e.cost_pico IS NULL AND NOT EXISTS (
           SELECT 1 FROM entries later WHERE later.corrects_id = e.id) AS INTEGER) AS unpriced,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, encode(e.hash, 'hex') AS hash
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment') AND e.origin_id IS NULL""",
    f"""
CREATE VIEW spend_by_day AS
SELECT substr(recorded_at, 1, 10) AS day, project, account, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW spend_by_model AS
SELECT project, account, model, {SUMS_ON_POSTGRES}
FROM spend GROUP BY 1, 2, 3""",
    f"""
CREATE VIEW current_budgets AS
SELECT p.name AS project, a.name AS account, b.name AS budget, b.measure,
       b.limit_units + {usd("b.limit_pico")} AS limit_value, b.model, b.per,
       CAST(b.span_us / 1e6 AS DOUBLE PRECISION) AS span_seconds, b.timezone,
       {iso_on_postgres("b.anchor_us")} AS anchored_at,
       b.alert_at, {iso_on_postgres("e.recorded_at_us")} AS set_at,
       (SELECT {iso_on_postgres("max(s.start_us)")} FROM window_shifts s
        WHERE s.account_id = b.account_id AND s.budget = b.name AND s.turned = 0)
        AS last_shift_at
FROM budget_revisions b
JOIN accounts a ON a.id = b.account_id
JOIN projects p ON p.id = a.project_id
JOIN entries e ON e.id = b.entry_id
WHERE b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name)""",
    f"""
CREATE VIEW holds AS
SELECT h.id, p.name AS project, a.name AS account, h.model, {usd("h.held_pico")} AS held_usd,
       h.held_pico, h.held_tokens, {iso_on_postgres("h.recorded_at_us")} AS recorded_at,
       {iso_on_postgres("coalesce(x.expires_at_us, h.expires_at_us)")} AS expires_at,
       CASE WHEN later.settled THEN 'settle' WHEN later.released THEN 'release'
            WHEN later.expired THEN 'expire' END AS closed_by,
       {usd("later.cost_pico")} AS cost_usd, h.tags, h.note, h.idempotency_key
FROM entries h
JOIN accounts a ON a.id = h.account_id
JOIN projects p ON p.id = h.project_id
LEFT JOIN (
    SELECT hold_id, bool_or(kind = 'settle') AS settled, bool_or(kind = 'release') AS released,
           bool_or(kind = 'expire') AS expired, sum(cost_pico) AS cost_pico,
           max(CASE kind WHEN 'extend' THEN id END) AS extend_id
    FROM entries WHERE hold_id IS NOT NULL AND origin_id IS NULL GROUP BY hold_id
) later ON later.hold_id = h.id
LEFT JOIN entries x ON x.id = later.extend_id
WHERE h.kind = 'hold'""",
    f"""
CREATE VIEW alerts AS
SELECT e.id, p.name AS project, a.name AS account,
       {iso_on_postgres("e.recorded_at_us")} AS recorded_at,
       e.kind AS state, t.budget, t.measure, t.threshold,
       t.limit_units + {usd("t.limit_pico")} AS limit_value,
       t.posted_units + {usd("t.posted_pico")} AS posted_value,
       {iso_on_postgres("t.start_us")} AS window_start,
       {iso_on_postgres("t.end_us")} AS window_end
FROM threshold_crossings t
JOIN entries e ON e.id = t.entry_id
JOIN accounts a ON a.id = t.account_id
JOIN projects p ON p.id = a.project_id""",
]


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
