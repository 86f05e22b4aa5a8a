"""The ledger awaited: the same answers, and nothing lost however a task ends."""

import asyncio
import inspect
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from samples import HELLO, RESPONSE, RESPONSE_COST, START

from budgetledger import AsyncLedger, Ledger, Usage, aio
from budgetledger.aio import AsyncHold
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    HoldAlreadyClosed,
    InvalidInput,
    StoreClosed,
    StoreFull,
    UnknownAccount,
    UnpricedWarning,
    UnreadableResponse,
    UnrecordedWarning,
)
from budgetledger.holds import Hold
from budgetledger.journal import drafts as _charging
from budgetledger.journal import holding as _holding
from budgetledger.journal.drafts import HoldRequest
from budgetledger.storage.process_lock import ProcessLock
from budgetledger.verbs import hold_requests

SOON = 120  # seconds; only what hangs comes near it


def run(main):
    """What the coroutine *main* returns; it must end in time."""
    return asyncio.run(asyncio.wait_for(main, SOON))


@pytest.fixture
def shared(ledger):
    """The same, awaited."""
    return AsyncLedger(ledger)


def kinds(ledger):
    """The rows of alice's journal, after her budget."""
    return [entry.kind for entry in ledger.entries("alice")][1:]


def stand(ledger, account="alice"):
    balance = ledger.balance(account)
    return balance.posted, balance.held, balance.available


# -- the same methods ---------------------------------------------------------------------------

LEFT_OUT = {"session"}  # it is used in a thread, for as long as the caller likes


def public(kind):
    return {name: f for name, f in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize(("plain", "awaited"), [(Ledger, AsyncLedger), (Hold, AsyncHold)])
def test_every_method_is_there_with_the_same_parameters(plain, awaited):
    methods = public(plain)
    assert set(methods) - set(public(awaited)) == LEFT_OUT & set(methods)
    for name in set(methods) - LEFT_OUT:
        there = inspect.signature(getattr(awaited, name)).parameters.values()
        here = inspect.signature(methods[name]).parameters.values()
        assert [(p.name, p.kind, p.default) for p in there] == [
            (p.name, p.kind, p.default) for p in here
        ], name
        assert getattr(awaited, name).__doc__, name


def test_every_method_gives_what_the_ledgers_own_gives(ledger, shared, tmp_path):
    async def use():
        budget = await shared.set_budget("bob", 5, per="day", alert_at=(0.5, 1))
        assert await shared.budgets("bob") == [budget] == ledger.budgets("bob")
        await shared.set_parent("bob", "alice")
        entry = await shared.charge("bob", RESPONSE, tags={"feature": "search"}, key="k")
        assert await shared.charge("bob", RESPONSE, tags={"feature": "search"}, key="k") == entry
        assert (entry.cost, entry.tags) == (RESPONSE_COST, {"feature": "search"})
        await shared.charge("bob", cost="3", model="m")
        corrected = await shared.adjust(entry, "-0.0045", reason="credit")
        assert corrected.corrects_id == entry.id
        assert await shared.balance("bob") == ledger.balance("bob")
        assert (await shared.balance("alice")).posted == 3
        assert await shared.model_costs("bob") == ledger.model_costs("bob")
        assert await shared.accounts() == ledger.accounts()
        assert [alert.threshold for alert in await shared.alerts("bob")] == [Decimal("0.5")]
        assert [e async for e in shared.entries("bob")] == list(ledger.entries("bob"))
        assert await shared.can_afford("bob", 2)
        assert not await shared.can_afford("bob", 3)
        await shared.freeze("bob", reason="audit")
        with pytest.raises(AccountFrozen, match="audit"):
            await shared.hold("bob", 1)
        await shared.unfreeze("bob")
        hold = await shared.hold("bob", 1)
        assert [found.id for found in await shared.holds("alice")] == [hold.id]
        assert all(isinstance(found, AsyncHold) for found in await shared.holds("alice"))
        await shared.shift_window("bob", reason="goodwill")
        await shared.remove_budget("bob", "usd/day")
        assert await shared.budgets("bob") == []
        assert (await shared.verify()).ok
        await shared.backup(tmp_path / "copy.db")
        with Ledger(tmp_path / "copy.db") as copied:
            assert list(copied.entries("bob")) == list(ledger.entries("bob"))

    run(use())


def test_it_opens_a_file_and_closes_it(tmp_path, clock):
    async def use():
        path = tmp_path / "spend.db"
        async with AsyncLedger(path, project="app", clock=clock) as opened:
            await opened.set_budget("alice", 1)
            assert repr(opened) == f"AsyncLedger({str(path)!r}, project='app')"
        with pytest.raises(StoreClosed):
            await opened.charge("alice", cost=1)
        await opened.close()

    run(use())


def test_a_ledger_that_is_open_keeps_its_options(ledger):
    with pytest.raises(InvalidInput, match="options already"):
        AsyncLedger(ledger, project="other")
    with pytest.raises(TypeError, match="colour"):
        AsyncLedger(ledger.path, colour="red")


def test_the_entries_of_many_pages(opened):
    with opened(project="many") as many:
        for _ in range(1001):
            many.charge("alice", cost="0.01", model="m") if _ else many.set_budget("alice", 99)
        shared, plain = AsyncLedger(many), list(many.entries())

        async def read():
            assert [entry async for entry in shared.entries()] == plain
            async for entry in shared.entries("alice"):
                assert entry == plain[0]
                break
            since = START + timedelta(seconds=1)
            assert [entry async for entry in shared.entries(since=since)] == []
            with pytest.raises(UnknownAccount):
                await anext(shared.entries("nobody"))

        run(read())


# -- taking a hold ------------------------------------------------------------------------------


def test_a_hold_is_awaited_entered_or_made_a_task(ledger, shared):
    async def take():
        hold = await shared.hold("alice", 1)
        async with shared.hold("alice", 2) as entered:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(shared.hold("alice", 3))
            both = await asyncio.gather(shared.hold("alice", "0.5"), shared.hold("alice", "0.5"))
            assert sorted(h.amount for h in ledger.holds("alice")) == [
                Decimal("0.5"), Decimal("0.5"), 1, 2, 3,
            ]  # fmt: skip
            return [hold, entered, task.result(), *both]

    assert all(type(hold) is AsyncHold for hold in run(take()))


def test_a_hold_that_nobody_awaits_is_warned_of(shared):
    with pytest.warns(RuntimeWarning, match="never awaited"):
        shared.hold("alice", 1)


def test_a_hold_is_taken_once(ledger, shared):
    async def twice():
        holding = shared.hold("alice", 1)
        await holding
        with pytest.raises(RuntimeError, match="already awaited"):
            await holding

    run(twice())
    assert kinds(ledger) == ["hold"]


def test_a_hold_is_estimated_from_the_prompt(shared):
    async def take():
        hold = await shared.hold("alice", **HELLO, max_output_tokens=100)
        assert (hold.amount, hold.tokens, hold.bounded) == (Decimal("0.00102"), 108, True)
        assert not (await shared.hold("alice", **HELLO)).bounded

    run(take())


def test_a_refusal(ledger, shared):
    async def refused():
        with pytest.raises(BudgetExceededError) as caught:
            await shared.hold("alice", **HELLO, max_output_tokens=2_000_000)
        assert (caught.value.available, caught.value.largest_output) == (10, 999_998)
        with pytest.raises(BudgetExceededError):
            async with shared.hold("alice", "10.01"):
                pytest.fail("it is entered")
        with pytest.raises(UnknownAccount):
            await shared.hold("nobody", 1)
        with pytest.raises(InvalidInput):
            await shared.hold("alice")

    run(refused())
    assert kinds(ledger) == []


def test_a_ledger_that_does_not_enforce(opened):
    watching = opened(enforce=False)
    watching.set_budget("alice", 1)

    async def take():
        async with AsyncLedger(watching).hold("alice", **HELLO, max_output_tokens=200_000) as hold:
            assert hold.refusal.largest_output == 99_998

    run(take())


# -- closing it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        (("0.25",), Decimal("0.25")),
        ((Decimal("0.25"),), Decimal("0.25")),
        ((RESPONSE,), RESPONSE_COST),
        ((Usage(1000, 200),), RESPONSE_COST),
    ],
    ids=["text", "decimal", "response", "usage"],
)
def test_settled_inside(ledger, shared, given, cost):
    async def settle():
        async with shared.hold("alice", 1, model="gpt-4o", tags={"a": 1}) as hold:
            entry = await hold.settle(*given)
        assert hold.closed_by == entry
        assert (entry.kind, entry.cost, entry.tags) == ("settle", cost, {"a": 1})

    run(settle())
    assert stand(ledger) == (cost, 0, 10 - cost)


class Odd(BaseException): ...


@pytest.mark.parametrize("error", [None, LookupError, Odd])
def test_leaving_without_a_settle_releases(ledger, shared, error):
    async def leave():
        with suppress(LookupError, Odd):
            async with shared.hold("alice", 1) as hold:
                if error:
                    raise error
        assert hold.closed_by.kind == "release"

    run(leave())
    assert stand(ledger) == (0, 0, 10)


def test_a_response_that_cannot_be_read_is_not_released(ledger, shared):
    async def settle():
        with pytest.warns(UnrecordedWarning, match="settle it with the cost"):  # noqa: PT031
            async with shared.hold("alice", 1) as hold:
                with pytest.raises(UnreadableResponse):
                    await hold.settle({"nothing": "readable"})
        assert stand(ledger) == (0, 1, 9)
        await hold.settle("0.5")

    run(settle())
    assert stand(ledger) == (Decimal("0.5"), 0, Decimal("9.5"))


def test_steps_of_a_hold(ledger, shared, clock):
    async def step():
        hold = await shared.hold("alice", 1, expires_in=60)
        assert (
            await hold.extend(timedelta(hours=1)) == hold.expires_at == START + timedelta(0, 3600)
        )
        entry = await hold.release(reason="not needed")
        assert (entry.note, hold.closed_by) == ("not needed", entry)
        for late in (hold.release, lambda: hold.extend(60)):
            with pytest.raises(HoldAlreadyClosed) as caught:
                await late()
            assert caught.value.entry == entry
        settled = await hold.settle("0.25")
        with pytest.raises(HoldAlreadyClosed) as caught:
            await hold.settle("0.25")
        assert caught.value.entry == hold.closed_by == settled

    run(step())
    assert stand(ledger) == (Decimal("0.25"), 0, Decimal("9.75"))


def test_an_unknown_price_is_warned_of(shared):
    async def settle():
        with pytest.warns(UnpricedWarning):
            await (await shared.hold("alice", 1)).settle(RESPONSE | {"model": "nobody-prices-it"})

    run(settle())


@pytest.fixture
def store_fails(ledger, monkeypatch):
    """Lets the store refuse every write, until called again with False."""

    async def refused(operation, on_result=None):
        raise StoreFull("no room; make some", target=ledger.path)

    def failing(fails=True):
        if fails:
            monkeypatch.setattr(ledger._journal.store, "awrite", refused)
        else:
            monkeypatch.undo()

    return failing


def test_what_the_store_did_not_take_is_settled_on_leaving(ledger, shared, store_fails):
    async def settle():
        async with shared.hold("alice", 1) as hold:
            store_fails()
            with pytest.raises(StoreFull):
                await hold.settle("0.25")
            store_fails(False)
        assert hold.closed_by.cost == Decimal("0.25")

    run(settle())
    assert kinds(ledger) == ["hold", "settle"]


def test_a_cost_that_is_lost_on_leaving_is_raised_or_warned_of(ledger, shared, store_fails):
    async def lose(error=None):
        try:
            async with shared.hold("alice", 1) as hold:
                store_fails()
                with suppress(StoreFull):
                    await hold.settle("0.25")
                if error:
                    raise error
        finally:
            store_fails(False)
            await hold.settle()

    with pytest.raises(StoreFull):
        run(lose())
    with (
        pytest.warns(UnrecordedWarning, match=r"call settle\(\) again"),
        pytest.raises(LookupError),
    ):
        run(lose(LookupError()))
    assert kinds(ledger) == ["hold", "settle"] * 2


def test_a_release_that_fails_is_warned_of(ledger, shared, store_fails):
    async def leave():
        async with shared.hold("alice", 1):
            store_fails()

    with pytest.warns(UnrecordedWarning, match=r"call release\(\) again"):
        run(leave())


# -- cancelling ---------------------------------------------------------------------------------


async def until(condition):
    for _ in range(SOON * 1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never comes to pass")


def queued(ledger):
    return len(ledger._journal.store._writer._queue)


async def hold_up(ledger, *coroutines):
    """Tasks of *coroutines*, once what they write is queued; the caller has the turn."""
    waiting = queued(ledger)
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await until(lambda: queued(ledger) == waiting + len(tasks))
    return tasks


async def cancelled(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=SOON)
    assert all(task.cancelled() for task in tasks)


def await_rows(ledger, count):
    """Stop the loop's thread until alice has *count* rows: her tasks cannot have been told."""
    statement = "SELECT count(*) FROM entries"
    for _ in range(SOON * 1000):
        if ledger._journal.store.read(lambda execute: execute(statement).fetchone()) == (count,):
            return
        time.sleep(0.001)
    pytest.fail("it is never written")


def test_a_hold_cancelled_before_it_is_written_leaves_no_row(ledger, shared):
    async def cancel():
        with ledger._journal.store._writer.turn:
            first, second = await hold_up(
                ledger, shared.hold("alice", 10), shared.hold("alice", 10)
            )
            await cancelled(first)
        hold = await second  # not refused for what nobody wants
        assert hold.amount == 10

    run(cancel())
    assert kinds(ledger) == ["hold"]


@pytest.mark.parametrize("told", [False, True])
def test_a_hold_cancelled_once_it_is_written_is_given_back(ledger, shared, told):
    async def cancel():
        with ledger._journal.store._writer.turn:
            (task,) = await hold_up(ledger, shared.hold("alice", 10))
        await_rows(ledger, 2)
        if told:
            asyncio.get_running_loop().call_soon(task.cancel)  # after telling, before it goes on
            await asyncio.wait([task], timeout=SOON)
            assert task.cancelled()
        else:
            await cancelled(task)
        assert (await shared.hold("alice", 10)).amount == 10  # what comes next has the money

    run(cancel())
    assert kinds(ledger) == ["hold", "release", "hold"]


def test_a_hold_cancelled_amid_its_transaction_is_given_back(ledger, shared, monkeypatch):
    within, go_on, append = threading.Event(), threading.Event(), _holding.append

    def slowly(*arguments):
        within.set()
        assert go_on.wait(SOON)
        return append(*arguments)

    monkeypatch.setattr(_holding, "append", slowly)

    async def cancel():
        task = asyncio.create_task(shared.hold("alice", 10))
        await until(within.is_set)
        await cancelled(task)
        go_on.set()
        assert await shared.hold("alice", 10)

    run(cancel())
    assert kinds(ledger) == ["hold", "release", "hold"]


def test_what_was_undone_after_all_is_not_given_back(ledger):
    """Its number is another's by then."""
    prepared = hold_requests.prepare(ledger._journal, HoldRequest(1))
    claim = aio._Claim(hold_requests.taking(ledger._journal, "alice", prepared, 60))

    def fail(tx):
        claim.take(tx)
        raise LookupError

    with pytest.raises(LookupError):
        ledger._journal.write(fail)
    other = ledger.hold("alice", 2)
    ledger._journal.write(claim.give_back)
    assert [hold.id for hold in ledger.holds("alice")] == [other.id] == [claim._granted.entry.id]


@pytest.mark.parametrize("written", [False, True])
def test_a_cancelled_hold_with_a_key_is_there_for_the_retry(ledger, shared, written):
    async def retry():
        with ledger._journal.store._writer.turn:
            (task,) = await hold_up(ledger, shared.hold("alice", 1, key="k"))
            if not written:
                await cancelled(task)
        if written:
            await_rows(ledger, 2)
            await cancelled(task)
        async with shared.hold("alice", 1, key="k") as hold:
            await hold.settle("0.5")

    run(retry())
    assert kinds(ledger) == ["hold", "settle"]


@pytest.mark.parametrize("arguments", [{"amount": 1}, HELLO], ids=["amount", "prompt"])
def test_a_timeout_around_a_hold(ledger, shared, arguments):
    async def wait():
        with ledger._journal.store._writer.turn, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await shared.hold("alice", **arguments)
        await shared.charge("alice", cost=1)  # behind it in the queue

    run(wait())
    assert stand(ledger) == (1, 0, 9)


@pytest.mark.parametrize("paid", [RESPONSE_COST, RESPONSE], ids=["amount", "response"])
@pytest.mark.parametrize("within", [False, True])
def test_a_timeout_around_a_settle_records_it_once(ledger, shared, within, paid):
    async def settle(hold):
        with ledger._journal.store._writer.turn:
            async with asyncio.timeout(0.01):
                await hold.settle(paid)

    async def settle_within(hold):
        async with hold:
            await settle(hold)

    async def time_out():
        hold = await shared.hold("alice", 1)
        with pytest.raises(TimeoutError):
            await (settle_within(hold) if within else settle(hold))
        with pytest.raises(HoldAlreadyClosed) as caught:
            await hold.settle(paid)
        assert caught.value.entry == hold.closed_by
        assert hold.closed_by.kind == "settle"

    ledger.charge("alice", RESPONSE)  # loads the prices
    run(time_out())
    assert kinds(ledger) == ["charge", "hold", "settle"]
    assert ledger.balance("alice").posted == 2 * RESPONSE_COST


@pytest.mark.parametrize("step", ["settle", "release"])
def test_a_task_cancelled_twice_closes_its_hold(ledger, shared, step):
    async def cancel():
        go_on = asyncio.Event()

        async def pay():
            async with shared.hold("alice", 1) as hold:
                await go_on.wait()
                await (hold.settle("0.25") if step == "settle" else asyncio.sleep(SOON))

        task = asyncio.create_task(pay())
        await until(lambda: ledger.holds("alice"))
        with ledger._journal.store._writer.turn:
            go_on.set()
            await until(lambda: queued(ledger) == (step == "settle"))
            task.cancel()  # in the body
            await until(lambda: queued(ledger) == (2 if step == "settle" else 1))
            await cancelled(task)  # and in leaving it
        await shared.charge("alice", cost=0)  # behind what is queued

    run(cancel())
    assert kinds(ledger) == ["hold", step, "charge"]


def test_one_of_a_group_fails_and_each_hold_is_closed_as_it_stood(ledger, shared):
    ready = []

    async def pay(n):
        async with shared.hold("alice", 1) as hold:
            if n % 2:
                await hold.settle("0.25")
            ready.append(n)
            if n == 3:
                await until(lambda: len(ready) == 6)
                raise LookupError
            await asyncio.sleep(SOON)

    async def together():
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(pay(n))

    with pytest.raises(ExceptionGroup) as caught:
        run(together())
    assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert stand(ledger) == (Decimal("0.75"), 0, Decimal("9.25"))
    assert sorted(kinds(ledger)) == ["hold"] * 6 + ["release"] * 3 + ["settle"] * 3


@pytest.fixture
def no_thread_is_free(monkeypatch):
    """A block within which a loop begins nothing in other threads, though it has to."""
    monkeypatch.setattr(aio, "needs_loading", lambda: True)

    @contextmanager
    def block():
        go_on, pool = threading.Event(), ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(go_on.wait, SOON)
        try:
            yield
        finally:
            go_on.set()

    return block


@pytest.mark.parametrize("within", [False, True])
def test_a_settle_cancelled_before_its_price_is_known_is_recorded(
    ledger, shared, no_thread_is_free, within
):
    async def pay(hold):
        if within:
            async with hold:
                await hold.settle(RESPONSE)
        else:
            await hold.settle(RESPONSE)

    async def cancel():
        hold = await shared.hold("alice", 1)
        with no_thread_is_free():
            task = asyncio.create_task(pay(hold))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task], timeout=SOON)
        assert task.cancelled()
        await shared.charge("alice", cost=0)  # behind what is queued

    run(cancel())
    assert kinds(ledger) == ["hold", "settle", "charge"]
    assert ledger.balance("alice").posted == RESPONSE_COST


def test_a_charge_cancelled_before_its_price_is_known_is_recorded(
    ledger, shared, no_thread_is_free
):
    async def cancel():
        with no_thread_is_free():
            charging = [RESPONSE, {"nothing": "readable"}]
            tasks = [asyncio.create_task(shared.charge("alice", paid)) for paid in charging]
            await asyncio.sleep(0)
            await cancelled(*tasks)
            await shared.charge("alice", cost=0)  # behind what is queued

    run(cancel())
    assert kinds(ledger) == ["charge", "charge"]
    assert ledger.balance("alice").posted == RESPONSE_COST


# -- streams ------------------------------------------------------------------------------------


def said(text):
    return {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": text}}]}


CHUNKS = [
    said("Hello"),
    said(" world"),
    {"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"model": "gpt-4o", "choices": [], "usage": RESPONSE["usage"]},
]
HELD = HELLO | {"max_output_tokens": 1000}
LEFT_EARLY = Decimal("0.00003")  # the prompt, and one token of the answer


class Source:
    """A stream as the clients have it, which notes that it was closed."""

    def __init__(self, *chunks, fails=None, hangs=False, on_close=None):
        self.chunks, self.fails, self.hangs, self.on_close = chunks, fails, hangs, on_close
        self.closed = 0

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        if self.hangs:
            await asyncio.sleep(SOON)
        if self.fails:
            raise self.fails

    async def close(self):
        self.closed += 1
        await asyncio.sleep(0)
        if self.on_close:
            raise self.on_close


class GeneratorLike(Source):
    close = None

    async def aclose(self):
        await Source.close(self)


class ClosedAtOnce(Source):
    def close(self):
        self.closed += 1


def test_where_warnings_are_errors_a_stream_without_a_price_ends_as_it_would(ledger, shared):
    warnings.simplefilter("error")
    chunks = [chunk | {"model": "nobody-prices-it"} for chunk in CHUNKS]

    async def read():
        async with shared.hold("alice", 4) as hold:
            assert [chunk async for chunk in hold.stream(Source(*chunks))] == chunks
            assert (hold.closed_by.kind, hold.closed_by.cost) == ("settle", 4)

    run(read())


@pytest.mark.parametrize("kind", [Source, GeneratorLike, ClosedAtOnce])
def test_a_stream_is_settled_at_its_end(ledger, shared, kind):
    source = kind(*CHUNKS)

    async def read():
        async with shared.hold("alice", **HELD) as hold:
            assert [chunk async for chunk in hold.stream(source)] == CHUNKS
            assert hold.closed_by.cost == RESPONSE_COST

    run(read())
    assert source.closed == 1
    assert kinds(ledger) == ["hold", "settle"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_stream_left_early_is_settled_when_the_block_is_left(ledger, shared, kept):
    source = Source(*CHUNKS)

    async def leave():
        async with shared.hold("alice", **HELD) as hold:
            chunks = hold.stream(source)
            assert await anext(chunks) == CHUNKS[0]
            if not kept:
                del chunks
        assert (hold.closed_by.cost, source.closed) == (LEFT_EARLY, 1)
        assert hold.closed_by.note.startswith("estimated")

    run(leave())
    assert kinds(ledger) == ["hold", "settle"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_stream_left_early_without_a_block_is_settled_before_the_loop_ends(ledger, shared, kept):
    source = Source(*CHUNKS)

    async def leave():
        chunks = (await shared.hold("alice", **HELD)).stream(source)
        await anext(chunks)
        return chunks if kept else None

    asyncio.run(leave())
    assert kinds(ledger) == ["hold", "settle"]
    assert (ledger.balance("alice").posted, source.closed) == (LEFT_EARLY, 1)


def test_a_stream_never_read_is_released(ledger, shared):
    async def leave():
        async with shared.hold("alice", **HELD) as hold:
            hold.stream(Source(*CHUNKS))
        assert hold.closed_by.kind == "release"

    run(leave())


@pytest.mark.parametrize("how", ["breaks", "is cancelled"])
@pytest.mark.parametrize(
    ("chunks", "end", "cost"), [([], "release", None), (CHUNKS[:1], "settle", LEFT_EARLY)]
)
def test_a_stream_that_ends_badly(ledger, shared, how, chunks, end, cost):
    source = Source(*chunks, fails=ConnectionError(), hangs=how == "is cancelled")
    holds, received = [], []

    async def read():
        async with shared.hold("alice", **HELD) as hold:
            holds.append(hold)
            async for chunk in hold.stream(source):
                received.append(chunk)

    async def end_badly():
        if how == "breaks":
            with pytest.raises(ConnectionError):
                await read()
        else:
            task = asyncio.create_task(read())
            await until(lambda: holds and received == chunks)
            await asyncio.sleep(0)
            await cancelled(task)
        assert (holds[0].closed_by.kind, holds[0].closed_by.cost) == (end, cost)

    run(end_badly())
    assert (received, source.closed) == (chunks, 1)
    assert kinds(ledger) == ["hold", end]


@pytest.mark.parametrize("error", [OSError("gone"), Odd()])
def test_a_source_that_cannot_be_closed_still_settles(ledger, shared, error):
    async def read():
        async with shared.hold("alice", **HELD) as hold:
            async for _ in hold.stream(Source(*CHUNKS, on_close=error)):
                pass

    with pytest.raises(type(error)):
        asyncio.run(read())
    assert kinds(ledger) == ["hold", "settle"]


def test_a_source_that_cannot_be_closed_and_a_store_that_fails_once(ledger, shared, monkeypatch):
    awrite, failures = ledger._journal.store.awrite, [StoreFull("no room", target=ledger.path)]

    async def failing_once(operation, on_result=None):
        if failures:
            raise failures.pop()
        return await awrite(operation, on_result)

    async def leave():
        async with shared.hold("alice", **HELD) as hold:
            chunks = hold.stream(Source(*CHUNKS, on_close=OSError("gone")))
            await anext(chunks)
            monkeypatch.setattr(ledger._journal.store, "awrite", failing_once)

    with (
        pytest.warns(UnrecordedWarning, match=r"call settle\(\) again"),
        pytest.raises(OSError, match="gone"),
    ):
        run(leave())
    assert (kinds(ledger), failures) == (["hold", "settle"], [])


@pytest.mark.parametrize("within", [False, True])
def test_a_stream_cancelled_again_and_again_is_recorded_once(
    ledger, shared, no_thread_is_free, within
):
    async def cancel():
        received = []

        async def read():
            async for chunk in hold.stream(Source(*CHUNKS[:1], hangs=True)):
                received.append(chunk)

        async def enter():
            async with hold:
                await read()

        hold = await shared.hold("alice", **HELD)
        with no_thread_is_free():
            task = asyncio.create_task(enter() if within else read())
            await until(lambda: received)
            for _ in range(6):
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.wait([task], timeout=SOON)
        assert task.cancelled()
        await shared.charge("alice", cost=0)  # behind what is queued

    run(cancel())
    assert kinds(ledger) == ["hold", "settle", "charge"]
    assert ledger.balance("alice").posted == LEFT_EARLY


def test_settled_by_hand_within_the_stream(ledger, shared):
    async def read():
        async with shared.hold("alice", **HELD) as hold:
            async for _ in hold.stream(Source(*CHUNKS)):
                if hold.closed_by is None:
                    await hold.settle("0.25")

    run(read())
    assert kinds(ledger) == ["hold", "settle"]
    assert ledger.balance("alice").posted == Decimal("0.25")


def test_a_stream_that_another_task_reads_is_settled_when_it_ends(ledger, shared):
    async def read():
        go_on, received = asyncio.Event(), []

        async def chunks():
            for chunk in CHUNKS:
                yield chunk
                await go_on.wait()

        async def consume(stream):
            async for chunk in stream:
                received.append(chunk)

        async with shared.hold("alice", **HELD) as hold:
            task = asyncio.create_task(consume(hold.stream(chunks())))
            await until(lambda: received)
        assert hold.closed_by is None
        go_on.set()
        await task
        assert hold.closed_by.cost == RESPONSE_COST

    run(read())
    assert kinds(ledger) == ["hold", "settle"]


def test_a_store_that_fails_at_the_end_of_a_stream_is_asked_again_on_leaving(
    ledger, shared, store_fails
):
    async def read():
        async with shared.hold("alice", **HELD) as hold:
            store_fails()
            with pytest.warns(UnrecordedWarning, match=r"call settle\(\) again"):
                assert [chunk async for chunk in hold.stream(Source(*CHUNKS))] == CHUNKS
            store_fails(False)
        assert hold.closed_by.cost == RESPONSE_COST

    run(read())
    assert kinds(ledger) == ["hold", "settle"]


# -- the loop goes on ---------------------------------------------------------------------------

STEPS = {
    "hold": lambda shared, hold: shared.hold("alice", 1),
    "estimate": lambda shared, hold: shared.hold("alice", **HELLO),
    "settle": lambda shared, hold: hold.settle(RESPONSE),
    "release": lambda shared, hold: hold.release(),
    "extend": lambda shared, hold: hold.extend(60),
    "leave": lambda shared, hold: hold.__aexit__(None, None, None),
    "charge": lambda shared, hold: shared.charge("alice", RESPONSE),
    "adjust": lambda shared, hold: shared.adjust(2, 1, reason="more"),
    "set_budget": lambda shared, hold: shared.set_budget("alice", 20, per=None),
    "remove_budget": lambda shared, hold: shared.remove_budget("alice", "usd/month"),
    "shift_window": lambda shared, hold: shared.shift_window("alice"),
    "set_parent": lambda shared, hold: shared.set_parent("alice", "team"),
    "freeze": lambda shared, hold: shared.freeze("alice"),
    "backup": lambda shared, hold: shared.backup(f"{shared.ledger.path}.copy"),
    "close": lambda shared, hold: shared.close(),
}


@pytest.mark.of_a_file
@pytest.mark.parametrize("step", STEPS)
def test_the_loop_goes_on_while_another_process_writes(ledger, shared, step, monkeypatch):
    monkeypatch.setattr(
        "budgetledger.storage.process_lock.PATIENCE_SECONDS", SOON / 4
    )  # should it stop
    other = ProcessLock(f"{ledger.path}.lock")

    async def wait():
        hold = await shared.hold("alice", 1)
        other.acquire()
        task = asyncio.ensure_future(STEPS[step](shared, hold))
        for _ in range(5):
            await asyncio.sleep(0.01)
            assert not task.done()
        other.release()
        await task

    ledger.charge("alice", cost=1)
    try:
        run(wait())
    finally:
        other.release()
        other.close()


def test_no_transaction_runs_on_the_loop(opened):
    threads = set()

    def clock():
        if ledger and ledger._journal.store._files.writing.in_transaction:
            threads.add(threading.current_thread())
        return 0

    ledger = None
    ledger = opened(clock=clock)
    ledger.set_budget("alice", 10)
    shared = AsyncLedger(ledger)
    threads.clear()

    async def use():
        entry = await shared.charge("alice", cost=1)
        await shared.adjust(entry, 1, reason="more")
        await shared.set_budget("alice", 20)
        await (await shared.hold("alice", **HELLO)).release()
        async with shared.hold("alice", 1, expires_in=60) as hold:
            await hold.extend(90)
            await hold.settle(RESPONSE)

    run(use())
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("call", ["hold", "can_afford"])
def test_a_prompt_is_counted_off_the_loop(shared, monkeypatch, call):
    counting, estimate = [], _charging.estimate

    def noted(*arguments, **more):
        counting.append(threading.current_thread())
        return estimate(*arguments, **more)

    monkeypatch.setattr(_charging, "estimate", noted)

    async def use():
        await getattr(shared, call)("alice", **HELLO)

    run(use())
    assert len(counting) == 1
    assert threading.main_thread() not in counting


# -- alerts -------------------------------------------------------------------------------------


@pytest.fixture
def alerting(opened):
    """An awaited ledger that alerts when alice has used half of 10 USD, and what it told."""
    told = []

    def on_alert(alert):
        told.append((alert.state, asyncio.get_running_loop(), threading.current_thread()))

    ledger = opened(on_alert=on_alert)
    ledger.set_budget("alice", 10, alert_at=(0.5,))
    return AsyncLedger(ledger), told


@pytest.mark.parametrize("call", ["charge", "settle", "adjust", "stream"])
def test_alerts_are_told_on_the_loop(alerting, call):
    shared, told = alerting

    async def use():
        entry = await shared.charge("alice", cost=4)
        if call == "charge":
            await shared.charge("alice", cost=1)
        elif call == "adjust":
            await shared.adjust(entry, 1, reason="more")
        else:
            async with shared.hold("alice", 1, model="gpt-4o") as hold:
                if call == "settle":
                    await hold.settle(1)
                else:
                    used = {"prompt_tokens": 400_000, "completion_tokens": 0}
                    async for _ in hold.stream(Source(*CHUNKS[:-1], CHUNKS[-1] | {"usage": used})):
                        pass
        assert told == [("alert", asyncio.get_running_loop(), threading.main_thread())]
        told.clear()
        await shared.set_budget("alice", 100, alert_at=(0.5,))
        assert told == [("resolve", asyncio.get_running_loop(), threading.main_thread())]

    run(use())


def test_an_alert_of_a_cancelled_task_is_told(alerting):
    shared, told = alerting

    async def cancel():
        with shared.ledger._journal.store._writer.turn:
            (task,) = await hold_up(shared.ledger, shared.charge("alice", cost=5))
            await cancelled(task)
        await shared.charge("alice", cost=0)
        assert len(await shared.alerts("alice")) == 1
        assert len(told) == 1

    run(cancel())


def test_an_on_alert_that_fails_costs_nothing(opened, caplog):
    def on_alert(alert):
        raise LookupError("mine")

    ledger = opened(on_alert=on_alert)
    ledger.set_budget("alice", 10, alert_at=(0.5,))
    shared = AsyncLedger(ledger)

    async def use():
        entry = await shared.charge("alice", cost=5)
        await shared.set_budget("alice", 100, alert_at=(0.5,))
        return entry.cost

    assert run(use()) == 5
    assert caplog.text.count("on_alert failed") == 2
