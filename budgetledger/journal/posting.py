"""Money rows: in the account's journal, and repeated in those of the accounts above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from budgetledger.entries import IMPORTED, MONEY_KINDS, Entry
from budgetledger.errors import IdempotencyConflict, InvalidAmount, UnknownEntry
from budgetledger.journal.alerts import raise_alerts
from budgetledger.journal.append import Appended, append, recorded
from budgetledger.journal.default_budgets import apply_defaults
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.answers import answer_in, with_answer
from budgetledger.journal.rows.rules import EVER, OF_IMPORT, Draft
from budgetledger.journal.standing import above, ancestors, head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.money import to_pico, to_usd
from budgetledger.storage.dialect import compiled

_SOME = 50  # rows read at once; an entry has fewer repetitions and alerts


def post(tx: Transaction, account: Ref, draft: Draft, belongs_us: int | None = None) -> Appended:
    """Append *draft*, repeat it in the journals above, and raise the alerts it leads to.

    A charge first applies the default budgets that are due. *belongs_us*: see `append`.
    """
    if draft.kind == "charge" and head_of(tx, account).has_defaults:
        apply_defaults(tx, ancestors(tx, account))
    appended = append(tx, account, draft, belongs_us=belongs_us)
    settings = settings_of(tx, account, appended.settings_count)
    if settings.has_alerts:
        raise_alerts(tx, account)
    if settings.parent_id is None and appended.whole_id is None:
        return appended
    repeated = draft._replace(origin_id=appended.entry.id, idempotency_key=None)
    upper = above(tx, account, settings, appended.whole_id)
    while upper is not None:
        row = append(tx, upper, repeated, belongs_us=belongs_us)
        settings = settings_of(tx, upper, row.settings_count)
        if settings.has_alerts:
            raise_alerts(tx, upper)
        upper = above(tx, upper, settings, row.whole_id)
    return appended


def post_once(tx: Transaction, account: Ref, draft: Draft) -> Appended:
    """Post *draft*, or return the entry recorded earlier under its idempotency key.

    Raises `IdempotencyConflict` if that entry has other content.
    """
    if draft.idempotency_key is not None:
        first = recorded(tx, account, draft)
        if first is not None:
            return Appended(first, is_new=False)
    return post(tx, account, draft)


def adjust(
    tx: Transaction, project: str, entry_id: int, draft: Draft, *, is_total: bool = False
) -> Appended:
    """Post *draft* as a correction of the entry *entry_id*, under the entry's model.

    *is_total*: its cost is the total of the call, from which the difference is computed.
    """
    execute = tx.execute
    project_id = accounts.find_project(execute, project)
    corrected = entry_with_id(execute, project_id, entry_id)
    if corrected is None or corrected.kind not in MONEY_KINDS or corrected.kind == "adjustment":
        what = "no entry" if corrected is None else f"no charge but a row of kind {corrected.kind}"
        raise UnknownEntry(
            f"there is {what} with id {entry_id} in project {project!r}; "
            "pass the id of a charge or settle, as `entries` lists them"
        )
    if corrected.origin_id is not None:
        raise UnknownEntry(
            f"entry {entry_id} repeats entry {corrected.origin_id} of an account below; "
            "correct that one, and this account follows"
        )
    account = accounts.find(execute, project, corrected.account)
    assert account is not None
    price_json = with_answer(draft.price_json, corrected.model, answer_in(corrected.price))
    draft = draft._replace(model=corrected.model, corrects_id=corrected.id, price_json=price_json)
    total_pico = draft.cost_pico or 0
    if is_total:  # the difference depends on earlier rows, so a key compares the total
        tags_json = f'{{"total":"{to_usd(total_pico)}"}}'
        draft = draft._replace(price_source="stated", tags_json=tags_json)
    first = recorded(tx, account, draft)
    if first is not None:
        if is_total and first.tags_json != draft.tags_json:
            raise IdempotencyConflict(
                f"key {first.idempotency_key!r} was used for entry {first.id}, which states "
                "another cost; use another key",
                key=first.idempotency_key,
                entry=first,
            )
        return Appended(first, is_new=False)
    millions, rest = execute(compiled(statements.STATED_SINCE), (corrected.id,)).fetchone()
    stated = millions * 10**6 + rest
    if is_total:
        amount = to_usd(total_pico - (corrected.cost_pico or 0) - stated)
        draft = draft._replace(cost_pico=to_pico(amount, "amount", signed=True, one_entry=True))
    _check_net(corrected, stated, draft.cost_pico or 0)
    places = _repeated_in(tx, corrected.id)  # where it counts, even if parents changed
    is_imported = corrected.kind == IMPORTED
    whole_id = None if is_imported else head_of(tx, account).whole_id
    if whole_id is not None and whole_id not in places:  # recorded before * was there
        belongs_us = places[account.id]
        where = (whole_id, corrected.id, EVER, belongs_us)
        if execute(compiled(statements.IS_PRIOR), where).fetchone() is not None:
            places[whole_id] = belongs_us
    above_ids = [account_id for account_id in places if account_id != account.id]
    detail = corrected.hash.hex(), *(OF_IMPORT if is_imported else ())
    return post_along(tx, account, above_ids, draft, detail, places.__getitem__)


def _check_net(corrected: Entry, stated: int, amount_pico: int) -> None:
    """Refuse an adjustment that would make what an entry cost in all negative.

    *stated*: the sum of its earlier adjustments, in picodollars.
    """
    net = (corrected.cost_pico or 0) + stated
    if amount_pico >= 0 or net + amount_pico >= 0:
        return
    amount, cost = f"{to_usd(amount_pico):f}", f"{to_usd(max(net, 0)):f}"
    if corrected.cost_pico is None and not stated:
        raise InvalidAmount(
            f"entry {corrected.id} has no price, so the amount states its cost, which cannot "
            f"be below 0, got {amount}; pass what the call cost"
        )
    raise InvalidAmount(
        f"entry {corrected.id} costs {cost} USD with its adjustments, and {amount} USD would make "
        f"it less than 0; pass {'0' if net <= 0 else f'-{cost}'} or more"
    )


def post_along(
    tx: Transaction,
    account: Ref,
    above_ids: Sequence[int],
    draft: Draft,
    detail: tuple[Any, ...] = (),
    belongs_us: Callable[[int], int | None] = lambda account_id: None,
    *,
    and_whole: bool = False,
) -> Appended:
    """`post`, but repeated in the journals of *above_ids* (*and_whole*: and the project's).

    *belongs_us*: when the row belongs in the journal of an account, see `append`.
    """
    appended = append(tx, account, draft, detail, belongs_us=belongs_us(account.id))
    whole_id = appended.whole_id
    if and_whole and whole_id is not None and whole_id not in (account.id, *above_ids):
        above_ids = [*above_ids, whole_id]
    if settings_of(tx, account, appended.settings_count).has_alerts:
        raise_alerts(tx, account)
    for account_id in above_ids:
        upper = accounts.account_by_id(tx.execute, account.project_id, account.project, account_id)
        repeated = draft._replace(origin_id=appended.entry.id, idempotency_key=None)
        row = append(tx, upper, repeated, detail, belongs_us=belongs_us(account_id))
        if settings_of(tx, upper, row.settings_count).has_alerts:
            raise_alerts(tx, upper)
    return appended


def _repeated_in(tx: Transaction, entry_id: int) -> dict[int, int]:
    """The accounts whose journals have an entry or repeat it, and when it belongs in each.

    Repetitions and alerts follow an entry at once.
    """
    places: dict[int, int] = {}
    from_id = entry_id
    while True:
        rows = tx.execute(compiled(statements.ROWS_FROM), (from_id, _SOME)).fetchall()
        for origin_id, kind, account_id, belongs_us in rows:
            if origin_id == entry_id:
                places[account_id] = belongs_us
            elif kind not in ("alert", "resolve"):
                return places
        if len(rows) < _SOME:
            return places
        from_id += _SOME
