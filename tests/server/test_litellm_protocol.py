"""LiteLLM's hosted budget manager against the server: its own client, and raw requests."""

from __future__ import annotations

import json
import threading
import time

import httpx
import litellm
import pytest

from budgetledger import Ledger
from budgetledger.errors import InvalidInput
from budgetledger.litellm.records import unique

CREATED = 1_760_000_000.25

# The programs of the documentation page, hosted; as they stand there but for api_base and
# mock_response.
# ruff: noqa: E501
QUICK = """
from litellm import BudgetManager, completion

budget_manager = BudgetManager(project_name={project!r}, client_type="hosted", api_base={url!r})

user = "1234"

# create a budget if new user user
if not budget_manager.is_valid_user(user):
    budget_manager.create_budget(total_budget=10, user=user)

# check if a given call can be made
if budget_manager.get_current_cost(user=user) <= budget_manager.get_total_budget(user):
    response = completion(model="gpt-3.5-turbo", messages=[{{"role": "user", "content": "Hey, how's it going?"}}], mock_response="ok")
    budget_manager.update_cost(completion_obj=response, user=user)
else:
    response = "Sorry - no budget!"
"""

DURATION = """
from litellm import BudgetManager, completion

budget_manager = BudgetManager(project_name={project!r}, client_type="hosted", api_base={url!r})

user = "12345"
if not budget_manager.is_valid_user(user):
    budget_manager.create_budget(total_budget=10, user=user, duration="monthly")

input_text = "hello world"
output_text = "it's a sunny day in san francisco"
model = "gpt-3.5-turbo"

budget_manager.update_cost(user=user, model=model, input_text=input_text, output_text=output_text)
print(budget_manager.get_current_cost(user))
"""


def hosted(server, **headers):
    """LiteLLM's own client; what it saves is waited for."""
    manager = litellm.BudgetManager(
        server.project, client_type="hosted", api_base=server.url, headers=headers or None
    )

    def save():
        saving.append(threading.Thread(target=manager.save_data))
        saving[-1].start()
        saving[-1].join()

    saving = []
    manager._save_data_thread = save
    return manager


def spend(manager, user, text="fine, thanks", model="gpt-3.5-turbo"):
    response = litellm.completion(
        model=model, messages=[{"role": "user", "content": "Hey!"}], mock_response=text
    )
    manager.update_cost(user, response)
    return manager.get_current_cost(user)


class Raw:
    """A client that writes what it is told to."""

    def __init__(self, server, **headers):
        self.url = server.url
        self.project = server.project
        self.headers = headers

    def post(self, path, **content):
        content = {"project_name": self.project, **content}
        return httpx.post(self.url + path, json=content, headers=self.headers, timeout=60)

    def get(self):
        return self.post("/get_budget").json().get("data", {})

    def set(self, **users):
        answer = self.post("/set_budget", user_dict=users)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"status": "success"}


def record(cost=None, *, updated=CREATED, created=CREATED, limit=10.0, days=28, models=None):
    fields = {"total_budget": limit}
    if days is not None:
        fields |= {"duration": days, "created_at": created, "last_updated_at": updated}
    if cost is not None:
        fields |= {"current_cost": cost, "model_cost": models or ({"gpt-4o": cost} if cost else {})}
    return fields


@pytest.fixture
def raw(server):
    return Raw(server)


def entries(server, user, *kinds):
    with Ledger(server.path, project=server.project) as ledger:
        assert ledger.verify().ok
        return [entry for entry in ledger.entries(user) if entry.kind in (kinds or entry.kind)]


@pytest.mark.parametrize("program", [QUICK, DURATION], ids=["quick", "duration"])
def test_the_pages_programs(server, program, capfd):
    """As often as they are run; in this process, as litellm is imported in seconds."""
    runs = 2 if program is QUICK else 1
    before = {*threading.enumerate()}
    for _ in range(runs):
        exec(program.format(url=server.url, project=server.project), {"__name__": "__main__"})
        for saving in {*threading.enumerate()} - before:  # which the end of a process awaits
            if not saving.daemon:
                saving.join(60)
    assert "Exception" not in capfd.readouterr().err
    (told,) = Raw(server).get().values()
    with Ledger(server.path, project=server.project) as ledger:
        charges = [entry for entry in ledger.entries() if entry.kind == "charge"]
    assert len(charges) == runs
    assert charges[0].cost == charges[-1].cost > 0
    assert told["current_cost"] == pytest.approx(float(sum(entry.cost for entry in charges)))
    assert ("duration" in told) == (program is DURATION)


def test_create_update_and_reload(server):
    first = hosted(server)
    assert first.user_dict == {}
    first.create_budget(10, "a", duration="daily")
    cost = spend(first, "a")
    again = hosted(server)
    assert again.is_valid_user("a")
    assert again.get_current_cost("a") == cost
    assert again.get_model_cost("a") == {"gpt-3.5-turbo": cost}
    assert again.user_dict["a"]["duration"] == 1
    assert spend(again, "a") == pytest.approx(2 * cost)
    assert hosted(server).get_current_cost("a") == pytest.approx(2 * cost)
    again.update_budget_all_users()  # nothing is due


def test_two_clients_for_different_users_lose_nothing(server):
    one, two = hosted(server), hosted(server)
    one.create_budget(10, "a", duration="monthly")
    two.create_budget(20, "b", duration="monthly")

    def work(manager, user):
        for _ in range(20):
            spend(manager, user)

    threads = [threading.Thread(target=work, args=args) for args in ((one, "a"), (two, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = hosted(server)
    assert told.get_users() == ["a", "b"] or told.get_users() == ["b", "a"]
    assert told.get_current_cost("a") == pytest.approx(one.get_current_cost("a"))
    assert told.get_current_cost("b") == pytest.approx(two.get_current_cost("b"))
    assert told.get_total_budget("b") == 20


def test_of_two_stock_clients_of_one_user_the_larger_cost_wins(server):
    hosted(server).create_budget(10, "a", duration="monthly")
    one, two = hosted(server), hosted(server)
    spend(one, "a")
    larger = spend(one, "a")
    spend(two, "a")
    assert hosted(server).get_current_cost("a") == pytest.approx(larger)


def test_clients_that_say_who_they_are_lose_nothing(server):
    hosted(server).create_budget(10, "a", duration="monthly")
    one = hosted(server, **{"X-Budgetledger-Client": "one"})
    two = hosted(server, **{"X-Budgetledger-Client": "two"})
    for _ in range(3):
        cost = spend(one, "a")
        spend(two, "a")
    assert hosted(server).get_current_cost("a") == pytest.approx(2 * cost)
    one.load_data()  # from now on it counts from what it is told here
    assert spend(one, "a") == pytest.approx(2 * cost + cost / 3)
    spend(two, "a")
    assert hosted(server).get_current_cost("a") == pytest.approx(2 * cost + 2 * cost / 3)


def test_nothing_stored_yet(raw):
    answer = raw.post("/get_budget")
    assert answer.status_code == 200
    assert answer.json()["status"] == "error"


def test_what_is_written_comes_back(raw):
    raw.set(a=record(0.0075), b=record(0.5, days=None))
    told = raw.get()
    assert told["a"].pop("duration") in (28, 29, 30, 31)
    was = record(0.0075)
    was.pop("duration")
    assert {**told["a"], "last_updated_at": CREATED, "current_cost": 0.0} == {
        **was, "current_cost": 0.0, "model_cost": told["a"]["model_cost"],
    }  # fmt: skip
    assert "duration" not in told["b"]
    assert told["b"]["current_cost"] == 0.5


def test_differences_are_rows(server, raw):
    now = time.time()
    for cost in (0.1, 0.1, 0.30000000000000004, 0.2, 0.4):
        raw.set(a=record(cost, created=now, updated=now))
    charges = entries(server, "a", "charge")
    assert [str(entry.cost) for entry in charges] == ["0.10", "0.20", "0.10"]
    assert {entry.model for entry in charges} == {"gpt-4o"}
    assert raw.get()["a"]["current_cost"] == 0.4


def test_models_are_told_apart_and_what_no_model_cost_is_unrecognised(raw):
    now = time.time()
    own = {"created": now, "updated": now}
    raw.set(a=record(0.3, models={"m": 0.1, "n": 0.2}, **own))
    raw.set(a=record(0.45, models={"m": 0.15, "n": 0.2}, **own))
    assert raw.get()["a"]["model_cost"] == {"m": 0.15, "n": 0.2, "unknown": 0.1}
    raw.set(b={"total_budget": 1, "current_cost": 0.5})
    raw.set(b={"total_budget": 1, "current_cost": 0.75})
    assert raw.get()["b"]["current_cost"] == 0.75


def test_a_user_left_out_stays(raw):
    now = time.time()
    raw.set(a=record(0.1, created=now, updated=now))
    raw.set(b=record(0.2, created=now, updated=now))
    raw.set()
    assert {user: told["current_cost"] for user, told in raw.get().items()} == {"a": 0.1, "b": 0.2}


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -0.5], ids=["same clock", "ahead", "behind"])
@pytest.mark.parametrize("client", [{}, {"X-Budgetledger-Client": "one"}], ids=["stock", "named"])
def test_zero_with_a_newer_update_begins_a_window(server, client, ahead):
    raw = Raw(server, **client)
    raw.get()
    now = time.time() - 1
    raw.set(a=record(5.0, created=now, updated=now))
    # Another client's cost, between the reset and its arrival.
    other = Raw(server)
    reset = time.time() + ahead
    other.set(a=record(5.5, created=now, updated=now))
    for _ in range(3):  # the whole dict comes again and again
        raw.set(a=record(0, created=now, updated=reset))
    assert raw.get()["a"]["current_cost"] == 0
    # Reading it again made the named client begin from what it was told.
    raw.set(a=record(0.25, created=now, updated=reset))
    raw.set(a=record(0.5, created=now, updated=reset), b=record(1, created=now, updated=now))
    assert raw.get()["a"]["current_cost"] == 0.5
    assert raw.get()["a"]["last_updated_at"] > now
    assert sum(entry.cost for entry in entries(server, "a", "charge")) in (6, 11)


@pytest.mark.parametrize(
    "stale",
    [record(0), record(4.0), record(4.0, updated=CREATED + 5), record()],
    ids=["zero", "less", "less, though newer", "no cost"],
)
def test_any_other_decrease_is_old_news(raw, stale):
    now = time.time() - 60
    shift = now - CREATED
    raw.set(a=record(5.0, created=now, updated=now))
    stale = {**stale, "created_at": now, "last_updated_at": stale["last_updated_at"] + shift}
    raw.set(a=stale)
    assert raw.get()["a"]["current_cost"] == 5.0
    raw.set(a=record(5.5, created=now, updated=now))
    assert raw.get()["a"]["current_cost"] == 5.5


def test_creating_a_user_again_keeps_what_was_spent_and_loses_nothing_after(server):
    now = time.time()
    first, second = Raw(server), Raw(server)
    first.set(a=record(5.0, created=now - 60, updated=now - 60))
    again = {"created": now - 10, "updated": now - 10, "limit": 20.0}
    second.set(a=record(**again))
    second.set(a=record(0.5, **again))
    second.set(a=record(0.75, **again), b=record(1.0))
    told = first.get()["a"]
    assert told["current_cost"] == 5.75
    assert told["total_budget"] == 20.0
    # The first client still writes what it knows.
    first.set(a=record(5.0, created=now - 60, updated=now - 60), b=record(2.0))
    assert first.get()["a"]["total_budget"] == 20.0
    assert first.get()["a"]["current_cost"] == 5.75


def test_a_window_that_turned_by_itself_does_not_count_old_costs_again(server):
    day = 86_400
    raw = Raw(server)
    created = time.time() - 3 * day - 60
    raw.set(a=record(5.0, days=1, created=created, updated=created))
    told = raw.get()["a"]
    assert told["current_cost"] == 5.0  # it is charged when it is heard of
    raw.set(a=record(5.25, days=1, created=created, updated=created))
    assert [str(entry.cost) for entry in entries(server, "a", "charge")] == ["5.00", "0.25"]


def test_one_bad_record_keeps_no_other_from_being_recorded(server, raw):
    users = {"bad": {"total_budget": "x"}, "a": record(1)}
    answer = raw.post("/set_budget", user_dict=users)
    assert answer.status_code == 422
    assert list(answer.json()["error"]["users"]) == ["bad"]
    assert set(raw.get()) == {"a"}


@pytest.mark.parametrize(
    "bad",
    [
        None, [], {}, {"total_budget": -1}, {"total_budget": True}, {"total_budget": 1e300},
        {"total_budget": 1, "duration": 3}, {"total_budget": 1, "duration": "daily"},
        {"total_budget": 1, "created_at": -5}, {"total_budget": 1, "current_cost": -1},
        {"total_budget": 1, "model_cost": 3}, {"total_budget": 1, "model_cost": {"": 3}},
        {"total_budget": 1, "current_cost": 1e30},
    ],
    ids=repr,
)  # fmt: skip
def test_bad_records_leave_nothing(server, raw, bad):
    users = {"a": bad}
    assert raw.post("/set_budget", user_dict=users).status_code == 422
    with Ledger(server.path, project=server.project) as ledger:
        assert ledger.accounts() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"project_name": 3}', 422),
        (b"{}", 422),
        (b'{"project_name": "p"}', 422),
        (b'{"project_name": "p", "user_dict": {"a": {}, "a": {}}}', 400),
        (b'{"project_name": "p", "user_dict": {"a": {"total_budget": NaN}}}', 422),
        (b"[" * 100_000, 400),
    ],
)
def test_malformed_requests(server, body, status):
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{server.url}/set_budget", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert json.loads(answer.text)["error"]["message"]


def test_more_users_than_are_written_together(server, raw):
    now = time.time()
    users = {f"u{number}": record(0.25, created=now, updated=now) for number in range(450)}
    raw.set(**users)
    named = Raw(server, **{"X-Budgetledger-Client": "one"})
    assert len(named.get()) == 450
    users = {user: record(0.5, created=now, updated=now) for user in users}
    answer = named.post("/set_budget", user_dict={**users, "u7": {}, "u449": {}})
    assert list(answer.json()["error"]["users"]) == ["u7", "u449"]
    costs = [told["current_cost"] for told in raw.get().values()]
    assert (costs.count(0.5), costs.count(0.25)) == (448, 2)


def test_many_names_are_read_at_once():
    names = [(str(number), None) for number in range(30_000)]
    began = time.process_time()
    with pytest.raises(InvalidInput, match="29999"):
        unique([*names, names[-1]])
    assert time.process_time() - began < 1


def test_a_default_budget_litellm_does_not_know_is_left_alone(server, raw):
    with Ledger(server.path, project=server.project) as ledger:
        ledger.set_budget("a", tokens=5, name="default")
    users = {"a": record(1)}
    assert raw.post("/set_budget", user_dict=users).status_code == 422
    assert raw.get() == {}
