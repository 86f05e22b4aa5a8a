"""What a ledger remembers of its own rows between writes is right, whoever else writes.

Each test charges an account often enough that the ledger knows its last row, lets something
happen to that knowledge, and charges on: a wrong last row breaks the chain and the totals.
"""

import sqlite3

import pytest

from budgetledger import Ledger
from budgetledger.errors import BudgetExceededError
from budgetledger.journal.drafts import draft_charge
from budgetledger.verbs.charging import charging


@pytest.fixture
def ledger(database):
    with Ledger(database.target) as ledger:
        ledger.set_budget("alice", 1000)
        for _ in range(3):
            ledger.charge("alice", cost=1, model="gpt-4o")
        yield ledger


@pytest.fixture
def other(database, ledger):
    with Ledger(database.target) as other:
        yield other


def spent(ledger, account="alice"):
    """What the account has spent, all witnesses agreeing."""
    verification = ledger.verify()
    assert verification.problems == ()
    posted = ledger.balance(account).posted
    assert sum(ledger.model_costs(account).values()) == posted
    return posted


def test_two_ledgers_on_one_account_take_turns(ledger, other):
    for _ in range(3):
        other.charge("alice", cost=2, model="gpt-4o")
        ledger.charge("alice", cost=3, model="gpt-4o")
        ledger.charge("alice", cost=4, model="gpt-4o")
    assert spent(ledger) == 3 + 3 * 9


def test_another_changes_the_model_in_between(ledger, other):
    other.charge("alice", cost=2, model="o3")
    ledger.charge("alice", cost=3, model="gpt-4o")
    ledger.charge("alice", cost=4, model="o3")
    assert ledger.model_costs("alice") == {"gpt-4o": 6, "o3": 6}
    assert spent(ledger) == 12


@pytest.fixture(params=["this", "another"])
def whoever(request, ledger, other):
    """The ledger that knows the account's last row, or another."""
    return ledger if request.param == "this" else other


def test_the_project_gets_an_account_of_its_own(ledger, whoever):
    whoever.set_budget("*", 1000)
    for _ in range(3):
        ledger.charge("alice", cost=5, model="gpt-4o")
    assert spent(ledger, "*") == 18  # with what was before
    assert spent(ledger) == 18


def test_the_account_is_put_under_a_team(ledger, whoever):
    whoever.set_parent("alice", "team:research")
    for _ in range(3):
        ledger.charge("alice", cost=5, model="gpt-4o")
    assert spent(ledger, "team:research") == 15


def test_alerts_are_asked_for(ledger, whoever):
    whoever.set_budget("alice", 10, alert_at=[0.5, 0.8])
    for _ in range(3):
        ledger.charge("alice", cost=2, model="gpt-4o")
    raised = [entry.kind for entry in ledger.entries("alice")]
    assert raised[-5:] == ["charge", "alert", "charge", "charge", "alert"]
    assert spent(ledger) == 9


def test_rows_that_were_undone_are_forgotten(ledger):
    draft = draft_charge(
        None, 7, "gpt-4o", None, None, None, None, ledger._journal.clock, ledger._journal.prices
    )

    def fail_after_a_row(tx):
        charging(ledger._journal, "alice", draft)(tx)
        raise LookupError

    with pytest.raises(LookupError):
        ledger._journal.write(fail_after_a_row)
    ledger.charge("alice", cost=5, model="gpt-4o")
    assert spent(ledger) == 8


def test_a_refused_hold_leaves_nothing_to_follow(ledger):
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", 5000, model="gpt-4o")
    ledger.charge("alice", cost=5, model="gpt-4o")
    assert spent(ledger) == 8


def test_a_row_removed_by_hand_is_not_followed(tmp_path):
    """The next row follows what is there: what is gone shows as such, and nothing else does."""
    path = tmp_path / "spend.db"
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 1000)
        for _ in range(3):
            ledger.charge("alice", cost=1, model="gpt-4o")
        by_hand = sqlite3.connect(path, isolation_level=None)
        by_hand.execute("DROP TRIGGER entries_no_delete")
        by_hand.execute("DELETE FROM entries WHERE id = 4")
        by_hand.close()
        entry = ledger.charge("alice", cost=5, model="gpt-4o")
        assert (entry.id, ledger.balance("alice").posted) == (4, 7)
