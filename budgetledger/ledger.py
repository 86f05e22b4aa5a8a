"""`Ledger`: records what LLM calls cost, and enforces budgets. Each method is one journal call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from budgetledger.callers import AsUser
from budgetledger.entries import Account, Alert, Balance, Budget, DefaultBudget, Entry, ManyCharged
from budgetledger.holds import Hold
from budgetledger.journal import price_rows, reports, settings
from budgetledger.journal.budget_terms import KEPT, Kept, budget_change
from budgetledger.journal.default_budgets import STANDARD, default_terms
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
from budgetledger.reporting import Dimension, Report
from budgetledger.storage.opening import open_store
from budgetledger.storage.sqlite.connection import Synchronous
from budgetledger.usage import Usage
from budgetledger.verbs import (
    balances,
    charging,
    charging_many,
    default_budgets,
    hold_requests,
    listing,
)
from budgetledger.verbs.copying import backup
from budgetledger.verbs.price_terms import price_revision, rates_json
from budgetledger.verbs.remarks import warn_if_beside
from budgetledger.verbs.repricing import Progress, reprice
from budgetledger.windows import Unit, Window, to_us

if TYPE_CHECKING:
    from sqlmodel import Session

__all__ = ["Ledger"]


class Ledger:
    """An append-only ledger of LLM costs, with budgets that racing callers cannot overspend.

    `target`: a path, an ``sqlite:///`` URL, ``":memory:"`` or a ``postgresql+psycopg://`` URL; a
    missing file or schema is created. `project`: the namespace of accounts and keys inside the
    ledger. `synchronous`: ``"FULL"`` survives a power loss, ``"NORMAL"`` a killed process.
    `enforce`: if False, every hold is granted, and has the error that would have refused it as
    `Hold.refusal`. `default_output_tokens`: what a hold assumes for a call without a bound on
    its output. `on_alert`: called with each `Alert` that this ledger raises or resolves, once it
    is durable. `clock`: returns microseconds since 1970 (in tests:
    `budgetledger.testing.FakeClock`).

    Threads can share a ledger; processes each open their own, on the same file or schema. All
    methods can raise `StoreError` (after `StoreBusy`, retry with the same key) and, for unusable
    arguments, `InvalidInput`.

    Example:
        >>> from budgetledger import Ledger
        >>> ledger = Ledger("spend.db", project="my-app")
        >>> budget = ledger.set_budget("alice", "10.00", per="month")
        >>> with ledger.hold("alice", "0.05") as hold:
        ...     entry = hold.settle("0.031")  # or the response of the call
        >>> print(ledger.balance("alice").available)
        9.969
        >>> ledger.close()
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
        """The project that the accounts and keys belong to."""
        return self._journal.project

    @property
    def enforce(self) -> bool:
        """Whether budgets refuse holds. If False, holds are granted and have a `Hold.refusal`."""
        return self._journal.enforce

    @enforce.setter
    def enforce(self, enforce: bool) -> None:
        self._journal.enforce = enforce

    @property
    def path(self) -> str:
        """The absolute path of the file, ``":memory:"``, or the URL without its password."""
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
        wait: float | timedelta = 0,
    ) -> Hold:
        """Set money aside for a call before it is sent, if all budgets that apply allow it.

        Pass `amount` in USD, `tokens`, or both. Of one that is not passed, one unit is held (10⁻¹²
        USD, one token), so that an exhausted budget refuses the call; a call of unknown USD is
        refused as `UnpricedModel` as those of `metered` are. 0 is free. Or pass `model` with
        `messages` (and `tools`) or `text`, and the most that the call can cost is estimated from
        the prompt and `n` answers of `max_output_tokens` each; without `max_output_tokens`, the
        ledger's ``default_output_tokens``, and the call can cost more (see `Hold.bounded`).

        The budgets of the account and of all accounts above it grant the hold together, or none
        does. It counts against them until it is settled or released, or `expires_in` (seconds or
        a timedelta) has passed. `key`: a retry with the same key and content returns the same
        hold while it is open. `tags`: JSON values, stored with its rows.

        `wait` (seconds or a timedelta): how long to wait while only open holds are in the way;
        never for a window to turn, nor for a hold that the call itself is inside of. Holds that
        wait in this process are granted in the order of their calls; one that fits may overtake
        one that does not, at most 8 times. Holds without `wait` do not queue.

        Returns the `Hold`, durable on return. Raises, with nothing recorded, a `HoldRefused`:
        `BudgetExceededError` (has ``retry_after`` and ``largest_output``), `AccountFrozen`,
        `NoBudget` if neither the account nor one above it has a budget, or `UnpricedModel`;
        `HoldAlreadyClosed` if the hold of `key` is closed or expired, `IdempotencyConflict`.
        """
        request = HoldRequest(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags
        )
        return requested_hold(self, account, request, expires_in, wait)

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
        """Whether `hold` with these arguments would be granted now, if budgets are enforced.

        Writes nothing and sets nothing aside, so a later hold can still be refused. Raises
        `NoBudget`, `UnpricedModel`.
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
        """Estimate the least and the most that a call can cost, as `hold` does.

        ``low`` is the USD of a prompt read from the cache without an answer; ``high`` that of
        the largest count of prompt tokens and `n` answers of `max_output_tokens` each, which is
        what `hold` sets aside. Writes nothing. Raises `UnpricedModel`.
        """
        request = HoldRequest(None, model, messages, text, tools, max_output_tokens, n)
        journal = self._journal
        return estimated(
            request, model, journal.default_output_tokens, journal.clock, journal.prices
        )

    def holds(self, account: str) -> list[Hold]:
        """The open holds that count against `account`: its own, and those of accounts under it.

        Use it to settle or release the holds of a process that died. Raises `UnknownAccount`.
        """
        all_granted = hold_requests.open_holds(self._journal, account)
        return [Hold(self._journal, granted, None) for granted in all_granted]

    def as_user(
        self, user: str, *, tags: Mapping[str, Any] | None = None, key: str | None = None
    ) -> AsUser:
        """A context manager: metered calls inside it count for `user`, with `tags` on their rows.

        It applies to all calls of wrapped clients and metered functions in the block, including
        those of tasks it starts and of ``asyncio.to_thread``. The innermost block wins; its tags
        are added to those of the blocks around it. `key`: the idempotency key of the hold, for a
        block with one call.
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
        """Record what a call cost. No budget refuses it, because the money is already spent.

        Pass `response`, an OpenAI, Anthropic or litellm response or its dict; or `usage` and
        `model`; or `cost` in USD. The price is the project's own (`set_price`), else the cost
        that a litellm response has, else that of the shipped price list. Without any of them
        the call is recorded as unpriced, with an `UnpricedWarning`; see `reprice`.

        `key`: a retry with the same key and content returns the first entry. `tags`: JSON
        values, stored with the row. `occurred_at`: when the call was made; by default now. The
        row counts in the windows that contain that moment. A new account is opened, with an
        `UnknownAccountWarning` if no budget applies to it.

        Returns the entry, durable on return. Raises `UnreadableResponse`, `IdempotencyConflict`.
        """
        journal = self._journal
        draft = draft_charge(
            response, cost, model, usage, key, tags, occurred_at, journal.clock, journal.prices
        )
        return charging.charge(journal, account, draft)

    def charge_many(
        self, rows: Iterable[Mapping[str, Any]], *, source: str | None = None
    ) -> ManyCharged:
        """Record many costs: the rows that `charge` would record one by one, much faster.

        Each row is a dict of arguments of `charge` by name: ``account``, and ``response``, or
        ``usage`` and ``model``, or ``cost``, and the others. Rows are read as they are needed,
        and recorded a thousand in one transaction.

        Each needs a ``key``, so that a call that failed can be repeated: rows that are recorded
        stay as they are. With `source`, the key of a row without one is made from `source`, the
        id of its response and its model: ``source:id:model``.

        Returns the counts of rows that are new, repeated and unpriced; one `UnpricedWarning` and
        `UnknownAccountWarning` stand for all of them. Raises `InvalidRow`, which has the number
        of the row; the thousands before that row's stay recorded.
        """
        return charging_many.charge_many(self._journal, rows, source)

    def adjust(
        self, entry: Entry | int, amount: Amount, *, reason: str, key: str | None = None
    ) -> Entry:
        """Correct the cost of `entry` (or of the entry with that id) by `amount` USD.

        `amount` is added to the cost and may be negative; for an unpriced entry it is the cost,
        for one of assumed cost the difference from that.
        The correction is a new row under the entry's model, and counts in the windows in which
        the entry counts. `reason` is stored with it. `key`: a retry with the same key and
        content returns the first correction. Returns the new entry. Raises `InvalidAmount` if
        the entry would cost less than 0 with its adjustments; `UnknownEntry`,
        `IdempotencyConflict`.
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
        per: Unit | str | timedelta | Kept | None = KEPT,
        timezone: str | None = None,
        week_start: str | int | None = None,
        anchor: datetime | Literal["creation"] | Kept | None = KEPT,
        model: str | Kept | None = KEPT,
        alert_at: Sequence[Amount] | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
    ) -> Budget:
        """Limit what `account` may use in a window. A new account is opened.

        Pass the limit as one of `limit` (USD), `tokens` or `requests`; with `model` it applies
        to calls of that model only. `per`: ``"minute"``, ``"hour"``, ``"day"``, ``"week"``,
        ``"month"`` or ``"year"`` by the calendar of `timezone` (UTC), or in steps from `anchor`;
        a timedelta, for the span that ends now; or None, for ever. `alert_at`: shares of the
        limit, such as ``(0.5, 0.8, 1)``, each of which raises an `Alert` once a window, and again
        after the limit is raised.

        A parent's budget limits all accounts under it together; a budget of ``"*"`` limits the
        project, and counts what the project has posted and holds already. The same `name` again
        changes what is passed, and keeps the rest and what was spent; another name adds a budget.
        The default name is what it limits: ``usd/month``, ``tokens/day/gpt-4o``; pass `name` to
        change a budget without its limit or `per`. None ends an `anchor` or a `model`. Without
        `per` a new budget is for ever, with an `AddedBudgetWarning` if it has no `name` and
        another limits the same. `created_at`: when it counts as created; by default when its
        name was first set.

        Returns the budget in force.
        """
        checked_name(account, "account")
        change = budget_change(
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
        budget, beside = settings.change_budget_of(self._journal, account, change)
        warn_if_beside(budget, beside)
        return budget

    def remove_budget(self, account: str, name: str) -> None:
        """End the budget `name` of `account`. Its entries and other budgets are not affected.

        Raises `UnknownAccount` if there is no such account or budget.
        """
        checked_name(name, "name")
        self._journal.write_known(account, lambda tx, ref: settings.remove_budget(tx, ref, name))

    def budgets(self, account: str) -> list[Budget]:
        """The account's budgets in force, sorted by name. Raises `UnknownAccount`."""
        return self._journal.read_known(
            account, lambda execute, ref: reports.budgets_in_force(execute, ref.id, ref.name)
        )

    def set_default_budget(
        self,
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
        kind: str = "user",
    ) -> DefaultBudget:
        """Give each account of `kind` a budget at its first hold or charge from now on.

        Only accounts that never had a budget get it, each once, under the name ``standard``;
        `set_budget` on an account ends it. `kind`: ``"user"`` for bare names and for users below
        a key (``key:app/alice``), or the prefix of names such as ``"team"``. Accounts above the
        one that spends get theirs too, but users do not. ``"*"`` and ``tag:`` accounts get none.

        The other arguments are those of `set_budget`. Another call revises the default for
        accounts that have not got it. Returns the default in force. Warns (`UnboundedWarning`)
        unless a budget on ``"*"`` or on a parent limits new names together.
        """
        change = budget_change(
            limit,
            tokens=tokens,
            requests=requests,
            per=per,
            timezone=timezone,
            week_start=week_start,
            anchor=anchor,
            model=model,
            alert_at=alert_at,
            name=STANDARD,
        )
        return default_budgets.set_default_budget(self._journal, kind, default_terms(change))

    def remove_default_budget(self, kind: str = "user") -> None:
        """End the default budget of `kind`. Accounts that got a budget by it keep that budget.

        Raises `UnknownAccount` if there is none.
        """
        default_budgets.remove_default_budget(self._journal, kind)

    def default_budgets(self) -> list[DefaultBudget]:
        """The default budgets of the project in force, sorted by kind."""
        return default_budgets.default_budgets(self._journal)

    def shift_window(
        self,
        account: str,
        name: str | None = None,
        *,
        reason: str | None = None,
        key: str | None = None,
    ) -> Window:
        """Start a new window now, for the budget `name` or for all budgets of `account`.

        No row changes: what was spent stays in the window that ends now. `reason` is stored.
        `key`: a retry with the same key shifts nothing. Returns the new window. Raises
        `UnknownAccount` if there is no such account or budget.
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
        """Put `account` under `parent`, so that its calls count against the parent's budgets too.

        New accounts are opened. `parent` None ends it. Earlier rows stay where they counted.
        All accounts are under ``"*"``, the project, once that has a budget. Raises
        `InvalidInput` for a cycle; `UnknownAccount` if `parent` is None and `account` is new.
        """
        settings.set_parent_of(self._journal, account, parent)

    def freeze(self, account: str, *, reason: str | None = None) -> None:
        """Refuse all holds of `account` and of accounts under it, until `unfreeze`.

        Costs are still recorded, and open holds can be settled. `reason` is stored. Raises
        `UnknownAccount`.
        """
        settings.freeze(self._journal, account, True, reason)

    def unfreeze(self, account: str, *, reason: str | None = None) -> None:
        """Grant holds of `account` again after `freeze`. Raises `UnknownAccount`."""
        settings.freeze(self._journal, account, False, reason)

    def alerts(self, account: str | None = None) -> list[Alert]:
        """The alerts that `account`, or the project, raised and resolved, oldest first.

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
        """Set your own price of `model`. It precedes litellm's cost and the shipped price list.

        `model`: a name, or a pattern such as ``my-model-*``. Rates are USD per million tokens;
        `request`, `web_search` and `image` are USD for each. 0 is free. Without a rate, cached
        and written input cost as `input`, `reasoning` as `output`; anything else is unpriced.
        `rates`: more rates by their keys, such as ``{"input_mtok": 3,
        "input_mtok_above_200000_tokens": 6, "input_mtok_batch": "1.5"}``.

        It applies to calls made at `effective_at` (now) or later, in this project or in
        `all_projects`, until the next row of the same model. Earlier rows stay. `note` is stored.
        Returns the new row, or the one in force if nothing changes. Raises `InvalidInput`.
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
        """End your own price of `model`, for calls made at `effective_at` (now) or later.

        `model`: the name or pattern that `set_price` got. Returns the row that ends it. Raises
        `UnpricedModel` if there is no such price.
        """
        project = None if all_projects else self.project
        revision = price_revision(project, model, effective_at, note)
        return self._journal.write(partial(price_rows.revise, revision=revision))[0]

    def prices(self, *, at: datetime | None = None, history: bool = False) -> list[OwnPrice]:
        """Your own prices in force at `at` (now), of this project and of all, sorted by model.

        With `history`, all rows instead, in the order in which they were written.
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
        """Price entries without a price, or of assumed cost, each at the time of its call.

        It covers the entries of `account` and the accounts under it, or of the project, with
        `model` (a name or pattern) if given. It uses your own prices, then the shipped list. A
        dry run records nothing; otherwise each entry gets an adjustment: its cost, or how that
        differs from the assumed cost. Only usage that an answer reported is priced; use
        `adjust` for the other calls, which the command `reprice` lists. Calling it
        again, even concurrently, prices no entry twice. `progress`: see `verify`.

        Returns the entries with their prices. Raises `UnknownAccount`.
        """
        pages = reprice(self._journal, account, model, dry_run=dry_run, progress=progress)
        return [one for priced, _ in pages for one in priced]

    # -- reading --------------------------------------------------------------------------------

    def balance(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> Balance:
        """What `account` spent and can still spend, in the windows that contain `at` (now).

        `as_of`: report the ledger as it was at that moment. The balance has ``limit``,
        ``posted``, ``held`` and ``available`` in USD; ``limit`` and ``available`` are None without
        a budget of USD. ``assumed`` is the part of ``posted`` that is what was held for calls whose
        cost is not known; ``unpriced`` counts calls without any cost. ``budgets`` has the figures
        of each budget. Raises `UnknownAccount`.
        """
        return balances.balance(self._journal, account, at, as_of)

    def model_costs(
        self, account: str, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> dict[str, Decimal]:
        """USD spent by model, in the window that `balance` reports. Raises `UnknownAccount`."""
        return balances.snapshot(self._journal, account, at, as_of)[1]

    def accounts(self) -> list[Account]:
        """The accounts of the project, sorted by name."""
        return listing.accounts_of(self._journal)

    def entries(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        last: int | None = None,
    ) -> Iterator[Entry]:
        """The entries of `account`, or of the project, recorded in [`since`, `until`), in order.

        `last`: only the newest so many, read at once. Without it, the iterator reads page by
        page, so a long history takes no more memory; it includes entries that are appended
        meanwhile. Raises `UnknownAccount` when called.
        """
        return listing.entries(self._journal, account, since, until, last)

    def report(
        self,
        by: Dimension | str = "day",
        *,
        columns: Dimension | str | None = None,
        account: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        last: int | timedelta | None = None,
        month: str | None = None,
        timezone: str = "UTC",
        as_of: datetime | None = None,
        tree: bool = False,
    ) -> Report:
        """Sum calls by period, account, model, host or tag, each call once, where it belongs.

        `by`, and `columns` for a second dimension: ``"hour"``, ``"day"``, ``"week"`` (from
        Monday), ``"month"``, ``"account"``, ``"kind"`` (of account), ``"model"``, ``"host"`` or
        ``"tag:NAME"``. `account`: only what counts on it, its own calls and those of accounts
        under it. The range is all time, or [`since`, `until`), a `month` such as ``"2026-10"``,
        or the `last` so many days, today included (or, as a timedelta, the span that ends now).
        `timezone`: an IANA name; its days have 23 or 25 hours where clocks change. `as_of`: as
        the ledger stood at that moment. `tree`: accounts under their present parents, whose
        figures then include them.

        Returns a `Report`: ``rows``, ``total``, ``previous`` (the range of equal length before);
        each has USD, tokens, requests, and what is unpriced, assumed or estimated. Reads all rows
        of the range, which takes seconds for a million; the same report again, those since.
        Raises `InvalidInput`, `UnknownAccount`.
        """
        from budgetledger.reports.making import Request, make_report  # few callers need them

        request = Request(by, columns, account, since, until, last, month, timezone, as_of, tree)
        return make_report(self._journal, request)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A read-only SQLModel session, for your own queries over `budgetledger.tables`.

        It sees the ledger as of the start of the ``with`` block. The first use imports SQLModel,
        which takes about half a second.
        """
        from sqlmodel import Session

        with self._journal.store.session_engine() as engine, Session(engine) as session:
            yield session

    # -- the file -------------------------------------------------------------------------------

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Recount the whole ledger, all projects, and report differences. Repairs nothing.

        Each row's time, totals and hash are computed again from the rows before it; the schema's
        tables, triggers and views are compared too. `progress`: called with the number of rows
        done and the number of all rows. Returns the counts and the problems found.
        """
        store = self._journal.store
        with store.reading_apart() as connection:
            return verify(connection.execute, store.inspection, progress)

    def backup(self, path: str | PathLike[str]) -> None:
        """Copy the ledger into the new SQLite file `path`, while others continue to write.

        The copy has the ledger as of now. From PostgreSQL, each row is copied unchanged and the
        copy is verified. Raises `InvalidInput` if `path` exists.
        """
        backup(self._journal.store, path)

    def close(self) -> None:
        """Close files and connections. Closing twice is harmless.

        Other methods then raise `StoreClosed`.
        """
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

    def __copy__(self) -> Self:
        copied = ledger_on(replace(self._journal), like=self)
        assert isinstance(copied, type(self))
        return copied

    def __repr__(self) -> str:
        return f"Ledger({self.path!r}, project={self.project!r})"


def ledger_at(ledger: Ledger, *places: str) -> Ledger:
    """The same ledger for calls made at `places`: base URLs, or LiteLLM's names of providers."""
    journal = ledger._journal
    return ledger_on(replace(journal, places=(*places, *journal.places)), like=ledger)


def requested_hold(
    ledger: Ledger,
    account: str,
    request: HoldRequest,
    expires_in: float | timedelta = DEFAULT_EXPIRY_SECONDS,
    wait: float | timedelta = 0,
) -> Hold:
    """`Ledger.hold` for *request*, which may be minimal; for the packages that meter calls."""
    journal = ledger._journal
    prepared = hold_requests.prepare(journal, request)
    granted = hold_requests.take(journal, account, prepared, expires_in, wait)
    return Hold(journal, granted, prepared.estimate)


def ledger_on(journal: Journal, like: Ledger | None = None) -> Ledger:
    """The ledger that works with `journal`; of the class of `like` and with its attributes."""
    ledger = object.__new__(Ledger if like is None else type(like))
    if like is not None:
        vars(ledger).update(vars(like))
    ledger._journal = journal
    return ledger
