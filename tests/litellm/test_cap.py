"""The global cap, with the real litellm and a provider on this machine."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import litellm
import provider as provider_module
import pytest
from litellm.caching.caching import Cache

import budgetledger
from budgetledger import BudgetExceededError, Ledger
from budgetledger.errors import InvalidInput, UnpricedModel
from budgetledger.litellm.cap_ledger import ACCOUNT

# litellm leaves loops and sockets to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

QUICK_START = """
import litellm, os
from litellm import completion

# set env variable
os.environ["OPENAI_API_KEY"] = "your-api-key"

litellm.max_budget = 0.001 # sets a max budget of $0.001

messages = [{"role": "user", "content": "Hey, how's it going"}]
completion(model="gpt-4", messages=messages)
print(litellm._current_cost)
completion(model="gpt-4", messages=messages)
"""

# USD of a call as the provider bills it: 8 tokens in, 5 out.
GPT_4, GPT_4O = Decimal("0.00054"), Decimal("0.00007")
EMBEDDING, INSTRUCT = Decimal("0.00000016"), Decimal("0.000022")


@pytest.fixture(autouse=True)
def ledger(tmp_path):
    with Ledger(tmp_path / "spend.db", synchronous="NORMAL") as opened:
        budgetledger.max_budget_ledger = opened
        yield opened
        gc.collect()
    budgetledger.max_budget, budgetledger.max_budget_ledger = 0, None


@pytest.fixture
def to(provider):
    """What sends litellm's calls to the provider."""
    return {"api_base": provider.openai_url, "api_key": "k", "max_retries": 0}


def said(knobs=""):
    return [{"role": "user", "content": f"Hey, how's it going {knobs}"}]


def rows(ledger, *kinds):
    return [entry for entry in ledger.entries(ACCOUNT) if entry.kind in (kinds or ("settle",))]


def spent(ledger):
    return sum(entry.cost for entry in rows(ledger))


def held(ledger):
    return ledger.balance(ACCOUNT).held


def run(program, **environment):
    path = [str(Path(budgetledger.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


# -- the quick start ------------------------------------------------------------------------------


def test_the_quick_start_with_only_the_modules_name_changed(provider, monkeypatch):
    monkeypatch.setattr(provider_module, "OUTPUT", 25)
    program = QUICK_START.replace("litellm", "budgetledger")
    done = run(program, OPENAI_BASE_URL=provider.openai_url)
    assert done.stdout == "0.00174\n"  # 8 * 0.00003 + 25 * 0.00006
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("budgetledger.errors.BudgetExceededError: Budget has been exceeded! ")
    assert "Current cost: 0.00174, Max budget: 0.001 " in last
    assert "budgetledger.max_budget" in last
    assert provider.requests == 1


def test_a_loop_stops_and_who_catches_litellms_error_sees_it():
    budgetledger.max_budget = 0.001
    costs = []
    try:
        for _ in range(100):
            budgetledger.completion(
                model="gpt-3.5-turbo", messages=said(), mock_response="I am fine."
            )
            costs.append(budgetledger._current_cost)
    except litellm.BudgetExceededError as caught:
        error = caught
    each = 10 * 5e-7 + 20 * 15e-7  # as litellm counts an answer that is made up
    assert costs == pytest.approx([each * n for n in range(1, len(costs) + 1)])
    assert 0.001 - each <= costs[-1] <= 0.001 + each
    assert isinstance(error, BudgetExceededError)
    assert (error.current_cost, error.max_budget) == (budgetledger._current_cost, 0.001)
    if hasattr(error, "status_code"):
        assert (error.status_code, error.llm_provider) == (422, "")  # LiteLLM 1.80 sets neither
    assert error.requested + Decimal(str(error.current_cost)) > error.limit


def test_the_error_outlives_pickling_with_and_without_litellm():
    budgetledger.max_budget = 1e-9
    with pytest.raises(BudgetExceededError) as caught:
        budgetledger.completion(model="gpt-4", messages=said(), mock_response="-")
    pickled = pickle.dumps(caught.value)
    again = pickle.loads(pickled)
    assert type(again) is type(caught.value)
    assert (again.args, again.__dict__) == (caught.value.args, caught.value.__dict__)
    done = run(
        f"import pickle, sys; sys.modules['litellm'] = None; error = pickle.loads({pickled!r})\n"
        "import budgetledger; assert type(error) is budgetledger.BudgetExceededError; print(error)"
    )
    assert done.stdout == f"{caught.value}\n", done.stderr


def test_without_litellm():
    done = run(
        "import sys; sys.modules['litellm'] = None\n"
        "import budgetledger; budgetledger.completion(model='gpt-4', messages=[])"
    )
    assert "which is not installed; pip install litellm" in done.stderr.splitlines()[-1]


# -- every kind of call ---------------------------------------------------------------------------


def streamed(**kwargs):
    return list(budgetledger.completion(stream=True, **kwargs))


async def astreamed(**kwargs):
    return [chunk async for chunk in await budgetledger.acompletion(stream=True, **kwargs)]


def text_streamed(**kwargs):
    return list(budgetledger.text_completion(stream=True, **kwargs))


CHAT = {"model": "openai/gpt-4o", "messages": said()}
TEXT = {"model": "text-completion-openai/gpt-3.5-turbo-instruct", "prompt": "Hey"}
INPUT = {"model": "openai/text-embedding-3-small", "input": ["Hey", "you"]}


@pytest.mark.parametrize(
    ("call", "kwargs", "cost"),
    [
        (budgetledger.completion, CHAT, GPT_4O),
        (streamed, CHAT, GPT_4O),
        (budgetledger.text_completion, TEXT, INSTRUCT),
        (text_streamed, TEXT, INSTRUCT),
        (budgetledger.embedding, INPUT, EMBEDDING),
        (budgetledger.acompletion, CHAT, GPT_4O),
        (astreamed, CHAT, GPT_4O),
        (budgetledger.atext_completion, TEXT, INSTRUCT),
        (budgetledger.aembedding, INPUT, EMBEDDING),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_fires_for(call, kwargs, cost, ledger, provider, to):
    def once():
        if asyncio.iscoroutinefunction(call):
            return asyncio.run(call(**kwargs, **to))
        return call(**kwargs, **to)

    budgetledger.max_budget = cost * 3
    made, is_refused = 0, False
    while made < 4 and not is_refused:
        try:
            assert once()
            made += 1
        except BudgetExceededError:
            is_refused = True
    assert made in (2, 3)
    assert provider.requests == made
    assert spent(ledger) == made * cost  # to the picodollar
    assert budgetledger._current_cost == float(made * cost)
    assert held(ledger) == 0
    assert ledger.verify().ok


def test_all_that_is_passed_reaches_litellm_and_what_it_returns_the_caller(provider, to):
    response = budgetledger.completion(
        "openai/gpt-4o", said(), temperature=0.25, user="u", budget_tags={"a": 1}, **to
    )
    assert isinstance(response, litellm.ModelResponse)
    body = provider.billed[0].body
    assert (body["temperature"], body["user"]) == (0.25, "u")
    assert not any("budget" in name for name in body)
    stream = budgetledger.completion("openai/gpt-4o", said(), stream=True, **to)
    assert isinstance(stream, litellm.CustomStreamWrapper)
    assert stream.model == "gpt-4o"
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "row row row row row"
    )
    whole = litellm.stream_chunk_builder(list(budgetledger.completion(
        "openai/gpt-4o", said(), stream=True, **to
    )))  # fmt: skip
    assert whole.choices[0].message.content == "row row row row row"


# -- the hold -------------------------------------------------------------------------------------


def test_with_max_tokens_the_answer_is_held_too(ledger, to):
    budgetledger.max_budget = 0.001
    with pytest.raises(BudgetExceededError) as caught:
        budgetledger.completion(model="openai/gpt-4o", messages=said(), max_tokens=1000, **to)
    assert caught.value.requested > Decimal("0.01")
    budgetledger.completion(model="openai/gpt-4o", messages=said(), max_tokens=50, **to)
    assert spent(ledger) == GPT_4O


def together(number, call):
    """How often *call* was refused among *number* threads that start at once."""
    start = threading.Barrier(number)

    def one(_):
        start.wait()
        try:
            call()
        except BudgetExceededError:
            return 1
        return 0

    with ThreadPoolExecutor(number) as pool:
        return sum(pool.map(one, range(number)))


def test_a_hundred_threads_stay_within_the_cap_if_the_answers_are_bounded(ledger, provider, to):
    budgetledger.max_budget = GPT_4O * 10
    refused = together(
        100,
        lambda: budgetledger.completion(
            model="openai/gpt-4o", messages=said("[[slow=0.3]]"), max_tokens=5, **to
        ),
    )
    assert provider.requests == 100 - refused
    assert 5 <= provider.requests <= 10
    assert spent(ledger) == GPT_4O * provider.requests <= GPT_4O * 10
    assert held(ledger) == 0


def test_without_a_bound_racing_threads_exceed_it_by_their_answers_at_most(ledger, provider, to):
    budgetledger.max_budget = GPT_4O
    refused = together(
        100,
        lambda: budgetledger.completion(model="openai/gpt-4o", messages=said("[[slow=0.3]]"), **to),
    )
    holds = [row.held for row in rows(ledger, "hold")]
    assert provider.requests == 100 - refused == len(holds)
    # Held were the prompts, and together no more than the cap; the answers come on top.
    assert len(holds) == budgetledger.max_budget // holds[0]
    assert spent(ledger) == GPT_4O * len(holds)
    with pytest.raises(BudgetExceededError):
        budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)


def test_a_hundred_tasks_stay_within_the_cap(ledger, provider, to):
    budgetledger.max_budget = GPT_4O * 10

    async def main():
        calls = [
            budgetledger.acompletion("openai/gpt-4o", said("[[slow=0.3]]"), max_tokens=5, **to)
            for _ in range(100)
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = asyncio.run(main())
    refused = [answer for answer in answers if isinstance(answer, litellm.BudgetExceededError)]
    assert 5 <= provider.requests == 100 - len(refused) <= 10
    assert spent(ledger) == GPT_4O * provider.requests
    assert held(ledger) == 0


def test_the_comparison_is_strict_as_litellms(ledger, to):
    budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)
    (hold,) = rows(ledger, "hold")
    budgetledger.max_budget = GPT_4O + hold.held  # recorded and held are exactly the cap
    budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)
    budgetledger.max_budget = 2 * GPT_4O + hold.held - Decimal("0.000000000001")
    with pytest.raises(BudgetExceededError):
        budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)


@pytest.mark.parametrize("status", [429, 500])
def test_a_failed_call_costs_nothing(status, ledger, provider, to):
    budgetledger.max_budget = 1
    for call in (budgetledger.completion, streamed):
        with pytest.raises((litellm.RateLimitError, litellm.InternalServerError)):
            call(model="openai/gpt-4o", messages=said(f"[[status={status}]]"), **to)
    with pytest.raises((litellm.RateLimitError, litellm.InternalServerError)):
        asyncio.run(budgetledger.acompletion("openai/gpt-4o", said(f"[[status={status}]]"), **to))
    assert (held(ledger), len(rows(ledger, "release")), rows(ledger)) == (0, 3, [])


def test_retries_are_one_call(ledger, provider, to):
    budgetledger.completion(
        model="openai/gpt-4o", messages=said("[[status=500 times=2]]"), num_retries=3, **to
    )
    assert provider.requests == 3
    assert len(rows(ledger, "hold")) == 1
    assert spent(ledger) == GPT_4O


# -- streams that do not end well -----------------------------------------------------------------


def open_stream(to, knobs=""):
    return budgetledger.completion(
        model="openai/gpt-4o",
        messages=said(f"[[output=500 pause=0.01 {knobs}]]"),
        stream=True,
        **to,
    )


def settled_early(ledger, words):
    (row,) = rows(ledger)
    assert row.note.startswith("estimated")
    assert row.usage.get("output_tokens", 0) == words
    assert row.usage["input_tokens"] > 0
    assert 0 < row.cost < 500 * Decimal("0.00001")
    assert held(ledger) == 0
    return True


def left(stream):
    """Read four chunks; return the number of words in them: 3, as the first has none, or 4."""
    return sum(bool(next(stream).choices[0].delta.content) for _ in range(4))


def closed(stream):
    words = left(stream)
    stream.close()
    return words


@pytest.mark.parametrize("leave", [left, closed])
def test_a_stream_left_half_way_is_settled_and_the_provider_told(leave, ledger, provider, to):
    budgetledger.max_budget = 1
    stream = open_stream(to)
    words = leave(stream)
    del stream
    gc.collect()
    assert words in (3, 4)
    assert settled_early(ledger, words)
    for _ in range(100):
        if provider.left:
            break
        threading.Event().wait(0.02)
    assert provider.left == 1


def test_a_stream_nobody_reads_is_settled_for_its_prompt(ledger, to):
    stream = open_stream(to)
    assert held(ledger) > 0
    del stream
    gc.collect()
    assert settled_early(ledger, words=0)

    async def main():
        await budgetledger.acompletion("openai/gpt-4o", said(), stream=True, **to)

    asyncio.run(main())
    gc.collect()
    assert len(rows(ledger)) == 2
    assert held(ledger) == 0


def test_a_stream_that_breaks_is_settled_for_what_came(ledger, to):
    stream = open_stream(to, "break=3")
    # LiteLLM 1.80 does not yet wrap what it was told.
    broken = (litellm.exceptions.MidStreamFallbackError, litellm.exceptions.APIConnectionError)
    with pytest.raises(broken):
        list(stream)
    assert settled_early(ledger, words=3)


def test_a_cancelled_or_broken_off_task(ledger, to):
    budgetledger.max_budget = 1
    kwargs = {"messages": said("[[output=500 pause=0.01]]"), "stream": True, **to}

    async def cancelled():
        async for _ in await budgetledger.acompletion("openai/gpt-4o", **kwargs):
            pass

    async def broken_off():
        async for chunk in await budgetledger.acompletion("openai/gpt-4o", **kwargs):
            if chunk.choices[0].delta.content:
                return

    async def main():
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broken_off()
        # Amid the call itself: nothing came back, and nothing stays held.
        calling = budgetledger.acompletion("openai/gpt-4o", said("[[slow=5]]"), **to)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(calling, 0.3)

    asyncio.run(main())
    gc.collect()
    assert [row.note.partition(":")[0] for row in rows(ledger)] == ["estimated"] * 2
    assert len(rows(ledger, "release")) == 1
    assert held(ledger) == 0


def test_what_cannot_be_held_is_no_reason_to_refuse_without_a_cap(ledger):
    call = {"model": "gpt-4", "messages": said(), "max_tokens": 10**15, "mock_response": "-"}
    budgetledger.completion(**call)
    assert len(rows(ledger)) == 1
    budgetledger.max_budget = 1
    with pytest.raises(InvalidInput):
        budgetledger.completion(**call)


def test_answers_go_on_as_messages(ledger, to):
    budgetledger.max_budget = 1
    first = budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)
    more = [*said(), first.choices[0].message, *said("And now?")]
    budgetledger.completion(model="openai/gpt-4o", messages=more, **to)
    small, large = (row.held for row in rows(ledger, "hold"))
    assert large > small * 2


# -- the globals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [0, 0.0, None, float("inf"), False])
def test_off_still_counts(off, ledger, to):
    budgetledger.max_budget = off
    assert budgetledger.max_budget is off
    budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)
    assert budgetledger._current_cost == float(GPT_4O)


@pytest.mark.parametrize("value", [float("nan"), -1, "much", True, Decimal("-0.1"), [1]])
def test_a_cap_that_is_no_amount_is_refused_at_once(value):
    budgetledger.max_budget = 5
    with pytest.raises(InvalidInput):
        budgetledger.max_budget = value
    assert budgetledger.max_budget == 5


def test_it_can_be_changed_at_any_time(ledger, to):
    call = {"model": "openai/gpt-4o", "messages": said(), **to}
    for cap, passes in [("0.001", True), (1e-6, False), (0, True), (Decimal("0.0001"), False)]:
        budgetledger.max_budget = cap
        if passes:
            budgetledger.completion(**call)
        else:
            with pytest.raises(BudgetExceededError):
                budgetledger.completion(**call)
    assert ledger.verify().ok


def test_starting_anew_keeps_every_row(ledger, to):
    call = {"model": "openai/gpt-4o", "messages": said(), **to}
    budgetledger.max_budget = GPT_4O
    budgetledger.completion(**call)
    with pytest.raises(BudgetExceededError):
        budgetledger.completion(**call)
    budgetledger._current_cost = 0
    assert budgetledger._current_cost == 0
    budgetledger.completion(**call)
    assert budgetledger._current_cost == float(GPT_4O)
    assert spent(ledger) == 2 * GPT_4O
    with pytest.raises(InvalidInput, match="can only be set to 0"):
        budgetledger._current_cost = 0.5
    assert ledger.verify().ok


def test_the_cost_is_read_from_the_ledger_by_whoever_asks(ledger):
    assert budgetledger._current_cost == 0
    budgetledger._current_cost = 0.0
    ledger.charge(ACCOUNT, cost="0.25", model="m")
    assert budgetledger._current_cost == 0.25
    budgetledger._current_cost = 0.0
    entry = ledger.charge(ACCOUNT, cost="0.50", model="m")
    assert budgetledger._current_cost == 0.5
    ledger.adjust(entry, "-0.25", reason="credit")
    assert budgetledger._current_cost == 0.25


def test_it_is_in_memory_unless_a_ledger_is_named(tmp_path, database, monkeypatch):
    monkeypatch.setenv("BUDGETLEDGER_DB", str(tmp_path / "others.db"))
    call = {"model": "gpt-4", "messages": said(), "mock_response": "-"}
    budgetledger.max_budget_ledger = None
    budgetledger.completion(**call)
    once = budgetledger._current_cost
    assert once > 0
    assert not (tmp_path / "others.db").exists()
    budgetledger.max_budget_ledger = database.target
    assert budgetledger._current_cost == 0
    budgetledger.completion(**call)
    budgetledger.max_budget = once
    with pytest.raises(BudgetExceededError, match="Max budget"):
        budgetledger.completion(**call)
    with Ledger(database.target) as other:
        assert float(other.balance(ACCOUNT).posted) == once


def test_other_budgets_of_the_ledger_hold_too(ledger, to):
    ledger.set_budget("*", "0.00001")
    with pytest.raises(litellm.BudgetExceededError, match=r"budget 'usd' of '\*'"):
        budgetledger.completion(model="openai/gpt-4o", messages=said(), **to)


def test_processes_that_name_one_file_share_the_cap(tmp_path, provider):
    program = f"""
import budgetledger
budgetledger.max_budget, budgetledger.max_budget_ledger = 0.0007, {str(tmp_path / "shared.db")!r}
made = 0
try:
    while made < 50:
        budgetledger.completion("openai/gpt-4o", [{{"role": "user", "content": "[[slow=0.05]]"}}],
            max_tokens=5, api_base={provider.openai_url!r}, api_key="k")
        made += 1
except budgetledger.BudgetExceededError:
    print(made)
"""
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: run(program), range(2)))
    made = [int(each.stdout) for each in done]
    assert sum(made) == provider.requests <= 10
    with Ledger(tmp_path / "shared.db") as shared:
        assert shared.balance(ACCOUNT).posted == GPT_4O * sum(made)
        assert sum(made) >= 8
        assert shared.verify().ok


# -- prices ---------------------------------------------------------------------------------------

LOCAL = {"messages": said(), "mock_response": "-"}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of LiteLLM 1.80
def test_an_unknown_price_is_never_0(ledger, to):
    budgetledger.max_budget = 1
    for call in (budgetledger.completion, streamed):
        with pytest.raises(UnpricedModel, match=r"'openai/none-such'.*input_cost_per_token"):
            call(model="openai/none-such", **LOCAL)
    with pytest.raises(UnpricedModel):
        asyncio.run(budgetledger.acompletion(model="openai/none-such", **LOCAL))
    budgetledger.max_budget = 0
    with pytest.warns(budgetledger.errors.UnpricedWarning):
        budgetledger.completion(model="openai/none-such", **LOCAL)
    assert ledger.balance(ACCOUNT).unpriced == 1


@pytest.mark.filterwarnings("error::budgetledger.errors.BudgetledgerWarning")
@pytest.mark.parametrize(
    "free",
    [
        {"model": "openai/mine", "input_cost_per_token": 0, "output_cost_per_token": 0},
        {"model": "ollama/llama3"},
    ],
    ids=["stated", "listed"],
)
def test_a_free_model_passes_a_cap_that_is_used_up(free, ledger):
    budgetledger._current_cost = 0
    ledger.charge(ACCOUNT, cost=5, model="m")
    budgetledger.max_budget = 0.001
    budgetledger.completion(**free, **LOCAL)
    streamed(**free, **LOCAL)
    asyncio.run(astreamed(**free, **LOCAL))
    balance = ledger.balance(ACCOUNT)
    assert (balance.posted, balance.unpriced) == (5, 0)
    assert [row.cost for row in rows(ledger)] == [0, 0, 0]
    assert all(row.output_tokens for row in rows(ledger))


def test_a_price_that_only_litellm_knows_is_held_and_recorded(ledger):
    budgetledger.max_budget = "0.05"
    priced = {"model": "openai/mine-too", "input_cost_per_token": 0.0001,
              "output_cost_per_token": 0.001}  # fmt: skip
    budgetledger.completion(**priced, **LOCAL)
    (row,), (hold,) = rows(ledger), rows(ledger, "hold")
    assert (row.cost, row.price_source) == (Decimal("0.021"), "litellm")
    assert hold.held == Decimal("0.0001") * hold.held_tokens
    with pytest.raises(BudgetExceededError):
        budgetledger.completion(**priced, **LOCAL, max_tokens=30)


def test_half_a_price_is_no_price(ledger):
    half = {"model": "openai/mine-half", "input_cost_per_token": 0.0001}
    budgetledger.max_budget = 1
    with pytest.raises(UnpricedModel, match="output_cost_per_token"):
        budgetledger.completion(**half, **LOCAL)
    assert ledger.accounts() == []
    budgetledger.max_budget = 0
    with pytest.warns(budgetledger.errors.UnpricedWarning):
        budgetledger.completion(**half, **LOCAL)


def test_prices_may_be_texts_as_litellm_takes_them(ledger):
    budgetledger.max_budget = 1
    priced = {"model": "openai/mine-by-text", "input_cost_per_token": "0.0001",
              "output_cost_per_token": "1e-3"}  # fmt: skip
    budgetledger.completion(**priced, **LOCAL, max_tokens=30)
    (row,), (hold,) = rows(ledger), rows(ledger, "hold")
    assert row.cost == Decimal("0.021")
    assert hold.held == Decimal("0.03") + Decimal("0.0001") * (hold.held_tokens - 30)


def test_what_comes_from_litellms_cache_is_free(ledger, provider, to, monkeypatch):
    monkeypatch.setattr(litellm, "cache", Cache(type="local"))
    call = {"model": "openai/gpt-4o", "messages": said(), "caching": True, **to}
    budgetledger.completion(**call)
    budgetledger.completion(**call)
    assert provider.requests == 1
    assert spent(ledger) == GPT_4O
    for _ in range(2):
        assert len(streamed(**call)) > 2
        threading.Event().wait(0.2)
    assert provider.requests <= 2
    assert [row.cost for row in rows(ledger)][1] == 0
    assert spent(ledger) == GPT_4O * provider.requests


# -- tags -----------------------------------------------------------------------------------------


def test_tags_and_trace_ids_stand_with_the_row(ledger, to):
    metadata = {
        "feature": "search",
        "tags": ["a"],
        "score": 0.5,
        "prompt": "x" * 999,
        "o": object(),
    }
    with ledger.as_user("alice", tags={"team": "blue"}):
        budgetledger.completion(
            model="openai/gpt-4o", messages=said(), metadata=metadata, tags=["b"],
            litellm_trace_id="t-1", litellm_call_id="c-1", **to,
        )  # fmt: skip
    (row,) = rows(ledger)
    assert row.tags == {
        "feature": "search", "score": 0.5, "tags": ["a", "b"], "user": "alice", "team": "blue",
        "litellm_trace_id": "t-1", "litellm_call_id": "c-1",
    }  # fmt: skip
    with ledger.session() as session:
        from sqlmodel import text

        found = session.exec(text(
            "SELECT cost_usd FROM spend WHERE json_extract(tags, '$.litellm_trace_id') = 't-1'"
        )).all()  # fmt: skip
    assert found == [(float(GPT_4O),)]
