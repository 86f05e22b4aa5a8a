"""What the Proxy's callback does for each kind of call: estimated, measured, free or refused."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from unittest.mock import AsyncMock

import litellm
import pytest
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm_proxy import VERSION

from budgetledger.errors import StoreBusy
from budgetledger.litellm.proxy import gate
from budgetledger.litellm.proxy.call_kinds import FREE, MEASURED, REFUSED

pytestmark = pytest.mark.usefixtures("router")


def logging_of(kind, model=""):
    """LiteLLM's logging object of a call, as the Proxy puts it into a request."""
    return Logging(
        model=model, messages=[], stream=False, call_type=kind, start_time=None,
        litellm_call_id="c-1", function_id="f-1",
    )  # fmt: skip


class Asked:
    """A request of any kind, and the end of it."""

    def __init__(self, handler, kind, **data):
        self.handler, self.kind = handler, kind
        self.key = UserAPIKeyAuth(end_user_id="alice")
        self.data = {"litellm_logging_obj": logging_of(kind), "metadata": {}} | data

    async def admit(self):
        await self.handler.async_pre_call_hook(self.key, None, self.data, self.kind)
        return self

    async def end(self, cost=None):
        """LiteLLM's success event, which may have the cost."""
        kwargs = self.data["litellm_logging_obj"].model_call_details | {"response_cost": cost}
        await self.handler.async_log_success_event(kwargs, None, None, None)


def rows(ledger, *kinds):
    return [entry for entry in ledger.entries() if entry.kind in (kinds or ("hold", "settle"))]


# -- free ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["0", "1"])
def test_reading_counting_and_deleting_is_free_even_when_a_budget_is_exhausted(
    handler, ledger, budget
):
    ledger.set_budget("alice", budget)

    async def calls():
        proxy = handler()
        for kind in FREE:
            asked = await Asked(proxy, f"a{kind}", model="cheap").admit()
            assert asked.data["metadata"] == {}  # it may be sent on to the provider
            await asked.end(cost=0.5)  # such as of a batch that another call has paid

    asyncio.run(calls())
    assert rows(ledger, "hold", "settle", "charge", "release") == []


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["alice", "*"])
def test_what_no_cost_is_ever_told_of_is_refused_where_a_budget_applies(handler, ledger, place):
    ledger.set_budget(place, 1)
    proxy = handler()
    for kind in REFUSED:
        with pytest.raises(ProxyException) as refused:
            asyncio.run(Asked(proxy, f"a{kind}").admit())
        assert (refused.value.code, refused.value.type) == ("400", "unpriced_model")
        assert f"since {REFUSED[kind]}; use it with" in refused.value.message
    assert rows(ledger) == []


def test_without_a_budget_it_passes_and_its_cost_is_recorded_if_one_is_told(handler, ledger):
    async def calls():
        proxy = handler()
        await (await Asked(proxy, "acreate_container").admit()).end(cost=0.03)
        await (await Asked(proxy, "acreate_batch").admit()).end()

    asyncio.run(calls())
    [told, silent] = rows(ledger, "charge")
    assert (told.cost, told.model) == (Decimal("0.03"), "create_container")
    assert (silent.cost, silent.model) == (None, "create_batch")


def test_each_answer_of_a_connection_is_recorded(handler, ledger):
    async def call():
        asked = await Asked(proxy := handler(), "_aresponses_websocket", model="cheap").admit()
        details = asked.data["litellm_logging_obj"].model_call_details
        for id, cost in ("1", 0.25), ("2", 0.5), ("2", 0.5):
            kwargs = details | {"litellm_call_id": id, "response_cost": cost}
            await proxy.async_log_success_event(kwargs, None, None, None)

    asyncio.run(call())
    assert [entry.cost for entry in rows(ledger, "charge")] == [Decimal("0.25"), Decimal("0.5")]


def test_the_cost_of_an_interaction_in_the_background_is_recorded_when_it_is_told(handler, ledger):
    async def call(**background):
        asked = await Asked(handler(), "acreate_interaction", input="Count.", **background).admit()
        await asked.end()
        await asked.end(cost=0.25)
        await asked.end(cost=0.25)

    asyncio.run(call(background=True))
    assert [entry.cost for entry in rows(ledger, "charge")] == [None, Decimal("0.25")]
    ledger.set_budget("alice", 1)
    with pytest.raises(ProxyException, match="in the background"):
        asyncio.run(call(background=True))


# -- measured --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*sorted(MEASURED - {"call_mcp_tool"}), "some_kind_of_tomorrow"])
def test_what_cannot_be_estimated_needs_a_budget_and_is_recorded_as_told(handler, ledger, kind):
    ledger.set_budget("alice", 1)

    async def call(**told):
        await (await Asked(handler(), f"a{kind}").admit()).end(**told)

    asyncio.run(call(cost=0.25))
    [hold, settle] = rows(ledger)
    assert (hold.held_pico, settle.cost) == (1, Decimal("0.25"))
    ledger.set_budget("alice", "0.25")
    with pytest.raises(ProxyException) as refused:
        asyncio.run(call())
    assert refused.value.code == "400"


@pytest.mark.parametrize("cost", [None, 0.0])
def test_a_call_whose_cost_is_not_told_ends_unpriced_and_never_at_what_was_held(
    handler, ledger, cost
):
    ledger.set_budget("alice", 1)
    asyncio.run(ended(handler(), "atranscription", cost, model="whisper-of-ours"))
    [_, settle] = rows(ledger)
    assert settle.cost is None
    balance = ledger.balance("alice")
    assert (balance.posted, balance.held, balance.unpriced) == (0, 0, 1)


async def ended(proxy, kind, cost, **data):
    await (await Asked(proxy, kind, **data).admit()).end(cost)


def test_a_tool_costs_what_the_proxys_configuration_says_or_nothing(handler, ledger):
    ledger.set_budget("alice", 1)
    proxy = handler()
    for cost in 0.0, 0.02:
        asyncio.run(ended(proxy, "call_mcp_tool", cost, model="mcp-tool-call"))
    assert [entry.cost for entry in rows(ledger, "settle")] == [0, Decimal("0.02")]


def test_a_tool_that_fails_gives_back_what_was_held(handler, ledger):
    ledger.set_budget("alice", 1)

    async def call():
        asked = await Asked(proxy := handler(), "call_mcp_tool").admit()
        details = asked.data["litellm_logging_obj"].model_call_details
        await proxy.async_log_failure_event(details, None, None, None)

    asyncio.run(call())
    assert [entry.kind for entry in rows(ledger, "hold", "settle", "release")] == [
        "hold", "release",
    ]  # fmt: skip


def test_a_web_socket_passed_through_is_refused_as_its_cost_would_have_no_account(handler, ledger):
    ledger.set_budget("alice", 1)

    async def call():
        proxy, key = handler(), UserAPIKeyAuth(end_user_id="alice")
        await proxy.async_pre_call_hook(key, None, {"stream": True}, "pass_through_endpoint")

    with pytest.raises(ProxyException, match="without the request"):
        asyncio.run(call())


@pytest.mark.parametrize(
    ("method", "path", "is_held"),
    [
        ("GET", "/openai/v1/models", False),
        ("DELETE", "/anthropic/v1/files/f-1", False),
        ("POST", "/anthropic/v1/messages/count_tokens", False),
        ("POST", "/gemini/v1beta/models/gemini-2.5-pro:countTokens", False),
        ("POST", "/openai/v1/files", False),
        ("POST", "/openai/v1/batches/b-1/cancel", False),
        ("POST", "/openai/v1/vector_stores/v-1/files", True),
        ("POST", "/anthropic/v1/messages", True),
        ("POST", "/gemini/v1beta/models/gemini-2.5-pro:generateContent", True),
        ("PUT", "/any", True),
    ],
)
def test_what_is_passed_through_is_held_unless_it_only_reads(
    handler, ledger, method, path, is_held
):
    ledger.set_budget("alice", 1)

    async def call():
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        scope |= {"query_string": b"", "server": ("localhost", 80), "scheme": "http"}
        gate._request.set(gate.Request(scope))
        await Asked(handler(), "pass_through_endpoint").admit()

    asyncio.run(call())
    assert len(rows(ledger)) == is_held


@pytest.mark.parametrize(("endpoint", "is_held"), [("vllm_proxy_route", True), ("other", False)])
def test_a_model_of_the_proxy_is_held_for_where_litellm_does_not_pass_the_key_on(
    handler, ledger, endpoint, is_held
):
    """LiteLLM before 1.100 does so for pass-through routes that name one."""
    ledger.set_budget("alice", 1)

    async def call():
        scope = {"type": "http", "endpoint": type(endpoint, (), {})}
        gate._request.set(gate.Request(scope))
        gate._key.set(UserAPIKeyAuth(end_user_id="alice"))
        kwargs = {"model": "cheap", "litellm_logging_obj": logging_of("allm_passthrough_route")}
        await handler().async_pre_call_deployment_hook(kwargs, None)

    asyncio.run(call())
    assert len(rows(ledger)) == is_held


# -- many calls whose price nobody knows -----------------------------------------------------------


async def passed(proxy, kind, **data):
    """How many of 500 calls pass, ten at once and one after another."""

    async def call():
        try:
            await ended(proxy, kind, None, **data)
        except ProxyException:
            return 0
        return 1

    at_once = [sum(await asyncio.gather(*(call() for _ in range(10)))) for _ in range(45)]
    one_by_one = [await call() for _ in range(50)]
    return sum(at_once) + sum(one_by_one)


def test_500_calls_of_a_model_without_a_price_are_all_refused(handler, ledger):
    ledger.set_budget("alice", "0.05")
    chat = {"model": "openai/none-such", "messages": [{"role": "user", "content": "Count."}]}
    assert asyncio.run(passed(handler(), "acompletion", **chat)) == 0


@pytest.mark.parametrize("kind", ["atranscription", "pass_through_endpoint", "of_tomorrow"])
def test_of_500_calls_that_cannot_be_estimated_none_passes_after_one_without_a_price(
    handler, ledger, kind
):
    ledger.set_budget("alice", "0.05")
    number = asyncio.run(passed(handler(), kind))
    assert ledger.balance("alice").unpriced == number == 1


# -- endpoints that ask no hook before -------------------------------------------------------------


TODAY = pytest.mark.skipif(VERSION < (1, 108), reason="older versions have other routes")


def as_for(key):
    """The metadata that LiteLLM gives to the functions that it calls for a key."""
    return {"user_api_key_auth": key, "user_api_key_hash": key.api_key, "model_group": "cheap"}


async def answered(router, metadata, proxy, *, many=1):
    for _ in range(many):
        await router.acompletion(
            model="cheap", messages=[{"role": "user", "content": "Count."}], metadata=metadata
        )
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not proxy._ledger.ledger.balance("alice").held:
            break


@TODAY
def test_a_function_of_litellm_is_held_for_if_no_hook_was_asked_before(
    handler, ledger, router, monkeypatch
):
    ledger.set_budget("alice", 1)

    async def call():
        monkeypatch.setattr(litellm, "callbacks", [proxy := handler()])
        key = UserAPIKeyAuth(api_key="k", key_alias="app", end_user_id=None)
        ledger.set_budget("key:app", 1)
        await answered(router, as_for(key), proxy)
        own = UserAPIKeyAuth.get_litellm_internal_health_check_user_api_key_auth()
        await answered(router, as_for(own), proxy)
        await answered(router, {}, proxy)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if rows(ledger, "settle"):
                break

    asyncio.run(call())
    [hold, settle] = rows(ledger)
    assert (hold.account, hold.model, settle.model) == ("key:app", "cheap", "cheap")
    assert hold.held_pico > settle.cost_pico > 0


def test_it_is_refused_before_it_is_sent(handler, ledger, router, monkeypatch):
    ledger.set_budget("key:app", 0)

    async def call():
        monkeypatch.setattr(litellm, "callbacks", [proxy := handler()])
        key = UserAPIKeyAuth(api_key="k", key_alias="app")
        await answered(router, as_for(key), proxy)

    with pytest.raises(ProxyException) as refused:
        asyncio.run(call())
    assert refused.value.code == "400"


@pytest.fixture
def app(handler, monkeypatch):
    """The Proxy's application without keys, and with the callback's gate."""
    from litellm.proxy import proxy_server
    from starlette.testclient import TestClient

    monkeypatch.setattr(proxy_server, "master_key", None)
    handler()
    yield TestClient(proxy_server.app, raise_server_exceptions=False)
    proxy_server.app.dependency_overrides.clear()


@TODAY
@pytest.mark.parametrize(
    "path", ["/v1/threads/t-1/runs", "/v1/rag/query", "/rag/ingest", "/usage/ai/chat"]
)
def test_endpoints_that_call_no_hook_are_refused_where_a_budget_applies(app, ledger, path):
    passed = app.post(path, json={"user": "alice"})
    assert "unpriced_model" not in passed.text
    ledger.set_budget("*", 1)
    refused = app.post(path, json={"user": "alice"})
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "unpriced_model"
    assert "where a budget applies" in refused.json()["error"]["message"]
    assert app.get("/v1/models").status_code == 200


def test_an_endpoint_that_calls_no_hook_heeds_the_settings(handler, monkeypatch):
    async def call(refuses, **settings):
        proxy = handler(**settings)
        if refuses == "ledger_unavailable" or "refuses_without_store" in settings:
            failing = AsyncMock(side_effect=StoreBusy("others hold the file", target="t"))
            monkeypatch.setattr(proxy._ledger, "can_afford", failing)
        await proxy._admit_endpoint(UserAPIKeyAuth(end_user_id="alice"), "run_thread", "of that")

    asyncio.run(call(None))
    asyncio.run(call(None, refuses_without_store=False))
    for type, settings in (
        ("no_budget", {"refuses_without_budget": True}),
        ("ledger_unavailable", {}),
    ):
        with pytest.raises(ProxyException) as refused:
            asyncio.run(call(type, **settings))
        assert refused.value.type == type
