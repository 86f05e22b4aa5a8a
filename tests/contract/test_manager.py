"""BudgetManager against LiteLLM's documentation, its users' code and its known defects."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import litellm
import pytest

from budgetledger import BudgetManager, Ledger, count_tokens
from budgetledger.errors import (
    BudgetExceededError,
    InvalidAmount,
    InvalidInput,
    InvalidName,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedModel,
    UnpricedWarning,
)

HELLO = [{"role": "user", "content": "Hey, how's it going?"}]


@pytest.fixture
def manager(database, monkeypatch):
    monkeypatch.setenv("BUDGETLEDGER_DB", str(database.target))
    opened = BudgetManager(project_name="test_project")
    yield opened
    opened.ledger.close()


@pytest.fixture
def timed(database, clock):
    with Ledger(database.target, clock=clock) as ledger:
        yield BudgetManager("test_project", ledger=ledger)


def completion(text="fine, thanks", model="gpt-3.5-turbo"):
    return litellm.completion(model=model, messages=HELLO, mock_response=text)


# The programs of the documentation page, as they stand there but for the import line (and
# mock_response, so that no provider is called).

QUICK_USER_BUDGET = """
from budgetledger import BudgetManager
from litellm import completion

budget_manager = BudgetManager(project_name="test_project")

user = "1234"

# create a budget if new user user
if not budget_manager.is_valid_user(user):
    budget_manager.create_budget(total_budget=10, user=user)

# check if a given call can be made
if budget_manager.get_current_cost(user=user) <= budget_manager.get_total_budget(user):
    response = completion(model="gpt-3.5-turbo", messages=[{"role": "user", "content": "Hey, how's it going?"}], mock_response="ok")
    budget_manager.update_cost(completion_obj=response, user=user)
else:
    response = "Sorry - no budget!"
"""

TEXT_INPUT_OUTPUT = """
from budgetledger import BudgetManager

budget_manager = BudgetManager(project_name="test_project")
user = "12345"
budget_manager.create_budget(total_budget=10, user=user, duration="daily")

input_text = "hello world"
output_text = "it's a sunny day in san francisco"
model = "gpt-3.5-turbo"

budget_manager.update_cost(user=user, model=model, input_text=input_text, output_text=output_text) # 👈
print(budget_manager.get_current_cost(user))
"""

DURATION_BUDGET = """
from budgetledger import BudgetManager
from litellm import completion

budget_manager = BudgetManager(project_name="<my-unique-project>", client_type="local")

user = "1234"

# create a budget if new user user
if not budget_manager.is_valid_user(user):
    budget_manager.create_budget(total_budget=10, user=user, duration="monthly") # 👈 duration = 'daily'/'weekly'/'monthly'/'yearly'

# check if a given call can be made
if budget_manager.get_current_cost(user=user) <= budget_manager.get_total_budget(user):
    response = completion(model="gpt-3.5-turbo", messages=[{"role": "user", "content": "Hey, how's it going?"}], mock_response="ok")
    budget_manager.update_cost(completion_obj=response, user=user)
else:
    response = "Sorry - no budget!"
"""


def run(program, tmp_path):
    environment = {
        **os.environ,
        "BUDGETLEDGER_DB": str(tmp_path / "ledger.db"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("program", "project", "user", "runs"),
    [
        (QUICK_USER_BUDGET, "test_project", "1234", 2),
        (TEXT_INPUT_OUTPUT, "test_project", "12345", 2),
        (DURATION_BUDGET, "<my-unique-project>", "1234", 1),  # each imports litellm in seconds
    ],
    ids=["quick", "text", "duration"],
)
def test_documented_programs_run_and_their_spend_survives_restarts(
    program, project, user, runs, tmp_path
):
    for _ in range(runs):
        run(program, tmp_path)
    with Ledger(tmp_path / "ledger.db", project=project) as ledger:
        charges = [entry for entry in ledger.entries(user) if entry.kind == "charge"]
        assert len(charges) == runs
        assert ledger.balance(user).posted == charges[0].cost * runs > 0
        assert ledger.balance(user).limit == 10
    assert not (tmp_path / "user_cost.json").exists()


def test_text_costs_what_litellm_says(manager):
    manager.create_budget(10, "u")
    texts = ("hello world", "it's a sunny day in san francisco")
    manager.update_cost(user="u", model="gpt-3.5-turbo", input_text=texts[0], output_text=texts[1])
    tokens = [
        litellm.token_counter(model="gpt-3.5-turbo", messages=[{"role": "user", "content": text}])
        for text in texts
    ]
    expected = sum(
        litellm.cost_per_token(
            model="gpt-3.5-turbo", prompt_tokens=tokens[0], completion_tokens=tokens[1]
        )
    )
    assert manager.get_current_cost("u") == pytest.approx(expected, rel=1e-12)


def test_response_costs_what_litellm_says(manager):
    manager.create_budget(10, "u")
    response = completion()
    manager.update_cost("u", response)
    expected = litellm.completion_cost(response)
    assert manager.get_current_cost("u") == pytest.approx(expected, rel=1e-12)
    assert manager.get_model_cost("u") == {"gpt-3.5-turbo": pytest.approx(expected, rel=1e-12)}


@pytest.mark.parametrize(
    "call",
    [
        lambda m, r: m.update_cost("u", r),
        lambda m, r: m.update_cost(r, "u"),
        lambda m, r: m.update_cost(completion_obj=r, user="u"),
        lambda m, r: m.update_cost(user="u", model="ignored", completion_obj=r),
        lambda m, r: m.update_cost("u", completion_obj=r.model_dump()),
        lambda m, r: m.update_cost(r.model_dump(), "u"),
    ],
    ids=["positional", "as-documented", "keywords", "with-model", "dict", "dict-first"],
)
def test_every_call_form_found_in_the_wild_records_the_same(manager, call):
    manager.create_budget(10, "u")
    returned = call(manager, completion("four words in here"))
    assert returned == {"user": manager.user_dict["u"]}
    assert manager.get_current_cost("u") > 0
    assert [*manager.get_model_cost("u")] == ["gpt-3.5-turbo"]


@pytest.mark.parametrize(("given", "taken"), [("", "hi"), ("hi", ""), ("", ""), (None, "hi")])
def test_empty_texts_are_fine(manager, given, taken):
    manager.create_budget(10, "u")
    manager.update_cost(user="u", model="gpt-4o", input_text=given, output_text=taken)
    assert (manager.get_current_cost("u") > 0) == bool(given or taken)


def test_a_response_is_not_dropped_for_half_a_text(manager):
    manager.create_budget(10, "u")
    response = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 1000}}
    for texts in ({}, {"input_text": "hi"}, {"input_text": "hi", "output_text": ""}):
        before = manager.get_current_cost("u")
        manager.update_cost("u", response, model="gpt-4o", **texts)
        assert manager.get_current_cost("u") - before == pytest.approx(0.0125)


# LiteLLM's regression: created_at is the time of the call, and a custom one is kept.


def test_created_at_is_the_moment_of_the_call(manager):
    before = time.time()
    first = manager.create_budget(100.0, "user1", duration="daily")
    time.sleep(0.002)
    second = manager.create_budget(100.0, "user2", duration="daily")
    assert before - 1e-3 <= first["created_at"] < second["created_at"] <= time.time() + 1e-3


def test_custom_created_at_is_kept_to_the_last_bit(manager):
    custom = time.time() - 123_456.789012345
    record = manager.create_budget(100.0, "u", duration="weekly", created_at=custom)
    assert record["created_at"] == custom
    assert manager.user_dict["u"]["created_at"] == custom


def test_a_new_daily_budget_is_not_due_for_a_reset(manager):
    manager.create_budget(100.0, "u", duration="daily")
    manager.update_cost("u", completion())
    manager.update_budget_all_users()
    assert manager.get_current_cost("u") > 0


# Records and views.


def test_records_have_litellms_shape(timed, clock):
    created = clock.now.timestamp()
    record = timed.create_budget(10.5, "u", duration="monthly")
    assert record == {
        "total_budget": 10.5,
        "duration": 28,
        "created_at": created,
        "last_updated_at": created,
        "current_cost": 0.0,
        "model_cost": {},
    }
    assert "duration" not in timed.create_budget(1, "v")
    assert timed.get_users() == ["u", "v"]
    assert timed.save_data() == {"status": "success"}
    assert timed.load_data() is None


@pytest.mark.parametrize(
    ("duration", "days"), [("daily", 1), ("weekly", 7), ("monthly", 28), ("yearly", 365)]
)
def test_duration_is_the_days_of_the_active_window(timed, duration, days):
    assert timed.create_budget(1, "u", duration=duration)["duration"] == days


def test_user_dict_is_a_current_read_only_view(manager):
    view = manager.user_dict
    assert "u" not in view
    assert dict(view) == {}
    manager.create_budget(10, "u")
    assert view["u"]["total_budget"] == 10
    manager.update_cost("u", completion())
    assert view["u"]["current_cost"] == manager.get_current_cost("u")
    assert json.loads(json.dumps(dict(view)))["u"]["total_budget"] == 10
    with pytest.raises(TypeError, match="read-only"):
        view["u"]["current_cost"] = 0
    with pytest.raises(TypeError):
        view["v"] = {}  # type: ignore[index]
    with pytest.raises(KeyError):
        view["nobody"]
    taken = copy.deepcopy(view["u"])
    taken["current_cost"] = 0
    assert pickle.loads(pickle.dumps(view["u"])) == view["u"]


def test_creating_again_changes_the_limit_and_keeps_spend_and_start(timed, clock):
    first = timed.create_budget(10, "u", duration="monthly")
    timed.update_cost("u", completion())
    spent = timed.get_current_cost("u")
    clock.advance(hours=1)
    again = timed.create_budget(20, "u", duration="monthly")
    assert (again["total_budget"], again["current_cost"]) == (20, spent)
    assert again["created_at"] == first["created_at"]
    moved = timed.create_budget(20, "u", duration="monthly", created_at=first["created_at"] - 60)
    assert moved["created_at"] == first["created_at"] - 60


def test_creating_again_at_every_start_appends_no_row(timed):
    timed.create_budget(10, "u", duration="monthly")
    rows = len([*timed.ledger.entries("u")])
    timed.create_budget(10, "u", duration="monthly")
    assert len([*timed.ledger.entries("u")]) == rows


# Windows and resets.


def test_costs_fall_out_of_an_elapsed_window_by_themselves_without_drift(timed, clock):
    timed.create_budget(10, "u", duration="monthly")  # 31 January, 10:00
    timed.update_cost("u", completion())
    clock.move_to(datetime(2026, 2, 28, 9, 59, 59, tzinfo=UTC))
    assert timed.get_current_cost("u") > 0
    clock.move_to(datetime(2026, 2, 28, 10, tzinfo=UTC))
    assert timed.get_current_cost("u") == 0
    clock.move_to(datetime(2026, 3, 31, 9, 0, tzinfo=UTC))  # late, as cron jobs are
    timed.update_budget_all_users()
    record = timed.user_dict["u"]
    assert record["last_updated_at"] == datetime(2026, 2, 28, 10, tzinfo=UTC).timestamp()
    clock.move_to(datetime(2026, 3, 31, 10, tzinfo=UTC))
    record = timed.user_dict["u"]
    assert record["last_updated_at"] == datetime(2026, 3, 31, 10, tzinfo=UTC).timestamp()
    assert record["duration"] == 30


def test_reset_on_duration_appends_one_row_a_window_and_touches_none(timed, clock):
    timed.create_budget(10, "u", duration="daily")
    timed.update_cost("u", completion())
    before = [*timed.ledger.entries("u")]
    timed.reset_on_duration("u")
    assert [*timed.ledger.entries("u")] == before
    clock.advance(days=1, hours=3)
    timed.update_cost("u", completion())  # of the new window, before anyone said it turned
    current = timed.get_current_cost("u")
    for _ in range(3):
        timed.reset_on_duration("u")
        timed.update_budget_all_users()
    after = [*timed.ledger.entries("u")]
    assert after[: len(before)] == before
    assert [entry.kind for entry in after[len(before) :]] == ["charge", "shift"]
    assert timed.get_current_cost("u") == current > 0


@pytest.mark.parametrize("cron", [False, True])
def test_writing_down_a_turn_changes_nothing_that_counts(timed, clock, cron):
    response = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 1000}}
    timed.create_budget(10, "u", "daily")
    timed.update_cost("u", response)
    clock.advance(days=1, hours=1)
    if cron:
        timed.update_budget_all_users()
    timed.update_cost("u", response)
    assert timed.create_budget(100, "u", "monthly")["current_cost"] == pytest.approx(0.025)


def test_reset_on_duration_of_a_budget_without_duration_does_nothing(timed, clock):
    timed.create_budget(10, "u")
    timed.update_cost("u", completion())
    clock.advance(days=400)
    timed.reset_on_duration("u")
    assert timed.get_current_cost("u") > 0


@pytest.mark.parametrize("duration", [None, "weekly"])
def test_reset_cost_shifts_the_window_and_keeps_the_anchor(timed, clock, duration):
    created = timed.create_budget(10, "u", duration=duration)["created_at"]
    timed.update_cost("u", completion())
    spent = timed.get_current_cost("u")
    moment = clock.now
    clock.advance(hours=5)
    record = timed.reset_cost("u")["user"]
    assert (record["current_cost"], record["model_cost"]) == (0, {})
    assert record["created_at"] == created
    assert record["last_updated_at"] == clock.now.timestamp()
    assert float(timed.ledger.balance("u", at=moment).posted) == spent
    if duration:
        assert record["duration"] == 7
        assert timed.ledger.balance("u").window.end.timestamp() == created + 7 * 86_400


# What LiteLLM gets wrong.


@pytest.mark.parametrize(
    "budget", [math.nan, math.inf, -1, "ten", "", None, True, [10], b"10", 10**30]
)
def test_bad_budgets_are_refused_by_name_and_leave_nothing(manager, budget):
    with pytest.raises(InvalidAmount, match="limit"):
        manager.create_budget(budget, "u")
    assert not manager.is_valid_user("u")
    assert manager.ledger.accounts() == []


@pytest.mark.parametrize("user", ["", " ", None, 7, "a\0b", "\ud800"])
def test_bad_users_are_refused(manager, user):
    with pytest.raises(InvalidName, match="user"):
        manager.create_budget(10, user)


@pytest.mark.parametrize("user", ["", None, 7, ["u"], "x" * 600])
def test_what_is_no_name_is_no_valid_user(manager, user):
    assert manager.is_valid_user(user) is False


@pytest.mark.parametrize("created_at", [math.nan, math.inf, -1, "yesterday", True])
def test_bad_created_at_is_refused(manager, created_at):
    with pytest.raises(InvalidInput, match="created_at"):
        manager.create_budget(10, "u", created_at=created_at)


def test_bad_durations_are_refused(manager):
    with pytest.raises(ValueError, match="daily"):
        manager.create_budget(10, "u", duration="hourly")


def test_nothing_to_charge_is_refused(manager):
    manager.create_budget(10, "u")
    for arguments in ({}, {"model": "gpt-4o"}, {"completion_obj": None}):
        with pytest.raises(InvalidInput):
            manager.update_cost("u", **arguments)


def test_unknown_users_raise_key_errors_that_read_well(manager):
    for read in (
        manager.get_current_cost,
        manager.get_total_budget,
        manager.get_model_cost,
        manager.reset_cost,
        manager.reset_on_duration,
    ):
        with pytest.raises(KeyError, match="nobody") as caught:
            read("nobody")
        assert isinstance(caught.value, UnknownAccount)
    assert not manager.is_valid_user("nobody")


def test_spend_of_an_unknown_user_is_recorded_and_said(manager):
    with pytest.warns(UnknownAccountWarning, match="newcomer"):
        returned = manager.update_cost("newcomer", completion())
    assert returned["user"]["current_cost"] > 0
    assert not manager.is_valid_user("newcomer")
    manager.create_budget(10, "newcomer")
    assert manager.user_dict["newcomer"]["current_cost"] > 0


def test_an_unpriced_model_is_recorded_as_unpriced(manager):
    manager.create_budget(10, "u")
    with pytest.warns(UnpricedWarning, match="nobody-knows-me"):
        manager.update_cost(user="u", model="nobody-knows-me", input_text="a", output_text="b")
    (entry,) = [entry for entry in manager.ledger.entries("u") if entry.kind == "charge"]
    assert (entry.cost, entry.price_source) == (None, "unpriced")
    assert manager.ledger.balance("u").unpriced == 1
    with pytest.raises(UnpricedModel):
        manager.projected_cost("nobody-knows-me", HELLO, "u")


def test_projected_cost_adds_the_prompt(manager):
    manager.create_budget(10, "u")
    manager.update_cost("u", completion())
    spent = manager.get_current_cost("u")
    assert manager.projected_cost("gpt-4o", HELLO, "u") > spent
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hey"}]}]
    assert manager.projected_cost("gpt-4o", parts, "u") > spent
    assert manager.projected_cost("gpt-4o", [{"role": "assistant", "content": None}], "u") > spent


def test_projected_cost_adds_tools_and_the_longest_answer_if_asked(manager):
    manager.create_budget(10, "u")
    bare = manager.projected_cost("gpt-4o", HELLO, "u")
    prompt_tokens = count_tokens("gpt-4o", messages=HELLO).tokens
    assert bare == pytest.approx(prompt_tokens * 2.5e-6)
    longest = manager.projected_cost("gpt-4o", HELLO, "u", max_output_tokens=100)
    assert longest == pytest.approx(bare + 100 * 10e-6)
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    assert bare < manager.projected_cost("gpt-4o", HELLO, "u", tools=tools) < longest
    with pytest.raises(InvalidInput):
        manager.projected_cost("gpt-4o", HELLO, "u", max_output_tokens=-1)


def test_two_projects_in_one_ledger_do_not_see_each_other(database):
    with Ledger(database.target) as ledger:
        one, two = BudgetManager("one", ledger=ledger), BudgetManager("two", ledger=ledger)
        one.create_budget(1, "u")
        assert not two.is_valid_user("u")
        two.create_budget(2, "u")
        two.update_cost("u", completion())
        assert (one.get_total_budget("u"), one.get_current_cost("u")) == (1, 0)


def test_threads_lose_nothing(manager):
    manager.create_budget(10, "u")
    response = completion()
    once = litellm.completion_cost(response)

    def work():
        for _ in range(20):
            manager.update_cost("u", response)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert manager.get_current_cost("u") == pytest.approx(200 * once, rel=1e-9)


def test_another_client_type_says_what_there_is():
    with pytest.raises(InvalidInput, match="'local' or 'hosted', got 'remote'"):
        BudgetManager("p", client_type="remote")


def test_holds_through_the_manager(manager):
    manager.create_budget(1, "u")
    with manager.hold("u", "0.6", key="job") as hold:
        with pytest.raises(BudgetExceededError):
            manager.hold("u", "0.6")
        hold.settle("0.5")
    assert manager.get_current_cost("u") == 0.5
