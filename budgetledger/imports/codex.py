"""The sessions of OpenAI's Codex: ``~/.codex/{sessions,archived_sessions}/**/*.jsonl``. Pure.

Each ``token_count`` event has a counter of all tokens of the session so far. The difference from
the event before is a call; events are also emitted again unchanged. A fork or a subagent begins
with the events of the session it comes from, at new times, and counts on from there. So a call
is known by its family of sessions and the counter after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from budgetledger.imports.calls import Call, Log, moment_us, new_log, tags_of, usage_by
from budgetledger.imports.files import Parsed
from budgetledger.responses.fields.by_name import fields, fields_at, text
from budgetledger.responses.usage.programs.codex import read_codex_usage

_COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_ZERO = (0,) * len(_COUNTS)
_REPEATED = "the event repeats one of the session, or of the session it was forked from"


class _Event(NamedTuple):
    """A ``token_count`` event: the counter after a call, and what it says of the last call."""

    place: str
    at_us: int | None
    total: tuple[int, ...]
    last: tuple[int, ...] | None
    model: str | None


class _Session:
    """One file: its id, the ids of sessions it comes from (the nearest first), and its events."""

    def __init__(self, file: str) -> None:
        self.id = file
        self.origins: list[str] = []
        self.provider: str | None = None
        self.model: str | None = None
        self.events: list[_Event] = []
        self.has_meta = False

    def note_meta(self, meta: dict[str, Any]) -> None:
        """Read a ``session_meta``: the first is the file's own, later ones are copied."""
        name = text(meta.get("id")) or text(meta.get("session_id"))
        spawn = fields_at(fields(meta), "source") if isinstance(meta.get("source"), dict) else {}
        above = text(meta.get("forked_from_id")) or text(meta.get("parent_thread_id"))
        above = above or text(fields_at(spawn, "subagent", "thread_spawn").get("parent_thread_id"))
        if not self.has_meta:
            self.has_meta, self.id = True, name or self.id
            self.provider = text(meta.get("model_provider"))
        elif name is not None:
            self.origins.append(name)
        if above is not None:
            self.origins.append(above)


def read(lines: Iterable[Parsed]) -> Log:
    """The calls of sessions, from the *lines* of all their files, in order of time."""
    log = new_log()
    sessions: dict[str, _Session] = {}
    for place, entry, file in lines:
        if not isinstance(entry, dict):
            log.skip("the line cannot be read (it may be cut off)", place)
            continue
        session = sessions.setdefault(file, _Session(file))
        payload = entry.get("payload")
        if isinstance(payload, dict):
            _note(session, place, entry, payload)
    seen: set[str] = set()
    for session, family in _ancestors_first(list(sessions.values())):
        _count(session, family, seen, log)
    log.calls.sort(key=lambda call: call.at_us)
    return log


def _note(session: _Session, place: str, entry: dict[str, Any], payload: dict[str, Any]) -> None:
    kind = entry.get("type")
    if kind == "session_meta":
        session.note_meta(payload)
    elif kind == "turn_context":
        session.model = text(payload.get("model")) or session.model
    elif kind == "event_msg" and payload.get("type") == "token_count":
        info = payload.get("info")
        if not isinstance(info, dict):
            return  # only the limits of a subscription
        total = _counts(info.get("total_token_usage"))
        last = _counts(info.get("last_token_usage"))
        if total is None and last is not None:
            before = session.events[-1].total if session.events else _ZERO
            total = tuple(map(int.__add__, before, last))
        if total is not None:
            model = text(info.get("model")) or session.model
            at_us = moment_us(entry.get("timestamp"))
            session.events.append(_Event(place, at_us, total, last, model))


def _ancestors_first(sessions: list[_Session]) -> list[tuple[_Session, list[str]]]:
    """The sessions with their family's ids, its oldest first; a session before its forks."""
    origins = {session.id: session.origins for session in sessions}

    def family(name: str, below: tuple[str, ...] = ()) -> list[str]:
        ids = [name]
        for origin in origins.get(name, ()):
            if origin not in (*below, name):
                ids += family(origin, (*below, name))
        return list(dict.fromkeys(ids))

    lines = [(session, family(session.id)) for session in sessions]
    first = {session.id: session.events[0].at_us or 0 for session in sessions if session.events}
    lines.sort(key=lambda line: (len(line[1]), first.get(line[0].id, 0), line[0].id))
    return [(session, ids[::-1]) for session, ids in lines]


def _count(session: _Session, family: list[str], seen: set[str], log: Log) -> None:
    """Add the calls of *session* that no session of its family has had before."""
    before = _ZERO
    for event in session.events:
        used = tuple(map(int.__sub__, event.total, before))
        if min(used) < 0:  # the counter started again
            used = event.last or event.total
        ids = [f"{name}:{'+'.join(map(str, event.total))}" for name in family]
        if event.total == before or ids[0] in seen:
            log.skip(_REPEATED, event.place)
        elif event.at_us is None:
            log.skip("the event has no time", event.place)
        elif any(used):
            log.calls.append(Call(
                ids[0], event.at_us, event.model, event.model,
                usage_by(read_codex_usage, dict(zip(_COUNTS, used, strict=True))),
                host=session.provider, tags=tags_of(session=session.id), also=tuple(ids[1:]),
            ))  # fmt: skip
        seen.add(ids[0])
        before = event.total


def _counts(usage: object) -> tuple[int, ...] | None:
    if not isinstance(usage, dict):
        return None
    values = tuple(usage.get(name) or 0 for name in _COUNTS)
    return values if all(type(value) is int and value >= 0 for value in values) else None
