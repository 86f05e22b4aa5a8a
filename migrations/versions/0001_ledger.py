"""The ledger: projects, accounts, entries, budget revisions, window shifts, and their views.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order

APPLICATION_ID = 0x62676C72  # "bglr": tells a ledger from any other SQLite file


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    create_tables(by_id=["id"] if on_postgres else [])
    if on_postgres:
        op.execute(REFUSE)
        for table in ("projects", "accounts", "entries", "budget_revisions", "window_shifts"):
            make_append_only_on_postgres(table)
        return  # the next revision makes its views
    for table, already_there in {
        "projects": "EXISTS (SELECT 1 FROM projects WHERE id = NEW.id OR name = NEW.name)",
        "accounts": """EXISTS (SELECT 1 FROM accounts WHERE id = NEW.id
                       OR (project_id = NEW.project_id AND name = NEW.name))""",
        # A row that brings neither an id nor a key, as most are, is not looked up: SQLite shows
        # an id that it will assign itself as -1.
        "entries": """(NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
                      OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                          SELECT 1 FROM entries WHERE project_id = NEW.project_id
                          AND idempotency_key = NEW.idempotency_key))""",
        "budget_revisions": """EXISTS (
                          SELECT 1 FROM budget_revisions WHERE entry_id = NEW.entry_id)""",
        "window_shifts": """EXISTS (
                          SELECT 1 FROM window_shifts WHERE entry_id = NEW.entry_id)""",
    }.items():
        make_append_only(table, already_there)
    for view in VIEWS:
        op.execute(view)
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def create_tables(by_id: list[str]) -> None:
    op.create_table(
        "projects",
        sa.Column("id", BIG, primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, nullable=False),
        sa.UniqueConstraint("name"),
        sa.CheckConstraint("name <> ''"),
        sqlite_strict=True,
    )
    op.create_table(
        "accounts",
        sa.Column("id", BIG, primary_key=True, autoincrement=False),
        sa.Column("project_id", BIG, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at_us", BIG, nullable=False),
        sa.UniqueConstraint("project_id", "name"),
        sa.CheckConstraint("name <> ''"),
        sqlite_strict=True,
    )
    op.create_table(
        "entries",
        sa.Column("id", BIG, primary_key=True, autoincrement=False),
        sa.Column("project_id", BIG, nullable=False),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("recorded_at_us", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("model", TEXT),
        sa.Column("cost_pico", BIG),
        sa.Column("price_source", TEXT),
        sa.Column("occurred_at_us", BIG),
        sa.Column("input_tokens", BIG, nullable=False),
        sa.Column("output_tokens", BIG, nullable=False),
        sa.Column("requests", BIG, nullable=False),
        sa.Column("usage", TEXT),
        sa.Column("price", TEXT),
        sa.Column("tags", TEXT),
        sa.Column("note", TEXT),
        sa.Column("corrects_id", BIG, sa.ForeignKey("entries.id")),
        sa.Column("idempotency_key", TEXT),
        sa.Column("total_usd", BIG, nullable=False),
        sa.Column("total_pico", BIG, nullable=False),
        sa.Column("total_tokens", BIG, nullable=False),
        sa.Column("total_requests", BIG, nullable=False),
        sa.Column("model_usd", BIG),
        sa.Column("model_pico", BIG),
        sa.Column("model_tokens", BIG),
        sa.Column("model_requests", BIG),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("recorded_at_us >= 0"),
        sa.CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        sa.CheckConstraint("model_pico BETWEEN 0 AND 999999999999"),
        sa.CheckConstraint("input_tokens >= 0 AND output_tokens >= 0 AND requests >= 0"),
        sa.CheckConstraint("length(hash) = 32"),
        sa.CheckConstraint("(kind = 'adjustment') = (corrects_id IS NOT NULL)"),
        sa.CheckConstraint("cost_pico >= 0 OR kind = 'adjustment'"),
        sa.CheckConstraint("(model IS NULL) = (model_pico IS NULL)"),
        sqlite_strict=True,
    )
    op.create_index("entries_by_account", "entries", ["account_id", "recorded_at_us", *by_id])
    op.create_index(
        "entries_by_model",
        "entries",
        ["account_id", "model", "recorded_at_us"],
        sqlite_where=sa.text("model IS NOT NULL"),
        postgresql_where=sa.text("model IS NOT NULL"),
    )
    op.create_index(
        "entries_by_key",
        "entries",
        ["project_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "entries_unpriced",
        "entries",
        ["account_id", "recorded_at_us"],
        sqlite_where=sa.text("kind = 'charge' AND cost_pico IS NULL"),
        postgresql_where=sa.text("kind = 'charge' AND cost_pico IS NULL"),
    )
    op.create_index(
        "entries_by_corrected",
        "entries",
        ["corrects_id"],
        sqlite_where=sa.text("corrects_id IS NOT NULL"),
        postgresql_where=sa.text("corrects_id IS NOT NULL"),
    )
    op.create_table(
        "budget_revisions",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("measure", TEXT, nullable=False),
        sa.Column("limit_units", BIG, nullable=False),
        sa.Column("limit_pico", BIG, nullable=False),
        sa.Column("model", TEXT),
        sa.Column("per", TEXT),
        sa.Column("timezone", TEXT, nullable=False),
        sa.Column("week_start", BIG, nullable=False),
        sa.Column("anchor_us", BIG),
        sa.Column("span_us", BIG),
        sa.Column("created_at", sa.Double().with_variant(sa.REAL, "sqlite"), nullable=False),
        sa.Column("removed", BIG, nullable=False),
        sa.CheckConstraint("name <> ''"),
        sa.CheckConstraint("measure IN ('usd', 'tokens', 'requests')"),
        sa.CheckConstraint("limit_units >= 0"),
        sa.CheckConstraint("limit_pico BETWEEN 0 AND 999999999999"),
        sa.CheckConstraint("removed IN (0, 1)"),
        sqlite_strict=True,
    )
    op.create_index(
        "budget_revisions_by_name", "budget_revisions", ["account_id", "name", "entry_id"]
    )
    op.create_table(
        "window_shifts",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("budget", TEXT, nullable=False),
        sa.Column("start_us", BIG, nullable=False),
        sa.Column("turned", BIG, nullable=False),
        sa.CheckConstraint("budget <> ''"),
        sa.CheckConstraint("turned IN (0, 1)"),
        sqlite_strict=True,
    )
    op.create_index("window_shifts_by_start", "window_shifts", ["account_id", "budget", "start_us"])


def make_append_only(table: str, already_there: str) -> None:
    """Refuse UPDATE, DELETE and REPLACE on *table*, whatever tool asks.

    REPLACE deletes without asking a delete trigger (unless recursive_triggers is on), so the
    insert trigger refuses rows that are there already; it also stops an upsert.
    """
    op.execute(f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
        WHEN {already_there}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END""")


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'budgetledger: %', TG_ARGV[0]; END $$"""


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
       e.corrects_id, e.idempotency_key, lower(hex(e.hash)) AS hash
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'adjustment')""",
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
       {iso("e.recorded_at_us")} AS set_at,
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
]


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
