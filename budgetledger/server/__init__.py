"""The ledger over HTTP: LiteLLM's hosted protocol, and a JSON API for everything else.

Needs the extra ``server``. ``budgetledger serve`` runs it; `create_app` returns it to mount in your
own application. The server decides nothing about money: it checks the token, reads the request,
calls the ledger and writes the answer. ``/openapi.json`` describes its requests and answers.

Imports words, storage, journal, verbs, ledger, render, litellm and wallet. In reading order:
    app                 the application: its routes, and how it handles a request
    state               what endpoints share: the ledger as each project sees it
    gate                whether a request may use a project
    access_tokens       bearer tokens
    leaving             ends a request that waits when its client leaves
    http                bodies in, errors out
    api                 the operations of the JSON API, and their table
    default_budget_api  the operations on default budgets
    price_api           the operations on prices
    operation           a row of the table; a request after it was parsed
    request_models      the fields of each request
    request_fields      the types of their values, and the errors for wrong ones
    openapi             the description, built from all these
    litellm_protocol    /get_budget and /set_budget
    litellm_users       reads and writes the records of LiteLLM's users
    litellm_counters    charges the growth of a client's cost counters
    litellm_notes       what each client last sent and received
    metrics             Prometheus
    wallet              the providers' APIs under /wallet
    idle_connections    closes connections that send no request
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
