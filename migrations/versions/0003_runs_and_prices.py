"""Where runs of rows of one model end, in place of an index all rows entered; own prices.

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
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    create_model_runs(on_postgres)
    create_price_revisions(on_postgres)
    op.execute(PRICES_ON_POSTGRES if on_postgres else PRICES)


def create_model_runs(on_postgres: bool) -> None:
    op.create_table(
        "model_runs",
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("model", TEXT, primary_key=True),
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
    if on_postgres:
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


def create_price_revisions(on_postgres: bool) -> None:
    op.create_table(
        "price_revisions",
        sa.Column("id", BIG, primary_key=True, autoincrement=False),
        sa.Column("project_id", BIG, sa.ForeignKey("projects.id")),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("rates", TEXT),
        sa.Column("effective_at_us", BIG, nullable=False),
        sa.Column("recorded_at_us", BIG, nullable=False),
        sa.Column("note", TEXT),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("model <> ''"),
        sa.CheckConstraint("length(hash) = 32"),
        sqlite_strict=True,
    )
    op.create_index(
        "price_revisions_by_model", "price_revisions", ["project_id", "model", "effective_at_us"]
    )
    if on_postgres:
        make_append_only_on_postgres("price_revisions")
    else:
        make_append_only("price_revisions", "id = NEW.id")


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


def iso_on_postgres(column: str) -> str:
    within = f"(({column} % 1000000 + 1000000) % 1000000)"
    return (
        f"to_char(to_timestamp(({column} - {within}) / 1000000) AT TIME ZONE 'UTC',"
        f" 'YYYY-MM-DD\"T\"HH24\\:MI\\:SS') || '.' || lpad(CAST({within} AS TEXT), 6, '0') || 'Z'"
    )


def usd_on_postgres(key: str, divisor: str = "") -> str:
    return f"CAST(CAST(r.rates AS JSON) ->> '{key}' AS DOUBLE PRECISION){divisor}"


PRICES_ON_POSTGRES = f"""
CREATE VIEW prices AS
SELECT r.id, p.name AS project, r.model, CAST(r.rates IS NULL AS INTEGER) AS removed,
       {iso_on_postgres("r.effective_at_us")} AS effective_at,
       {usd_on_postgres("input_mtok")} AS input_usd,
       {usd_on_postgres("output_mtok")} AS output_usd,
       {usd_on_postgres("cache_read_mtok")} AS cache_read_usd,
       {usd_on_postgres("cache_write_mtok")} AS cache_write_usd,
       {usd_on_postgres("requests_kcount", " / 1000")} AS request_usd, r.rates,
       {iso_on_postgres("r.recorded_at_us")} AS recorded_at, r.note, encode(r.hash, 'hex') AS hash
FROM price_revisions r LEFT JOIN projects p ON p.id = r.project_id"""


def downgrade() -> None:
    raise NotImplementedError("a ledger does not go back; restore a backup instead")
