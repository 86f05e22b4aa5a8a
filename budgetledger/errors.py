"""Every exception and warning of budgetledger.

::

    BudgetledgerError
    ├── InvalidInput (ValueError)          the call is wrong; the ledger is as it was
    │   ├── InvalidAmount                  not a finite amount of money, or out of range
    │   ├── InvalidName                    not a usable project, account, model or key
    │   ├── InvalidPeriod                  no such window, zone or moment
    │   ├── InvalidRow                     a row of charge_many cannot be recorded
    │   └── UnreadableResponse             the argument has no readable model and usage
    ├── HoldRefused                        a hold is refused; nothing was recorded
    │   ├── BudgetExceededError            a budget has no room for it
    │   │   └── StreamStopped              … nor for more of a stream, which was closed
    │   ├── AccountFrozen                  the account, or one above it, is frozen
    │   ├── NoBudget (UnknownAccount)      neither the account nor one above it has a budget
    │   └── UnpricedModel (LookupError)    no price is known; never counted as $0
    ├── UnknownAccount (KeyError)          the account does not exist, or has no such budget
    ├── UnknownEntry (KeyError)            the project has no such entry
    ├── HoldAlreadyClosed                  the hold was closed before; has the closing entry
    ├── IdempotencyConflict                the key was used before with other content
    └── StoreError                         the database, its disk or the server failed
        ├── StoreBusy                      the lock was not free in time; retry with the same key
        ├── StoreFull                      the disk is full; nothing was recorded
        ├── StoreReadOnly                  the file or its folder is not writable
        ├── StoreNotFound                  the file or its folder does not exist
        ├── StoreClosed                    the ledger was closed
        ├── NotALedger                     the file is not a ledger, and was not changed
        ├── SchemaTooNew                   a later version of budgetledger wrote the file
        ├── ServerUnavailable              the budget server does not answer; try again later
        └── ServerRefused                  it answers with an error; the message says what to set

    BudgetledgerWarning (UserWarning)
    ├── AddedBudgetWarning                 a budget was added beside others that limit the same
    ├── MeteredTwiceWarning                a call was metered inside another one; it counts once
    ├── ClockWarning                       the clock stepped back; times did not
    ├── UnboundedWarning                   a default budget is set, but none for all names together
    ├── UnknownAccountWarning              a cost was recorded for an account without a budget
    ├── UnpricedWarning                    a call was recorded without a price, or as assumed
    └── UnrecordedWarning                  a cost could not be recorded yet; what to do

Each message ends with what to do. Its facts are attributes of the exception too. All exceptions
can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from budgetledger.entries import Budget, Entry
    from budgetledger.windows import Window

__all__ = [
    "AccountFrozen",
    "AddedBudgetWarning",
    "BudgetExceededError",
    "BudgetledgerError",
    "BudgetledgerWarning",
    "ClockWarning",
    "HoldAlreadyClosed",
    "HoldRefused",
    "IdempotencyConflict",
    "InvalidAmount",
    "InvalidInput",
    "InvalidName",
    "InvalidPeriod",
    "InvalidRow",
    "MeteredTwiceWarning",
    "NoBudget",
    "NotALedger",
    "SchemaTooNew",
    "ServerRefused",
    "ServerUnavailable",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreNotFound",
    "StoreReadOnly",
    "StreamStopped",
    "UnboundedWarning",
    "UnknownAccount",
    "UnknownAccountWarning",
    "UnknownEntry",
    "UnpricedModel",
    "UnpricedWarning",
    "UnreadableResponse",
    "UnrecordedWarning",
]


class BudgetledgerError(Exception):
    """The base class of all budgetledger errors. Keyword arguments become attributes."""

    def __init__(self, message: str, /, **facts: object) -> None:
        super().__init__(message)
        self.__dict__.update(facts)

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[BudgetledgerError], args: tuple[Any, ...], facts: dict[str, Any]
) -> BudgetledgerError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class InvalidInput(BudgetledgerError, ValueError):
    """An argument is wrong. Nothing was written; the same call fails again."""


class InvalidAmount(InvalidInput):
    """The argument is not an amount of money (or a count) that an entry can hold."""


class InvalidName(InvalidInput):
    """The argument is not usable as a project, account, budget, model or key."""


class InvalidPeriod(InvalidInput):
    """The argument is not a window, time zone or moment."""


class InvalidRow(InvalidInput):
    """A row of `Ledger.charge_many` cannot be recorded; its cause is the error of that row.

    The rows before its thousand are recorded. Correct it, and pass all rows again: those with keys
    that are recorded stay as they are.
    """

    row: int
    """The number of the row, from 1."""
    recorded: int
    """How many rows were recorded, or had been before: those before its thousand."""


class UnreadableResponse(InvalidInput):
    """The argument has no readable model and usage.

    If the call was paid for, record it with ``cost=`` or ``usage=`` instead.
    """

    is_answer = True
    """False if it cannot be the response of a paid call: a text, a stream, a failed batch line."""


class HoldRefused(BudgetledgerError):
    """A hold is refused before any money is spent; nothing was recorded."""

    blocked_by_holds: bool = False
    """Whether waiting for open holds may help: without them the hold would be granted now."""


class UnpricedModel(HoldRefused, LookupError):
    """No price is known for ``model``, so a hold cannot be estimated.

    Or nothing can be estimated for a call, and a budget has an earlier such call without a price.
    Retrying helps after `Ledger.set_price`; in the second case once `Ledger.reprice` or
    `Ledger.adjust` has stated the price. A cost is never refused for this: it is recorded.
    """

    model: str

    def __init__(self, model: str, message: str | None = None, **facts: object) -> None:
        super().__init__(
            message
            or f"no price is known for model {model!r}; set one with set_price({model!r}, ...) or "
            "`budgetledger prices set`, pass cost=, or check the model's name",
            model=model,
            **facts,
        )


class UnknownAccount(BudgetledgerError, KeyError):
    """The account ``account`` of ``project`` does not exist, or no such budget applies to it."""

    account: str
    project: str


class UnknownEntry(BudgetledgerError, KeyError):
    """This project has no entry with that id."""


class NoBudget(HoldRefused, UnknownAccount):
    """Neither ``account`` nor one above it has a budget, so it grants no holds.

    Retrying helps after `Ledger.set_budget`. A charge is recorded all the same.
    """


class BudgetExceededError(HoldRefused):
    """A budget refuses a hold before any money is spent; nothing was recorded.

    ``requested`` is more than ``budget`` of ``account`` has ``available`` in its ``window``, which
    is ``limit - posted - held``: USD, or counts if it limits tokens or requests. A retry can
    succeed in ``retry_after`` seconds, when the window turns or holds expire, or now with at
    most ``largest_output`` output tokens. ``current_cost``, ``max_budget`` and ``message`` are
    the attributes of LiteLLM's error of this name.
    """

    account: str
    """The account that has the budget: the one of the hold, or one above it."""
    project: str
    """The project of the account."""
    budget: Budget
    """The budget that refuses."""
    window: Window
    """The window of the budget that is in force."""
    limit: Decimal | int
    """What the budget allows in the window."""
    posted: Decimal | int
    """What was charged and settled in the window."""
    held: Decimal | int
    """What open holds have set aside."""
    available: Decimal | int
    """``limit - posted - held``; negative after an overrun."""
    requested: Decimal | int
    """What the hold would have set aside."""
    retry_after: float | None
    """Seconds until a retry may succeed: the window turns, or holds expire. None if never."""
    largest_output: int | None = None
    """The largest ``max_output_tokens`` that every budget would grant now; None if the hold was
    not estimated from a prompt, or the prompt alone is too much."""
    current_cost: float
    max_budget: float
    message: str


class StreamStopped(BudgetExceededError):
    """A stream was closed at the limit of its hold, after the last whole chunk.

    What had come is recorded: ``entry``, None if it could not be. The other attributes are those
    of the refusal to increase the hold ``hold_id``.
    """

    hold_id: int
    entry: Entry | None = None


class AccountFrozen(HoldRefused):
    """``account`` is frozen, so it grants no holds; costs are still recorded.

    Retrying helps after `Ledger.unfreeze`.
    """

    account: str
    project: str


class HoldAlreadyClosed(BudgetledgerError):
    """Hold ``hold_id`` was closed before. A hold closes once; retrying does not help.

    ``entry`` is the entry that closed it; None if it expired and no entry says so yet.
    """

    hold_id: int
    entry: Entry | None


class IdempotencyConflict(BudgetledgerError):
    """``key`` was used before with other content, which ``entry`` has. Use a new key."""

    key: str
    entry: Any


class StoreError(BudgetledgerError):
    """The database, its disk or the budget server failed; ``target`` names the ledger or server."""

    target: str


class StoreBusy(StoreError):
    """Others kept the database locked for too long. Retrying is safe, with the same key."""


class StoreFull(StoreError):
    """The disk is full; nothing was recorded. Retrying helps once there is space."""


class StoreReadOnly(StoreError):
    """The file or its folder is not writable; nothing was recorded."""


class StoreNotFound(StoreError):
    """The file or its folder does not exist."""


class StoreClosed(StoreError):
    """The ledger was closed. Open it again with `Ledger`."""


class NotALedger(StoreError):
    """The file exists but is not a ledger; it was not changed."""


class SchemaTooNew(StoreError):
    """A later version of budgetledger wrote this file; it was not changed. Upgrade the package."""


class ServerUnavailable(StoreError):
    """The budget server cannot be reached, is too slow, or is temporarily unable to answer.

    Changes made in hosted mode are kept and sent again: do not repeat the call that raised.
    """

    status: int | None
    """The HTTP status of its answer; None without an answer."""
    retry_after: float | None
    """Seconds to wait, if the answer has them (Retry-After)."""


class ServerRefused(StoreError):
    """The budget server answers with an error, a redirect, or something unreadable.

    Changes made in hosted mode are kept, and sent again once the settings are right.
    """

    status: int | None
    """The HTTP status of its answer; None if it has none."""


class BudgetledgerWarning(UserWarning):
    """The base class of all budgetledger warnings."""


class AddedBudgetWarning(BudgetledgerWarning):
    """`Ledger.set_budget` without ``per=`` added a budget; it may have been meant to change one."""


class ClockWarning(BudgetledgerWarning):
    """The clock stepped back, so a row got the time of the row before it."""


class MeteredTwiceWarning(BudgetledgerWarning):
    """A call was metered inside another metered call. It is counted once, by the inner one."""


class UnboundedWarning(BudgetledgerWarning):
    """A default budget is set, and no budget limits all names together."""


class UnknownAccountWarning(BudgetledgerWarning):
    """A cost was recorded for an account that has no budget."""


class UnpricedWarning(BudgetledgerWarning):
    """The price of a call is not known: it counts as what was held, or not at all if unpriced."""


class UnrecordedWarning(BudgetledgerWarning):
    """A cost could not be recorded yet; the message says what to do."""
