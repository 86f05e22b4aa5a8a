"""The ledger's methods, one at a time, on a real file."""

import copy
import pickle
import sqlite3
import stat
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal, Inexact, localcontext

import pytest
from samples import RESPONSE, RESPONSE_COST, START, UNLISTED

from budgetledger import BudgetledgerError, BudgetManager, Ledger, Usage
from budgetledger.errors import (
    ClockWarning,
    IdempotencyConflict,
    InvalidAmount,
    InvalidInput,
    InvalidName,
    InvalidPeriod,
    StoreClosed,
    StoreError,
    UnknownAccount,
    UnknownAccountWarning,
    UnknownEntry,
    UnpricedWarning,
    UnreadableResponse,
)
from budgetledger.storage.sqlite.store import FileStore


def rows(ledger):
    tables = "projects", "accounts", "entries", "budget_revisions", "window_shifts"
    counts = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in tables)
    return [
        count for (count,) in ledger._journal.store.read(lambda execute: execute(counts).fetchall())
    ]


# -- bad input ------------------------------------------------------------------------------

LONE = "\ud800"
NAIVE = datetime(2026, 1, 1)
HUGE = 10**5000

BAD_ACCOUNTS = ["", "a\0", LONE, None, 7, b"alice", ["alice"], "x" * 501]
ACCOUNT_CALLS = {
    "set_budget": lambda ledger, account: ledger.set_budget(account, 1),
    "remove_budget": lambda ledger, account: ledger.remove_budget(account, "usd/month"),
    "budgets": lambda ledger, account: ledger.budgets(account),
    "shift_window": lambda ledger, account: ledger.shift_window(account),
    "charge": lambda ledger, account: ledger.charge(account, cost=1),
    "balance": lambda ledger, account: ledger.balance(account),
    "model_costs": lambda ledger, account: ledger.model_costs(account),
    "entries": lambda ledger, account: list(ledger.entries(account)),
}


@pytest.mark.parametrize(
    ("method", "account"),
    [
        pytest.param(method, account, id=f"{method}-{account!r:.12}")
        for method in ACCOUNT_CALLS
        for account in BAD_ACCOUNTS
        if (method, account) != ("entries", None)  # which asks for the whole project
    ],
)
def test_a_bad_account_is_refused_without_a_row(ledger, method, account):
    before = rows(ledger)
    with pytest.raises(InvalidName, match=r"^account .*; pass "):
        ACCOUNT_CALLS[method](ledger, account)
    assert rows(ledger) == before


BAD_CALLS = [
    # set_budget
    ("set_budget", {}, InvalidInput),
    ("set_budget", {"limit": 1, "tokens": 1}, InvalidInput),
    ("set_budget", {"limit": "ten"}, InvalidAmount),
    ("set_budget", {"limit": float("nan")}, InvalidAmount),
    ("set_budget", {"limit": float("inf")}, InvalidAmount),
    ("set_budget", {"limit": -1}, InvalidAmount),
    ("set_budget", {"limit": True}, InvalidAmount),
    ("set_budget", {"limit": HUGE}, InvalidAmount),
    ("set_budget", {"tokens": -1}, InvalidAmount),
    ("set_budget", {"tokens": 1.5}, InvalidAmount),
    ("set_budget", {"requests": "3"}, InvalidAmount),
    ("set_budget", {"requests": HUGE}, InvalidAmount),
    ("set_budget", {"limit": 1, "per": "fortnight"}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": timedelta(0)}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": 30}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": "day", "timezone": "Mars/Olympus"}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": "week", "week_start": "someday"}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": "day", "anchor": NAIVE}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": "day", "anchor": "birth"}, InvalidInput),
    ("set_budget", {"limit": 1, "anchor": START}, InvalidPeriod),
    ("set_budget", {"limit": 1, "anchor": "creation"}, InvalidPeriod),
    ("set_budget", {"limit": 1, "per": timedelta(1), "anchor": "creation"}, InvalidPeriod),
    ("set_budget", {"limit": 1, "model": ""}, InvalidName),
    ("set_budget", {"limit": 1, "name": LONE}, InvalidName),
    # remove_budget, shift_window
    ("remove_budget", {"name": "usd/year"}, UnknownAccount),
    ("remove_budget", {"name": None}, InvalidName),
    ("remove_budget", {"name": LONE}, InvalidName),
    ("shift_window", {"name": "usd/year"}, UnknownAccount),
    ("shift_window", {"name": ""}, InvalidName),
    ("shift_window", {"name": ["usd/month"]}, InvalidName),
    ("shift_window", {"reason": LONE}, InvalidName),
    ("shift_window", {"reason": ""}, InvalidName),
    # charge
    ("charge", {}, InvalidInput),
    ("charge", {"model": "gpt-4o"}, InvalidInput),
    ("charge", {"cost": "ten"}, InvalidAmount),
    ("charge", {"cost": float("nan")}, InvalidAmount),
    ("charge", {"cost": -1}, InvalidAmount),
    ("charge", {"cost": True}, InvalidAmount),
    ("charge", {"cost": 10**7}, InvalidAmount),
    ("charge", {"cost": HUGE}, InvalidAmount),
    ("charge", {"cost": 1, "model": " "}, InvalidName),
    ("charge", {"cost": 1, "model": 4}, InvalidName),
    ("charge", {"cost": 1, "key": ""}, InvalidName),
    ("charge", {"cost": 1, "key": 7}, InvalidName),
    ("charge", {"cost": 1, "tags": "search"}, InvalidInput),
    ("charge", {"cost": 1, "tags": []}, InvalidInput),
    ("charge", {"cost": 1, "tags": {1: 2}}, InvalidInput),
    ("charge", {"cost": 1, "tags": {"a": float("nan")}}, InvalidInput),
    ("charge", {"cost": 1, "tags": {"a": {1, 2}}}, InvalidInput),
    ("charge", {"cost": 1, "occurred_at": NAIVE}, InvalidPeriod),
    ("charge", {"cost": 1, "occurred_at": "2026-01-01"}, InvalidPeriod),
    ("charge", {"cost": 1, "usage": Usage(-5)}, InvalidInput),
    ("charge", {"cost": 1, "usage": Usage(10**30)}, InvalidInput),
    ("charge", {"cost": 1, "usage": Usage("5")}, InvalidInput),
    ("charge", {"cost": 1, "usage": Usage(5, cache_read_tokens=6)}, InvalidInput),
    ("charge", {"cost": 1, "usage": {"input_tokens": 5}}, InvalidInput),
    ("charge", {"model": "gpt-4o", "usage": Usage(-5)}, InvalidInput),
    ("charge", {"usage": Usage(-5)}, InvalidInput),
    ("charge", {"model": "gpt-4o", "usage": {"input_tokens": 5, "output_tokens": 1}}, InvalidInput),
    ("charge", {"response": RESPONSE, "usage": Usage(5)}, InvalidInput),
    ("charge", {"response": {}}, UnreadableResponse),
    ("charge", {"response": "Hello!"}, UnreadableResponse),
    ("charge", {"response": {"usage": {"prompt_tokens": -1}}}, UnreadableResponse),
    ("charge", {"response": iter([])}, UnreadableResponse),
    # balance, model_costs, entries
    ("balance", {"at": NAIVE}, InvalidPeriod),
    ("balance", {"as_of": "yesterday"}, InvalidPeriod),
    ("model_costs", {"at": NAIVE}, InvalidPeriod),
    ("entries", {"since": NAIVE}, InvalidPeriod),
    ("entries", {"until": "tomorrow"}, InvalidPeriod),
]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    BAD_CALLS,
    ids=[f"{n}-{method}({', '.join(given)})" for n, (method, given, _) in enumerate(BAD_CALLS)],
)
def test_bad_input_leaves_no_row(ledger, method, arguments, error):
    before = rows(ledger)
    with pytest.raises(error):
        getattr(ledger, method)("alice", **arguments)
    with pytest.raises(BudgetledgerError):
        getattr(ledger, method)("new", **arguments)
    assert rows(ledger) == before  # nor was an account opened


@pytest.mark.parametrize(
    ("entry", "amount", "arguments", "error"),
    [
        (2, "ten", {}, InvalidAmount),
        (2, float("inf"), {}, InvalidAmount),
        (2, -(10**7), {}, InvalidAmount),
        (2, 1, {"reason": ""}, InvalidName),
        (2, 1, {"reason": None}, InvalidName),
        (2, 1, {"key": ""}, InvalidName),
        (None, 1, {}, InvalidInput),
        (True, 1, {}, InvalidInput),
        (-1, 1, {}, InvalidInput),
        ("2", 1, {}, InvalidInput),
        (99, 1, {}, UnknownEntry),
        (1, 1, {}, UnknownEntry),  # a budget
        (3, 1, {}, UnknownEntry),  # an adjustment
    ],
)
def test_bad_adjustments_leave_no_row(ledger, entry, amount, arguments, error):
    charged = ledger.charge("alice", cost=1)
    adjusted = ledger.adjust(charged, 1, reason="as billed")
    assert (charged.id, adjusted.id) == (2, 3)
    before = rows(ledger)
    with pytest.raises(error):
        ledger.adjust(entry, amount, **{"reason": "as billed", **arguments})
    assert rows(ledger) == before


@pytest.mark.parametrize("project", ["", "a\0", LONE, None, 7])
def test_a_bad_project_is_refused_before_a_file_is_made(tmp_path, project):
    with pytest.raises(InvalidName, match=r"^project "):
        Ledger(tmp_path / "new.db", project=project)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["", "a\0b", b"spend.db", "mysql://host/db"])
def test_a_bad_target_is_refused(target):
    with pytest.raises(InvalidInput):
        Ledger(target)


def test_bad_synchronous_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="'FULL'"):
        Ledger(tmp_path / "new.db", synchronous="OFF")


# -- unknown accounts -----------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(set(ACCOUNT_CALLS) - {"set_budget", "charge"}))
def test_unknown_account(ledger, method):
    before = rows(ledger)
    with pytest.raises(UnknownAccount) as caught:
        ACCOUNT_CALLS[method](ledger, "bob")
    error = caught.value
    assert isinstance(error, KeyError)
    assert str(error) == (
        "there is no account 'bob' in project 'default'; set a budget for it or charge it first"
    )
    assert (error.account, error.project) == ("bob", "default")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.__dict__) == (str(error), error.__dict__)
    assert rows(ledger) == before


def test_entries_of_an_unknown_account_raise_at_once(ledger):
    with pytest.raises(UnknownAccount):
        ledger.entries("bob")


def test_an_account_without_budgets_has_a_balance(ledger):
    with pytest.warns(UnknownAccountWarning):
        ledger.charge("bob", cost="1.25")
    balance = ledger.balance("bob")
    assert (balance.posted, balance.limit, balance.available) == (Decimal("1.25"), None, None)
    assert balance.window == (None, None, "UTC")
    assert ledger.budgets("bob") == []
    with pytest.raises(UnknownAccount, match="'bob' of project 'default' has no budget; set"):
        ledger.shift_window("bob")


# -- warnings -------------------------------------------------------------------------------


def test_the_first_charge_of_a_new_account_warns_here_and_once(ledger):
    with pytest.warns(UnknownAccountWarning, match="'bob' of project 'default'") as caught:
        ledger.charge("bob", cost=1)
    assert [warning.filename for warning in caught] == [__file__]
    ledger.charge("bob", cost=1)  # warnings are errors in these tests
    assert ledger.balance("bob").posted == 2


def test_an_unpriced_call_warns_here_and_is_recorded(ledger):
    with pytest.warns(UnpricedWarning, match=f"none is known for '{UNLISTED}'") as caught:
        entry = ledger.charge("alice", usage=Usage(10, 5), model=UNLISTED)
    assert [warning.filename for warning in caught] == [__file__]
    assert (entry.cost, entry.price_source) == (None, "unpriced")
    assert entry.usage == {"input_tokens": 10, "output_tokens": 5}
    balance = ledger.balance("alice")
    assert (balance.posted, balance.unpriced) == (0, 1)
    assert ledger.model_costs("alice") == {UNLISTED: 0}


@pytest.mark.parametrize("late", [timedelta(seconds=1), timedelta(days=3)])
@pytest.mark.parametrize("call", ["charge", "adjust"])
def test_a_clock_that_stepped_back_warns_here(ledger, clock, late, call):
    entry = ledger.charge("alice", cost=1)
    clock.advance(-late)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if call == "charge":
            later = ledger.charge("alice", cost=2)
        else:
            later = ledger.adjust(entry, 2, reason="as billed")
    assert later.recorded_at == START
    expected = [] if late == timedelta(seconds=1) else [(ClockWarning, __file__)]
    assert [(warning.category, warning.filename) for warning in caught] == expected


@pytest.mark.parametrize(
    ("account", "spent", "warning"),
    [
        ("alice", {"usage": Usage(10, 5), "model": UNLISTED}, UnpricedWarning),
        ("bob", {"cost": 1}, UnknownAccountWarning),
        ("late", {"cost": 1}, ClockWarning),
    ],
)
def test_money_is_recorded_even_where_warnings_are_errors(ledger, clock, account, spent, warning):
    if warning is ClockWarning:
        ledger.set_budget(account, 1)
        clock.advance(days=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(warning):
            ledger.charge(account, **spent)
    assert [entry.kind for entry in ledger.entries(account)][-1] == "charge"


# -- charging -------------------------------------------------------------------------------


@dataclass
class Reply:
    """Shaped as the clients' objects are."""

    model: str = "gpt-4o"
    usage: dict = field(default_factory=lambda: RESPONSE["usage"])


@pytest.mark.parametrize(
    "response",
    [
        RESPONSE,
        {"model": "gpt-4o", "usage": {"input_tokens": 1000, "output_tokens": 200}},
        Reply(),
    ],
)
def test_a_response_is_priced_by_its_usage(ledger, response):
    entry = ledger.charge("alice", response)
    assert entry.cost == RESPONSE_COST
    assert (entry.model, entry.input_tokens, entry.output_tokens) == ("gpt-4o", 1000, 200)
    assert entry.price_source.startswith("genai-prices ")
    assert entry.price == {
        "provider": "openai",
        "model": "gpt-4o",
        "input_mtok": "2.5",
        "output_mtok": "10",
    }
    assert ledger.balance("alice").posted == RESPONSE_COST


def test_an_anthropic_dict_counts_its_cache(ledger):
    usage = {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 1000}
    entry = ledger.charge("alice", {"model": "claude-sonnet-4-5", "usage": usage})
    # anthropic.com/pricing, 2026-01: 3.00 input, 15.00 output, 0.30 cache read.
    assert entry.cost == Decimal("0.00075")
    assert entry.usage == {"input_tokens": 1100, "output_tokens": 10, "cache_read_tokens": 1000}


def test_litellms_own_cost_comes_before_the_price_list(ledger):
    response = RESPONSE | {"_hidden_params": {"response_cost": 0.0123}}
    entry = ledger.charge("alice", response)
    assert (entry.cost, entry.price_source, entry.price) == (Decimal("0.0123"), "litellm", {})


def test_a_given_cost_and_model_come_before_the_responses(ledger):
    entry = ledger.charge("alice", RESPONSE, cost="0.50", model="my-deployment")
    assert (entry.cost, entry.price_source) == (Decimal("0.50"), "given")
    assert (entry.model, entry.input_tokens) == ("my-deployment", 1000)


def test_a_cost_without_a_model_is_one_of_model_unknown(ledger):
    assert ledger.charge("alice", cost=1).model == "unknown"
    assert ledger.model_costs("alice") == {"unknown": 1}


@pytest.mark.parametrize(
    "name", ["x" * 600, "a\0b", LONE, "  "], ids=["long", "NUL", "lone", "blank"]
)
def test_a_paid_call_is_recorded_whatever_its_model_calls_itself(ledger, name):
    response = {"model": name, "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", response)
    assert (entry.model, entry.cost, entry.input_tokens) == ("unknown", None, 7)


def test_a_response_without_a_model_costs_what_the_one_asked_for_does(ledger):
    image = {"created": 1, "usage": {"input_tokens": 10, "output_tokens": 1000}}
    entry = ledger.charge("alice", image, model="gpt-4o")
    assert (entry.model, entry.cost) == ("gpt-4o", Decimal("0.010025"))


@pytest.mark.parametrize("given", ["0.05", 5, None, ["gpt-4o"], iter([{}])])
def test_what_is_no_response_is_refused_even_with_a_model(ledger, given):
    with pytest.raises(InvalidInput):
        ledger.charge("alice", given, model="gpt-4o")


def test_a_retry_of_an_unpriced_call_does_not_warn_again(ledger):
    response = {"model": UNLISTED, "usage": {"prompt_tokens": 7}}
    with pytest.warns(UnpricedWarning):
        first = ledger.charge("alice", response, key="k")
    assert ledger.charge("alice", response, key="k") == first  # warnings are errors here


def test_an_unpriced_call_cannot_be_given_a_cost_below_zero(ledger):
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", usage=Usage(10, 5), model=UNLISTED)
    with pytest.raises(InvalidAmount, match="cannot be below 0"):
        ledger.adjust(entry, "-5", reason="typo")
    ledger.adjust(entry, "5", reason="invoice")
    credit = ledger.adjust(entry, "-3", reason="credit", key="k")
    assert ledger.adjust(entry, "-3", reason="credit", key="k") == credit  # a retry, not a second
    assert (ledger.balance("alice").posted, ledger.balance("alice").unpriced) == (2, 0)


@pytest.mark.parametrize(
    "response",
    [
        {"model": UNLISTED, "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        {"model": "gpt-4o"},
        {"model": "gpt-4o", "usage": None},
        {"model": "gpt-4o", "usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": 10, "completion_tokens": 5}},
    ],
)
def test_what_cannot_be_priced_is_recorded_unpriced(ledger, response):
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", response)
    assert (entry.model, entry.cost) == (response.get("model", "unknown"), None)
    assert (entry.requests, ledger.balance("alice").unpriced) == (1, 1)
    ledger.adjust(entry, "0.25", reason="as billed")
    ledger.adjust(entry, "0.05", reason="and a fee")
    balance = ledger.balance("alice")
    assert (balance.posted, balance.unpriced) == (Decimal("0.30"), 0)


def test_a_call_of_the_last_window_is_priced_in_that_one(ledger, clock):
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", usage=Usage(10, 5), model=UNLISTED)
    clock.advance(days=1)
    ledger.adjust(entry, "0.25", reason="as billed")

    def found(**asked):
        balance = ledger.balance("alice", **asked)
        return balance.posted, balance.unpriced

    assert found() == (0, 0)
    assert found(at=START) == (Decimal("0.25"), 0)
    assert found(as_of=START) == (0, 1)


def test_tags_are_json(ledger, database):
    tags = {"feature": "search", "张": ["伟", None, True, 1.5], "n": {"deep": -1}}
    entry = ledger.charge("alice", cost=1, tags=tags)
    assert entry.tags == tags
    assert list(ledger.entries("alice"))[-1] == entry
    feature = {"sqlite": "tags ->> '$.feature'", "postgres": "CAST(tags AS JSON) ->> 'feature'"}
    assert database.sql(f"SELECT {feature[database.kind]} FROM spend") == [("search",)]
    assert ledger.charge("alice", cost=1, tags={}).tags == {}
    assert ledger.charge("alice", cost=1, tags={"nul": "a\0b"}).tags == {"nul": "a\0b"}


@pytest.mark.parametrize(
    "moment",
    [
        START,
        datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("spent", [{"cost": 1}, {"usage": Usage(5), "model": "gpt-4o"}])
def test_occurred_at_is_kept_and_decides_the_window(ledger, database, moment, spent):
    entry = ledger.charge("alice", **spent, occurred_at=moment)
    assert entry.occurred_at == moment
    assert entry.recorded_at == START
    belongs_at = min(moment, START)
    is_of_january = belongs_at >= datetime(2026, 1, 1, tzinfo=UTC)
    assert ledger.balance("alice").posted == (entry.cost if is_of_january else 0)
    assert ledger.balance("alice", at=belongs_at).posted == entry.cost
    ((shown,),) = database.sql("SELECT occurred_at FROM spend")
    assert shown == f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".rjust(27, "0")


def test_an_entry_is_what_the_journal_says(ledger):
    entry = ledger.charge("alice", RESPONSE, key="k", tags={"a": 1}, occurred_at=START)
    adjusted = ledger.adjust(entry, "-0.001", reason="rebate", key="r")
    assert list(ledger.entries("alice"))[1:] == [entry, adjusted]
    assert list(ledger.entries())[1:] == [entry, adjusted]
    assert (adjusted.note, adjusted.corrects_id, adjusted.model) == ("rebate", entry.id, "gpt-4o")
    assert (adjusted.cost, adjusted.requests) == (Decimal("-0.001"), 0)
    assert ledger.balance("alice").posted == Decimal("0.0035")


# -- keys -----------------------------------------------------------------------------------


def test_the_same_key_and_content_is_the_same_entry(ledger, clock):
    first = ledger.charge("alice", cost="0.10", model="m", key="inv-1", tags={"try": 1})
    clock.advance(days=40)
    assert ledger.charge("alice", cost=0.1, model="m", key="inv-1", tags={"try": 2}) == first
    priced = ledger.charge("alice", RESPONSE, key="call-1")
    assert ledger.charge("alice", RESPONSE, key="call-1") == priced
    rebate = ledger.adjust(first, "-0.05", reason="rebate", key="rebate-1")
    assert ledger.adjust(first.id, "-0.05", reason="a rebate", key="rebate-1") == rebate
    assert rows(ledger)[2] == 4


def test_the_same_key_and_other_content_is_a_conflict(ledger):
    first = ledger.charge("alice", cost=1, model="m", key="k")
    other = ledger.charge("alice", cost=1, model="m")
    ledger.set_budget("bob", 1)
    before = rows(ledger)
    for conflicting in (
        lambda: ledger.charge("alice", cost=2, model="m", key="k"),
        lambda: ledger.charge("alice", cost=1, model="n", key="k"),
        lambda: ledger.charge("bob", cost=1, model="m", key="k"),
        lambda: ledger.charge("new", cost=1, model="m", key="k"),
        lambda: ledger.charge("alice", RESPONSE, model="m", key="k"),
        lambda: ledger.adjust(first, 1, reason="as billed", key="k"),
        lambda: ledger.adjust(other, 1, reason="as billed", key="k"),
    ):
        with pytest.raises(IdempotencyConflict, match="use another key") as caught:
            conflicting()
        assert (caught.value.key, caught.value.entry) == ("k", first)
    assert rows(ledger) == before


def test_a_key_of_an_adjustment_stands_for_its_entry_too(ledger):
    first, other = (ledger.charge("alice", cost=1, model="m") for _ in range(2))
    rebate = ledger.adjust(first, "-0.5", reason="rebate", key="k")
    for entry, amount in ((other, "-0.5"), (first, "-0.6")):
        with pytest.raises(IdempotencyConflict) as caught:
            ledger.adjust(entry, amount, reason="rebate", key="k")
        assert caught.value.entry == rebate
    assert ledger.balance("alice").posted == Decimal("1.5")


# -- projects -------------------------------------------------------------------------------


def test_projects_do_not_see_each_other(opened):
    one, two = opened(project="one"), opened(project="two")
    one.set_budget("alice", 10)
    two.set_budget("alice", 20)
    first = one.charge("alice", cost=1, model="m", key="k")
    second = two.charge("alice", cost=2, model="n", key="k")  # keys are per project
    assert first.id != second.id
    assert one.charge("alice", cost=1, model="m", key="k") == first
    assert (one.balance("alice").available, two.balance("alice").available) == (9, 18)
    assert one.model_costs("alice") == {"m": 1}
    assert [entry.project for entry in one.entries()] == ["one", "one"]
    one.set_budget("bob", 1)
    assert [account.name for account in one.accounts()] == ["alice", "bob"]
    assert [account.name for account in two.accounts()] == ["alice"]
    with pytest.raises(UnknownAccount, match="'bob' in project 'two'"):
        two.balance("bob")
    with pytest.raises(UnknownEntry):
        two.adjust(first, 1, reason="not mine")
    empty = opened(project="three")
    assert (empty.accounts(), list(empty.entries())) == ([], [])


# -- budgets --------------------------------------------------------------------------------


def test_budgets_are_named_by_what_they_limit(ledger):
    ledger.set_budget("bob", 1)
    ledger.set_budget("bob", 1, per="day")
    ledger.set_budget("bob", tokens=1, per="day", model="gpt-4o")
    ledger.set_budget("bob", requests=1, per=timedelta(hours=1))
    names = ["requests/3600s", "tokens/day/gpt-4o", "usd", "usd/day"]
    assert [budget.name for budget in ledger.budgets("bob")] == names


def test_budgets_of_different_spans_have_different_names(ledger):
    spans = [
        timedelta(days=30),
        timedelta(days=30, seconds=1),
        timedelta(days=30, microseconds=1),
    ]
    names = [ledger.set_budget("bob", 1, per=span).name for span in spans]
    assert names[0] == "usd/2592000s"
    assert len(set(names)) == len(ledger.budgets("bob")) == 3


def test_setting_a_budget_as_it_stands_writes_no_row(ledger, clock):
    budget = ledger.set_budget("bob", "5", per="day")
    clock.advance(days=3)
    before = rows(ledger)
    assert ledger.set_budget("bob", 5.0, per="day") == budget
    assert rows(ledger) == before
    ledger.remove_budget("bob", "usd/day")
    assert ledger.budgets("bob") == []
    assert ledger.set_budget("bob", "5", per="day") == budget  # created_at is the first one's
    assert rows(ledger)[2] == before[2] + 2


def test_removing_twice_is_an_error(ledger):
    ledger.remove_budget("alice", "usd/month")
    with pytest.raises(UnknownAccount, match="has no budget named 'usd/month'; set it first"):
        ledger.remove_budget("alice", "usd/month")


@pytest.mark.parametrize("context", [Context(prec=3), Context(prec=28, traps=[Inexact])])
def test_available_is_exact_whatever_the_callers_decimal_context(ledger, context):
    ledger.set_budget("alice", "12345678901234567.00", per="month")
    ledger.charge("alice", cost="4.000000000001")
    with localcontext(context):
        balance = ledger.balance("alice")
        found = [balance.available, balance.budgets[0].available]
    assert [f"{available:f}" for available in found] == ["12345678901234562.999999999999"] * 2


def test_an_anchor_before_1970_reads_well_in_sql(ledger, database):
    anchor = datetime(1960, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC)
    ledger.set_budget("bob", 1, per="year", anchor=anchor)
    ((shown,),) = database.sql("SELECT anchored_at FROM current_budgets WHERE account = 'bob'")
    assert shown == "1960-02-29T12:00:00.500000Z"


# -- entries --------------------------------------------------------------------------------


def test_entries_between_two_moments(ledger, clock):
    charged = []
    for _ in range(4):
        clock.advance(hours=1)
        charged.append(ledger.charge("alice", cost=1))
    times = [entry.recorded_at for entry in charged]
    for account in ("alice", None):
        assert list(ledger.entries(account, since=times[0])) == charged
        assert list(ledger.entries(account, since=times[1], until=times[3])) == charged[1:3]
        assert list(ledger.entries(account, last=2)) == charged[-2:]
        assert list(ledger.entries(account, until=times[3], last=2)) == charged[1:3]
        assert list(ledger.entries(account, since=times[-1], last=99)) == charged[-1:]
        assert list(ledger.entries(account, last=0)) == []
        assert list(ledger.entries(account, until=times[0]))[-1].kind == "budget"
        assert list(ledger.entries(account, since=times[3] + timedelta(microseconds=1))) == []
        assert list(ledger.entries(account, since=times[2], until=times[1])) == []


def test_entries_go_on_page_after_page(ledger, clock):
    for number in range(2500):
        if number % 700 == 0:
            clock.advance(seconds=1)  # pages end within a moment and between two
        ledger.charge("alice", cost=number)
        if number % 25 == 0:
            ledger.set_budget("bob", number)
    for account, expected in (("alice", 2501), ("bob", 100), (None, 2601)):
        ids = [entry.id for entry in ledger.entries(account)]
        assert len(ids) == expected
        assert ids == sorted(set(ids))
    since = [entry.cost for entry in ledger.entries("alice", since=clock.now)]
    assert since == list(range(2100, 2500))


def test_entries_see_what_is_appended_meanwhile(ledger):
    found = ledger.entries("alice")
    assert next(found).kind == "budget"
    ledger.charge("alice", cost=7)
    assert [entry.cost for entry in found] == [7]


# -- the file -------------------------------------------------------------------------------


def test_a_backup_is_a_ledger(ledger, tmp_path, clock):
    entry = ledger.charge("alice", RESPONSE, key="k")
    ledger.backup(tmp_path / "copy.db")
    ledger.charge("alice", cost=5)
    with Ledger(tmp_path / "copy.db", clock=clock) as copy:
        assert copy.verify() == (1, 2, ())
        assert copy.verify().ok
        assert list(copy.entries())[1:] == [entry]
        assert copy.balance("alice").posted == RESPONSE_COST
        assert copy.charge("alice", RESPONSE, key="k") == entry
        copy.charge("alice", cost=1)  # and goes its own way
    assert ledger.verify() == (1, 3, ())
    assert ledger.balance("alice").posted == 5 + RESPONSE_COST


@pytest.mark.parametrize("path", ["", "no/such/folder/copy.db"])
def test_a_backup_that_cannot_be_written(ledger, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BudgetledgerError):
        ledger.backup(path)


def test_a_backup_overwrites_nothing(ledger, tmp_path):
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(InvalidInput, match="a file that does not exist yet"):
        ledger.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


@pytest.mark.parametrize("method", ACCOUNT_CALLS)
def test_a_closed_ledger_says_so(ledger, method):
    ledger.balance("alice")
    ledger.close()
    ledger.close()
    with pytest.raises(StoreClosed, match="was closed; open it again"):
        ACCOUNT_CALLS[method](ledger, "alice")


def test_a_ledger_in_memory(clock):
    with Ledger(":memory:", clock=clock) as ledger:
        ledger.set_budget("alice", 1)
        ledger.charge("alice", cost="0.25")
        assert ledger.balance("alice").available == Decimal("0.75")
        assert ledger.verify().ok
        assert (ledger.path, repr(ledger)) == (":memory:", "Ledger(':memory:', project='default')")


class Counting(Ledger):
    charges = 0

    def charge(self, *args, **options):
        self.charges += 1
        return super().charge(*args, **options)


def test_a_subclass_stays_one_behind_a_budget_manager(tmp_path):
    with Counting(tmp_path / "spend.db") as ledger:
        manager = BudgetManager("my-app", ledger=ledger)
        manager.create_budget(1, "alice")
        manager.update_cost("alice", RESPONSE)
        assert (type(manager.ledger), manager.ledger.charges) == (Counting, 1)


def test_a_copy_has_settings_of_its_own(tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        observing = copy.copy(ledger)
        observing.enforce = False
        assert (ledger.enforce, observing.enforce) == (True, False)
        ledger.set_budget("alice", 1)
        assert observing.hold("alice", 2).refusal is not None


@pytest.mark.of_a_file
def test_a_backup_that_fails_leaves_no_file(ledger, tmp_path, monkeypatch):
    path, modes = tmp_path / "copy.db", []

    def fail(source, target):
        target.execute("CREATE TABLE half (id INTEGER)")
        modes.append(stat.S_IMODE(path.stat().st_mode))
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(FileStore, "copy_pages", staticmethod(fail))
    with pytest.raises(StoreError):
        ledger.backup(path)
    assert not path.exists()
    assert modes == [0o600]
    monkeypatch.undo()
    ledger.backup(path)
