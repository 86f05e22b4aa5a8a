"""What the Proxy knows of a request: its caller, its model, and the note of its hold.

The note is in the request's metadata, where every hook of LiteLLM finds it, and in the logging
object, which some endpoints pass on without the metadata.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from budgetledger.aio import AsyncHold
from budgetledger.entries import Entry
from budgetledger.litellm.proxy.accounts import ProxyCaller
from budgetledger.litellm.proxy.costs import Paid
from budgetledger.litellm.proxy.quotes import Quote
from budgetledger.litellm.tags import call_tags, short
from budgetledger.responses.stream import StreamReading

_NOTE = "budgetledger_call"
_MASTER_KEY_ALIAS = "litellm_proxy_master_key"  # LiteLLM's own, where it does not hash the key

_OWN_KEYS = ("litellm-internal-health-check", "litellm_internal_jobs")


class Call(str):
    """A request in progress, as noted.

    A str, so that code which copies or prints metadata treats it as text. Clients cannot create
    one, whereas they may choose LiteLLM's id of their call.
    """

    account: str
    model: str
    kind = ""
    tags: dict[str, Any]
    quote = Quote(0, 0, 0)
    may_answer: tuple[str, ...] = ()
    """The models behind the Proxy's name for it."""
    hold: AsyncHold | None = None
    stream: StreamReading | None = None
    """The arrived part of its answer, if that is a stream."""
    is_passing = False
    """Whether its chunks pass a hook, which settles when they end."""
    reported: Paid | None = None
    """LiteLLM's figure from a success event while they do."""
    broken: Paid | None = None
    """LiteLLM's figure for a stream of it that broke."""
    ends_by_event = False
    """Whether only LiteLLM's failure event reports its failure."""
    has_failed = False
    litellm_id: object = None
    """LiteLLM's id of it."""
    has_cost = False
    """Whether it was recorded with a cost or a usage."""
    settling: asyncio.Task[None] | None = None
    entry: Entry | None = None
    """The row of its cost."""

    def turn(self, id: str) -> Call:
        """A further call of the same connection, whose hold is closed; the same for the same id."""
        turn = Call(f"{self}:{id}")
        turn.account, turn.model, turn.kind, turn.tags = (
            self.account, self.model, self.kind, self.tags,
        )  # fmt: skip
        return turn

    def __copy__(self) -> Call:
        return self

    def __deepcopy__(self, memo: object) -> Call:
        return self


UNCOUNTED = Call("uncounted")
"""The note of a call that costs nothing."""


def note(data: dict[str, Any], call: Call) -> None:
    """Note *call* in a request, or in the keyword arguments of a function of LiteLLM."""
    details = getattr(data.get("litellm_logging_obj"), "model_call_details", None)
    if isinstance(details, dict):
        details[_NOTE] = call
    if call is not UNCOUNTED:
        call.litellm_id = data.get("litellm_call_id")
        # Not for UNCOUNTED: its metadata may be the client's, which LiteLLM sends on.
        metadata(data)[_NOTE] = call


def is_noted(data: Mapping[str, Any]) -> bool:
    """Whether an earlier hook decided on this request."""
    return any(isinstance(each, Call) for each in _notes(data))


def noted(data: Mapping[str, Any]) -> Call | None:
    """The call noted in a request or in the ``kwargs`` of an event; None without one."""
    return next((each for each in _notes(data) if isinstance(each, Call)
                 and each is not UNCOUNTED), None)  # fmt: skip


def noted_by_event(kwargs: Mapping[str, Any]) -> Call | None:
    """`noted` of an event; a call of its own for the copy that mirrors a request to another model.

    LiteLLM's Router copies the metadata, with the note of the request (``silent_model``).
    """
    call, params, id = noted(kwargs), kwargs.get("litellm_params"), kwargs.get("litellm_call_id")
    kept = metadata(dict(params)) if isinstance(params, Mapping) else {}
    if call is None or not kept.get("is_silent_experiment") or call.litellm_id == id:
        return call
    copied = call.turn(str(id))
    copied.model = str(kept.get("model_group") or call.model)
    copied.has_failed = True  # if it fails, what LiteLLM reports is owed
    return copied


def _notes(data: Mapping[str, Any]) -> Iterator[object]:
    yield data.get(_NOTE)  # the kwargs of an event are the logging object's details
    for place in data, data.get("litellm_params"):  # the latter of pass-through requests
        for name in "litellm_metadata", "metadata":
            found = place.get(name) if isinstance(place, Mapping) else None
            if isinstance(found, dict):
                yield found.get(_NOTE)
    details = getattr(data.get("litellm_logging_obj"), "model_call_details", None)
    if isinstance(details, dict):
        yield details.get(_NOTE)


def metadata(data: dict[str, Any]) -> dict[str, Any]:
    """LiteLLM's metadata of a request; some routes keep the client's metadata apart from it."""
    name = "litellm_metadata" if isinstance(data.get("litellm_metadata"), dict) else "metadata"
    if not isinstance(data.get(name), dict):
        data[name] = {}
    found: dict[str, Any] = data[name]
    return found


def key_of(kwargs: dict[str, Any]) -> Any:
    """The key of the request in which LiteLLM calls its function; None outside a request.

    The Proxy's health checks and jobs have keys of its own, and count as no request.
    """
    from litellm.proxy._types import UserAPIKeyAuth

    kept = metadata(dict(kwargs))
    key = kept.get("user_api_key_auth")
    if isinstance(key, UserAPIKeyAuth):
        return None if key.key_alias in _OWN_KEYS and key.key_alias == key.team_id else key
    if not kept.get("user_api_key_hash"):
        return None
    names = ("team_id", "user_id", "end_user_id")
    fields = {name: kept.get(f"user_api_key_{name}") for name in names}
    fields["key_alias"] = kept.get("user_api_key_alias")
    return UserAPIKeyAuth(api_key=kept["user_api_key_hash"], **fields)


def asked_of_router(kwargs: dict[str, Any]) -> dict[str, Any]:
    """*kwargs* with the model that the client named, in place of the deployment's."""
    named = metadata(dict(kwargs)).get("model_group")
    return {**kwargs, "model": named} if isinstance(named, str) else kwargs


def caller_of(key: Any, data: Mapping[str, Any]) -> ProxyCaller:
    """The caller that LiteLLM reports; custom authentication may omit the end user."""
    claimed = key.end_user_id or data.get("user")
    end_user = claimed if isinstance(claimed, str) else None
    proved = key.api_key
    if proved is None or _is_master_key(proved):
        return ProxyCaller(end_user=end_user)
    return ProxyCaller(key.key_alias or proved, key.team_id, key.user_id, end_user)


def _is_master_key(proved: str) -> bool:
    """Whether this is the name of the master key: LiteLLM's alias, in 1.80 a hash of the key."""
    from litellm.proxy import proxy_server

    master = proxy_server.master_key or ""
    hashed = hashlib.sha256(master.encode()).hexdigest()
    return proved == _MASTER_KEY_ALIAS or bool(master and proved in (master, hashed))


def router() -> Any:
    """The Proxy's router; None without models."""
    from litellm.proxy import proxy_server  # not complete when this module is imported

    return proxy_server.llm_router


def group(model: str) -> str:
    """The Proxy's name for *model*, so that an alias has the budget of its model."""
    found = router()
    if found is None:
        return model
    alias = (found.model_group_alias or {}).get(model)
    if alias is not None:
        return str(alias["model"] if isinstance(alias, Mapping) else alias)
    deployment = found.get_deployment(model_id=model)
    return model if deployment is None else str(deployment.model_name)


def tags_of(caller: ProxyCaller, data: Mapping[str, Any]) -> dict[str, Any]:
    """The tags of the rows: ids, the users, and the request's tags."""
    call = {**data, "user": caller.end_user}
    tags = call_tags(call, metadata(dict(data)), keeps_metadata=False)
    return tags | short({"key_user": caller.user})
