"""Our hosted client against our server."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from datetime import UTC, datetime
from decimal import Decimal

import litellm
import pytest

from budgetledger import BudgetManager, Ledger
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    HoldAlreadyClosed,
    HoldRefused,
    IdempotencyConflict,
    InvalidInput,
    MeteredTwiceWarning,
    NoBudget,
    ServerRefused,
    ServerUnavailable,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedWarning,
)

CALL = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}
COST = 0.0075
YEARS_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def connect(server, tmp_path, monkeypatch):
    monkeypatch.setattr("budgetledger.hosted.http._PAUSES", (0.001, 0.002))
    opened = []

    def connected(name="ledger", of=server):
        ledger = Ledger(tmp_path / f"{name}.db", synchronous="NORMAL")
        opened.append(ledger)
        return BudgetManager(server.project, "hosted", of.url, ledger=ledger, timeout=20)

    yield connected
    for ledger in opened:
        ledger.close()


def at_server(server):
    return Ledger(server.path, project=server.project)


def in_threads(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_every_method_and_the_details_of_calls_reach_the_server(server, connect):
    manager = connect()
    created = manager.create_budget(10, "u", "monthly")
    assert created["current_cost"] == 0
    assert manager.update_cost("u", CALL)["user"] == manager.user_dict["u"]
    assert manager.get_current_cost("u") == COST
    assert manager.get_model_cost("u") == {"gpt-4o": COST}
    assert (manager.get_total_budget("u"), manager.get_users()) == (10, ["u"])
    with at_server(server) as ledger:
        [entry] = [entry for entry in ledger.entries("u") if entry.kind == "charge"]
        assert (entry.cost, entry.input_tokens, entry.output_tokens) == (
            Decimal("0.0075"),
            1000,
            500,
        )
        assert ledger.balance("u").limit == 10
    assert manager.reset_cost("u")["user"]["current_cost"] == 0
    assert manager.create_budget(20, "u", "monthly")["total_budget"] == 20
    assert connect("elsewhere").get_total_budget("u") == 20


def test_creating_a_budget_again_replaces_its_limit_and_windows(server, connect):
    manager = connect()
    manager.create_budget(10, "u", "monthly")
    with at_server(server) as ledger:
        ledger.set_budget("u", name="default", timezone="Asia/Tokyo", model="gpt-4o")
        manager.create_budget(20, "u")
        [budget] = ledger.budgets("u")
    assert (budget.limit, budget.model) == (20, None)
    assert (budget.period.per, budget.period.anchor_us, budget.period.timezone) == (
        *(None, None),
        "UTC",
    )


def test_a_user_without_budget_is_recorded(server, connect):
    manager = connect()
    with pytest.warns(UnknownAccountWarning):
        assert manager.update_cost("stranger", CALL)["user"]["current_cost"] == COST
    with pytest.warns(UnknownAccountWarning):
        manager.update_cost("stranger", CALL)
    assert manager.get_current_cost("stranger") == 2 * COST
    assert manager.create_budget(1, "stranger")["current_cost"] == 2 * COST


def test_many_clients_of_one_user_lose_nothing_beside_litellms_own(server, connect):
    clients = [connect(str(number)) for number in range(3)]
    clients[0].create_budget(10, "u")
    theirs = litellm.BudgetManager(server.project, client_type="hosted", api_base=server.url)
    theirs.create_budget(5, "theirs", "daily", created_at=clients[0].user_dict["u"]["created_at"])

    def work(manager):
        for _ in range(10):
            manager.update_cost("u", CALL)

    def their_work():
        for _ in range(5):
            theirs.update_cost(
                "theirs",
                completion_obj=litellm.completion(
                    "gpt-3.5-turbo", [{"role": "user", "content": "hi"}], mock_response="hello"
                ),
            )
            theirs.save_data()  # all users, "u" as it was once

    in_threads(*(lambda manager=manager: work(manager) for manager in clients), their_work)
    clients[0].load_data()
    assert clients[0].get_current_cost("u") == pytest.approx(30 * COST, abs=1e-12)
    told = theirs.get_current_cost("theirs")
    assert clients[0].get_current_cost("theirs") == pytest.approx(told, abs=1e-12)


def test_holds_never_overspend_across_clients(server, connect):
    clients = [connect(str(number)) for number in range(4)]
    clients[0].create_budget("1.00", "u")
    granted, refusals = [], []

    def work(manager):
        for _ in range(10):
            try:
                with manager.hold("u", "0.05") as hold:
                    hold.settle("0.05")
                granted.append(hold)
            except BudgetExceededError as refused:
                refusals.append((refused.limit, refused.available))

    in_threads(*(lambda manager=manager: work(manager) for manager in clients))
    assert len(granted) == 20
    assert set(refusals) == {(1, 0)}
    clients[0].load_data()
    assert clients[0].get_current_cost("u") == 1


def test_holds_are_as_those_of_a_ledger(server, connect):
    manager = connect()
    manager.create_budget(1, "u")
    hold = manager.hold("u", model="gpt-4o", text="Hi", max_output_tokens=100, tags={"a": 1})
    assert (hold.account, hold.model, hold.bounded) == ("u", "gpt-4o", True)
    assert 0 < hold.amount < Decimal("0.01")
    before = hold.expires_at
    assert hold.extend(7200) > before
    entry = hold.settle({**CALL, "model": "gpt-4o-2024-08-06"})
    assert (entry.cost, entry.kind, entry.hold_id) == (Decimal("0.0075"), "settle", hold.id)
    assert entry.tags == {"a": 1}
    assert manager.get_current_cost("u") == 0.0075
    with pytest.raises(HoldAlreadyClosed) as closed:
        hold.settle("0.01")
    assert closed.value.entry.id == entry.id

    released = manager.hold("u", "0.9")
    with pytest.raises(BudgetExceededError) as refused:
        manager.hold("u", "0.2")
    error = refused.value
    assert (error.limit, error.held, error.requested) == (1, Decimal("0.9"), Decimal("0.2"))
    assert (error.account, error.budget.name, error.max_budget) == ("u", "default", 1)
    assert 0 < error.retry_after <= 1800
    assert released.release(reason="not needed").kind == "release"
    with manager.hold("u", "0.9") as left:
        pass
    assert left.closed_by.kind == "release"

    first = manager.hold("u", "0.5", key="job")
    assert manager.hold("u", "0.5", key="job").id == first.id
    with pytest.raises(IdempotencyConflict):
        manager.hold("u", "0.6", key="job")
    with pytest.raises(NoBudget) as unknown:
        manager.hold("nobody", "0.1")
    assert isinstance(unknown.value, UnknownAccount)
    with pytest.raises(HoldRefused) as exceeded:
        manager.hold("u", "0.9")
    assert exceeded.value.blocked_by_holds
    with pytest.raises(HoldRefused) as exceeded:
        manager.hold("u", "1.1")
    assert not exceeded.value.blocked_by_holds
    with at_server(server) as ledger:
        ledger.freeze("u", reason="stolen key")
    with pytest.raises(AccountFrozen, match="stolen key"):
        manager.hold("u", "0.1")


def test_holds_inside_one_another_count_a_call_once(server, connect):
    manager = connect()
    manager.create_budget(1, "u")
    with manager.hold("u", "0.5") as outer:
        with manager.hold("u", "0.25") as inner:
            inner.settle(CALL)
        with pytest.warns(MeteredTwiceWarning):
            entry = outer.settle(CALL)
        assert entry == inner.closed_by
        with pytest.raises(HoldAlreadyClosed) as second:
            outer.settle("0.1")
        assert second.value.entry.id == entry.id
    assert manager.get_current_cost("u") == COST
    with at_server(server) as ledger:
        kinds = [row.kind for row in ledger.entries("u")]
        assert kinds == ["budget", "hold", "hold", "settle", "release"]
        assert ledger.holds("u") == []


def test_a_refusal_by_ones_own_hold_says_so(server, connect):
    manager = connect()
    manager.create_budget(1, "u")
    manager.create_budget(9, "other")
    with manager.hold("u", "0.8") as hold:
        with manager.hold("other", "0.5"), pytest.raises(BudgetExceededError) as own:
            manager.hold("u", "0.5")
        assert f"without hold {hold.id} of a call around this one" in str(own.value)
        assert not own.value.blocked_by_holds
    with manager.hold("u", "0.2"), at_server(server) as ledger:
        other = ledger.hold("u", "0.8")
        with pytest.raises(BudgetExceededError) as both:
            manager.hold("u", "0.5")
        other.release()
    assert "around this one" not in str(both.value)
    assert both.value.blocked_by_holds


def test_a_stream_is_settled_on_the_server(connect):
    manager = connect()
    manager.create_budget(1, "u")
    chunks = [
        {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Once"}}]},
        {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 40}},
    ]
    with manager.hold("u", model="gpt-4o", text="A story.", max_output_tokens=100) as hold:
        assert [*hold.stream(iter(chunks))] == chunks
    assert hold.closed_by.cost == Decimal("0.0004225")


@pytest.mark.parametrize("known_there", [False, True])
def test_what_is_unknown_here_is_sent_as_such_and_the_server_decides(server, connect, known_there):
    manager = connect()
    manager.create_budget(10, "u")
    if known_there:
        with at_server(server) as ledger:
            ledger.set_price("nobody-knows", input=1000, output=2000, effective_at=YEARS_AGO)
    cost, basis = (Decimal(2), "stated") if known_there else (Decimal("0.25"), "assumed")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        entry = manager.hold("u", "0.25", model="nobody-knows").settle(UNKNOWN)
    assert [one.category for one in said] == ([] if known_there else [UnpricedWarning])
    assert (entry.cost, entry.cost_basis) == (cost, basis)
    with pytest.warns(UnpricedWarning, match="reports no usage"):
        entry = manager.hold("u", "0.125").settle({"model": "nobody-knows"})
    assert (entry.cost, entry.cost_basis) == (Decimal("0.125"), "assumed")
    assert manager.get_current_cost("u") == float(cost + Decimal("0.125"))


def test_images_of_a_tool_are_priced_on_the_server(server, connect):
    manager = connect()
    manager.create_budget(10, "u")
    answer = {
        "model": "gpt-5", "output": [], "usage": {"input_tokens": 300, "output_tokens": 80},
        "tools": [{"type": "image_generation", "model": "nobodys-images"}],
        "tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 4000}},
    }  # fmt: skip
    with at_server(server) as ledger:
        rates = {"output_image_mtok": 10}
        ledger.set_price("nobodys-images", input=1, rates=rates, effective_at=YEARS_AGO)
    entry = manager.hold("u", "0.25", model="gpt-5").settle(answer)
    assert (entry.cost, entry.cost_basis) == (Decimal("0.041175"), "stated")


def test_a_call_that_failed_and_a_broken_stream_end_on_the_server(server, connect):
    manager = connect()
    manager.create_budget(1, "u")
    assert manager.hold("u", "0.25").settle({"error": {"message": "no"}}).kind == "release"
    failed = {"model": "gpt-4o", "status": "failed", "output": [], "error": {"message": "no"}}
    assert manager.hold("u", "0.25", model="gpt-4o").settle(failed).kind == "release"
    with manager.hold("u", model="gpt-4o", text="A story.", max_output_tokens=100) as hold:
        list(hold.stream(iter(["Once", " upon"])))
    assert (hold.closed_by.kind, hold.closed_by.output_tokens) == ("settle", 2)
    with at_server(server) as ledger:
        assert ledger.balance("u").held == 0


def test_what_a_killed_server_missed_is_sent_to_the_next(serve, server, connect, tmp_path):
    first = serve()
    manager = connect(of=first)
    manager.create_budget(1, "u")
    hold = manager.hold("u", "0.5")
    first.stop(signal.SIGKILL)
    with pytest.raises(ServerUnavailable, match="do not repeat it"):
        manager.update_cost("u", CALL)
    with pytest.raises(ServerUnavailable, match="do not repeat it"):
        hold.settle("0.25")
    assert manager.get_current_cost("u") == pytest.approx(0.25 + COST)
    manager.ledger.close()
    port = first.url.rpartition(":")[2]
    second = serve("--port", port, path=first.path)
    again = connect(of=second)
    again.save_data()
    with Ledger(first.path, project=server.project) as ledger:
        balance = ledger.balance("u")
        assert (balance.posted, balance.held) == (Decimal("0.2575"), 0)
    assert again.get_current_cost("u") == pytest.approx(0.25 + COST)


UNKNOWN = {"model": "nobody-knows", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}


@pytest.mark.parametrize("priced", ["before", "between", "after", "never"])
def test_a_call_without_a_price_here_counts_once(server, connect, priced):
    """Whether the server knows one, and whoever states it, in which order."""

    def price_there():
        with at_server(server) as ledger:
            ledger.set_price("nobody-knows", input=1000, output=2000, effective_at=YEARS_AGO)
            ledger.reprice(dry_run=False)

    manager = connect()
    manager.create_budget(10, "u")
    if priced == "before":
        price_there()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        manager.update_cost("u", UNKNOWN)
    assert [one.category for one in said] == ([] if priced == "before" else [UnpricedWarning])
    assert manager.get_current_cost("u") == (2 if priced == "before" else 0)
    if priced == "between":
        price_there()
    [entry] = [entry for entry in manager.ledger.entries("u") if entry.kind == "charge"]
    manager.ledger.adjust(entry, "0.75", reason="invoice")
    manager.ledger.adjust(entry, "-0.25", reason="credit")
    manager.save_data()
    if priced == "after":
        price_there()
    manager.load_data()
    assert manager.get_current_cost("u") == 0.5
    with at_server(server) as ledger:
        balance = ledger.balance("u")
        assert (balance.posted, balance.unpriced) == (Decimal("0.5"), 0)
        assert sum(entry.requests for entry in ledger.entries("u")) == 1


def test_what_is_corrected_here_is_corrected_there(server, connect):
    manager = connect()
    manager.create_budget(10, "u")
    manager.update_cost("u", CALL)
    [entry] = [entry for entry in manager.ledger.entries("u") if entry.kind == "charge"]
    manager.ledger.adjust(entry, "-0.0025", reason="credit")
    manager.save_data()
    with at_server(server) as ledger:
        assert ledger.balance("u").posted == Decimal("0.005")


def test_a_settle_outlives_what_the_server_forgot_or_refuses(serve, server, connect, tmp_path):
    first = serve()
    manager = connect(of=first)
    manager.create_budget(10, "u")
    lost, kept, refused = (manager.hold("u", "0.5") for _ in range(3))
    port = first.url.rpartition(":")[2]

    def next_server(**options):
        running[0].stop()
        running[0] = serve("--port", port, **options)

    running = [first]
    next_server(path=first.path, tokens="another-project:its-token")
    with pytest.raises(ServerRefused, match="do not repeat it"):
        refused.settle("0.125")
    running[0].stop()
    with pytest.raises(ServerUnavailable, match="do not repeat it"):
        kept.settle("0.25")
    with pytest.raises(HoldAlreadyClosed, match=r"with 0\.25 USD"):  # not both
        kept.settle("0.3")
    running[0] = serve("--port", port, path=tmp_path / "new.db")  # the file was lost
    assert lost.settle("0.5").cost == Decimal("0.5")
    with pytest.warns(UnknownAccountWarning):
        manager.update_cost("u", CALL)
    with Ledger(tmp_path / "new.db", project=server.project) as ledger:
        assert ledger.balance("u").posted == Decimal("0.8825")
    assert manager.get_current_cost("u") == pytest.approx(0.8825)


def test_an_idle_client_begins_no_window_that_the_server_has_begun(server, connect):
    idle, busy = connect(), connect("busy")
    idle.create_budget(10, "u", "daily", created_at=time.time() - 1.5 * 86_400)
    idle._books._seen.records["u"]["last_updated_at"] -= 86_400  # as it was read yesterday
    busy.update_cost("u", CALL)
    idle.update_budget_all_users()
    busy.load_data()
    assert busy.get_current_cost("u") == COST


def test_a_proxy_before_the_server_is_no_plain_server(connect, monkeypatch):
    """Else its costs would be written over those of others, as LiteLLM's client does."""
    manager = connect()

    def away(*arguments):
        raise ServerUnavailable("bad gateway", status=502, retry_after=None)

    monkeypatch.setattr(manager._books._server, "request", away)
    with pytest.raises(ServerUnavailable):
        manager._books._sender.api.is_there()


def test_a_token_opens_its_project_and_no_other(serve, tmp_path):
    guarded = serve(tokens="p:first-token-of-sixteen q:other-token-of-sixteen")
    with Ledger(tmp_path / "l.db", synchronous="NORMAL") as ledger:
        for headers in ({}, {"Authorization": "Bearer other-token-of-sixteen"}):
            with pytest.raises(ServerRefused, match=r"40[13].*headers="):
                BudgetManager("p", "hosted", guarded.url, headers, ledger=ledger)
        headers = {"Authorization": "Bearer first-token-of-sixteen"}
        manager = BudgetManager("p", "hosted", guarded.url, headers, ledger=ledger)
        manager.create_budget(1, "u")
        manager.hold("u", "0.1").settle("0.1")
        manager.update_cost("u", CALL)
        assert manager.get_current_cost("u") == pytest.approx(0.1 + COST)


@pytest.mark.parametrize("user", ["a/b", "Ünï çødé", "..", "%2F", "team:x", "a?b#c", "*"])
def test_any_name_will_do(server, connect, user):
    manager = connect()
    manager.create_budget(1, user)
    manager.hold(user, "0.5", key="Schlüssel").settle("0.5")
    manager.update_cost(user, CALL)
    with at_server(server) as ledger:
        assert ledger.balance(user).posted == Decimal("0.5075")


def test_a_plain_server_has_no_holds(connect, monkeypatch):
    manager = connect()
    monkeypatch.setattr(manager._books._sender, "has_api", False)
    with pytest.raises(ValueError, match="budgetledger serve"):
        manager.hold("u", "1")


@pytest.mark.postgres
def test_what_is_not_sent_yet_is_kept_in_a_file(server, common_schema):
    with Ledger(common_schema.target) as ledger, pytest.raises(InvalidInput, match=r"unsent\.db"):
        BudgetManager("p", "hosted", server.url, ledger=ledger)


def test_no_warning_is_left_behind(connect):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager = connect()
        manager.create_budget(1, "u")
        manager.update_cost("u", CALL)
        manager.save_data()
