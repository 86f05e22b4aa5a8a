"""The real clients, wrapped, against a provider on this machine whose bill is known."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import sys
import threading
from contextlib import nullcontext, suppress
from decimal import Decimal
from importlib.metadata import version
from operator import attrgetter
from types import SimpleNamespace

import anthropic
import httpx
import httpx2
import openai
import provider as provider_module
import pytest
from pydantic import BaseModel

import budgetledger
from budgetledger import AsyncLedger, BudgetExceededError, Ledger
from budgetledger.errors import (
    HoldAlreadyClosed,
    InvalidInput,
    StoreBusy,
    UnpricedModel,
    UnpricedWarning,
    UnrecordedWarning,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # streams thrown away

GPT, CLAUDE, TEXT, EMBEDDING = (
    "gpt-4o",
    "claude-haiku-4-5",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
)
KNOBS = "[[input=1234 cached=1000 output=321 reasoning=21]]"
MICRO = 10**6  # picodollars; prices are USD per million tokens
GPT_COST = 234 * 2_500_000 + 1000 * 1_250_000 + 321 * 10_000_000
CLAUDE_COST = 234 * MICRO + 1000 * 100_000 + 321 * 5 * MICRO
TEXT_COST = 1234 * 1_500_000 + 321 * 2_000_000
EMBEDDING_COST = 1234 * 20_000
IMAGE_COST = 1234 * 5 * MICRO + 321 * 40 * MICRO


class Form(BaseModel):
    filled: bool = True


def says(text):
    return [{"role": "user", "content": text}]


def chat(text="hi", **more):
    return {"model": GPT, "messages": says(text), "max_tokens": 400, **more}


def message(text="hi", **more):
    return {"model": CLAUDE, "messages": says(text), "max_tokens": 400, **more}


def reply(text="hi", **more):
    return {"model": GPT, "input": text, "max_output_tokens": 400, **more}


def raw(resource):
    return resource.with_raw_response.create


PLAIN = {
    "chat": (lambda c: c.chat.completions.create(**chat(KNOBS)), GPT_COST),
    "chat parsed": (
        lambda c: c.chat.completions.parse(**chat(KNOBS), response_format=Form),
        GPT_COST,
    ),
    "beta chat": (lambda c: c.beta.chat.completions.create(**chat(KNOBS)), GPT_COST),
    "chat raw": (lambda c: raw(c.chat.completions)(**chat(KNOBS)), GPT_COST),
    "response": (lambda c: c.responses.create(**reply(KNOBS)), GPT_COST),
    "response parsed": (lambda c: c.responses.parse(**reply(KNOBS), text_format=Form), GPT_COST),
    "response raw": (lambda c: raw(c.responses)(**reply(KNOBS)), GPT_COST),
    "text": (lambda c: c.completions.create(model=TEXT, prompt=KNOBS), TEXT_COST),
    "embedding": (
        lambda c: c.embeddings.create(model=EMBEDDING, input=[KNOBS, "hi"]),
        EMBEDDING_COST,
    ),
    "image": (lambda c: c.images.generate(model="gpt-image-1", prompt=KNOBS), IMAGE_COST),
    "edit": (
        lambda c: c.images.edit(model="gpt-image-1", prompt=KNOBS, image=[b"a", b"b"]),
        IMAGE_COST,
    ),
    "posted": (
        lambda c: c.post("/chat/completions", body=chat(KNOBS), cast_to=httpx.Response),
        GPT_COST,
    ),
    "extra body": (
        lambda c: c.chat.completions.create(
            model=GPT, messages=says("?"), extra_body={"messages": says(KNOBS)}
        ),
        GPT_COST,
    ),
    "message": (lambda c: c.messages.create(**message(KNOBS)), CLAUDE_COST),
    "message raw": (lambda c: raw(c.messages)(**message(KNOBS)), CLAUDE_COST),
    "beta message": (lambda c: c.beta.messages.create(**message(KNOBS)), CLAUDE_COST),
}
STREAMS = {
    "chat": lambda c, text: c.chat.completions.create(**chat(text), stream=True),
    "chat helper": lambda c, text: c.chat.completions.stream(**chat(text)),
    "chat raw": lambda c, text: raw(c.chat.completions)(**chat(text), stream=True),
    "response": lambda c, text: c.responses.create(**reply(text), stream=True),
    "response helper": lambda c, text: c.responses.stream(**reply(text)),
    "text": lambda c, text: c.completions.create(
        model=TEXT, prompt=text, max_tokens=400, stream=True
    ),
    "image": lambda c, text: c.images.generate(model="gpt-image-1", prompt=text, stream=True),
    "message": lambda c, text: c.messages.create(**message(text), stream=True),
    "message helper": lambda c, text: c.messages.stream(**message(text)),
    "message raw": lambda c, text: raw(c.messages)(**message(text), stream=True),
    "beta message helper": lambda c, text: c.beta.messages.stream(**message(text)),
}
COSTS = {"chat": GPT_COST, "response": GPT_COST, "text": TEXT_COST, "image": IMAGE_COST}
CUT = [name for name in STREAMS if name != "image"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One file for all: a new one takes half a second."""
    path = tmp_path_factory.mktemp("wrap") / "spend.db"
    yield path
    with Ledger(path) as ledger:
        assert ledger.verify().ok


@pytest.fixture
def ledger(path, request):
    with Ledger(path, project=request.node.name, synchronous="NORMAL") as ledger:
        ledger.set_budget("alice", 100)
        yield ledger


@pytest.fixture
def url(provider):
    return provider.url


def client_for(name, url, ledger, user="alice", **options):
    options = {"api_key": "none", "max_retries": 0} | options
    if "message" in name:
        client = anthropic.Anthropic(base_url=url, **options)
    else:
        client = openai.OpenAI(base_url=f"{url}/v1", **options)
    return budgetledger.wrap(client, ledger, user)


def async_client_for(name, url, ledger, user="alice", **options):
    options = {"api_key": "none", "max_retries": 0} | options
    if "message" in name:
        client = anthropic.AsyncAnthropic(base_url=url, **options)
    else:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", **options)
    return budgetledger.wrap(client, ledger, user)


def settled(ledger, account="alice"):
    """The rows of money; nothing may be held any more."""
    if ledger.balance(account).held:
        gc.collect()
    assert ledger.balance(account).held == 0
    return [entry for entry in ledger.entries(account) if entry.kind in ("settle", "charge")]


def rows(ledger):
    return [entry for entry in ledger.entries("alice") if entry.kind != "budget"]


def kinds(ledger):
    return [entry.kind for entry in rows(ledger)]


# -- calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_a_call_costs_what_the_provider_bills(provider, url, ledger, name):
    call, cost = PLAIN[name]
    answer = call(client_for(name, url, ledger))
    assert [entry.cost_pico for entry in settled(ledger)] == [cost]
    assert len(provider.billed) == 1
    assert not [told for told in provider.billed[0].headers if "budget" in told]
    if "parsed" in name:
        parsed = answer.output_parsed if "response" in name else answer.choices[0].message.parsed
        assert parsed == Form()
    if "raw" in name:
        assert answer.parse().model == answer.http_response.json()["model"]


@pytest.mark.parametrize("name", PLAIN)
def test_an_async_call_costs_what_the_provider_bills(provider, url, ledger, name):
    call, cost = PLAIN[name]

    async def main():
        async with async_client_for(name, url, AsyncLedger(ledger)) as client:
            await call(client)

    asyncio.run(main())
    assert [entry.cost_pico for entry in settled(ledger)] == [cost]
    assert len(provider.billed) == 1


@pytest.mark.parametrize("before", ["", "/", "{url}/openai/", "{url}/v1beta/openai/"])
def test_a_posted_call_is_metered_however_its_path_begins(provider, url, ledger, before):
    client = client_for("chat", url, ledger)
    path = before.format(url=url) + "chat/completions"
    client.post(path, body=chat(KNOBS), cast_to=httpx.Response)
    assert [entry.cost_pico for entry in settled(ledger)] == [GPT_COST]
    assert len(provider.billed) == 1


def test_what_costs_nothing_is_not_metered(provider, url, ledger):
    client = client_for("message", url, ledger)
    counted = client.messages.count_tokens(model=CLAUDE, messages=says("hi"))
    assert counted.input_tokens
    body = {"requests": [{"custom_id": "1", "params": message()}]}
    with pytest.raises(anthropic.NotFoundError):  # the provider here has none
        client.post("/v1/messages/batches", body=body, cast_to=object)
    path = "/threads/thread_1/messages"
    client_for("chat", url, ledger).post(path, body={"content": "hi"}, cast_to=object)
    assert (provider.requests, kinds(ledger)) == (3, [])


def test_it_holds_before_the_call(provider, url, ledger):
    client = client_for("chat", url, ledger)
    client.chat.completions.create(**chat(n=2))
    held, entry = rows(ledger)
    assert (held.kind, entry.kind) == ("hold", "settle")
    assert held.held_pico == 8 * 2_500_000 + 2 * 400 * 10_000_000
    ledger.set_budget("alice", "0.001")
    with pytest.raises(BudgetExceededError) as refused:
        client.chat.completions.create(**chat())
    assert refused.value.largest_output == 91
    assert provider.requests == 1


def test_an_answer_that_cannot_be_parsed_was_paid(provider, url, ledger):
    class Strict(BaseModel):
        missing: int

    client = client_for("chat", url, ledger)
    with pytest.raises(ValueError, match="missing"):
        client.chat.completions.parse(**chat(KNOBS), response_format=Strict)
    with pytest.raises(ValueError, match="missing"):
        client.responses.parse(**reply(KNOBS), text_format=Strict)
    assert [entry.cost_pico for entry in settled(ledger)] == [GPT_COST] * 2


UNREADABLE = {"chat": {"choices": "none"}, "message": {"content": "none"}}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("invalid", [True, False])
def test_an_answer_that_the_client_cannot_read_was_paid(
    provider, url, ledger, monkeypatch, name, invalid
):
    async def answer(send, status, content):
        body = json.dumps(content | UNREADABLE[name]).encode() if invalid else b"{bad"
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    package = {"chat": openai, "message": anthropic}[name]
    cost = {"chat": GPT_COST, "message": CLAUDE_COST}[name]
    raised = package.APIResponseValidationError if invalid else json.JSONDecodeError
    warned = nullcontext() if invalid else pytest.warns(UnpricedWarning)
    options = {"_strict_response_validation": invalid}
    monkeypatch.setattr(provider_module, "_answer", answer)

    async def main():
        async with async_client_for(name, url, ledger, **options) as client:
            with pytest.raises(raised):
                await PLAIN[name][0](client)

    with warned:
        with pytest.raises(raised):
            PLAIN[name][0](client_for(name, url, ledger, **options))
        asyncio.run(main())
    held = [entry.held_pico for entry in ledger.entries("alice") if entry.kind == "hold"]
    assert [entry.cost_pico for entry in settled(ledger)] == ([cost] * 2 if invalid else held)
    assert kinds(ledger) == ["hold", "settle"] * 2
    with pytest.raises(package.APIStatusError):  # which costs nothing
        STREAMS[name](client_for(name, url, ledger, **options), "[[status=500]]")
    assert kinds(ledger)[4:] == ["hold", "release"]


def test_a_model_without_price_is_refused_before_the_call(provider, url, ledger):
    client = client_for("chat", url, ledger)
    with pytest.raises(UnpricedModel):
        client.chat.completions.create(**chat() | {"model": "nobody-knows"})
    assert provider.requests == 0
    client.chat.completions.create(**chat("[[answers=nobody-knows]]"))  # if only the answer tells
    (entry,) = settled(ledger)
    assert (entry.cost_basis, entry.price["model"]) == ("stated", GPT)


def unknown_cost(monkeypatch):
    """Let the provider tell no usage, and a model that nobody prices."""

    async def answer(send, status, content):
        await provider_answer(send, status, {**content, "model": "nobody-knows", "usage": None})

    async def send_event(call, event):
        await provider_event(call, {**event, "model": "nobody-knows", "usage": None, "choices": []})

    provider_answer, provider_event = provider_module._answer, provider_module._Call._event
    monkeypatch.setattr(provider_module, "_answer", answer)
    monkeypatch.setattr(provider_module._Call, "_event", send_event)


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_500_calls_of_unknown_cost_pass_as_often_as_their_holds_fit(
    provider, url, ledger, monkeypatch, is_async, stream
):
    unknown_cost(monkeypatch)
    ledger.set_budget("alice", "0.05")
    call = chat(stream=stream)

    async def acall(client):
        answer = await client.chat.completions.create(**call)
        if stream:
            [chunk async for chunk in answer]

    async def main():
        async with async_client_for("chat", url, ledger) as client:
            return await asyncio.gather(
                *(acall(client) for _ in range(500)), return_exceptions=True
            )

    if is_async:
        done = asyncio.run(main())
        refused = [one for one in done if isinstance(one, BudgetExceededError)]
        assert len(refused) + done.count(None) == 500
    else:
        client = client_for("chat", url, ledger)
        for _ in range(500):
            with suppress(BudgetExceededError):
                answer = client.chat.completions.create(**call)
                if stream:
                    list(answer)
    holds = [entry for entry in ledger.entries("alice") if entry.kind == "hold"]
    assert len(holds) == provider.requests == Decimal("0.05") // holds[0].held
    assert {entry.cost_basis for entry in settled(ledger)} == {"assumed"}
    assert sum(entry.cost for entry in settled(ledger)) == ledger.balance("alice").assumed


def test_calls_whose_cost_would_not_be_seen_are_refused(provider, url, ledger):
    client = client_for("chat", url, ledger)
    streaming = client.chat.completions.with_streaming_response
    with pytest.raises(InvalidInput, match="with_raw_response"), streaming.create(**chat()):
        pass
    with pytest.raises(InvalidInput, match="background"):
        client.responses.create(**reply(), background=True)
    if hasattr(client.responses, "connect"):  # not in the oldest
        with pytest.raises(InvalidInput, match="WebSocket"):
            client.responses.connect()
    with pytest.raises(InvalidInput, match="stream_cls"):
        client.post("/chat/completions", body=chat(stream=True), cast_to=object, stream=True)
    with pytest.raises(InvalidInput, match="dict"):
        client.post("/chat/completions", body=["hi"], cast_to=object)
    assert (provider.requests, kinds(ledger)) == (0, [])


# -- who, and what else is noted -----------------------------------------------------------------


def test_the_user_is_the_arguments_the_contexts_or_the_clients(url, ledger):
    for user in "bob", "carol", "dave":
        ledger.set_budget(user, 1)
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    nobodys = budgetledger.wrap(client, ledger)
    with pytest.raises(InvalidInput, match="as_user"):
        nobodys.chat.completions.create(**chat())
    bobs = budgetledger.wrap(client, ledger, "bob", tags={"app": "x", "by": "wrap"})
    bobs.chat.completions.create(**chat())
    with ledger.as_user("carol", tags={"by": "context"}):
        bobs.chat.completions.create(**chat())
        nobodys.chat.completions.create(**chat())
        bobs.chat.completions.create(
            **chat(), budget_user="dave", budget_tags={"by": "call"}, budget_key="job-7"
        )
        later = bobs.chat.completions.stream(**chat())
    with later as stream:
        stream.until_done()
    told = {
        (user, entry.tags_json)
        for user in ("bob", "carol", "dave")
        for entry in settled(ledger, user)
    }
    assert told == {
        ("bob", '{"app":"x","by":"wrap"}'),
        ("carol", '{"app":"x","by":"context"}'),
        ("carol", '{"by":"context"}'),
        ("dave", '{"app":"x","by":"call"}'),
    }
    assert len(settled(ledger, "carol")) == 3
    with pytest.raises(HoldAlreadyClosed):
        bobs.chat.completions.create(
            **chat(), budget_user="dave", budget_tags={"app": "x", "by": "call"}, budget_key="job-7"
        )


def test_variations_and_runners_of_tools_take_the_caller_too(url, ledger):
    called = {"budget_user": "bob", "budget_tags": {"by": "call"}}
    ledger.set_budget("bob", 1)
    images = client_for("image", url, ledger).images
    is_deprecated = hasattr(images.create_variation, "__deprecated__")  # by openai 3, not by us
    with pytest.deprecated_call() if is_deprecated else nullcontext():
        images.create_variation(model="gpt-image-1", image=b"a", **called)
    count = 1
    client = client_for("message", url, ledger)
    if hasattr(client.beta.messages, "tool_runner"):  # not in the oldest
        client.beta.messages.tool_runner(**message(), tools=[], **called).until_done()
        for stream in client.beta.messages.tool_runner(
            **message(), tools=[], stream=True, **called
        ):
            stream.until_done()

        async def main():
            async with async_client_for("message", url, ledger) as client:
                runner = client.beta.messages.tool_runner(**message(), tools=[], **called)
                await runner.until_done()

        asyncio.run(main())
        count = 4
    if hasattr(client.beta.messages, "thread"):  # since anthropic 2
        thread = client.beta.messages.thread(model=CLAUDE, max_tokens=400, **called)
        thread.send(*says("hi"))
        with thread.stream(*says("hi")) as stream:
            stream.until_done()
        count += 2
    assert [row.tags for row in settled(ledger, "bob")] == [{"by": "call"}] * count
    assert settled(ledger) == []


# -- what runs inside Anthropic's client -----------------------------------------------------------

MIDDLEWARE = pytest.mark.skipif(
    "middleware" not in inspect.signature(anthropic.Anthropic).parameters,
    reason="this version of anthropic has none",
)


def answers_of(url, ledger, middleware):
    """What a plain and an asynchronous client return, or raise, with a *middleware*."""

    async def awaited(request, call_next):
        return middleware(await call_next(request))

    client = client_for("message", url, ledger, middleware=[lambda ask, go: middleware(go(ask))])

    async def main():
        async with async_client_for("message", url, ledger, middleware=[awaited]) as client:
            return await client.messages.create(**message(KNOBS))

    for call in lambda: client.messages.create(**message(KNOBS)), lambda: asyncio.run(main()):
        try:
            yield call()
        except RuntimeError as error:
            yield error


@MIDDLEWARE
def test_a_call_through_a_middleware_costs_what_the_provider_bills(provider, url, ledger):
    for answer in answers_of(url, ledger, lambda response: response):
        assert answer.usage.output_tokens == 321
    client = client_for("message", url, ledger, middleware=[lambda request, go: go(request)])
    for name in "message", "message helper", "message raw":
        list(read(STREAMS[name](client, KNOBS)))
    list(read(STREAMS["message"](client.with_options(timeout=5), KNOBS)))
    assert [entry.cost_pico for entry in settled(ledger)] == [CLAUDE_COST] * 6
    assert len(provider.billed) == 6


@MIDDLEWARE
def test_an_answer_that_a_middleware_loses_was_paid(provider, url, ledger):
    def fails(*_):
        raise RuntimeError("no luck")

    assert all(isinstance(answer, RuntimeError) for answer in answers_of(url, ledger, fails))
    assert [entry.cost_pico for entry in settled(ledger)] == [CLAUDE_COST] * 2


@MIDDLEWARE
def test_a_middleware_that_answers_itself_costs_nothing(provider, url, ledger):
    kept = client_for("message", url, ledger).messages.create(**message(KNOBS))
    client = client_for("message", url, ledger, middleware=[lambda *_: kept])
    assert client.messages.create(**message()) is kept
    assert client.messages.create(**message(), stream=True) is kept

    async def answering(*_):
        return kept

    async def main():
        async with async_client_for("message", url, ledger, middleware=[answering]) as client:
            assert await client.messages.create(**message()) is kept
            assert await client.messages.create(**message(), stream=True) is kept

    asyncio.run(main())
    assert kinds(ledger) == ["hold", "settle"] + ["hold", "release"] * 4
    assert len(provider.billed) == 1


@MIDDLEWARE
def test_each_answer_that_a_middleware_asked_for_is_recorded(provider, url, ledger):
    fallbacks = pytest.importorskip("anthropic.lib.middleware").BetaRefusalFallbackMiddleware
    middleware = [fallbacks([{"model": "claude-sonnet-4-5"}])]
    asked = message(f"{KNOBS} [[refuses={CLAUDE}]]")
    client = client_for("message", url, ledger, middleware=middleware)
    assert client.beta.messages.create(**asked).model == "claude-sonnet-4-5"

    async def main():
        async with async_client_for("message", url, ledger, middleware=middleware) as client:
            await client.beta.messages.create(**asked)

    asyncio.run(main())
    costs = [entry.cost_pico for entry in settled(ledger)]
    assert costs == [3 * CLAUDE_COST, CLAUDE_COST] * 2
    assert len(provider.billed) == 4


def test_an_answer_of_a_hold_settled_by_another_call_is_recorded_too(url, ledger):
    client = client_for("chat", url, ledger)
    asking = threading.Thread(
        target=client.chat.completions.create, kwargs=chat("[[slow=0.5]]", budget_key="same")
    )
    asking.start()
    client.chat.completions.create(**chat("[[slow=0.5]]"), budget_key="same")
    asking.join()
    assert sorted(entry.kind for entry in settled(ledger)) == ["charge", "settle"]


# -- the client stays what it is -----------------------------------------------------------------


def test_a_wrapped_client_is_the_client_otherwise(provider, url, ledger):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=7)
    client.note = "mine"
    assert client.chat.completions.create(**chat()).usage  # it has made its parts
    wrapped = budgetledger.wrap(client, ledger, "alice")
    assert isinstance(wrapped, openai.OpenAI)
    assert (wrapped.max_retries, wrapped.note, wrapped.api_key) == (7, "mine", "none")
    assert wrapped.models.list().data[0].id == "gpt-4o"
    assert kinds(ledger) == []
    assert isinstance(wrapped.chat.completions.create(**chat(), stream=True), openai.Stream)
    client.chat.completions.create(**chat())  # it is left as it was
    assert len(settled(ledger)) == 1
    for made in (
        wrapped.with_options(timeout=5),
        wrapped.copy(),
        budgetledger.wrap(wrapped, ledger, "alice"),
    ):
        assert isinstance(made, openai.OpenAI)
        made.chat.completions.create(**chat())
    assert len(settled(ledger)) == 4


@pytest.mark.parametrize("name", ["openai", "message"])
def test_coroutine_functions_stay_such(url, ledger, name):
    wrapped = async_client_for(name, url, ledger)
    kinds_of = {"openai": openai.AsyncOpenAI, "message": anthropic.AsyncAnthropic}
    plain = kinds_of[name](api_key="none")
    for path in (
        "chat.completions.create", "chat.completions.parse", "chat.completions.stream",
        "responses.create", "responses.parse", "embeddings.create", "images.generate",
        "messages.create", "messages.parse", "messages.stream", "beta.messages.parse",
    ):  # fmt: skip
        if ("messages" in path) != (name == "message"):
            continue
        try:
            kept, was = attrgetter(path)(wrapped), attrgetter(path)(plain)
        except AttributeError:  # not in the oldest
            assert "parse" in path
            continue
        # Which marks it knows depends on the version of Python.
        module = inspect if sys.version_info >= (3, 12) else asyncio
        assert module.iscoroutinefunction(kept) == module.iscoroutinefunction(was), path
        assert inspect.signature(kept) == inspect.signature(was)


def test_who_pays_is_decided_by_the_call_and_not_where_it_is_awaited(url, ledger):
    async def main():
        async with async_client_for("chat", url, ledger) as client:
            with ledger.as_user("alice", tags={"by": "context"}):
                call = client.embeddings.create(model=EMBEDDING, input=KNOBS)
            await call

    asyncio.run(main())
    assert [row.tags for row in settled(ledger)] == [{"by": "context"}]


def test_a_background_task_of_a_framework_is_awaited(url, ledger):
    background = pytest.importorskip("starlette.background")
    if sys.version_info < (3, 12) and version("starlette") < "0.48":
        pytest.skip("it awaits only functions whose code is a coroutine's, which no wrapper's is")

    async def main():
        async with async_client_for("chat", url, ledger) as client:
            task = background.BackgroundTask(client.embeddings.create, model=EMBEDDING, input=KNOBS)
            with ledger.as_user("alice", tags={"by": "context"}):
                await task()

    asyncio.run(main())
    assert [(row.cost_pico, row.tags) for row in settled(ledger)] == [
        (EMBEDDING_COST, {"by": "context"})
    ]


def test_azure_and_subclasses(provider, ledger, url):
    class Mine(openai.AzureOpenAI):
        def __init__(self, where):
            super().__init__(azure_endpoint=where, api_key="none", api_version="2024-10-21")

    client = budgetledger.wrap(Mine(url), ledger, "alice")
    client.chat.completions.create(**chat())
    assert "/deployments/gpt-4o/" in provider.billed[0].path
    assert len(settled(ledger)) == 1


@pytest.mark.parametrize("what", [object(), openai, httpx.Client(), SimpleNamespace(chat=None)])
def test_other_objects_are_refused(ledger, what):
    with pytest.raises(InvalidInput, match=r"openai\.OpenAI"):
        budgetledger.wrap(what, ledger, "alice")


# -- errors and retries --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chat", "message"])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_call_that_fails_gives_back_what_was_held(provider, url, ledger, name, status):
    call = {"chat": openai, "message": anthropic}[name]
    client = client_for(name, url, ledger)
    with pytest.raises(call.APIStatusError):
        STREAMS[name](client, f"[[status={status}]]")
    with pytest.raises(call.APITimeoutError):
        STREAMS[name](client.with_options(timeout=0.2), "[[slow=2]]")

    async def main():
        async with async_client_for(name, url, ledger) as client:
            with pytest.raises(call.APIStatusError):
                await STREAMS[name](client, f"[[status={status}]]")

    asyncio.run(main())
    assert settled(ledger) == []
    assert kinds(ledger) == ["hold", "release"] * 3
    assert provider.billed == []


@pytest.mark.parametrize("name", ["chat", "message"])
def test_retries_are_one_call(provider, url, ledger, name):
    client = client_for(name, url, ledger, max_retries=3)
    for _ in STREAMS[name](client, "[[status=429 times=2]]"):
        pass
    assert provider.requests == 3
    assert (len(provider.billed), kinds(ledger)) == (1, ["hold", "settle"])


def test_an_answer_is_not_eaten_if_it_cannot_be_recorded(url, ledger, monkeypatch, caplog):
    client = client_for("chat", url, ledger)

    def busy(*_):
        raise StoreBusy("others hold the file", target="spend.db")

    with monkeypatch.context() as patch:
        patch.setattr(budgetledger.journal.holding, "settle", busy)
        with pytest.warns(UnrecordedWarning, match=r"ledger\.holds"):
            assert client.chat.completions.create(**chat()).usage.total_tokens == 13
        with pytest.warns(UnrecordedWarning, match="settle"):
            assert len(list(client.chat.completions.create(**chat(), stream=True))) == 7
    assert "could not be recorded" in caplog.text
    assert len(ledger.holds("alice")) == 2
    for hold in ledger.holds("alice"):
        hold.settle("0.00007")
    assert len(settled(ledger)) == 2


# -- streams -------------------------------------------------------------------------------------


def read(stream):
    """Its chunks; from a manager or a raw response too, as their users read them."""
    if hasattr(stream, "parse"):
        stream = stream.parse()
    if hasattr(stream, "__enter__") and not hasattr(stream, "__iter__"):
        with stream as entered:
            yield from entered
    else:
        yield from stream


async def aread(making):
    stream = await making if hasattr(making, "__await__") else making
    if hasattr(stream, "parse"):
        stream = stream.parse()
        stream = await stream if hasattr(stream, "__await__") else stream
    if hasattr(stream, "__aenter__") and not hasattr(stream, "__aiter__"):
        async with stream as entered:
            async for chunk in entered:
                yield chunk
    else:
        async for chunk in stream:
            yield chunk


def said(chunk):
    """The text that a chunk brings, whosever it is."""
    kind = getattr(chunk, "type", None)
    if kind in ("content_block_delta", "response.output_text.delta"):
        return getattr(chunk.delta, "text", chunk.delta)
    if kind == "chunk":
        chunk = chunk.chunk
    choices = getattr(chunk, "choices", None)
    if not choices:
        return ""
    return getattr(choices[0], "text", None) or getattr(choices[0], "delta", chunk).content or ""


@pytest.mark.parametrize("name", STREAMS)
def test_a_finished_stream_costs_what_the_provider_bills(provider, url, ledger, name):
    cost = COSTS.get(name.split()[0], CLAUDE_COST)
    for _ in read(STREAMS[name](client_for(name, url, ledger), KNOBS)):
        pass
    assert [entry.cost_pico for entry in settled(ledger)] == [cost]

    async def main():
        async with async_client_for(name, url, ledger) as client:
            async for _ in aread(STREAMS[name](client, KNOBS)):
                pass

    asyncio.run(main())
    assert [entry.cost_pico for entry in settled(ledger)] == [cost] * 2
    assert len(provider.billed) == 2


def left_after(stream, words):
    """Read *stream* until so many words came, and leave it to itself."""
    for chunk in stream:
        words -= bool(said(chunk))
        if not words:
            return


def estimated(ledger, words):
    """The one settle: estimated, for the prompt and so many words of answer."""
    (entry,) = settled(ledger)
    assert (entry.output_tokens, (entry.note or "")[:9]) == (words, "estimated")
    assert entry.input_tokens > 0
    assert entry.cost > 0
    assert entry.cost_pico < rows(ledger)[0].held_pico


def tokens_of(name, words):
    return -(-words * 129 // 100) if "message" in name else words  # Claude's are counted by proxy


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("end", ["closed", "collected", "break", "error"])
def test_a_stream_that_ends_early_costs_what_came(provider, url, ledger, name, end):
    client = client_for(name, url, ledger)
    knobs = "[[pause=0.02]]" if end in ("closed", "collected") else f"[[{end}=3]]"
    stream = read(STREAMS[name](client, knobs))
    if end == "closed":
        left_after(stream, 3)
        stream.close()
    elif end == "collected":
        left_after(stream, 3)
        del stream
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of it
            list(stream)
    estimated(ledger, tokens_of(name, 3))


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("end", ["closed", "collected", "cancelled", "break"])
def test_an_async_stream_that_ends_early_costs_what_came(provider, url, ledger, name, end):
    async def left(client, came):
        stream = aread(STREAMS[name](client, "[[pause=0.05]]"))
        words = 3
        async for chunk in stream:
            words -= bool(said(chunk))
            if not words:
                came.set()
                if end != "cancelled":
                    break
        if end == "closed":
            await stream.aclose()

    async def main():
        async with async_client_for(name, url, AsyncLedger(ledger)) as client:
            came = asyncio.Event()
            if end == "break":
                with pytest.raises(Exception):  # noqa: B017, PT011
                    async for _ in aread(STREAMS[name](client, "[[break=3]]")):
                        pass
                return
            reading = asyncio.create_task(left(client, came))
            await asyncio.wait_for(came.wait(), 10)
            if end == "cancelled":
                reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            for _ in range(100):
                if not ledger.balance("alice").held:
                    break
                gc.collect()
                await asyncio.sleep(0.02)

    asyncio.run(main())
    estimated(ledger, tokens_of(name, 3))


@pytest.mark.parametrize("name", [name for name in CUT if "raw" not in name])
def test_closing_a_stream_settles_at_once(url, ledger, name):
    stream = STREAMS[name](client_for(name, url, ledger), "[[pause=0.02]]")
    managed = stream.__enter__() if "helper" in name else stream
    left_after(managed, 2)
    managed.close()
    assert len([entry for entry in rows(ledger) if entry.kind == "settle"]) == 1
    managed.close()
    list(managed)  # what a helper had made of the last chunk
    estimated(ledger, tokens_of(name, 2))

    async def main():
        async with async_client_for(name, url, ledger) as client:
            making = STREAMS[name](client, "[[pause=0.02]]")
            stream = await (making.__aenter__() if "helper" in name else making)
            words = 2
            async for chunk in stream:
                words -= bool(said(chunk))
                if not words:
                    break
            await stream.close()
            assert len([entry for entry in rows(ledger) if entry.kind == "settle"]) == 2
            await stream.close()

    asyncio.run(main())
    assert {entry.output_tokens for entry in settled(ledger)} == {tokens_of(name, 2)}


@pytest.mark.parametrize("name", ["chat", "response", "message"])
def test_a_stream_that_is_left_settles_without_a_collection(url, ledger, name):
    client = client_for(name, url, ledger)
    gc.collect()
    gc.disable()
    try:
        for chunk in STREAMS[name](client, "[[pause=0.02]]"):
            if said(chunk):
                break
        del chunk
        assert kinds(ledger) == ["hold", "settle"]
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["chat", "response", "message"])
def test_a_stream_that_is_never_read_costs_its_prompt(provider, url, ledger, name):
    client = client_for(name, url, ledger)
    stream = STREAMS[name](client, "hi")
    stream.close()
    assert kinds(ledger) == ["hold", "settle"]
    estimated(ledger, 0)
    STREAMS[name](client, "hi")
    assert len(settled(ledger)) == 2

    async def main():
        async with async_client_for(name, url, ledger) as client:
            await (await STREAMS[name](client, "hi")).close()
            await STREAMS[name](client, "hi")
            gc.collect()

    asyncio.run(main())
    assert len({entry.cost_pico for entry in settled(ledger)}) == 1
    assert len(settled(ledger)) == 4


def test_a_stream_that_is_read_unparsed_costs_what_was_held(url, ledger):
    client = client_for("chat", url, ledger)
    answer = STREAMS["chat raw"](client, "hi")
    assert "row" in "".join(answer.http_response.iter_text())
    (entry,) = settled(ledger)
    assert entry.cost_pico == rows(ledger)[0].held_pico


# A connection that ends is openai 3's own error, and httpx's of the others; of 0.x without the 2.
BROKEN = (openai.APIConnectionError, httpx.TransportError, httpx2.TransportError)
REPORTED = (openai.APIError, anthropic.APIStatusError)


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize(("end", "errors"), [("break", BROKEN), ("error", REPORTED)])
def test_a_stream_that_breaks_before_its_first_chunk_gives_back_what_was_held(
    url, ledger, name, end, errors
):
    for _ in range(2):
        with pytest.raises(errors):
            list(read(STREAMS[name](client_for(name, url, ledger), f"[[{end}=start]]")))

    async def main():
        async with async_client_for(name, url, ledger) as client:
            with pytest.raises(errors):
                async for _ in aread(STREAMS[name](client, f"[[{end}=start]]")):
                    pass

    asyncio.run(main())
    assert (settled(ledger), kinds(ledger)) == ([], ["hold", "release"] * 3)


@pytest.mark.parametrize("name", ["chat", "chat raw", "response", "message"])
def test_a_stream_that_stalls_costs_what_came(provider, url, ledger, name):
    late = (openai.APITimeoutError, httpx.TimeoutException, httpx2.TimeoutException)
    with pytest.raises(late):
        list(read(STREAMS[name](client_for(name, url, ledger, timeout=1), "[[stall=3]]")))
    estimated(ledger, tokens_of(name, 3))

    async def main():
        async with async_client_for(name, url, ledger, timeout=1) as client:
            with pytest.raises(late):
                async for _ in aread(STREAMS[name](client, "[[stall=3]]")):
                    pass

    asyncio.run(main())
    assert {entry.output_tokens for entry in settled(ledger)} == {tokens_of(name, 3)}


def test_a_stream_shows_its_reader_no_chunk_that_was_not_asked_for(provider, url, ledger):
    client = client_for("chat", url, ledger)
    assert all(chunk.choices for chunk in client.chat.completions.create(**chat(), stream=True))
    for include, last in ((True, 13), (False, None)):
        options = {"include_usage": include}
        asked = chat(stream=True, stream_options=options)
        *_, chunk = client.chat.completions.create(**asked)
        assert (chunk.usage and chunk.usage.total_tokens) == last
        assert provider.billed[-1].body["stream_options"] == options
        assert asked["stream_options"] is options
    assert [entry.output_tokens for entry in settled(ledger)] == [5, 5, 5]


@pytest.mark.parametrize("options", [{"include_obfuscation": False}, None])
def test_a_stream_with_options_in_its_extra_body_tells_its_usage(provider, url, ledger, options):
    client = client_for("chat", url, ledger)
    extra = {"stream_options": options}
    asked = chat(KNOBS, stream=True, extra_body=extra)
    assert all(chunk.choices for chunk in client.chat.completions.create(**asked))
    sent = provider.billed[-1].body["stream_options"]
    assert sent == {**(options or {}), "include_usage": True}
    assert extra == {"stream_options": options}
    assert [entry.cost_pico for entry in settled(ledger)] == [GPT_COST]
    asked["extra_body"] = {"stream_options": {"include_usage": False}}
    list(client.chat.completions.create(**asked))
    assert provider.billed[-1].body["stream_options"] == {"include_usage": False}


# -- many at once --------------------------------------------------------------------------------


def refused_or_answered(call):
    try:
        call()
    except BudgetExceededError:
        return 0
    return 1


def test_fifty_threads_with_one_client_do_not_overspend(provider, url, ledger):
    ledger.set_budget("alice", "0.0007")  # ten calls cost that; two can be held for at once
    client = client_for("chat", url, ledger)
    answered = []

    def work():
        for _ in range(3):
            answered.append(
                refused_or_answered(lambda: client.chat.completions.create(**chat(max_tokens=20)))
            )

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    balance = ledger.balance("alice")
    assert 2 <= sum(answered) == len(provider.billed) == len(settled(ledger)) <= 10
    assert balance.posted == sum(answered) * balance.limit / 10


def test_two_hundred_tasks_with_one_client_do_not_overspend(provider, url, ledger):
    ledger.set_budget("alice", "0.0014")  # twenty calls

    async def one(client, number):
        try:
            if number % 2:
                await client.chat.completions.create(**chat(max_tokens=20))
            else:
                stream = await client.chat.completions.create(**chat(max_tokens=20), stream=True)
                async for _ in stream:
                    pass
        except BudgetExceededError:
            return 0
        return 1

    async def main():
        async with async_client_for("chat", url, ledger) as client:
            return sum(await asyncio.gather(*(one(client, number) for number in range(200))))

    answered = asyncio.run(main())
    assert 2 <= answered == len(provider.billed) == len(settled(ledger)) <= 20
    assert ledger.balance("alice").posted <= ledger.balance("alice").limit


def test_each_task_has_its_own_user(provider, url, ledger):
    users = [f"user-{number}" for number in range(10)]
    for user in users:
        ledger.set_budget(user, 1)

    async def ask(client, user, number):
        with ledger.as_user(user, tags={"number": number}):
            await asyncio.sleep(0)
            await client.chat.completions.create(**chat())

    async def main():
        async with async_client_for("chat", url, ledger, None) as client:
            calls = [ask(client, user, number) for number in range(5) for user in users]
            await asyncio.gather(*calls)

    asyncio.run(main())
    for user in users:
        assert len({entry.tags_json for entry in settled(ledger, user)}) == 5
