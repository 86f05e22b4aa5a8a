"""`wrap` of litellm, the module and its Router, against a provider on this machine."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import types
from decimal import Decimal
from unittest import mock

import litellm
import pytest

from budgetledger import AsyncLedger, BudgetExceededError, HoldRefused, Ledger, metered, wrap
from budgetledger.errors import InvalidInput, UnpricedModel

# litellm leaves loops and sockets to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# USD of a call as the provider bills it: 8 tokens in, 5 out.
GPT_4O, MINI, EMBEDDING = Decimal("0.00007"), Decimal("0.0000042"), Decimal("0.00000016")


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "spend.db", synchronous="NORMAL") as opened:
        opened.set_budget("alice", 1)
        opened.set_budget("bob", 1)
        yield opened
        gc.collect()


@pytest.fixture
def to(provider):
    return {"api_base": provider.openai_url, "api_key": "k", "max_retries": 0}


@pytest.fixture
def router(to, monkeypatch):
    """One name for two models, a priced one of our own, and one nobody has a price for."""
    # LiteLLM 1.80 takes 0 for the price of what a second router registers without one.
    monkeypatch.setattr(litellm, "model_cost", dict(litellm.model_cost))
    models = {
        "best": "openai/gpt-4o", "cheap": "openai/gpt-4o-mini", "odd": "openai/none-such",
        "vectors": "openai/text-embedding-3-small", "ours": "openai/ours",
    }  # fmt: skip
    listed = [
        {"model_name": name, "litellm_params": {"model": model, **to}}
        for name, model in [*models.items(), ("best", "openai/gpt-4o-mini")]
    ]
    listed[4]["litellm_params"] |= {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01}
    return litellm.Router(model_list=listed, num_retries=0)


def said(knobs=""):
    return [{"role": "user", "content": f"Hey, how's it going {knobs}"}]


def settles(ledger, user="alice"):
    return [entry for entry in ledger.entries(user) if entry.kind == "settle"]


def test_the_module_is_what_it_was_and_its_calls_are_metered(ledger, provider, to):
    llm = wrap(litellm, ledger, user="alice", tags={"app": "x"})
    assert isinstance(llm, types.ModuleType)
    assert llm.token_counter is litellm.token_counter
    assert inspect.signature(llm.completion) == inspect.signature(litellm.completion)
    assert inspect.iscoroutinefunction(llm.acompletion)
    assert litellm.completion.__module__ != "budgetledger.litellm.wrapping"
    llm.completion("openai/gpt-4o", said(), **to)
    llm.completion("openai/gpt-4o", said(), budget_user="bob", budget_tags={"n": 1}, **to)
    with ledger.as_user("bob", tags={"app": "y"}):
        llm.embedding("openai/text-embedding-3-small", ["Hey"], **to)
    assert [row.cost for row in settles(ledger)] == [GPT_4O]
    assert [(row.cost, row.tags) for row in settles(ledger, "bob")] == [
        (GPT_4O, {"app": "x", "n": 1}),
        (EMBEDDING, {"app": "y"}),
    ]
    with pytest.raises(InvalidInput, match="no user"):
        wrap(litellm, ledger).completion("openai/gpt-4o", said(), **to)
    assert provider.requests == 3


def test_what_is_set_on_it_is_set_on_litellm(ledger, monkeypatch):
    monkeypatch.setattr(litellm, "drop_params", False)
    wrap(litellm, ledger, user="alice").drop_params = True
    assert litellm.drop_params is True


def test_what_is_patched_on_it_is_unpatched_on_litellm(ledger, monkeypatch):
    monkeypatch.setattr(litellm, "drop_params", False)
    llm = wrap(litellm, ledger, user="alice")
    with mock.patch.object(llm, "drop_params", True):
        assert litellm.drop_params is True
    assert litellm.drop_params is False
    llm.made_up = 1
    del llm.made_up
    assert not hasattr(litellm, "made_up")


def test_a_copy_is_metered_too(ledger, router):
    copied = copy.copy(wrap(router, ledger, user="alice"))
    copied.completion("cheap", said())
    assert [row.cost for row in settles(ledger)] == [MINI]
    llm = copy.copy(wrap(litellm, ledger, user="alice"))
    assert llm.token_counter is litellm.token_counter


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "openai/gpt-4o"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_alias_counts_for_each_model_behind_it(ledger, provider, router, model, is_async):
    routed = wrap(router, ledger, user="alice")
    ledger.set_budget("alice", "0.001", model=model)
    held = ledger.hold("alice", "0.001", model=model)

    def ask():
        if is_async:
            return asyncio.run(routed.acompletion("best", said(), max_tokens=5))
        return routed.completion("best", said(), max_tokens=5)

    with pytest.raises(litellm.BudgetExceededError) as caught:
        ask()
    assert caught.value.budget.model == model
    assert provider.requests == 0
    held.release()
    routed.completion("best", said(), max_tokens=5)
    [hold] = [row for row in ledger.entries("alice") if row.kind == "hold"][1:]
    assert hold.price == {"may_answer": ["openai/gpt-4o", "openai/gpt-4o-mini"]}
    assert ledger.verify().ok


def test_an_alias_of_litellm_counts_for_its_model(ledger, provider, to, monkeypatch):
    monkeypatch.setattr(litellm, "model_alias_map", {"mine": "openai/gpt-4o"})
    llm = wrap(litellm, ledger, user="alice")
    ledger.set_budget("alice", "0.0000001", model="gpt-4o")
    with pytest.raises(litellm.BudgetExceededError):
        llm.completion("mine", said(), max_tokens=5, **to)
    ledger.set_budget("alice", 1, model="gpt-4o")
    llm.completion("mine", said(), max_tokens=5, **to)
    assert ([row.cost for row in settles(ledger)], provider.requests) == ([GPT_4O], 1)
    assert settles(ledger)[0].model == "mine"


def test_of_two_wrappings_the_newest_counts(ledger, provider, to, router):
    wrap(wrap(router, ledger, user="alice"), ledger, user="bob").completion("cheap", said())
    llm = wrap(wrap(litellm, ledger, user="alice"), ledger, user="bob")
    llm.completion("openai/gpt-4o-mini", said(), **to)
    assert [row.cost for row in settles(ledger, "bob")] == [MINI, MINI]
    assert (settles(ledger), provider.requests) == ([], 2)


def test_a_refusal_comes_before_the_provider_hears_of_the_call(ledger, provider, to):
    ledger.set_budget("alice", "0.00001")
    llm = wrap(litellm, AsyncLedger(ledger), user="alice")
    with pytest.raises(litellm.BudgetExceededError) as caught:
        llm.completion("openai/gpt-4o", said(), max_tokens=5, **to)
    assert isinstance(caught.value, BudgetExceededError)
    assert caught.value.largest_output is None
    with pytest.raises(litellm.BudgetExceededError):
        asyncio.run(llm.acompletion("openai/gpt-4o", said(), max_tokens=5, **to))
    assert provider.requests == 0


@pytest.mark.parametrize("kind", ["completion", "text_completion", "responses"])
def test_streams_and_coroutines_of_each_kind(kind, ledger, provider, to):
    llm = wrap(litellm, ledger, user="alice")
    asked = {
        "completion": {"model": "openai/gpt-4o", "messages": said()},
        "text_completion": {
            "model": "text-completion-openai/gpt-3.5-turbo-instruct",
            "prompt": "Hey",
        },
        "responses": {"model": "openai/gpt-4o", "input": "Hey"},
    }[kind]

    async def main():
        await getattr(llm, f"a{kind}")(**asked, **to)
        async for _ in await getattr(llm, f"a{kind}")(**asked, stream=True, **to):
            pass

    getattr(llm, kind)(**asked, **to)
    for _ in getattr(llm, kind)(**asked, stream=True, **to):
        pass
    asyncio.run(main())
    cost = Decimal("0.000022") if kind == "text_completion" else GPT_4O
    assert [row.cost for row in settles(ledger)] == [cost] * 4
    assert provider.requests == 4
    assert ledger.balance("alice").held == 0


def test_a_router_holds_for_the_most_expensive_behind_a_name(ledger, provider, router):
    routed = wrap(router, ledger, user="alice")
    assert isinstance(routed, litellm.Router)
    for _ in range(8):
        routed.completion("best", said(), max_tokens=5)
    holds = [entry for entry in ledger.entries("alice") if entry.kind == "hold"]
    assert len({hold.held for hold in holds}) == 1
    assert holds[0].held > 5 * Decimal("0.00001")
    assert {row.model for row in settles(ledger)} == {"best"}
    by_model = [GPT_4O if call.model == "gpt-4o" else MINI for call in provider.billed]
    assert [row.cost for row in settles(ledger)] == by_model


def test_a_router_streams_embeds_and_fails(ledger, provider, router):
    routed = wrap(router, ledger, user="alice")

    async def main():
        async for _ in await routed.acompletion("cheap", said(), stream=True):
            pass
        await routed.aembedding("vectors", ["Hey"])
        with pytest.raises(litellm.InternalServerError):
            await routed.acompletion("cheap", said("[[status=500]]"))

    for _ in routed.completion("cheap", said(), stream=True):
        pass
    asyncio.run(main())
    assert [row.cost for row in settles(ledger)] == [MINI, MINI, EMBEDDING]
    assert ledger.balance("alice").held == 0


def test_prices_of_a_routers_own_and_none(ledger, provider, router):
    routed = wrap(router, ledger, user="alice")
    routed.completion("ours", said(), max_tokens=5)
    assert [row.cost for row in settles(ledger)] == [Decimal("0.058")]
    with pytest.raises(UnpricedModel, match="openai/none-such"):
        routed.completion("odd", said())
    ledger.set_budget("alice", "0.1")
    with pytest.raises(BudgetExceededError):
        routed.completion("ours", said(), max_tokens=5)
    assert provider.requests == 1


def test_half_a_price_of_a_routers_is_no_price_but_for_an_embedding(ledger, provider, to):
    models = {"half": "openai/gpt-4o", "vectors": "openai/our-vectors"}
    params = [{"model": model, "input_cost_per_token": "0.001", **to} for model in models.values()]
    listed = [
        {"model_name": name, "litellm_params": each}
        for name, each in zip(models, params, strict=True)
    ]
    routed = wrap(litellm.Router(model_list=listed, num_retries=0), ledger, user="alice")
    with pytest.raises(UnpricedModel, match="output_cost_per_token"):
        routed.completion("half", said(), max_tokens=5)
    assert provider.requests == 0
    routed.embedding("vectors", ["Hey"])
    (hold,) = [entry for entry in ledger.entries("alice") if entry.kind == "hold"]
    assert hold.held == Decimal("0.001") * hold.held_tokens > 0


def test_budgets_of_a_model_are_for_the_name_that_is_asked_for(ledger, router):
    ledger.set_budget("alice", "0.00001", model="best")
    routed = wrap(router, ledger, user="alice")
    routed.completion("cheap", said())
    with pytest.raises(BudgetExceededError, match="usd/best"):
        routed.completion("best", said())


def test_a_call_at_a_known_url_is_held_and_priced_at_that_host(ledger, monkeypatch):
    answer = {
        "model": "llama-3.3-70b-versatile",
        "choices": [{"message": {"role": "assistant", "content": "Hi"}}],
        "usage": {"prompt_tokens": 10_000, "completion_tokens": 1_000, "total_tokens": 11_000},
    }
    response = litellm.ModelResponse(**answer)
    response._hidden_params = {"custom_llm_provider": "openai", "response_cost": None}
    monkeypatch.setattr(litellm, "completion", lambda model, messages, **_: response)
    groq = {"api_base": "https://api.groq.com/openai/v1", "max_tokens": 9}
    wrap(litellm, ledger, "alice").completion("openai/llama-3.3-70b-versatile", said(), **groq)
    hold, settle = list(ledger.entries("alice"))[-2:]
    assert (hold.price["provider"], settle.price["provider"]) == ("groq", "groq")
    assert (settle.cost, settle.model) == (Decimal("0.00669"), "openai/llama-3.3-70b-versatile")


def test_a_provider_that_is_told_by_name_is_the_host(ledger, monkeypatch):
    response = litellm.ModelResponse(model="llama-3.3-70b-versatile", usage=litellm.Usage(9, 1, 10))
    monkeypatch.setattr(litellm, "completion", lambda model, messages, **_: response)
    call = {"custom_llm_provider": "groq", "max_tokens": 9}
    wrap(litellm, ledger, "alice").completion("llama-3.3-70b-versatile", said(), **call)
    hold, settle = list(ledger.entries("alice"))[-2:]
    assert (hold.price["provider"], settle.price["provider"]) == ("groq", "groq")


@pytest.mark.filterwarnings("ignore::budgetledger.errors.MeteredTwiceWarning")
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_metered_around_it_too_counts_once(ledger, to, stream):
    llm = wrap(litellm, ledger, "alice")

    @metered(ledger, user="alice", amount="0.1")
    def ask():
        answer = llm.completion("openai/gpt-4o", said(), stream=stream, **to)
        return answer if not stream else list(answer) and None

    ask()
    with ledger.hold("alice", "0.1") as hold:
        answer = llm.completion("openai/gpt-4o", said(), **to)
        assert hold.settle(answer).cost == GPT_4O
    costs = [entry.cost for entry in ledger.entries("alice") if entry.kind == "settle"]
    assert costs == [GPT_4O] * 2


def test_a_refusal_is_litellms_error_and_one_of_the_family(ledger, to):
    llm = wrap(litellm, ledger, "alice")
    ledger.hold("alice", 1)
    with pytest.raises(litellm.BudgetExceededError) as refused:
        llm.completion("openai/gpt-4o", said(), **to)
    assert isinstance(refused.value, HoldRefused)
    again = pickle.loads(pickle.dumps(refused.value))
    assert isinstance(again, litellm.BudgetExceededError)
    assert again.blocked_by_holds
