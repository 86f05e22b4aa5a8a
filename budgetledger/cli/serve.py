"""The command that serves a ledger over HTTP."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
import warnings
from typing import TYPE_CHECKING

import click

from budgetledger.cli.options import Whole, examples, from_either_place
from budgetledger.cli.run import check_extra
from budgetledger.errors import (
    InvalidInput,
    UnboundedWarning,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.storage.targets import ENVIRONMENT, default_path

if TYPE_CHECKING:
    import uvicorn

    from budgetledger.server.access_tokens import Tokens
    from budgetledger.storage.sqlite.connection import Synchronous

TOKENS = "BUDGETLEDGER_TOKENS"
_SECONDS_TO_FINISH = 30


@click.command(
    epilog=examples(
        "serve --db spend.db",
        "serve --db spend.db --host 0.0.0.0 --tokens tokens.txt",
        "serve --wallet",
    )
)
@click.option(
    "--db",
    metavar="PATH",
    envvar=ENVIRONMENT,
    show_envvar=True,
    callback=from_either_place,
    help="The ledger's file or URL, created if missing; by default in your data directory.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=Whole(0, 65535),
    default=8787,
    show_default=True,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--tokens",
    "tokens_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help=f"Access tokens, one `project:token` (or project:sha256:HEX) a line. Else {TOKENS}.",
)
@click.option(
    "--max-body",
    metavar="BYTES",
    type=Whole(1024),
    default=16 * 1024 * 1024,
    show_default=True,
    help="The largest request that is accepted.",
)
@click.option(
    "--synchronous",
    type=click.Choice(["FULL", "NORMAL"]),
    default="FULL",
    show_default=True,
    help="Answered requests survive power loss (FULL) or a killed process (NORMAL).",
)
@click.option(
    "--wallet",
    "has_wallet",
    is_flag=True,
    help="Also pass providers' APIs on, metered, under /wallet.",
)
def serve(
    db: str | None,
    host: str,
    port: int,
    tokens_file: str | None,
    max_body: int,
    synchronous: Synchronous,
    has_wallet: bool,
) -> None:
    """Serve the ledger over HTTP.

    It serves LiteLLM's hosted budget manager, and a JSON API described at /openapi.json. Without
    tokens it listens on localhost only, and refuses any other --host. SIGTERM or Ctrl-C stops
    it, once the requests in progress have been answered.

    With --wallet, programs can use http://HOST:PORT/wallet/u/USER/openai/v1 as their base URL
    (or .../anthropic, .../gemini; with tokens, /wallet/t/TOKEN/u/USER/...). Their calls are
    held for and settled on the account USER.
    """
    _check_extra()
    if has_wallet:
        check_extra("serve --wallet")
    import uvicorn

    from budgetledger.ledger import Ledger
    from budgetledger.server.app import create_app
    from budgetledger.server.idle_connections import Connection

    tokens = _tokens(tokens_file, host)
    # Clients see them in the answers; here Python would remember one for each account.
    for kind in (UnboundedWarning, UnknownAccountWarning, UnpricedWarning):
        warnings.simplefilter("ignore", kind)
    with Ledger(db or default_path(), synchronous=synchronous) as ledger:
        config = uvicorn.Config(
            create_app(ledger, tokens, max_body_bytes=max_body, wallet=has_wallet),
            host=host,
            port=port,
            http=Connection,
            ws="none",
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        )
        with _listening(config) as listening:
            address, bound = listening.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            server = uvicorn.Server(config)
            # A signal may arrive before the server handles them. And the server raises the signal
            # again when it stops, before the ledger is closed.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, server.handle_exit)
            click.echo(f"serving {ledger.path} on http://{shown}:{bound}", err=True)
            # Everything loaded so far stays: exclude it from garbage collections, which would
            # delay all requests by 30 ms each time.
            gc.freeze()
            server.run(sockets=[listening])


def _check_extra() -> None:
    try:
        import uvicorn  # noqa: F401

        import budgetledger.server  # noqa: F401
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the server needs {error.name}; pip install 'budgetledger[server]'"
        ) from None


def _listening(config: uvicorn.Config) -> socket.socket:
    """A listening socket; connections wait until the server is up."""
    listening = config.bind_socket()
    # Accepted connections inherit the option. asyncio sets it only on sockets created with
    # IPPROTO_TCP, unlike this one. Without it, the second part of each answer would wait for the
    # client's delayed acknowledgement of the first: 40 ms on Linux.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.listen()
    return listening


def _tokens(file: str | None, host: str) -> Tokens | None:
    """The access tokens. Raises `InvalidInput` without any for a *host* that others reach."""
    from budgetledger.server.access_tokens import Tokens

    if file is not None:
        return Tokens.from_file(file)
    listed = os.environ.get(TOKENS)
    if not listed and not _is_loopback(host):
        raise InvalidInput(
            f"{host} can be reached from other machines, and without tokens every client could "
            f"read and write everything; pass --tokens FILE, set {TOKENS}, or listen on "
            "127.0.0.1"
        )
    return Tokens(listed.split()) if listed else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
