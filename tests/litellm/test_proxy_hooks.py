"""The callback in this process, with LiteLLM's own Router and types, where a store fails."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import litellm
import pytest
from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException
from proxy_requests import Request

import budgetledger.proxy
from budgetledger.errors import InvalidInput, StoreBusy
from budgetledger.litellm.proxy import costs
from budgetledger.litellm.proxy.settings import Limit

pytestmark = pytest.mark.usefixtures("router")


def kinds(ledger, account="alice"):
    steps = ("hold", "settle", "release", "charge")
    entries = (entry for entry in ledger.entries() if entry.account == account)
    return [entry.kind for entry in entries if entry.kind in steps]


def test_a_call_is_settled_once_by_whichever_hook_comes_first(handler, ledger, router):
    ledger.set_budget("alice", 1)

    async def calls():
        proxy = handler()
        for order in "al", "la":
            request = Request(proxy)
            await request.admit()
            await request.admit()  # the Proxy may run the hook again
            response = await router.acompletion(**request.data)
            for step in order:
                if step == "l":
                    await request.log(response)
                else:
                    await proxy.async_post_call_success_hook(request.data, request.key, response)

    asyncio.run(calls())
    assert kinds(ledger) == ["hold", "settle"] * 2


@pytest.mark.parametrize("is_first", [True, False])
def test_a_mirrored_request_is_a_call_of_its_own(handler, ledger, router, is_first):
    ledger.set_budget("alice", 1)

    async def call():
        proxy = handler()
        request = Request(proxy)
        request.data["litellm_call_id"] = "first"
        await request.admit()
        copied = {**request.data["metadata"], "is_silent_experiment": True, "model_group": "quiet"}
        mirrored = {"litellm_params": {"metadata": copied}, "litellm_call_id": "copy"}
        answer = {"model": "other", "usage": {"prompt_tokens": 9, "completion_tokens": 9}}

        async def mirror():
            await proxy.async_log_failure_event(mirrored, None, None, None)
            told = mirrored | {"response_cost": 0.25}
            await proxy.async_log_success_event(told, answer, None, None)

        if is_first:
            await mirror()
        await request.answer(router)
        if not is_first:
            await mirror()

    asyncio.run(call())
    found = {(row.kind, row.model): row.cost for row in ledger.entries() if row.kind != "budget"}
    assert found["charge", "quiet"] == Decimal("0.25")
    assert 0 < found["settle", "cheap"] < Decimal("0.01")
    assert len(ledger.holds("alice")) == 0


def test_a_budget_of_a_model_counts_the_names_of_the_proxy(handler, ledger, router):
    """`cheap` is gpt-4o-mini."""
    ledger.set_budget("alice", 1)
    ledger.set_budget("alice", "0.000000000001", model="gpt-4o-mini")

    async def call():
        with pytest.raises(Exception, match="usd/gpt-4o-mini"):
            await Request(handler()).admit()
        ledger.set_budget("alice", 1, model="gpt-4o-mini")
        request = Request(handler())
        await request.admit()
        await request.answer(router)

    asyncio.run(call())
    [hold] = [row for row in ledger.entries() if row.kind == "hold"]
    assert hold.price == {"may_answer": ["openai/gpt-4o-mini"]}
    spent = {one.budget.name: one.posted for one in ledger.balance("alice").budgets}
    assert spent["usd/gpt-4o-mini"] == spent["usd"] > 0


@pytest.mark.parametrize("is_stream", [False, True])
def test_no_answer_ends_before_its_cost_is_durable_whichever_hook_records_it(
    handler, ledger, router, monkeypatch, is_stream
):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        whole = await router.acompletion(**request.data)
        store, written = proxy._ledger.ledger._journal.store, asyncio.Event()
        write = store.awrite

        async def slow(*arguments):
            await written.wait()
            return await write(*arguments)

        monkeypatch.setattr(store, "awrite", slow)
        logging = asyncio.create_task(request.log(whole))
        await asyncio.sleep(0.05)  # it is recording
        if is_stream:
            answering = asyncio.create_task(request.stream(router))
        else:
            hook = proxy.async_post_call_success_hook(request.data, request.key, whole)
            answering = asyncio.create_task(hook)
        await asyncio.wait({answering}, timeout=4)
        assert not answering.done()
        written.set()
        await asyncio.gather(answering, logging)

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "settle"]


@pytest.mark.parametrize("is_left", [False, True])
def test_a_stream_is_settled_when_it_ends_without_waiting_for_a_log(
    handler, ledger, router, is_left
):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        await request.stream(router, is_left=is_left)
        if proxy._tasks:
            await asyncio.wait(proxy._tasks, timeout=5)

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "settle"]
    assert ledger.balance("alice").posted > 0


def test_an_answer_that_comes_after_the_failure_is_recorded(handler, ledger, router):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(handler())
        await request.admit()
        response = await router.acompletion(**request.data)
        await request.fail()
        await request.log(response)

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "release", "settle"]
    assert ledger.balance("alice").posted > 0


def broken(output_tokens, cost):
    """What LiteLLM tells of a stream that broke."""
    usage = litellm.Usage(prompt_tokens=20, completion_tokens=output_tokens)
    return {"combined_usage_object": usage, "response_cost": cost}


def test_a_failed_call_that_litellm_says_is_paid_is_recorded_once(handler, ledger, router):
    ledger.set_budget("alice", 1)

    class Attempt(NamedTuple):
        usage: object
        response_cost: float

    async def calls():
        proxy = handler()
        requests = [Request(proxy) for _ in range(4)]
        for request in requests:
            await request.admit()
        paid, retried, free, made_up = requests
        await paid.fail(**broken(4, 0.01))
        await paid.log_failure(**broken(4, 0.01))
        earlier = Attempt(litellm.Usage(prompt_tokens=20), 0.02)
        await retried.fail(**broken(0, 0.02), billed_failed_attempts=(earlier,))
        await free.fail(**broken(4, 0.0))  # an estimate of LiteLLM's, which was not billed
        usage = {"prompt_tokens": 20, "completion_tokens": 4}  # as a client may send it
        attempts = [{"usage": usage, "response_cost": 0.5}]
        await made_up.fail(
            combined_usage_object=usage, response_cost=0.5, billed_failed_attempts=attempts
        )

    asyncio.run(calls())
    assert kinds(ledger) == ["hold"] * 4 + ["settle"] * 2 + ["release"] * 2
    paid = [entry for entry in ledger.entries("alice") if entry.kind == "settle"]
    told = [(entry.cost, entry.input_tokens, entry.output_tokens) for entry in paid]
    assert told == [(Decimal("0.01"), 20, 4), (Decimal("0.04"), 40, 0)]


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_stream_that_broke_is_recorded_if_the_call_failed_and_not_if_it_was_answered(
    handler, ledger, router, is_told_first
):
    ledger.set_budget("alice", 1)

    async def calls():
        proxy = handler()
        failing, answered = Request(proxy), Request(proxy)
        await failing.admit()
        await answered.admit()
        if not is_told_first:
            await failing.fail()
        for request in failing, answered:
            await request.log_failure(**broken(4, 0.01), call_type="acompletion")
        if is_told_first:
            await failing.fail()
        await answered.answer(router)

    asyncio.run(calls())
    first = ["settle"] if is_told_first else ["release", "settle"]
    assert kinds(ledger) == ["hold", "hold", *first, "settle"]
    costs = [entry.cost for entry in ledger.entries("alice") if entry.kind == "settle"]
    assert costs[0] == Decimal("0.01") != costs[1] > 0


@pytest.mark.parametrize("is_told_first", [True, False])
@pytest.mark.parametrize(("billed", "expected"), [(1, 4), (9, 9)])
def test_a_stream_that_broke_costs_what_came_or_what_litellm_counts_if_that_is_more(
    handler, ledger, router, is_told_first, billed, expected
):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        told = broken(billed, 0.01)
        logging = {"litellm_params": {"metadata": dict(request.data["metadata"])}} | told

        async def breaking():
            for word in "one", " two", " three", " four":
                choices = [{"index": 0, "delta": {"content": word}}]
                yield {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices}
            await proxy.async_log_failure_event(logging, None, None, None)
            if is_told_first:
                await request.fail(**told)
            raise ConnectionError

        hook = proxy.async_post_call_streaming_iterator_hook
        with pytest.raises(ConnectionError):
            async for _ in hook(request.key, breaking(), request.data):
                pass
        if not is_told_first:
            await request.fail(**told)

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "settle"]
    [_, entry] = [e for e in ledger.entries("alice") if e.kind in ("hold", "settle")]
    assert entry.output_tokens == expected


async def chunks(words, then=None, model="gpt-4o"):
    """A stream of *words*, which then awaits *then*, and ends well."""

    def chunk(**choice):
        choices = [{"index": 0, **choice}]
        return {"object": "chat.completion.chunk", "model": model, "choices": choices}

    for word in words:
        yield chunk(delta={"content": word})
    if then is not None:
        await then()
    yield chunk(delta={}, finish_reason="stop")


def counted(output_tokens):
    """A whole answer, as LiteLLM's success event has it."""
    usage = litellm.Usage(prompt_tokens=20, completion_tokens=output_tokens)
    return litellm.ModelResponse(model="gpt-4o", usage=usage)


FOUR = ("one", " two", " three", " four")


@pytest.mark.parametrize("ending", ["whole", "broken", "left"])
@pytest.mark.parametrize(("reported", "expected"), [(1, 4), (9, 9)])
def test_a_success_event_in_mid_stream_never_settles_with_less_than_what_came(
    handler, ledger, router, ending, reported, expected
):
    """LiteLLM reads Anthropic streams ahead, and logs a broken one with its first count."""
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()

        async def told():
            await request.log(counted(reported), 0.01)
            if ending == "broken":
                raise ConnectionError
            if ending == "left":
                raise asyncio.CancelledError

        hook = proxy.async_post_call_streaming_iterator_hook
        with suppress(ConnectionError, asyncio.CancelledError):
            async for _ in hook(request.key, chunks(FOUR, told), request.data):
                pass
        if ending == "broken":
            await request.fail()
        await asyncio.gather(*proxy._tasks)

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "settle"]
    [entry] = [entry for entry in ledger.entries("alice") if entry.kind == "settle"]
    assert entry.output_tokens == (reported if ending == "whole" else expected)


def test_a_success_event_while_the_text_is_counted_waits_for_the_count(
    handler, ledger, router, monkeypatch
):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        in_thread = asyncio.to_thread

        async def slow(work, *arguments, **named):
            if work is costs.of_stream:
                await request.log(counted(1), 0.01)
            return await in_thread(work, *arguments, **named)

        async def breaks():
            monkeypatch.setattr(asyncio, "to_thread", slow)
            raise ConnectionError

        hook = proxy.async_post_call_streaming_iterator_hook
        with suppress(ConnectionError):
            async for _ in hook(request.key, chunks(FOUR, breaks), request.data):
                pass

    asyncio.run(call())
    assert kinds(ledger) == ["hold", "settle"]
    assert [entry.output_tokens for entry in ledger.entries("alice")][-1] == 4


def test_a_part_of_a_stream_whose_reasoning_is_hidden_is_assumed_whatever_litellm_counts(
    handler, ledger, router
):
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()

        async def told():
            await request.log(counted(1), 0.0001)
            raise ConnectionError

        hook = proxy.async_post_call_streaming_iterator_hook
        with suppress(ConnectionError):
            async for _ in hook(request.key, chunks(FOUR, told, model="o3"), request.data):
                pass

    asyncio.run(call())
    [hold, entry] = [entry for entry in ledger.entries("alice") if entry.kind in ("hold", "settle")]
    assert (entry.cost_basis, entry.cost) == ("assumed", hold.held)


@pytest.mark.parametrize(("reported", "cost", "posted"), [(9, "0.01", "0.01"), (1, "0.01", None)])
def test_a_stream_that_the_client_left_costs_what_litellm_reads_of_it_afterwards(
    handler, ledger, router, reported, cost, posted
):
    """LiteLLM reads some streams to their end, as their provider bills them whole."""
    ledger.set_budget("alice", 1)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        passing = proxy.async_post_call_streaming_iterator_hook(
            request.key, chunks(FOUR), request.data
        )
        async for chunk in passing:
            if chunk["choices"][0]["delta"]["content"] == " four":
                break
        await passing.aclose()
        await asyncio.gather(*proxy._tasks)
        for _ in range(2):
            await request.log(counted(reported), float(cost))

    asyncio.run(call())
    rows = [entry for entry in ledger.entries("alice") if entry.kind in ("settle", "adjustment")]
    assert [row.kind for row in rows] == ["settle", "adjustment"][: 2 if posted else 1]
    assert ledger.balance("alice").posted == (Decimal(posted) if posted else rows[0].cost)
    ledger.verify()


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")
def test_a_pass_through_stream_that_broke_is_never_free(handler, ledger, router):
    ledger.set_budget("alice", 1)

    async def calls():
        proxy = handler()
        requests = [Request(proxy) for _ in range(3)]
        for request, told in zip(requests, ({}, broken(4, 0.01), {}), strict=True):
            await request.admit()
            is_begun = request is not requests[2]
            await request.log_failure(
                **told, model="gpt-4o", call_type="pass_through_endpoint",
                completion_start_time=datetime.now() if is_begun else None,
            )  # fmt: skip
            metadata = request.data.pop("metadata")  # LiteLLM has it elsewhere for these
            await request.fail(litellm_params={"metadata": metadata})

    asyncio.run(calls())
    assert kinds(ledger) == ["hold", "settle"] * 2 + ["hold", "release"]
    balance = ledger.balance("alice")
    held = next(entry.held for entry in ledger.entries("alice") if entry.kind == "hold")
    assert (balance.posted - held, balance.held) == (Decimal("0.01"), 0)
    assert balance.assumed == held > 0


def test_the_master_key_is_known_by_its_alias_or_its_hash(handler, ledger, router, monkeypatch):
    monkeypatch.setattr(proxy_server, "master_key", "sk-master")
    ledger.set_budget("*", 1)
    hashed = hashlib.sha256(b"sk-master").hexdigest()

    async def calls():
        proxy = handler()
        for key in "litellm_proxy_master_key", "sk-master", hashed, hashed[::-1]:
            await Request(proxy, "zoe", api_key=key).admit()

    asyncio.run(calls())
    held = Counter(entry.account for entry in ledger.entries() if entry.kind == "hold")
    assert held == {"zoe": 3, f"key:{hashed[::-1]}/zoe": 1}


@pytest.mark.parametrize(("settings", "status"), [({}, 400), ({"answers_402": True}, 403)])
def test_a_refusal_has_its_status_where_any_litellm_looks_for_it(
    handler, ledger, router, settings, status
):
    ledger.set_budget("alice", 1)
    ledger.freeze("alice")
    with pytest.raises(ProxyException) as refused:
        asyncio.run(Request(handler(**settings)).admit())
    assert (refused.value.code, refused.value.status_code) == (str(status), status)
    assert refused.value.headers == {"x-should-retry": "false"}
    assert str(refused.value) == refused.value.message != ""  # for LiteLLM's log
    told = {"type": "account_frozen", "account": "alice", "blocked_by_holds": False}
    assert refused.value.provider_specific_fields == told
    body = refused.value.to_dict()
    assert (body["type"], body["code"]) == ("account_frozen", "account_frozen")


def test_an_account_without_a_budget_is_recorded_or_refused(handler, ledger, router):
    async def call(**settings):
        request = Request(handler(**settings))
        await request.admit()
        await request.answer(router)

    asyncio.run(call())
    assert kinds(ledger) == ["charge"]
    with pytest.raises(ProxyException) as refused:
        asyncio.run(call(refuses_without_budget=True))
    assert "has no budget" in refused.value.message
    assert (refused.value.code, refused.value.type) == ("400", "no_budget")


def test_a_user_seen_for_the_first_time_gets_a_budget(handler, ledger, router):
    ledger.set_budget("carol", 7)
    chosen = {"new_user": Limit("0.01", "month")}

    async def calls():
        requests = [Request(handler(**chosen), user) for user in ["dave"] * 5 + ["carol", None]]
        for request in requests:
            await request.admit()
            await request.answer(router)

    asyncio.run(calls())
    assert [budget.limit for budget in ledger.budgets("dave")] == [Decimal("0.01")]
    assert sum(entry.kind == "budget" for entry in ledger.entries("dave")) == 1
    assert [budget.limit for budget in ledger.budgets("carol")] == [7]
    assert ledger.budgets("proxy:master") == []  # nobody was named


def test_the_budget_of_new_users_is_the_default_of_the_project(handler, ledger, router):
    """Bare or below a key; not for keys, nor for what owns them."""

    async def calls():
        proxy = handler(new_user=Limit("0.01", "month"))
        bobs = {"api_key": "k", "key_alias": "app", "user_id": "bob"}
        for request in (
            Request(proxy, "dave"),
            Request(proxy, None, **bobs),
            Request(proxy, "eve", **bobs),
        ):
            await request.admit()
            await request.answer(router)

    asyncio.run(calls())
    (default,) = ledger.default_budgets()
    assert (default.kind, default.limit, default.period.per) == ("user", Decimal("0.01"), "month")
    budgets = {
        account.name: [budget.name for budget in ledger.budgets(account.name)]
        for account in ledger.accounts()
    }
    assert budgets == {"bob": [], "dave": ["standard"], "key:app": [],
                       "key:app/eve": ["standard"]}  # fmt: skip


def test_a_key_that_changes_its_team_counts_on_the_new_one(handler, ledger, router):
    for team in "red", "blue":
        ledger.set_budget(f"team:{team}", 1)

    async def calls():
        proxy = handler()
        for team in ["red", "red", "blue", "blue"]:
            request = Request(proxy, "eve", api_key="k", key_alias="app", team_id=team)
            await request.admit()
            await request.answer(router)

    asyncio.run(calls())
    red, blue = (ledger.balance(f"team:{team}").posted for team in ("red", "blue"))
    assert red == blue > 0
    assert sum(entry.kind == "parent" for entry in ledger.entries("key:app")) == 2


def test_keys_without_a_name_are_their_hash_and_never_themselves(handler, ledger, router):
    ledger.set_budget("*", 1)

    async def call():
        request = Request(handler(), None, api_key="sk-a-secret-key")
        await request.admit()

    asyncio.run(call())
    [name] = [account.name for account in ledger.accounts() if account.name.startswith("key:")]
    assert len(name) == 4 + 64
    assert "secret" not in name


@pytest.mark.parametrize("has_router", [True, False])
def test_a_model_that_is_not_deployed_is_held_for_by_its_price(
    handler, ledger, router, monkeypatch, has_router
):
    ledger.set_budget("alice", "0.001")
    router.default_deployment = {"litellm_params": {"model": "any"}, "model_info": {"id": "any"}}
    if not has_router:
        monkeypatch.setattr(proxy_server, "llm_router", None)

    async def call(**more):
        request = Request(handler())
        request.data |= {"model": "gpt-4o", **more}
        await request.admit()

    asyncio.run(call(max_tokens=1))
    with pytest.raises(ProxyException) as refused:
        asyncio.run(call(max_tokens=1000))
    assert (refused.value.code, refused.value.type) == ("400", "budget_exceeded")


# -- a store that fails ---------------------------------------------------------------------------


def failing(monkeypatch, proxy, times):
    """Have the store fail the next *times* writes."""
    store, left = proxy._ledger.ledger._journal.store, [times]
    write = store.awrite

    async def awrite(*arguments):
        if left[0] > 0:
            left[0] -= 1
            raise StoreBusy("others hold the file", target=store.path)
        return await write(*arguments)

    monkeypatch.setattr(store, "awrite", awrite)


def test_without_its_store_the_proxy_refuses_or_lets_pass(
    handler, ledger, router, monkeypatch, caplog
):
    ledger.set_budget("alice", 1)

    async def call(refuses):
        request = Request(proxy := handler(refuses_without_store=refuses))
        failing(monkeypatch, proxy, 1)
        await request.admit()
        await request.answer(router)

    with pytest.raises(ProxyException) as refused:
        asyncio.run(call(True))
    assert (refused.value.code, refused.value.type) == ("503", "ledger_unavailable")
    assert kinds(ledger) == []
    asyncio.run(call(False))
    assert kinds(ledger) == ["charge"]
    assert "passes without a hold" in caplog.text


@pytest.mark.parametrize("budget", [True, False])
def test_a_cost_the_store_did_not_take_is_recorded_later_and_the_answer_goes_out(
    handler, ledger, router, monkeypatch, caplog, budget
):
    if budget:
        ledger.set_budget("alice", 1)
    monkeypatch.setattr("budgetledger.litellm.proxy.handler._PAUSES", (0.01,) * 5)

    async def call():
        request = Request(proxy := handler())
        await request.admit()
        failing(monkeypatch, proxy, 3)
        response = await request.answer(router)
        assert kinds(ledger)[1:] == []
        await asyncio.wait(proxy._tasks, timeout=5)
        return response

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(call()).choices
    assert kinds(ledger) == (["hold", "settle"] if budget else ["charge"])
    assert ledger.balance("alice").posted > 0
    assert "is not recorded yet" in caplog.text


def test_the_callback_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("BUDGETLEDGER_DB", raising=False)
    with pytest.raises(InvalidInput, match="BUDGETLEDGER_DB"):
        _ = budgetledger.proxy.handler
