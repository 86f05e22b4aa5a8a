"""PostgreSQL: connections, statements, and PostgreSQL's errors as those of this package.

A connection here has the methods of sqlite3's and outlives the driver's: after a restart of the
server, the next transaction opens a new one. All writers of a ledger take turns by an advisory
lock that lasts as long as their transaction, so it works behind pgbouncer too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, Literal

from budgetledger.errors import (
    InvalidInput,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
)
from budgetledger.storage.dialect import LONG, for_postgres, hash_written_by
from budgetledger.storage.postgres.url import Address

try:
    import psycopg as psycopg  # the other modules import it from here, for the message below
    from psycopg import conninfo, pq
    from psycopg.abc import Buffer
    from psycopg.adapt import Dumper
except ImportError as error:
    raise StoreError(
        "a ledger on PostgreSQL needs psycopg; pip install 'budgetledger[postgres]'"
    ) from error

APPLICATION_ID = 0x62676C72
PATIENCE_SECONDS = 10.0
"""How long to try to reach a lost server again."""

LOCK_SECONDS = 60
"""How long to wait for another writer, and how long the server lets a transaction idle."""

_PORTION = 2000  # rows of a long statement in memory
_DEFAULTS: dict[str, Any] = {  # detect a vanished server within a minute
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "budgetledger",
}


class Again(StoreBusy):
    """The transaction was undone by a lost connection, or for another one: run it again."""


class Patience:
    """Waits between attempts, longer each time, until `PATIENCE_SECONDS` have passed."""

    def __init__(self) -> None:
        self._end = monotonic() + PATIENCE_SECONDS
        self._pause = 0.01

    def wait(self, error: Again) -> None:
        """Wait before the next attempt. Raises `StoreBusy` once the time is up."""
        if monotonic() > self._end:
            raise StoreBusy(str(error), target=error.target) from error.__cause__
        sleep(self._pause)
        self._pause = min(2 * self._pause, 0.5)


class _Integer(Dumper):
    """Sends an integer as text without a type: otherwise each size of integer, and NULL, would
    need a prepared statement of its own."""

    def dump(self, obj: int) -> Buffer:
        return str(obj).encode()

    quote = dump  # used where the driver writes values into a statement


class Rows(psycopg.Cursor[tuple[Any, ...]]):
    """The rows of a statement, and the id of an inserted row."""

    lastrowid: int | None = None


class Connection:
    """A connection for reading, each transaction on one snapshot."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_closed = False
        self.renewals = 0
        """How often the connection was lost and opened again."""
        self._controls: dict[str, Callable[[], object]] = {
            "BEGIN": self._begin,
            "COMMIT": self._end,
            "ROLLBACK": self._end,
        }
        self._begin_text = (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
            f"SET LOCAL search_path = {address.quoted_schema}"
        ).encode()
        self._driver: psycopg.Connection[tuple[Any, ...]] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.shown!r})"

    @property
    def driver(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The driver's own connection, opened when it is first needed."""
        if self._driver is None:
            self._driver = connect(self._address)
        return self._driver

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open and its connection is not lost."""
        driver = self._driver
        return driver is not None and driver.pgconn.transaction_status in _IN_TRANSACTION

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run a statement that is compiled for sqlite3. Raises errors of this package only."""
        control = self._controls.get(sql)
        if control is not None:
            return control()
        statement, returns_id = for_postgres(sql)
        if sql.startswith(LONG):
            return self._in_portions(statement, parameters)
        try:
            cursor = Rows(self.driver)
            cursor.execute(statement, parameters, prepare=True)
            if returns_id:
                self._inserted(cursor, sql, parameters)
        except psycopg.Error as error:
            raise self._translated(error) from error
        return cursor

    def close(self) -> None:
        """Close the connection, which undoes an open transaction."""
        self._is_closed = True
        if self._driver is not None:
            self._driver.close()

    def _in_portions(self, statement: str, parameters: Any) -> Iterator[Any]:
        try:
            with self.driver.cursor(name="rows") as cursor:
                cursor.itersize = _PORTION
                yield from cursor.execute(statement, parameters)
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _inserted(self, cursor: Rows, sql: str, parameters: Any) -> None:
        raise NotImplementedError

    # -- transactions ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._ensure()
        self._at_once(self._begin_text)

    def _end(self) -> None:
        """Roll back; without a connection the server does so by itself."""
        try:
            self.driver.pgconn.exec_(b"ROLLBACK")
        except psycopg.Error:
            self.driver.close()

    def _at_once(self, statements: bytes) -> pq.abc.PGresult:
        """Run *statements* in half the time that a cursor takes. An interrupt does not end it."""
        pgconn = self.driver.pgconn
        try:
            result = pgconn.exec_(statements)
        except psycopg.Error as error:
            raise self._translated(error) from error
        if result.status not in _DONE:
            failure = psycopg.errors.error_from_result(result)
            raise self._translated(failure) from failure
        return result

    # -- reaching the server ---------------------------------------------------------------------

    def _ensure(self) -> None:
        """Reopen a lost connection. Raises `Again` if the server cannot be reached."""
        if self._is_closed:
            raise closed(self._address.shown)
        if self.driver.closed:
            try:
                self._driver = connect(self._address)
            except StoreNotFound as error:
                raise Again(str(error), target=error.target) from error.__cause__
            self.renewals += 1

    def _translated(self, error: psycopg.Error) -> StoreError:
        state = error.sqlstate or ""
        # An error without a state is not the server's: the statement may not have reached it.
        is_lost = self.driver.closed or state.startswith(_LOST) or (
            not state and type(error) in (psycopg.DatabaseError, psycopg.OperationalError)
        )  # fmt: skip
        if is_lost:
            self.driver.close()  # psycopg may report it only at the next statement
        return translated(error, self._address.shown, is_lost=is_lost)


class WritingConnection(Connection):
    """A connection for writing, one transaction of a ledger at a time."""

    def __init__(self, address: Address, synchronous: Literal["FULL", "NORMAL"]) -> None:
        super().__init__(address)
        self._controls |= {
            "BEGIN IMMEDIATE": self._begin,
            "COMMIT": self._commit,
            "SAVEPOINT one": self._save,
            "ROLLBACK TO one": self._undo,
            "RELEASE one": lambda: self._at_once(b"RELEASE one"),
        }
        turn = f"{APPLICATION_ID}, {address.lock}"
        # Set for the transaction only: behind pgbouncer the next may have another connection.
        self._begin_text = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"SET LOCAL search_path = {address.quoted_schema}; "
            f"SET LOCAL synchronous_commit = {'on' if synchronous == 'FULL' else 'off'}; "
            f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{LOCK_SECONDS}s'; "
            f"SELECT pg_try_advisory_xact_lock({turn})"
        ).encode()
        self._turn_text = f"SELECT pg_advisory_xact_lock({turn})"
        # The last row with a hash that the transaction wrote: its table, id, xmin and hash.
        self._written: tuple[Any, ...] | None = None
        self._saved: tuple[Any, ...] | None = None
        self._spoiled: Again | None = None

    def _begin(self) -> None:
        self._ensure()
        self._written = self._saved = self._spoiled = None
        if self._at_once(self._begin_text).get_value(0, 0) != b"t":
            try:
                self.driver.execute(self._turn_text)  # an interrupt ends this wait
            except psycopg.Error as error:
                raise self._translated(error) from error

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """See `Connection.execute`."""
        if self._spoiled is not None and sql != "ROLLBACK" and sql != "BEGIN IMMEDIATE":
            raise self._spoiled  # all is undone, even if the caller caught the first error
        try:
            return super().execute(sql, parameters)
        except Again as error:
            self._spoiled = error
            raise

    def _inserted(self, cursor: Rows, sql: str, parameters: Any) -> None:
        row = cursor.fetchone()
        assert row is not None
        cursor.lastrowid = row[0]
        hashed = hash_written_by(sql)
        if hashed is not None:
            self._written = (hashed.table, *row, parameters[hashed.place])

    def _save(self) -> None:
        self._saved = self._written
        self._at_once(b"SAVEPOINT one")

    def _undo(self) -> None:
        self._written = self._saved
        self._at_once(b"ROLLBACK TO one")

    def _commit(self) -> None:
        pgconn = self.driver.pgconn
        try:
            result = pgconn.exec_(b"COMMIT")
        except psycopg.Error as error:
            return self._resolve_commit(error)
        if result.status == pq.ExecStatus.COMMAND_OK:
            assert result.command_status == b"COMMIT"
            return None
        failure = psycopg.errors.error_from_result(result)
        store_error = self._translated(failure)
        if isinstance(store_error, Again) and self.driver.closed:
            return self._resolve_commit(failure)
        raise store_error from failure

    def _resolve_commit(self, cause: psycopg.Error) -> None:
        """After a connection is lost in a commit: return if that succeeded, else raise `Again`."""
        self.driver.close()
        patience, written = Patience(), self._written
        while True:
            try:
                # Under the lock, which the lost transaction holds while it still runs.
                self._begin()
                is_committed = written is not None and self._is_committed(*written)
                self._end()
                break
            except Again as error:
                try:
                    patience.wait(error)
                except StoreBusy:
                    raise StoreError(
                        f"the connection to {self._address.shown} was lost during a commit and "
                        "could not be restored; the entry may or may not be recorded; list the "
                        "entries, or retry with the same key",
                        target=self._address.shown,
                    ) from cause
        self._written = None
        if not is_committed:
            raise translated(cause, self._address.shown, is_lost=True) from cause

    def _is_committed(self, table: str, *row: Any) -> bool:
        statement = f"SELECT 1 FROM {table} WHERE id = ? AND xmin = CAST(? AS xid) AND hash = ?"
        return self.execute(statement, row).fetchone() is not None


_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_IN_TRANSACTION = (
    pq.TransactionStatus.INTRANS,
    pq.TransactionStatus.INERROR,
    pq.TransactionStatus.ACTIVE,
)
_LOST = ("08", "57P", "25P03")  # connection exceptions, shutdowns, idle for too long
_SOON = ("starting up", "shutting down", "not yet accepting")
_AGAIN = ("40001", "40P01")  # serialization failure, deadlock


def connect(address: Address) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a driver's connection. Raises `StoreNotFound` if the server cannot be reached."""
    shown = address.shown
    try:
        settings = conninfo.conninfo_to_dict(address.conninfo)
    except psycopg.Error:
        # The driver's message may repeat what it takes for a port, which may be a password.
        raise InvalidInput(
            "this PostgreSQL URL cannot be read; pass one such as "
            "'postgresql+psycopg://user:password@host:5432/database', with %-escapes for special "
            "characters in the password"
        ) from None
    patience = Patience()
    while True:
        try:
            driver = psycopg.connect(**(_DEFAULTS | settings), autocommit=True)
            break
        except psycopg.OperationalError as error:
            what = _first_line(error)
            unreachable = StoreNotFound(
                f"{shown} cannot be reached ({what}); nothing was recorded; start the server, or "
                "correct the URL, and retry",
                target=shown,
            )
            if not any(state in what for state in _SOON):
                raise unreachable from error
            patience.wait(Again(str(unreachable), target=shown))
        except psycopg.Error as error:
            raise translated(error, shown) from error
    driver.prepared_max = 512
    driver.adapters.register_dumper(int, _Integer)
    return driver


def translated(error: psycopg.Error, target: str, *, is_lost: bool = False) -> StoreError:
    """The error of this package for one of PostgreSQL."""
    state = error.sqlstate or ""
    if is_lost or state in _AGAIN:
        what = "lost the connection" if is_lost else "undid the transaction in favour of another"
        return Again(
            f"{target} {what} ({_first_line(error)}); nothing was recorded; retry",
            target=target,
        )
    for length in (5, 2):
        if state[:length] in _BY_STATE:
            kind, message = _BY_STATE[state[:length]]
            return kind(f"{target} {message} ({_first_line(error)})", target=target)
    return StoreError(
        f"{target} failed: {_first_line(error)}; nothing was recorded; see the server's log",
        target=target,
    )


def closed(target: str) -> StoreClosed:
    """The error for a ledger that is used after it was closed."""
    return StoreClosed(f"{target} was closed; open it again with Ledger(...)", target=target)


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]


_UPGRADED = (
    StoreError,
    "was upgraded by a newer budgetledger, or its tables were changed, while it was open; nothing "
    "was recorded; restart this program",
)
_POOLED = (
    StoreError,
    "is behind a pooler that mixes up prepared statements; nothing was recorded; use its session "
    "mode, or pgbouncer 1.22 or later with max_prepared_statements",
)
_BY_STATE: dict[str, tuple[type[StoreError], str]] = {
    "55P03": (StoreBusy, "stayed locked by another writer; nothing was recorded; retry"),
    "57014": (StoreBusy, "took longer than the server allows; nothing was recorded; retry"),
    "25006": (StoreReadOnly, "is read-only; name the primary server, not a standby"),
    "42501": (StoreReadOnly, "does not permit this to its user; grant the missing privilege"),
    "3D000": (StoreNotFound, "has no such database; create it first: createdb"),
    "53100": (StoreFull, "has no room left on its disk; nothing was recorded; make room and retry"),
    "53": (StoreBusy, "has no resources left; nothing was recorded; retry"),
    "26000": _POOLED,
    "42P05": _POOLED,
    "42P01": _UPGRADED,
    "42703": _UPGRADED,
    "3F000": _UPGRADED,
}
