"""One call is metered once, however many of metered, wrap and a hold's block are around it."""

import asyncio
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import openai
import pytest

from budgetledger import AsyncLedger, BudgetExceededError, Ledger, Usage, metered, wrap
from budgetledger.errors import (
    HoldAlreadyClosed,
    MeteredTwiceWarning,
    UnpricedModel,
)
from budgetledger.holds import Hold, granted_of

MESSAGES = [{"role": "user", "content": "Hey"}]
COST = Decimal("0.00007")
once = pytest.mark.filterwarnings("ignore::budgetledger.errors.MeteredTwiceWarning")


def answer(inputs=8, outputs=5, model="gpt-4o"):
    return {"model": model, "usage": {"prompt_tokens": inputs, "completion_tokens": outputs}}


@pytest.fixture
def ledger(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per="month")
    return ledger


@pytest.fixture
def ask(ledger):
    """A metered function, as a wrapped client is."""

    @metered(ledger, user="alice")
    def ask(model="gpt-4o", messages=MESSAGES, max_tokens=50):
        return answer(model=model)

    return ask


def rows(ledger, account="alice"):
    return [entry.kind for entry in ledger.entries(account) if entry.kind != "budget"]


def posted(ledger, account="alice"):
    return [entry.cost for entry in ledger.entries(account) if entry.kind in ("settle", "charge")]


NESTED = ["hold", "hold", "settle", "release"]
BOTH = ["hold", "hold", "settle", "settle"]


# -- what counts the call -------------------------------------------------------------------------


def test_the_inner_one_counts_a_call_that_both_see(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def outer():
        return ask()

    with pytest.warns(MeteredTwiceWarning, match="counted by the inner one") as caught:
        assert outer() == answer()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert rows(ledger) == NESTED
    balance = ledger.balance("alice")
    assert (balance.posted, balance.held) == (COST, 0)
    *_, inner, release = ledger.entries("alice")
    assert (release.tags, release.hold_id) == ({"counted_by": inner.id}, inner.hold_id - 1)
    assert f"counted by entry {inner.id}" in release.note


def test_the_warning_comes_once(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def outer():
        return ask()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            outer()
    assert [one.category for one in caught] == [MeteredTwiceWarning]


@once
@pytest.mark.parametrize("returned", ["a text", None, {"model": "gpt-4o"}, [1, 2]])
def test_a_result_without_usage_leaves_it_to_the_inner_one(ledger, ask, returned):
    @metered(ledger, user="alice", amount=1)
    def outer():
        ask()
        return returned

    assert outer() == returned
    assert rows(ledger) == NESTED


@once
def test_the_sum_of_the_inner_ones_is_theirs(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def agent(total):
        ask()
        ask("gpt-4o-mini")
        ask()
        return total

    agent(answer(24, 15))
    assert rows(ledger).count("settle") == 3
    agent(answer(16, 10))  # of the two of its model
    assert rows(ledger).count("settle") == 6
    assert rows(ledger)[-1] == "release"
    agent(answer(24, 16))
    assert rows(ledger)[-1] == "settle"
    agent(answer(24, 15, "claude-haiku-4-5"))  # of none of these models
    assert posted(ledger)[-1] == Decimal("0.000099")


def test_another_usage_or_an_amount_is_owed_as_well(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def outer():
        ask()
        return answer(9, 5)

    outer()
    assert rows(ledger) == BOTH
    with ledger.hold("alice", 1) as hold:
        ask()
        entry = hold.settle(COST)
    assert (entry.kind, entry.cost) == ("settle", COST)
    with ledger.hold("alice", 1, model="gpt-4o-mini") as hold:
        ask()
        assert hold.settle(Usage(8, 5)).kind == "settle"
    assert rows(ledger)[-1] == "settle"


@once
def test_settling_in_the_block_returns_the_inner_entry(ledger, ask):
    with ledger.hold("alice", 1) as hold:
        response = ask()
        entry = hold.settle(response)
        assert entry.cost == COST
        assert entry == [one for one in ledger.entries("alice") if one.kind == "settle"][-1]
        assert hold.closed_by.kind == "release"
        with pytest.raises(HoldAlreadyClosed) as second:
            hold.settle("0.5")
        assert second.value.entry == entry
    for states in ({"paid": Usage(8, 5)}, {"paid": {"text": "no response"}}, {}):
        with ledger.hold("alice", 1) as hold:
            ask()
            assert hold.settle(**states).kind == "settle"
            assert hold.closed_by.kind == "release"
    assert rows(ledger) == NESTED * 4


def test_leaving_without_a_settle_releases_as_ever(ledger, ask):
    with ledger.hold("alice", 1) as hold:
        ask()
    assert rows(ledger) == NESTED
    assert hold.closed_by.note is None


def test_other_accounts_and_other_ledgers_are_owed_each(ledger, ask, opened):
    ledger.set_budget("bob", 1)
    with ledger.hold("bob", "0.5") as hold:
        assert hold.settle(ask()).account == "bob"
    other = opened(project="other")
    other.set_budget("alice", 1)
    with other.hold("alice", "0.5") as hold:
        assert hold.settle(ask()).project == "other"
    with Ledger(":memory:") as memory:
        memory.set_budget("alice", 1)
        with memory.hold("alice", "0.5") as hold:
            hold.settle(ask())
        assert posted(memory) == [COST]
    assert (posted(ledger), posted(ledger, "bob"), posted(other)) == ([COST] * 3, [COST], [COST])


@once
def test_another_object_for_the_same_ledger_is_the_same(ledger, ask, database, clock):
    with Ledger(database.target, clock=clock) as same, same.hold("alice", 1) as hold:
        hold.settle(ask())
    assert rows(ledger) == NESTED


def test_holds_taken_plainly_do_not_nest(ledger, ask):
    hold = ledger.hold("alice", 1)
    hold.settle(ask())
    assert rows(ledger) == BOTH
    with ledger.hold("alice", 1) as outer:
        inner = ledger.hold("alice", 1)
        inner.settle(answer())
        assert outer.settle(answer()).kind == "settle"
    assert rows(ledger) == BOTH * 2


@once
def test_three_levels(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def middle():
        return ask()

    with ledger.hold("alice", 1) as hold:
        entry = hold.settle(middle())
    assert entry.cost == COST
    assert posted(ledger) == [COST]
    assert rows(ledger)[-2:] == ["release", "release"]


def test_an_outer_call_that_fails_releases(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def outer():
        ask()
        return {"error": {"message": "overloaded", "type": "overloaded_error"}}

    outer()
    assert rows(ledger) == NESTED


def test_an_inner_call_that_fails_leaves_the_cost_to_the_outer(ledger):
    @metered(ledger, user="alice", amount=1)
    def failing():
        raise RuntimeError

    with ledger.hold("alice", 1) as hold:
        with pytest.raises(RuntimeError):
            failing()
        assert hold.settle(answer()).cost == COST


@once
def test_a_key_of_as_user_is_for_the_outer_call(ledger, ask):
    @metered(ledger, amount=1)
    def outer():
        return ask()

    with ledger.as_user("alice", key="job"):
        outer()
        with pytest.raises(HoldAlreadyClosed):
            outer()
    assert rows(ledger) == NESTED


@once
def test_a_hold_with_a_key_of_its_own_leaves_that_of_as_user_to_the_call(ledger, ask):
    with ledger.as_user("alice", key="job"), ledger.hold("alice", 1, key="own"):
        ask()
    keys = [entry.idempotency_key for entry in ledger.entries("alice") if entry.kind == "hold"]
    assert keys == ["own", "job"]


# -- later ----------------------------------------------------------------------------------------


@once
def test_a_settle_after_it_does_not_post_twice(ledger, ask):
    with ledger.hold("alice", 1) as hold:
        entry = hold.settle(ask())
    again = Hold(ledger._journal, granted_of(hold), None)  # as another process has it
    for paid in (answer(), "0.5"):
        with pytest.raises(HoldAlreadyClosed, match=f"entry {entry.id} counts its call") as caught:
            again.settle(paid)
        assert caught.value.entry == entry
    released = ledger.hold("alice", 1)
    released.release(reason=f"counted by entry {entry.id}")  # in words only
    assert released.settle("0.5").cost == Decimal("0.5")


@once
def test_a_release_that_the_store_refuses_can_be_retried(ledger, ask, monkeypatch):
    from budgetledger.errors import StoreFull

    with ledger.hold("alice", 1) as hold:
        response = ask()
        write = ledger._journal.store.write

        def fail(operation):
            raise StoreFull("no room; make some", target=ledger.path)

        monkeypatch.setattr(ledger._journal.store, "write", fail)
        with pytest.raises(StoreFull):
            hold.settle(response)
        monkeypatch.setattr(ledger._journal.store, "write", write)
        assert hold.settle().cost == COST
    assert rows(ledger) == NESTED


@once
def test_after_the_deadline_the_inner_entry_counts_too(ledger, ask, clock):
    with ledger.hold("alice", 1, expires_in=60) as hold:
        response = ask()
        clock.advance(minutes=5)
        assert hold.settle(response).cost == COST
    assert posted(ledger) == [COST]
    assert ledger.balance("alice").held == 0


# -- how it is carried ----------------------------------------------------------------------------


@once
def test_wrapped_clients_nest(ledger, provider):
    client = wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), ledger, "alice")
    call = {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 50}

    @metered(ledger, user="alice")
    def outer(model, messages, max_tokens, stream=False):
        return client.chat.completions.create(
            model=model, messages=messages, max_tokens=max_tokens, stream=stream
        )

    outer(**call)
    assert rows(ledger) == NESTED
    assert list(outer(**call, stream=True))
    assert rows(ledger) == NESTED * 2
    with ledger.hold("alice", model="gpt-4o", messages=MESSAGES, max_output_tokens=50) as hold:
        for _ in hold.stream(client.chat.completions.create(**call, stream=True)):
            pass
    assert rows(ledger) == NESTED * 3
    assert len(set(posted(ledger))) == 1


@once
def test_a_generator_is_a_scope_and_its_reader_is_not(ledger, ask):
    @metered(ledger, user="alice", amount=1)
    def outer():
        ask()
        yield "a"
        yield "b"

    for _ in outer():
        ask()
    # Two calls of the reader are no part of it, and it states nothing of its own.
    assert rows(ledger).count("settle") == 3
    assert rows(ledger)[-1] == "release"

    @metered(ledger, user="alice", amount=1)
    async def async_outer():
        await asyncio.to_thread(ask)
        yield "a"

    async def main():
        async for _ in async_outer():
            ask()

    asyncio.run(main())
    assert rows(ledger).count("settle") == 5
    assert rows(ledger)[-1] == "release"


TEXT = {"choices": [{"index": 0, "delta": {"content": "Once upon a time"}}]}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini"])
def test_the_reader_of_a_stream_in_a_block_is_outside(ledger, ask, model):
    def chat():
        with ledger.hold("alice", model="gpt-4o", messages=MESSAGES) as hold:
            yield from hold.stream(iter([TEXT | {"model": "gpt-4o"}] * 2))

    for _ in chat():
        ask(model)
    assert rows(ledger).count("settle") == 3  # the text that came is owed

    async def achat():
        async def chunks():
            yield TEXT | {"model": "gpt-4o"}

        async with AsyncLedger(ledger).hold("alice", model="gpt-4o", messages=MESSAGES) as hold:
            async for chunk in hold.stream(chunks()):
                yield chunk

    async def main():
        async for _ in achat():
            ask(model)

    asyncio.run(main())
    assert rows(ledger).count("settle") == 5
    assert "release" not in rows(ledger)


def test_a_text_of_another_model_than_those_inside_is_owed(ledger, ask):
    with ledger.hold("alice", model="gpt-4o", messages=MESSAGES) as hold:
        ask("gpt-4o-mini")
        list(hold.stream([TEXT]))
    assert rows(ledger) == BOTH


@once
def test_tasks_and_threads_are_inside(ledger, ask):
    async def main():
        async with AsyncLedger(ledger).hold("alice", 1) as hold:
            await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(5)))
            entry = await hold.settle(answer(40, 25))
            assert entry.cost == COST
        async with AsyncLedger(ledger).hold("alice", 1) as hold:
            pass
        ask()
        assert (await hold.settle(answer())).kind == "settle"  # the block had ended

    asyncio.run(main())
    assert posted(ledger) == [COST] * 7
    assert not ledger.holds("alice")


@once
def test_many_at_once_do_not_mix(ledger, ask):
    @metered(ledger, user="alice", amount="0.01")
    def outer(extra):
        ask()
        return answer(8 + extra, 5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(outer, [0, 1] * 20))
    kinds = rows(ledger)
    assert (kinds.count("settle"), kinds.count("release")) == (60, 20)


def test_a_thread_of_ones_own_is_outside(ledger, ask):
    with ledger.hold("alice", 1) as hold:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert hold.settle(answer()).kind == "settle"
    assert rows(ledger) == BOTH


@once
def test_a_metered_coroutine(ledger):
    shared = AsyncLedger(ledger)

    @metered(shared, user="alice")
    async def ask(model, messages, max_tokens):
        return answer(model=model)

    @metered(shared, user="alice", amount=1)
    async def outer():
        return await asyncio.create_task(ask("gpt-4o", MESSAGES, max_tokens=50))

    @metered(shared, user="alice", amount=1)
    def returns_a_coroutine():
        return outer()

    asyncio.run(outer())
    assert rows(ledger) == NESTED
    asyncio.run(returns_a_coroutine())
    assert posted(ledger) == [COST] * 2


# -- refused by one's own hold --------------------------------------------------------------------


def test_a_refusal_by_ones_own_hold_says_so(ledger, ask):
    with ledger.hold("alice", 10) as hold:
        with pytest.raises(BudgetExceededError, match=f"without hold {hold.id} of a call") as own:
            ask()
        assert not own.value.blocked_by_holds
    ledger.set_budget("bob", 10)
    with ledger.hold("alice", 10) as one, ledger.hold("bob", 1):
        with pytest.raises(BudgetExceededError) as own:
            ask()
        assert f"without hold {one.id} of a call" in str(own.value)
    with ledger.hold("alice", 4) as one, ledger.hold("bob", 1), ledger.hold("alice", 6) as two:
        with pytest.raises(BudgetExceededError) as own:
            ask()
        assert f"without holds {two.id}, {one.id} of calls" in str(own.value)
    other = ledger.hold("alice", 9)
    with ledger.hold("alice", 1):
        with pytest.raises(BudgetExceededError) as both:
            ask()
        assert both.value.blocked_by_holds
    other.release()
    ledger.charge("alice", cost=10)
    with ledger.hold("alice", 0), pytest.raises(BudgetExceededError) as spent:
        ask()
    assert "around" not in str(spent.value)
    assert not spent.value.blocked_by_holds


def test_a_hold_of_another_ledger_is_not_ones_own(ledger, ask):
    plain = ledger.hold("alice", 10)
    with Ledger(":memory:") as other:
        other.set_budget("alice", 10)
        with other.hold("alice", 1) as hold, pytest.raises(BudgetExceededError) as caught:
            ask()
    assert hold.id == plain.id
    assert "around" not in str(caught.value)
    assert caught.value.blocked_by_holds


def test_so_does_that_of_a_call_without_an_estimate(ledger):
    @metered(ledger, user="alice")
    def inner():
        raise AssertionError

    @metered(ledger, user="alice")
    def outer():
        with pytest.raises(UnpricedModel, match="around this one") as caught:
            inner()
        assert not caught.value.blocked_by_holds
        return answer()

    outer()


@once
def test_a_stream_left_early_is_counted_by_the_inner_one(ledger, provider):
    client = wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), ledger, "alice")
    with ledger.hold("alice", model="gpt-4o", messages=MESSAGES, max_output_tokens=50) as hold:
        chunks = client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, max_tokens=50, stream=True
        )
        passing = hold.stream(chunks)
        while not next(passing).choices[0].delta.content:
            pass
    assert rows(ledger) == NESTED
