"""The wallet of a server: providers' APIs under ``/wallet``, for the users that its paths name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Mount

from budgetledger.errors import InvalidInput
from budgetledger.names import checked_name
from budgetledger.server.access_tokens import Tokens
from budgetledger.server.state import Service
from budgetledger.wallet.app import Wallet
from budgetledger.wallet.calls import Payer
from budgetledger.wallet.gate import Denied, labelled_gate
from budgetledger.wallet.holding import load_prices
from budgetledger.wallet.upstreams import upstreams

PATH = "/wallet"
_SECONDS_TO_WAIT = 60.0
_FORM = f"the path is {PATH}/t/TOKEN/p/PROJECT/u/USER/openai/v1 (or anthropic, or gemini)"


def mounted(
    service: Service, tokens: Tokens | None
) -> tuple[Mount, Callable[[Starlette], AbstractAsyncContextManager[None]]]:
    """The wallet of *service* as a route, and what starts and stops it with the application."""
    gate = labelled_gate(partial(_payer, service, tokens), is_open=tokens is None)
    wallet = Wallet(gate, upstreams(os.environ), warm=partial(load_prices, service.ledger))

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        wallet.start()
        try:
            yield
        finally:
            await wallet.close()

    return Mount(PATH, wallet, name="wallet"), running


def _payer(service: Service, tokens: Tokens | None, token: str, project: str, user: str) -> Payer:
    """The payer for the labels of a path. Raises `Denied`."""
    if tokens is None:
        project = project or "default"
    else:
        projects = tokens.projects_of(token) if token else frozenset()
        if not projects:
            raise Denied(401, f"this needs a token of the project; {_FORM}")
        if not project:
            project = next(iter(projects)) if len(projects) == 1 else "default"
        if project not in projects:
            raise Denied(403, f"this token is not for project {project!r}; {_FORM}")
    try:
        checked_name(project, "project")
        checked_name(user, "user")
    except InvalidInput as error:
        raise Denied(404, f"{error}; {_FORM}") from None
    return Payer(service.ledger_of(project), user, None, _SECONDS_TO_WAIT)
