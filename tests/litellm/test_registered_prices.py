"""Prices registered with litellm count for BudgetManager; answers from its cache cost nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import litellm
import pytest

from budgetledger import BudgetManager, Ledger
from budgetledger.errors import UnpricedModel, UnpricedWarning
from budgetledger.litellm.registered_prices import registered_price

PRICE = {
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 2e-06,
    "litellm_provider": "openai",
}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def manager(tmp_path, monkeypatch):
    copied = {name: dict(prices) for name, prices in litellm.model_cost.items()}
    monkeypatch.setattr(litellm, "model_cost", copied)  # LiteLLM 1.82 writes into the entries
    with Ledger(tmp_path / "spend.db") as ledger:
        manager = BudgetManager("app", ledger=ledger)
        manager.create_budget(10, "alice")
        yield manager


def test_a_registered_price_counts_as_it_does_for_the_cap(manager):
    with pytest.raises(UnpricedModel):
        manager.projected_cost("my-model", HELLO, "alice")
    litellm.register_model({"my-model": PRICE, "gpt-4o": PRICE})
    manager.update_cost("alice", {"model": "my-model", "usage": USAGE})
    assert manager.get_current_cost("alice") == 0.0012
    manager.update_cost("alice", model="my-model", input_text="hello", output_text="hello")
    assert manager.get_current_cost("alice") > 0.0012
    assert manager.projected_cost("my-model", HELLO, "alice") > manager.get_current_cost("alice")
    hold = manager.hold("alice", model="my-model", messages=HELLO, max_output_tokens=1000)
    assert hold.entry.price_source == "litellm"
    assert hold.amount > Decimal("0.002")
    hold.release()
    entry = manager.ledger.charge("alice", {"model": "gpt-4o", "usage": USAGE})
    assert entry.cost == Decimal("0.0035")  # the shipped list comes first, as for the cap


def test_the_users_own_price_comes_first(manager):
    litellm.register_model({"my-model": PRICE})
    now = datetime.now(UTC)
    manager.ledger.set_price("my-model", input=5, output=5, effective_at=now.replace(year=2020))
    assert manager.ledger.charge("alice", {"model": "my-model", "usage": USAGE}).cost == Decimal(
        "0.0055"
    )


def test_a_ledger_without_a_manager_does_not_ask_litellm(manager, tmp_path):
    litellm.register_model({"my-model": PRICE})
    with Ledger(tmp_path / "other.db") as ledger:
        ledger.set_budget("alice", 1)
        with pytest.warns(UnpricedWarning):
            entry = ledger.charge("alice", {"model": "my-model", "usage": USAGE})
    assert entry.cost is None


def test_another_hosts_registered_price_is_not_taken(manager):
    litellm.register_model({"my-model": PRICE})
    with pytest.warns(UnpricedWarning):
        manager.ledger.charge("alice", {"model": "my-model", "usage": USAGE}, model="azure/x")
    assert manager.get_current_cost("alice") == 0


@pytest.mark.parametrize("prices", [{}, {"mode": "chat"}, {"input_cost_per_token": "?"}, 3])
def test_a_model_without_a_usable_price_has_none(manager, prices):
    litellm.model_cost["my-model"] = prices
    assert registered_price("my-model") is None


def test_litellm_is_not_imported_for_it(tmp_path):
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from budgetledger import BudgetManager, Ledger\n"
        "manager = BudgetManager('app', ledger=Ledger('x.db'))\n"
        "manager.update_cost('alice', {'model': 'my-model', 'usage': {'prompt_tokens': 1}})\n"
        "assert 'litellm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("hidden", [
    {"cache_hit": True, "response_cost": 0.25},
    {"cache_hit": True, "response_cost": 0.0},
    {"cache_hit": True},
])  # fmt: skip
@pytest.mark.parametrize("kind", [dict, lambda fields: SimpleNamespace(**fields)])
def test_an_answer_from_litellms_cache_costs_nothing(manager, hidden, kind):
    response = {"model": "gpt-4o", "usage": USAGE, "_hidden_params": kind(hidden)}
    manager.update_cost("alice", kind(response))
    now = datetime.now(UTC)
    manager.ledger.set_price("gpt-4o", input=5, output=5, effective_at=now.replace(year=2020))
    entry = manager.ledger.charge("alice", kind(response))
    assert (entry.cost, entry.price_source, entry.input_tokens) == (0, "litellm", 1000)
    assert manager.get_current_cost("alice") == 0


def test_the_real_cache(manager, monkeypatch):
    monkeypatch.setattr(litellm, "cache", litellm.Cache())
    monkeypatch.setattr(litellm, "disable_hf_tokenizer_download", True)
    call = {"model": "gpt-4o", "messages": HELLO, "mock_response": "hi", "caching": True}
    first, second = (litellm.completion(**call) for _ in range(2))
    manager.update_cost("alice", first)
    cost = manager.get_current_cost("alice")
    manager.update_cost("alice", second)
    assert manager.get_current_cost("alice") == cost > 0


def test_litellms_provider_states_the_host(manager):
    response = litellm.ModelResponse(model="llama-3.3-70b-versatile", usage=litellm.Usage(**USAGE))
    response._hidden_params |= {"custom_llm_provider": "groq", "api_base": "http://gateway/v1"}
    entry = manager.ledger.charge("alice", response, model="my-alias")
    assert (entry.cost, entry.model) == (Decimal("0.000669"), "my-alias")
    assert entry.price["provider"] == "groq"
