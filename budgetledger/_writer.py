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


class _Request:
    __slots__ = ("error", "finished", "operation", "result")

    def __init__(self, operation: Callable[[Execute], Any]) -> None:
        self.operation = operation
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs operations on one connection, each durable when `run` returns."""

    def __init__(self, connection: Connection, process_lock: ProcessLock) -> None:
        self._connection = connection
        self._execute: Execute = connection.execute
        self._process_lock = process_lock
        self._queue: deque[_Request] = deque()
        self.turn = Lock()
        """Held by whoever writes; the connection is free for others while they hold it."""

    def run(self, operation: Callable[[Execute], T]) -> T:
        """*operation*'s result, once its rows are committed; or what it raised, without rows.

        *operation* may be called again after a failure that was not its own, so it keeps its
        effects inside the transaction.
        """
        if not self._queue and self.turn.acquire(blocking=False):
            try:  # nobody waits: no queue, and half the work
                return self._transact(operation)
            finally:
                self.turn.release()
        request = _Request(operation)
        self._queue.append(request)
        with self.turn:
            if not request.finished:
                self._write_queued(request)
        if request.error is not None:
            raise request.error
        result: T = request.result
        return result

    def exclusively(self, action: Callable[[], T]) -> T:
        """Run *action* while nobody, in any process, writes."""
        with self.turn:
            self._process_lock.acquire()
            try:
                return action()
            finally:
                self._process_lock.release()

    def _write_queued(self, own: _Request) -> None:
        queue = self._queue
        batch = [queue.popleft() for _ in range(min(len(queue), _MOST_AT_ONCE))]
        if own not in batch:
            batch.append(own)
            queue.remove(own)

        def run_each(execute: Execute) -> None:
            for request in batch:
                _run_apart(execute, request)

        try:
            self._transact(run_each)
        except BaseException as error:
            # What failed was the transaction, so nobody's rows exist. An interrupt concerns
            # this thread alone: the others' requests go back to the queue they waited in.
            interrupted = not isinstance(error, Exception)
            for request in reversed(batch):
                if interrupted and request is not own:
                    request.error = None
                    queue.appendleft(request)
                else:
                    request.error, request.finished = error, True
            if interrupted:
                raise
        else:
            for request in batch:
                request.finished = True

    def _transact(self, operation: Callable[[Execute], T]) -> T:
        execute, lock = self._execute, self._process_lock
        lock.acquire()
        try:
            execute("BEGIN IMMEDIATE")
            try:
                result = operation(execute)
                execute("COMMIT")
                return result
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    execute("ROLLBACK")
                raise
        finally:
            lock.release()


def _run_apart(execute: Execute, request: _Request) -> None:
    execute("SAVEPOINT one")
    try:
        request.result = request.operation(execute)
    except Exception as error:
        execute("ROLLBACK TO one")
        request.error = error
    execute("RELEASE one")
