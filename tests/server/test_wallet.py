"""``serve --wallet``: users by path, the server's tokens, budgets and defaults of the ledger."""

from __future__ import annotations

import pytest
import wallets

from budgetledger import Ledger
from budgetledger.server import Tokens, create_app

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}


@pytest.fixture
def ledger():
    with Ledger(":memory:") as ledger:
        yield ledger


@pytest.fixture
def serving(ledger, provider, monkeypatch):
    for name, value in wallets.to(provider).items():
        monkeypatch.setenv(name, value)
    return lambda tokens=None: wallets.running(create_app(ledger, tokens, wallet=True))


def asked(url, path, **headers):
    return wallets.post(
        f"{url}/wallet{path}/openai/v1/chat/completions", json=CHAT, headers=headers
    )


def test_the_user_of_the_path_pays_by_the_budgets_of_the_ledger(serving, ledger, provider):
    ledger.set_budget("alice", 5)
    with serving() as url:
        answer = asked(url, "/u/alice", authorization="Bearer sk-alices-own")
        assert answer.status_code == 200
        refused = asked(url, "/u/bob")
        assert refused.status_code == 400
        assert "set one: budgetledger set-budget bob" in refused.json()["error"]["message"]
        assert wallets.get(f"{url}/v1").status_code == 200  # the server itself
    assert provider.billed[0].headers["authorization"] == "Bearer sk-alices-own"
    assert [entry.kind for entry in ledger.entries("alice")] == ["budget", "hold", "settle"]


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnboundedWarning")
def test_new_users_have_the_default_budget(serving, ledger):
    ledger.set_default_budget("0.0006", per="day")
    with serving() as url:
        assert [asked(url, "/u/carol").status_code for _ in range(3)][-1] == 400
    assert ledger.balance("carol").limit is not None


def test_a_users_name_may_have_any_character(serving, ledger):
    ledger.set_budget("team:a/b c", 5)
    with serving() as url:
        assert asked(url, "/u/team%3Aa%2Fb%20c").status_code == 200


def test_tokens_open_their_projects(serving, ledger):
    for project in ("one", "two", "three"):
        from budgetledger.journal.journal import journal_of
        from budgetledger.ledger import ledger_on

        ledger_on(journal_of(ledger).for_project(project)).set_budget("alice", 5)
    tokens = Tokens(["one:t1", "two:t2", "three:t2"])
    with serving(tokens) as url:
        statuses = {
            path: asked(url, path).status_code
            for path in (
                "/t/t1/u/alice", "/t/t1/p/one/u/alice", "/t/t1/p/two/u/alice",
                "/t/t2/u/alice", "/t/t2/p/three/u/alice", "/t/wrong/u/alice", "/u/alice",
                "/t/t1",
            )
        }  # fmt: skip
        assert asked(url, "/t/t1/u/alice", host="proxy.example").status_code == 200
        assert asked(url, "/t/t1/u/alice", origin="https://a.example").status_code == 403
    assert statuses == {
        "/t/t1/u/alice": 200, "/t/t1/p/one/u/alice": 200, "/t/t1/p/two/u/alice": 403,
        "/t/t2/u/alice": 403, "/t/t2/p/three/u/alice": 200, "/t/wrong/u/alice": 401,
        "/u/alice": 401, "/t/t1": 404,
    }  # fmt: skip


def test_without_tokens_it_answers_this_machine_only(serving, ledger):
    ledger.set_budget("alice", 5)
    with serving() as url:
        assert asked(url, "/u/alice", host="evil.example").status_code == 403
        assert asked(url, "/u/alice", origin=url).status_code == 403
        assert asked(url, "").status_code == 404


def test_a_server_without_a_wallet_has_no_such_path(ledger):
    with wallets.running(create_app(ledger)) as url:
        assert asked(url, "/u/alice").status_code == 404
