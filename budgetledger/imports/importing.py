"""Records the calls of a log: each one row, at the time it happened, once however often it is read.

A call's key is made from the program, and the log's id of the call. If the log states more of a
call than its rows do, another row records the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias

from budgetledger.entries import IMPORTED, Entry
from budgetledger.errors import BudgetledgerError, InvalidInput, StoreError
from budgetledger.imports.calls import Call, Log, Skipped
from budgetledger.imports.known import KnownResponses
from budgetledger.journal.append import append, find_or_open
from budgetledger.journal.batch import Batch
from budgetledger.journal.drafts import draft_charge
from budgetledger.journal.journal import Journal
from budgetledger.journal.posting import post
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.money import to_usd
from budgetledger.names import checked_name
from budgetledger.prices import PriceBook
from budgetledger.pricing.sources import Prices
from budgetledger.responses.response import Reading
from budgetledger.responses.stated_cost import ProviderBill
from budgetledger.usage import Usage, counts_of, usage_from
from budgetledger.verbs.charging_many import PAGE_ROWS, recorded_under
from budgetledger.verbs.rehearsing import rehearsed
from budgetledger.windows import from_us

Progress: TypeAlias = Callable[[int, int], None]

_LONGEST_ID = 300  # in a key
_KNOWN = "its response is recorded already, by another program or by this ledger"


class Imported(NamedTuple):
    """What an import did, in calls."""

    calls: int
    """New ones, each a row."""
    grown: int
    """Those of which the log states more than before: a row has the difference."""
    repeated: int
    """Those that were imported before, and have not changed."""
    unpriced: int
    """New ones without a known price."""
    cost: Decimal
    """USD of the new rows."""
    skipped: tuple[Skipped, ...]
    """What was left out, and why."""
    remarks: tuple[str, ...]


class _Page(NamedTuple):
    """What one transaction did."""

    drafts: list[Draft]
    repeated: int
    skipped: list[Skipped]


def import_log(
    journal: Journal,
    source: str,
    log: Log,
    *,
    account: str | None = None,
    count: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Record the calls of *log*, which the program *source* wrote, a thousand in one transaction.

    *account*: of all calls; by default the log's own user. Without *count* the rows count in no
    budget and in no running total. Calling it again, also after it was killed, records nothing
    twice. Raises `InvalidInput` if the log has no users and there is no *account*.
    """
    if account is not None:
        checked_name(account, "account")
    elif log.calls and all(call.account is None for call in log.calls):
        raise InvalidInput("the log names no users; pass the account to record its calls under")
    known = KnownResponses(log.calls, _prefix(source))
    journal.read(partial(known.look, project=journal.project))  # most rows, before any lock
    drafts: list[Draft] = []
    repeated, skipped = 0, list(log.skipped)
    for start in range(0, len(log.calls), PAGE_ROWS):
        calls = log.calls[start : start + PAGE_ROWS]
        book = journal.book()  # not inside the write, where a ledger in memory cannot be read
        prices = journal.prices._replace(book=partial(_same, book))
        writing = partial(
            _write, journal=journal, source=source, calls=calls, account=account, known=known,
            prices=prices, is_counted=count,
        )  # fmt: skip
        page = rehearsed(journal, writing) if dry_run else journal.write(writing)
        drafts += page.drafts
        repeated, skipped = repeated + page.repeated, skipped + page.skipped
        if progress is not None:
            progress(start + len(calls), len(log.calls))
    new = [draft for draft in drafts if draft.requests]
    cost = to_usd(sum(draft.cost_pico or 0 for draft in drafts))
    unpriced = sum(draft.cost_pico is None for draft in new)
    remarks = tuple(log.remarks)
    grown = len(drafts) - len(new)
    return Imported(len(new), grown, repeated, unpriced, cost, tuple(skipped), remarks)


def _same(book: PriceBook) -> PriceBook:
    return book


def _write(
    tx: Transaction,
    *,
    journal: Journal,
    source: str,
    calls: list[Call],
    account: str | None,
    known: KnownResponses,
    prices: Prices,
    is_counted: bool,
) -> _Page:
    """Append the rows of a page of calls that are not recorded yet."""
    keys = [_keys_of(source, call) for call in calls]
    every = [key for of_call in keys for key in of_call]
    earlier: dict[str | None, Entry] = {}
    for start in range(0, len(every), PAGE_ROWS):
        earlier |= recorded_under(tx, journal.project, every[start : start + PAGE_ROWS])
    known.look(tx.execute, journal.project)
    batch = tx.execute = Batch(tx.execute)
    tx.models = {}
    refs: dict[str, Ref] = {}
    page = _Page([], 0, [])
    for of_call, call in zip(keys, calls, strict=True):
        try:
            first = next((earlier[key] for key in of_call if key in earlier), None)
            if first is not None:
                draft = _difference(tx, journal.project, first, call, prices)
                name: str | None = first.account
                is_new_counted = first.kind != IMPORTED
            elif known.has(call):
                page.skipped.append(Skipped(_KNOWN, call.source_id))
                continue
            else:
                draft, name = _draft(call, of_call[0], prices), account or call.account
                is_new_counted = is_counted
            if draft is None:
                page = page._replace(repeated=page.repeated + 1)
                continue
            if name is None:
                page.skipped.append(Skipped("it names no user; pass an account", call.source_id))
                continue
            ref = refs.get(name) or find_or_open(tx, journal.project, checked_name(name, "user"))
        except BudgetledgerError as error:
            if isinstance(error, StoreError):
                raise
            page.skipped.append(Skipped(f"it cannot be recorded: {error}", call.source_id))
            continue
        refs[name] = ref
        if is_new_counted:
            post(tx, ref, draft)
        else:
            draft = draft._replace(kind=IMPORTED)
            append(tx, ref, draft)
        page.drafts.append(draft)
    batch.write_out()
    return page


def _draft(call: Call, key: str, prices: Prices) -> Draft:
    """The draft of a call; of a cost that the log states, or else by the prices of its time."""
    if call.host is not None:
        prices = prices.at(call.host)
    cost = call.cost
    if cost is not None and not key.startswith(_prefix("litellm-logs")):
        cost = ProviderBill(cost)
        cost.source = key.split(":", 2)[1]
    answer = Reading(call.answered, call.usage, cost).with_id(call.response_id)
    return draft_charge(
        answer, None, call.model, None, key, call.tags or None, from_us(call.at_us),
        lambda: call.at_us, prices,
    )  # fmt: skip


def _difference(
    tx: Transaction, project: str, first: Entry, call: Call, prices: Prices
) -> Draft | None:
    """The draft of what *call* has more than its rows, *first* and those after it; or None."""
    if call.usage is None or first.idempotency_key is None:
        return None
    counted = _counted(first)
    if not _is_more(call.usage, counted):
        return None
    rows, key = [first], first.idempotency_key
    for row in _grown(tx, project, key):
        rows.append(row)
        counted = usage_from(
            map(int.__add__, counts_of(counted), counts_of(_counted(row))), counted.service_tier
        )
    if not _is_more(call.usage, counted):
        return None
    key = f"{key}#{len(rows) + 1}"
    now, before = (
        _draft(call._replace(usage=usage, cost=None), key, prices)
        for usage in (call.usage, counted)
    )
    cost_pico = None
    if call.cost is not None:
        now = _draft(call, key, prices)
        spent = [row.cost_pico for row in rows if row.cost_pico is not None]
        cost_pico = None if now.cost_pico is None else max(0, now.cost_pico - sum(spent))
    elif now.cost_pico is not None and before.cost_pico is not None:
        cost_pico = max(0, now.cost_pico - before.cost_pico)
    more = usage_from(
        (max(0, new - old) for new, old in zip(counts_of(call.usage), counts_of(counted),
                                                strict=True)),
        call.usage.service_tier,
    )  # fmt: skip
    grown = _draft(call._replace(usage=more, cost=None), key, prices)
    return now._replace(
        cost_pico=cost_pico,
        price_source=now.price_source if cost_pico is not None else "unpriced",
        occurred_at_us=first.occurred_at_us,
        input_tokens=grown.input_tokens,
        output_tokens=grown.output_tokens,
        usage_json=grown.usage_json,
        requests=0,
        note="the log states more of this call than when it was imported",
    )


def _grown(tx: Transaction, project: str, key: str) -> Iterator[Entry]:
    """The later rows of the call whose first has *key*."""
    number = 2
    while row := recorded_under(tx, project, [f"{key}#{number}"]).get(f"{key}#{number}"):
        yield row
        number += 1


def _counted(row: Entry) -> Usage:
    usage: dict[str, Any] = row.usage
    return Usage(**usage)


def _is_more(usage: Usage, counted: Usage) -> bool:
    """Whether a log states more than what was *counted*: more output, else more input."""
    now, before = ((one.output_tokens, one.input_tokens) for one in (usage, counted))
    return now > before


def _prefix(source: str) -> str:
    return f"import:{source}:"


def _keys_of(source: str, call: Call) -> list[str]:
    """The keys under which the call may be recorded; the first is for a new row."""
    return [_prefix(source) + _short(name) for name in (call.source_id, *call.also)]


def _short(name: str) -> str:
    """An id within a key: the numbers of further rows follow a ``#``."""
    name = name.replace("%", "%25").replace("#", "%23").replace("\0", "%00")
    if len(name) <= _LONGEST_ID and name.isprintable():
        return name
    return f"sha256:{sha256(name.encode(errors='replace')).hexdigest()}"
