"""The database tables as SQLModel classes, for your queries in `Ledger.session` and for Alembic.

Columns ending in ``_us`` are microseconds since 1970, in ``_pico`` picodollars (10⁻¹² USD), in
``_usd`` whole dollars. All tables are append-only except ``open_holds``, an index over the rows.

A separate registry keeps these classes out of ``SQLModel.metadata``, which an application
shares with all its libraries. The migrations create the tables; a test compares the two. Columns
are integers, text and blobs only: SQLite's STRICT tables and every SQL tool can read those.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

__all__ = [
    "Account",
    "Answer",
    "BudgetRevision",
    "DefaultBudgetRevision",
    "EntryRow",
    "LateEntry",
    "ModelRun",
    "OpenHold",
    "ParentChange",
    "PriceRevision",
    "PriorCost",
    "PriorPart",
    "Project",
    "ThresholdCrossing",
    "WindowShift",
    "metadata",
]

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")  # in SQLite's order
_BIG = BigInteger().with_variant(Integer, "sqlite")  # STRICT refuses the name BIGINT
_STRICT = {"sqlite_strict": True}


_ASSUMED = "price_source = 'assumed'"
_MINIMAL = "kind = 'settle' AND substr(note, 1, 11) = 'no estimate'"


def _index_where(name: str, *columns: str, where: str) -> Index:
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


class _Row(SQLModel, registry=registry()):
    """The base class of the tables, with its own metadata."""


metadata = _Row.metadata
"""The SQLAlchemy metadata of all tables."""


class Project(_Row, table=True):
    """A namespace of accounts and keys inside one ledger."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("name"), CheckConstraint("name <> ''"), _STRICT)

    id: int | None = Field(
        default=None, sa_column=Column(_BIG, primary_key=True, autoincrement=False)
    )
    name: str = Field(sa_column=Column(_TEXT, nullable=False))


class Account(_Row, table=True):
    """A user, team, key or anything else that spends."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        # Queries of the views that name an account, and no project.
        Index("accounts_by_name", "name"),
        CheckConstraint("name <> ''"),
        _STRICT,
    )

    id: int | None = Field(
        default=None, sa_column=Column(_BIG, primary_key=True, autoincrement=False)
    )
    project_id: int = Field(sa_column=Column(_BIG, ForeignKey("projects.id"), nullable=False))
    name: str = Field(sa_column=Column(_TEXT, nullable=False))
    created_at_us: int = Field(sa_column=Column(_BIG, nullable=False))


class EntryRow(_Row, table=True):
    """An entry of an account's journal: money, a step of a hold, or a setting.

    A row with ``origin_id`` repeats that entry for an account above its own; ``hold_id`` is the
    hold that a row settles, releases, expires, extends or increases.

    ``total_*`` is the sum of the account's rows up to and including this one, ``model_*`` that
    of its rows of the same model, so the cost of a window is the difference of two rows. These
    sums are an index over the rows; ``verify`` recounts them.
    """

    __tablename__ = "entries"
    __table_args__ = (
        # The head of an account, and the last row before a window: Ledger.charge, .balance.
        # SQLite appends the id to every index; for PostgreSQL see below.
        Index("entries_by_account", "account_id", "recorded_at_us").ddl_if(dialect="sqlite"),
        # One row for an idempotency key.
        Index(
            "entries_by_key",
            "project_id",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        # The requests without a price: balance, reprice.
        Index(
            "entries_unpriced",
            "account_id",
            "recorded_at_us",
            sqlite_where=text("cost_pico IS NULL AND kind IN ('charge', 'settle')"),
            postgresql_where=text("cost_pico IS NULL AND kind IN ('charge', 'settle')"),
        ),
        # The imported calls without a price: reprice.
        _index_where(
            "entries_unpriced_imports",
            "account_id",
            "recorded_at_us",
            where="cost_pico IS NULL AND kind = 'import'",
        ),
        # The assumed costs: balance, reprice.
        _index_where("entries_assumed", "account_id", "recorded_at_us", where=_ASSUMED),
        # The settles of minimal holds without a price, and the last one of a model or function:
        # minimal holds.
        _index_where(
            "entries_unestimated",
            "account_id",
            "recorded_at_us",
            where=f"cost_pico IS NULL AND {_MINIMAL}",
        ),
        _index_where("entries_by_unestimated", "project_id", "note", "id", where=_MINIMAL),
        # Whether an account is frozen: hold.
        Index(
            "entries_freezing",
            "account_id",
            "id",
            sqlite_where=text("model IS NULL AND kind IN ('freeze', 'unfreeze')"),
            postgresql_where=text("model IS NULL AND kind IN ('freeze', 'unfreeze')"),
        ),
        # The corrections of an entry: adjust, audits.
        Index(
            "entries_by_corrected",
            "corrects_id",
            sqlite_where=text("corrects_id IS NOT NULL"),
            postgresql_where=text("corrects_id IS NOT NULL"),
        ),
        CheckConstraint("recorded_at_us >= 0"),
        CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        CheckConstraint("model_pico BETWEEN 0 AND 999999999999"),
        CheckConstraint("input_tokens >= 0 AND output_tokens >= 0 AND requests >= 0"),
        CheckConstraint("length(hash) = 32"),
        CheckConstraint("(kind = 'adjustment') = (corrects_id IS NOT NULL)"),
        CheckConstraint("cost_pico >= 0 OR kind = 'adjustment'"),
        CheckConstraint("(model IS NULL) = (model_pico IS NULL)"),
        _STRICT,
    )

    id: int | None = Field(
        default=None, sa_column=Column(_BIG, primary_key=True, autoincrement=False)
    )
    project_id: int = Field(sa_column=Column(_BIG, nullable=False))  # the account's, for the key
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    recorded_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    kind: str = Field(sa_column=Column(_TEXT, nullable=False))
    model: str | None = Field(default=None, sa_column=Column(_TEXT))
    cost_pico: int | None = Field(default=None, sa_column=Column(_BIG))
    price_source: str | None = Field(default=None, sa_column=Column(_TEXT))
    occurred_at_us: int | None = Field(default=None, sa_column=Column(_BIG))
    input_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    output_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    requests: int = Field(sa_column=Column(_BIG, nullable=False))
    usage: str | None = Field(default=None, sa_column=Column(_TEXT))
    price: str | None = Field(default=None, sa_column=Column(_TEXT))
    tags: str | None = Field(default=None, sa_column=Column(_TEXT))
    note: str | None = Field(default=None, sa_column=Column(_TEXT))
    corrects_id: int | None = Field(default=None, sa_column=Column(_BIG, ForeignKey("entries.id")))
    idempotency_key: str | None = Field(default=None, sa_column=Column(_TEXT))
    total_usd: int = Field(sa_column=Column(_BIG, nullable=False))
    total_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    total_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    total_requests: int = Field(sa_column=Column(_BIG, nullable=False))
    model_usd: int | None = Field(default=None, sa_column=Column(_BIG))
    model_pico: int | None = Field(default=None, sa_column=Column(_BIG))
    model_tokens: int | None = Field(default=None, sa_column=Column(_BIG))
    model_requests: int | None = Field(default=None, sa_column=Column(_BIG))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    origin_id: int | None = Field(default=None, sa_column=Column(_BIG, ForeignKey("entries.id")))
    hold_id: int | None = Field(default=None, sa_column=Column(_BIG, ForeignKey("entries.id")))
    held_pico: int | None = Field(
        default=None, sa_column=Column(_BIG, CheckConstraint("held_pico >= 0"))
    )
    held_tokens: int | None = Field(
        default=None, sa_column=Column(_BIG, CheckConstraint("held_tokens >= 0"))
    )
    expires_at_us: int | None = Field(default=None, sa_column=Column(_BIG))
    settings_rows: int | None = Field(default=None, sa_column=Column(_BIG))


event.listen(
    EntryRow.__table__,  # type: ignore[attr-defined]
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "CREATE INDEX entries_by_account ON entries (account_id, recorded_at_us, id)"
    ).execute_if(dialect="postgresql"),
)


class BudgetRevision(_Row, table=True):
    """The terms of a budget from its entry on. The latest row of a name is in force."""

    __tablename__ = "budget_revisions"
    __table_args__ = (
        # The budgets of an account, each name's revisions in order.
        Index("budget_revisions_by_name", "account_id", "name", "entry_id"),
        CheckConstraint("name <> ''"),
        CheckConstraint("measure IN ('usd', 'tokens', 'requests')"),
        CheckConstraint("limit_units >= 0"),
        CheckConstraint("limit_pico BETWEEN 0 AND 999999999999"),
        CheckConstraint("removed IN (0, 1)"),
        _STRICT,
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    name: str = Field(sa_column=Column(_TEXT, nullable=False))
    measure: str = Field(sa_column=Column(_TEXT, nullable=False))
    limit_units: int = Field(sa_column=Column(_BIG, nullable=False))
    limit_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    model: str | None = Field(default=None, sa_column=Column(_TEXT))
    per: str | None = Field(default=None, sa_column=Column(_TEXT))
    timezone: str = Field(sa_column=Column(_TEXT, nullable=False))
    week_start: int = Field(sa_column=Column(_BIG, nullable=False))
    anchor_us: int | None = Field(default=None, sa_column=Column(_BIG))
    span_us: int | None = Field(default=None, sa_column=Column(_BIG))
    created_at: float = Field(
        sa_column=Column(Double().with_variant(REAL, "sqlite"), nullable=False)
    )
    removed: int = Field(sa_column=Column(_BIG, nullable=False))
    alert_at: str | None = Field(default=None, sa_column=Column(_TEXT))


class WindowShift(_Row, table=True):
    """The start of a new window of a budget by `Ledger.shift_window`.

    If ``turned`` is 1, the row only records that the window turned by itself, and starts none.
    """

    __tablename__ = "window_shifts"
    __table_args__ = (
        # The last shift at or before a moment, and the next one after it.
        Index("window_shifts_by_start", "account_id", "budget", "start_us"),
        CheckConstraint("budget <> ''"),
        CheckConstraint("turned IN (0, 1)"),
        _STRICT,
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    budget: str = Field(sa_column=Column(_TEXT, nullable=False))
    start_us: int = Field(sa_column=Column(_BIG, nullable=False))
    turned: int = Field(sa_column=Column(_BIG, nullable=False))


class ParentChange(_Row, table=True):
    """The parent of an account from its entry on; none if ``parent_id`` is NULL."""

    __tablename__ = "parent_changes"
    __table_args__ = (
        # The latest of an account: every hold and charge.
        Index("parent_changes_by_account", "account_id", "entry_id"),
        _STRICT,
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    parent_id: int | None = Field(default=None, sa_column=Column(_BIG, ForeignKey("accounts.id")))


class ThresholdCrossing(_Row, table=True):
    """An alert: spending in a window reached a share of the limit, or fell below it again."""

    __tablename__ = "threshold_crossings"
    __table_args__ = (
        # The alerts in force: charges of accounts with thresholds.
        Index("threshold_crossings_by_budget", "account_id", "budget", "threshold", "entry_id"),
        CheckConstraint("budget <> ''"),
        _STRICT,
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    budget: str = Field(sa_column=Column(_TEXT, nullable=False))
    measure: str = Field(sa_column=Column(_TEXT, nullable=False))
    threshold: str = Field(sa_column=Column(_TEXT, nullable=False))
    limit_units: int = Field(sa_column=Column(_BIG, nullable=False))
    limit_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    posted_units: int = Field(sa_column=Column(_BIG, nullable=False))
    posted_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    start_us: int | None = Field(default=None, sa_column=Column(_BIG))
    end_us: int | None = Field(default=None, sa_column=Column(_BIG))
    timezone: str = Field(sa_column=Column(_TEXT, nullable=False))


class PriceRevision(_Row, table=True):
    """The price of a model from ``effective_at_us`` on; its end if ``rates`` is NULL.

    If ``project_id`` is NULL, the price is for all projects. ``hash`` covers the row and the hash
    of the row before it.
    """

    __tablename__ = "price_revisions"
    __table_args__ = (
        # The price that a new one revises: set_price, remove_price.
        Index("price_revisions_by_model", "project_id", "model", "effective_at_us"),
        CheckConstraint("model <> ''"),
        CheckConstraint("length(hash) = 32"),
        _STRICT,
    )

    id: int | None = Field(
        default=None, sa_column=Column(_BIG, primary_key=True, autoincrement=False)
    )
    project_id: int | None = Field(default=None, sa_column=Column(_BIG, ForeignKey("projects.id")))
    model: str = Field(sa_column=Column(_TEXT, nullable=False))
    rates: str | None = Field(default=None, sa_column=Column(_TEXT))
    effective_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    recorded_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    note: str | None = Field(default=None, sa_column=Column(_TEXT))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DefaultBudgetRevision(_Row, table=True):
    """The budget that accounts of a kind get, from this row on. The latest of a kind is in force.

    ``anchored`` is 1 if windows start from the creation of each account's budget. ``hash`` covers
    the row and the hash of the row before it.
    """

    __tablename__ = "default_budget_revisions"
    __table_args__ = (
        # Whether a project has any, the latest of a kind: holds and charges.
        Index("default_budget_revisions_by_kind", "project_id", "kind", "id"),
        CheckConstraint("kind <> ''"),
        CheckConstraint("measure IN ('usd', 'tokens', 'requests')"),
        CheckConstraint("limit_units >= 0"),
        CheckConstraint("limit_pico BETWEEN 0 AND 999999999999"),
        CheckConstraint("anchored IN (0, 1)"),
        CheckConstraint("removed IN (0, 1)"),
        CheckConstraint("length(hash) = 32"),
        _STRICT,
    )

    id: int | None = Field(
        default=None, sa_column=Column(_BIG, primary_key=True, autoincrement=False)
    )
    project_id: int = Field(sa_column=Column(_BIG, ForeignKey("projects.id"), nullable=False))
    kind: str = Field(sa_column=Column(_TEXT, nullable=False))
    measure: str = Field(sa_column=Column(_TEXT, nullable=False))
    limit_units: int = Field(sa_column=Column(_BIG, nullable=False))
    limit_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    model: str | None = Field(default=None, sa_column=Column(_TEXT))
    per: str | None = Field(default=None, sa_column=Column(_TEXT))
    timezone: str = Field(sa_column=Column(_TEXT, nullable=False))
    week_start: int = Field(sa_column=Column(_BIG, nullable=False))
    anchor_us: int | None = Field(default=None, sa_column=Column(_BIG))
    span_us: int | None = Field(default=None, sa_column=Column(_BIG))
    anchored: int = Field(sa_column=Column(_BIG, nullable=False))
    alert_at: str | None = Field(default=None, sa_column=Column(_TEXT))
    removed: int = Field(sa_column=Column(_BIG, nullable=False))
    recorded_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ModelRun(_Row, table=True):
    """The last row of a run: rows of one model that follow each other in an account's journal.

    An index over the entries, which ``verify`` recounts: the last row of a model before any
    moment is the account's last row, or one of these. The current run has no row here.
    """

    __tablename__ = "model_runs"
    __table_args__ = ({"sqlite_strict": True, "sqlite_with_rowid": False},)

    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), primary_key=True))
    model: str = Field(sa_column=Column(_TEXT, primary_key=True))
    recorded_at_us: int = Field(sa_column=Column(_BIG, primary_key=True, autoincrement=False))
    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))


class Answer(_Row, table=True):
    """The totals, up to an entry, of an account's calls that another model answered.

    An index over the entries, which ``verify`` recounts. ``names`` has the model asked for and
    the one that answered, as a JSON array: names that are not one model, and snapshots that a
    budget on the account needs.
    """

    __tablename__ = "answers"
    __table_args__ = (
        CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), primary_key=True))
    names: str = Field(sa_column=Column(_TEXT, primary_key=True))
    recorded_at_us: int = Field(sa_column=Column(_BIG, primary_key=True, autoincrement=False))
    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    total_usd: int = Field(sa_column=Column(_BIG, nullable=False))
    total_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    total_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    total_requests: int = Field(sa_column=Column(_BIG, nullable=False))


class LateEntry(_Row, table=True):
    """An entry that belongs to an earlier time than it was recorded.

    An index over the entries, which ``verify`` recounts: budgets and reports count such a row
    where it belongs. ``within_us`` is the least power of two above the delay, 0 for a row that
    counts in no budget; ``names`` as in
    ``answers``.
    """

    __tablename__ = "late_entries"
    __table_args__ = (
        # The late rows that belong before a moment and were recorded since: balances, the first
        # hold in a window; and as the start of a rolling window moves: holds.
        Index(
            "late_entries_by_delay",
            *("account_id", "within_us", "recorded_at_us", "belongs_at_us"),
        ),
        Index("late_entries_by_time", "account_id", "recorded_at_us"),
        Index("late_entries_by_belonging", "account_id", "belongs_at_us"),
        CheckConstraint("belongs_at_us < recorded_at_us"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), primary_key=True))
    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    recorded_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    belongs_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    within_us: int = Field(sa_column=Column(_BIG, nullable=False))
    names: str | None = Field(default=None, sa_column=Column(_TEXT))


class PriorCost(_Row, table=True):
    """What a budget of ``*`` counts of the project's rows before it was set; see `PriorPart`.

    ``start_us`` is the start of its active window then; None for ever.
    """

    __tablename__ = "prior_costs"
    __table_args__ = (
        # The rows of an account: holds, balances, adjustments.
        Index("prior_costs_by_budget", "account_id", "budget", "entry_id"),
        _STRICT,
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), nullable=False))
    budget: str = Field(sa_column=Column(_TEXT, nullable=False))
    start_us: int | None = Field(default=None, sa_column=Column(_BIG))


class PriorPart(_Row, table=True):
    """The total of a `PriorCost`'s rows that belong up to a moment.

    For a rolling window each moment by itself; for another all at its start.
    """

    __tablename__ = "prior_parts"
    __table_args__ = (
        CheckConstraint("total_pico BETWEEN 0 AND 999999999999"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    entry_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    belongs_at_us: int = Field(sa_column=Column(_BIG, primary_key=True, autoincrement=False))
    total_usd: int = Field(sa_column=Column(_BIG, nullable=False))
    total_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    total_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    total_requests: int = Field(sa_column=Column(_BIG, nullable=False))


class OpenHold(_Row, table=True):
    """A hold that is not closed yet; one row for each account it counts against.

    An index over the entries, which ``verify`` recounts, so rows are deleted when holds close.
    ``path`` has the ids of the accounts above the hold's own when it was granted. ``model`` is
    the hold's; for an alias of a router, a JSON array of it and of the models that may answer.
    """

    __tablename__ = "open_holds"
    __table_args__ = ({"sqlite_strict": True, "sqlite_with_rowid": False},)

    account_id: int = Field(sa_column=Column(_BIG, ForeignKey("accounts.id"), primary_key=True))
    hold_id: int = Field(sa_column=Column(_BIG, ForeignKey("entries.id"), primary_key=True))
    expires_at_us: int = Field(sa_column=Column(_BIG, nullable=False))
    model: str | None = Field(default=None, sa_column=Column(_TEXT))
    held_pico: int = Field(sa_column=Column(_BIG, nullable=False))
    held_tokens: int = Field(sa_column=Column(_BIG, nullable=False))
    path: str = Field(sa_column=Column(_TEXT, nullable=False))
