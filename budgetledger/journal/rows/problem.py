"""What `verify` reports."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """A difference between the file and what budgetledger writes."""

    message: str
    account: str | None = None
    entry_id: int | None = None
