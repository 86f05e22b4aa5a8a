"""The budgets of a LiteLLM Proxy: name ``budgetledger.proxy.handler`` under ``callbacks``.

Before a call is routed, what it can cost at most is held; the call is answered with an error if
a budget has no room for it. When the answer is there, and before the client has the end of it,
the hold is settled with the figure that LiteLLM puts on it: a process that dies takes along
nothing that a client was told. Whatever ends otherwise is released, or expires.

Every worker opens the same ledger, named by ``BUDGETLEDGER_DB``; the other settings are in
`settings`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import ProxyException

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.entries import Entry
from budgetledger.errors import (
    BudgetledgerError,
    HoldAlreadyClosed,
    InvalidInput,
    StoreError,
    UnknownAccount,
    UnpricedModel,
)
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger
from budgetledger.litellm.proxy.accounts import ProxyCaller, account_line
from budgetledger.litellm.proxy.costs import (
    Events,
    Paid,
    of_event,
    of_failure,
    of_response,
    of_stream,
)
from budgetledger.litellm.proxy.quotes import Quote, quote
from budgetledger.litellm.proxy.refusals import refusal
from budgetledger.litellm.proxy.settings import Settings
from budgetledger.litellm.tags import call_tags, short
from budgetledger.money import to_usd
from budgetledger.pricing.sources import extreme
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading

_log = logging.getLogger("budgetledger.proxy")
_NOTE = "budgetledger_call"
_MASTER_KEY_ALIAS = "litellm_proxy_master_key"  # LiteLLM's own, where it does not hash the key
_PAUSES = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)  # seconds between tries to record a cost


class _Call(str):
    """A request under way; noted in its metadata, where every hook finds it again.

    A text to whoever copies or prints metadata; and made here only, whereas LiteLLM's id of a
    call may be chosen by its client.
    """

    account: str
    model: str
    tags: dict[str, Any]
    quote = Quote(0, 0, 0)
    hold: AsyncHold | None = None
    stream: StreamReading | None = None
    """What has come of its answer, if that is a stream."""
    broken: Paid | None = None
    """What LiteLLM bills for a stream of it that broke."""
    has_failed = False
    settling: asyncio.Task[None] | None = None

    def __copy__(self) -> _Call:
        return self

    def __deepcopy__(self, memo: object) -> _Call:
        return self


class BudgetHandler(CustomLogger):  # type: ignore[misc]  # litellm's own types are not read
    """The callback of one worker."""

    def __init__(self, chosen: Settings) -> None:
        super().__init__()
        self._settings = chosen
        self._ledger = AsyncLedger(Ledger(chosen.db))
        self._parents: dict[str, str | None] = {}  # as this process has set them
        self._meeting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- before the call ------------------------------------------------------------------------

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        """Hold for the call, or refuse it."""
        if isinstance(data.get("model"), str) and _noted(data) is None:
            try:
                _metadata(data)[_NOTE] = await self._admitted(
                    user_api_key_dict, data, str(call_type)
                )
            except BudgetledgerError as error:
                raise _answer(error) from error

    async def _admitted(self, key: Any, data: dict[str, Any], call_type: str) -> _Call:
        if "," in data["model"]:  # LiteLLM calls each, and tells of one
            raise InvalidInput(
                "several models in one call are not covered by its budget; make one call for each"
            )
        caller = _caller(key, data)
        line = account_line(caller)
        call = _Call(uuid.uuid4().hex)
        call.account, call.model = line[0], _group(data["model"])
        call.tags = _tags(caller, data)
        try:
            await self._meet(line, is_user=bool(caller.end_user))
            try:
                call.quote = await asyncio.to_thread(self._quote, call, data, call_type, caller)
            except UnpricedModel as error:
                await self._ledger.can_afford(call.account, 0)  # is there a budget at all?
                raise _unpriced(call.model, error) from None
            call.hold = await self._ledger.hold(
                call.account,
                to_usd(call.quote.pico),
                tokens=call.quote.tokens,
                model=call.model,
                tags=call.tags,
                expires_in=self._settings.hold_seconds,
            )
        except UnknownAccount:
            if self._settings.refuses_without_budget:
                raise
        except StoreError:
            if self._settings.refuses_without_store:
                raise
            _log.exception("a call of %r passes without a hold", call.account)
        return call

    def _quote(
        self, call: _Call, data: dict[str, Any], call_type: str, caller: ProxyCaller
    ) -> Quote:
        router, journal = _router(), journal_of(self._ledger.ledger)
        found = router.get_model_list(model_name=call.model, team_id=caller.team) if router else []
        now = datetime.now(UTC)
        dearest = partial(extreme, prices=journal.prices, dearest=True)
        assumed = journal.default_output_tokens
        return quote(call_type, data, found or [], litellm.model_cost, assumed, now, dearest)

    async def _meet(self, line: tuple[str, ...], *, is_user: bool) -> None:
        """Set the parents of accounts, where this process has not yet, and a new user's budget."""
        pairs = list(zip(line, (*line[1:], None), strict=True))
        if all(self._parents.get(name, name) == above for name, above in pairs):
            return
        async with self._meeting:
            if is_user and line[0] not in self._parents:
                await self._welcome(line[0])
            for name, above in pairs:
                if above is not None and self._parents.get(name) != above:
                    await self._ledger.set_parent(name, above)  # no row if it is so already
                self._parents[name] = above

    async def _welcome(self, account: str) -> None:
        limit = self._settings.new_user
        if limit is not None:
            try:
                await self._ledger.budgets(account)
            except UnknownAccount:
                await self._ledger.set_budget(account, limit.usd, per=limit.per)

    # -- after it -------------------------------------------------------------------------------

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> None:
        """Settle with a whole answer, before the client has it."""
        call = _noted(data)
        if call is not None:
            await self._settle(call, of_response(response, data, is_free=call.quote.is_free))

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: AsyncIterable[Any], request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Pass a stream on; settle with what it used when it ends, breaks, or is left."""
        call = _noted(request_data)
        reading, events = StreamReading(), Events()
        if call is not None:
            call.stream = reading

        async def settle(*, is_broken: bool = False) -> None:
            if call is not None and reading.started:
                billed = of_failure(request_data) or call.broken if is_broken else None
                paid = await _paid_for_stream(call, request_data, billed)
                if paid is not None:
                    await self._settle(call, paid)

        try:
            async for chunk in response:
                for event in events.of(chunk):
                    reading.add(event)
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):  # the client left; nothing may wait here
            self._later(settle())
            raise
        except Exception:
            await settle(is_broken=True)
            raise
        await settle()

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Settle what the hooks above have not: answers of other kinds, or after a failure."""
        call = _noted(kwargs.get("litellm_params") or {})
        if call is not None:
            await self._settle(call, of_event(kwargs, response_obj, is_free=call.quote.is_free))

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Note what was paid for a stream that broke; LiteLLM may yet try another.

        Settle it where that is the end: of a pass-through stream, whose chunks no hook has seen.
        """
        call = _noted(kwargs.get("litellm_params") or {})
        if call is None:
            return
        call.broken = of_failure(kwargs) or call.broken
        is_begun = kwargs.get("completion_start_time") is not None
        if kwargs.get("call_type") == "pass_through_endpoint" and is_begun:
            await self._settle(call, call.broken or Paid(kwargs.get("model"), None, None))
        elif call.has_failed and call.broken is not None:
            await self._settle(call, call.broken)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """Give back what was held, unless LiteLLM says that the failed call is paid all the same.

        Whatever is seen to be paid later is recorded.
        """
        call = _noted(request_data)
        if call is None or call.settling is not None:
            return
        call.has_failed = True
        billed = of_failure(request_data) or call.broken
        paid = await _paid_for_stream(call, request_data, billed)
        if paid is not None:
            await self._settle(call, paid)
            return
        if call.hold is None:
            return
        try:
            await call.hold.release(reason=type(original_exception).__name__)
        except HoldAlreadyClosed:
            pass
        except StoreError:
            _log.exception("hold %s is not released; it counts until it expires", call.hold.id)

    async def _settle(self, call: _Call, paid: Paid) -> None:
        """Record what a call cost, once; whoever comes second waits until that is durable.

        Never raises: that would eat what was paid for.
        """
        if call.settling is None:
            call.settling = self._later(self._record(call, paid))
        await asyncio.shield(call.settling)

    async def _record(self, call: _Call, paid: Paid) -> None:
        tags = call.tags | ({"answered_by": paid.model} if paid.model else {})
        told = None if paid.cost == 0 else Reading(paid.model, paid.usage, paid.cost)

        async def record() -> Entry:
            if call.hold is not None:
                return await call.hold.settle(
                    0 if told is None else told,
                    model=call.model,
                    usage=paid.usage if told is None else None,
                    tags=tags,
                )
            return await self._ledger.charge(
                call.account,
                told,
                cost=0 if told is None else None,
                model=call.model,
                usage=paid.usage if told is None else None,
                tags=tags,
                key=f"proxy:{call}",
            )

        try:
            await record()
        except StoreError:
            _log.exception("%s of %r is not recorded yet: %s", call.model, call.account, paid)
            self._later(_again(record, paid))
        except Exception:
            _log.exception("%s of %r is not recorded: %s", call.model, call.account, paid)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps none alive
        task.add_done_callback(self._tasks.discard)
        return task


async def _paid_for_stream(
    call: _Call, data: Mapping[str, Any], billed: Paid | None
) -> Paid | None:
    """The cost of what has come of a call's stream; *billed*, LiteLLM's figure, if nothing has."""
    if call.stream is None or not call.stream.started:
        return billed
    quoted = call.quote
    return await asyncio.to_thread(
        of_stream, call.stream, call.model, quoted.input_tokens, data,
        is_free=quoted.is_free, billed=billed,
    )  # fmt: skip


async def _again(record: Callable[[], Awaitable[Entry]], paid: Paid) -> None:
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        try:
            await record()
        except HoldAlreadyClosed:  # the try before did it
            return
        except StoreError as error:
            _log.warning("still not recorded (%s): %s", error, paid)
        else:
            return
    _log.error("given up recording %s; record it with Ledger.charge", paid)


def _caller(key: Any, data: Mapping[str, Any]) -> ProxyCaller:
    """Who LiteLLM says is calling; custom authentication may leave the end user to us."""
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


def _router() -> Any:
    from litellm.proxy import proxy_server  # is not complete yet when this module is loaded

    return proxy_server.llm_router


def _group(model: str) -> str:
    """The Proxy's name for *model*: an alias would get around the budget of what it stands for."""
    router = _router()
    if router is None:
        return model
    alias = (router.model_group_alias or {}).get(model)
    if alias is not None:
        return str(alias["model"] if isinstance(alias, Mapping) else alias)
    deployment = router.get_deployment(model_id=model)
    return model if deployment is None else str(deployment.model_name)


def _metadata(data: dict[str, Any]) -> dict[str, Any]:
    """Where LiteLLM keeps its notes on a request: the client's own are apart on some routes."""
    name = "litellm_metadata" if isinstance(data.get("litellm_metadata"), dict) else "metadata"
    if not isinstance(data.get(name), dict):
        data[name] = {}
    noted: dict[str, Any] = data[name]
    return noted


def _noted(data: Mapping[str, Any]) -> _Call | None:
    """The call that was noted in a request's metadata, wherever LiteLLM keeps it."""
    for place in data, data.get("litellm_params"):  # the latter of pass-through requests
        for name in "litellm_metadata", "metadata":
            metadata = place.get(name) if isinstance(place, Mapping) else None
            found = metadata.get(_NOTE) if isinstance(metadata, dict) else None
            if isinstance(found, _Call):
                return found
    return None


def _tags(caller: ProxyCaller, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored with the rows: ids, the users, and the request's tags."""
    call = {**data, "user": caller.end_user}
    tags = call_tags(call, _metadata(dict(data)), keeps_metadata=False)
    return tags | short({"key_user": caller.user})


def _unpriced(model: str, error: UnpricedModel) -> UnpricedModel:
    return UnpricedModel(
        model,
        f"no price is known for all that model {model!r} ({error.model!r}) is billed for, so no "
        "budget can hold for it; give both its input_cost_per_token and output_cost_per_token in "
        "the Proxy's configuration, 0 if it is free",
    )


def _answer(error: BudgetledgerError) -> Exception:
    answer = refusal(error)
    exception: Any = ProxyException(
        message=str(error),
        type=answer.type,
        param=None,
        code=answer.status,
        headers=answer.headers,
        # Anthropic's endpoint puts a type of its own in place of ours.
        provider_specific_fields={"type": answer.type, **answer.details},
    )
    exception.status_code = answer.status  # which LiteLLM 1.80 reads instead
    refused: Exception = exception
    return refused
