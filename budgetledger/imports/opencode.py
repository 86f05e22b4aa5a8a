"""The messages of opencode: its SQLite file, or the older tree of JSON files. Pure.

The tree was copied into the file: one message is in both, under one id. What was cached is beside
the input, and reasoning beside the output unless the total shows otherwise. A cost of 0 often
means that opencode does not know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from budgetledger.errors import UnreadableResponse
from budgetledger.imports.calls import Call, Log, milliseconds_us, new_log, stated_usd, tags_of
from budgetledger.imports.files import Parsed, Table, json_in
from budgetledger.responses.fields.by_name import count, fields, fields_at, text
from budgetledger.usage import Usage, fitting


def read(files: Iterable[Parsed], databases: Iterable[tuple[str, list[Table]]]) -> Log:
    """The calls of *databases* and of the *files* of a tree, each once, in order of time."""
    log = new_log()
    calls: dict[str, Call] = {}
    for place, message in _messages(files, databases):
        if not isinstance(message, dict):
            log.skip("the message cannot be read", place)
            continue
        if "assistant" not in (message.get("role"), message.get("type")):
            continue  # what the user wrote
        call = _call(message, place, log)
        if call is not None:
            first = calls.get(call.source_id)
            if first is not None:
                log.skip("the message came before: the tree and the file have it both", place)
            if first is None or _size(call) > _size(first):
                calls[call.source_id] = call
    log.calls.extend(sorted(calls.values(), key=lambda call: call.at_us))
    return log


def _messages(
    files: Iterable[Parsed], databases: Iterable[tuple[str, list[Table]]]
) -> Iterator[tuple[str, Any]]:
    for file, tables in databases:
        for name, rows in tables:
            for row in rows:
                message = json_in(row.get("data"))
                if isinstance(message, dict):
                    known = {"id": row.get("id"), "sessionID": row.get("session_id")}
                    times = {"created": row.get("time_created")}
                    kind = {} if row.get("type") is None else {"type": row["type"]}
                    message = {**known, **kind, **message}
                    message["time"] = times | (message.get("time") or {})
                yield f"{file}, {name} {row.get('id')}", message
    for place, message, _ in files:
        yield place, message


def _call(message: dict[str, Any], place: str, log: Log) -> Call | None:
    source_id = text(message.get("id"))
    at_us = milliseconds_us(fields_at(fields(message), "time").get("created"))
    named = message.get("model") if isinstance(message.get("model"), dict) else {}
    model = text(message.get("modelID")) or text(fields(named).get("id"))
    model = model or text(fields(named).get("modelID"))
    cost, usage = stated_usd(message.get("cost")), _usage(message.get("tokens"))
    if source_id is None or at_us is None or model is None:
        log.skip("the message has no id, time or model", place)
    elif usage is None and cost is None:
        log.skip("the message has no tokens: it was not finished, or failed", place)
    else:
        host = text(message.get("providerID")) or text(fields(named).get("providerID"))
        tags = tags_of(session=message.get("sessionID"), agent=message.get("agent"))
        return Call(source_id, at_us, model, model, usage, cost, host=host, tags=tags)
    return None


def _usage(tokens: object) -> Usage | None:
    if not isinstance(tokens, dict):
        return None
    try:
        cache = fields_at(fields(tokens), "cache")
        read, written = count(cache, "read"), count(cache, "write")
        plain, output = count(tokens, "input"), count(tokens, "output")
        reasoning, total = count(tokens, "reasoning"), count(tokens, "total")
        input_tokens = plain + read + written
        is_inside = total == input_tokens + output and reasoning <= output
        output += 0 if is_inside else reasoning
        usage = Usage(input_tokens, output, read, written, reasoning_tokens=reasoning)
        return fitting(usage) if input_tokens or output else None
    except UnreadableResponse:
        return None


def _size(call: Call) -> tuple[int, int]:
    usage = call.usage or Usage()
    return usage.output_tokens, usage.input_tokens
