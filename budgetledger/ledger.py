"""The ledger: each method is one transaction, and decides by asking the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from budgetledger._ledger_prices import PricingLedger
from budgetledger._ledger_reading import ReadingLedger
from budgetledger._ledger_settings import SettingLedger
from budgetledger.caller_warnings import warn
from budgetledger.entries import MONEY_KINDS, Alert, Entry
from budgetledger.errors import (
    BudgetExceededError,
    ClockWarning,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedModel,
    UnpricedWarning,
)
from budgetledger.holds import Hold
from budgetledger.journal import holding as _holding
from budgetledger.journal import reports as _reports
from budgetledger.journal import statements as _sql
from budgetledger.journal.append import Appended, find_or_open, insert_after
from budgetledger.journal.drafts import draft_charge, draft_hold
from budgetledger.journal.holding import Granted
from budgetledger.journal.posting import adjust, post, post_once
from budgetledger.journal.reports import Ref
from budgetledger.journal.rules import Draft
from budgetledger.journal.standing import WHOLE_PROJECT, line
from budgetledger.journal.statements import compiled
from budgetledger.journal.transaction import Memory, Transaction
from budgetledger.money import Amount, count, to_pico
from budgetledger.names import checked_name, checked_reason
from budgetledger.pricing import estimates as _estimates
from budgetledger.pricing.estimates import Estimate, largest_output
from budgetledger.pricing.sources import ANSWERED, extreme
from budgetledger.storage.writer import Execute
from budgetledger.usage import Usage
from budgetledger.windows import from_us, span_us

_TOLERATED_US = 1_000_000  # clocks are corrected by less than this all the time


class Ledger(SettingLedger, ReadingLedger, PricingLedger):
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

    # -- holds --------------------------------------------------------------------------------

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
        expires_in: float | timedelta = 1800,
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
        draft, estimate, unpriced = self._draft_hold(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags
        )
        operation = self._holding(account, draft, expires_in, unpriced)
        try:
            granted = self._write(operation)
        except BudgetExceededError as error:
            raise with_largest_output(error, estimate) from None
        self._granted(granted, estimate)
        return Hold(self, granted, estimate)

    def _draft_hold(
        self,
        amount: Amount | None,
        model: str | None,
        messages: Sequence[Mapping[str, Any]] | None,
        text: str | None,
        tools: Sequence[Mapping[str, Any]] | None,
        max_output_tokens: int | None,
        n: int,
        tokens: int | None,
        key: str | None,
        tags: Mapping[str, Any] | None,
    ) -> tuple[Draft, Estimate | None, UnpricedModel | None]:
        """The draft of a hold; of nothing, with what it lacks, if that is only to be noted."""
        assumed, clock, book = self._default_output_tokens, self._clock, self._book
        try:
            return *draft_hold(
                amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags,
                assumed, clock, book,
            ), None  # fmt: skip
        except UnpricedModel as unpriced:
            if self.enforce:
                raise
            draft, _ = draft_hold(
                0, model, None, None, None, None, 1, None, key, tags, assumed, clock, book
            )
            return draft, None, unpriced

    def _holding(
        self,
        account: str,
        draft: Draft,
        expires_in: float | timedelta,
        unpriced: UnpricedModel | None = None,
    ) -> Callable[[Transaction], Granted]:
        checked_name(account, "account")
        expires_in_us = span_us(expires_in, "expires_in")

        def operation(tx: Transaction) -> Granted:
            ref = self._accounts.get(account)
            return _holding.hold(
                tx, self.project, account, ref, draft, expires_in_us, unpriced,
                enforce=self.enforce,
            )  # fmt: skip

        return operation

    def _granted(self, granted: Granted, estimate: Estimate | None) -> None:
        if granted.refusal is not None and isinstance(granted.refusal, BudgetExceededError):
            with_largest_output(granted.refusal, estimate)
        self._accounts[granted.account.name] = granted.account

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
        checked_name(account, "account")
        draft, _ = draft_hold(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, None, None,
            self._default_output_tokens, self._clock, self._book,
        )  # fmt: skip

        def operation(execute: Execute) -> bool:
            tx = Transaction(execute, self._clock(), Memory())
            # An account to be opened would be under the project.
            ref = _reports.find(execute, self.project, account) or _reports.find(
                execute, self.project, WHOLE_PROJECT
            )
            if ref is None:
                raise _holding.no_budget(account, self.project)
            need = _holding.need_of(draft)
            refused = _holding.judged(tx, account, line(tx, ref), draft.model, need)
            if isinstance(refused, UnknownAccount):
                raise refused
            return refused is None

        return self._store.read(operation)

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
        return _estimates.estimate(
            model, messages=messages, text=text, tools=tools,
            max_output_tokens=max_output_tokens, n=n,
            default_output_tokens=self._default_output_tokens, at=from_us(self._clock()),
            dearest=partial(extreme, book=self._book, dearest=True),
            cheapest=partial(extreme, book=self._book, dearest=False),
        )  # fmt: skip

    def holds(self, account: str) -> list[Hold]:
        """The open holds that count against *account*: its own, and of accounts under it.

        To release what a dead process left behind, or to settle it late. Raises
        `UnknownAccount`.
        """
        return [Hold(self, granted, None) for granted in self._open_holds(account)]

    def _open_holds(self, account: str) -> list[Granted]:
        def operation(execute: Execute, ref: Ref) -> list[Granted]:
            found = []
            for expires_at_us, *row in execute(
                compiled(_sql.OPEN_ENTRIES), (ref.id, self._clock())
            ).fetchall():
                entry = Entry._make(row)._replace(expires_at_us=expires_at_us)
                found.append(Granted(entry, _reports.known(execute, self.project, entry.account)))
            return found

        return self._read_known(account, operation)

    # -- money --------------------------------------------------------------------------------

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
        draft = draft_charge(
            response, cost, model, usage, key, tags, occurred_at, self._clock, self._book
        )
        if key is not None or not isinstance(account, str) or account not in self._accounts:
            return self._charged(account, self._write(self._charging(account, draft)))
        entry, remarks = self._store.write(partial(self._charge_known, account, draft))
        if remarks is not None:
            appended, alerts = remarks
            self._tell(alerts)
            self._warn(appended)
        return entry

    def _charge_known(
        self, account: str, draft: Draft, execute: Execute
    ) -> tuple[Entry, tuple[Appended, tuple[Alert, ...]] | None]:
        """Charge an account that was charged before; and what is to be said of it, if anything.

        In one piece where nothing but the row is to be written and all else is in memory, as for
        most charges: each of them waits for this. It asks all that `_begin` and `post` ask.
        """
        memory, data_version = self._memory, self._store.data_version
        ref = self._accounts.get(account)
        if (
            ref is not None
            and memory.generation == self._store.generation
            and data_version is not None
            and memory.data_version == execute(data_version).fetchone()[0]
            and (head := memory.heads.get(ref.id)) is not None
            and (settings := memory.settings.get(ref.id)) is not None
            and settings.plain_version == head.settings_count
            and head.whole_id is None
            and head.model == draft.model
        ):
            now_us = self._clock()
            at_us, behind_us = max(now_us, head.recorded_at_us), head.recorded_at_us - now_us
            entry, memory.heads[ref.id] = insert_after(execute, ref, head, at_us, draft)
            if behind_us > _TOLERATED_US or draft.cost_pico is None:
                return entry, (Appended(entry, behind_us), ())
            return entry, None
        tx = self._begin(execute)
        ref = self._accounts.get(account)
        if ref is None:  # forgotten meanwhile
            appended, _ = self._find_and_charge(tx, account, draft)
        else:
            appended = post(tx, ref, draft)
        return appended.entry, (appended, tx.alerts)

    def _charging(
        self, account: str, draft: Draft
    ) -> Callable[[Transaction], tuple[Appended, Ref | None]]:
        """The operation that charges, and returns the account too if it had to be found."""
        checked_name(account, "account")

        def operation(tx: Transaction) -> tuple[Appended, Ref | None]:
            ref = self._accounts.get(account)
            if ref is None:
                return self._find_and_charge(tx, account, draft)
            return post_once(tx, ref, draft), None

        return operation

    def _find_and_charge(self, tx: Transaction, account: str, draft: Draft) -> tuple[Appended, Ref]:
        found = _reports.find(tx.execute, self.project, account)
        opened = found or find_or_open(tx, self.project, account)
        appended = post_once(tx, opened, draft)
        return appended._replace(opened=found is None), opened

    def _charged(self, account: str, outcome: tuple[Appended, Ref | None]) -> Entry:
        appended, ref = outcome
        if ref is not None:
            self._accounts[account] = ref
        entry = appended.entry
        if entry.cost_pico is None or ref is not None or appended.behind_us > _TOLERATED_US:
            self._warn(appended)
        return entry

    def adjust(
        self, entry: Entry | int, amount: Amount, *, reason: str, key: str | None = None
    ) -> Entry:
        """Correct *entry* (or the entry with that id) by *amount* USD, which may be negative.

        The correction is a row of its own, under the entry's model, in the window in which it
        is recorded. For an entry without a price, *amount* is its cost. Raises `UnknownEntry`.
        """
        return self._adjust(entry, amount, reason=reason, key=key)

    def _adjust(
        self,
        entry: Entry | int,
        amount: Amount,
        *,
        reason: str,
        key: str | None = None,
        is_total: bool = False,
    ) -> Entry:
        """`adjust`, or to *amount* in all."""
        entry_id = entry.id if isinstance(entry, Entry) else count(entry, "entry")
        draft = Draft(
            "adjustment",
            cost_pico=to_pico(amount, "amount", signed=not is_total, one_entry=True),
            price_source="given",
            note=checked_reason(reason),
            idempotency_key=None if key is None else checked_name(key, "key"),
        )
        appended = self._write(
            lambda tx: adjust(tx, self.project, entry_id, draft, is_total=is_total)
        )
        self._warn(appended)
        return appended.entry

    def _warn(self, appended: Appended) -> None:
        """Say what the caller should know, once the row is safe: warnings may be errors."""
        entry = appended.entry
        if appended.behind_us > _TOLERATED_US:
            warn(
                f"the clock is {appended.behind_us / 1e6:.0f} s behind the last entry of "
                f"{entry.account!r}; this entry has that one's time; check the clock",
                ClockWarning,
            )
        if appended.opened and appended.whole_id is None:
            warn(
                f"account {entry.account!r} of project {self.project!r} was opened by this "
                "charge and has no budget; set one with set_budget",
                UnknownAccountWarning,
            )
        if appended.is_new:
            self._warn_unpriced(entry)

    def _warn_unpriced(self, entry: Entry) -> None:
        if entry.cost_pico is None and entry.kind in MONEY_KINDS:
            warn(
                f"entry {entry.id} is recorded without a price, as none is known for "
                f"{entry.price.get(ANSWERED, entry.model)!r}; no budget counts it until its price "
                "is set (set_price, with effective_at= before the call, or `budgetledger prices "
                "set`) and reprice applies it, or adjust(entry, cost, reason=...) states its cost",
                UnpricedWarning,
            )


def with_largest_output(
    error: BudgetExceededError, estimate: Estimate | None
) -> BudgetExceededError:
    """*error*, telling the largest output that would have been granted."""
    least = error.__dict__.pop("least_available")
    if estimate is not None and (least["requests"] is None or least["requests"] > 0):
        error.largest_output = largest_output(estimate, least["usd"], least["tokens"])
    return error
