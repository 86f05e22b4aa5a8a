"""The one queue where callers' writes meet: one transaction commits for all who wait.

Nobody waits: a caller writes at once. Otherwise callers queue, and the first of them leads:
it waits for its turn and then writes everything queued in one transaction, so that callers
waiting behind a slow sync share the next one. The others sleep until they are told. Tasks
queue without waiting; if one of them would have to lead, a helper thread does. Each caller
keeps its own outcome: an operation that raises undoes only itself.
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

from budgetledger.storage.on_demand_thread import Helper
from budgetledger.storage.process_lock import LockTimeout, ProcessLock
from budgetledger.storage.protocols import Connection, Execute

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

T = TypeVar("T")


class Reentered(Exception):
    """This thread is amid a write already: a finaliser or a signal handler may run anywhere."""


_MOST_AT_ONCE = 256  # keeps one transaction short for whoever waits in another process
_LOOK_AGAIN_SECONDS = 1.0  # should a leader, interrupted twice, not have told


class _Batch:
    """Requests that share one transaction, and so one end."""

    __slots__ = ("ended", "failure")

    def __init__(self) -> None:
        self.ended = False
        self.failure: BaseException | None = None


class _Request:
    """What a thread wants written; the thread sleeps on *told*."""

    __slots__ = ("_told", "batch", "error", "given_up", "operation", "result")

    def __init__(self, operation: Callable[[Execute], Any]) -> None:
        self.operation = operation
        self.batch: _Batch | None = None
        self.given_up = False
        self.result: Any = None
        self.error: Exception | None = None
        self._told = Lock()
        self._told.acquire()

    @property
    def finished(self) -> bool:
        return self.given_up or (self.batch is not None and self.batch.ended)

    def outcome(self) -> Any:
        """The operation's result; or raises what it raised, or what its batch failed by."""
        assert self.batch is not None
        failure = self.batch.failure or self.error
        if failure is not None:
            raise failure
        return self.result

    def wait(self) -> None:
        """Sleep until there is something to look at."""
        self._told.acquire(timeout=_LOOK_AGAIN_SECONDS)

    def wake(self) -> None:
        """Make the caller look: its request is finished, or somebody has to lead."""
        with suppress(RuntimeError):  # told already
            self._told.release()


class _AwaitedRequest(_Request):
    """What a task wants written; the task awaits *future*, in *loop*.

    *hear* is called there with the result, even if the task is gone by then.
    """

    __slots__ = ("future", "hear", "loop")

    def __init__(
        self,
        operation: Callable[[Execute], Any],
        loop: AbstractEventLoop,
        hear: Callable[[Any], object] | None,
    ) -> None:
        super().__init__(operation)
        self.loop, self.hear = loop, hear
        self.future: Future[None] = loop.create_future()


class _LeftRequest(_Request):
    """What a thread left to be written, amid a write of its own; nobody waits for it.

    *hear* is called with the result, in the thread that wrote it.
    """

    __slots__ = ("hear",)

    def __init__(
        self, operation: Callable[[Execute], Any], hear: Callable[[Any], object] | None
    ) -> None:
        super().__init__(operation)
        self.hear = hear

    def wake(self) -> None:
        """Tell the result; nobody sleeps."""
        hear, self.hear = self.hear, None
        if hear is not None and self.finished:
            with suppress(Exception):  # as `outcome` raises it
                hear(self.outcome())


_NO_THREAD = _Request(lambda execute: None)
"""Leads next: the helper, on behalf of tasks."""


def _tell(requests: list[_AwaitedRequest]) -> None:
    """In the loop of *requests*: let the tasks go on that still wait."""
    for request in requests:
        hear, request.hear = request.hear, None  # it may be told twice
        if hear is not None:
            with suppress(Exception):  # as `outcome` raises it
                hear(request.outcome())
        if not request.future.done():  # or cancelled
            request.future.set_result(None)


class Writer:
    """Runs operations on one connection, each durable when its caller has the result.

    *open_connection* is called, in the writer's turn, when there is no connection; it is to
    `attach` one. *undone* is called, in the writer's turn, when rows that an operation wrote
    may be gone again: its transaction, or its part of one, was rolled back.
    """

    def __init__(
        self,
        open_connection: Callable[[], object],
        undone: Callable[[], object] = lambda: None,
    ) -> None:
        self._open_connection = open_connection
        self._undone = undone
        self._connection: Connection | None = None
        self._execute: Execute
        self._lock: ProcessLock
        self._queue: deque[_Request] = deque()
        self._next: dict[str, object] = {}
        """Who leads next: whose request, or operation. At most one waits for the turn, so that
        the others queue instead and share its transaction. It is a dictionary as setdefault
        decides between threads at one stroke, and leaves who is interrupted able to see it."""
        self._check: Callable[[], float]
        self._check_at = 0.0
        self.amid: set[int] = set()
        """The threads that are amid a write, and would wait for themselves with another."""
        self._is_crowded = False
        """The last transaction was of several, so that more callers are on their way."""
        self._helper = Helper(self._lead_for_tasks)
        self.turn = Lock()
        """Held by whoever writes; the connection is free for others while they hold it."""

    def attach(
        self,
        connection: Connection,
        process_lock: ProcessLock,
        check: Callable[[], float] = lambda: inf,
    ) -> None:
        """Write on *connection* from now on, while holding *process_lock*.

        *check* raises if the connection is not to be written on any more, and else returns
        until when (by `time.monotonic`) it need not be asked again.
        """
        self._connection, self._execute = connection, connection.execute
        self._lock, self._check, self._check_at = process_lock, check, 0.0

    def detach(self) -> None:
        """Write no more on the connection there was."""
        self._connection = None

    def forget_queue(self) -> None:
        """Drop what is queued, in a forked child: its callers exist in the parent only."""
        self._queue.clear()
        self._next.clear()
        self.amid.clear()
        self._helper = Helper(self._lead_for_tasks)

    # -- ways in ------------------------------------------------------------------------------

    def run(self, operation: Callable[[Execute], T]) -> T:
        """*operation*'s result, once its rows are committed; or what it raised, without rows.

        *operation* may be called again after a failure that was not its own, so it keeps its
        effects inside the transaction. Raises `Reentered`.
        """
        thread, amid = get_ident(), self.amid
        if thread in amid:
            raise Reentered
        try:
            amid.add(thread)
            try:
                # Nobody waits: no need to queue, nor to keep anybody's rows apart.
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
                if self._queue:  # somebody came before the turn did
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
        self, operation: Callable[[Execute], T], hear: Callable[[T], object] | None = None
    ) -> T:
        """`run`, for a task: its event loop goes on meanwhile.

        Cancelling the task does not withdraw *operation*: it is written all the same.
        """
        from asyncio import get_running_loop  # slow to import, but here already

        request = _AwaitedRequest(operation, get_running_loop(), hear)
        self._queue.append(request)
        try:
            self._find_leader()
        except BaseException:  # interrupted: whoever was chosen may not know
            self._helper.ask()
            raise
        await request.future
        result: T = request.outcome()
        return result

    def leave(
        self, operation: Callable[[Execute], T], hear: Callable[[T], object] | None = None
    ) -> None:
        """Have *operation* written soon, without waiting; from amid a write of this thread."""
        self._queue.append(_LeftRequest(operation, hear))
        self._helper.ask()

    def exclusively(self, action: Callable[[], T]) -> T:
        """Run *action* while nobody writes in any process, but for one that hangs."""
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
        """Write all that is queued. The caller holds the turn."""
        while self._queue:
            self._write_queued()

    # -- leading ------------------------------------------------------------------------------

    def _lead(self, shared: type[BaseException] = Exception) -> None:
        with self.turn:
            # Who queues from here on is either written now or finds that it leads next.
            self._next.clear()
            self._write_queued(shared)
        self._find_leader()  # there may be more than one transaction's worth

    def _lead_for_tasks(self) -> None:
        with self.marking():
            # No interrupt reaches this thread: whatever is raised here is the operations' own.
            self._lead(BaseException)

    @contextmanager
    def marking(self) -> Iterator[None]:
        """This thread is `amid` a write meanwhile."""
        thread = get_ident()
        try:
            self.amid.add(thread)
            yield
        finally:
            self.amid.discard(thread)

    def _step_back(self, chosen: object) -> None:
        """Lead no more, if *chosen* has not led yet: it was interrupted."""
        if self._next.get("leader") is chosen:
            del self._next["leader"]
        self._find_leader()

    def _find_leader(self) -> None:
        """See to it that somebody leads, if anybody waits."""
        if self._next:
            return
        try:
            first = self._queue[0]
        except IndexError:
            return
        if type(first) is _Request and not first.finished:
            first.wake()
        elif self._next.setdefault("leader", _NO_THREAD) is _NO_THREAD:
            self._helper.ask()

    def _write_queued(self, shared: type[BaseException] = Exception) -> None:
        """Write what is queued in one transaction; requests leave the queue when finished.

        What is raised concerns all in the transaction if it is *shared*. An interrupt
        (KeyboardInterrupt and its like) concerns this thread alone: the others' requests stay
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
            self._tell_finished()

    def _run_apart(self, execute: Execute, request: _Request) -> None:
        """Run one of several: what it raises undoes its own rows only."""
        execute("SAVEPOINT one")
        request.error = None
        try:
            request.result = request.operation(execute)
        except Exception as error:
            execute("ROLLBACK TO one")
            self._undone()
            request.error = error
        execute("RELEASE one")

    def _transact(self, operation: Callable[[Execute], T], batch: _Batch | None = None) -> T:
        """Run *operation* in a transaction; *batch* ends, at one stroke, when it is committed."""
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
            self._undone()
            assert self._connection is not None
            if self._connection.in_transaction:  # a full disk ends it by itself
                execute("ROLLBACK")
            elif batch is not None and committing and not isinstance(error, Exception):
                batch.ended = True  # interrupted between the commit and the line after it
            if not begun and isinstance(error, Exception):
                self._fail_queued(error)
            raise
        finally:
            try:
                lock.release()
            except BaseException:  # an interrupt, perhaps before it had begun
                lock.release()
                raise

    def _fail_queued(self, error: Exception) -> None:
        """Nobody could begin: who waited meanwhile need not wait as long once more."""
        batch = _Batch()
        batch.failure = error
        for request in self._queue.copy():
            if not request.finished:
                request.batch = batch
        batch.ended = True
        self._tell_finished()

    def _tell_finished(self) -> None:
        """Take who is finished off the queue. First they are told: twice rather than never."""
        finished = list(takewhile(_is_finished, self._queue.copy()))
        tasks: dict[AbstractEventLoop, list[_AwaitedRequest]] = {}
        for request in finished:
            if isinstance(request, _AwaitedRequest):
                tasks.setdefault(request.loop, []).append(request)
            else:
                request.wake()
        for loop, requests in tasks.items():
            with suppress(RuntimeError):  # the loop was closed: nobody awaits them
                loop.call_soon_threadsafe(_tell, requests)
        for _ in finished:
            self._queue.popleft()


_is_finished = attrgetter("finished")
