"""The real clients at the hosts that their base URLs name; no request leaves the process."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from importlib import import_module

import openai
import pytest

import budgetledger
from budgetledger import Ledger
from budgetledger.errors import UnpricedModel

# The package that the clients send with: httpx, and httpx2 since openai 3 and anthropic 2.
http = import_module(openai.DefaultHttpxClient.__base__.__module__.partition(".")[0])
HELLO = [{"role": "user", "content": "Hello."}]
USAGE = {"prompt_tokens": 10_000, "completion_tokens": 1_000, "total_tokens": 11_000}
GROQ, LLAMA = "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"
LLAMA_COST = Decimal("0.00669")
CLAUDE = "claude-sonnet-4-5-20250929"


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        ledger.set_budget("alice", 100)
        yield ledger


def answering(model, **more):
    """A transport that answers every request as a provider would."""

    def answer(request):
        body = json.loads(request.content)
        told = body["model"] if model is None else model
        if body.get("stream"):
            parts = [
                {"choices": [{"index": 0, "delta": {"content": "Hi"}}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                {"choices": [], "usage": USAGE},
            ]
            chunks = [{"id": "1", "object": "chat.completion.chunk", "model": told} | part
                      for part in parts]  # fmt: skip
            text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
            headers = {"content-type": "text/event-stream"}
            return http.Response(200, text=f"{text}data: [DONE]\n\n", headers=headers)
        return http.Response(200, json={"id": "1", "model": told, **more})

    return http.MockTransport(answer)


def chat_client(url, ledger, model=None, kind=openai.OpenAI, **options):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}}
    transport = answering(model, object="chat.completion", choices=[choice], usage=USAGE)
    sending = http.AsyncClient if kind is openai.AsyncOpenAI else http.Client
    options |= {"base_url": url} if url else {}
    client = kind(api_key="none", http_client=sending(transport=transport), **options)
    return budgetledger.wrap(client, ledger, "alice")


def row(ledger):
    """The settle, and the hold before it."""
    rows = [entry for entry in ledger.entries("alice") if entry.kind in ("hold", "settle")]
    assert [entry.kind for entry in rows] == ["hold", "settle"]
    return rows[1], rows[0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_at_a_hosts_url_costs_that_hosts_price(ledger, stream):
    client = chat_client(GROQ, ledger)
    call = {"model": LLAMA, "messages": HELLO, "max_tokens": 100}
    answer = client.chat.completions.create(**call, stream=stream)
    assert not stream or list(answer)
    settle, hold = row(ledger)
    assert (settle.cost, settle.model, settle.price["provider"]) == (LLAMA_COST, LLAMA, "groq")
    assert hold.price["provider"] == "groq"


def test_an_asynchronous_client_too(ledger):
    async def main():
        client = chat_client(GROQ, ledger, kind=openai.AsyncOpenAI)
        call = {"model": LLAMA, "messages": HELLO, "max_tokens": 100}
        await client.chat.completions.create(**call)

    asyncio.run(main())
    assert row(ledger)[0].cost == LLAMA_COST


def test_options_of_a_call_may_name_another_host(ledger):
    client = chat_client("http://localhost:1/v1", ledger)
    call = {"model": LLAMA, "messages": HELLO, "max_tokens": 100}
    with pytest.raises(UnpricedModel):  # nobody sells it under this bare name
        client.chat.completions.create(**call)
    client.with_options(base_url=GROQ).chat.completions.create(**call)
    assert row(ledger)[0].cost == LLAMA_COST


def test_an_azure_deployment_costs_azures_price_of_the_model_that_answered(ledger):
    client = chat_client(
        None, ledger, "gpt-4o-2024-08-06", openai.AzureOpenAI,
        azure_endpoint="https://me.openai.azure.com", api_version="2024-10-21",
    )  # fmt: skip
    client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=100)
    settle, _ = row(ledger)
    assert (settle.cost, settle.price["provider"]) == (Decimal("0.035"), "azure")


def test_bedrock_and_vertex_cost_their_own_price(ledger):
    import anthropic  # here, as its import takes more than a second

    usage = {"input_tokens": 10_000, "output_tokens": 1_000}
    answer = {"type": "message", "role": "assistant", "content": [], "usage": usage}
    transport = http.Client(
        transport=http.MockTransport(
            lambda _: http.Response(200, json={"id": "1", "model": CLAUDE, **answer})
        )
    )
    keys = {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "us-east-1"}
    bedrock = anthropic.AnthropicBedrock(**keys, http_client=transport)
    call = {"messages": HELLO, "max_tokens": 100}
    wrapped = budgetledger.wrap(bedrock, ledger, "alice")
    wrapped.messages.create(model=f"global.anthropic.{CLAUDE}-v1:0", **call)
    later = wrapped.with_options(timeout=5, http_client=transport)  # anthropic 0.60 forgets it
    later.messages.create(model=f"us.anthropic.{CLAUDE}-v1:0", budget_user="alice", **call)
    settles = [entry for entry in ledger.entries("alice") if entry.kind == "settle"]
    assert [entry.cost for entry in settles] == [Decimal("0.045"), Decimal("0.0495")]
    vertex = anthropic.AnthropicVertex(
        region="europe-west1", project_id="p", access_token="t", http_client=transport
    )
    regional = budgetledger.wrap(vertex, ledger, "alice")
    with pytest.raises(UnpricedModel):  # 10 % more than the global price, which the list has
        regional.messages.create(model="claude-sonnet-4-5@20250929", **call)


def test_a_call_without_a_price_is_priced_later_at_its_host(ledger):
    lax = Ledger(ledger.path, enforce=False)
    client = chat_client(GROQ, lax, "no-such-model")
    with pytest.warns(budgetledger.errors.UnpricedWarning):
        client.chat.completions.create(model="no-such-model", messages=HELLO, max_tokens=100)
    settle, _ = row(ledger)
    assert settle.price == {"provider": "groq"}
    ledger.set_price("no-such-model", input=1, output=1, effective_at=settle.recorded_at)
    [repriced] = ledger.reprice()
    assert repriced.cost == Decimal("0.011")
    lax.close()


def test_a_model_that_answers_without_a_price_costs_what_was_asked_at_that_host(ledger):
    client = chat_client(GROQ, ledger, "no-such-model")
    client.chat.completions.create(model=LLAMA, messages=HELLO, max_tokens=100)
    settle, _ = row(ledger)
    assert (settle.cost, settle.cost_basis) == (LLAMA_COST, "stated")


def test_a_retry_that_was_settled_before_is_charged_at_the_same_host(ledger):
    client = chat_client(GROQ, ledger)
    call = {"model": LLAMA, "messages": HELLO, "max_tokens": 100, "budget_key": "k"}
    hold = ledger.hold("alice", 1, model=LLAMA, key="other")
    assert hold.settle("0").price == {}
    client.chat.completions.create(**call)
    assert [e.cost for e in ledger.entries("alice") if e.kind == "settle"] == [0, LLAMA_COST]
