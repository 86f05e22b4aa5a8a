"""What `verify` reports."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """Something in the file that budgetledger did not write so."""

    message: str
    account: str | None = None
    entry_id: int | None = None
