"""PostgreSQL itself: connections, how statements are put to it, and what its errors mean.

A connection here takes the calls of sqlite3's, and outlives the driver's own one: when the
server restarts, the next transaction finds a new one. All writers of a ledger take turns, by
an advisory lock that lasts as long as their transaction, so it works behind pgbouncer too.
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
"""How long to try to reach a server again that went away."""

LOCK_SECONDS = 60
"""How long to wait for another writer; and how long the server waits for one that stopped."""

_PORTION = 2000  # rows of a long statement in memory
_DEFAULTS: dict[str, Any] = {  # a server that vanished is noticed within a minute
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "budgetledger",
}


class Again(StoreBusy):
    """The transaction came to nothing through no fault of its own: run it again."""


class Patience:
    """Waits between trials, a little longer each time, and at some time no more."""

    def __init__(self) -> None:
        self._end = monotonic() + PATIENCE_SECONDS
        self._pause = 0.01

    def wait(self, error: Again) -> None:
        """Wait before the next trial. Raises `StoreBusy` once it has been long enough."""
        if monotonic() > self._end:
            raise StoreBusy(str(error), target=error.target) from error.__cause__
        sleep(self._pause)
        self._pause = min(2 * self._pause, 0.5)


class _Integer(Dumper):
    """An integer as text of no declared type: each size of a number, and NULL, would be another
    statement to prepare."""

    def dump(self, obj: int) -> Buffer:
        return str(obj).encode()

    quote = dump  # where the driver itself writes a statement


class Found(psycopg.Cursor[tuple[Any, ...]]):
    """What a statement found."""

    lastrowid: int | None = None


class Connection:
    """A connection for reading, each transaction on one snapshot."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_closed = False
        self.renewals = 0
        """How often it was lost, and made again."""
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
        """Whether one was begun, and its connection stands."""
        driver = self._driver
        return driver is not None and driver.pgconn.transaction_status in _IN_TRANSACTION

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run a statement, compiled for sqlite3. Raises errors of this package only."""
        control = self._controls.get(sql)
        if control is not None:
            return control()
        statement, returns_id = for_postgres(sql)
        if sql.startswith(LONG):
            return self._in_portions(statement, parameters)
        try:
            cursor = Found(self.driver)
            cursor.execute(statement, parameters, prepare=True)
            if returns_id:
                self._inserted(cursor, sql, parameters)
        except psycopg.Error as error:
            raise self._translated(error) from error
        return cursor

    def close(self) -> None:
        """Give the connection back; a transaction in it is undone."""
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

    def _inserted(self, cursor: Found, sql: str, parameters: Any) -> None:
        raise NotImplementedError

    # -- transactions ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._ensure()
        self._at_once(self._begin_text)

    def _end(self) -> None:
        """End a transaction that leaves nothing behind; the server does if it is not reached."""
        try:
            self.driver.pgconn.exec_(b"ROLLBACK")
        except psycopg.Error:
            self.driver.close()

    def _at_once(self, statements: bytes) -> pq.abc.PGresult:
        """Run *statements* in half the time that a cursor takes; no interrupt ends it."""
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
        """Have a connection that was not lost. Raises `Again` while there is none to be had."""
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
        # Without a state the server did not say it: the statement may not have reached it.
        is_lost = self.driver.closed or state.startswith(_LOST) or (
            not state and type(error) in (psycopg.DatabaseError, psycopg.OperationalError)
        )  # fmt: skip
        if is_lost:
            self.driver.close()  # it may say so only at the next statement
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
        # Set for the transaction only: behind pgbouncer the next one may run elsewhere.
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
                self.driver.execute(self._turn_text)  # which an interrupt does end
            except psycopg.Error as error:
                raise self._translated(error) from error

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """See `Connection.execute`."""
        if self._spoiled is not None and sql != "ROLLBACK" and sql != "BEGIN IMMEDIATE":
            raise self._spoiled  # whoever caught it: not this statement alone, all is undone
        try:
            return super().execute(sql, parameters)
        except Again as error:
            self._spoiled = error
            raise

    def _inserted(self, cursor: Found, sql: str, parameters: Any) -> None:
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
            return self._find_out(error)
        if result.status == pq.ExecStatus.COMMAND_OK:
            assert result.command_status == b"COMMIT"
            return None
        failure = psycopg.errors.error_from_result(result)
        told = self._translated(failure)
        if isinstance(told, Again) and self.driver.closed:
            return self._find_out(failure)
        raise told from failure

    def _find_out(self, cause: psycopg.Error) -> None:
        """The connection was lost amid a commit: return if it was made, else raise `Again`."""
        self.driver.close()
        patience, written = Patience(), self._written
        while True:
            try:
                # With the lock, as the lost transaction, if it still runs, has it till its end.
                self._begin()
                found = written is not None and self._is_there(*written)
                self._end()
                break
            except Again as error:
                try:
                    patience.wait(error)
                except StoreBusy:
                    raise StoreError(
                        f"the connection to {self._address.shown} was lost amid a commit, and "
                        "could not be made again; what was being recorded may be there or not; "
                        "look, or retry with the same key",
                        target=self._address.shown,
                    ) from cause
        self._written = None
        if not found:
            raise translated(cause, self._address.shown, is_lost=True) from cause

    def _is_there(self, table: str, *row: Any) -> bool:
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
    """A connection of the driver. Raises `StoreNotFound` if the server cannot be reached."""
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
    """budgetledger's own error for what PostgreSQL reported."""
    state = error.sqlstate or ""
    if is_lost or state in _AGAIN:
        what = "lost the connection" if is_lost else "undid the transaction for another's sake"
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
    "was upgraded by a newer budgetledger meanwhile, or somebody changed its tables; nothing was "
    "recorded; restart this program",
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
    "42501": (StoreReadOnly, "may not be used so by this user; grant what is missing"),
    "3D000": (StoreNotFound, "has no such database; create it first: createdb"),
    "53100": (StoreFull, "has no room left on its disk; nothing was recorded; make room and retry"),
    "53": (StoreBusy, "has no resources left; nothing was recorded; retry"),
    "26000": _POOLED,
    "42P05": _POOLED,
    "42P01": _UPGRADED,
    "42703": _UPGRADED,
    "3F000": _UPGRADED,
}
