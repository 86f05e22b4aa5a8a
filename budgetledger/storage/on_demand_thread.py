"""A thread that is there when it is needed: for waiting that a caller must be able to leave."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

_IDLE_SECONDS = 1.0


class Helper:
    """Does *work* in a daemon thread whenever it is asked to.

    The thread starts when it is first needed and ends when it is idle, so that nothing stays
    alive for its sake, and a program that forks later is mostly without threads again. Waking
    it costs about 5 microseconds, starting it 40.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._asked = Lock()
        self._asked.acquire()
        self._is_there = False

    def ask(self) -> None:
        """Have *work* done soon, once, however often it is asked for until it begins.

        Raises `RuntimeError` where no thread can be started, as while the interpreter exits.
        """
        with suppress(RuntimeError):  # asked already
            self._asked.release()
        if not self._is_there:
            self._is_there = True
            try:
                start_new_thread(self._serve, ())
            except BaseException:
                self._is_there = False
                raise

    def _serve(self) -> None:
        try:
            while self._asked.acquire(timeout=_IDLE_SECONDS):
                self._work()
        finally:
            self._is_there = False
        # Who asked before that line relied on this thread; who asks after it starts another.
        if self._asked.acquire(blocking=False):
            self.ask()
