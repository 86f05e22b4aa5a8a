"""An advisory lock on a file beside the database: processes write in turn.

SQLite's own way of waiting (sleep, try again) starves some writers; waiting on this lock is
fair and costs about a microsecond. The system frees it when its holder dies, even by
``kill -9``. Libraries that do this reopen the file or check it at every turn: 7 to 55
microseconds on a write of 30.
"""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _TAKE, _GIVE = msvcrt.LK_LOCK, msvcrt.LK_UNLCK

    def _lock(descriptor: int, how: int) -> None:
        while True:
            try:
                return msvcrt.locking(descriptor, how, 1)  # gives up after ten seconds
            except OSError as error:
                if error.errno != errno.EDEADLK:  # still taken
                    raise
else:
    # flock belongs to the open file: two ledgers on one file in one process exclude each
    # other too. (fcntl.lockf belongs to the process, and would not.)
    from fcntl import LOCK_EX as _TAKE
    from fcntl import LOCK_UN as _GIVE
    from fcntl import flock as _lock


class ProcessLock:
    """Taken and given back by turns; not reentrant, and not a lock between threads by itself."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self) -> None:
        """Wait for the lock, for as long as it takes."""
        _lock(self._descriptor, _TAKE)

    def release(self) -> None:
        """Let the next process go on."""
        _lock(self._descriptor, _GIVE)

    def close(self) -> None:
        """Give the file descriptor back; the number may soon be another file's."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class NoLock(ProcessLock):
    """For a database that no other process can open."""

    def __init__(self) -> None: ...

    def acquire(self) -> None: ...

    def release(self) -> None: ...

    def close(self) -> None: ...
