"""The budgets of a LiteLLM Proxy: name ``budgetledger.proxy.handler`` under ``callbacks``.

Before a call is routed, the most it can cost is held; the call is refused if a budget has no room
for it. The hold is settled with LiteLLM's figure before the client receives the end of the
answer, so a process that dies loses no cost of an answer that a client has. A hold that ends
otherwise is released, or expires.

Every worker opens the same ledger, ``BUDGETLEDGER_DB``; `settings` has the other variables.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import ProxyException

from budgetledger.aio import AsyncLedger, requested_ahold
from budgetledger.apis.refusals import refusal
from budgetledger.errors import (
    BudgetledgerError,
    HoldAlreadyClosed,
    InvalidInput,
    StoreError,
    UnboundedWarning,
    UnknownAccount,
    UnpricedModel,
)
from budgetledger.holds import called_at
from budgetledger.journal.drafts import HoldRequest, minimal_request
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger, ledger_at
from budgetledger.litellm.price_list import price_list
from budgetledger.litellm.proxy.accounts import ProxyCaller, accounts_of
from budgetledger.litellm.proxy.call_kinds import FREE, PASS_THROUGH, REFUSED, STATED, plain_kind
from budgetledger.litellm.proxy.costs import (
    Events,
    Paid,
    of_event,
    of_failure,
    of_response,
)
from budgetledger.litellm.proxy.gate import install, key_not_passed_on, spends_nothing
from budgetledger.litellm.proxy.quotes import LEAST, Quote, models_behind, quote
from budgetledger.litellm.proxy.requests import (
    UNCOUNTED,
    Call,
    asked_of_router,
    caller_of,
    group,
    is_noted,
    key_of,
    note,
    noted,
    noted_by_event,
    router,
    tags_of,
)
from budgetledger.litellm.proxy.settings import Settings
from budgetledger.litellm.proxy.streams import paid_for_stream, rest_of_stream
from budgetledger.money import to_usd
from budgetledger.pricing.sources import extreme
from budgetledger.responses.stream import StreamReading

_log = logging.getLogger("budgetledger.proxy")
_PAUSES = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)  # seconds between tries to record a cost


class BudgetHandler(CustomLogger):  # type: ignore[misc]  # litellm's own types are not read
    """The callback of one worker."""

    def __init__(self, chosen: Settings) -> None:
        super().__init__()
        self._settings = chosen
        self._ledger = AsyncLedger(Ledger(chosen.db))
        self._parents: dict[str, str | None] = {}  # as this process has set them
        self._meeting = asyncio.Lock()
        self._has_set_default = False
        self._tasks: set[asyncio.Task[None]] = set()
        install(self._admit_endpoint)

    # -- before the call ------------------------------------------------------------------------

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        """Hold for the call, or refuse it."""
        if not is_noted(data):
            kind = str(getattr(call_type, "value", call_type))
            call = await self._decided(user_api_key_dict, data, kind)
            call.ends_by_event = call.kind == "call_mcp_tool"  # no other hook is called for it
            note(data, call)

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """Hold for a call whose endpoint calls no other hook, or refuse it.

        The Proxy's own calls, such as health checks, have no key and pass.
        """
        key = None if is_noted(kwargs) else key_of(kwargs) or key_not_passed_on()
        if key is not None:
            details = getattr(kwargs.get("litellm_logging_obj"), "model_call_details", {})
            kind = getattr(call_type, "value", None) or details.get("call_type") or "unknown"
            call = await self._decided(key, asked_of_router(kwargs), str(kind))
            call.ends_by_event = True
            note(kwargs, call)
        return None

    async def _decided(self, key: Any, data: dict[str, Any], call_type: str) -> Call:
        kind = plain_kind(call_type)
        if kind in FREE or (kind in PASS_THROUGH and spends_nothing()):
            return UNCOUNTED
        try:
            return await self._admitted(key, data, kind)
        except BudgetledgerError as error:
            raise self._answer(error) from error

    async def _admit_endpoint(self, key: Any, name: str, reason: str) -> None:
        """Refuse an endpoint that calls no hook, where a budget applies."""
        caller = caller_of(key, {})
        accounts = accounts_of(caller)
        try:
            with self._tolerating(accounts[0]):
                await self._meet(accounts, is_user=bool(caller.end_user))
                await self._refuse(accounts[0], name, reason)
        except BudgetledgerError as error:
            raise self._answer(error) from error

    def _answer(self, error: BudgetledgerError) -> Exception:
        answer = refusal(error, payment_required=self._settings.answers_402)
        exception: Any = _Refused(
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

    async def _admitted(self, key: Any, data: dict[str, Any], kind: str) -> Call:
        named = data.get("model")
        model = named if isinstance(named, str) and named else None
        if model is not None and "," in model:  # LiteLLM calls each, and reports one
            raise InvalidInput(
                "several models in one call are not covered by its budget; make one call for each"
            )
        caller = caller_of(key, data)
        accounts = accounts_of(caller)
        call = Call(uuid.uuid4().hex)
        call.account, call.model, call.kind = accounts[0], group(model) if model else kind, kind
        call.tags = tags_of(caller, data)
        with self._tolerating(call.account):
            await self._meet(accounts, is_user=bool(caller.end_user))
            reason = REFUSED.get(kind) or _uncovered(kind, data)
            if reason is not None:
                await self._refuse(call.account, call.model, reason)
            call.quote = await self._quoted(call, data, kind, caller)
            call.hold = await requested_ahold(
                self._ledger,
                call.account,
                _requested(call),
                self._settings.hold_seconds,
                self._settings.wait_seconds,
            )
        return call

    @contextmanager
    def _tolerating(self, account: str) -> Iterator[None]:
        """Let a call pass without a hold, where the settings allow that."""
        try:
            yield
        except UnknownAccount:
            if self._settings.refuses_without_budget:
                raise
        except StoreError:
            if self._settings.refuses_without_store:
                raise
            _log.exception("a call of %r passes without a hold", account)

    async def _refuse(self, account: str, model: str, reason: str) -> None:
        """Raise `UnpricedModel`; `NoBudget` if no budget applies to the account."""
        await self._ledger.can_afford(account, 0)
        raise UnpricedModel(
            model,
            f"{model!r} is refused where a budget applies, since {reason}; use it with a key and "
            "a user without a budget at any level, and record its cost with Ledger.charge",
        )

    async def _quoted(
        self, call: Call, data: dict[str, Any], kind: str, caller: ProxyCaller
    ) -> Quote:
        try:
            return await asyncio.to_thread(self._quote, call, data, kind, caller)
        except UnpricedModel as error:
            await self._ledger.can_afford(call.account, 0)  # raises if no budget applies
            raise _unpriced(call.model, error) from None

    def _quote(self, call: Call, data: dict[str, Any], kind: str, caller: ProxyCaller) -> Quote:
        models, journal = router(), journal_of(self._ledger.ledger)
        is_named = models is not None and isinstance(data.get("model"), str)
        found = (
            models.get_model_list(model_name=call.model, team_id=caller.team) if is_named else []
        )
        call.may_answer = models_behind(found or ())
        now = datetime.now(UTC)
        most_expensive = partial(extreme, prices=journal.prices, most=True)
        assumed, listed = journal.default_output_tokens, price_list(litellm.model_cost)
        return quote(kind, data, found or [], listed, assumed, now, most_expensive)

    async def _meet(self, accounts: tuple[str, ...], *, is_user: bool) -> None:
        """Set the parents of accounts new to this process, and the default budget of users."""
        pairs = list(zip(accounts, (*accounts[1:], None), strict=True))
        if all(self._parents.get(name, name) == above for name, above in pairs):
            return
        async with self._meeting:
            if is_user and accounts[0] not in self._parents:
                await self._welcome()
            for name, above in pairs:
                if above is not None and self._parents.get(name) != above:
                    await self._ledger.set_parent(name, above)  # no row if it is set already
                self._parents[name] = above

    async def _welcome(self) -> None:
        """Set the default budget of users, once; the ledger applies it."""
        limit = self._settings.new_user
        if limit is not None and not self._has_set_default:
            try:
                await self._ledger.set_default_budget(limit.usd, per=limit.per)
            except UnboundedWarning as warning:  # where warnings are errors; the budget is set
                _log.warning(warning)
            self._has_set_default = True

    # -- after it -------------------------------------------------------------------------------

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> None:
        """Settle with a whole answer, before the client receives it."""
        call = noted(data)
        if call is not None:
            await self._settle(call, of_response(response, data, is_free=call.quote.is_free))

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: AsyncIterable[Any], request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Pass a stream on; settle with its usage when it ends, breaks, or the client leaves."""
        call = noted(request_data)
        reading, events = StreamReading(), Events()
        if call is not None:
            call.stream, call.is_passing = reading, True

        async def settle(*, is_broken: bool = False) -> None:
            if call is None:
                return
            try:
                paid = await paid_for_stream(call, request_data, is_broken=is_broken)
            finally:
                call.is_passing = False  # only now, as an event may come while the text is counted
            if paid is not None:
                await self._settle(call, paid)
                if call.reported is not None:
                    await self._add_rest(call, call.reported)

        try:
            async for chunk in response:
                for event in events.of(chunk):
                    reading.add(event)
                yield chunk
        except (
            asyncio.CancelledError,
            GeneratorExit,
        ):  # the client left; awaiting is not allowed here
            self._later(settle())
            raise
        except Exception:
            await settle(is_broken=True)
            raise
        await settle()

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Settle answers that the hooks above did not see, and those after a failure.

        LiteLLM reads some streams ahead of the client, or on after the client left: the first are
        left to the hook that sees their chunks, the rest of the second is added.
        """
        call = noted_by_event(kwargs)
        if call is not None:
            is_free = call.quote.is_free or call.kind in STATED
            paid = of_event(kwargs, response_obj, is_free=is_free)
            if call.is_passing:
                call.reported = paid
                return
            if _is_another(call, paid):
                call = call.turn(str(kwargs.get("litellm_call_id")))
            await self._settle(call, paid)
            await self._add_rest(call, paid)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Note the cost of a stream that broke, since LiteLLM may try another deployment.

        Settle at once for a pass-through stream: no other hook sees it.
        """
        call = noted_by_event(kwargs)
        if call is None:
            return
        call.broken = of_failure(kwargs) or call.broken
        if call.is_passing:  # the hook that sees its chunks settles with the larger count
            return
        is_begun = kwargs.get("completion_start_time") is not None
        if kwargs.get("call_type") == "pass_through_endpoint" and is_begun:
            await self._settle(call, call.broken or Paid(kwargs.get("model"), None, None))
        elif call.has_failed and call.broken is not None:
            await self._settle(call, call.broken)
        elif call.ends_by_event and call.settling is None:
            await self._release(call, type(kwargs.get("exception")).__name__)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """Release the hold, unless LiteLLM reports a cost of the failed call.

        A cost that LiteLLM reports later is recorded.
        """
        call = noted(request_data)
        if call is None or call.settling is not None:
            return
        call.has_failed = True
        paid = await paid_for_stream(call, request_data, is_broken=True)
        if paid is not None:
            await self._settle(call, paid)
            return
        await self._release(call, type(original_exception).__name__)

    async def _release(self, call: Call, reason: str) -> None:
        if call.hold is None:
            return
        try:
            await call.hold.release(reason=reason)
        except HoldAlreadyClosed:
            pass
        except StoreError:
            _log.exception("hold %s is not released; it counts until it expires", call.hold.id)

    async def _settle(self, call: Call, paid: Paid) -> None:
        """Record the cost of a call once; a second hook waits until the row is durable.

        Never raises, as an exception would discard a paid answer.
        """
        if call.settling is None:
            if paid.cost is None and call.quote.is_free and not call.quote.pico:
                paid = paid._replace(cost=Decimal(0))
            call.has_cost = paid.cost is not None or paid.usage is not None
            call.settling = self._later(self._record(call, paid))
        await asyncio.shield(call.settling)

    async def _record(self, call: Call, paid: Paid) -> None:
        tags = call.tags | ({"answered_by": paid.model} if paid.model else {})
        reading = None if paid.cost == 0 else paid.reading

        async def record() -> None:
            if call.hold is not None:
                called_at(call.hold, *paid.places)
                call.entry = await call.hold.settle(
                    0 if reading is None else reading,
                    model=call.model,
                    usage=paid.usage if reading is None else None,
                    tags=tags,
                )
                return
            ledger = AsyncLedger(ledger_at(self._ledger.ledger, *paid.places))
            call.entry = await ledger.charge(
                call.account,
                reading,
                cost=0 if reading is None else None,
                model=call.model,
                usage=paid.usage if reading is None else None,
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

    async def _add_rest(self, call: Call, paid: Paid) -> None:
        """Correct the cost of a stream that was left or broke, by what LiteLLM read of the rest."""
        entry = call.entry
        rest = None if entry is None else rest_of_stream(call, entry, paid)
        if entry is None or rest is None:
            return
        try:
            await self._ledger.adjust(
                entry, rest, reason="LiteLLM read the stream on", key=f"proxy:{call}:rest"
            )
        except Exception:
            _log.exception("%s of %r lacks %s USD of its stream", call.model, call.account, rest)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop keeps only weak references
        task.add_done_callback(self._tasks.discard)
        return task


def _requested(call: Call) -> HoldRequest:
    if call.quote == LEAST:
        request = minimal_request(call.model, call.kind, None, call.tags)
    else:
        amount, tokens = to_usd(call.quote.pico), call.quote.tokens
        request = HoldRequest(amount, call.model, tokens=tokens, tags=call.tags)
    return request._replace(may_answer=call.may_answer)


async def _again(record: Callable[[], Awaitable[None]], paid: Paid) -> None:
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        try:
            await record()
        except HoldAlreadyClosed:  # an earlier attempt succeeded
            return
        except StoreError as error:
            _log.warning("still not recorded (%s): %s", error, paid)
        else:
            return
    _log.error("%s could not be recorded; record it with Ledger.charge", paid)


def _is_another(call: Call, paid: Paid) -> bool:
    """Whether *paid* is the cost of another answer than the recorded one.

    Each answer of a connection has an event. So has the end of a background interaction, whose
    first answer has no cost.
    """
    if call.settling is None:
        return False
    is_late = call.kind == "create_interaction" and not call.has_cost and bool(paid.cost)
    return call.kind == "responses_websocket" or is_late


def _uncovered(kind: str, data: Mapping[str, Any]) -> str | None:
    """The reason to refuse this request, though not its kind; None if there is none."""
    if kind == "create_interaction" and data.get("background"):
        return "LiteLLM reports the cost of an interaction in the background after its answer"
    # Later hooks find the note in the body, which a web socket lacks.
    is_bare = kind == "pass_through_endpoint" and not data.keys() - {"stream", "metadata"}
    return "LiteLLM reports its cost without the request" if is_bare else None


def _unpriced(model: str, error: UnpricedModel) -> UnpricedModel:
    return UnpricedModel(
        model,
        f"the input or output price of model {model!r} ({error.model!r}) is unknown, so nothing "
        "can be held for it; set both input_cost_per_token and output_cost_per_token in the "
        "Proxy's configuration, 0 if it is free",
    )


class _Refused(ProxyException):  # type: ignore[misc]  # litellm's own types are not read
    """The answer to a refused client, with ``error.code`` in words instead of the status."""

    def __str__(self) -> str:  # which LiteLLM before 1.90 leaves empty in its log
        return str(self.message)

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = super().to_dict()
        return {**body, "code": self.type}
