"""The line of holds that wait: order, overtaking, and what is not tried in vain. Pure."""

import random

from budgetledger.journal.holds.waiting_line import MOST_OVERTAKEN, Line, Room, Waiter

ALICE, TEAM, BOB = (1, "usd"), (2, "usd"), (3, "usd")


def waiter(line, requested, *keys, available=0, at_most=100):
    one = Waiter()
    one.applies = frozenset(keys)
    one.room = {key: Room(requested, available, at_most) for key in keys}
    line.join(one)
    return one


def test_the_first_is_decided_first_and_equal_needs_are_not_tried_in_vain():
    line = Line()
    first, second, third = (waiter(line, 5, ALICE) for _ in range(3))
    assert line.next(set(), {}) is first
    line.granted(first)
    assert line.next(set(), {}) is second
    assert line.next({second}, {ALICE: Room(5, 4, 100)}) is None
    assert line.next({second}, {ALICE: Room(5, 5, 100)}) is third
    assert (list(line), len(line)) == ([second, third], 2)


def test_a_smaller_hold_overtakes_eight_times():
    line = Line()
    large = waiter(line, 9, ALICE)
    small = [waiter(line, 1, ALICE) for _ in range(MOST_OVERTAKEN + 1)]
    for one in small[:MOST_OVERTAKEN]:
        assert line.next({large}, {ALICE: Room(9, 1, 100)}) is one
        line.granted(one)
    assert large.overtaken == MOST_OVERTAKEN
    assert line.next({large}, {ALICE: Room(9, 1, 100)}) is None
    line.granted(large)
    assert line.next(set(), {}) is small[-1]


def test_holds_that_wait_for_other_budgets_are_not_in_the_way():
    line = Line()
    stuck = waiter(line, 9, TEAM)
    stuck.applies = frozenset([ALICE, TEAM])
    stuck.overtaken = MOST_OVERTAKEN
    others = [waiter(line, 1, ALICE), waiter(line, 1, BOB)]
    assert [line.next({stuck, *others[:n]}, {}) for n in range(2)] == others
    line.granted(others[0])
    assert stuck.overtaken == MOST_OVERTAKEN  # it does not wait for ALICE
    assert line.awaited([ALICE, TEAM, BOB]) == {TEAM, BOB}
    line.refused(stuck, {ALICE: Room(9, 0, 100)})
    assert (line.awaited([ALICE, TEAM]), line.budgets()) == ({ALICE}, {ALICE, BOB})
    line.leave(stuck)
    line.leave(others[1])
    assert (line.awaited([ALICE, TEAM, BOB]), line.budgets()) == (set(), set())


def test_what_can_never_fit_is_decided_all_the_same():
    line = Line()
    first, hopeless = waiter(line, 5, ALICE), waiter(line, 9, ALICE)
    assert line.next({first}, {ALICE: Room(5, 1, 8)}) is hopeless


def test_nobody_is_overtaken_more_often_and_all_are_served():
    seed = random.Random(7)
    for _ in range(30):
        line, free, held, served = Line(), 10, [], 0
        waiters = [waiter(line, seed.randint(1, 10), ALICE, at_most=10) for _ in range(60)]
        while len(line):
            tried, room = set(), {}
            while (one := line.next(tried, room)) is not None:
                tried.add(one)
                requested = one.room[ALICE].requested
                if requested <= free:
                    free -= requested
                    held.append(requested)
                    line.granted(one)
                    served += 1
                else:
                    room[ALICE] = Room(requested, free, 10)
            free += held.pop(seed.randrange(len(held)))
        assert served == 60
        assert max(one.overtaken for one in waiters) <= MOST_OVERTAKEN
