"""Default budgets: what accounts of a kind get at their first hold or charge.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order
TABLE = "default_budget_revisions"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", BIG, primary_key=True, autoincrement=False),
        sa.Column("project_id", BIG, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("measure", TEXT, nullable=False),
        sa.Column("limit_units", BIG, nullable=False),
        sa.Column("limit_pico", BIG, nullable=False),
        sa.Column("model", TEXT),
        sa.Column("per", TEXT),
        sa.Column("timezone", TEXT, nullable=False),
        sa.Column("week_start", BIG, nullable=False),
        sa.Column("anchor_us", BIG),
        sa.Column("span_us", BIG),
        sa.Column("anchored", BIG, nullable=False),
        sa.Column("alert_at", TEXT),
        sa.Column("removed", BIG, nullable=False),
        sa.Column("recorded_at_us", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("kind <> ''"),
        sa.CheckConstraint("measure IN ('usd', 'tokens', 'requests')"),
        sa.CheckConstraint("limit_units >= 0"),
        sa.CheckConstraint("limit_pico BETWEEN 0 AND 999999999999"),
        sa.CheckConstraint("anchored IN (0, 1)"),
        sa.CheckConstraint("removed IN (0, 1)"),
        sa.CheckConstraint("length(hash) = 32"),
        sqlite_strict=True,
    )
    op.create_index(f"{TABLE}_by_kind", TABLE, ["project_id", "kind", "id"])
    if op.get_bind().dialect.name == "postgresql":
        make_append_only_on_postgres()
    else:
        make_append_only()


def make_append_only() -> None:
    """Refuse UPDATE, DELETE and REPLACE, whatever tool asks."""
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_replace BEFORE INSERT ON {TABLE}
        WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END""")


def make_append_only_on_postgres() -> None:
    """The same, also against TRUNCATE."""
    for event, why in (
        ("update", "rows never change; append an adjustment"),
        ("delete", "rows stay; append an adjustment"),
        ("truncate", "rows stay; append an adjustment"),
    ):
        op.execute(f"""
            CREATE TRIGGER {TABLE}_no_{event} BEFORE {event.upper()} ON {TABLE}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse('{why}')""")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_no_{event}")


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
