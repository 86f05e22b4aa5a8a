"""The write queue: one transaction commits for all callers that wait.

If no other write is running, a caller writes at once. Otherwise callers queue, and the first
of them becomes the leader: it waits for its turn and then writes everything queued in one
transaction, so that callers waiting behind a slow sync share the next one. The others sleep
until they are woken. Tasks queue without waiting; if one of them would have to lead, a helper
thread does. Each caller keeps its own outcome: an operation that raises undoes only itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from math import inf
from operator import attrgetter
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from budgetledger.storage.on_demand_thread import OnDemandThread
from budgetledger.storage.process_lock import LockTimeout, ProcessLock
from budgetledger.storage.protocols import Connection, Execute

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

T = TypeVar("T")


class Reentered(Exception):
    """This thread is already in a write: a finaliser or signal handler runs inside it."""


_MOST_AT_ONCE = 256  # keeps a transaction short for writers in other processes
_LOOK_AGAIN_SECONDS = 1.0  # in case a leader, interrupted twice, woke no one


class _Batch:
    """Requests that share one transaction, and so its end."""

    __slots__ = ("ended", "failure")

    def __init__(self) -> None:
        self.ended = False
        self.failure: BaseException | None = None


class _Request:
    """A write that a thread has queued; the thread sleeps until `wake`."""

    __slots__ = ("_woken", "batch", "error", "given_up", "operation", "result")

    def __init__(self, operation: Callable[[Execute], Any]) -> None:
        self.operation = operation
        self.batch: _Batch | None = None
        self.given_up = False
        self.result: Any = None
        self.error: Exception | None = None
        self._woken = Lock()
        self._woken.acquire()

    @property
    def finished(self) -> bool:
        return self.given_up or (self.batch is not None and self.batch.ended)

    def outcome(self) -> Any:
        """Return the operation's result, or raise its exception or that of its batch."""
        assert self.batch is not None
        failure = self.batch.failure or self.error
        if failure is not None:
            raise failure
        return self.result

    def wait(self) -> None:
        """Sleep until `wake`, or `_LOOK_AGAIN_SECONDS` at most."""
        self._woken.acquire(timeout=_LOOK_AGAIN_SECONDS)

    def wake(self) -> None:
        """Wake the caller: its request is finished, or it may have to lead."""
        with suppress(RuntimeError):  # already woken
            self._woken.release()


class _AwaitedRequest(_Request):
    """A write that a task has queued; the task awaits *future*, in *loop*.

    *on_result* is called there with the result, even if the task was cancelled.
    """

    __slots__ = ("future", "loop", "on_result")

    def __init__(
        self,
        operation: Callable[[Execute], Any],
        loop: AbstractEventLoop,
        on_result: Callable[[Any], object] | None,
    ) -> None:
        super().__init__(operation)
        self.loop, self.on_result = loop, on_result
        self.future: Future[None] = loop.create_future()


class _DetachedRequest(_Request):
    """A write that a thread has queued from inside another write; no caller waits for it.

    *on_result* is called with the result, in the thread that wrote it.
    """

    __slots__ = ("on_result",)

    def __init__(
        self, operation: Callable[[Execute], Any], on_result: Callable[[Any], object] | None
    ) -> None:
        super().__init__(operation)
        self.on_result = on_result

    def wake(self) -> None:
        """Call *on_result* with the result; no thread sleeps on this request."""
        on_result, self.on_result = self.on_result, None
        if on_result is not None and self.finished:
            with suppress(Exception):  # as `outcome` raises it
                on_result(self.outcome())


_THE_HELPER = _Request(lambda execute: None)
"""Stands for the helper, when it leads next on behalf of tasks."""


def _resume(requests: list[_AwaitedRequest]) -> None:
    """Resume the tasks of *requests* that still wait. Runs in their loop."""
    for request in requests:
        on_result, request.on_result = request.on_result, None  # this may run twice
        if on_result is not None:
            with suppress(Exception):  # as `outcome` raises it
                on_result(request.outcome())
        if not request.future.done():  # done if it was cancelled
            request.future.set_result(None)


class Writer:
    """Runs operations on one connection, each durable when its caller has the result.

    *open_connection* is called, in the writer's turn, when there is no connection; it must
    `attach` one. *on_rollback* is called, in the writer's turn, when a transaction or savepoint may
    have been rolled back.
    """

    def __init__(
        self,
        open_connection: Callable[[], object],
        on_rollback: Callable[[], object] = lambda: None,
    ) -> None:
        self._open_connection = open_connection
        self._on_rollback = on_rollback
        self._connection: Connection | None = None
        self._execute: Execute
        self._lock: ProcessLock
        self._queue: deque[_Request] = deque()
        self._next: dict[str, object] = {}
        """The next leader, under the key ``leader``: a request or an operation. At most one
        caller waits for the turn, so that the others queue and share its transaction.
        `dict.setdefault` is atomic, and a caller that is interrupted in it can still see whether
        it was chosen."""
        self._check: Callable[[], float]
        self._check_at = 0.0
        self.amid: set[int] = set()
        """The threads that are in a write; a second write of theirs would deadlock."""
        self._is_crowded = False
        """The last transaction had several requests, so more are to be expected."""
        self._helper = OnDemandThread(self._lead_for_tasks)
        self.turn = Lock()
        """Its holder alone uses the connection."""

    def attach(
        self,
        connection: Connection,
        process_lock: ProcessLock,
        check: Callable[[], float] = lambda: inf,
    ) -> None:
        """Write on *connection* from now on, while holding *process_lock*.

        *check* raises if the connection must not be written on any more; otherwise it returns
        the time (of `time.monotonic`) until which it need not be called again.
        """
        self._connection, self._execute = connection, connection.execute
        self._lock, self._check, self._check_at = process_lock, check, 0.0

    def detach(self) -> None:
        """Stop writing on the connection."""
        self._connection = None

    def forget_queue(self) -> None:
        """Clear the queue in a forked child: its callers exist only in the parent."""
        self._queue.clear()
        self._next.clear()
        self.amid.clear()
        self._helper = OnDemandThread(self._lead_for_tasks)

    # -- entry points ------------------------------------------------------------------------------

    def run(self, operation: Callable[[Execute], T]) -> T:
        """Return *operation*'s result once its rows are committed; if it raises, undo them.

        *operation* may be called again after a failure that was not its own, so it must keep
        its effects inside the transaction. Raises `Reentered`.
        """
        thread, amid = get_ident(), self.amid
        if thread in amid:
            raise Reentered
        try:
            amid.add(thread)
            try:
                # Fast path without queue and savepoint: no other write is running or waiting.
                if (
                    not self._is_crowded
                    and not self._queue
                    and not self.turn.locked()
                    and self._next.setdefault("leader", operation) is operation
                ):
                    with self.turn:
                        self._next.clear()
                        return self._transact(operation)
            except BaseException:
                self._step_back(operation)
                raise
            finally:
                if self._queue:  # another caller has queued meanwhile
                    self._find_leader()
            return self._run_in_queue(operation)
        finally:
            amid.discard(thread)

    def _run_in_queue(self, operation: Callable[[Execute], T]) -> T:
        request = _Request(operation)
        try:
            self._queue.append(request)
            while not request.finished:
                if self._next.setdefault("leader", request) is request:
                    self._lead()
                else:
                    request.wait()
        except BaseException:
            request.given_up = True  # if it was not written yet, it never will be
            self._step_back(request)
            raise
        result: T = request.outcome()
        return result

    async def arun(
        self, operation: Callable[[Execute], T], on_result: Callable[[T], object] | None = None
    ) -> T:
        """`run` for a task, without blocking its event loop.

        Cancelling the task does not withdraw *operation*, which is still written.
        """
        from asyncio import get_running_loop  # slow to import, but loaded wherever a task runs

        request = _AwaitedRequest(operation, get_running_loop(), on_result)
        self._queue.append(request)
        try:
            self._find_leader()
        except BaseException:  # interrupted: the chosen leader may not be woken
            self._helper.ask()
            raise
        await request.future
        result: T = request.outcome()
        return result

    def run_later(
        self, operation: Callable[[Execute], T], on_result: Callable[[T], object] | None = None
    ) -> None:
        """Queue *operation* without waiting, from inside a write of this thread."""
        self._queue.append(_DetachedRequest(operation, on_result))
        self._helper.ask()

    def exclusively(self, action: Callable[[], T]) -> T:
        """Run *action* while no process writes, except one that keeps the lock past the timeout."""
        with self.marking(), self.turn:
            if self._connection is None:  # closed meanwhile
                return action()
            try:
                with suppress(LockTimeout):
                    self._lock.acquire()
                return action()
            finally:
                self._lock.release()

    def write_out(self) -> None:
        """Write everything queued. The caller holds the turn."""
        while self._queue:
            self._write_queued()

    # -- leading ------------------------------------------------------------------------------

    def _lead(self, shared: type[BaseException] = Exception) -> None:
        with self.turn:
            # A request queued after this line joins this transaction or leads the next one.
            self._next.clear()
            self._write_queued(shared)
        self._find_leader()  # there may be more than one transaction's worth

    def _lead_for_tasks(self) -> None:
        with self.marking():
            # No interrupt reaches this thread: an exception here comes from the operations.
            self._lead(BaseException)

    @contextmanager
    def marking(self) -> Iterator[None]:
        """List this thread in `amid` meanwhile."""
        thread = get_ident()
        try:
            self.amid.add(thread)
            yield
        finally:
            self.amid.discard(thread)

    def _step_back(self, chosen: object) -> None:
        """Withdraw *chosen* as leader if it was interrupted before it led."""
        if self._next.get("leader") is chosen:
            del self._next["leader"]
        self._find_leader()

    def _find_leader(self) -> None:
        """Choose a leader if requests are queued and there is none."""
        if self._next:
            return
        try:
            first = self._queue[0]
        except IndexError:
            return
        if type(first) is _Request and not first.finished:
            first.wake()
        elif self._next.setdefault("leader", _THE_HELPER) is _THE_HELPER:
            self._helper.ask()

    def _write_queued(self, shared: type[BaseException] = Exception) -> None:
        """Write the queue in one transaction; finished requests leave it.

        An exception of the type *shared* fails every request in the transaction. An interrupt
        (KeyboardInterrupt and the like) concerns this thread alone: the other requests stay
        queued, unless the transaction was committed already.
        """
        queue, batch = self._queue, _Batch()

        def run_each(execute: Execute) -> None:
            position = 0
            while position < len(queue) and position < _MOST_AT_ONCE:
                request = queue[position]
                if not request.finished:
                    request.batch = batch
                    self._run_apart(execute, request)
                position += 1
            self._is_crowded = position > 1

        try:
            if not all(request.finished for request in queue.copy()):
                self._transact(run_each, batch)
        except shared as error:
            batch.failure = error
            batch.ended = True
        finally:
            self._wake_finished()

    def _run_apart(self, execute: Execute, request: _Request) -> None:
        """Run one of several requests; an exception undoes its own rows only."""
        execute("SAVEPOINT one")
        request.error = None
        try:
            request.result = request.operation(execute)
        except Exception as error:
            execute("ROLLBACK TO one")
            self._on_rollback()
            request.error = error
        execute("RELEASE one")

    def _transact(self, operation: Callable[[Execute], T], batch: _Batch | None = None) -> T:
        """Run *operation* in a transaction; its commit ends *batch*, for all requests at once."""
        if self._connection is None:
            try:
                self._open_connection()
            except Exception as error:
                self._fail_queued(error)
                raise
        execute, lock = self._execute, self._lock
        begun = committing = False
        try:
            try:
                lock.take()
            except BlockingIOError:
                lock.acquire()
            if monotonic() >= self._check_at:
                self._check_at = self._check()
            execute("BEGIN IMMEDIATE")
            begun = True
            result = operation(execute)
            committing = True
            execute("COMMIT")
            if batch is not None:
                batch.ended = True
            return result
        except BaseException as error:
            self._on_rollback()
            assert self._connection is not None
            if self._connection.in_transaction:  # a full disk has ended it already
                execute("ROLLBACK")
            elif batch is not None and committing and not isinstance(error, Exception):
                batch.ended = True  # interrupted between the commit and the line after it
            if not begun and isinstance(error, Exception):
                self._fail_queued(error)
            raise
        finally:
            try:
                lock.release()
            except BaseException:  # an interrupt, perhaps before the release
                lock.release()
                raise

    def _fail_queued(self, error: Exception) -> None:
        """Fail all queued requests, as no transaction could begin: each would wait as long."""
        batch = _Batch()
        batch.failure = error
        for request in self._queue.copy():
            if not request.finished:
                request.batch = batch
        batch.ended = True
        self._wake_finished()

    def _wake_finished(self) -> None:
        """Wake the callers of finished requests, then remove these from the queue.

        In the other order, an interrupt in between would leave its caller asleep.
        """
        finished = list(takewhile(_is_finished, self._queue.copy()))
        tasks: dict[AbstractEventLoop, list[_AwaitedRequest]] = {}
        for request in finished:
            if isinstance(request, _AwaitedRequest):
                tasks.setdefault(request.loop, []).append(request)
            else:
                request.wake()
        for loop, requests in tasks.items():
            with suppress(RuntimeError):  # the loop was closed, and its tasks with it
                loop.call_soon_threadsafe(_resume, requests)
        for _ in finished:
            self._queue.popleft()


_is_finished = attrgetter("finished")
