"""Calls of which nothing can be estimated, and calls whose price nobody knows, under a budget."""

import asyncio
import gc
import sqlite3
import subprocess
import sys
import threading
import warnings
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from samples import HELLO, UNLISTED

from budgetledger import AsyncLedger, metered
from budgetledger.errors import BudgetExceededError, UnpricedModel, UnpricedWarning
from budgetledger.journal.rows import statements
from budgetledger.storage.dialect import compiled

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")

LEAST = Decimal(10) ** -12
USAGE = {"prompt_tokens": 9, "completion_tokens": 1}
PRICED = {"model": "gpt-4o", "usage": USAGE}
UNPRICED = {"model": UNLISTED, "usage": USAGE}
SILENT = {"model": "gpt-4o", "choices": []}
MANY = 60  # calls; some tests make 500


@pytest.fixture
def ledger(opened):
    ledger = opened()
    ledger.set_budget("alice", "0.05", per="day")
    return ledger


def rows(ledger, kind, account="alice"):
    return [entry for entry in ledger.entries(account) if entry.kind == kind]


def passed(call, times=MANY):
    """How many of so many calls are made; what refuses the last one."""
    refused = None
    for made in range(times):
        try:
            call()
        except (UnpricedModel, BudgetExceededError) as error:
            refused = error
            return made, refused
    return times, refused


def asking(ledger, answer, **options):
    """A metered function without arguments that tell its cost."""

    @metered(ledger, user="alice", **options)
    def ask(question="Why?"):
        return answer

    return ask


# -- never more calls than the holds allow ----------------------------------------------------


@pytest.mark.parametrize("answer", [UNPRICED, SILENT, None, "text", {"model": UNLISTED}])
def test_500_calls_of_which_nothing_is_known_pass_once(ledger, answer):
    ask = asking(ledger, answer)
    made = 0
    for _ in range(500):
        try:
            ask()
            made += 1
        except UnpricedModel as error:
            refusal = error
    assert made == 1
    assert (len(rows(ledger, "hold")), ledger.balance("alice").held) == (1, 0)
    (settle,) = rows(ledger, "settle")
    assert settle.cost_basis == "unpriced"
    text = str(refusal)
    assert all(word in text for word in (str(settle.id), "set_price", "reprice", "adjust"))
    assert all(word in text for word in ("'usd/day'", "'alice'", "asking.<locals>.ask"))


@pytest.mark.parametrize("answer", [UNPRICED, SILENT, None])
def test_an_amount_is_an_estimate_and_is_assumed(ledger, answer):
    ask = asking(ledger, answer, amount="0.01")
    made, refusal = passed(ask, 500)
    assert (made, type(refusal)) == (5, BudgetExceededError)
    assert ledger.balance("alice").assumed == ledger.balance("alice").posted == Decimal("0.05")


def test_a_call_that_is_estimated_passes_as_often_as_its_hold_fits(ledger):
    @metered(ledger, user="alice")
    def ask(messages, model="gpt-4o", max_tokens=400):
        return {"model": UNLISTED}

    made, _ = passed(lambda: ask(HELLO["messages"]), 500)
    held = rows(ledger, "hold")[0].held
    assert made == Decimal("0.05") // held == 12


def test_a_model_without_a_price_is_refused_before_the_call(ledger):
    @metered(ledger, user="alice")
    def ask(messages, model=UNLISTED, max_tokens=400):
        raise AssertionError

    assert passed(lambda: ask(HELLO["messages"]))[0] == 0


STREAMS = {
    "unknown form": [{"foo": 1}, {"bar": 2}],
    "no usage": [{"model": UNLISTED, "choices": [{"index": 0, "delta": {"content": "row"}}]}],
    "bytes": [b"row", b" row"],
    "unpriced": [{"model": UNLISTED, "choices": [], "usage": USAGE}],
}


@pytest.mark.parametrize("chunks", STREAMS.values(), ids=STREAMS)
def test_streams_of_which_nothing_is_known_pass_once(ledger, chunks):
    ask = asking(ledger, None)

    @metered(ledger, user="alice")
    def generate():
        yield from chunks

    @metered(ledger, user="alice")
    def returned():
        return iter(chunks)

    assert passed(lambda: list(generate()), 500)[0] == 1
    assert passed(lambda: list(returned()))[0] == passed(ask)[0] == 0  # unpriced is unpriced
    assert [row.cost_basis for row in rows(ledger, "settle")] == ["unpriced"]


@pytest.mark.parametrize("chunks", STREAMS.values(), ids=STREAMS)
def test_asynchronous_streams_of_which_nothing_is_known_pass_once(ledger, chunks):
    @metered(ledger, user="alice")
    async def generate():
        for chunk in chunks:
            yield chunk

    async def main():
        made = 0
        for _ in range(MANY):
            try:
                assert [chunk async for chunk in generate()] == chunks
                made += 1
            except UnpricedModel:
                pass
        return made

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("chunks", STREAMS.values(), ids=STREAMS)
def test_a_stream_that_was_held_for_is_assumed(ledger, chunks):

    def ask():
        with ledger.hold("alice", "0.01") as hold:
            list(hold.stream(chunks))

    assert passed(ask, 500)[0] == 5
    assert {row.cost_basis for row in rows(ledger, "settle")} == {"assumed"}


def test_a_stream_of_unknown_form_is_assumed_and_warned_of(ledger):
    with (
        pytest.warns(UnpricedWarning, match="unknown form"),
        ledger.hold("alice", **HELLO, max_output_tokens=50) as hold,
    ):
        list(hold.stream(STREAMS["unknown form"]))
    settle = hold.closed_by
    assert (settle.cost, settle.cost_basis) == (hold.amount, "assumed")
    assert (settle.input_tokens, settle.output_tokens) == (8, 50)


def chat(**delta):
    return {"model": "gpt-4o", "choices": [{"index": 0, "delta": delta}]}


WITHOUT_TEXT = {
    "another word for text": [chat(role="assistant"), chat(answer="row row")],
    "sound": [{"type": "response.created", "response": {"model": "gpt-4o"}},
              {"type": "response.audio.delta", "delta": "AAAA"}],
    "an image": [{"candidates": [{"content": {"parts": [{"inlineData": {"data": "AAAA"}}]}}]}],
    "another form": [chat(role="assistant"), {"token": "row"}],
}  # fmt: skip


@pytest.mark.parametrize("chunks", WITHOUT_TEXT.values(), ids=WITHOUT_TEXT)
def test_a_stream_without_text_and_usage_is_assumed_and_not_priced_as_a_prompt(ledger, chunks):
    with (
        pytest.warns(UnpricedWarning, match="neither text nor usage"),
        ledger.hold("alice", **HELLO, max_output_tokens=50) as hold,
    ):
        list(hold.stream(chunks))
    settle = hold.closed_by
    assert (settle.cost, settle.cost_basis) == (hold.amount, "assumed")


@pytest.mark.parametrize(
    ("model", "basis"), [("gpt-4o", "estimated"), ("o3", "assumed"), ("gemini-2.5-pro", "assumed")]
)
def test_a_broken_stream_is_counted_unless_its_reasoning_is_hidden(ledger, model, basis):
    chunks = [{"model": model, "choices": [{"index": 0, "delta": {"content": "row row"}}]}]
    hold = ledger.hold("alice", model=model, text="hello", max_output_tokens=50)
    list(hold.stream(chunks))
    assert hold.closed_by.cost_basis == basis
    if basis == "estimated":
        assert hold.closed_by.usage == {"estimated": 1, "input_tokens": 1, "output_tokens": 2}


@pytest.mark.parametrize(
    "chunks",
    [
        [{"error": {"code": 502, "message": "upstream"}}],
        [{"type": "response.created", "response": {"model": "gpt-4o", "status": "in_progress"}},
         {"type": "response.failed", "response": {
             "model": "gpt-4o", "status": "failed", "error": {"code": "x", "message": "y"}}}],
        [{"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}],
    ],
)  # fmt: skip
def test_a_stream_that_says_that_the_call_failed_releases_its_hold(ledger, chunks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with ledger.hold("alice", "0.05", model="gpt-4o") as hold:
                list(hold.stream(chunks))
            assert hold.closed_by.kind == "release"
        ask = asking(ledger, chunks[-1])
        assert passed(ask) == (MANY, None)
    assert (rows(ledger, "settle"), ledger.balance("alice").posted) == ([], 0)


def test_a_broken_stream_of_a_model_without_a_price_is_assumed(ledger):
    chunks = [{"model": UNLISTED, "choices": [{"index": 0, "delta": {"content": "row row"}}]}]
    ledger.set_price("mine", input=1, output=1)
    hold = ledger.hold("alice", model="mine", text="hello", max_output_tokens=50)
    list(hold.stream(chunks))  # at the price of the model that was asked
    assert hold.closed_by.cost_basis == "estimated"
    hold = ledger.hold("alice", model="mine", text="hello", max_output_tokens=50)
    ledger.remove_price("mine")
    with pytest.warns(UnpricedWarning, match="no price is known"):
        list(hold.stream(chunks))
    settle = hold.closed_by
    assert (settle.cost_basis, settle.usage, settle.output_tokens) == ("assumed", {}, 50)


def test_threads_pass_once(ledger):
    inside, leave = threading.Event(), threading.Event()
    refusals = []

    @metered(ledger, user="alice")
    def ask():
        inside.set()
        leave.wait(20)
        return UNPRICED

    def call():
        try:
            ask()
        except UnpricedModel as error:
            refusals.append(error)

    first = threading.Thread(target=call)
    first.start()
    assert inside.wait(20)
    others = [threading.Thread(target=call) for _ in range(8)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(20)
    leave.set()
    first.join(20)
    assert len(refusals) == 8
    assert "is open" in str(refusals[0])
    assert len(rows(ledger, "settle")) == 1


def test_tasks_pass_once(ledger):
    @metered(AsyncLedger(ledger), user="alice")
    async def ask():
        await asyncio.sleep(0)
        return UNPRICED

    async def main():
        return await asyncio.gather(*(ask() for _ in range(MANY)), return_exceptions=True)

    done = asyncio.run(main())
    assert [one for one in done if not isinstance(one, UnpricedModel)] == [UNPRICED]


# -- what ends it -------------------------------------------------------------------------------


def test_calls_whose_price_is_known_are_not_limited_by_it(ledger):
    ask = asking(ledger, PRICED)
    assert passed(ask) == (MANY, None)
    assert {row.cost_basis for row in rows(ledger, "settle")} == {"stated"}


def test_a_function_whose_last_call_was_priced_may_run_at_once(ledger):
    depth = []

    @metered(ledger, user="alice")
    def ask(more):
        depth.append(more)
        return ask(more - 1) if more else PRICED

    with pytest.raises(UnpricedModel, match="is open"):
        ask(2)  # it has not ended priced before
    assert [row.kind for row in ledger.entries("alice")][1:] == ["hold", "release"]
    ask(0)
    depth.clear()
    ask(3)
    assert depth == [3, 2, 1, 0]


def test_adjust_states_the_price_of_one(ledger):
    ask = asking(ledger, UNPRICED)
    for _ in range(3):
        assert passed(ask)[0] == 1
        ledger.adjust(rows(ledger, "settle")[-1], "0.01", reason="as billed")
    assert (ledger.balance("alice").posted, ledger.balance("alice").unpriced) == (
        Decimal("0.03"), 0,
    )  # fmt: skip


def test_set_price_and_reprice_state_the_price_of_all(ledger):
    ask = asking(ledger, UNPRICED)
    assert passed(ask)[0] == 1
    (settle,) = rows(ledger, "settle")
    ledger.set_price(UNLISTED, input=1, output=1, effective_at=settle.recorded_at)
    assert passed(ask)[0] == 0  # the first has no price yet
    assert len(ledger.reprice(dry_run=False)) == 1
    assert passed(ask) == (MANY, None)


def test_the_window_turns(ledger, clock):
    ask = asking(ledger, UNPRICED)
    assert passed(ask)[0] == 1
    clock.advance(days=1)
    assert passed(ask)[0] == 1
    ledger.shift_window("alice")
    assert passed(ask)[0] == 1


def test_an_open_hold_ends_at_its_deadline(ledger, clock):
    begun = metered(ledger, user="alice")(lambda: iter([]))()
    assert passed(asking(ledger, PRICED))[0] == 0
    clock.advance(hours=1)
    assert passed(asking(ledger, PRICED))[0] == MANY
    begun.close()


# -- which budgets ------------------------------------------------------------------------------


def test_without_a_budget_of_usd_nothing_is_refused(opened):
    ledger = opened()
    ledger.set_budget("alice", tokens=10**6)
    ledger.set_budget("alice", requests=10**6)
    assert passed(asking(ledger, UNPRICED)) == (MANY, None)


def test_without_enforcement_nothing_is_refused(opened):
    ledger = opened(enforce=False)
    ledger.set_budget("alice", "0.05")
    assert passed(asking(ledger, UNPRICED)) == (MANY, None)
    assert ledger.balance("alice").unpriced == MANY


@pytest.mark.parametrize("above", ["team", "*"])
def test_a_budget_above_limits_all_accounts_below(opened, above):
    ledger = opened()
    ledger.set_budget(above, 1, per="month")
    for account in ("alice", "bob"):
        ledger.set_budget(account, requests=10**6)
        if above != "*":
            ledger.set_parent(account, above)
    ask = asking(ledger, UNPRICED)
    assert passed(ask)[0] == 1
    assert passed(lambda: ask(budget_user="bob"))[0] == 0
    ledger.adjust(rows(ledger, "settle")[0], "0.01", reason="as billed")
    assert passed(lambda: ask(budget_user="bob"))[0] == 1
    assert ledger.balance(above).unpriced == 1


def test_the_models_that_are_named_are_told_apart(ledger):
    @metered(ledger, user="alice")
    def ask(model):
        return {"model": model, "usage": USAGE}

    assert passed(lambda: ask("my-first"))[0] == 1
    assert passed(lambda: ask("my-second"))[0] == 1
    assert passed(lambda: ask("gpt-4o"))[0] == MANY
    assert passed(asking(ledger, PRICED))[0] == 0  # it names none
    assert {row.model for row in rows(ledger, "hold")} == {"my-first", "my-second", "gpt-4o"}


def test_one_model_by_other_names_is_the_same(ledger):
    @metered(ledger, user="alice")
    def ask(model):
        return {"model": UNLISTED, "usage": USAGE}

    names = [
        "house-1",
        "HOUSE-1",
        "openai/house-1",
        "azure/house-1",
        "house-1-2026-01-01",
        UNLISTED,
    ]
    assert [passed(lambda name=name: ask(name), 1)[0] for name in names] == [1, 0, 0, 0, 0, 0]


def test_racing_calls_of_60_unknown_models_pass_once(ledger):
    @metered(ledger, user="alice")
    def begin(model):
        return iter([])

    numbers, begun = iter(range(MANY)), []
    made, refusal = passed(lambda: begun.append(begin(f"unknown-{next(numbers)}")))
    assert (made, "is open" in str(refusal)) == (1, True)
    begun[0].close()


def test_a_budget_of_a_model_limits_its_calls_alone(opened):
    ledger = opened()
    ledger.set_budget("alice", "0.05", model="my-first")

    @metered(ledger, user="alice")
    def ask(model):
        return {"model": model, "usage": USAGE}

    assert passed(lambda: ask("my-second")) == (MANY, None)
    assert passed(lambda: ask("my-first"))[0] == 1
    assert passed(asking(ledger, UNPRICED)) == (MANY, None)


def test_unpriced_charges_do_not_refuse_anything(ledger):
    ledger.charge("alice", {"model": UNLISTED, "usage": USAGE})
    hold = ledger.hold("alice", 0, model=UNLISTED)
    assert hold.settle({"model": UNLISTED}).cost_basis == "unpriced"
    assert passed(asking(ledger, PRICED)) == (MANY, None)


def test_an_exhausted_budget_still_refuses_the_least(ledger):
    ledger.charge("alice", cost="0.05")
    assert isinstance(passed(asking(ledger, PRICED))[1], BudgetExceededError)


def test_the_hold_says_that_nothing_was_estimated(ledger):
    asking(ledger, PRICED)()
    (hold,) = rows(ledger, "hold")
    assert (hold.held, hold.held_tokens, hold.price_source) == (LEAST, 1, "no estimate")
    assert hold.price["function"].endswith("asking.<locals>.ask")
    assert ledger.verify().ok


# -- what it costs ------------------------------------------------------------------------------


@pytest.mark.of_a_file
@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (statements.UNPRICED_MINIMAL, 3, "entries_unestimated (account_id=? AND recorded_at_us>?)"),
        (statements.LAST_MINIMAL, 2, "entries_by_unestimated (project_id=? AND note=?)"),
        (statements.OPEN_MINIMAL, 3, "PRIMARY KEY (account_id=?)"),
        (statements.ASSUMED, 6, "entries_assumed (account_id=? AND recorded_at_us>?"),
    ],
)
def test_only_rows_of_such_holds_are_read(ledger, statement, parameters, index):
    with closing(sqlite3.connect(ledger.path)) as connection:
        explain = f"EXPLAIN QUERY PLAN {compiled(statement)}"
        plan = connection.execute(explain, (1,) * parameters).fetchall()
    assert any(index in step for *_, step in plan), plan


def test_what_was_stated_once_is_not_read_again(ledger, clock):
    ledger.set_budget("alice", 1, name="for ever")
    ledger.set_budget("alice", 1, per=timedelta(hours=1), name="rolling")
    ask = asking(ledger, UNPRICED)
    clock.advance(hours=1)
    for _ in range(5):
        clock.advance(seconds=1)
        ask()
        ledger.adjust(rows(ledger, "settle")[-1], "0.001", reason="as billed")
    seen = []

    def watch(tx):
        execute = tx.execute

        def counting(sql, parameters=()):
            if sql == compiled(statements.UNPRICED_MINIMAL):
                seen.append(parameters[1])
            return execute(sql, parameters)

        tx.execute = counting
        return tx

    journal = ledger._journal
    begin = type(journal).begin
    try:
        type(journal).begin = lambda self, execute: watch(begin(self, execute))
        ask()
    finally:
        type(journal).begin = begin
    assert len(seen) == 3
    assert min(seen) >= rows(ledger, "settle")[-3].recorded_at_us


CALLS = """
import warnings
from budgetledger import Ledger, metered
ledger = Ledger(":memory:")
ledger.set_budget("alice", tokens=10**9)
ask = metered(ledger, user="alice")(lambda: {"model": "nobodys", "usage": {"prompt_tokens": 9}})
for _ in range(2000):
    ask()
    ledger.charge("alice", {"model": "nobodys", "usage": {"prompt_tokens": 9}})
    ledger.hold("alice", "0.01").settle({"model": "nobodys"})
print(len(globals().get("__warningregistry__", {})))
"""


def test_2000_unpriced_calls_warn_once_for_each_line_and_cause():
    done = subprocess.run(
        [sys.executable, "-c", CALLS], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("UnpricedWarning") == 3
    assert int(done.stdout) <= 4
    gc.collect()
