"""When rows belong: an index of those recorded later, which the views show too.

Rows of before are listed, so that budgets count them where they belong. And what a budget of the
project's own account counts of the rows before it: only of budgets that are set from now on.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # in SQLite's order
TABLE = "late_entries"
KEYS = {
    TABLE: ("account_id", "entry_id"),
    "prior_costs": ("entry_id",),
    "prior_parts": ("entry_id", "belongs_at_us"),
}


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        TABLE,
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        *(sa.Column(name, BIG, nullable=False)
          for name in ("recorded_at_us", "belongs_at_us", "within_us")),
        sa.Column("names", TEXT),
        sa.CheckConstraint("belongs_at_us < recorded_at_us"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index(
        "late_entries_by_delay",
        TABLE,
        ["account_id", "within_us", "recorded_at_us", "belongs_at_us"],
    )
    op.create_index("late_entries_by_time", TABLE, ["account_id", "recorded_at_us"])
    op.create_index("late_entries_by_belonging", TABLE, ["account_id", "belongs_at_us"])
    create_prior_costs()
    list_late(CALLS)
    list_late(ADJUSTMENTS)
    # The account that a query of the views names, without its project.
    op.create_index("accounts_by_name", "accounts", ["name"])
    rename_count(on_postgres)
    for table in KEYS:
        if on_postgres:
            make_append_only_on_postgres(table)
        else:
            make_append_only(table)
    for view in ("spend_by_day", "spend_by_model", "spend"):
        op.execute(f"DROP VIEW {view}")
    for view in VIEWS_ON_POSTGRES if on_postgres else VIEWS:
        op.execute(view)


def create_prior_costs() -> None:
    op.create_table(
        "prior_costs",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("account_id", BIG, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("budget", TEXT, nullable=False),
        sa.Column("start_us", BIG),
        sqlite_strict=True,
    )
    op.create_index("prior_costs_by_budget", "prior_costs", ["account_id", "budget", "entry_id"])
    op.create_table(
        "prior_parts",
        sa.Column("entry_id", BIG, sa.ForeignKey("entries.id"), primary_key=True),
        sa.Column("belongs_at_us", BIG, primary_key=True),
        *(sa.Column(f"total_{what}", BIG, nullable=False)
          for what in ("usd", "pico", "tokens", "requests")),
        sa.CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )  # fmt: skip


def list_late(rows: str) -> None:
    """List *rows* (account_id, entry_id, recorded_at_us, belongs_at_us) that are late."""
    op.execute(f"""
        INSERT INTO {TABLE}
        WITH RECURSIVE powers(us) AS (
            SELECT CAST(2 AS BIGINT) UNION ALL SELECT us * 2 FROM powers WHERE us < {2**60}
        )
        SELECT late.account_id, late.entry_id, late.recorded_at_us, late.belongs_at_us,
               (SELECT min(us) FROM powers WHERE us > late.recorded_at_us - late.belongs_at_us),
               (SELECT a.names FROM answers a
                WHERE a.account_id = late.account_id AND a.entry_id = late.entry_id)
        FROM ({rows}) AS late WHERE late.belongs_at_us < late.recorded_at_us""")


# A settle belongs at the earliest where its hold was granted.
CALLS = """
SELECT e.account_id, e.id AS entry_id, e.recorded_at_us,
       CASE WHEN e.kind = 'settle' AND h.recorded_at_us > e.occurred_at_us
            THEN h.recorded_at_us ELSE e.occurred_at_us END AS belongs_at_us
FROM entries e LEFT JOIN entries h ON h.id = e.hold_id
WHERE e.occurred_at_us < e.recorded_at_us"""

# An adjustment belongs where the row of its journal that it corrects does. Rows that repeat an
# entry follow it closely, and the signs keep the search to them.
ADJUSTMENTS = """
SELECT e.account_id, e.id AS entry_id, e.recorded_at_us,
       coalesce(l.belongs_at_us, c.recorded_at_us) AS belongs_at_us
FROM entries e
JOIN entries c ON c.id = (
    SELECT one.id FROM entries one
    WHERE one.id >= e.corrects_id AND +one.account_id = e.account_id
          AND coalesce(one.origin_id, one.id) = e.corrects_id
    ORDER BY one.id LIMIT 1)
LEFT JOIN late_entries l ON l.account_id = c.account_id AND l.entry_id = c.id
WHERE e.corrects_id IS NOT NULL"""


def rename_count(on_postgres: bool) -> None:
    """Rename a column, so that processes that run the code of before do not go on.

    They would not list late rows.
    """
    if on_postgres:
        op.execute("ALTER TABLE entries RENAME COLUMN settings_count TO settings_rows")
        return
    op.execute("DROP TRIGGER entries_no_replace")
    op.execute("ALTER TABLE entries RENAME COLUMN settings_count TO settings_rows")
    op.execute("""
        CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN NEW.settings_rows IS NULL
            OR (NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
            OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                SELECT 1 FROM entries WHERE project_id = NEW.project_id
                AND idempotency_key = NEW.idempotency_key))
        BEGIN SELECT CASE WHEN NEW.settings_rows IS NULL
            THEN RAISE(ABORT, 'budgetledger: the file was upgraded; restart this program')
            ELSE RAISE(ABORT, 'budgetledger: this row is recorded already') END; END""")


def make_append_only(table: str) -> None:
    """Refuse UPDATE, DELETE and REPLACE, whatever tool asks."""
    there = " AND ".join(f"{name} = NEW.{name}" for name in KEYS[table])
    op.execute(f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END""")
    op.execute(f"""
        CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE {there})
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END""")


def make_append_only_on_postgres(table: str) -> None:
    """The same, also against TRUNCATE."""
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


# As `Entry.cost_basis`; and whether it is the cost that still counts.
BASIS = """CASE WHEN e.cost_pico IS NULL THEN 'unpriced'
            WHEN e.price_source = 'assumed' THEN 'assumed'
            WHEN e.usage LIKE '%"estimated":%' THEN 'estimated'
            ELSE 'stated' END AS cost_basis"""
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
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment') AND e.origin_id IS NULL"""

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
       e.corrects_id, e.hold_id, e.idempotency_key, encode(e.hash, 'hex') AS hash{FROM}""",
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
