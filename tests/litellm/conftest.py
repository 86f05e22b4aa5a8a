"""The Proxy's callback in this process, with LiteLLM's own Router."""

from __future__ import annotations

import pytest

from budgetledger import Ledger


@pytest.fixture
def router(monkeypatch):
    import litellm
    from litellm.proxy import proxy_server

    params = {"model": "openai/gpt-4o-mini", "api_key": "none", "mock_response": "Row."}
    router = litellm.Router(model_list=[{"model_name": "cheap", "litellm_params": params}])
    monkeypatch.setattr(proxy_server, "llm_router", router)
    return router


@pytest.fixture
def handler(tmp_path):
    from budgetledger.litellm.proxy.settings import Settings
    from budgetledger.proxy import BudgetHandler

    handlers = []

    def make(**changes):
        chosen = Settings(str(tmp_path / "spend.db"), False, True, None, 60, False, 0)._replace(
            **changes
        )
        handlers.append(BudgetHandler(chosen))
        return handlers[-1]

    yield make
    for made in handlers:
        made._ledger.ledger.close()


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        yield ledger
