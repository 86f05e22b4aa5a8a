"""The ledger: every verb, each one call into the journal below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from budgetledger.callers import AsUser
from budgetledger.entries import Account, Alert, Balance, Budget, Entry
from budgetledger.holds import Hold
from budgetledger.journal import price_rows, reports, settings
from budgetledger.journal.budget_terms import budget_terms
from budgetledger.journal.drafts import (
    DEFAULT_EXPIRY_SECONDS,
    HoldRequest,
    draft_charge,
    estimated,
)
from budgetledger.journal.journal import Clock, Journal, system_clock
from budgetledger.journal.verify import Verification, verify
from budgetledger.money import Amount, count
from budgetledger.names import checked_name, checked_reason
from budgetledger.prices import OwnPrice, Repriced
from budgetledger.pricing.estimates import DEFAULT_OUTPUT_TOKENS, Estimate
from budgetledger.storage.opening import open_store
from budgetledger.storage.sqlite.connection import Synchronous
from budgetledger.usage import Usage
from budgetledger.verbs import balances, charging, hold_requests, listing
from budgetledger.verbs.copying import backup
from budgetledger.verbs.price_terms import price_revision, rates_json
from budgetledger.verbs.repricing import Progress, reprice
from budgetledger.windows import Unit, Window, to_us

if TYPE_CHECKING:
    from sqlmodel import Session

__all__ = ["Ledger"]


class Ledger:
    """An append-only ledger of what LLM calls cost, and the budgets on it.

    *target* is a path, an ``sqlite:///`` URL or ``:memory:``, or a ``postgresql+psycopg://`` URL;
    the file or schema is created if it is missing. *project* separates accounts and keys inside
    one ledger. *synchronous*: ``"FULL"`` survives power loss, ``"NORMAL"`` a killed process.
    *enforce*: False grants every hold and notes on it what would have refused it.
    *default_output_tokens*: what a hold assumes of a call whose output is not bounded. *on_alert*
    is called with each `Alert` that this ledger raises or resolves, once it is durable. *clock*
    returns microseconds since 1970 (for tests: `budgetledger.testing.FakeClock`).

    Safe to share between threads, and by processes that each open it. All methods may raise
    `StoreError`; names and amounts that cannot be used raise `InvalidInput`.
    """

    def __init__(
        self,
        target: str | PathLike[str],
        *,
        project: str = "default",
        synchronous: Synchronous = "FULL",
        enforce: bool = True,
        default_output_tokens: int = DEFAULT_OUTPUT_TOKENS,
        on_alert: Callable[[Alert], object] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        checked_name(project, "project")
        assumed = count(default_output_tokens, "default_output_tokens")
        store = open_store(target, synchronous)
        self._journal = Journal(store, project, clock, enforce, assumed, on_alert)

    @property
    def project(self) -> str:
        """The project whose accounts and keys these are."""
        return self._journal.project

    @property
    def enforce(self) -> bool:
        """Whether a hold that a budget has no room for is refused, or only noted."""
        return self._journal.enforce

    @enforce.setter
    def enforce(self, enforce: bool) -> None:
        self._journal.enforce = enforce

    @property
    def path(self) -> str:
        """The ledger's file, absolute; or ``:memory:``; or its URL, without the password."""
        return self._journal.store.path

    # -- holds ----------------------------------------------------------------------------------

    def hold(
        self,
        account: str,
        amount: Amount | None = None,
        *,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tokens: int | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        expires_in: float | timedelta = DEFAULT_EXPIRY_SECONDS,
    ) -> Hold:
        """Set money aside for a call before it is made, if every budget that applies allows it.

        How much: *amount* USD (and *tokens*, against budgets of tokens); or estimated for a
        call of *model* with the prompt *messages* (and *tools*) or *text*, and up to
        *max_output_tokens* in each of *n* answers. The budgets of the account and of all above
        it grant the hold together, or none of them. It counts until it is settled, released,
        or *expires_in* (seconds) have passed.

        *key*: a retry with the same key and content gets the same hold while it is open.

        Raises, with nothing recorded: `BudgetExceededError`, `AccountFrozen`,
        `UnknownAccount` if no budget stands on the account or above, `UnpricedModel`,
        `HoldAlreadyClosed` for the key of a hold that is over, `IdempotencyConflict`.
        """
        request = HoldRequest(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags
        )
        prepared = hold_requests.prepare(self._journal, request)
        granted = hold_requests.take(self._journal, account, prepared, expires_in)
        return Hold(self._journal, granted, prepared.estimate)

    def can_afford(
        self,
        account: str,
        amount: Amount | None = None,
        *,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tokens: int | None = None,
    ) -> bool:
        """Whether the budgets allow this now, as `hold` decides; also where it is not enforced.

        Writes nothing and sets nothing aside. Raises `UnknownAccount`, `UnpricedModel`.
        """
        request = HoldRequest(amount, model, messages, text, tools, max_output_tokens, n, tokens)
        return hold_requests.can_afford(self._journal, account, request)

    def estimate(
        self,
        model: str,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
    ) -> Estimate:
        """What a call may cost, at least and at most, as `hold` would estimate it now.

        ``low`` and ``high`` are USD, from a prompt read from a cache and no answer to a prompt of
        the most tokens it may have and *n* answers of *max_output_tokens*. Writes nothing. Raises
        `UnpricedModel`.
        """
        request = HoldRequest(None, model, messages, text, tools, max_output_tokens, n)
        journal = self._journal
        return estimated(request, model, journal.default_output_tokens, journal.clock, journal.book)

    def holds(self, account: str) -> list[Hold]:
        """The open holds that count against *account*: its own, and of accounts under it.

        To release what a dead process left behind, or to settle it late. Raises
        `UnknownAccount`.
        """
        found = hold_requests.open_holds(self._journal, account)
        return [Hold(self._journal, granted, None) for granted in found]

    def as_user(
        self, user: str, *, tags: Mapping[str, Any] | None = None, key: str | None = None
    ) -> AsUser:
        """For ``with``: metered calls made inside count for *user*, with *tags* on their rows.

        For every call of wrapped clients and metered functions that the block makes, in the
        tasks it starts too, and in threads started by ``asyncio.to_thread``. The innermost
        block wins, and its tags are added to those of the blocks around it. *key*: of the
        hold, if the block makes one call.
        """
        return AsUser(user, tags, key)

    # -- money ----------------------------------------------------------------------------------

    def charge(
        self,
        account: str,
        response: object = None,
        *,
        cost: Amount | None = None,
        model: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
    ) -> Entry:
        """Record what a call cost. Never refused for lack of budget: the money is spent.

        *response*: an OpenAI, Anthropic or litellm response or its dict; or *usage* and
        *model*; or *cost* in USD. It is priced by the project's own prices (`set_price`), the
        figure a litellm response carries, or the shipped list. A call that none of them knows
        is recorded as unpriced, with an `UnpricedWarning`; see `reprice`. *key*: the same key and
        content again returns the first entry, so a retry is safe. *tags*: JSON values, stored
        with the row.

        Returns the entry; durable on return. Raises `UnreadableResponse`,
        `IdempotencyConflict`.
        """
        journal = self._journal
        draft = draft_charge(
            response, cost, model, usage, key, tags, occurred_at, journal.clock, journal.book
        )
        return charging.charge(journal, account, draft)

    def adjust(
        self, entry: Entry | int, amount: Amount, *, reason: str, key: str | None = None
    ) -> Entry:
        """Correct *entry* (or the entry with that id) by *amount* USD, which may be negative.

        The correction is a row of its own, under the entry's model, in the window in which it
        is recorded. For an entry without a price, *amount* is its cost. Raises `UnknownEntry`.
        """
        return charging.adjust(self._journal, entry, amount, reason=reason, key=key)

    # -- budgets --------------------------------------------------------------------------------

    def set_budget(
        self,
        account: str,
        limit: Amount | None = None,
        *,
        tokens: int | None = None,
        requests: int | None = None,
        per: Unit | str | timedelta | None = None,
        timezone: str = "UTC",
        week_start: str | int = "monday",
        anchor: datetime | Literal["creation"] | None = None,
        model: str | None = None,
        alert_at: Sequence[Amount] | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
    ) -> Budget:
        """Limit what *account* may use in a window; open the account if it is new.

        One of *limit* (USD), *tokens* or *requests* says how much, of one *model* if given.
        *per*: minute, hour, day, week, month, year (by the calendar of *timezone*, or stepped
        from *anchor*), a timedelta (the span that ends now), or None (for ever). *alert_at*:
        shares of the limit, such as ``(0.5, 0.8, 1)``, that raise an `Alert` once a window (and
        again if the limit was raised); None keeps those there are.

        A parent's budget limits all accounts under it together, that of ``"*"`` the project.
        The same *name* again revises the budget and keeps what is spent; another name adds a
        budget. The name defaults to what is limited: ``usd/month``, ``tokens/day/gpt-4o``.
        *created_at*: when it counts as created; by default when its name was first set.
        """
        checked_name(account, "account")
        terms = budget_terms(
            limit,
            tokens=tokens,
            requests=requests,
            per=per,
            timezone=timezone,
            week_start=week_start,
            anchor=anchor,
            model=model,
            alert_at=alert_at,
            name=name,
            created_at=created_at,
        )
        return settings.set_budget_of(self._journal, account, terms)

    def remove_budget(self, account: str, name: str) -> None:
        """End the budget *name*; what it counted stays. Raises `UnknownAccount`."""
        checked_name(name, "name")
        self._journal.write_known(account, lambda tx, ref: settings.remove_budget(tx, ref, name))

    def budgets(self, account: str) -> list[Budget]:
        """The account's budgets in force, by name. Raises `UnknownAccount`."""
        return self._journal.read_known(
            account, lambda execute, ref: reports.budgets_in_force(execute, ref.id, ref.name)
        )

    def shift_window(
        self,
        account: str,
        name: str | None = None,
        *,
        reason: str | None = None,
        key: str | None = None,
    ) -> Window:
        """Start a new window now, of the budget *name* or of all the account's budgets.

        No row is touched: what was spent stays in the window that ends here. *key*: the same
        key again shifts nothing more. Returns the new window. Raises `UnknownAccount` if there
        is no such account or budget.
        """
        if name is not None:
            checked_name(name, "name")
        if key is not None:
            checked_name(key, "key")
        note = None if reason is None else checked_reason(reason)
        return self._journal.write_known(
            account, lambda tx, ref: settings.shift_windows(tx, ref, name, note, key)
        )

    def set_parent(self, account: str, parent: str | None) -> None:
        """Put *account* under *parent*, whose budgets it counts against too; None for none.

        With a parent, accounts are opened if they are new. Rows so far stay where they
        counted. Everything is under ``"*"``, the project itself, from when that account is
        opened (by a budget).
        Raises `InvalidInput` for a cycle, `UnknownAccount`.
        """
        settings.set_parent_of(self._journal, account, parent)

    def freeze(self, account: str, *, reason: str | None = None) -> None:
        """Refuse all holds on *account* and those under it; costs are still recorded."""
        settings.freeze(self._journal, account, True, reason)

    def unfreeze(self, account: str, *, reason: str | None = None) -> None:
        """Grant holds on *account* again. Raises `UnknownAccount`."""
        settings.freeze(self._journal, account, False, reason)

    def alerts(self, account: str | None = None) -> list[Alert]:
        """The alerts raised and resolved on *account*, or in the project, in their order.

        Raises `UnknownAccount`.
        """
        return listing.alerts(self._journal, account)

    # -- prices ---------------------------------------------------------------------------------

    def set_price(
        self,
        model: str,
        *,
        input: Amount | None = None,
        output: Amount | None = None,
        cache_read: Amount | None = None,
        cache_write: Amount | None = None,
        cache_write_1h: Amount | None = None,
        reasoning: Amount | None = None,
        input_audio: Amount | None = None,
        output_audio: Amount | None = None,
        request: Amount | None = None,
        web_search: Amount | None = None,
        image: Amount | None = None,
        rates: Mapping[str, Amount] | None = None,
        effective_at: datetime | None = None,
        all_projects: bool = False,
        note: str | None = None,
    ) -> OwnPrice:
        """Say what calls of *model* cost: before litellm's figure and the shipped list.

        *model*: a name, or a pattern such as ``my-model-*``. USD for a million tokens; for one
        *request*, *web_search* or generated *image*. 0 is free; what has no rate has no price,
        but for what falls back (cached and written input to *input*, *reasoning* to *output*).
        *rates* takes any of those the row has, by their keys: ``{"input_mtok": 3,
        "input_mtok_above_200000_tokens": 6, "input_mtok_batch": "1.5"}``.

        It holds for calls made from *effective_at* (now) on, in this project or in
        *all_projects*, until another row of the same model; the rows before it stay. Returns
        the row; the one that stands, if it says the same. Raises `InvalidInput`.
        """
        by_argument = {
            "input": input,
            "output": output,
            "cache_read": cache_read,
            "cache_write": cache_write,
            "cache_write_1h": cache_write_1h,
            "reasoning": reasoning,
            "input_audio": input_audio,
            "output_audio": output_audio,
            "request": request,
            "web_search": web_search,
            "image": image,
        }
        project = None if all_projects else self.project
        stated = rates_json(by_argument, rates)
        revision = price_revision(project, model, effective_at, note, stated)
        return self._journal.write(partial(price_rows.revise, revision=revision))[0]

    def remove_price(
        self,
        model: str,
        *,
        effective_at: datetime | None = None,
        all_projects: bool = False,
        note: str | None = None,
    ) -> OwnPrice:
        """End the own price of *model* (as it was set) for calls from *effective_at* (now) on.

        Returns the row that says so. Raises `UnpricedModel` if there is no such price.
        """
        project = None if all_projects else self.project
        revision = price_revision(project, model, effective_at, note)
        return self._journal.write(partial(price_rows.revise, revision=revision))[0]

    def prices(self, *, at: datetime | None = None, history: bool = False) -> list[OwnPrice]:
        """The own prices that stand at a moment (now), of this project and of all, by model.

        With *history* every row instead, in the order they were written.
        """
        journal = self._journal
        if history:
            return journal.read(lambda execute: price_rows.rows(execute, journal.project))
        return journal.book().standing(journal.clock() if at is None else to_us(at))

    def reprice(
        self,
        account: str | None = None,
        *,
        model: str | None = None,
        dry_run: bool = True,
        progress: Progress | None = None,
    ) -> list[Repriced]:
        """Price entries that were recorded without a price, each at its call's own time.

        Those that count on *account*, or all of the project's, of one *model* or pattern. By
        own prices, then the shipped list. A dry run tells what would be priced; without it each
        gets an adjustment that states its cost. An entry is priced once, however often and from
        wherever this is called. Raises `UnknownAccount`. *progress*: see `Ledger.verify`.
        """
        pages = reprice(self._journal, account, model, dry_run=dry_run, progress=progress)
        return [one for priced, _ in pages for one in priced]

    # -- reading --------------------------------------------------------------------------------

    def balance(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> Balance:
        """What the account spent and may still spend, in the windows that hold *at* (now).

        With *as_of*, as the ledger stood at that moment. Raises `UnknownAccount`.
        """
        return balances.balance(self._journal, account, at, as_of)

    def model_costs(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> dict[str, Decimal]:
        """USD by model, in the window that `balance` reports. Raises `UnknownAccount`."""
        return balances.snapshot(self._journal, account, at, as_of)[1]

    def accounts(self) -> list[Account]:
        """The project's accounts, by name."""
        return listing.accounts_of(self._journal)

    def entries(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Entry]:
        """The rows of *account*, or of the project, recorded in [*since*, *until*), in order.

        Reads page by page, so it takes no more memory for a long history, and sees rows that
        are appended meanwhile. Raises `UnknownAccount`, at once.
        """
        return listing.entries(self._journal, account, since, until)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """An SQLModel session for queries of your own over `budgetledger.tables`; read-only.

        It sees the ledger as it is at the start of the ``with`` block. It costs the import of
        SQLModel, about half a second.
        """
        from sqlmodel import Session

        with self._journal.store.session_engine() as engine, Session(engine) as session:
            yield session

    # -- the file -------------------------------------------------------------------------------

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Recount everything in the file, all projects, and report differences; repairs nothing.

        Every row's time, totals and hash are decided again from the rows before it, and the
        schema's tables, triggers and views compared. *progress* is called with the number of
        rows done and the number there are.
        """
        store = self._journal.store
        with store.reading_apart() as connection:
            return verify(connection.execute, store.inspection, progress)

    def backup(self, path: str | PathLike[str]) -> None:
        """Copy the ledger as of now into the new SQLite file *path*, while others go on writing.

        From PostgreSQL too: each row as it is, and verified.
        """
        backup(self._journal.store, path)

    def close(self) -> None:
        """Give files and locks back. Harmless when repeated."""
        self._journal.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.path!r}, project={self.project!r})"


def ledger_on(journal: Journal) -> Ledger:
    """The ledger that works with *journal*."""
    ledger = object.__new__(Ledger)
    ledger._journal = journal
    return ledger
