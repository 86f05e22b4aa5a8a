"""The user's own prices: which row stands, what it costs, and calls that are priced later."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetledger import AsyncLedger, Ledger, Usage
from budgetledger.errors import (
    BudgetExceededError,
    InvalidAmount,
    InvalidInput,
    UnknownAccount,
    UnpricedModel,
    UnpricedWarning,
)
from budgetledger.journal.journal import Journal
from budgetledger.journal.rows import statements as _sql
from budgetledger.prices import OwnPrice, PriceBook
from budgetledger.storage.dialect import compiled
from budgetledger.testing import FakeClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
USED = Usage(1_000_000, 100_000)
M = 1_000_000


@pytest.fixture
def clock():
    return FakeClock(NOON)


@pytest.fixture
def ledger(database, clock):
    with Ledger(database.target, clock=clock) as ledger:
        ledger.set_budget("alice", 1000)
        yield ledger
        assert ledger.verify().ok


def unpriced(ledger, **options):
    options = {"model": "my-model", "usage": USED} | options
    with pytest.warns(UnpricedWarning, match=r"set_price.*reprice"):
        return ledger.charge("alice", **options)


# -- which row stands ---------------------------------------------------------------------------

NAMES = st.sampled_from(["my-a", "my-b", "my-ab", "other", "x[1m]"])
PATTERNS = st.sampled_from(["*", "my-*", "my-?", "my-a*", "*-a", "x[1*", "??-?b", "o*r"])
ROWS = st.lists(
    st.tuples(st.booleans(), st.one_of(NAMES, PATTERNS), st.integers(0, 5), st.booleans()),
    max_size=12,
)


def expected(rows, model, at):
    """By the rule, said plainly: the row of each name that is newest by then, and the best name."""
    names = {(row.project, row.model) for row in rows}
    found = []
    for project, name in names:
        dated = [
            (row.effective_at_us, row.id, row)
            for row in rows
            if (row.project, row.model) == (project, name) and row.effective_at_us <= at
        ]
        is_pattern = any(sign in name for sign in "*?")
        fits = fnmatchcase(model, name.replace("[", "[[]")) if is_pattern else model == name
        if dated and fits and not max(dated)[2].removed:
            since, number, row = max(dated)
            found.append((project is not None, not is_pattern, len(name), since, number, row))
    return max(found, key=lambda one: one[:5])[-1] if found else None


@settings(max_examples=500)
@given(ROWS, NAMES, st.integers(0, 5))
def test_the_row_that_stands_is_the_one_the_rule_names(rows, model, at):
    rows = [
        OwnPrice(number, "p" if mine else None, name, None if removed else "{}", since, 0, None)
        for number, (mine, name, since, removed) in enumerate(rows, 1)
    ]
    book = PriceBook(rows)
    for moment in (at, 5, at):  # what is remembered of a name changes nothing
        assert book.find(f" {model.upper()} ", moment) == expected(rows, model, moment)


def test_a_long_name_and_a_wild_pattern_take_no_time():
    book = PriceBook([OwnPrice(1, None, "*a" * 12 + "*b", "{}", 0, 0, None)])
    assert book.find("a" * 500, 1) is None


def test_a_call_is_priced_by_its_own_time(ledger, clock):
    ledger.set_price("my-model", input=1, output=1, effective_at=NOON - timedelta(days=2))
    ledger.set_price("my-model", input=2, output=2, effective_at=NOON - timedelta(days=1))
    ledger.set_price("my-model", input=8, output=8, effective_at=NOON + timedelta(days=1))
    costs = [
        ledger.charge("alice", model="my-model", usage=Usage(M), occurred_at=NOON + ago).cost
        for ago in (timedelta(days=-2), timedelta(days=-1), timedelta(0), timedelta(days=1))
    ]
    assert costs == [1, 2, 2, 8]
    unpriced(ledger, occurred_at=NOON - timedelta(days=3))
    clock.advance(days=1)
    assert ledger.charge("alice", model="my-model", usage=Usage(M)).cost == 8


def test_prices_are_the_projects_or_all_projects(ledger, database, clock):
    ledger.set_price("my-*", input=1, output=0, all_projects=True)
    ledger.set_price("my-model", input=5, output=0)
    with Ledger(database.target, project="other", clock=clock) as other:
        other.set_budget("bob", 100)
        assert other.charge("bob", model="my-model", usage=Usage(M)).cost == 1
        assert [price.model for price in other.prices()] == ["my-*"]
    assert ledger.charge("alice", model="my-model", usage=Usage(M)).cost == 5
    ledger.remove_price("my-model")
    assert ledger.charge("alice", model="my-model", usage=Usage(M)).cost == 1
    with pytest.raises(UnpricedModel, match="`prices` lists"):
        ledger.remove_price("my-model")
    with pytest.raises(UnpricedModel):
        ledger.remove_price("my-*")  # is of all projects
    ledger.remove_price("my-*", all_projects=True)
    assert ledger.prices() == []
    assert [price.removed for price in ledger.prices(history=True)] == [False, False, True, True]


def test_another_processes_price_holds_at_once(ledger, database, clock):
    unpriced(ledger)
    with Ledger(database.target, clock=clock) as other:
        other.set_price("my-model", input=1, output=1)
    assert ledger.charge("alice", model="my-model", usage=USED).cost == Decimal("1.1")


def test_a_price_said_again_appends_nothing(ledger, clock):
    first = ledger.set_price("My-Model ", input="3.0", output=15.0, request=0, note="per contract")
    clock.advance(days=1)
    assert ledger.set_price("my-model", input=3, output=Decimal("15.00"), request="0") == first
    assert (first.id, first.model, first.note) == (1, "my-model", "per contract")
    assert first.rates == {"input_mtok": 3, "output_mtok": 15, "requests_kcount": 0}
    assert ledger.set_price("my-model", rates=first.rates) == first
    assert ledger.prices(history=True) == [first]
    assert ledger.prices(at=NOON - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, InvalidInput, "input=3"),
        ({"input": -1}, InvalidAmount, "input_mtok"),
        ({"input": float("nan")}, InvalidAmount, "input_mtok"),
        ({"input": "free"}, InvalidAmount, "input_mtok"),
        ({"input": True}, InvalidAmount, "input_mtok"),
        ({"input": f"0.{'1' * 50}"}, InvalidAmount, "digits"),
        ({"input": "1e-999999999"}, InvalidAmount, "digits"),
        ({"rates": {"input_mtoken": 1}}, InvalidInput, "input_mtok"),
        ({"rates": {"input_mtok_above_1k_tokens": 1}}, InvalidInput, "above_200000"),
        ({"rates": {"output_mtok_above_9_tokens": 1}}, InvalidInput, "smaller calls"),
        ({"input": 1, "effective_at": datetime(2026, 1, 1)}, InvalidInput, "zone"),
        ({"input": 1, "note": ""}, InvalidInput, "reason"),
    ],
)
def test_a_misuse_is_refused_and_leaves_nothing(ledger, options, error, says):
    with pytest.raises(error, match=says):
        ledger.set_price("my-model", **options)
    assert ledger.prices(history=True) == []


# -- what a call costs --------------------------------------------------------------------------


def response(model="my-model", litellm=None, **usage):
    told = {"model": model, "usage": {"prompt_tokens": M, "completion_tokens": 0, **usage}}
    return told if litellm is None else told | {"_hidden_params": {"response_cost": litellm}}


def test_the_users_row_comes_first_then_litellm_then_the_list(ledger):
    def charged(told, **options):
        entry = ledger.charge("alice", told, **options)
        return entry.cost, entry.price_source

    listed = response("gpt-4o")
    assert charged(listed)[1].startswith("genai-prices")
    assert charged(listed | {"_hidden_params": {"response_cost": 0.5}}) == (
        Decimal("0.5"), "litellm",
    )  # fmt: skip
    ledger.set_price("router/*", input=7)
    assert charged(response("gpt-4o", 0.5), model="router/fast") == (7, "own price 1")
    ledger.set_price("gpt-4o", input=3)
    assert charged(response("gpt-4o", 0.5), model="router/fast") == (3, "own price 2")
    entry = ledger.charge("alice", response("gpt-4o"))
    assert entry.price == {"model": "gpt-4o", "input_mtok": "3"}
    assert charged(response("gpt-4o"), cost="0.25") == (Decimal("0.25"), "given")


def test_zero_is_free_and_passes(ledger):
    ledger.set_price("local-*", input=0, output=0)
    entry = ledger.charge("alice", model="local-1", usage=USED)
    assert (entry.cost, entry.price_source) == (0, "own price 1")
    with ledger.hold("alice", model="local-1", text="hello", max_output_tokens=100) as hold:
        assert hold.amount == 0
    assert ledger.balance("alice").unpriced == 0


def test_what_has_no_rate_has_no_price(ledger):
    """Nor does another source: whose model it is says what it costs."""
    ledger.set_price("gpt-4o", input=3)
    for usage in (Usage(10, 5), Usage(10, input_audio_tokens=5), Usage(0, output_images=1)):
        entry = unpriced(ledger, model="gpt-4o", usage=usage)
        assert (entry.cost, entry.price_source, entry.price) == (None, "unpriced", {})
    assert ledger.charge("alice", model="gpt-4o", usage=Usage(10)).cost == Decimal("0.00003")


def test_a_cost_beyond_what_an_entry_holds_is_recorded_as_unpriced(ledger):
    ledger.set_price("my-model", input=10**12, output=1)
    unpriced(ledger)


CASES = [  # usage; USD, with 0.01 for the call itself
    (Usage(1000, 100), "0.0208"),
    (Usage(1000, 100, cache_read_tokens=400, cache_write_tokens=100), "0.0174"),
    (Usage(1000, 100, cache_write_1h_tokens=100), "0.0218"),
    (Usage(1000, 100, reasoning_tokens=50), "0.02085"),
    (Usage(200_000), "2.01"),
    (Usage(200_001), "4.01002"),
    (Usage(1000, 100, service_tier="batch"), "0.0154"),
    (Usage(1000, 100, reasoning_tokens=50, service_tier="batch"), "0.0154"),  # as output there
    (Usage(200_001, service_tier="batch"), "4.01002"),  # which has no rate for that size
    (Usage(200_001, service_tier="flex"), "2.210011"),
    (Usage(1000, 100, service_tier="priority"), "0.0208"),
    (Usage(output_images=3), "0.13"),
]


@pytest.mark.parametrize(("usage", "usd"), CASES)
def test_a_call_costs_each_count_times_its_rate(ledger, usage, usd):
    ledger.set_price(
        "my-model", input=10, output=8, cache_read=1, cache_write=12, cache_write_1h=20,
        reasoning=9, request="0.01", image="0.04",
        rates={
            "input_mtok_above_200000_tokens": 20, "input_mtok_batch": 5, "output_mtok_batch": 4,
            "input_mtok_above_200000_tokens_flex": 11,
        },
    )  # fmt: skip
    entry = ledger.charge("alice", model="my-model", usage=usage)
    assert entry.cost == Decimal(usd)


def test_a_hold_is_estimated_at_the_own_price_and_tells_what_fits(ledger):
    ledger.set_price("my-model", input=2, output=10, request="0.01")
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", model="my-model", text="hello", max_output_tokens=10**9)
    hold = ledger.hold(
        "alice", model="my-model", text="hello", max_output_tokens=refused.value.largest_output
    )
    assert hold.entry.price_source == "own price 1"
    assert Decimal("999.9999") < hold.amount <= 1000
    hold.release()
    assert ledger.can_afford("alice", model="my-model", text="hello", max_output_tokens=10)


def test_a_hold_without_a_price_says_how_to_set_one(ledger):
    with pytest.raises(UnpricedModel, match=r"set_price\('no-such', .*budgetledger prices set"):
        ledger.hold("alice", model="no-such", text="hello")
    ledger.set_price("no-such", output=1)
    with pytest.raises(UnpricedModel, match=r"own price 1 .*input_mtok.*prices set"):
        ledger.hold("alice", model="no-such", text="hello")


def test_settles_streams_and_tasks_are_priced_alike(ledger):
    ledger.set_price("my-model", input=2, output=10)
    settled = ledger.hold("alice", 1, model="my-model").settle(USED)
    chunk = {"model": "my-model", "choices": [], "usage": response(completion_tokens=M)["usage"]}
    chunk["usage"]["completion_tokens"] = 100_000
    with ledger.hold("alice", 1, model="my-model") as hold:
        list(hold.stream(iter([chunk])))

    async def tasks():
        wide = AsyncLedger(ledger)
        charged = await wide.charge("alice", model="my-model", usage=USED)
        async with wide.hold("alice", 1, model="my-model") as held:
            await held.settle(USED)
        assert [price.id for price in await wide.prices()] == [1]
        return charged, held.closed_by

    entries = [settled, hold.closed_by, *asyncio.run(tasks())]
    assert {(entry.cost, entry.price_source) for entry in entries} == {(3, "own price 1")}


def test_a_call_of_known_cost_does_not_read_prices(ledger, monkeypatch):
    monkeypatch.setattr(Journal, "book", None)
    ledger.charge("alice", cost=1)
    ledger.hold("alice", 1).settle("0.5")


# -- evidence -----------------------------------------------------------------------------------


def test_an_auditor_sees_the_rows_in_sql(ledger, database):
    ledger.set_price("my-model", input="2.5", output=10, request="0.01", note="per contract")
    ledger.charge("alice", model="my-model", usage=USED)
    ledger.set_price("my-*", input=1, all_projects=True, effective_at=NOON - timedelta(days=1))
    ledger.remove_price("my-model")
    seen = database.sql(
        "SELECT id, project, model, removed, effective_at, input_usd, output_usd, request_usd,"
        " note FROM prices ORDER BY id"
    )
    (by,) = database.sql(
        "SELECT s.model, p.input_usd FROM spend s"
        " JOIN prices p ON s.price_source = 'own price ' || p.id"
    )
    noon, before = "2026-03-02T12:00:00.000000Z", "2026-03-01T12:00:00.000000Z"
    assert seen == [
        (1, "default", "my-model", 0, noon, 2.5, 10.0, 0.01, "per contract"),
        (2, None, "my-*", 0, before, 1.0, None, None, None),
        (3, "default", "my-model", 1, noon, None, None, None, None),
    ]
    assert by == ("my-model", 2.5)


# -- priced later -------------------------------------------------------------------------------


def test_calls_without_a_price_are_priced_later_each_at_its_time(ledger, clock):
    ledger.set_parent("alice", "team")
    ledger.set_budget("team", 100, alert_at=1)
    first = unpriced(ledger, tags={"job": 1})
    told = response("my-model-2024", completion_tokens=0)
    second = unpriced(ledger, response=told, model="my-model", usage=None)
    clock.advance(days=1)
    with pytest.warns(UnpricedWarning):
        settled = ledger.hold("alice", 1, model="my-model").settle(USED)
    with pytest.warns(UnpricedWarning, match=r"reports no usage.* until adjust"):
        never = ledger.charge("alice", {"model": "my-model", "usage": "?"})
    assert (second.price, first.price) == (
        {"model": "my-model-2024", "snapshot": "my-model-2024"},
        {},
    )
    ledger.set_price("my-model", input=1, output=10, effective_at=NOON)
    ledger.set_price("my-model", input=2, output=20)
    ledger.set_price("my-model-2024", input=100, effective_at=NOON)

    planned = ledger.reprice()
    assert [(one.entry, one.cost, one.source, one.adjustment) for one in planned] == [
        (first, 2, "own price 1", None),
        (second, 100, "own price 3", None),
        (settled, 4, "own price 2", None),
    ]
    assert (ledger.balance("alice").unpriced, ledger.balance("alice").assumed) == (3, 1)

    done = ledger.reprice(dry_run=False)
    assert [one._replace(adjustment=None) for one in done] == planned
    adjustment = done[0].adjustment
    assert (adjustment.kind, adjustment.corrects_id, adjustment.model) == (
        "adjustment", first.id, "my-model",
    )  # fmt: skip
    assert (adjustment.cost, adjustment.price_source) == (2, "own price 1")
    assert done[2].adjustment.cost == 3  # the difference from what was assumed
    assert adjustment.price == {"model": "my-model", "input_mtok": "1", "output_mtok": "10"}
    balance = ledger.balance("team")
    assert (balance.posted, balance.unpriced, len(ledger.alerts("team"))) == (106, 1, 1)

    assert ledger.reprice(dry_run=False) == []
    ledger.adjust(never, 1, reason="as billed")
    assert ledger.balance("alice").unpriced == 0


def test_reprice_takes_an_account_with_those_under_it_and_a_model(ledger):
    ledger.set_parent("alice", "team")
    ledger.set_budget("bob", 10)
    mine, other = unpriced(ledger), unpriced(ledger, model="my-other")
    with pytest.warns(UnpricedWarning):
        bobs = ledger.charge("bob", model="my-model", usage=USED)
    ledger.set_price("my-*", input=1, output=1)

    def ids(*account, **options):
        return [one.entry.id for one in ledger.reprice(*account, **options)]

    assert ids() == [mine.id, other.id, bobs.id]
    assert ids("team") == ids("alice") == [mine.id, other.id]
    assert ids("bob", model="MY-M*") == [bobs.id]
    assert ids(model="my-other") == [other.id]
    with pytest.raises(UnknownAccount):
        ledger.reprice("nobody")


def test_what_was_stated_by_hand_is_not_priced_again(ledger):
    entry = unpriced(ledger)
    ledger.adjust(entry, 0, reason="was free")
    ledger.set_price("my-model", input=1, output=1, effective_at=NOON)
    assert ledger.reprice(dry_run=False) == []


def test_no_key_of_the_users_stands_in_the_way_of_a_price(ledger):
    entry = unpriced(ledger)
    ledger.charge("alice", cost=1, key=f"reprice:{entry.id}")
    ledger.set_price("my-model", input=1, output=1, effective_at=NOON)
    (done,) = ledger.reprice(dry_run=False)
    assert done.adjustment.corrects_id == entry.id
    assert ledger.reprice(dry_run=False) == []


def test_free_of_charge_is_a_price(ledger):
    entry = unpriced(ledger)
    ledger.set_price("my-model", input=0, output=0)
    (done,) = ledger.reprice(dry_run=False)
    assert (done.entry.id, done.cost, ledger.balance("alice").unpriced) == (entry.id, 0, 0)


def test_the_tier_is_kept_for_later(ledger):
    unpriced(ledger, usage=Usage(M, service_tier="batch"))
    ledger.set_price("my-model", input=4, rates={"input_mtok_batch": 2})
    assert [one.cost for one in ledger.reprice()] == [2]


def test_the_shipped_list_prices_what_its_successor_knows(ledger, monkeypatch):
    from budgetledger.pricing import catalog

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "find_model", lambda *name: None)
        unpriced(ledger, model="gpt-4o")
    (done,) = ledger.reprice(dry_run=False)
    assert done.source.startswith("genai-prices")


def test_two_at_once_price_each_entry_once(ledger, database, clock):
    entries = [unpriced(ledger) for _ in range(250)]
    ledger.set_price("my-model", input=1, output=0)
    together, done = threading.Barrier(4), []

    def reprice():
        with Ledger(database.target, clock=clock) as mine:
            together.wait(timeout=120)
            done.extend(mine.reprice(dry_run=False))

    threads = [threading.Thread(target=reprice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(one.entry.id for one in done) == [entry.id for entry in entries]
    assert ledger.balance("alice").posted == 250


@pytest.mark.of_a_file
@pytest.mark.parametrize("query", [_sql.UNPRICED_OF_ACCOUNT, _sql.UNPRICED_OF_PROJECT])
def test_calls_with_a_price_are_not_looked_through(ledger, query):
    with closing(sqlite3.connect(ledger.path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled(query)}", (1, 1, 1)).fetchall()
    for index in ("entries_unpriced", "entries_unpriced_imports", "entries_assumed"):
        assert any(f"SEARCH e USING INDEX {index} " in step for *_, step in plan), plan


def test_progress_is_told(ledger):
    for _ in range(101):
        unpriced(ledger)
    told = []
    ledger.reprice(progress=lambda done, total: told.append((done, total)))
    assert told == [(100, 101), (101, 101)]
