"""The ledger over HTTP: LiteLLM's hosted protocol, and a JSON API for everything else.

Needs the extra ``server``. ``budgetledger serve`` runs it; mount `create_app` in an application of
your own. The server decides nothing about money: it checks the token, reads the request, calls the
ledger and writes the answer, and describes all of that at ``/openapi.json``.

Imports words, storage, journal, verbs, ledger, render and litellm. In reading order:
    app                 the application: routes, and how a request is performed
    state               what endpoints share: the ledger under its projects
    gate                whether a request may use a project
    access_tokens       bearer tokens
    http                bodies in, errors out
    api                 the operations of the JSON API, and their table
    price_api           those about prices
    operation           one row of the table; one request that was read
    request_models      what each request may say
    request_fields      the kinds of its values, and what is said of a wrong one
    openapi             the description, put together from all these
    litellm_protocol    /get_budget and /set_budget
    litellm_users       records of LiteLLM's users, read and written
    litellm_counters    what a client's counters grew by, as charges
    litellm_notes       what clients said and were told last
    metrics             Prometheus
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
