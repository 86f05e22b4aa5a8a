"""Holds under frozen accounts and parents, and how others see them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hold_checks import granted, kinds, refused, stand
from samples import HELLO, RESPONSE, START

from budgetledger import BudgetManager
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    HoldAlreadyClosed,
    InvalidInput,
    InvalidName,
    UnknownAccount,
)

# -- frozen ---------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", ["alice", "team", "*"])
def test_a_frozen_account_takes_no_holds_and_records_costs(ledger, frozen):
    ledger.set_budget("*", 100)
    ledger.set_budget("other", 100)
    ledger.set_parent("alice", "team")
    hold = ledger.hold("alice", 4)
    ledger.freeze(frozen, reason="under review")
    for amount in (1, 0):
        with pytest.raises(AccountFrozen) as caught:
            ledger.hold("alice", amount)
        assert not ledger.can_afford("alice", amount)
    error = caught.value
    assert (error.account, error.project) == (frozen, "default")
    assert str(error) == (
        f"account {frozen!r} is frozen (under review); unfreeze {frozen!r} to allow calls again"
    )
    assert ledger.can_afford("other", 1) == (frozen != "*")
    hold.extend(60)
    hold.settle(2)
    ledger.charge("alice", cost=1)
    assert stand(ledger, "*")[0] == 3
    ledger.unfreeze(frozen)
    granted(ledger, "alice", 1)


def test_freezing_twice_writes_one_row(ledger):
    for _ in range(2):
        ledger.freeze("alice")
    for _ in range(2):
        ledger.unfreeze("alice", reason="paid")
    assert kinds(ledger) == ["budget", "freeze", "unfreeze"]
    assert list(ledger.entries("alice"))[-1].note == "paid"
    for call in (ledger.freeze, ledger.unfreeze):
        with pytest.raises(UnknownAccount):
            call("nobody")
        with pytest.raises(InvalidName, match=r"^reason "):
            call("alice", reason="")


def test_the_lowest_frozen_account_is_told(ledger):
    ledger.set_parent("alice", "team")
    ledger.freeze("team")
    ledger.freeze("alice")
    with pytest.raises(AccountFrozen, match="'alice' is frozen; unfreeze 'alice'"):
        ledger.hold("alice", 1)


# -- parents --------------------------------------------------------------------------------


@pytest.fixture
def family(ledger):
    """alice (10 a month) and bob under team (20), under org (30), in a project (40)."""
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        ledger.set_budget(name, limit)
    ledger.set_parent("team", "org")
    for name in ("alice", "bob"):
        ledger.set_parent(name, "team")
    return ledger


def test_what_is_held_and_spent_counts_above_once(family, database):
    hold = granted(family, "alice", 4, tags={"a": 1}, model="m")
    granted(family, "bob", 3)
    assert stand(family) == (0, 4, 6)
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        assert stand(family, name) == (0, 7, limit - 7)
        assert [one.account for one in family.holds(name)] == ["alice", "bob"]
    entry = hold.settle("1.50")
    for name, limit in (("team", 20), ("org", 30), ("*", 40)):
        assert stand(family, name) == (Decimal("1.50"), 3, limit - Decimal("4.50"))
        assert family.model_costs(name) == {"m": Decimal("1.50")}
        (row,) = [one for one in family.entries(name) if one.kind == "settle"]
        assert (row.origin_id, row.account, row.cost) == (entry.id, name, entry.cost)
        assert (row.hold_id, row.tags, row.requests) == (hold.id, {"a": 1}, 1)
    assert [one for one in family.entries() if one.kind == "settle"] == [entry]
    assert database.sql("SELECT account, cost_usd FROM spend") == [("alice", 1.5)]


def test_a_release_frees_all_levels(family):
    with family.hold("alice", 4):
        pass
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {0}


def test_a_deadline_is_moved_on_all_levels(family, clock):
    hold = family.hold("alice", 4, expires_in=60)
    hold.extend(120)
    clock.advance(seconds=119)
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {4}
    clock.advance(seconds=1)
    assert {stand(family, name)[1] for name in ("alice", "team", "org", "*")} == {0}
    family.hold("bob", 20)
    assert kinds(family)[-1] == "expire"  # written down for alice by her sibling's hold


def test_an_account_moves_with_its_holds_left_behind(family):
    family.set_budget("crew", 5)
    hold = family.hold("alice", 4)
    family.set_parent("alice", "crew")
    assert (stand(family, "team")[1], stand(family, "crew")[1]) == (4, 0)
    family.hold("alice", 3)
    assert (stand(family, "team")[1], stand(family, "crew")[1], stand(family)[1]) == (4, 3, 7)
    assert stand(family, "*")[1] == 7
    hold.settle(2)  # spent where it was granted
    assert stand(family, "team") == (2, 0, 18)
    assert stand(family, "crew") == (0, 3, 2)
    family.set_parent("alice", None)
    family.charge("alice", cost=1)
    assert (stand(family, "crew")[0], stand(family)[0], stand(family, "*")[0]) == (0, 3, 3)
    assert family.verify().ok


def test_a_correction_goes_where_the_cost_went(family):
    family.set_budget("crew", 5)
    entry = family.charge("alice", cost=4)
    family.set_parent("alice", "crew")
    family.adjust(entry, -4, reason="credit")
    assert stand(family, "crew") == (0, 0, 5)
    assert stand(family, "team")[0] == 0


def test_a_budget_of_the_project_set_later_counts_what_was_before(ledger):
    hold = ledger.hold("alice", 4)
    ledger.charge("alice", cost=1)
    ledger.set_budget("*", 5)
    assert stand(ledger, "*") == (1, 4, 0)
    hold.settle(2)
    assert stand(ledger, "*") == (3, 0, 2)


@pytest.mark.parametrize(
    ("account", "parent"),
    [("team", "alice"), ("team", "team"), ("org", "alice"), ("org", "bob"), ("x", "x")],
)
def test_no_cycles(family, account, parent):
    before = list(family.entries()), family.accounts()
    with pytest.raises(InvalidInput, match="cycle"):
        family.set_parent(account, parent)
    assert (list(family.entries()), family.accounts()) == before


@pytest.mark.parametrize(("account", "parent"), [("*", "team"), ("alice", "*"), ("*", None)])
def test_the_project_has_no_parent_and_is_nobodys(family, account, parent):
    with pytest.raises(InvalidInput, match="'\\*' is the project itself"):
        family.set_parent(account, parent)


@pytest.mark.parametrize("parent", ["", "\ud800", 7])
def test_a_bad_parent_is_refused(ledger, parent):
    with pytest.raises(InvalidName, match=r"^parent "):
        ledger.set_parent("alice", parent)
    assert len(ledger.accounts()) == 1


def test_the_parent_an_account_has_already_writes_no_row(family):
    before = list(family.entries())
    family.set_parent("alice", "team")
    family.set_parent("org", None)
    assert list(family.entries()) == before


def test_holds_on_the_project_itself(family):
    granted(family, "*", 40)
    assert stand(family, "*") == (0, 40, 0)
    assert refused(family, "alice", 1).account == "*"


# -- looking and not deciding ---------------------------------------------------------------


def test_holds_that_others_left_behind(ledger, opened):
    first = ledger.hold("alice", 4, model="m", tags={"a": 1}, expires_in=60)
    second = ledger.hold("alice", 1)
    first.extend(90)
    found = opened().holds("alice")
    assert [one.id for one in found] == [first.id, second.id]
    assert (found[0].amount, found[0].model, found[0].expires_at) == (4, "m", first.expires_at)
    found[0].release()
    assert (stand(ledger)[1], [one.id for one in ledger.holds("alice")]) == (1, [second.id])
    assert found[1].settle("0.5").cost == Decimal("0.5")
    with pytest.raises(HoldAlreadyClosed):
        second.settle("0.5")
    assert ledger.holds("alice") == []
    with pytest.raises(UnknownAccount):
        ledger.holds("nobody")


def test_a_past_balance_leaves_out_what_is_held(ledger, clock):
    ledger.charge("alice", cost=1)
    ledger.hold("alice", 4)
    clock.advance(minutes=5)
    for past in ({"at": START - timedelta(days=31)}, {"as_of": START}):
        balance = ledger.balance("alice", **past)
        assert balance.held == balance.budgets[0].held == 0
    assert ledger.balance("alice", at=START).held == 4  # the same window is active still
    assert stand(ledger) == (1, 4, 5)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=1)])
def test_a_balance_at_a_moment_not_past_minds_what_is_held(ledger, clock, ahead):
    ledger.hold("alice", 4)
    balance = ledger.balance("alice", at=clock.now + ahead)
    assert (balance.held, balance.available) == (4, 6)


def test_what_is_held_without_a_budget_of_its_own(family):
    family.hold("bob", 3)
    balance = family.balance("bob")
    assert (balance.held, balance.limit, balance.available) == (3, None, None)


def test_a_ledger_that_does_not_enforce(opened):
    ledger = opened(enforce=False)
    ledger.set_budget("alice", 10)
    assert ledger.hold("alice", 8).refusal is None
    hold = ledger.hold("alice", **HELLO, max_output_tokens=300_000)
    error = hold.refusal
    assert (type(error), error.available, error.requested) == (
        BudgetExceededError, 2, Decimal("3.00002"),
    )  # fmt: skip
    assert error.largest_output == 199_998
    assert hold.entry.note == f"would have been refused: {error}"
    assert "least_available" not in error.__dict__
    ledger.freeze("alice", reason="x" * 500)
    hold = ledger.hold("alice", 0)
    assert isinstance(hold.refusal, AccountFrozen)
    assert (len(hold.entry.note), hold.entry.note[:23]) == (500, "would have been refused")
    assert stand(ledger) == (0, Decimal("11.00002"), Decimal("-1.00002"))
    hold.settle(1)
    ledger.unfreeze("alice")
    refused(opened(), "alice", 1)


def test_projects_do_not_see_each_others_holds(opened):
    one, two = opened(project="one"), opened(project="two")
    for ledger in (one, two):
        ledger.set_budget("alice", 10)
        ledger.set_budget("*", 10)
    first = one.hold("alice", 10, key="k")
    second = granted(two, "alice", 10, key="k")
    assert first.id != second.id
    assert refused(one, "alice", 1).project == "one"
    one.freeze("*")
    second.release()
    granted(two, "alice", 10)
    assert [hold.id for hold in one.holds("*")] == [first.id]


def test_names_in_any_script(opened):
    ledger = opened(project="проект")
    ledger.set_budget("команда", 5, name="预算")
    ledger.set_parent("张伟", "команда")
    hold = ledger.hold("张伟", 4, model="modèle", key="ключ", tags={"名": "值"})
    error = refused(ledger, "张伟", 2)
    assert "budget '预算' of 'команда' refuses 2.00 USD" in str(error)
    assert ledger.hold("张伟", 4, model="modèle", key="ключ").id == hold.id
    assert hold.settle(1).tags == {"名": "值"}
    assert ledger.model_costs("команда") == {"modèle": 1}


def test_the_manager_sees_what_is_settled(opened):
    ledger = opened(project="my-app")
    manager = BudgetManager("my-app", ledger=ledger)
    manager.create_budget(10, "alice")
    hold = ledger.hold("alice", 4, model="gpt-4o")
    assert manager.get_current_cost("alice") == 0
    hold.settle(RESPONSE)
    assert manager.get_current_cost("alice") == 0.0045
    assert manager.get_model_cost("alice") == {"gpt-4o": 0.0045}
    assert manager.user_dict["alice"]["total_budget"] == 10
