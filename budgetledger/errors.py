"""Every exception and warning of budgetledger.

::

    BudgetledgerError
    ├── InvalidInput (ValueError)          the call is wrong; the ledger is as it was
    │   ├── InvalidAmount                  not a finite amount of money, or out of range
    │   ├── InvalidName                    not a usable project, account, model or key
    │   ├── InvalidPeriod                  no such window, zone or moment
    │   └── UnreadableResponse             no model and usage found in what was passed
    ├── UnpricedModel (LookupError)        no price is known; never taken for 0
    ├── UnknownAccount (KeyError)          no such account, or no budget on it
    ├── UnknownEntry (KeyError)            no such entry in this ledger
    ├── BudgetExceededError                a budget refuses a hold; nothing was recorded
    ├── AccountFrozen                      the account, or one above it, takes no holds
    ├── HoldAlreadyClosed                  a hold closes once; the entry that did is carried
    ├── IdempotencyConflict                the key was used for something else
    └── StoreError                         the surroundings
        ├── StoreBusy                      others hold the file; retry with the same key
        ├── StoreFull                      no room to write; nothing was recorded
        ├── StoreReadOnly                  the file or its folder cannot be written
        ├── StoreNotFound                  there is no such folder or file
        ├── StoreClosed                    the ledger was closed
        ├── NotALedger                     the file is something else, and was left alone
        └── SchemaTooNew                   a later budgetledger wrote the file

    BudgetledgerWarning (UserWarning)
    ├── ClockWarning                       the clock stepped back; times were held
    ├── UnknownAccountWarning              money was recorded for an account without budget
    ├── UnpricedWarning                    a call was recorded without a price
    └── UnrecordedWarning                  a cost could not be recorded yet; what to do

Messages end with what to do. The facts stand on the exception as attributes too, and
every exception survives pickling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from budgetledger.entries import Budget, Entry
    from budgetledger.windows import Window


class BudgetledgerError(Exception):
    """Base of all budgetledger errors; keyword facts become attributes."""

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
    """The call is wrong; nothing was written."""


class InvalidAmount(InvalidInput):
    """Not an amount of money (or a count) this ledger can hold."""


class InvalidName(InvalidInput):
    """Not usable as a project, account, budget, model or key."""


class InvalidPeriod(InvalidInput):
    """No such window, time zone or moment."""


class UnreadableResponse(InvalidInput):
    """No model and usage could be read from what was passed."""

    is_answer = True
    """Whether it may be what a paid call returned; False for a text, a stream, a failed line."""


class UnpricedModel(BudgetledgerError, LookupError):
    """No price is known for ``model``."""

    model: str

    def __init__(self, model: str, message: str | None = None) -> None:
        super().__init__(
            message
            or f"no price is known for model {model!r}; set one with set_price({model!r}, ...) or "
            "`budgetledger prices set`, pass cost=, or check the model's name",
            model=model,
        )


class UnknownAccount(BudgetledgerError, KeyError):
    """There is no account (or no budget on it) of that name; see ``account``, ``project``."""

    account: str
    project: str


class UnknownEntry(BudgetledgerError, KeyError):
    """There is no such entry in this project."""


class BudgetExceededError(BudgetledgerError):
    """A budget refuses a hold, before any money is spent; nothing was recorded.

    Amounts are USD, or counts where the budget limits tokens or requests. Retrying helps once
    the window turns or holds are closed. ``current_cost``, ``max_budget`` and ``message`` are
    the attributes of LiteLLM's error of this name.
    """

    account: str
    """Whose budget refused: the account asked for, or one above it."""
    project: str
    budget: Budget
    window: Window
    limit: Decimal | int
    posted: Decimal | int
    held: Decimal | int
    available: Decimal | int
    requested: Decimal | int
    retry_after: float | None
    """Seconds until it may be granted: the window turns, or holds expire; None if never."""
    largest_output: int | None = None
    """The largest ``max_output_tokens`` that every budget would still grant, where the hold was
    estimated from a prompt; None if not even the prompt fits."""
    current_cost: float
    max_budget: float
    message: str


class AccountFrozen(BudgetledgerError):
    """``account`` takes no holds until it is opened again; costs are still recorded."""

    account: str
    project: str


class HoldAlreadyClosed(BudgetledgerError):
    """``entry`` closed hold ``hold_id``; None where it expired and no row says so yet."""

    hold_id: int
    entry: Entry | None


class IdempotencyConflict(BudgetledgerError):
    """``key`` was used before with other content; ``entry`` is what it stands for."""

    key: str
    entry: Any


class StoreError(BudgetledgerError):
    """The database or its surroundings failed; ``target`` names it."""

    target: str


class StoreBusy(StoreError):
    """Others held the database for too long; retrying (with the same key) is safe."""


class StoreFull(StoreError):
    """No room to write; nothing was recorded."""


class StoreReadOnly(StoreError):
    """The file or its folder cannot be written."""


class StoreNotFound(StoreError):
    """There is no such folder or file."""


class StoreClosed(StoreError):
    """The ledger was closed; open it again."""


class NotALedger(StoreError):
    """The file is not a budgetledger file; it was left as it was."""


class SchemaTooNew(StoreError):
    """A later budgetledger wrote this file; it was left as it was."""


class BudgetledgerWarning(UserWarning):
    """Base of all budgetledger warnings."""


class ClockWarning(BudgetledgerWarning):
    """The clock stepped back: rows keep the time of the row before them."""


class UnknownAccountWarning(BudgetledgerWarning):
    """Money was recorded for an account that has no budget."""


class UnpricedWarning(BudgetledgerWarning):
    """A call was recorded without a price: it is not counted as $0, and not as anything else."""


class UnrecordedWarning(BudgetledgerWarning):
    """A cost could not be recorded yet; the message says what is done about it."""
