"""Runs the revisions on the connection budgetledger hands over, or on BUDGETLEDGER_DB."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, MetaData, create_engine


def run(connection: Connection, declared: MetaData | None = None) -> None:
    context.configure(
        connection=connection,
        target_metadata=declared,
        transactional_ddl=True,  # SQLite's DDL is transactional; the caller's BEGIN covers it all
    )
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run(handed_over)
else:  # `alembic check`, `alembic revision --autogenerate` in a checkout
    from budgetledger.tables import metadata

    with create_engine(f"sqlite:///{os.environ['BUDGETLEDGER_DB']}").begin() as opened:
        run(opened, metadata)
