"""Default budgets: set for a kind of account, applied once, by a row of the account."""

import warnings
from decimal import Decimal

import pytest

from budgetledger import BudgetExceededError, BudgetManager
from budgetledger.errors import InvalidInput, UnboundedWarning, UnknownAccount

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.UnboundedWarning")


@pytest.fixture
def ledger(opened):
    """A ledger without budgets."""
    return opened()


def names(ledger, account):
    return [budget.name for budget in ledger.budgets(account)]


def test_a_new_account_gets_the_default_at_its_first_hold(ledger):
    default = ledger.set_default_budget(5, per="day")
    assert (default.kind, default.limit, default.period.per) == ("user", 5, "day")

    ledger.hold("alice", 3)

    (budget,) = ledger.budgets("alice")
    assert (budget.name, budget.limit, budget.period.per) == ("standard", 5, "day")
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", 3)
    assert refused.value.budget.name == "standard"
    assert ledger.verify().ok


def test_the_first_hold_that_it_refuses_leaves_no_row(ledger):
    ledger.set_default_budget(5)
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", 6)
    assert ledger.accounts() == []
    assert not ledger.can_afford("alice", 6)
    assert ledger.can_afford("alice", 5)
    assert ledger.accounts() == []


def test_a_charge_that_opens_an_account_counts_in_its_default_budget(ledger):
    ledger.set_default_budget(5, per="day", alert_at=[0.5])
    with warnings.catch_warnings(action="error"):
        ledger.charge("alice", cost=4)
    assert ledger.balance("alice").available == 1
    assert [alert.budget for alert in ledger.alerts("alice")] == ["standard"]


def test_a_charge_with_a_key_that_is_repeated_applies_it_once(ledger):
    ledger.set_default_budget(5)
    for _ in range(2):
        ledger.charge("alice", cost=4, key="k")
    assert ledger.balance("alice").available == 1
    assert [entry.kind for entry in ledger.entries("alice")] == ["budget", "charge"]


def test_an_account_that_spent_before_gets_it_at_its_next_charge(ledger, clock):
    with warnings.catch_warnings(action="ignore"):
        ledger.charge("alice", cost=4)
    ledger.set_default_budget(5)
    clock.advance(minutes=1)
    ledger.charge("alice", cost=4)
    assert ledger.balance("alice").available == -3
    assert names(ledger, "alice") == ["standard"]


def test_an_account_that_ever_had_a_budget_gets_none(ledger):
    ledger.set_budget("alice", 100)
    ledger.set_budget("bob", 100)
    ledger.remove_budget("bob", "usd")
    ledger.set_default_budget(5)
    ledger.hold("alice", 50)
    ledger.charge("bob", cost=50)
    assert (names(ledger, "alice"), names(ledger, "bob")) == (["usd"], [])


def test_a_default_budget_that_was_removed_from_an_account_does_not_come_back(ledger):
    ledger.set_default_budget(5)
    ledger.charge("alice", cost=1)
    ledger.remove_budget("alice", "standard")
    ledger.charge("alice", cost=1)
    assert names(ledger, "alice") == []


def test_an_explicit_budget_ends_it(ledger):
    ledger.set_default_budget(5, alert_at=[0.1])
    ledger.charge("alice", cost=1)
    ledger.set_budget("alice", tokens=1000, per="day")
    assert names(ledger, "alice") == ["tokens/day"]
    assert [alert.state for alert in ledger.alerts("alice")] == ["alert", "resolve"]
    assert ledger.verify().ok


def test_one_that_was_revised_by_its_name_stays_beside_others(ledger):
    ledger.set_default_budget(5)
    ledger.charge("alice", cost=1)
    ledger.set_budget("alice", 7, name="standard")
    ledger.set_budget("alice", tokens=1000)
    assert names(ledger, "alice") == ["standard", "tokens"]


def test_budget_manager_does_not_see_it_and_create_budget_ends_it(ledger):
    manager = BudgetManager(ledger.project, ledger=ledger)
    manager.set_default_budget(5, "daily")
    ledger.charge("alice", cost=1)
    assert not manager.is_valid_user("alice")
    assert manager.get_users() == []

    manager.create_budget(10, "alice")

    assert manager.get_users() == ["alice"]
    assert names(ledger, "alice") == ["default"]
    assert manager.get_current_cost("alice") == 1
    manager.remove_default_budget()
    assert ledger.default_budgets() == []


@pytest.mark.parametrize(
    "account", ["*", "tag:feature=search", "team:research", "key:app", "proxy:master"]
)
def test_it_is_for_accounts_of_its_kind_alone(ledger, account):
    ledger.set_default_budget(5)
    with warnings.catch_warnings(action="ignore"):
        ledger.charge(account, cost=1)
    assert names(ledger, account) == []


@pytest.mark.parametrize("account", ["alice", "user:alice", "key:app/alice", "a/b"])
def test_users_are_bare_names_and_those_below_a_key(ledger, account):
    ledger.set_default_budget(5)
    ledger.charge(account, cost=1)
    assert names(ledger, account) == ["standard"]


def test_a_team_gets_that_of_its_kind_when_a_member_spends(ledger):
    ledger.set_default_budget(5)
    ledger.set_default_budget(8, kind="team")
    ledger.set_parent("alice", "team:research")
    ledger.set_parent("bob", "team:research")
    ledger.hold("alice", 5)
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("bob", 4)
    assert refused.value.account == "team:research"
    assert ledger.balance("team:research").available == 3
    assert ledger.verify().ok


def test_a_user_above_another_account_gets_none_for_what_that_one_spends(ledger):
    """The owner of a key, behind the Proxy."""
    ledger.set_default_budget(5)
    ledger.set_budget("key:app", 100)
    ledger.set_parent("key:app", "bob")
    ledger.charge("key:app", cost=50)
    assert names(ledger, "bob") == []
    ledger.charge("bob", cost=1)
    assert names(ledger, "bob") == ["standard"]


def test_it_is_found_below_a_parent_that_has_room(ledger):
    ledger.set_budget("team:research", 100)
    ledger.set_parent("alice", "team:research")
    ledger.hold("alice", 50).settle(10)
    ledger.set_default_budget(5)
    assert not ledger.can_afford("alice", 6)
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", 6)


def test_a_revised_default_is_for_accounts_that_have_none_yet(ledger):
    ledger.set_default_budget(5)
    ledger.charge("alice", cost=1)
    ledger.set_default_budget(7, per="month", timezone="Asia/Tokyo", week_start="sunday")
    ledger.charge("alice", cost=1)
    ledger.charge("bob", cost=1)
    assert ledger.balance("alice").limit == 5
    (budget,) = ledger.budgets("bob")
    assert (budget.limit, budget.period.timezone) == (7, "Asia/Tokyo")


def test_a_removed_default_leaves_the_budgets_it_gave(ledger):
    ledger.set_default_budget(5)
    ledger.charge("alice", cost=1)
    ledger.remove_default_budget()
    with pytest.warns(match="has no budget"):
        ledger.charge("bob", cost=1)
    assert (names(ledger, "alice"), names(ledger, "bob")) == (["standard"], [])
    with pytest.raises(UnknownAccount, match="has no budget"):
        ledger.hold("carol", 1)
    with pytest.raises(UnknownAccount, match="no default budget of kind 'user'"):
        ledger.remove_default_budget()
    assert ledger.verify().ok


def test_defaults_are_of_one_project_and_listed_by_kind(ledger, opened):
    ledger.set_default_budget(5, per="day")
    ledger.set_default_budget(tokens=1000, kind="team", per="week", model="gpt-4o")
    other = opened(project="other")
    assert other.default_budgets() == []
    assert [(one.kind, one.limit) for one in ledger.default_budgets()] == [
        ("team", 1000),
        ("user", 5),
    ]
    with pytest.warns(match="has no budget"):
        other.charge("alice", cost=1)


def test_the_same_default_again_writes_no_row(ledger, database):
    for _ in range(2):
        ledger.set_default_budget(5, per="day")
    assert database.sql("SELECT count(*) FROM default_budget_revisions") == [(1,)]


def test_it_is_set_by_another_process_while_this_one_charges(ledger, opened):
    other = opened()
    with warnings.catch_warnings(action="ignore"):
        for _ in range(3):
            ledger.charge("alice", cost=1)  # by what is remembered
    other.set_default_budget(5)
    ledger.charge("alice", cost=1)
    assert names(ledger, "alice") == ["standard"]
    ledger.charge("alice", cost=1)
    assert ledger.balance("alice").available == 0


def test_an_anchor_at_creation_is_the_account_s_own(ledger, clock):
    ledger.set_default_budget(5, per="day", anchor="creation")
    clock.advance(hours=5)
    ledger.charge("alice", cost=1)
    created_us = clock()
    clock.advance(hours=1)
    ledger.charge("alice", cost=1)
    assert ledger.budgets("alice")[0].period.anchor_us == created_us
    assert ledger.balance("alice").posted == 2


def test_a_budget_of_a_model_limits_that_model(ledger):
    ledger.set_default_budget(5, model="gpt-4o")
    ledger.charge("alice", cost=4, model="openai/gpt-4o")
    ledger.hold("alice", 50, model="o3")
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", 2, model="gpt-4o")


def test_a_ledger_that_observes_gives_it_too(opened):
    lenient = opened(enforce=False)
    lenient.set_default_budget(5)
    hold = lenient.hold("alice", 6)
    assert isinstance(hold.refusal, BudgetExceededError)
    assert names(lenient, "alice") == ["standard"]


def test_setting_one_warns_unless_something_limits_all_names_together(ledger):
    with pytest.warns(UnboundedWarning, match="each new name"):
        ledger.set_default_budget(5)
    ledger.set_budget("alice", 1)
    with pytest.warns(UnboundedWarning):
        ledger.set_default_budget(6)
    ledger.set_budget("team:research", 100)
    ledger.set_parent("bob", "team:research")
    with warnings.catch_warnings(action="error"):
        ledger.set_default_budget(7)
    ledger.remove_budget("team:research", "usd")
    ledger.set_budget("*", 100)
    with warnings.catch_warnings(action="error"):
        ledger.set_default_budget(8)


def test_a_default_needs_a_limit(ledger):
    with pytest.raises(InvalidInput, match=r"a default budget limits one thing: pass a limit"):
        ledger.set_default_budget(per="day")
    assert ledger.default_budgets() == []


@pytest.mark.parametrize("kind", ["tag", "*", "team:", "", "a:b", 5])
def test_kinds_that_no_account_can_have_are_refused(ledger, kind):
    with pytest.raises(InvalidInput):
        ledger.set_default_budget(5, kind=kind)
    assert ledger.default_budgets() == []


def test_it_shows_its_terms_at_a_prompt(ledger):
    default = ledger.set_default_budget(Decimal("5"), per="day")
    assert repr(default) == "DefaultBudget('user', 5.00 USD per day (UTC))"
