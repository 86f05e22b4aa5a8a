"""Running totals of calls that another model answered than the one asked for.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order
TABLE, KEY = "answers", ("account_id", "names", "recorded_at_us", "entry_id")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("names", TEXT, primary_key=True),
        sa.Column("recorded_at_us", BIG, primary_key=True),
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        *(sa.Column(f"total_{what}", BIG, nullable=False)
          for what in ("usd", "pico", "tokens", "requests")),
        sa.CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )  # fmt: skip
    if op.get_bind().dialect.name == "postgresql":
        make_append_only_on_postgres()
    else:
        make_append_only()


def make_append_only() -> None:
    """Refuse UPDATE, DELETE and REPLACE, whatever tool asks."""
    there = " AND ".join(f"{name} = NEW.{name}" for name in KEY)
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {TABLE}_no_replace BEFORE INSERT ON {TABLE}
        WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE {there})
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
