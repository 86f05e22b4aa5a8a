"""The sessions of Claude Code: ``~/.claude/projects/**/*.jsonl``. Pure.

A response is written as several lines while it grows, and its last has the final counts: the line
with most output is taken as a whole, and the earliest has the time of the call. A subagent's file
repeats lines of the session that started it, with another ``requestId``. So a response is known
by the id of its message, and its model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from budgetledger.imports.calls import Call, Log, moment_us, new_log, stated_usd, tags_of, usage_by
from budgetledger.imports.files import Parsed
from budgetledger.responses.fields.by_name import text
from budgetledger.responses.usage.anthropic import read_anthropic_usage
from budgetledger.usage import Usage

_SYNTHETIC = "<synthetic>"
_HOSTS = {"msg_bdrk_": "bedrock", "msg_vrtx_": "vertex_ai"}  # of Claude elsewhere, by the id


class _Line(NamedTuple):
    """A line that reports a response."""

    model: str
    at_us: int
    usage: Usage | None
    is_replay: bool
    entry: dict[str, Any]

    @property
    def rank(self) -> tuple[int, bool, int]:
        """The highest is taken: the most output, preferably in the session itself, the first."""
        output = -1 if self.usage is None else self.usage.output_tokens
        return output, not self.is_replay, -self.at_us


def read(lines: Iterable[Parsed]) -> Log:
    """The calls of sessions, from the *lines* of all their files, in order of time."""
    log = new_log()
    responses: dict[tuple[str, str], list[_Line]] = {}
    for place, entry, _ in lines:
        if not isinstance(entry, dict):
            log.skip("the line cannot be read (it may be cut off)", place)
            continue
        message = entry.get("message")
        if entry.get("type") not in ("assistant", None) or not isinstance(message, dict):
            continue  # what the user wrote, results of tools, summaries
        usage, model = message.get("usage"), text(message.get("model"))
        if not isinstance(usage, dict):
            continue
        at_us = moment_us(entry.get("timestamp"))
        name = text(message.get("id")) or text(entry.get("requestId")) or text(entry.get("uuid"))
        if model == _SYNTHETIC:
            log.skip("Claude Code wrote the message itself (<synthetic>)", place)
        elif model is None or at_us is None or name is None:
            log.skip("the line has no model, time or id", place)
        else:
            used = usage_by(read_anthropic_usage, usage)
            line = _Line(model, at_us, used, entry.get("isSidechain") is True, entry)
            responses.setdefault((name, model), []).append(line)
    log.calls.extend(_call(name, group) for (name, _), group in responses.items())
    log.calls.sort(key=lambda call: call.at_us)
    return log


def _call(name: str, lines: list[_Line]) -> Call:
    line = max(lines, key=lambda one: one.rank)
    entry, folder = line.entry, text(line.entry.get("cwd"))
    project = None if folder is None else os.path.basename(folder.replace("\\", "/").rstrip("/"))
    return Call(
        f"{name}:{line.model}",
        min(one.at_us for one in lines),
        line.model,
        line.model,
        line.usage,
        stated_usd(entry.get("costUSD")),
        host=next((host for start, host in _HOSTS.items() if name.startswith(start)), None),
        response_id=text(entry["message"].get("id")),
        tags=tags_of(session=entry.get("sessionId"), project=project),
    )
