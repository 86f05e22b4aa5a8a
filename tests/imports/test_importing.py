"""A log's calls become rows: each once, where it happened, counted only if asked."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import program_logs
import pytest
from samples import START

from budgetledger import Ledger
from budgetledger.errors import InvalidInput, StoreFull
from budgetledger.imports import importing
from budgetledger.imports.calls import Call, new_log
from budgetledger.imports.importing import import_log
from budgetledger.imports.sources import read_log
from budgetledger.journal.journal import journal_of
from budgetledger.testing import FakeClock
from budgetledger.usage import Usage
from budgetledger.windows import to_us

NOW = datetime(2026, 9, 3, tzinfo=UTC)


@pytest.fixture
def ledger(opened):
    """A ledger at a moment after the logs."""
    return opened(clock=FakeClock(NOW))


def brought(ledger, source, *paths, **options):
    """The result of importing *paths*, each by itself, in turn."""
    for path in paths:
        done = import_log(journal_of(ledger), source, read_log(source, [path]), **options)
    return done


def of_calls(ledger, source, *calls, **options):
    log = new_log()
    log.calls.extend(calls)
    return import_log(journal_of(ledger), source, log, **options)


def call(name="c1", output=10, **more):
    facts = {"response_id": "r1", "account": "alice", **more}
    usage = facts.pop("usage", Usage(100, output))
    return Call(name, to_us(START), "gpt-4o", "gpt-4o", usage, **facts)


def money(ledger):
    return [entry for entry in ledger.entries() if entry.kind in ("import", "charge")]


# gpt-4o costs 2.50 and 10.00 USD a million tokens.
TEN, TWENTY = Decimal("0.00035"), Decimal("0.00045")


# -- totals -----------------------------------------------------------------------------------


def test_claude_code_is_imported_to_the_last_digit(ledger, tmp_path):
    folder = program_logs.claude_code(tmp_path)
    done = brought(ledger, "claude-code", folder, account="me")
    first, second, third = money(ledger)
    # claude-sonnet-4-5: 3, 15 USD; cache written 3.75 (5 min), 6 (1 h), read 0.30.
    prices = {"input": 3, "output": 15, "5m": "3.75", "1h": 6, "read": "0.3"}
    counts = {"input": 10, "output": 260, "5m": 500, "1h": 100, "read": 2000}
    cost = sum(Decimal(prices[name]) * counts[name] for name in prices) / 10**6
    assert first.cost == cost
    assert third.cost == Decimal(3 * 5 + 15 * 15) / 10**6
    assert first.occurred_at == datetime(2026, 9, 1, 23, 59, 59, tzinfo=UTC)
    assert done.calls == 3
    assert done.cost == sum(entry.cost for entry in money(ledger) if entry.cost is not None)
    assert {entry.account for entry in money(ledger)} == {"me"}
    assert (second.model, first.response_id) == ("deepseek-v4-flash", "msg_1")
    assert sum(entry.output_tokens for entry in money(ledger)) == 315
    assert len(done.skipped) == 2


def test_litellms_costs_are_its_own(ledger, tmp_path):
    path = tmp_path / "logs.jsonl"
    program_logs.write_lines(path, program_logs.spend_logs())
    done = brought(ledger, "litellm-logs", path)
    assert done.cost == Decimal("0.0342")
    costs = {entry.account: entry.cost for entry in money(ledger)[:2]}
    assert costs == {"customer-7": Decimal("0.0042"), "alice": 0}
    assert {entry.price_source for entry in money(ledger)} == {"litellm"}


def test_llm_and_opencode_have_their_price_and_unknown_models_none(ledger, tmp_path):
    done = brought(ledger, "llm", program_logs.llm(tmp_path / "logs.db"), account="me")
    assert (done.calls, done.unpriced) == (4, 1)
    *_, local, _ = money(ledger)
    assert (local.model, local.cost, local.usage) == ("local-llama", None, {})
    done = brought(ledger, "opencode", program_logs.opencode(tmp_path / "oc"), account="me")
    assert [entry.price_source for entry in money(ledger)[-2:]][1] == "opencode"
    assert money(ledger)[-1].cost == Decimal("0.25")
    brought(ledger, "codex", program_logs.codex(tmp_path), account="me")
    assert sum(entry.output_tokens for entry in money(ledger)[-4:]) == 61


def test_each_call_has_the_price_of_its_time(ledger):
    ledger.set_price("gpt-4o", input=0, output=100, effective_at=START + timedelta(days=1))
    of_calls(ledger, "llm", call(), call("c2")._replace(at_us=to_us(START + timedelta(days=2))))
    assert [entry.cost for entry in money(ledger)] == [TEN, Decimal("0.001")]


# -- once -------------------------------------------------------------------------------------


def test_again_and_in_any_order_is_the_same(ledger, tmp_path):
    folder = program_logs.codex(tmp_path)
    files = sorted(folder.rglob("*.jsonl"))
    brought(ledger, "codex", *files[::-1], account="me")
    rows = list(ledger.entries())
    done = brought(ledger, "codex", folder, *files, account="me")
    assert list(ledger.entries()) == rows
    assert (done.calls, done.grown, done.cost) == (0, 0, 0)
    assert sum(entry.output_tokens for entry in rows) == 61
    assert sum(entry.requests for entry in rows) == 4


def test_a_call_that_grew_has_another_row_with_the_difference(ledger):
    for output in (10, 20, 20, 15, 1):
        done = of_calls(ledger, "claude-code", call(output=output))
    first, second = money(ledger)
    assert (first.cost, second.cost) == (TEN, TWENTY - TEN)
    assert (second.usage, second.requests) == ({"output_tokens": 10}, 0)
    assert second.occurred_at == first.occurred_at
    assert (done.calls, done.grown, done.repeated) == (0, 0, 1)
    done = of_calls(ledger, "claude-code", call(output=30, cost=Decimal("0.5")))
    assert (done.grown, done.cost) == (1, Decimal("0.5") - TWENTY)
    assert sum(entry.cost for entry in money(ledger)) == Decimal("0.5")
    assert of_calls(ledger, "claude-code", call(output=30)).repeated == 1


def test_ids_of_calls_do_not_meet_those_of_further_rows(ledger):
    names = ["a", "a#2", "a%232", "x" * 400, "x" * 401, "a\n"]
    assert of_calls(ledger, "llm", *map(call, names)).calls == 6
    of_calls(ledger, "llm", call("a", 20))
    assert of_calls(ledger, "llm", *map(call, names)).repeated == 6


def test_a_failure_in_the_middle_is_made_good_by_the_next_import(ledger, monkeypatch):
    monkeypatch.setattr(importing, "PAGE_ROWS", 10)
    calls = [call(f"c{number}", response_id=None) for number in range(35)]

    def fail(done, total):
        if done == 20:
            raise StoreFull("no room; make some", target="it")

    with pytest.raises(StoreFull):
        of_calls(ledger, "llm", *calls, progress=fail)
    assert len(money(ledger)) == 20
    assert of_calls(ledger, "llm", *calls)[:3] == (15, 0, 20)
    assert [entry.idempotency_key for entry in money(ledger)] == [
        f"import:llm:c{number}" for number in range(35)
    ]


IMPORT = """
import sys
from budgetledger import Ledger
from budgetledger.imports.importing import import_log
from budgetledger.imports.sources import read_log
from budgetledger.journal.journal import journal_of
with Ledger(sys.argv[1]) as ledger:
    print("ready", flush=True)
    log = read_log("claude-code", [sys.argv[2]])
    import_log(journal_of(ledger), "claude-code", log, account="me",
               progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.slow
def test_killed_in_the_middle_and_again_is_the_same(database, tmp_path):
    lines = [
        program_logs.message(f"u{number}", "2026-09-01T10:00:00Z", f"msg_{number}", number % 9 + 1)
        for number in range(12_000)
    ]
    path = program_logs.write_lines(tmp_path / "log/s.jsonl", lines)
    command = [sys.executable, "-c", IMPORT, str(database.target), str(path)]
    for pages in (1, 4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.strip().isdecimal() and int(line) >= pages * 1000:
                time.sleep(0.002)
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        process.stdout.close()
    with Ledger(database.target) as ledger:
        assert 4000 <= len(money(ledger)) < 12_000
        done = brought(ledger, "claude-code", path, account="me")
        assert len({entry.idempotency_key for entry in money(ledger)}) == 12_000
        assert sum(entry.output_tokens for entry in money(ledger)) == sum(
            number % 9 + 1 for number in range(12_000)
        )
        assert done.calls + done.repeated == 12_000
        assert ledger.verify().ok


# -- what is known already --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shift", "model", "is_same"),
    [
        (timedelta(hours=23), "gpt-4o", True),
        (timedelta(hours=-23), "openai/gpt-4o-2024-08-06", True),
        (timedelta(hours=25), "gpt-4o", False),
        (timedelta(), "gpt-4o-mini", False),
    ],
)
def test_a_call_that_the_ledger_recorded_itself_is_left_out(ledger, shift, model, is_same):
    ledger.set_budget("alice", 1)
    answer = {"id": "r1", "model": model, "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    ledger.charge("alice", answer, occurred_at=START + shift)
    done = of_calls(ledger, "litellm-logs", call(), call("c2", response_id="r2"))
    assert done.calls == (1 if is_same else 2)
    assert [reason for reason, _ in done.skipped] == [importing._KNOWN] * is_same
    assert of_calls(ledger, "litellm-logs", call()).repeated == (not is_same)


def test_a_call_of_two_logs_is_imported_once(ledger):
    assert of_calls(ledger, "litellm-logs", call()).calls == 1
    assert of_calls(ledger, "claude-code", call("another")).calls == 0
    assert of_calls(ledger, "litellm-logs", call("c2")).calls == 1  # its id tells them apart


# -- counted or not ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [False, True])
def test_history_counts_only_if_asked(opened, count):
    told = []
    ledger = opened(clock=FakeClock(START), on_alert=told.append)
    ledger.set_budget("alice", "0.0004", per="month", alert_at=(0.5,))
    ledger.set_budget("team", 1)
    ledger.set_parent("alice", "team")
    of_calls(ledger, "llm", call(), count=count)
    of_calls(ledger, "llm", call(output=20), count=count)
    for account in ("alice", "team"):
        assert ledger.balance(account).posted == (TWENTY if count else 0)
    assert bool(told) == bool(ledger.alerts()) == count
    assert ledger.model_costs("alice") == ({"gpt-4o": TWENTY} if count else {})
    of_calls(ledger, "llm", call(output=20), count=not count)
    assert ledger.balance("alice").posted == (TWENTY if count else 0)


def test_counted_history_counts_in_the_window_where_it_happened(opened):
    ledger = opened(clock=FakeClock(NOW))
    ledger.set_budget("alice", 1, per="month")
    of_calls(ledger, "llm", call(), count=True)
    assert ledger.balance("alice").posted == 0
    assert ledger.balance("alice", at=START).posted == TEN


# -- accounts, and what cannot be recorded ----------------------------------------------------


def test_the_account_is_the_callers_or_the_logs_own(ledger):
    nobody = call("c2", account=None, response_id=None)
    done = of_calls(ledger, "llm", call(), nobody)
    assert done.skipped == (("it names no user; pass an account", "c2"),)
    assert of_calls(ledger, "llm", call("c3"), nobody, account="me").calls == 2
    assert [entry.account for entry in money(ledger)] == ["alice", "me", "me"]
    with pytest.raises(InvalidInput, match="no users"):
        of_calls(ledger, "llm", nobody)
    with pytest.raises(InvalidInput):
        of_calls(ledger, "llm", nobody, account="")


def test_what_cannot_be_recorded_is_skipped_with_the_reason(ledger):
    bad = call("c2", account="a\0"), call("c3", cost=Decimal("1e30"))
    done = of_calls(ledger, "llm", call(response_id=None), *bad)
    assert done.calls + len(done.skipped) == 3
    assert "NUL" in done.skipped[0].reason


def test_a_dry_run_records_nothing(ledger, tmp_path):
    before = list(ledger.entries())
    folder = program_logs.claude_code(tmp_path)
    tried = brought(ledger, "claude-code", folder, account="me", dry_run=True)
    assert list(ledger.entries()) == before
    assert ledger.accounts() == []
    assert brought(ledger, "claude-code", folder, account="me") == tried


def test_an_empty_log_records_nothing(ledger):
    assert of_calls(ledger, "llm").calls == 0
