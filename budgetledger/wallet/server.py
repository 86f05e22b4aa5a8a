"""Runs a wallet on a port of this machine, in a thread beside a program."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

    from budgetledger.wallet.app import Wallet

_SECONDS_TO_FINISH = 10


def listening_socket() -> socket.socket:
    """A socket on a free port of this machine; what connects waits until the wallet is up."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    return listening


class Beside:
    """The thread of a wallet, which *make* returns there, as does all that takes time to import."""

    def __init__(self, listening: socket.socket, make: Callable[[], Wallet]) -> None:
        self._listening, self._make = listening, make
        self._server: uvicorn.Server | None = None
        self._is_ending = False
        self.error: BaseException | None = None
        """Why it ended by itself."""
        self._thread = threading.Thread(target=self._run, name="budgetledger-wallet", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            import uvicorn

            class Server(uvicorn.Server):
                @contextlib.contextmanager
                def capture_signals(self) -> Iterator[None]:  # they are the main thread's
                    yield

            config = uvicorn.Config(self._make(), **_SETTINGS)
            self._server = Server(config)
            self._server.should_exit = self._is_ending
            self._server.run(sockets=[self._listening])
        except BaseException as error:
            self.error = error
        finally:
            self._listening.close()  # connections are refused rather than left waiting

    def end(self) -> None:
        """Stop, once the requests in progress are answered and recorded."""
        self._is_ending = True
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(3 * _SECONDS_TO_FINISH)


_SETTINGS: dict[str, Any] = {
    "log_config": None,
    "log_level": 100,  # nothing: the terminal is the program's
    "lifespan": "on",
    "ws": "none",
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": _SECONDS_TO_FINISH,
}
