"""The id of a call's response, which its row keeps in its price: by it an import knows the call.

It is no key by itself: gateways and caches repeat ids.
"""

from __future__ import annotations

import json
from hashlib import sha256

from budgetledger.entries import RESPONSE_ID
from budgetledger.journal.rows.rules import Draft
from budgetledger.names import is_name

_MARK = f'"{RESPONSE_ID}":'  # a name that contains it has its quotes escaped
_LONGEST = 200  # of an id that is kept as it is; an id is a part of keys


def with_response_id(price_json: str | None, response_id: str | None) -> str | None:
    """The price of a row, with the id of its response; a long id as its digest."""
    kept = None if response_id is None else kept_id(response_id)
    if kept is None:
        return price_json
    member = f"{_MARK}{json.dumps(kept)}}}"
    return f"{{{member}" if price_json in (None, "{}") else f"{(price_json or '')[:-1]},{member}"


def kept_id(response_id: str) -> str | None:
    """*response_id* as rows keep it; None for one that cannot be stored."""
    if len(response_id) > _LONGEST:
        return f"sha256:{sha256(response_id.encode(errors='replace')).hexdigest()}"
    return response_id if is_name(response_id) else None


def response_id_in(draft: Draft) -> str | None:
    """The id of the response that the row of *draft* keeps."""
    if draft.price_json is None or _MARK not in draft.price_json:
        return None
    kept: str = json.loads(draft.price_json)[RESPONSE_ID]
    return kept
