"""Imports the ``user_cost.json`` that LiteLLM's BudgetManager saved.

The import reads and checks the whole file before it writes, and writes all rows in one
transaction: all of a file is imported, or nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import IdempotencyConflict, InvalidInput
from budgetledger.journal import settings
from budgetledger.journal.append import find_or_open
from budgetledger.journal.budget_terms import BudgetTerms
from budgetledger.journal.journal import journal_of
from budgetledger.journal.posting import post_once
from budgetledger.journal.reports import DEFAULT_BUDGET
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.ledger import Ledger
from budgetledger.litellm.records import (
    costs_of,
    days_of,
    moment_of,
    number_of,
    parts_of,
    unique,
    unit_of,
)
from budgetledger.money import Sum, limit_sum, to_usd
from budgetledger.names import checked_name
from budgetledger.storage.dialect import compiled
from budgetledger.windows import Period, make_period

_DAY_US = 86_400_000_000
_KEY = "import:user_cost.json:"
_LONGEST_IN_KEY = 400
_AGAIN = "correct the file and import it again; nothing was imported"

Progress = Callable[[int, int], None]


class ImportedUser(NamedTuple):
    """What an import did for one user."""

    name: str
    limit: Decimal
    per: str | None
    cost: Decimal
    """USD spent until the import."""
    entries: int
    """Opening entries written; 0 if this record was imported before."""
    elapsed: bool
    """Whether the cost belongs to a window that had ended; the active one then began at 0."""


class ImportResult(NamedTuple):
    """The result of `import_user_cost`."""

    users: tuple[ImportedUser, ...]
    entries: int
    total: Decimal
    """USD of the entries written."""
    remarks: tuple[str, ...]


class Record(NamedTuple):
    """One user of the file, checked."""

    user: str
    limit: Sum
    period: Period
    created_at: float | None
    last_updated_us: int | None
    days: int | None
    drafts: tuple[Draft, ...]
    remark: str | None

    @property
    def cost_pico(self) -> int:
        """All costs of the user."""
        return sum(draft.cost_pico or 0 for draft in self.drafts)


def import_user_cost(
    ledger: Ledger, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> ImportResult:
    """Import the users, budgets and costs of a ``user_cost.json`` into *ledger*.

    Costs become entries of the kind ``opening``, one for each model; budgets are named
    ``default``, as `BudgetManager` expects, and revise existing ones. A window that LiteLLM would
    have reset by now is closed: its cost stays recorded, the active window begins at 0. Importing
    the same file again changes nothing. *progress*: see `Ledger.verify`.

    Raises `InvalidInput` for a file that cannot be used, `IdempotencyConflict` if it has
    changed since its users were imported; in both cases nothing is written.
    """
    if os.path.exists(ledger.path) and os.path.exists(path) and os.path.samefile(path, ledger.path):
        # Opening and closing it here would drop SQLite's locks on it.
        raise InvalidInput(f"{os.fspath(path)} is the ledger itself; pass LiteLLM's user_cost.json")
    return write_records(ledger, read_user_cost(path), progress=progress)


def read_user_cost(path: str | os.PathLike[str]) -> list[Record]:
    """Read and check the records of a ``user_cost.json``. Raises `InvalidInput`."""
    shown = os.fspath(path)
    try:
        text = Path(path).read_text("utf-8-sig")
        content = json.loads(text, parse_float=Decimal, object_pairs_hook=unique)
    except OSError as error:
        raise InvalidInput(f"{shown} cannot be read: {error.strerror}; check the path") from error
    except InvalidInput as error:
        raise InvalidInput(f"{shown}: {error}; {_AGAIN}") from error
    except (ValueError, RecursionError) as error:  # wrong UTF-8 and too long numbers too
        raise InvalidInput(
            f"{shown} is not JSON ({error}); if it was cut off while being saved, "
            "take the last good copy; nothing was imported"
        ) from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{shown} has no users: its JSON is not an object; {_AGAIN}")
    records = []
    for user, record in content.items():
        try:
            records.append(_record(user, record))
        except InvalidInput as error:
            raise InvalidInput(f"{shown}: user {user!r:.80}: {error}; {_AGAIN}") from error
    return records


def write_records(
    ledger: Ledger, records: list[Record], *, progress: Progress | None = None
) -> ImportResult:
    """Write what `read_user_cost` read, in one transaction. Raises `IdempotencyConflict`."""

    def operation(tx: Transaction) -> list[ImportedUser]:
        changed = []
        imported = []
        for done, record in enumerate(records, 1):
            account = find_or_open(tx, ledger.project, record.user)
            before = _imported_before(tx, account, record)
            if before is not None and before.tags != json.loads(record.drafts[0].tags_json or ""):
                changed.append(before)
            elif not changed:
                imported.append(_write(tx, account, record, is_new=before is None))
            if progress is not None:
                progress(done, len(records))
        if changed:
            raise _conflict(changed)
        return imported

    users = journal_of(ledger).write(operation)
    written = [user for user in users if user.entries]
    remarks = [record.remark for record in records if record.remark is not None]
    if len(written) < len(users):
        count = f"{len(users) - len(written):,} of {len(users):,} users"
        remarks.append(f"{count} were imported before and stay as they are")
    return ImportResult(
        tuple(users),
        sum(user.entries for user in written),
        sum((user.cost for user in written), to_usd(0)),
        tuple(remarks),
    )


# -- writing, inside the transaction ------------------------------------------------------------


def _imported_before(tx: Transaction, account: Ref, record: Record) -> Entry | None:
    key = record.drafts[0].idempotency_key
    row = tx.execute(compiled(statements.ENTRY_WITH_KEY), (account.project_id, key)).fetchone()
    return None if row is None else Entry._make(row)


def _write(tx: Transaction, account: Ref, record: Record, *, is_new: bool) -> ImportedUser:
    elapsed = False
    if is_new:
        terms = BudgetTerms(
            DEFAULT_BUDGET, "usd", record.limit, None, record.period, created_at=record.created_at
        )
        settings.set_budget(tx, account, terms)
        for draft in record.drafts:
            post_once(tx, account, draft)
        if record.days is not None and record.last_updated_us is not None:
            elapsed = tx.now_us - record.last_updated_us >= record.days * _DAY_US
        if elapsed and record.cost_pico:
            reason = "its window had ended when it was imported"
            settings.shift_windows(tx, account, DEFAULT_BUDGET, reason)
    return ImportedUser(
        record.user,
        to_usd(record.limit.total_pico),
        record.period.per,
        to_usd(record.cost_pico),
        len(record.drafts) if is_new else 0,
        elapsed,
    )


def _conflict(changed: list[Entry]) -> IdempotencyConflict:
    names = ", ".join(repr(entry.account) for entry in changed[:5])
    more = f" and {len(changed) - 5:,} more" if len(changed) > 5 else ""
    return IdempotencyConflict(
        f"the file has changed since these users were imported from it: {names}{more}; nothing "
        "was imported; remove them from the file, or import it into another project",
        key=changed[0].idempotency_key,
        entry=changed[0],
    )


# -- reading ------------------------------------------------------------------------------------


def _record(user: str, record: object) -> Record:
    checked_name(user, "the name")
    if not isinstance(record, dict):
        raise InvalidInput("the record is not an object")
    if "total_budget" not in record:
        raise InvalidInput("total_budget is missing")
    limit = limit_sum(number_of(record, "total_budget"))
    days = days_of(record)
    unit = unit_of(days)
    created_at = moment_of(record, "created_at")
    last_updated_at = moment_of(record, "last_updated_at") or created_at
    if unit is None:
        period = make_period()
    elif created_at is None:
        raise InvalidInput("created_at is missing, at which the first window starts")
    else:
        period = make_period(unit, anchor_us=round(created_at * 1e6))
    costs, remark = costs_of(user, record)
    return Record(
        user,
        limit,
        period,
        created_at,
        None if last_updated_at is None else round(last_updated_at * 1e6),
        days,
        _drafts(user, record, costs),
        remark,
    )


def _drafts(user: str, record: dict[str, Any], costs: dict[str, int]) -> tuple[Draft, ...]:
    """The opening entries; for a user without costs one of 0 USD, which marks the import.

    The first one carries the digest of the record, which shows later whether the file changed.
    """
    name = user if len(user) <= _LONGEST_IN_KEY else f"sha256:{sha256(user.encode()).hexdigest()}"
    canonical = json.dumps(record, sort_keys=True, default=str)
    digest = json.dumps({"record_sha256": sha256(canonical.encode()).hexdigest()})
    parts = [(model, part) for model, cost in costs.items() for part in parts_of(cost)]
    return tuple(
        Draft(
            "opening",
            model=model,
            cost_pico=cost,
            price_source="litellm",
            tags_json=digest if number == 1 else None,
            note="imported from user_cost.json",
            idempotency_key=f"{_KEY}{name}:{number}",
        )
        for number, (model, cost) in enumerate(parts or [(None, 0)], 1)
    )
