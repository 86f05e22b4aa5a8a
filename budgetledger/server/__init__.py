"""The ledger over HTTP: LiteLLM's hosted protocol, and a JSON API for everything else.

Needs the extra ``server``. ``budgetledger serve`` runs it; `create_app` is for who mounts it.
"""

from __future__ import annotations

from budgetledger.server.access_tokens import Tokens

try:
    from budgetledger.server.app import create_app
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the server needs {error.name}; pip install 'budgetledger[server]'", name=error.name
    ) from error

__all__ = ["Tokens", "create_app"]
