"""Who makes a call: said by the code around it."""

import asyncio
import threading

import pytest

from budgetledger import AsyncLedger, Ledger
from budgetledger.callers import NO_CALLER, Caller, current
from budgetledger.errors import InvalidInput, InvalidName


@pytest.fixture
def ledger():
    with Ledger(":memory:") as ledger:
        yield ledger


def test_the_innermost_wins_and_tags_add_up(ledger):
    with ledger.as_user("alice", tags={"a": 1, "b": 1}, key="k"):
        assert current() == Caller("alice", {"a": 1, "b": 1}, "k")
        with ledger.as_user("bob", tags={"b": 2}):
            assert current() == Caller("bob", {"a": 1, "b": 2}, None)  # a key is for one call
        assert current().user == "alice"
    assert current() == NO_CALLER


def test_it_ends_with_an_error_too(ledger):
    with pytest.raises(ZeroDivisionError), ledger.as_user("alice"):
        raise ZeroDivisionError
    assert current() == NO_CALLER


def test_tasks_and_their_threads_carry_it_apart(ledger):
    async def who(user):
        with AsyncLedger(ledger).as_user(user):
            await asyncio.sleep(0)
            mine = asyncio.create_task(asyncio.to_thread(current))
            return user == current().user == (await mine).user

    async def main():
        return await asyncio.gather(*(who(f"user-{number}") for number in range(20)))

    assert all(asyncio.run(main()))


def test_other_threads_are_nobody(ledger):
    seen = []
    with ledger.as_user("alice"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen[0] in (
        NO_CALLER,
        Caller("alice"),
    )  # threads inherit it in some builds of Python


def test_what_cannot_be_a_user_is_refused(ledger):
    for user in "", None, 5:
        with pytest.raises(InvalidName):
            ledger.as_user(user)
    with pytest.raises(InvalidName):
        ledger.as_user("alice", key="")
    entered = ledger.as_user("alice")
    with entered, pytest.raises(InvalidInput, match="again"):
        entered.__enter__()
    with pytest.raises(InvalidInput, match="as_user"):
        NO_CALLER.account()


def test_a_generator_closed_elsewhere_breaks_nothing(ledger):
    def work():
        with ledger.as_user("alice"):
            yield current().user

    async def main():
        generator = work()
        assert next(generator) == "alice"
        await asyncio.create_task(asyncio.to_thread(generator.close))

    asyncio.run(main())
