"""An advisory lock on a file beside the database: processes write in turn.

SQLite's own waiting (sleep, try again) starves some writers; waiting for this lock is fair
and costs about a microsecond. The system frees it when its holder dies, even by ``kill -9``.
Lock libraries reopen or check the file each time, which adds 7 to 55 microseconds to a write
of 30.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock

from budgetledger.storage.on_demand_thread import OnDemandThread

PATIENCE_SECONDS = 60.0
"""How long to wait before giving up: the holder may be a stopped process."""

if sys.platform == "win32":  # pragma: no cover
    import errno
    import msvcrt

    _TAKE, _TAKE_NOW, _GIVE = msvcrt.LK_LOCK, msvcrt.LK_NBLCK, msvcrt.LK_UNLCK

    def _lock(descriptor: int, how: int) -> None:
        while True:
            try:
                return msvcrt.locking(descriptor, how, 1)  # LK_LOCK gives up after ten seconds
            except OSError as error:
                if how == _GIVE:
                    return  # the lock was not held
                if how == _TAKE_NOW and error.errno == errno.EACCES:
                    raise BlockingIOError from None
                if error.errno != errno.EDEADLK:  # still held by another process
                    raise
else:
    # flock belongs to the open file: two ledgers on one file in one process exclude each
    # other too. (fcntl.lockf belongs to the process, and would not.)
    from fcntl import LOCK_EX as _TAKE
    from fcntl import LOCK_NB
    from fcntl import LOCK_UN as _GIVE
    from fcntl import flock as _lock

    _TAKE_NOW = _TAKE | LOCK_NB


class LockTimeout(Exception):
    """Another holder kept the lock for the whole wait."""


class ProcessLock:
    """Excludes other processes. Not reentrant, and no lock between threads of one process."""

    take: Callable[[], object]
    """Take the lock at once, or raise `BlockingIOError`; `acquire` waits for it."""

    release: Callable[[], object]
    """Release the lock. Harmless if it is not held."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._waiter: _Waiter | None = None  # created at the first wait
        # Direct system calls: without a Python frame, no interrupt can come in between.
        self.take = partial(_lock, self._descriptor, _TAKE_NOW)
        self.release = partial(_lock, self._descriptor, _GIVE)

    def acquire(self, seconds: float | None = None) -> None:
        """Wait at most *seconds* (`PATIENCE_SECONDS`) for the lock. Raises `LockTimeout`.

        Call `release` after any exception: an interrupt may arrive with the lock taken.
        """
        waiter = self._waiter
        if waiter is None or not waiter.is_waiting:
            try:
                return _lock(self._descriptor, _TAKE_NOW)
            except BlockingIOError:
                pass
        if waiter is None:
            waiter = _Waiter(self._descriptor)
            self.release, self.take, self._waiter = self._leave, self.acquire, waiter
        waiter.take(PATIENCE_SECONDS if seconds is None else seconds)

    def _leave(self) -> None:
        if self._waiter is not None:
            self._waiter.leave()
        _lock(self._descriptor, _GIVE)

    def close(self) -> None:
        """Close the file descriptor. The system may reuse its number at once."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        if self._waiter is not None:
            self._waiter.close()


class _Waiter:
    """Waits in the system's queue for the lock, for a caller that may give up.

    Only a blocking call has a place in that queue; polling has none and starves. A blocking
    call cannot be cancelled, so it runs in another thread, which releases the lock at once if
    no caller wants it any more. A caller that waits again in the meantime keeps the place.
    """

    def __init__(self, descriptor: int) -> None:
        # A duplicate shares the lock, and stays valid while the thread waits.
        self._descriptor = os.dup(descriptor)
        self._helper = OnDemandThread(self._wait)
        self._mutex = Lock()
        self._arrived = Lock()
        self._arrived.acquire()
        self._error: OSError | None = None
        self._is_wanted = self._is_closed = False
        self.is_waiting = False
        """Whether the thread is in the queue. A lock taken past it would be lost: the thread shares
        it, and would release it."""

    def take(self, seconds: float) -> None:
        """Wait at most *seconds* for the lock. Raises `LockTimeout`."""
        with self._mutex:
            self._is_wanted = True
            if not self.is_waiting:
                self.is_waiting = True
                try:
                    self._helper.ask()
                except RuntimeError:  # no new threads while the interpreter exits
                    self.is_waiting = self._is_wanted = False
                    return self._try_for(seconds)
                except BaseException:  # interrupted, perhaps before the request: repeat it
                    self._helper.ask()
                    raise
        if not self._arrived.acquire(timeout=seconds) and self.leave():
            raise LockTimeout
        self._is_wanted = False
        error, self._error = self._error, None
        if error is not None:
            raise error

    def leave(self) -> bool:
        """Give up the wait. False if the lock has arrived already."""
        with self._mutex:
            was_wanted, self._is_wanted = self._is_wanted, False
            arrived = self._arrived.acquire(blocking=False)
            return was_wanted and not arrived

    def close(self) -> None:
        with self._mutex:
            self._is_closed = True
            if not self.is_waiting:
                os.close(self._descriptor)

    def _wait(self) -> None:
        if not self.is_waiting:  # a repeated request
            return
        self._error = None
        try:
            _lock(self._descriptor, _TAKE)
        except OSError as error:
            self._error = error
        with self._mutex:
            self.is_waiting = False
            if self._is_wanted:
                self._arrived.release()
                return
            with suppress(OSError):
                _lock(self._descriptor, _GIVE)
            if self._is_closed:
                os.close(self._descriptor)

    def _try_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                return _lock(self._descriptor, _TAKE_NOW)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise LockTimeout from None
            time.sleep(0.001)


class NoLock(ProcessLock):
    """For a ledger in memory, and for PostgreSQL, whose server has the lock."""

    def __init__(self) -> None:
        self.take, self.release = self.acquire, self.close

    def acquire(self, seconds: float | None = None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
