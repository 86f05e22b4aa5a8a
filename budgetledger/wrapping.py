"""Clients that hold before each call and settle after it, and are otherwise what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from budgetledger.aio import AsyncLedger
from budgetledger.callers import Caller
from budgetledger.clients.sdk_clients import is_client, metered_client
from budgetledger.errors import InvalidInput
from budgetledger.ledger import Ledger
from budgetledger.litellm.wrapping import is_litellm, wrap_litellm
from budgetledger.names import checked_name

T = TypeVar("T")


def wrap(
    client: T,
    ledger: Ledger | AsyncLedger,
    user: str | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> T:
    """A copy of *client* whose calls are metered: held for, made, and settled.

    *client*: an `openai` or `anthropic` client, plain or asynchronous, of any class of theirs
    (Azure, Bedrock, Vertex); it is left as it is. Metered are chat and text completions,
    Responses, embeddings, images and messages, however they are called: parsed, streamed,
    ``with_raw_response``, under ``beta``, by ``with_options(...)``. All else is the client's.
    Or the module litellm, or a ``litellm.Router``: metered are ``completion``,
    ``text_completion``, ``embedding``, ``responses``, ``image_generation``, and each with an
    ``a`` before it.

    *user*: whose budgets the calls count against, unless ``with ledger.as_user(...)`` or
    ``budget_user=`` of the call says otherwise; *tags*: for the rows. Calls take
    ``budget_tags=`` and ``budget_key=`` too. Type checkers know only the arguments of the client
    itself: they accept ``ledger.as_user(user, tags=..., key=...)``, which does the same.

    A call raises what `Ledger.hold` does, before anything is sent; `InvalidInput` also if
    there is no user, or its cost would not be seen (``with_streaming_response``,
    ``background=True``). The client's own retries are one call. A call that fails gives back
    what was held. A stream is settled when it ends, breaks, is closed or thrown away.
    """
    if user is not None:
        checked_name(user, "user")
    if is_client(client):
        wrapped: T = metered_client(client, ledger, Caller(user, tags))
        return wrapped
    if is_litellm(client):
        stands_for_it: T = wrap_litellm(client, ledger, Caller(user, tags))
        return stands_for_it
    raise InvalidInput(
        f"a {type(client).__name__} is no client to wrap; pass openai.OpenAI(...), "
        "anthropic.Anthropic(...), their asynchronous kin, litellm, or a litellm.Router"
    )
