"""Hosted mode: a server keeps the budgets, the local ledger what the server has not received."""

from __future__ import annotations

from collections.abc import Mapping

from budgetledger.errors import InvalidInput
from budgetledger.hosted.books import HostedBooks
from budgetledger.hosted.http import Server
from budgetledger.hosted.outbox import Outbox
from budgetledger.ledger import Ledger
from budgetledger.litellm.registered_prices import with_registered_prices
from budgetledger.storage.targets import default_path, is_server


def open_hosted(
    project: str,
    api_base: str | None,
    headers: Mapping[str, str] | None,
    timeout: float,
    ledger: Ledger | None,
) -> tuple[Ledger, HostedBooks]:
    """Open the local ledger of *project*, and its records on the server at *api_base*."""
    server = Server(api_base, headers, timeout)
    try:
        import httpcore2  # noqa: F401
    except ImportError:
        raise InvalidInput(
            "client_type='hosted' needs httpcore2; pip install 'budgetledger[hosted]'"
        ) from None
    opened = Ledger(default_path()) if ledger is None else ledger
    try:
        if is_server(opened.path):
            raise InvalidInput(
                f"hosted mode keeps unsent changes in a file on this machine, not in "
                f"{opened.path}; pass ledger=Ledger('unsent.db')"
            )
        outbox = Outbox(with_registered_prices(opened), project, server.address)
        return outbox.ledger, HostedBooks(project, server, outbox)
    except BaseException:
        if ledger is None:
            opened.close()
        server.close()
        raise
