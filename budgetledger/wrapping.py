"""`wrap`: a client whose calls are held for before they are sent, and settled after."""

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

__all__ = ["wrap"]

T = TypeVar("T")


def wrap(
    client: T,
    ledger: Ledger | AsyncLedger,
    user: str | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> T:
    """Return a copy of `client` whose calls are metered: a hold before, a settle after.

    `client`: an ``openai`` or ``anthropic`` client of any class, plain or asynchronous (Azure,
    Bedrock, Vertex too), which itself does not change. It meters chat and text completions,
    Responses, embeddings, images and messages in every form: parsed, streamed, under ``beta``,
    by ``with_raw_response`` or ``with_options(...)``. Other methods work as before. Or the module
    ``litellm`` or a ``litellm.Router``: it meters ``completion``, ``text_completion``,
    ``embedding``, ``responses``, ``image_generation`` and their ``a...`` variants.

    `user`: the account of the calls, unless ``with ledger.as_user(...)`` or ``budget_user=`` of
    the call names another. `tags`: JSON values, stored with the rows. Calls also accept
    ``budget_tags=`` and ``budget_key=``. Type checkers know only the client's own arguments;
    ``ledger.as_user(user, tags=..., key=...)`` does the same and is known to them.

    A call raises the errors of `Ledger.hold` before anything is sent. It also raises
    `InvalidInput` if there is no user, or if its cost would not be visible
    (``with_streaming_response``, ``background=True``). The client's own retries count as one
    call. A call that fails releases its hold. A stream is settled when it ends, breaks, is closed
    or is garbage-collected.

    Example:
        >>> import openai
        >>> from budgetledger import Ledger, wrap
        >>> ledger = Ledger("spend.db")
        >>> budget = ledger.set_budget("alice", "10.00", per="month")
        >>> client = wrap(openai.OpenAI(), ledger, user="alice")
        >>> response = client.chat.completions.create(
        ...     model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], max_tokens=500
        ... )
        >>> print(ledger.balance("alice").posted)
        0.00007
    """
    if user is not None:
        checked_name(user, "user")
    if is_client(client):
        metered: T = metered_client(client, ledger, Caller(user, tags))
        return metered
    if is_litellm(client):
        wrapped: T = wrap_litellm(client, ledger, Caller(user, tags))
        return wrapped
    raise InvalidInput(
        f"cannot wrap a {type(client).__name__}; pass openai.OpenAI(...), "
        "anthropic.Anthropic(...), one of their asynchronous clients, litellm, or a litellm.Router"
    )
