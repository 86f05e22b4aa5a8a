"""A `BudgetExceededError` that is also litellm's error of that name."""

from __future__ import annotations

from functools import cache
from typing import Any

from budgetledger.errors import BudgetExceededError


def as_litellm_error(error: BudgetExceededError) -> BudgetExceededError:
    """A copy of *error* that ``except litellm.BudgetExceededError`` catches too.

    It also has the attributes of litellm's error. Unpickled where litellm is not installed, it is
    a plain `BudgetExceededError`.
    """
    import litellm

    combined_class = _combined_class()
    combined = combined_class.__new__(combined_class, *error.args)
    of_litellm: Any = litellm.exceptions.BudgetExceededError
    of_litellm.__init__(combined, error.current_cost, error.max_budget, error.message)
    combined.__dict__.update(error.__dict__)
    return combined


@cache
def _combined_class() -> type[BudgetExceededError]:
    import litellm

    class Combined(BudgetExceededError, litellm.exceptions.BudgetExceededError):  # type: ignore[misc]
        __doc__ = BudgetExceededError.__doc__

        def __reduce__(self) -> tuple[Any, ...]:
            return _rebuilt, (self.args, self.__dict__)

    # `except` needs a real subclass of both; a traceback shows the one name that users know.
    Combined.__name__ = Combined.__qualname__ = BudgetExceededError.__name__
    Combined.__module__ = BudgetExceededError.__module__
    return Combined


def _rebuilt(args: tuple[Any, ...], facts: dict[str, Any]) -> BudgetExceededError:
    try:
        error_class = _combined_class()
    except ImportError:
        error_class = BudgetExceededError
    error = error_class.__new__(error_class, *args)
    error.__dict__.update(facts)
    return error
