"""Turns the costs that a LiteLLM client sends into charges.

Such a client counts by itself and sends all its users at each change. The server treats a record
as a reading of a counter: it charges the growth since the last known reading, and ignores a
smaller reading as outdated. A counter is identified by its client (if it sends `CLIENT_HEADER`),
its creation time and its last reset. Its last known reading is

- what this client last sent or received, if it sends the header;
- else, if a client created an existing user again, the last reading of that new counter;
- else what the ledger counted since the counter's window began: of two clients without the
  header, the larger cost of a user's model counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from budgetledger.journal import reports
from budgetledger.journal import settings as _settings
from budgetledger.journal.append import find_or_open
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.posting import post
from budgetledger.journal.reports import DEFAULT_BUDGET
from budgetledger.journal.rows import accounts
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.litellm.records import NOISE_PICO, parts_of
from budgetledger.server.litellm_notes import Note, Subject, add_note, last_note, noting
from budgetledger.server.litellm_users import (
    Costs,
    Standing,
    Written,
    as_record,
    costs_in,
    new_period,
    revise,
    standing_budget,
    users,
)
from budgetledger.windows import Window

_CLIENTS = "server:clients"
"""The account whose entries record what each client received."""


def send(tx: Transaction, project: str, client: str) -> dict[str, dict[str, Any]]:
    """`records` for a named client; a note keeps them, to compare with its next records."""
    sent, seen = {}, {}
    for user, standing, costs in users(tx.execute, project, tx.now_us):
        sent[user] = as_record(standing, costs)
        if costs:
            seen[user] = [standing.budget.created_at, standing.last_updated_at, costs]
    ref = find_or_open(tx, project, _CLIENTS)
    add_note(tx, ref, _of_client(client), {"client": client, "seen": seen}, f"sent to {client}")
    return sent


def last_sent(
    tx: Transaction, project: str, client: str | None, before: Note | None = None
) -> Note | None:
    """The last note of `send` for *client*; None for a client without a name.

    *before*: an earlier result, returned if it is still the last.
    """
    project_id = accounts.find_project(tx.execute, project)
    if client is None or project_id is None:
        return None
    return last_note(tx, project_id, _of_client(client), before)


def absorb(
    tx: Transaction, project: str, client: str | None, sent: Note | None, written: Written
) -> None:
    """Set the user's budget as in *written*, and charge the growth of its counter.

    *sent*: from `last_sent`. Raises `InvalidInput`, before anything is written.
    """
    existing = accounts.find(tx.execute, project, written.user)
    standing = None if existing is None else standing_budget(tx.execute, existing, tx.now_us)
    period = new_period(tx, existing, standing, written)
    ref = existing or find_or_open(tx, project, written.user)
    revise(tx, ref, standing, written, period)
    if written.costs is None:
        return
    counter = ("counter", client or "", written.user, written.created_at, written.last_updated_at)
    reading = last_note(tx, ref.project_id, counter)
    if reading is not None and sent is not None and reading.entry_id < sent.entry_id:
        reading = None  # the client restarted from a newer copy
    seen = None if sent is None else sent.facts["seen"].get(written.user)
    if reading is None and standing is not None and _is_reset(client, written, standing, seen):
        if costs_in(tx.execute, ref, standing.window):
            _settings.shift_windows(tx, ref, DEFAULT_BUDGET, "reset by a LiteLLM client")
            add_note(tx, ref, counter, {"read": {}}, "the client restarted its counter at 0")
        reading = Note(0, {"read": {}})
    before = _before(tx, ref, client, written, standing, reading, seen)
    if not written.by_model:
        before = {UNKNOWN_MODEL: sum(before.values())}
    increases = growth(before, written.costs)
    if increases:
        is_counted_apart = (
            client is not None or reading is not None or _is_created_again(written, standing)
        )
        now = {model: max(cost, before.get(model, 0)) for model, cost in written.costs.items()}
        _charge(tx, ref, increases, client, counter if is_counted_apart else None, before | now)


def _before(
    tx: Transaction,
    ref: Ref,
    client: str | None,
    written: Written,
    standing: Standing | None,
    reading: Note | None,
    seen: list[Any] | None,
) -> Costs:
    """The last known reading of the counter."""
    if reading is not None:
        return dict(reading.facts["read"])
    if client is not None:
        same = seen is not None and seen[:2] == [written.created_at, written.last_updated_at]
        return dict(seen[2]) if seen is not None and same else {}
    if _is_created_again(written, standing):
        return {}
    window = Window(None, None)
    if standing is not None:
        window = standing.window
        if written.last_updated_at is not None:
            at_us = min(round(written.last_updated_at * 1e6), tx.now_us)
            window = reports.window_of(tx.execute, ref.id, standing.budget, at_us)
    return costs_in(tx.execute, ref, window._replace(end_us=None))


def _is_created_again(written: Written, standing: Standing | None) -> bool:
    """Whether a client created an existing user again, and so counts from 0."""
    return (
        standing is not None
        and written.created_at is not None
        and written.created_at != standing.budget.created_at
    )


def _is_reset(
    client: str | None, written: Written, standing: Standing, seen: list[Any] | None
) -> bool:
    """Whether the client started a new window of a counter: it is at 0, or is known here."""
    if written.last_updated_at is None or written.last_updated_at <= standing.last_updated_at:
        return False
    if not sum((written.costs or {}).values()):
        return True
    return client is not None and seen is not None and seen[0] == written.created_at


def _charge(
    tx: Transaction,
    ref: Ref,
    increases: Costs,
    client: str | None,
    counter: Subject | None,
    read: Costs,
) -> None:
    """Record a row for each model; the last one carries the reading of *counter*."""
    note = f"reported by {client or 'a LiteLLM client'}"
    drafts = [
        Draft("charge", model, part, "litellm", requests=1, note=note)
        for model, cost in increases.items()
        for part in parts_of(cost)
    ]
    if counter is not None:
        drafts[-1] = noting(tx, ref, drafts[-1], counter, {"read": read})
    for draft in drafts:
        post(tx, ref, draft)


def growth(before: Mapping[str, int], now: Mapping[str, int]) -> Costs:
    """The growth of each model's cost; decreases and growth up to `NOISE_PICO` are left out."""
    return {
        model: cost - before.get(model, 0)
        for model, cost in now.items()
        if cost - before.get(model, 0) > NOISE_PICO
    }


def _of_client(client: str) -> Subject:
    return "told", client
