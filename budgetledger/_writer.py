"""The one queue where callers' writes meet: one transaction commits for all who wait.

A caller queues its operation and waits for its turn. Whoever's turn it is writes everything
queued so far in one transaction, so that callers waiting behind a slow sync share the next
one; most then find their turn already done. Each keeps its own outcome: an operation that
raises undoes only itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from sqlite3 import Connection, Cursor
from threading import Lock
from typing import Any, Protocol, TypeVar

from budgetledger._lock import ProcessLock

T = TypeVar("T")


class Execute(Protocol):
    """Runs one statement inside the transaction."""

    def __call__(self, sql: str, parameters: Any = ..., /) -> Cursor: ...


_MOST_AT_ONCE = 256  # keeps one transaction short for whoever waits in another process


class _Batch:
    """Requests that share one transaction, and so one end."""

    __slots__ = ("ended", "failure")

    def __init__(self) -> None:
        self.ended = False
        self.failure: Exception | None = None


class _Request:
    __slots__ = ("batch", "error", "given_up", "operation", "result")

    def __init__(self, operation: Callable[[Execute], Any]) -> None:
        self.operation = operation
        self.batch: _Batch | None = None
        self.given_up = False
        self.result: Any = None
        self.error: Exception | None = None

    @property
    def finished(self) -> bool:
        return self.given_up or (self.batch is not None and self.batch.ended)


class Writer:
    """Runs operations on one connection, each durable when `run` returns.

    *open_connection* is called, in the writer's turn, when there is no connection; it is to
    `attach` one.
    """

    def __init__(self, open_connection: Callable[[], object]) -> None:
        self._open_connection = open_connection
        self._connection: Connection | None = None
        self._process_lock: ProcessLock
        self._queue: deque[_Request] = deque()
        self.turn = Lock()
        """Held by whoever writes; the connection is free for others while they hold it."""

    def attach(self, connection: Connection, process_lock: ProcessLock) -> None:
        """Write on *connection* from now on, while holding *process_lock*."""
        self._connection, self._process_lock = connection, process_lock

    def detach(self) -> None:
        """Write no more on the connection there was."""
        self._connection = None

    def forget_queue(self) -> None:
        """Drop what is queued: its callers are threads that a fork did not copy."""
        self._queue.clear()

    def run(self, operation: Callable[[Execute], T]) -> T:
        """*operation*'s result, once its rows are committed; or what it raised, without rows.

        *operation* may be called again after a failure that was not its own, so it keeps its
        effects inside the transaction.
        """
        if not self._queue and not self.turn.locked():
            with self.turn:  # nobody waits: no need to queue
                return self._transact(operation)
        request = _Request(operation)
        self._queue.append(request)
        try:
            with self.turn:
                while not request.finished:
                    self._write_queued()
        except BaseException:
            request.given_up = True  # if it was not written yet, it never will be
            raise
        assert request.batch is not None
        error = request.batch.failure or request.error
        if error is not None:
            raise error
        result: T = request.result
        return result

    def exclusively(self, action: Callable[[], T]) -> T:
        """Run *action* while nobody, in any process, writes."""
        with self.turn:
            if self._connection is None:  # closed meanwhile
                return action()
            self._process_lock.acquire()
            try:
                return action()
            finally:
                self._process_lock.release()

    def _write_queued(self) -> None:
        """Write what is queued in one transaction; requests leave the queue when finished.

        An interrupt (KeyboardInterrupt and its like) concerns this thread alone: the others'
        requests stay queued, unless the transaction was committed already.
        """
        waiting = [request for request in self._queue.copy() if not request.finished]
        batch = _Batch()

        def run_each(execute: Execute) -> None:
            for request in waiting[:_MOST_AT_ONCE]:
                request.batch = batch
                _run_apart(execute, request)

        try:
            self._transact(run_each, batch)
        except Exception as error:
            for request in waiting[:_MOST_AT_ONCE]:
                request.batch = batch
            batch.failure = error
            batch.ended = True
        while self._queue and self._queue[0].finished:
            self._queue.popleft()

    def _transact(self, operation: Callable[[Execute], T], batch: _Batch | None = None) -> T:
        """Run *operation* in a transaction; *batch* ends, at one stroke, when it is committed."""
        if self._connection is None:
            self._open_connection()
        connection, lock = self._connection, self._process_lock
        assert connection is not None
        execute = connection.execute
        committing = False
        try:
            lock.acquire()
            execute("BEGIN IMMEDIATE")
            result = operation(execute)
            committing = True
            execute("COMMIT")
            if batch is not None:
                batch.ended = True
            return result
        except BaseException as error:
            if connection.in_transaction:  # a full disk ends it by itself
                execute("ROLLBACK")
            elif batch is not None and committing and not isinstance(error, Exception):
                batch.ended = True  # interrupted between the commit and the line after it
            raise
        finally:
            lock.release()


def _run_apart(execute: Execute, request: _Request) -> None:
    """Run one of several: what it raises undoes its own rows only."""
    execute("SAVEPOINT one")
    request.error = None
    try:
        request.result = request.operation(execute)
    except Exception as error:
        execute("ROLLBACK TO one")
        request.error = error
    execute("RELEASE one")
