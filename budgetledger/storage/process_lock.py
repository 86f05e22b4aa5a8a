"""An advisory lock on a file beside the database: processes write in turn.

SQLite's own way of waiting (sleep, try again) starves some writers; waiting on this lock is
fair and costs about a microsecond. The system frees it when its holder dies, even by
``kill -9``. Libraries that do this reopen the file or check it at every turn: 7 to 55
microseconds on a write of 30.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock

from budgetledger.storage.on_demand_thread import Helper

PATIENCE_SECONDS = 60.0
"""How long to wait for a holder, which may have been stopped, before giving up."""

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
                    return  # it was not ours to give
                if how == _TAKE_NOW and error.errno == errno.EACCES:
                    raise BlockingIOError from None
                if error.errno != errno.EDEADLK:  # still taken
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
    """Somebody held the lock for all the time there was to wait."""


class ProcessLock:
    """Taken and given back by turns; not reentrant, and not a lock between threads by itself."""

    take: Callable[[], object]
    """Take the lock at once; or raise `BlockingIOError`, so that `acquire` is to wait for it."""

    release: Callable[[], object]
    """Let the next process go on. Harmless if the lock was not taken."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._line: _Line | None = None  # from the first time that it was taken
        # Calls of the system without a frame of Python, which no interrupt can come between.
        self.take = partial(_lock, self._descriptor, _TAKE_NOW)
        self.release = partial(_lock, self._descriptor, _GIVE)

    def acquire(self, seconds: float | None = None) -> None:
        """Wait for the lock, at most *seconds* (`PATIENCE_SECONDS`); raise `LockTimeout`.

        Whatever it raises, call `release` afterwards: an interrupt may have come too late.
        """
        line = self._line
        if line is None or not line.is_waiting:
            try:
                return _lock(self._descriptor, _TAKE_NOW)
            except BlockingIOError:
                pass
        if line is None:
            line = _Line(self._descriptor)
            self.release, self.take, self._line = self._leave, self.acquire, line
        line.take(PATIENCE_SECONDS if seconds is None else seconds)

    def _leave(self) -> None:
        if self._line is not None:
            self._line.leave()
        _lock(self._descriptor, _GIVE)

    def close(self) -> None:
        """Give the file descriptor back; the number may soon be another file's."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        if self._line is not None:
            self._line.close()


class _Line:
    """Waits in the system's line for the lock, for a caller who can leave.

    Only a call that blocks has a place in that line; trying again and again has none, and
    starves. Nothing can end such a call, so it is made in another thread, which gives the
    lock straight back if it comes when nobody wants it any more. Who waits again meanwhile
    keeps the place.
    """

    def __init__(self, descriptor: int) -> None:
        # Of its own, and yet of the same lock: it stays valid while the thread waits.
        self._descriptor = os.dup(descriptor)
        self._helper = Helper(self._wait)
        self._mutex = Lock()
        self._came = Lock()
        self._came.acquire()
        self._error: OSError | None = None
        self._is_wanted = self._is_closed = False
        self.is_waiting = False
        """The thread is in line; taking the lock without it, one would lose it to it."""

    def take(self, seconds: float) -> None:
        """Wait until the lock is there. Raises `LockTimeout`."""
        with self._mutex:
            self._is_wanted = True
            if not self.is_waiting:
                self.is_waiting = True
                try:
                    self._helper.ask()
                except RuntimeError:  # no new threads while the interpreter exits
                    self.is_waiting = self._is_wanted = False
                    return self._try_for(seconds)
                except BaseException:  # interrupted: it may be asked, so be sure that it is
                    self._helper.ask()
                    raise
        if not self._came.acquire(timeout=seconds) and self.leave():
            raise LockTimeout
        self._is_wanted = False
        error, self._error = self._error, None
        if error is not None:
            raise error

    def leave(self) -> bool:
        """Want the lock no more; False if it is there already."""
        with self._mutex:
            was_wanted, self._is_wanted = self._is_wanted, False
            came = self._came.acquire(blocking=False)
            return was_wanted and not came

    def close(self) -> None:
        with self._mutex:
            self._is_closed = True
            if not self.is_waiting:
                os.close(self._descriptor)

    def _wait(self) -> None:
        if not self.is_waiting:  # asked once too often
            return
        self._error = None
        try:
            _lock(self._descriptor, _TAKE)
        except OSError as error:
            self._error = error
        with self._mutex:
            self.is_waiting = False
            if self._is_wanted:
                self._came.release()
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
    """For a database that no other process can open."""

    def __init__(self) -> None:
        self.take, self.release = self.acquire, self.close

    def acquire(self, seconds: float | None = None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
