"""A ledger on PostgreSQL: its connections, and what happens when they are lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from budgetledger.errors import StoreBusy
from budgetledger.storage import schema as _migrate
from budgetledger.storage.postgres.connection import (
    Again,
    Connection,
    Patience,
    WritingConnection,
    closed,
    psycopg,
)
from budgetledger.storage.postgres.listening import Listener
from budgetledger.storage.postgres.schema import inspection, revision, upgrade
from budgetledger.storage.postgres.url import address_of
from budgetledger.storage.process_lock import NoLock
from budgetledger.storage.protocols import Execute
from budgetledger.storage.store import Store, Watch
from budgetledger.storage.writer import Writer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from budgetledger.storage.writer import _Batch

T = TypeVar("T")


def exists(target: str) -> bool:
    """Whether there is a ledger at the URL *target*."""
    address = address_of(target)
    with closing(Connection(address)) as connection:
        return revision(address, connection) is not None


class PostgresStore(Store):
    """See `Store`; ``path`` is the URL without its password."""

    def _locate(self, target: str | os.PathLike[str]) -> str:
        self._address = address_of(target)
        self.inspection = inspection(self._address)
        return self._address.shown

    def _make_writer(self) -> Writer:
        return _PatientWriter(self._open, self._count_up)

    def _open(self) -> _Connections:
        if self._closed:
            raise closed(self.path)
        if isinstance(self._files, _Connections):
            return self._files
        connections = _Connections(
            WritingConnection(self._address, self._synchronous), Connection(self._address)
        )
        try:
            current = revision(self._address, connections.reading)
            if current != _migrate.HEAD:
                _migrate.prepare(current, self.path)
                upgrade(self._address)
        except BaseException:
            connections.close()
            raise
        self._keep(connections)
        self._writer.attach(connections.writing, NoLock())
        return connections

    @property
    def renewals(self) -> int:
        """See `Store.renewals`."""
        files = self._files
        return files.renewals if isinstance(files, _Connections) else 0

    def read(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* on one snapshot; again on another if the connection is lost."""
        patience = None
        while True:
            try:
                return super().read(operation)
            except Again as error:
                patience = patience or Patience()
                patience.wait(error)

    def watch(self) -> Watch:
        """See `Store.watch`."""
        return Listener(self._address)

    @contextmanager
    def reading_apart(self) -> Iterator[Connection]:
        """One snapshot on a connection of its own, for long reads."""
        with self._connected_apart() as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT 1")  # the first statement fixes the snapshot
            yield connection

    @contextmanager
    def session_engine(self) -> Iterator[Engine]:
        """An SQLAlchemy engine on one snapshot, read-only."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool

        with self._connected_apart() as connection:
            engine = create_engine(
                "postgresql+psycopg://",
                creator=lambda: connection.driver,
                poolclass=StaticPool,
                execution_options={"schema_translate_map": {None: self._address.schema}},
            )
            engine.connect().close()  # a first connect runs queries and would end the snapshot
            driver = connection.driver
            driver.set_autocommit(False)  # for every later transaction too, as after a rollback
            driver.set_read_only(True)
            driver.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            driver.execute(f"SET LOCAL search_path = {self._address.quoted_schema}".encode())
            driver.execute(b"SELECT 1")  # the first statement fixes the snapshot
            yield engine

    @contextmanager
    def _connected_apart(self) -> Iterator[Connection]:
        if self._closed:
            raise closed(self.path)
        with closing(Connection(self._address)) as connection:
            try:
                yield connection
            except Again as error:
                raise StoreBusy(str(error), target=self.path) from error.__cause__


class _Connections:
    """What a store has open; apart from the store, so that it can be closed after it."""

    def __init__(self, writing: WritingConnection, reading: Connection) -> None:
        self.writing, self.reading = writing, reading

    @property
    def renewals(self) -> int:
        """How often either of them was opened again."""
        return self.reading.renewals + self.writing.renewals

    def close(self) -> None:
        """Close both."""
        self.reading.close()
        self.writing.close()


class _PatientWriter(Writer):
    """Repeats a transaction that fails with `Again`."""

    def _transact(self, operation: Callable[[Execute], T], batch: _Batch | None = None) -> T:
        patience = None
        while True:
            try:
                return super()._transact(operation, batch)
            except Again as error:
                patience = patience or Patience()
                try:
                    patience.wait(error)
                except StoreBusy as final:
                    super()._fail_queued(final)
                    raise

    def _fail_queued(self, error: Exception) -> None:
        if not isinstance(error, Again):
            super()._fail_queued(error)
