"""What the server remembers of LiteLLM clients: rows of 0 USD with facts in their tags.

The idempotency keys number the notes of a subject; the last one is in force.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias

from budgetledger.journal.append import append
from budgetledger.journal.entry_rows import last_with_key_prefix
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction

Subject: TypeAlias = tuple[object, ...]
"""What a note is about: a client, a counter, the creation of a user."""


class Note(NamedTuple):
    """The facts about a subject in a row, and the row's id."""

    entry_id: int
    facts: dict[str, Any]


def last_note(
    tx: Transaction, project_id: int, subject: Subject, before: Note | None = None
) -> Note | None:
    """The last note on *subject*, or None.

    *before*: an earlier result, returned if it is still the last.
    """
    entry = last_with_key_prefix(tx.execute, project_id, _prefix(subject))
    if entry is None or (before is not None and before.entry_id == entry.id):
        return before
    return Note(entry.id, entry.tags)


def add_note(tx: Transaction, ref: Ref, subject: Subject, facts: dict[str, Any], why: str) -> None:
    """Append a row of 0 USD, of the kind that imports write, with *facts*."""
    draft = Draft("opening", cost_pico=0, price_source="litellm", note=why)
    append(tx, ref, noting(tx, ref, draft, subject, facts))


def noting(
    tx: Transaction, ref: Ref, draft: Draft, subject: Subject, facts: dict[str, Any]
) -> Draft:
    """*draft* as the next note on *subject*: with *facts* as its tags."""
    prefix = _prefix(subject)
    last = last_with_key_prefix(tx.execute, ref.project_id, prefix)
    number = 0 if last is None else int((last.idempotency_key or "").removeprefix(prefix))
    return draft._replace(
        idempotency_key=f"{prefix}{number + 1:012d}",
        tags_json=json.dumps(facts, separators=(",", ":"), sort_keys=True),
    )


def _prefix(subject: Subject) -> str:
    return f"litellm:{sha256(ascii(subject).encode()).hexdigest()[:40]}:"
