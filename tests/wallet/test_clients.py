"""Real clients through the wallet: each call one row, one request after a refusal, the message."""

from __future__ import annotations

import asyncio
import contextlib

import anthropic
import litellm
import openai
import pytest
import wallets
from google import genai

from budgetledger import Ledger, Usage
from budgetledger.wallet.programs import environment

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

SAY = "Say something."
MESSAGES = [{"role": "user", "content": SAY}]
GPT, CLAUDE, GEMINI = "gpt-4o", "claude-opus-4-5", "gemini-2.5-flash"


def openai_chat(wallet, text):
    with contextlib.closing(openai.OpenAI(api_key="k")) as client:
        messages = [{"role": "user", "content": text}]
        client.chat.completions.create(model=GPT, messages=messages, max_tokens=50)


def openai_stream(wallet, text):
    with contextlib.closing(openai.OpenAI(api_key="k")) as client:
        messages = [{"role": "user", "content": text}]
        with client.chat.completions.stream(model=GPT, messages=messages) as stream:
            stream.get_final_completion()


def openai_async(wallet, text):
    async def call():
        async with openai.AsyncOpenAI(api_key="k") as client:
            await client.responses.create(model=GPT, input=text)

    asyncio.run(call())


def openai_responses_stream(wallet, text):
    client = openai.OpenAI(api_key="k")
    with contextlib.closing(client), client.responses.stream(model=GPT, input=text) as stream:
        stream.get_final_response()


def openai_raw_stream(wallet, text):
    with contextlib.closing(openai.OpenAI(api_key="k")) as client:
        call = client.chat.completions.with_streaming_response
        messages = [{"role": "user", "content": text}]
        with call.create(model=GPT, messages=messages, max_tokens=50) as response:
            response.read()


def anthropic_messages(wallet, text):
    with contextlib.closing(anthropic.Anthropic(api_key="k")) as client:
        client.messages.create(
            model=CLAUDE, messages=[{"role": "user", "content": text}], max_tokens=50
        )


def anthropic_stream(wallet, text):
    with contextlib.closing(anthropic.Anthropic(api_key="k")) as client:
        messages = [{"role": "user", "content": text}]
        with client.messages.stream(model=CLAUDE, messages=messages, max_tokens=50) as stream:
            stream.get_final_message()


def google(wallet, text):
    with contextlib.closing(genai.Client(api_key="k")) as client:
        client.models.generate_content(model=GEMINI, contents=text)


def google_stream(wallet, text):
    with contextlib.closing(genai.Client(api_key="k")) as client:
        list(client.models.generate_content_stream(model=GEMINI, contents=text))


def litellm_chat(model):
    def call(wallet, text, **more):
        messages = [{"role": "user", "content": text}]
        answer = litellm.completion(model, messages, api_key="k", max_tokens=50, **more)
        return list(answer) if more else answer

    return call


CALLS = {
    "openai": (openai_chat, GPT),
    "openai, streamed": (openai_stream, GPT),
    "openai, awaited": (openai_async, GPT),
    "openai, Responses streamed": (openai_responses_stream, GPT),
    "openai, with_streaming_response": (openai_raw_stream, GPT),
    "anthropic": (anthropic_messages, CLAUDE),
    "anthropic, streamed": (anthropic_stream, CLAUDE),
    "google-genai": (google, GEMINI),
    "google-genai, streamed": (google_stream, GEMINI),
    "litellm, openai": (litellm_chat(GPT), GPT),
    "litellm, openai streamed": (
        lambda wallet, text: litellm_chat(GPT)(wallet, text, stream=True),
        GPT,
    ),
    "litellm, anthropic": (litellm_chat(f"anthropic/{CLAUDE}"), CLAUDE),
    "litellm, gemini": (litellm_chat(f"gemini/{GEMINI}"), GEMINI),
}


@pytest.fixture
def wallet(provider, monkeypatch):
    """A wallet of alice with $5, which the clients find by their variables."""
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 5, name="limit")
        with wallets.serving(ledger, provider, run="alice") as wallet:
            for name, value in environment({}, wallet.root, ()).items():
                monkeypatch.setenv(name, value)
            wallet.ledger = ledger
            yield wallet


@pytest.mark.parametrize("name", CALLS)
def test_one_row_to_the_picodollar(name, wallet, provider):
    call, model = CALLS[name]
    call(wallet, f"{SAY} [[input=11 output=3]]")
    entries = list(wallet.ledger.entries("alice"))
    assert [entry.kind for entry in entries] == ["budget", "hold", "settle"]
    row = entries[-1]
    assert (row.input_tokens, row.output_tokens, row.cost_basis) == (11, 3, "stated")
    usage = Usage(input_tokens=11, output_tokens=3)
    assert row.cost == wallet.ledger.charge("alice", usage=usage, model=model).cost
    assert provider.requests == len(provider.billed) == 1


@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_is_not_repeated_and_its_message_is_seen(name, wallet, provider):
    wallet.ledger.set_budget("alice", "0.000001", name="limit")
    call, _ = CALLS[name]
    with pytest.raises(Exception, match=r"raise it: budgetledger run --limit") as refused:
        call(wallet, SAY)
    code = getattr(refused.value, "status_code", None) or getattr(refused.value, "code", None)
    assert code == 400
    assert wallet.bill.refused == 1
    assert provider.requests == 0
    for word in ("too long", "maximum context", "context window", wallets.SECRET):
        assert word not in str(refused.value)
