"""A thread that exists while it is needed, for waits that a caller must be able to abandon."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

_IDLE_SECONDS = 1.0


class OnDemandThread:
    """Runs *work* in a daemon thread on request.

    The thread starts at the first request and ends when idle: it keeps nothing alive, and a
    program that forks later usually has no threads left. Waking it costs about 5 microseconds,
    starting it 40.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._requested = Lock()
        self._requested.acquire()
        self._is_running = False

    def ask(self) -> None:
        """Run *work* soon; requests made before it begins count as one.

        Raises `RuntimeError` if no thread can be started, as while the interpreter exits.
        """
        with suppress(RuntimeError):  # already requested
            self._requested.release()
        if not self._is_running:
            self._is_running = True
            try:
                start_new_thread(self._serve, ())
            except BaseException:
                self._is_running = False
                raise

    def _serve(self) -> None:
        try:
            while self._requested.acquire(timeout=_IDLE_SECONDS):
                self._work()
        finally:
            self._is_running = False
        # A request made before that line relied on this thread; a later one starts another.
        if self._requested.acquire(blocking=False):
            self.ask()
