"""Parallel agents that wait for each other, and streams that stop at the limit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import httpx2
import openai
import pytest
import wallets

from budgetledger import Ledger

GPT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def limited(tmp_path):
    """A ledger whose alice has a limit."""
    ledgers = []

    def make(limit):
        ledgers.append(Ledger(tmp_path / "spend.db", synchronous="NORMAL"))
        ledgers[-1].set_budget("alice", limit, per=None, name="limit")
        return ledgers[-1]

    yield make
    for ledger in ledgers:
        ledger.close()


def test_eight_agents_of_six_calls_share_two_dollars(limited, provider):
    """Each call holds $0.617 of it, as one of Claude Code's does."""
    ledger = limited(2)
    body = {
        "model": "claude-opus-4-1", "max_tokens": 8200,
        "messages": [{"role": "user", "content": "Hi [[slow=0.02]]"}],
    }  # fmt: skip

    def agent(wallet):
        with httpx2.Client(timeout=120) as client:
            return [
                client.post(f"{wallet.anthropic}/v1/messages", json=body).status_code
                for _ in range(6)
            ]

    with (
        wallets.serving(ledger, provider, wait=120.0) as wallet,
        ThreadPoolExecutor(8) as agents,
    ):
        statuses = [one for done in agents.map(agent, [wallet] * 8) for one in done]
    assert statuses == [200] * 48
    assert wallet.bill.calls == len(provider.billed) == 48
    assert Decimal("0.5") < wallet.bill.most_held <= 2
    held = posted = Decimal(0)
    open_holds = {}
    for entry in ledger.entries("alice"):
        if entry.kind == "hold":
            open_holds[entry.id] = entry.held
        elif entry.kind == "settle":
            del open_holds[entry.hold_id]
            posted += entry.cost
        held = sum(open_holds.values())
        assert held + posted <= 2


def test_without_waiting_a_call_is_refused_at_once(limited, provider):
    ledger = limited(1)
    with wallets.serving(ledger, provider) as wallet, ledger.hold("alice", "0.999"):
        answer = wallets.post(f"{wallet.openai}/chat/completions", json=GPT)
    assert answer.status_code == 400
    assert answer.json()["error"]["blocked_by_holds"] is True


def test_a_call_that_can_never_fit_does_not_wait(limited, provider):
    ledger = limited("0.001")
    with wallets.serving(ledger, provider, wait=3600.0, run="alice") as wallet:
        answer = wallets.post(f"{wallet.openai}/chat/completions", json=GPT)
    assert answer.status_code == 400
    assert "one call may cost more than the limit of this run" in answer.text


def test_a_client_that_leaves_while_it_waits_leaves_nothing(limited, provider):
    ledger = limited(1)
    with wallets.serving(ledger, provider, wait=60.0) as wallet:
        with ledger.hold("alice", "0.999"), pytest.raises(httpx2.ReadTimeout):
            wallets.post(f"{wallet.openai}/chat/completions", json=GPT, timeout=0.8)
        assert wallets.post(f"{wallet.openai}/chat/completions", json=GPT).status_code == 200
    assert [entry.kind for entry in ledger.entries("alice")] == [
        "budget", "hold", "release", "hold", "settle",
    ]  # fmt: skip
    assert wallet.bill.waited == 1


def gpt_words(wallet, text):
    client = openai.OpenAI(base_url=wallet.openai, api_key="k", max_retries=0)
    messages = [{"role": "user", "content": text}]
    for _ in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
        pass


def claude_words(wallet, text):
    """The bound of the call is far above what the limit grants."""
    client = anthropic.Anthropic(base_url=wallet.anthropic, api_key="k", max_retries=0)
    call = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": text}]}
    for _ in client.messages.create(**call, max_tokens=9000, stream=True):
        pass


@pytest.mark.parametrize(
    ("talk", "output", "limit"),
    [
        (gpt_words, 20_000, "0.05"),
        (claude_words, 20_000, "0.05"),
        pytest.param(gpt_words, 128_000, "1", marks=pytest.mark.slow),
    ],
)
def test_a_stream_without_a_bound_stops_at_the_limit(talk, output, limit, limited, provider):
    ledger = limited(limit)
    with (
        wallets.serving(ledger, provider, stops_at_limit=True, run="alice") as wallet,
        pytest.raises((openai.APIError, anthropic.APIError), match="limit") as stopped,
    ):
        talk(wallet, f"[[output={output}]]")
    assert "raise it: budgetledger run --limit" in str(stopped.value)
    [row] = [entry for entry in ledger.entries("alice") if entry.kind == "settle"]
    chunk = Decimal("0.00001")
    assert Decimal(limit) * Decimal("0.9") < row.cost <= Decimal(limit) + 2 * chunk
    assert wallet.bill.stopped == 1


@pytest.mark.parametrize("segment", ["openai", "anthropic", "gemini"])
def test_a_stream_within_its_hold_passes_as_it_is(segment, limited, provider):
    ledger = limited(1)
    messages = [{"role": "user", "content": "Hi"}]
    path, body = {
        "openai": ("/chat/completions", GPT | {"stream": True}),
        "anthropic": (
            "/v1/messages",
            {"model": "claude-opus-4-5", "max_tokens": 50, "messages": messages, "stream": True},
        ),
        "gemini": (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            {"contents": [{"parts": [{"text": "Hi"}]}]},
        ),
    }[segment]
    direct = {"openai": provider.openai_url}.get(segment, provider.url)
    expected = wallets.post(direct + path, json=body)
    with wallets.serving(ledger, provider, stops_at_limit=True) as wallet:
        answer = wallets.post(getattr(wallet, segment) + path, json=body)
    assert answer.content == expected.content
    [row] = [entry for entry in ledger.entries("alice") if entry.kind == "settle"]
    assert (row.input_tokens, row.output_tokens, row.cost_basis) == (8, 5, "stated")
    assert json.dumps(row.tags) == "{}"
