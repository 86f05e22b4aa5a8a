"""Logs of other programs are read to the last token: each has its traps."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal

import program_logs
import pytest
from program_logs import codex_event, codex_session, tokens, write_lines

from budgetledger.errors import InvalidInput
from budgetledger.imports.sources import SOURCES, read_log
from budgetledger.usage import Usage


def sums(log):
    """The counts of all calls, but for those that are 0."""
    total = Counter()
    for call in log.calls:
        counts = (call.usage or Usage())._asdict()
        total.update({name: count for name, count in counts.items() if isinstance(count, int)})
    return {name: count for name, count in total.items() if count}


def reasons(log):
    return Counter(reason for reason, _ in log.skipped)


# -- Claude Code ------------------------------------------------------------------------------


def test_claude_code_takes_each_response_once_as_it_ended(tmp_path):
    log = read_log("claude-code", [program_logs.claude_code(tmp_path)])
    assert sums(log) == {
        "input_tokens": 35 + 600 + 2100,
        "output_tokens": 315,
        "cache_read_tokens": 2100,
        "cache_write_tokens": 500,
        "cache_write_1h_tokens": 100,
    }
    assert [call.response_id for call in log.calls] == ["msg_1", "msg_2", "msg_3"]
    assert reasons(log) == {
        "the line cannot be read (it may be cut off)": 1,
        "Claude Code wrote the message itself (<synthetic>)": 1,
    }


def test_claude_codes_response_belongs_where_it_began(tmp_path):
    log = read_log("claude-code", [program_logs.claude_code(tmp_path)])
    assert log.calls[0].at_us == 1788307199_000000  # 23:59:59, and ended after midnight


def test_the_order_of_files_does_not_matter(tmp_path):
    program_logs.claude_code(tmp_path)
    files = sorted(tmp_path.rglob("*.jsonl"))
    logs = [read_log("claude-code", paths) for paths in (files, files[::-1])]
    assert logs[0].calls == logs[1].calls


def test_claude_code_elsewhere_is_priced_there_and_old_lines_state_their_cost(tmp_path):
    line = program_logs.message("u1", "2026-09-01T10:00:00Z", "msg_bdrk_1", 9, costUSD=0.5)
    (call,) = read_log("claude-code", [write_lines(tmp_path / "s.jsonl", [line])]).calls
    assert (call.host, call.cost) == ("bedrock", Decimal("0.5"))


# -- LiteLLM ----------------------------------------------------------------------------------


def spend_logs(tmp_path, rows, name="logs.json"):
    path = tmp_path / name
    path.write_text(json.dumps(rows))
    return path


def test_litellms_rows_of_one_call_count_once(tmp_path):
    log = read_log("litellm-logs", [spend_logs(tmp_path, program_logs.spend_logs())])
    assert sum(call.cost for call in log.calls) == Decimal("0.0342")
    assert sums(log) == {"input_tokens": 10_200, "output_tokens": 1700, "cache_read_tokens": 600}
    costs = {call.account: call.cost for call in log.calls if call.account != "bob"}
    assert costs == {"customer-7": Decimal("0.0042"), "alice": 0}
    assert log.skipped == [
        ("the call failed and cost nothing", "inv-failure"),
        (
            "another row has its litellm_call_id and its tokens",
            "chatcmpl-inv-b, as resp_inv-b",
        ),
    ]


def test_litellms_rows_of_one_call_id_with_other_tokens_are_other_calls(tmp_path):
    rows = [
        program_logs.spend_log(name, "00:00:00", "call", "gpt-4o", "gpt-4o", (10, output), 0.01)
        for name, output in (("a", 1), ("b", 2))
    ]
    assert len(read_log("litellm-logs", [spend_logs(tmp_path, rows)]).calls) == 2


def test_litellms_suffixes_are_no_part_of_a_responses_id(tmp_path):
    log = read_log("litellm-logs", [spend_logs(tmp_path, program_logs.spend_logs())])
    ids = [call.response_id for call in log.calls]
    assert ids == ["chatcmpl-inv-a", None, "resp_inv-b", "batch_inv"]
    assert log.calls[-1].usage.service_tier == "batch"


def test_litellms_text_columns_pages_and_lines_are_read(tmp_path):
    rows = program_logs.spend_logs()[:1]
    rows[0]["metadata"] = json.dumps(rows[0]["metadata"])
    rows[0]["request_tags"] = json.dumps(rows[0]["request_tags"])
    page = spend_logs(tmp_path, {"data": rows, "total_pages": 3})
    lines = write_lines(tmp_path / "logs.jsonl", program_logs.spend_logs())
    log = read_log("litellm-logs", [page])
    assert log.calls[0].usage.cache_read_tokens == 600
    assert log.calls[0].tags["tags"] == ["feature:search"]
    assert "one of 3 pages" in log.remarks[0]
    assert len(read_log("litellm-logs", [lines, page]).calls) == 4


def test_litellms_spend_of_zero_is_not_known_but_for_cache_hits(tmp_path):
    row = program_logs.spend_log("a", "00:00:00", None, "gpt-4o", "", (10, 1), 0)
    (call,) = read_log("litellm-logs", [spend_logs(tmp_path, [row])]).calls
    assert (call.source_id, call.cost, call.model) == ("a", None, "gpt-4o")


def test_litellms_sums_by_day_are_refused_with_the_reason(tmp_path):
    with pytest.raises(InvalidInput, match=r"sums by day and no calls.*summarize=false"):
        read_log("litellm-logs", [spend_logs(tmp_path, program_logs.SUMMARY)])


# -- llm --------------------------------------------------------------------------------------


def test_llms_tables_are_one_history(tmp_path):
    log = read_log("llm", [program_logs.llm(tmp_path / "logs.db")])
    assert sums(log) == {"input_tokens": 600, "output_tokens": 60, "cache_read_tokens": 400}
    assert [call.source_id for call in log.calls] == ["inv1", "inv2", "inv3", "inv4"]
    assert [call.usage for call in log.calls].count(None) == 1
    assert len(log.skipped) == 1


@pytest.mark.parametrize(
    ("details", "input_tokens", "cached"),
    [
        ({"cache_read_input_tokens": 50}, 150, 50),  # Anthropic's: beside the input
        ({"prompt_tokens_details": {"cached_tokens": 50}}, 100, 50),
        ({"cachedContentTokenCount": 50}, 100, 50),
        ({"something": "else"}, 100, 0),
    ],
)
def test_llms_details_are_in_the_providers_form(tmp_path, details, input_tokens, cached):
    path = program_logs.llm(tmp_path / "logs.db")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE responses SET token_details = ? WHERE id = 'inv1'", (json.dumps(details),)
        )
    usage = read_log("llm", [path]).calls[0].usage
    assert (usage.input_tokens, usage.cache_read_tokens) == (input_tokens, cached)


# -- Codex ------------------------------------------------------------------------------------


def test_codexs_counter_is_differenced_and_forks_count_once(tmp_path):
    log = read_log("codex", [program_logs.codex(tmp_path)])
    assert sums(log) == {
        "input_tokens": 701,
        "cache_read_tokens": 380,
        "output_tokens": 61,
        "reasoning_tokens": 10,
    }
    minutes = [call.at_us // 60_000_000 % 60 for call in log.calls]
    assert minutes == [1, 3, 31, 41]  # where they happened, not where they were copied
    assert [call.model for call in log.calls][2:] == ["gpt-5-codex", "gpt-5-mini"]
    assert log.calls[0].host == "openai"
    assert sum(reasons(log).values()) == 1 + 2 + 3 + 1


def test_codexs_calls_keep_their_ids_without_the_parents_file(tmp_path):
    program_logs.codex(tmp_path, copied_metas=False)
    all_ids = {call.source_id for call in read_log("codex", [tmp_path]).calls}
    (fork,) = tmp_path.rglob("rollout-b.jsonl")
    assert {call.source_id for call in read_log("codex", [fork]).calls} < all_ids
    (agent,) = tmp_path.rglob("rollout-c.jsonl")
    names = read_log("codex", [tmp_path]).calls[-1]
    alone = read_log("codex", [agent]).calls[-1]
    assert alone.source_id in names.also


def test_a_codex_counter_that_starts_again_counts_its_last_call(tmp_path):
    last = tokens(50, 0, 5)
    lines = [*codex_session("s"), codex_event(1, tokens(900, 0, 90)), codex_event(2, last, last)]
    log = read_log("codex", [write_lines(tmp_path / "s.jsonl", lines)])
    assert sums(log) == {"input_tokens": 950, "output_tokens": 95}


def test_equal_counters_of_strangers_are_two_calls(tmp_path):
    for name in ("a", "b"):
        lines = [*codex_session(name), codex_event(1, tokens(10, 0, 1))]
        write_lines(tmp_path / f"{name}.jsonl", lines)
    assert len(read_log("codex", [tmp_path]).calls) == 2


# -- opencode ---------------------------------------------------------------------------------


def test_opencodes_tree_and_file_count_once(tmp_path):
    log = read_log("opencode", [program_logs.opencode(tmp_path / "opencode")])
    first, second = log.calls
    assert first.usage == Usage(1207, 55, 1000, 200, reasoning_tokens=5)  # beside, as it is billed
    assert second.usage == Usage(1207, 50, 1000, 200, reasoning_tokens=5)  # inside, by the total
    assert (first.cost, second.cost) == (None, Decimal("0.25"))
    assert (first.host, first.at_us) == ("anthropic", 1788222600_000000)
    assert reasons(log) == {
        "the message came before: the tree and the file have it both": 1,
        "the message has no tokens: it was not finished, or failed": 1,
    }


def test_opencodes_tree_alone_is_read(tmp_path):
    program_logs.opencode(tmp_path / "opencode")
    assert len(read_log("opencode", [tmp_path / "opencode/storage"]).calls) == 1


# -- all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_files_of_another_kind_are_refused_or_skipped(tmp_path, source):
    path = tmp_path / "x"
    path.write_bytes(b"\xff\x00 no log\nat all\n")
    if source in ("litellm-logs", "llm"):
        with pytest.raises(InvalidInput, match=re.escape(str(path))):
            read_log(source, [path])
    else:
        log = read_log(source, [path])
        assert not log.calls
        assert log.skipped


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_not_there_is_named(tmp_path, source):
    with pytest.raises(InvalidInput, match="nowhere"):
        read_log(source, [tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="empty"):
        read_log(source, [tmp_path / "empty"])
