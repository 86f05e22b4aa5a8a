"""Decides whether the cost of a metered call was recorded by a metered call inside it. Pure.

Of calls that are metered inside one another, each takes a hold and each settles. The outer one
decides when it settles: if it states nothing of its own, or what the inner ones recorded, it is
released. What a caller states to cost otherwise is owed as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from budgetledger.entries import ESTIMATED_USAGE, Entry
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.rows.answers import KEY as ANSWERED
from budgetledger.journal.rows.rules import Draft
from budgetledger.pricing.identity import covers

_COUNTED_BY = "counted_by"  # key in the tags of a release by nesting


def counting(draft: Draft | None, inside: Sequence[Entry]) -> Entry | None:
    """The entry of *inside* that has the cost of *draft*; None if *draft* is owed as well.

    *draft*: the settle, before a cost is assumed for it; None if nothing could be read. A usage
    that was estimated from the text of a stream is no usage, but the model has to be the same.
    Several entries count it if their sum is its usage; then this is the last of them.
    """
    if not inside:
        return None
    if draft is None or (draft.usage_json is None and draft.cost_pico is None):
        return inside[-1]
    if draft.price_source == "given" and draft.cost_pico is not None:
        return None
    alike = [entry for entry in inside if _is_of_model(draft, entry)]
    if f'"{ESTIMATED_USAGE}":' in (draft.usage_json or ""):  # a text came, of some call
        return alike[-1] if alike else None
    usage = _usage(draft.usage_json)
    for entry in reversed(alike):
        if _usage(entry.usage_json) == usage and (usage or entry.cost_pico == draft.cost_pico):
            return entry
    for several in (inside, alike):
        if alike and usage and sum(map(_counter, several), Counter()) == Counter(usage):
            return several[-1]
    return None


def release_by_nesting(hold_id: int, entry_id: int | None) -> Draft:
    """The draft that closes an outer hold whose call the entry counts, if it is in this ledger."""
    tags = None if entry_id is None else json.dumps({_COUNTED_BY: entry_id}, separators=(",", ":"))
    what = "by an entry" if entry_id is None else f"by entry {entry_id}"
    note = f"the call was metered inside this hold too, and is counted {what}"
    return Draft("release", tags_json=tags, note=note, hold_id=hold_id)


def counted_by(release: Entry | Draft) -> int | None:
    """The id of the entry that counts the call of a release by nesting; None for other rows."""
    if release.kind != "release" or release.tags_json is None:
        return None
    entry_id = json.loads(release.tags_json).get(_COUNTED_BY)
    return entry_id if isinstance(entry_id, int) else None


def _is_of_model(draft: Draft, entry: Entry) -> bool:
    """Whether both are calls of one model, asked for or answered."""
    ours = {draft.model, json.loads(draft.price_json or "{}").get(ANSWERED)} - {None, UNKNOWN_MODEL}
    theirs = {entry.model, entry.price.get(ANSWERED)} - {None, UNKNOWN_MODEL}
    if not ours or not theirs:
        return True
    return any(covers(one, other) or covers(other, one) for one in ours for other in theirs)


def _usage(usage_json: str | None) -> dict[str, int]:
    counts = json.loads(usage_json) if usage_json else {}
    counts.pop(ESTIMATED_USAGE, None)
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def _counter(entry: Entry) -> Counter[str]:
    return Counter(_usage(entry.usage_json))
