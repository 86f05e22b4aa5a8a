"""A wallet on a port of this machine, in front of the loopback provider."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import uvicorn

from budgetledger.aio import AsyncLedger
from budgetledger.wallet.app import Wallet
from budgetledger.wallet.calls import Payer
from budgetledger.wallet.gate import secret_gate
from budgetledger.wallet.upstreams import upstreams

SECRET = "s3cret-of-this-test-run"

# No test is timed by a clock: httpx2 would give up after five seconds.
post, get, head, stream = (
    partial(function, **{"timeout": 120})
    for function in (httpx2.post, httpx2.get, httpx2.head, httpx2.stream)
)


class Served:
    """A running wallet: ``root`` is its URL with the secret, before the segment of a provider."""

    def __init__(self, wallet: Wallet, url: str) -> None:
        self.wallet, self.url, self.root = wallet, url, f"{url}/{SECRET}"
        self.openai, self.anthropic = f"{self.root}/openai/v1", f"{self.root}/anthropic"
        self.gemini = f"{self.root}/gemini"
        self.bill = wallet.bill


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """The URL of the ASGI application *app*, until the end of the block."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(
            app, log_config=None, log_level=100, lifespan="auto", ws="none",
            server_header=False, date_header=False, timeout_graceful_shutdown=5,
        )  # fmt: skip
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def to(provider: Any) -> dict[str, str]:
    """The variables that make *provider* the upstream of each API."""
    return {
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_BASE_URL": provider.url,
        "GOOGLE_GEMINI_BASE_URL": provider.url,
    }


@contextlib.contextmanager
def serving(ledger: Any, provider: Any, account: str = "alice", **options: Any) -> Iterator[Served]:
    """A `Served` until the end of the block; all it had to record is recorded then.

    *provider*: the loopback one, or variables that name others.
    """
    tags, wait = options.pop("tags", None), options.pop("wait", 0.0)
    stops = options.pop("stops_at_limit", False)
    payer = Payer(AsyncLedger(ledger), account, tags, wait, stops)
    places = upstreams(to(provider) if hasattr(provider, "url") else provider)
    wallet = Wallet(secret_gate(SECRET, payer), places, **options)
    with running(wallet) as url:
        yield Served(wallet, url)
