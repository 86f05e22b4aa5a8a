"""The user's own prices: their rows, and a view of them in dollars.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_price_revisions()
    make_append_only("price_revisions")
    op.execute(PRICES)


def create_price_revisions() -> None:
    op.create_table(
        "price_revisions",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("project_id", BIG, sa.ForeignKey("projects.id")),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("rates", sa.Text),
        sa.Column("effective_at_us", BIG, nullable=False),
        sa.Column("recorded_at_us", BIG, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("model <> ''"),
        sa.CheckConstraint("length(hash) = 32"),
        sqlite_strict=True,
    )
    op.create_index(
        "price_revisions_by_model", "price_revisions", ["project_id", "model", "effective_at_us"]
    )


def make_append_only(table: str) -> None:
    """Refuse UPDATE, DELETE and REPLACE on a table of rows with an ``id``, whatever tool asks."""
    op.execute(f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append another'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append another'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END""")


# Microseconds as ISO 8601 in UTC, in functions every SQLite since 3.37 has.
def iso(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"  # of the second, before 1970 too
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', ({column} - {within}) / 1000000, 'unixepoch')"
        f" || printf('.%06dZ', {within})"
    )


def usd(key: str, divisor: str = "") -> str:
    return f"CAST(json_extract(r.rates, '$.{key}') AS REAL){divisor}"


PRICES = f"""
CREATE VIEW prices AS
SELECT r.id, p.name AS project, r.model, r.rates IS NULL AS removed,
       {iso("r.effective_at_us")} AS effective_at,
       {usd("input_mtok")} AS input_usd, {usd("output_mtok")} AS output_usd,
       {usd("cache_read_mtok")} AS cache_read_usd, {usd("cache_write_mtok")} AS cache_write_usd,
       {usd("requests_kcount", " / 1000")} AS request_usd, r.rates,
       {iso("r.recorded_at_us")} AS recorded_at, r.note, lower(hex(r.hash)) AS hash
FROM price_revisions r LEFT JOIN projects p ON p.id = r.project_id"""


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
