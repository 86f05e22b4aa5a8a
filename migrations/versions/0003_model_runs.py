"""Where runs of rows of one model end, in place of an index that every row had to enter.

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
    op.create_table(
        "model_runs",
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column(
            "model",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),  # in SQLite's order
            primary_key=True,
        ),
        sa.Column("recorded_at_us", BIG, primary_key=True),
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute("""
        INSERT INTO model_runs
        SELECT account_id, model, recorded_at_us, id FROM (
            SELECT account_id, model, recorded_at_us, id,
                   lead(id) OVER journal AS next_id, lead(model) OVER journal AS next_model
            FROM entries
            WINDOW journal AS (PARTITION BY account_id ORDER BY recorded_at_us, id)) AS followed
        WHERE model IS NOT NULL AND next_id IS NOT NULL
              AND (next_model IS NULL OR next_model <> model)""")
    op.drop_index("entries_by_model", "entries")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE entries RENAME COLUMN settings_version TO settings_count")
        make_append_only_on_postgres("model_runs")
        return
    # A process that runs the code before this revision, and has the file open, must not go on:
    # it would not say where runs end. It finds no column of the old name.
    op.execute("DROP TRIGGER entries_no_replace")
    op.execute("ALTER TABLE entries RENAME COLUMN settings_version TO settings_count")
    op.execute("""
        CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN NEW.settings_count IS NULL
            OR (NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
            OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                SELECT 1 FROM entries WHERE project_id = NEW.project_id
                AND idempotency_key = NEW.idempotency_key))
        BEGIN SELECT CASE WHEN NEW.settings_count IS NULL
            THEN RAISE(ABORT, 'budgetledger: the file was upgraded; restart this program')
            ELSE RAISE(ABORT, 'budgetledger: this row is recorded already') END; END""")
    columns = ("account_id", "model", "recorded_at_us", "entry_id")
    make_append_only("model_runs", " AND ".join(f"{name} = NEW.{name}" for name in columns))


def make_append_only(table: str, already_there: str) -> None:
    """Refuse UPDATE, DELETE and REPLACE on *table*, whatever tool asks."""
    op.execute(f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE {already_there})
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


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
