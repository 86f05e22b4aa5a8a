"""A settle whose cost is not known: what is recorded, how it shows, and how it is stated later."""

import warnings
from decimal import Decimal

import pytest
from hold_checks import stand
from samples import HELLO, RESPONSE, RESPONSE_COST, UNLISTED

from budgetledger import Usage
from budgetledger.errors import (
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidAmount,
    UnpricedWarning,
    UnreadableResponse,
)

USAGE = Usage(10, 5)
FAILURES = [
    {"error": {"code": 502, "message": "provider returned an error"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}},
    {"id": "resp_1", "object": "response", "model": "gpt-4o", "status": "failed", "output": [],
     "error": {"code": "server_error", "message": "the model failed"}, "usage": None},
    {"type": "response.failed", "response": {
        "model": "gpt-4o", "status": "failed", "output": [], "usage": None,
        "error": {"code": "server_error", "message": "the model failed"}}},
    {"id": "gen-1", "model": "openai/gpt-4o", "choices": [
        {"index": 0, "finish_reason": "error", "message": {"role": "assistant", "content": ""},
         "error": {"code": 502, "message": "upstream"}}]},
    {"custom_id": "a", "response": {"status_code": 400, "body": {"error": {"message": "no"}}},
     "error": None},
]  # fmt: skip


def assumed(hold, *args, **kwargs):
    with pytest.warns(UnpricedWarning, match="what was held"):
        entry = hold.settle(*args, **kwargs)
    assert (entry.cost_basis, entry.cost, entry.price_source) == ("assumed", hold.amount, "assumed")
    return entry


# -- what a settle takes ----------------------------------------------------------------------


def test_a_stated_cost_is_stated(ledger):
    def basis(*args, **kwargs):
        return ledger.hold("alice", 1, model="gpt-4o").settle(*args, **kwargs).cost_basis

    hold = ledger.hold("alice", 1)
    assert hold.entry.cost_basis is None
    assert basis("0.1") == basis(USAGE) == basis(RESPONSE) == "stated"
    assert basis(RESPONSE | {"_hidden_params": {"response_cost": 0.0123}}) == "stated"
    entry = ledger.charge("alice", cost="0.1")
    assert entry.cost_basis == "stated"
    assert ledger.adjust(entry, "0.1", reason="more").cost_basis == "stated"


def test_an_unknown_price_is_what_was_held_with_the_usage_that_was_reported(ledger):
    hold = ledger.hold("alice", "0.30", tokens=1000, model=UNLISTED)
    entry = assumed(hold, usage=USAGE)
    assert (entry.input_tokens, entry.output_tokens) == (10, 5)
    assert entry.usage == {"input_tokens": 10, "output_tokens": 5}
    assert stand(ledger) == (Decimal("0.30"), 0, Decimal("9.70"))
    balance = ledger.balance("alice")
    assert (balance.assumed, balance.unpriced) == (Decimal("0.30"), 0)


def test_without_usage_the_held_tokens_stand_for_it(ledger):
    entry = assumed(ledger.hold("alice", **HELLO, max_output_tokens=50), {"model": "gpt-4o"})
    assert (entry.input_tokens, entry.output_tokens, entry.usage) == (8, 50, {})
    entry = assumed(ledger.hold("alice", "0.1", tokens=70, model="gpt-4o"), {"model": "gpt-4o"})
    assert entry.input_tokens + entry.output_tokens == 70
    ledger.set_budget("alice", tokens=200, per="day")
    tokens = next(one for one in ledger.balance("alice").budgets if one.budget.name == "tokens/day")
    assert tokens.available == 200 - 58 - 70


def test_the_price_of_the_model_that_was_asked_is_taken_before_what_was_held(ledger):
    hold = ledger.hold("alice", 1, model="gpt-4o")
    entry = hold.settle({"model": UNLISTED, "usage": RESPONSE["usage"]})
    assert (entry.cost, entry.cost_basis) == (RESPONSE_COST, "stated")
    ledger.set_price("my-model", input=1, output=1)
    entry = ledger.hold("alice", 1, model="my-model").settle(
        {"model": UNLISTED, "usage": RESPONSE["usage"]}
    )
    assert (entry.cost, entry.price_source) == (Decimal("0.0012"), "own price 1")


def test_a_hold_of_nothing_assumes_nothing(ledger):
    for hold in (ledger.hold("alice", 0), ledger.hold("alice", tokens=100)):
        with pytest.warns(UnpricedWarning, match="without a price"):
            entry = hold.settle({"model": UNLISTED})
        assert (entry.cost, entry.cost_basis) == (None, "unpriced")
    assert (ledger.balance("alice").unpriced, ledger.balance("alice").assumed) == (2, 0)


def test_a_charge_without_a_hold_is_unpriced(ledger):
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", usage=USAGE, model=UNLISTED)
    assert (entry.cost, entry.cost_basis) == (None, "unpriced")


def test_a_ledger_that_does_not_enforce_assumes_no_price_of_zero(opened):
    with opened(enforce=False) as ledger:
        hold = ledger.hold("alice", model=UNLISTED, text="hello", max_output_tokens=5)
        with pytest.warns(UnpricedWarning):
            assert hold.settle(usage=USAGE).cost_basis == "unpriced"


# -- the real cost ----------------------------------------------------------------------------


def test_adjust_states_the_difference(ledger):
    entry = assumed(ledger.hold("alice", "0.30", model=UNLISTED), {"model": UNLISTED})
    ledger.adjust(entry, "-0.25", reason="as billed")
    balance = ledger.balance("alice")
    assert (balance.posted, balance.assumed) == (Decimal("0.05"), 0)


def test_reprice_prices_reported_usage_and_records_the_difference(ledger, clock):
    ledger.set_budget("team", 100)
    ledger.set_parent("alice", "team")
    entry = assumed(ledger.hold("alice", "0.30", model=UNLISTED), usage=Usage(10_000, 5_000))
    unknown = assumed(ledger.hold("alice", "0.20", model=UNLISTED), {"model": UNLISTED})
    assert [ledger.balance(one).assumed for one in ("alice", "team")] == [Decimal("0.50")] * 2
    ledger.set_price(UNLISTED, input=1, output=2, effective_at=entry.recorded_at)
    (found,) = ledger.reprice("team")
    assert (found.entry.id, found.cost, found.adjustment) == (entry.id, Decimal("0.02"), None)
    (done,) = ledger.reprice(dry_run=False)
    assert (done.cost, done.adjustment.cost) == (Decimal("0.02"), Decimal("-0.28"))
    assert (done.adjustment.corrects_id, done.adjustment.price_source) == (entry.id, "own price 1")
    assert ledger.reprice(dry_run=False) == []
    balance = ledger.balance("alice")
    assert (balance.posted, balance.assumed) == (Decimal("0.22"), unknown.cost)


def test_an_adjustment_of_a_budgets_window_may_be_read_as_of_before(ledger, clock):
    entry = assumed(ledger.hold("alice", "0.30", model=UNLISTED), {"model": UNLISTED})
    before = clock.now
    clock.advance(hours=1)
    ledger.adjust(entry, "-0.25", reason="as billed")
    assert ledger.balance("alice", as_of=before).assumed == Decimal("0.30")


# -- keys -------------------------------------------------------------------------------------


def test_a_key_compares_what_was_passed_and_not_what_was_assumed(ledger):
    hold = ledger.hold("alice", "0.30", tokens=10, model=UNLISTED)
    entry = assumed(hold, {"model": UNLISTED}, key="s1")
    assert assumed(hold, {"model": UNLISTED}, key="s1") == entry
    with pytest.raises(IdempotencyConflict):
        hold.settle("0.30", key="s1")
    hold = ledger.hold("alice", "0.30", model=UNLISTED)
    entry = assumed(hold, usage=USAGE, key="s2")
    ledger.set_price(UNLISTED, input=1, output=1)
    assert assumed(hold, usage=USAGE, key="s2") == entry  # though its price is known by now
    with pytest.raises(IdempotencyConflict):
        hold.settle(usage=Usage(10, 6), key="s2")


def test_a_key_of_a_hold_does_not_compare_the_output_that_was_assumed(opened):
    opened().set_budget("alice", 1)
    hold = opened(default_output_tokens=100).hold("alice", **HELLO, key="h")
    again = opened(default_output_tokens=50).hold("alice", **HELLO, key="h")
    assert again.id == hold.id
    with pytest.raises(IdempotencyConflict):
        opened().hold("alice", **HELLO, max_output_tokens=100, key="h")


# -- answers that say the call failed ---------------------------------------------------------


@pytest.mark.parametrize("answer", FAILURES, ids=lambda answer: str(answer)[:30])
@pytest.mark.parametrize("model", [None, "gpt-4o"])
def test_an_answer_that_says_the_call_failed_releases_the_hold(ledger, answer, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ledger.hold("alice", "0.30", model=model) as hold:
            entry = hold.settle(answer)
    assert (entry.kind, entry.hold_id, hold.closed_by) == ("release", hold.id, entry)
    assert stand(ledger) == (0, 0, 10)
    assert hold.settle("0.1").cost == Decimal("0.1")  # a cost after a release is recorded


def test_a_failed_answer_after_the_settle_changes_nothing_and_has_its_own_key(ledger):
    hold = ledger.hold("alice", "0.30")
    entry = hold.settle("0.1")
    assert hold.settle(FAILURES[0]) == entry
    hold = ledger.hold("alice", "0.30")
    first = hold.settle(FAILURES[0], key="r")
    assert hold.settle(FAILURES[0], key="r") == first
    assert stand(ledger)[:2] == (Decimal("0.1"), 0)


@pytest.mark.parametrize(
    "answer",
    [
        FAILURES[2] | {"usage": {"input_tokens": 1000, "output_tokens": 200}},
        {"error": {"message": "cut"}, "model": "gpt-4o", "usage": RESPONSE["usage"]},
    ],
)
def test_a_failed_answer_with_usage_was_paid(ledger, answer):
    assert ledger.hold("alice", 1, model="gpt-4o").settle(answer).cost == RESPONSE_COST


def test_a_failed_answer_with_text_is_assumed(ledger):
    answer = {"model": "gpt-4o", "error": {"message": "cut"}, "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Once upon"}}]}  # fmt: skip
    assumed(ledger.hold("alice", 1, model="gpt-4o"), answer)


def test_what_is_no_answer_is_still_refused(ledger):
    hold = ledger.hold("alice", 1)
    with pytest.raises(UnreadableResponse):
        hold.settle({"foo": 1})
    with pytest.raises(InvalidAmount):
        hold.settle("much")
    assert hold.release().kind == "release"
    with pytest.raises(HoldAlreadyClosed):
        hold.release()


# -- warnings ---------------------------------------------------------------------------------


def test_warnings_name_a_model_and_a_cause_and_no_row(ledger):
    texts = set()
    for _ in range(3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ledger.hold("alice", "0.10", model=UNLISTED).settle(usage=USAGE)
            ledger.hold("alice", "0.10", model=UNLISTED).settle({"model": UNLISTED})
            ledger.hold("alice", 0, model=UNLISTED).settle(usage=USAGE)
            ledger.charge("alice", usage=USAGE, model=UNLISTED)
        texts |= {str(warning.message) for warning in caught}
    assert len(texts) == 3
    assert all(UNLISTED in text and "adjust" in text for text in texts)


# -- how it shows -----------------------------------------------------------------------------


def test_the_views_tell_it_apart(ledger, database):
    first = assumed(ledger.hold("alice", "0.30", model=UNLISTED), usage=USAGE)
    assumed(ledger.hold("alice", "0.20", model=UNLISTED), usage=USAGE)
    with pytest.warns(UnpricedWarning):
        ledger.charge("alice", usage=USAGE, model=UNLISTED)
    ledger.charge("alice", cost="0.05", model="m")
    ledger.adjust(first, "0.01", reason="as billed")
    rows = database.sql("SELECT cost_basis, assumed, unpriced FROM spend ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("assumed", 0, 0), ("assumed", 1, 0), ("unpriced", 0, 1), ("stated", 0, 0),
        ("stated", 0, 0),
    ]  # fmt: skip
    for view in ("spend_by_day", "spend_by_model"):
        rows = database.sql(f"SELECT sum(cost_usd), sum(assumed_usd) FROM {view}")
        assert [round(figure, 9) for figure in rows[0]] == [0.56, 0.2]


def test_balances_and_entries_say_it(ledger):
    entry = assumed(ledger.hold("alice", "0.30", model=UNLISTED), usage=USAGE)
    assert "assumed" in repr(entry)
    assert "0.30 USD assumed" in repr(ledger.balance("alice"))
    assert "assumed" in entry._repr_html_()
    assert "assumed" in ledger.balance("alice")._repr_html_()
