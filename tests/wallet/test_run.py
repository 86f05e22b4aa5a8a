"""``budgetledger run`` as a person runs it: keys, signals, exit codes, the bill, kills."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal

import alone
import httpx2
import pytest
import wallets

from budgetledger import Ledger

AGENT = """
import json, os, sys, urllib.request

def call(text="Hi", most=20, key=os.environ.get("OPENAI_API_KEY"), **more):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "max_tokens": most}
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps(body | more).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    try:
        return urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()

"""


@pytest.fixture
def path(tmp_path, empty_file):
    import shutil

    return shutil.copy(empty_file, tmp_path / "spend.db")


@pytest.fixture
def around(provider, path):
    """The environment of a person with keys."""
    keys = {"OPENAI_API_KEY": "sk-real-openai-0123456789", "GROQ_API_KEY": "gsk_real-groq"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | wallets.to(provider) | keys | {"BUDGETLEDGER_DB": str(path)}


def command(*options, program):
    program = AGENT + textwrap.dedent(program)
    return [*alone.command("run"), "run", *options, "--", sys.executable, "-c", program]


def run(around, *options, program):
    return subprocess.run(
        command(*options, program=program), env=around, capture_output=True, text=True, timeout=120
    )


def rows(path, kind="settle"):
    with Ledger(path) as ledger:
        return [entry for entry in ledger.entries() if entry.kind == kind]


def test_a_run_has_an_account_a_bill_and_stand_in_keys(around, provider, path):
    done = run(
        around, "--limit", "1", "--tag", "job=7",
        program="""
            print(os.environ["OPENAI_API_KEY"], os.environ["GROQ_API_KEY"])
            call("[[input=1000 output=200]]"), call(stream=True)
        """,
    )  # fmt: skip
    assert done.returncode == 0
    assert "real" not in done.stdout.replace("sk-", "")
    assert [billed.headers["authorization"] for billed in provider.billed] == [
        f"Bearer {around['OPENAI_API_KEY']}"
    ] * 2
    [first, second] = rows(path)
    assert re.fullmatch(r"run:\d{8}-\d{6}-[0-9a-f]{6}", first.account)
    assert first.tags == {"program": os.path.basename(sys.executable), "job": "7"}
    assert (first.input_tokens, first.output_tokens) == (1000, 200)
    assert done.stderr.splitlines() == [
        "budgetledger: replaced by keys that fail, as their hosts are not metered: GROQ_API_KEY; "
        "--pass-keys passes keys on",
        f"budgetledger: {first.account}",
        "model   calls  input  output      cost",
        "gpt-4o      2  1,008     205  $0.00457",
        "0 refused, 0 waited; most held at once $0.00024",
    ]
    assert first.cost + second.cost == Decimal("0.00457")


def test_keys_pass_if_that_is_wanted(around, provider):
    done = run(around, "--limit", "1", "--pass-keys", program='print(os.environ["GROQ_API_KEY"])')
    assert done.stdout == "gsk_real-groq\n"
    assert "replaced" not in done.stderr


def test_a_refusal_is_said_at_once_and_is_the_exit_code_of_a_program_that_hides_it(around):
    done = run(around, "--limit", "0.01", program="print(call(most=32_000)), call(most=32_000)")
    assert done.returncode == 3
    message = (
        "one call may cost more than the limit of this run: the call may cost up to $0.32; "
        "limit $0.01, spent $0, held for open calls $0; raise it: budgetledger run --limit 0.33"
    )
    assert message in done.stdout
    assert done.stderr.count(message) == 1
    assert "2 refused" in done.stderr


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("sys.exit(7)", 7),
        ("call(most=10**6); sys.exit(5)", 5),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_the_programs_own_exit_code_is_handed_on(program, code, around):
    assert run(around, "--limit", "1", program=program).returncode == code


def test_a_program_that_makes_no_call_is_remarked_on(around):
    done = run(around, "--limit", "1", program="pass")
    assert done.returncode == 0
    assert "no call came through the wallet" in done.stderr


def test_what_cannot_run_does_not(around, path):
    def code(*arguments):
        words = [*alone.command("run"), "run", *arguments]
        done = subprocess.run(words, env=around, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    assert code("--limit", "1", "--", "/no/such/program")[0] == 127
    assert code("--limit", "1", "--", str(path))[0] == 126
    assert code("--limit", "1")[0] == 2
    status, said = code("--", "true")
    assert status == 2
    assert "pass --limit USD, or --user NAME with a budget" in said
    assert code("--user", "nobody", "--limit", "1", "--", "true")[0] == 2
    assert code("--limit", "0", "--", "true")[0] == 2


def test_a_users_budgets_apply_above_the_run(around, path):
    with Ledger(path) as ledger:
        ledger.set_budget("team", "0.001", per="month")
        ledger.set_budget("alice", "5")
        ledger.set_parent("alice", "team")
    done = run(around, "--user", "alice", "--limit", "1", program="print(call(), call(most=500))")
    assert done.returncode == 3
    assert "budget 'usd/month' of 'team' is reached" in done.stderr
    assert "budgetledger set-budget team 0.01 --name usd/month" in done.stderr
    with Ledger(path) as ledger:
        assert ledger.balance("alice").posted == ledger.balance("team").posted > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_handed_on_and_the_bill_still_comes(number, around):
    program = "call(); print('called', flush=True); import time; time.sleep(60)"
    with subprocess.Popen(
        command("--limit", "1", program=program), env=around, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout.readline() == "called\n"
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert running.returncode in (128 + number, 1)  # Python itself ends SIGINT by an exception
    assert "gpt-4o" in said


def test_a_killed_wallet_fails_closed_and_has_recorded_every_answer(around, provider, path):
    """The child goes on alone: its next call reaches nobody."""
    program = """
        import time
        parent = os.getppid()
        print(call(), flush=True)
        print(os.environ["OPENAI_BASE_URL"], flush=True)
        while os.getppid() == parent:
            time.sleep(0.01)
        try:
            call()
        except urllib.error.URLError as error:
            print("failed", flush=True)
    """
    with subprocess.Popen(
        command("--limit", "1", program=program), env=around, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        assert "row row" in running.stdout.readline()
        url = running.stdout.readline().strip()
        running.kill()
        assert running.stdout.readline() == "failed\n"
    with pytest.raises(httpx2.ConnectError):
        wallets.get(f"{url}/models")
    assert len(rows(path)) == len(provider.billed) == 1


def test_calls_in_progress_when_the_program_ends_are_recorded(around, provider, path):
    """A grandchild's stream is cut with the run, and what came of it is on the bill."""
    program = """
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[stall=2]]"}]}
        import http.client
        from urllib.parse import urlsplit
        base = urlsplit(os.environ["OPENAI_BASE_URL"])
        connection = http.client.HTTPConnection(base.netloc)
        connection.request(
            "POST", base.path + "/chat/completions", json.dumps(body | {"stream": True}),
            {"content-type": "application/json"},
        )
        answer = connection.getresponse()
        while b" row" not in answer.readline():
            pass
    """
    done = run(around, "--limit", "1", program=program)
    assert done.returncode == 0
    [row] = rows(path)
    assert row.cost_basis == "estimated"
    assert "gpt-4o" in done.stderr
