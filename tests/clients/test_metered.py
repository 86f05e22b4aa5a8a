"""`metered`: functions of every kind under a hold."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace

import pytest

from budgetledger import AsyncLedger, BudgetExceededError, Ledger, Usage, metered
from budgetledger.clients.metered_streams import MeteredStream
from budgetledger.errors import InvalidInput, UnpricedModel, UnpricedWarning

USAGE = {"prompt_tokens": 8, "completion_tokens": 5}
RESPONSE = {"model": "gpt-4o", "usage": USAGE}
COST = Decimal("0.00007")
LEAST = Decimal(10) ** -12
CHUNKS = [
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "row"}}]},
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": " row"}}]},
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [], "usage": USAGE},
]
MESSAGES = [{"role": "user", "content": "Hey, how's it going"}]


@pytest.fixture
def ledger():
    with Ledger(":memory:") as opened:
        opened.set_budget("alice", 1)
        yield opened


def rows(ledger, kind="settle"):
    return [entry for entry in ledger.entries("alice") if entry.kind == kind]


def test_a_function_is_held_for_by_its_own_arguments(ledger):
    @metered(ledger, user="alice", tags={"job": "x"})
    def ask(messages, *, model="gpt-4o", max_tokens=None):
        """Asks."""
        assert ledger.balance("alice").held > 0
        return RESPONSE

    assert ask(MESSAGES, max_tokens=50) is RESPONSE
    (hold,), (settle,) = rows(ledger, "hold"), rows(ledger)
    assert hold.held > 50 * Decimal("0.00001")
    assert (settle.cost, settle.tags) == (COST, {"job": "x"})
    assert (ask.__name__, ask.__doc__) == ("ask", "Asks.")
    assert "budget_user" not in inspect.signature(ask).parameters
    with pytest.raises(BudgetExceededError) as caught:
        ask(messages=MESSAGES, max_tokens=10**6)
    assert caught.value.largest_output > 1000


@pytest.mark.parametrize(
    ("kwargs", "tokens"),
    [
        ({"model": "text-embedding-3-small", "input": "Hey you"}, 2),
        ({"model": "gpt-4o", "input": "Hey you", "max_output_tokens": 7}, 14 + 1),
        ({"model": "gpt-3.5-turbo-instruct", "prompt": "Hey you", "max_tokens": 7, "n": 2}, 16),
        ({"model": "claude-3-5-haiku-latest", "system": "Be", "messages": MESSAGES,
          "max_tokens": 5}, None),
    ],
)  # fmt: skip
def test_every_apis_arguments_are_known(kwargs, tokens, ledger):
    @metered(ledger, user="alice")
    def ask(**kwargs):
        return RESPONSE

    ask(**kwargs)
    (hold,) = rows(ledger, "hold")
    assert hold.model == kwargs["model"]
    assert hold.held > 0
    assert tokens is None or abs(hold.held_tokens - tokens) <= 1


def test_without_such_arguments_the_amount_or_the_least_there_is(ledger):
    @metered(ledger, user="alice", amount="0.25")
    def ask(question):
        return RESPONSE

    @metered(ledger, user="alice")
    def ask_too(question):
        return RESPONSE

    ask("Why?")
    ask_too("Why?")
    assert [hold.held for hold in rows(ledger, "hold")] == [Decimal("0.25"), Decimal(10) ** -12]
    ledger.charge("alice", cost="0.90", model="m")
    with pytest.raises(BudgetExceededError):
        ask("Why?")
    ask_too("Why?")
    ledger.charge("alice", cost="0.10", model="m")
    with pytest.raises(BudgetExceededError):  # used up
        ask_too("Why?")


def test_a_model_without_a_price(ledger):
    def ask(model, messages):
        return {"model": model, "usage": USAGE}

    with pytest.raises(UnpricedModel):
        metered(ledger, user="alice")(ask)("none-such", MESSAGES)
    with pytest.warns(UnpricedWarning):
        metered(ledger, user="alice", amount="0.10")(ask)("none-such", MESSAGES)
    assert (rows(ledger)[0].cost, rows(ledger)[0].cost_basis) == (Decimal("0.10"), "assumed")


def test_who_pays(ledger):
    ledger.set_budget("bob", 1)

    @metered(ledger)
    def ask():
        return RESPONSE

    with pytest.raises(InvalidInput, match="no user"):
        ask()
    ask(budget_user="alice", budget_tags={"a": 1}, budget_key="k")
    assert (rows(ledger)[0].tags, rows(ledger, "hold")[0].idempotency_key) == ({"a": 1}, "k")

    async def main():
        with ledger.as_user("bob"):
            await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(3)))

    asyncio.run(main())
    assert ledger.balance("bob").posted == 3 * COST


@pytest.mark.parametrize("returned", ["42", 42.5, None, b"x", ["text"], {"text": "x"}])
def test_what_tells_no_usage_is_the_callers_and_recorded_as_unpriced(returned, ledger):
    @metered(ledger, user="alice")
    def ask():
        return returned

    with pytest.warns(UnpricedWarning):
        assert ask() is returned
    (row,) = rows(ledger)
    assert row.cost is None
    assert ledger.balance("alice").held == 0


def test_a_usage_settles_too(ledger):
    @metered(ledger, user="alice")
    def ask(model, messages):
        return Usage(8, 5)

    ask("gpt-4o", MESSAGES)
    assert rows(ledger)[0].cost == COST


def test_an_exception_releases_and_passes(ledger):
    @metered(ledger, user="alice", amount="0.5")
    def ask():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ask()
    assert (ledger.balance("alice").held, len(rows(ledger, "release"))) == (0, 1)


def test_a_store_that_fails_does_not_eat_the_answer(tmp_path, caplog):
    ledger = Ledger(tmp_path / "spend.db")
    ledger.set_budget("alice", 1)

    @metered(ledger, user="alice")
    def ask():
        ledger.close()
        return RESPONSE

    with pytest.warns(match="its cost could not be recorded"):
        assert ask() is RESPONSE
    assert "settle it" in caplog.text


def test_coroutines(ledger):
    @metered(AsyncLedger(ledger), user="alice")
    async def ask(model, messages, fail=False):
        if fail:
            raise RuntimeError("no")
        await asyncio.sleep(0)
        return RESPONSE

    assert inspect.iscoroutinefunction(ask)

    async def main():
        assert await ask("gpt-4o", MESSAGES) is RESPONSE
        with pytest.raises(RuntimeError):
            await ask("gpt-4o", MESSAGES, fail=True)
        with pytest.raises(TypeError):
            await ask("gpt-4o")
        with pytest.raises(BudgetExceededError):
            await ask("gpt-4o", [{"role": "user", "content": "word " * 500_000}])

    asyncio.run(main())
    assert ([row.cost for row in rows(ledger)], ledger.balance("alice").held) == ([COST], 0)


def test_generators_are_held_for_when_they_begin(ledger):
    @metered(ledger, user="alice", amount="0.10")
    def ask():
        yield from CHUNKS

    assert inspect.isgeneratorfunction(ask)
    begun = ask()
    assert rows(ledger, "hold") == []
    assert list(begun) == CHUNKS
    with closing(ask()) as stream:
        next(stream)
    assert rows(ledger)[0].cost == COST
    assert rows(ledger)[1].cost_basis == "assumed"  # the size of the prompt is unknown
    assert ledger.balance("alice").held == 0


def test_asynchronous_generators_and_streams_returned(ledger):
    @metered(ledger, user="alice")
    async def passed_on(model, messages):
        for chunk in CHUNKS:
            yield chunk

    @metered(ledger, user="alice")
    async def returned(model, messages):
        async def chunks():
            for chunk in CHUNKS:
                yield chunk

        return chunks()

    async def main():
        assert [chunk async for chunk in passed_on("gpt-4o", MESSAGES)] == CHUNKS
        assert [chunk async for chunk in await returned("gpt-4o", MESSAGES)] == CHUNKS
        async with await returned("gpt-4o", MESSAGES) as stream:
            async for _ in stream:
                break

    asyncio.run(main())
    assert inspect.isasyncgenfunction(passed_on)
    assert [row.cost for row in rows(ledger)][:2] == [COST, COST]
    assert len(rows(ledger)) == 3
    assert ledger.balance("alice").held == 0


def test_streams_returned_by_a_plain_function(ledger):
    @metered(ledger, user="alice")
    def ask(model, messages):
        return iter(CHUNKS)

    assert list(ask("gpt-4o", MESSAGES)) == CHUNKS
    with ask("gpt-4o", MESSAGES) as stream:
        assert next(stream) == CHUNKS[0]
    ask("gpt-4o", MESSAGES)  # thrown away: its prompt may be billed
    assert rows(ledger)[0].cost == COST
    assert len(rows(ledger)) == 3
    assert ledger.balance("alice").held == 0


def test_threads_together_never_overspend(ledger):
    ledger.set_budget("bob", "0.50")
    start = threading.Barrier(20)

    @metered(ledger, user="bob", amount="0.10")
    def ask():
        return {"model": "gpt-4o", "usage": USAGE, "_hidden_params": {"response_cost": 0.1}}

    def one():
        start.wait()
        with suppress(BudgetExceededError):
            ask()

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.balance("bob").posted == Decimal("0.50")


@dataclass
class Question:
    text: str


@pytest.mark.parametrize("asked", [5, {"q": "x"}, Question("x"), [Question("x")], ["x", "y"]])
@pytest.mark.parametrize(("amount", "held"), [("0.05", Decimal("0.05")), (None, LEAST)])
def test_an_argument_that_is_only_called_like_a_prompt_tells_nothing(asked, amount, held, ledger):
    @metered(ledger, user="alice", amount=amount)
    def ask(model, input):
        assert input is asked
        return RESPONSE

    assert ask("gpt-4o", asked) is RESPONSE
    assert [hold.held for hold in rows(ledger, "hold")] == [held]


def test_tools_that_are_none_of_an_api_tell_nothing(ledger):
    @metered(ledger, user="alice")
    def ask(model, messages, tools=None):
        return RESPONSE

    for tools in (None, 3, "look", [len], iter([])):
        ask("gpt-4o", MESSAGES, tools)
    assert len({hold.held for hold in rows(ledger, "hold")}) == 1
    assert rows(ledger, "hold")[0].held > LEAST


def test_a_wrong_number_beside_a_prompt_is_refused(ledger):
    ask = metered(ledger, user="alice")(lambda **call: RESPONSE)
    with pytest.raises(InvalidInput, match=r"n must be a whole .*; pass an int"):
        ask(model="gpt-3.5-turbo-instruct", prompt="hi", n="2")
    assert rows(ledger, "hold") == []


def test_arguments_that_can_be_read_only_once_are_the_functions(ledger):
    @metered(ledger, user="alice", amount="0.05")
    def ask(model, messages, tools=()):
        assert (list(messages), list(tools)) == (MESSAGES, ["tool"])
        return RESPONSE

    ask("gpt-4o", (message for message in MESSAGES), iter(["tool"]))
    ask("gpt-4o", MESSAGES, iter(["tool"]))
    first, second = rows(ledger, "hold")
    assert first.held == Decimal("0.05") != second.held


def test_a_plain_function_that_returns_what_is_to_be_awaited(ledger):
    async def answer(model, messages, fail=None):
        await asyncio.sleep(0)
        if fail is not None:
            raise fail
        return RESPONSE

    ask = metered(ledger, user="alice")(lambda **call: answer(**call))
    call = {"model": "gpt-4o", "messages": MESSAGES}

    async def main():
        coming = ask(**call)
        assert (len(rows(ledger, "hold")), rows(ledger)) == (1, [])
        assert await coming is RESPONSE
        with pytest.raises(RuntimeError):
            await ask(**call, fail=RuntimeError("no"))
        with pytest.raises(asyncio.CancelledError):
            await ask(**call, fail=asyncio.CancelledError())
        task = asyncio.create_task(ask(**call))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [row.cost for row in rows(ledger)] == [COST]
    assert (len(rows(ledger, "release")), ledger.balance("alice").held) == (3, 0)


def test_streams_of_the_other_kind_than_their_function(ledger):
    async def chunks():
        for chunk in CHUNKS:
            yield chunk

    async def of_chunks():
        return chunks()

    @metered(ledger, user="alice")
    async def asynchronous(model, messages):
        return iter(CHUNKS)

    plain = metered(ledger, user="alice")(lambda model, messages: chunks())
    awaited = metered(ledger, user="alice")(lambda model, messages: of_chunks())

    async def main():
        assert list(await asynchronous("gpt-4o", MESSAGES)) == CHUNKS
        assert [chunk async for chunk in plain("gpt-4o", MESSAGES)] == CHUNKS
        assert [chunk async for chunk in await awaited("gpt-4o", MESSAGES)] == CHUNKS

    asyncio.run(main())
    assert [row.cost for row in rows(ledger)] == [COST] * 3
    assert ledger.balance("alice").held == 0


class Helper:
    """A client's stream with helpers that read it themselves."""

    def __init__(self, response=None):
        self._chunks, self.model, self._hidden = iter(CHUNKS), "gpt-4o", {}
        if response is not None:
            self.response = response

    def __next__(self):
        return next(self._chunks)

    def __iter__(self):
        return self._chunks

    def get_final_text(self):
        return "".join(c["choices"][0]["delta"].get("content", "") for c in list(self._chunks)[:3])


def test_a_stream_read_past_its_iterator_costs_what_was_held(ledger):
    @metered(ledger, user="alice")
    def ask(model, messages, max_tokens=50):
        return Helper()

    stream = ask("gpt-4o", MESSAGES)
    assert stream.get_final_text() == "row row"
    stream.close()
    with ask("gpt-4o", MESSAGES) as stream:
        assert stream._hidden == {}  # is asked for by whoever passes streams on
    read, unread = rows(ledger)
    held = rows(ledger, "hold")[0]
    assert (read.output_tokens, read.cost, read.cost_basis) == (50, held.held, "assumed")
    assert unread.cost_basis == "estimated"
    assert 0 < unread.cost < read.cost
    stream = ask("gpt-4o", MESSAGES)
    assert (stream.get_final_text(), list(stream)) == ("row row", [])
    stream.close()
    assert [row.cost for row in rows(ledger)] == [held.held, unread.cost, held.held]
    assert (rows(ledger, "release"), ledger.balance("alice").held) == ([], 0)


def test_a_stream_read_past_its_iterator_costs_the_amount_that_was_held(ledger):
    stream = MeteredStream(Helper(), ledger.hold("alice", "0.05", model="gpt-4o"))
    stream.get_final_text()
    with pytest.warns(UnpricedWarning):
        stream.close()
    assert (rows(ledger)[0].cost, ledger.balance("alice").held) == (Decimal("0.05"), 0)


@pytest.mark.parametrize(("downloaded", "output"), [(0, 0), (9, 50)])
def test_a_stream_whose_response_tells_whether_it_was_read(downloaded, output, ledger):
    ask = metered(ledger, user="alice")(
        lambda model, messages, max_tokens: Helper(SimpleNamespace(num_bytes_downloaded=downloaded))
    )
    with ask("gpt-4o", MESSAGES, 50) as stream:
        assert stream.response
    assert rows(ledger)[0].output_tokens == output


def test_generators_get_what_is_sent_and_thrown_and_return(ledger):
    @metered(ledger, user="alice", amount="0.10")
    def ask():
        got = yield CHUNKS[0]
        try:
            yield got
        except ValueError as error:
            yield str(error)
        yield from CHUNKS[2:]
        return "done"

    def whole(begun):
        return (yield from begun)

    begun = whole(ask())
    assert (next(begun), begun.send("more"), begun.throw(ValueError("thrown"))) == (
        CHUNKS[0],
        "more",
        "thrown",
    )
    assert (next(begun), next(begun)) == (CHUNKS[2], CHUNKS[3])
    with pytest.raises(StopIteration) as ended:
        next(begun)
    assert ended.value.value == "done"
    begun = ask()
    next(begun)
    with pytest.raises(KeyError, match="not caught"):
        begun.throw(KeyError("not caught"))
    assert [row.cost == COST for row in rows(ledger)] == [True, False]
    assert ledger.balance("alice").held == 0


def test_asynchronous_generators_get_what_is_sent_and_thrown(ledger):
    @metered(ledger, user="alice", amount="0.10")
    async def ask():
        got = yield CHUNKS[0]
        try:
            yield got
        except ValueError as error:
            yield str(error)
        yield CHUNKS[3]

    async def main():
        begun = ask()
        assert await anext(begun) == CHUNKS[0]
        assert await begun.asend("more") == "more"
        assert await begun.athrow(ValueError("thrown")) == "thrown"
        assert [chunk async for chunk in begun] == [CHUNKS[3]]
        begun = ask()
        await anext(begun)
        await begun.aclose()

    asyncio.run(main())
    assert (len(rows(ledger)), ledger.balance("alice").held) == (2, 0)
