"""Invented logs of other programs, as they write them, with the traps that each has.

Totals by hand: see the tests that use them.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

SONNET = "claude-sonnet-4-5-20250929"
CACHED = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 600,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 100},
    "service_tier": "standard",
}
PLAIN = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 100,
    "output_tokens": 40,
}


def message(uuid, time, name, output, *, usage=CACHED, model=SONNET, request=None, **more):
    """A line of Claude Code that reports a response."""
    entry = {"type": "assistant", "uuid": uuid, "timestamp": time, "sessionId": "s1", **more}
    if request:
        entry["requestId"] = request
    used = {**usage, "output_tokens": output}
    return entry | {"message": {"id": name, "role": "assistant", "model": model, "usage": used}}


def write_lines(path, lines, cut=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + cut)
    return path


def claude_code(folder):
    """Growing lines over midnight, no requestId, a synthetic message, a cut line, a sidechain."""
    flash = {"usage": PLAIN, "model": "deepseek-v4-flash"}
    lines = [
        {"type": "user", "uuid": "u0", "message": {"role": "user", "content": "hi"}},
        message("u1", "2026-09-01T23:59:59.000Z", "msg_1", 1, request="req_1"),
        message("u2", "2026-09-01T23:59:59.500Z", "msg_1", 1, request="req_1"),
        message("u3", "2026-09-02T00:00:01.000Z", "msg_1", 260, request="req_1"),
        message("u4", "2026-09-02T00:01:00.000Z", "msg_2", 40, **flash),
        message("u5", "2026-09-02T00:01:00.100Z", "msg_2", 40, **flash),
        message("u6", "2026-09-02T00:02:00.000Z", "inv-err", 0, usage={}, model="<synthetic>"),
    ]
    write_lines(folder / "proj/s1.jsonl", lines, '{"type":"assistant","timestamp":"2026-09-02T0')
    short = {"usage": {"input_tokens": 5}, "isSidechain": True}
    side = [
        message("v1", "2026-09-02T00:02:30.000Z", "msg_1", 260, request="r9", isSidechain=True),
        message("v2", "2026-09-02T00:02:40.000Z", "msg_3", 15, request="r10", **short),
    ]
    write_lines(folder / "proj/s1/subagents/agent-1.jsonl", side)
    return folder


KEY = "0" * 63 + "1"


def spend_log(request_id, at, call_id, model, group, tokens, spend, **more):
    """A row of LiteLLM_SpendLogs."""
    return {
        "request_id": request_id, "call_type": "acompletion", "api_key": KEY, "spend": spend,
        "prompt_tokens": tokens[0], "completion_tokens": tokens[1],
        "startTime": f"2026-09-01T{at}Z", "endTime": f"2026-09-01T{at}Z", "model": model,
        "model_group": group, "custom_llm_provider": "openai", "user": "bob", "end_user": "",
        "team_id": "research", "request_tags": [], "cache_hit": "None", "status": "success",
        "session_id": None, "litellm_call_id": call_id, "metadata": {},
    } | more  # fmt: skip


def spend_logs():
    """A cache hit, a failure, two rows of one call, the cost of a batch."""
    gpt, claude = ("gpt-4o-2024-08-06", "gpt-4o"), ("claude-sonnet-4-5", "sonnet")
    cached = {"additional_usage_values": {"cache_read_input_tokens": 600}}
    alice, at = {"user": "alice"}, {"custom_llm_provider": "anthropic"}
    tags = {"request_tags": ["feature:search"]}
    return [
        spend_log("chatcmpl-inv-a", "00:30:00", "call-1", *gpt, (1000, 100), 0.0042,
                  end_user="customer-7", metadata=cached, **alice, **tags),
        spend_log("chatcmpl-inv-a_cache_hit1788222660.5", "00:31:00", "call-2", *gpt, (1000, 100),
                  0.0, cache_hit="True", **alice),
        spend_log("inv-failure", "00:32:00", "call-3", "gpt-4o", "gpt-4o", (0, 0), 0.0,
                  status="failure", custom_llm_provider="", **alice),
        spend_log("resp_inv-b", "00:33:00", "call-4", *claude, (200, 500), 0.01, **at),
        spend_log("chatcmpl-inv-b", "00:33:00", "call-4", *claude, (200, 500), 0.01, **at),
        spend_log("batch_inv_batch_cost", "06:00:00", "call-5", "gpt-4o-mini", "", (8000, 1000),
                  0.02, call_type="aretrieve_batch"),
    ]  # fmt: skip


SUMMARY = [
    {KEY: 0.0442, "startTime": "2026-09-01", "spend": 0.0442, "users": {"alice": 0.0042}},
    {"startTime": "2026-09-02", "spend": 0, "users": {}, "models": {}},
]


def llm(path):
    """One id in both tables, tokens that are NULL, details in two spellings."""
    cached, input_cached = (
        json.dumps({f"{name}_tokens_details": {"cached_tokens": count}})
        for name, count in (("prompt", 150), ("input", 250))
    )
    columns = "id TEXT PRIMARY KEY, model TEXT, resolved_model TEXT, input_tokens INTEGER, "
    columns += "output_tokens INTEGER, token_details TEXT, datetime_utc TEXT, response_json TEXT"
    second = ("inv2", "gpt-4o", "gpt-4o-2024-08-06", 200, 20, cached, "2026-08-01T10:00:00+00:00")
    with closing(sqlite3.connect(path)) as database, database:
        for table, rows in {
            "responses": [
                ("inv1", "gpt-4o", None, 100, 10, None, "2026-07-01T10:00:00.000001+00:00"),
                second,
                ("inv3", "local-llama", None, None, None, None, "2026-08-02T10:00:00"),
            ],
            "turns": [
                second,
                ("inv4", "gpt-5.5", "gpt-5.5", 300, 30, input_cached, "2026-09-01T10:00:00+00:00"),
            ],
        }.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
            database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", rows)
    return path


def tokens(input_tokens, cached, output, reasoning=0):
    """A counter of Codex."""
    return {
        "input_tokens": input_tokens,
        "cached_input_tokens": cached,
        "output_tokens": output,
        "reasoning_output_tokens": reasoning,
        "total_tokens": input_tokens + output,
    }


def codex_event(minute, total, last=None):
    """A ``token_count`` event, at a minute of an hour."""
    info = {"total_token_usage": total, "last_token_usage": last or total}
    payload = {"type": "token_count", "info": info, "rate_limits": None}
    return {"timestamp": f"2026-09-01T08:{minute:02}:00Z", "type": "event_msg", "payload": payload}


def codex_session(name, model="gpt-5-codex", **meta):
    """How a session begins."""
    started = {"timestamp": "2026-09-01T08:00:00Z"}
    meta = {"id": name, "model_provider": "openai", **meta}
    return [
        started | {"type": "session_meta", "payload": meta},
        started | {"type": "turn_context", "payload": {"model": model}},
    ]


FIRST, SECOND, THIRD = tokens(100, 0, 10, 4), tokens(300, 80, 30, 4), tokens(700, 380, 60, 10)


def codex(folder, copied_metas=True):
    """An event emitted again, limits without counts, a fork, and a subagent of that."""
    limits = {"type": "event_msg", "payload": {"type": "token_count", "info": None}}
    own = codex_session("parent")
    history = [codex_event(1, FIRST), codex_event(2, FIRST), codex_event(3, SECOND)]
    write_lines(folder / "sessions/2026/09/01/rollout-a.jsonl", [*own, limits, *history])
    fork = codex_session("fork", forked_from_id="parent")
    copied = [codex_event(30, FIRST), codex_event(30, SECOND)]
    new = codex_event(31, THIRD)
    write_lines(folder / "sessions/2026/09/01/rollout-b.jsonl", [*fork, *own, *copied, new])
    spawned = {"source": {"subagent": {"thread_spawn": {"parent_thread_id": "fork"}}}}
    again = [*copied, codex_event(40, THIRD), codex_event(41, tokens(701, 380, 61, 10))]
    agent = codex_session("agent", "gpt-5-mini", **spawned)
    metas = [*fork, *own, agent[1]] if copied_metas else []
    lines = [*agent, *metas, *again]
    write_lines(folder / "archived_sessions/rollout-c.jsonl", lines, '{"timestamp": "2026')
    return folder


def opencode_message(name, at_ms, tokens, cost=0, **more):
    """A message of opencode."""
    data = {"id": name, "sessionID": "ses_1", "role": "assistant", "modelID": SONNET,
            "providerID": "anthropic", "cost": cost, "tokens": tokens,
            "time": {"created": at_ms}}  # fmt: skip
    return data | more


def opencode(folder):
    """A tree that was copied into the file; reasoning beside and inside; a message unfinished."""
    counts = {"input": 7, "output": 50, "reasoning": 5, "cache": {"read": 1000, "write": 200}}
    messages = [
        opencode_message("msg_a", 1788222600000, counts),
        opencode_message("msg_b", 1788222700000, counts | {"total": 1257}, 0.25),
        opencode_message("msg_c", 1788222800000, {"input": 0, "output": 0, "reasoning": 0}),
        {"id": "msg_u", "role": "user", "time": {"created": 1788222500000}},
    ]
    folder.mkdir()
    with closing(sqlite3.connect(folder / "opencode.db")) as database, database:
        database.execute("CREATE TABLE message (id, session_id, time_created, data)")
        for data in messages:
            row = {key: value for key, value in data.items() if key not in ("id", "sessionID")}
            values = (data["id"], "ses_1", data["time"]["created"], json.dumps(row))
            database.execute("INSERT INTO message VALUES (?, ?, ?, ?)", values)
    for data in messages[:1]:
        path = folder / f"storage/message/ses_1/{data['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
    return folder
