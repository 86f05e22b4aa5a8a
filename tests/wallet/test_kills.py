"""Wallets killed at any moment: what a client has whole is in the ledger."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import alone
import httpx2
import pytest
import wallets

from budgetledger import Ledger

ROUNDS, CLIENTS = 6, 4
PROGRAM = "import os, sys; print(os.environ['OPENAI_BASE_URL'], flush=True); sys.stdin.read()"


def is_whole(answer, is_streamed):
    return b"[DONE]" in answer if is_streamed else answer.rstrip().endswith(b"}")


def calling(url, delivered, is_ending):
    """Make calls, plain and streamed in turn, and note each answer that came whole."""
    is_streamed = False
    with httpx2.Client(timeout=60) as client:
        while not is_ending.is_set():
            is_streamed = not is_streamed
            body = {
                "model": "gpt-4o", "max_tokens": 20, "stream": is_streamed,
                "messages": [{"role": "user", "content": "Hi"}],
            }  # fmt: skip
            answer = b""
            try:
                with client.stream("POST", f"{url}/chat/completions", json=body) as response:
                    if response.status_code == 200:
                        for part in response.iter_raw():
                            answer += part
            except httpx2.TransportError:
                is_ending.set()
            if answer and is_whole(answer, is_streamed):
                delivered.append(is_streamed)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_every_answer_delivered_whole_has_its_settle(turn, provider, tmp_path, empty_file):
    path = tmp_path / "spend.db"
    path.write_bytes(empty_file.read_bytes())
    around = {"PATH": os.environ["PATH"], **wallets.to(provider), "BUDGETLEDGER_DB": str(path)}
    command = [*alone.command("run"), "run", "--limit", "5", "--", sys.executable, "-c", PROGRAM]
    delivered, is_ending = [], threading.Event()
    with subprocess.Popen(
        command, env=around, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        url = running.stdout.readline().strip()
        clients = [
            threading.Thread(target=calling, args=(url, delivered, is_ending))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        while len(delivered) < 20 and not is_ending.is_set():
            time.sleep(0.01)
        time.sleep(random.Random(turn).random() / 5)
        running.send_signal(signal.SIGKILL)
        for client in clients:
            client.join(60)
    with Ledger(path) as ledger:
        rows = [entry for entry in ledger.entries() if entry.kind == "settle"]
        assert ledger.verify().problems == ()
    assert len(delivered) >= 20
    assert len(delivered) <= len(rows) <= len(provider.billed)
    assert {(row.input_tokens, row.output_tokens, row.cost_basis) for row in rows} == {
        (8, 5, "stated")
    }
