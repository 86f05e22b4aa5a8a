"""Wakes what waits, in this process, for another write to one ledger."""

from __future__ import annotations

import os
from threading import Event

_events: dict[str, set[Event]] = {}


def wake(path: str) -> None:
    """Set the events of the ledger *path*. Called inside a write: what wakes up writes after it."""
    for event in tuple(_events.get(path, ())):
        event.set()


def register(path: str, event: Event) -> None:
    """Let `wake` set *event*."""
    _events.setdefault(path, set()).add(event)


def forget(path: str, event: Event) -> None:
    """End `register`."""
    events = _events.get(path, set())
    events.discard(event)
    if not events:
        _events.pop(path, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_events.clear)
