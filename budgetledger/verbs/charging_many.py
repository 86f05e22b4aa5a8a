"""Records many costs: a thousand in one transaction, the same rows as one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, islice, repeat
from typing import Any, NamedTuple, TypeAlias

from budgetledger.caller_warnings import warn
from budgetledger.entries import Entry, ManyCharged
from budgetledger.errors import (
    BudgetledgerError,
    InvalidInput,
    InvalidRow,
    StoreError,
    UnknownAccountWarning,
    UnpricedWarning,
)
from budgetledger.journal.append import as_recorded, find_or_open, is_same
from budgetledger.journal.batch import Batch, Run, fits, run_of
from budgetledger.journal.drafts import UNKNOWN_MODEL, draft_charge
from budgetledger.journal.journal import Journal
from budgetledger.journal.posting import post
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.response_ids import response_id_in
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.names import checked_name

PAGE_ROWS = 1000
"""Rows in one transaction: other writers get a turn after each."""

_NAMES = frozenset({"account", "response", "cost", "model", "usage", "key", "tags", "occurred_at"})


Row: TypeAlias = tuple[int, str, Draft]
"""A row to be recorded: its number from 1, its account, and its draft."""


class Page(NamedTuple):
    """What one transaction did."""

    repeated: int
    unpriced: int
    opened: dict[str, Ref]
    """Accounts that were not cached; those without any row before are in *unknown*."""
    unknown: list[str]


def charge_many(
    journal: Journal, rows: Iterable[Mapping[str, Any]], source: str | None
) -> ManyCharged:
    """Record *rows*, each the arguments of `Ledger.charge` by name; see `Ledger.charge_many`."""
    if source is not None:
        checked_name(source, "source")
    drafts = _drafted(journal, iter(rows), source)
    done, repeated, unpriced = 0, 0, 0
    unknown: list[str] = []
    try:
        while page := _next_page(drafts, done):
            result = journal.write(partial(write_page, journal=journal, page=page, done=done))
            journal.refs.update(result.opened)
            done += len(page)
            repeated, unpriced = repeated + result.repeated, unpriced + result.unpriced
            unknown += result.unknown
    finally:
        _warn(unpriced, unknown)
    return ManyCharged(done - repeated, repeated, unpriced)


def _next_page(drafts: Iterator[Row], done: int) -> list[Row]:
    try:
        return list(islice(drafts, PAGE_ROWS))
    except InvalidRow as error:
        error.recorded = done
        raise


def _drafted(
    journal: Journal, rows: Iterator[Mapping[str, Any]], source: str | None
) -> Iterator[Row]:
    """The rows as drafts. Raises `InvalidRow`."""
    prices, names = journal.prices, set[str]()
    for number, row in enumerate(rows, 1):
        if number % PAGE_ROWS == 1:
            prices = journal.prices._replace(book=cache(journal.book))
        try:
            if not isinstance(row, Mapping) or not row.keys() <= _NAMES:
                raise InvalidInput(_form_of(row))
            get = row.get
            account = get("account")
            if type(account) is not str or account not in names:
                names.add(account := checked_name(account, "account"))
            key = get("key")
            draft = draft_charge(
                get("response"), get("cost"), get("model"), get("usage"), key, get("tags"),
                get("occurred_at"), journal.clock, prices,
            )  # fmt: skip
            if key is None:
                draft = draft._replace(idempotency_key=_key_of(source, draft))
        except (BudgetledgerError, TypeError) as error:
            if isinstance(error, StoreError):
                raise
            raise _invalid(number, error) from error
        yield number, account, draft


def _form_of(row: object) -> str:
    names = ", ".join(sorted(_NAMES))
    if not isinstance(row, Mapping):
        return f"it is a {type(row).__name__}; pass a dict of arguments of charge: {names}"
    unknown = ", ".join(sorted(str(name) for name in row.keys() - _NAMES))
    return f"charge has no argument {unknown}; pass {names}"


def _key_of(source: str | None, draft: Draft) -> str:
    """The key of a row without one: the source, the response's id, and the model."""
    response_id = response_id_in(draft)
    if source is None or response_id is None:
        raise InvalidInput(
            "it has no key, so it could not be repeated safely; pass a key, or source= and "
            "responses that have an id"
        )
    return checked_name(f"{source}:{response_id}:{draft.model or UNKNOWN_MODEL}", "key")


def _invalid(number: int, error: Exception, recorded: int = 0) -> InvalidRow:
    return InvalidRow(f"row {number:,}: {error}", row=number, recorded=recorded)


def write_page(tx: Transaction, journal: Journal, page: list[Row], done: int) -> Page:
    """Append a page of rows that are not recorded yet. Raises `InvalidRow`."""
    keys = [draft.idempotency_key for _, _, draft in page]
    earlier = recorded_under(tx, journal.project, keys)
    here: dict[str | None, Row] = {}
    appending = _Appending(tx, journal)
    repeated = unpriced = 0
    for key, row in zip(keys, page, strict=True):
        if key in here or key in earlier:
            _check_repeated(row, earlier.get(key), here.get(key), done)
            repeated += 1
            continue
        here[key] = row
        _, account, draft = row
        appending.append(account, draft)
        if draft.cost_pico is None:
            unpriced += 1
    appending.finish()
    return Page(repeated, unpriced, appending.opened, appending.unknown)


class _Appending:
    """Appends the drafts of a page: in runs where they need no more, else one by one."""

    def __init__(self, tx: Transaction, journal: Journal) -> None:
        self._tx, self._journal = tx, journal
        self._batch = tx.execute = Batch(tx.execute)
        tx.models = {}
        self._runs: dict[tuple[str, str | None], Run] = {}
        self._running: dict[str, tuple[int, str | None]] = {}
        self.opened: dict[str, Ref] = {}
        self.unknown: list[str] = []

    def append(self, account: str, draft: Draft) -> None:
        """Append *draft* to the journal of *account*, which may be new."""
        if fits(draft):
            run = self._runs.get((account, draft.model)) or self._begun(account, draft)
            if run is not None:
                run.send(draft)
                return
        self._end_runs()
        if post(self._tx, self._ref(account), draft).whole_id is not None:
            self.unknown.clear()  # the project has an account above them

    def finish(self) -> None:
        """Write all rows out."""
        self._end_runs()
        self._batch.write_out()

    def _begun(self, account: str, draft: Draft) -> Run | None:
        if account in self._running:  # of another model, whose run ends
            account_id, model = self._running.pop(account)
            self._keep_head(account_id, self._runs.pop((account, model)))
        ref = self._ref(account)
        run = run_of(self._tx, self._batch, ref, draft)
        if run is not None:
            self._runs[account, draft.model] = run
            self._running[account] = ref.id, draft.model
        return run

    def _end_runs(self) -> None:
        """End all runs: any account may be above that of the next row."""
        for account, (account_id, model) in self._running.items():
            self._keep_head(account_id, self._runs[account, model])
        self._runs.clear()
        self._running.clear()

    def _keep_head(self, account_id: int, run: Run) -> None:
        head = run.send(None)
        assert head is not None
        self._tx.memory.heads[account_id] = head
        run.close()

    def _ref(self, account: str) -> Ref:
        ref = self._journal.refs.get(account) or self.opened.get(account)
        if ref is None:
            project = self._journal.project
            ref = accounts.find(self._tx.execute, project, account)
            if ref is None:
                ref = find_or_open(self._tx, project, account)
                self.unknown.append(account)
            self.opened[account] = ref
        return ref


def _check_repeated(row: Row, entry: Entry | None, first: Row | None, done: int) -> None:
    """Raise `InvalidRow` if the key of *row* was used for other content."""
    number, account, draft = row
    try:
        if entry is not None:
            as_recorded(entry, account, draft)
        elif first is not None and not is_same(first[2], draft, (first[1], account)):
            raise InvalidInput(f"row {first[0]:,} has its key, and other content")
    except BudgetledgerError as error:
        raise _invalid(number, error, done) from error


def recorded_under(
    tx: Transaction, project: str, keys: Sequence[str | None]
) -> dict[str | None, Entry]:
    """The entries that the project has under *keys*, a page of them at most, by key."""
    project_id = accounts.find_project(tx.execute, project)
    if project_id is None or not keys:
        return {}
    padded = islice(chain(keys, repeat(keys[0])), PAGE_ROWS)  # one statement for all pages
    rows = tx.execute(statements.entries_with_keys(PAGE_ROWS), (project_id, *padded))
    entries = map(Entry._make, rows.fetchall())
    return {entry.idempotency_key: entry for entry in entries}


def _warn(unpriced: int, unknown: list[str]) -> None:
    if unpriced:
        warn(
            f"{unpriced:,} calls are recorded without a price; no budget counts them until their "
            "price is set (set_price, with effective_at= before the calls) and reprice applies it",
            UnpricedWarning,
        )
    if unknown:
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        warn(
            f"accounts that were opened have no budget: {', '.join(unknown[:3])}{more}; set one "
            "with set_budget",
            UnknownAccountWarning,
        )
