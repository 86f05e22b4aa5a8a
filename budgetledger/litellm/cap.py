"""The functions of LiteLLM's quick start, under the global cap.

Each passes its arguments to litellm's function of the same name and returns what that returns.
litellm is imported at the first call.
"""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import Any

from budgetledger.callers import Caller, current, pop_caller
from budgetledger.litellm.calls import LitellmMeter
from budgetledger.litellm.cap_ledger import ACCOUNT, cap_ledger, cap_limit


def completion(*args: Any, **kwargs: Any) -> Any:
    """``litellm.completion``, refused once it would cost more than `max_budget` has left.

    Before the call its prompt is held, with ``max_tokens`` the answer too; afterwards, or when
    the stream ends, is left or breaks, what it cost is recorded. ``budget_tags=`` and
    ``budget_key=`` are those of a hold (see `Ledger.hold`), and not passed on.

    Raises `BudgetExceededError`, which ``except litellm.BudgetExceededError`` catches too;
    `UnpricedModel` for a model without a known price, if there is a cap.
    """
    return _call("completion", args, kwargs)


def text_completion(*args: Any, **kwargs: Any) -> Any:
    """``litellm.text_completion`` under the cap, as `completion` is."""
    return _call("text_completion", args, kwargs)


def embedding(*args: Any, **kwargs: Any) -> Any:
    """``litellm.embedding`` under the cap, as `completion` is."""
    return _call("embedding", args, kwargs)


async def acompletion(*args: Any, **kwargs: Any) -> Any:
    """``litellm.acompletion`` under the cap, as `completion` is."""
    return await _acall("completion", args, kwargs)


async def atext_completion(*args: Any, **kwargs: Any) -> Any:
    """``litellm.atext_completion`` under the cap, as `completion` is."""
    return await _acall("text_completion", args, kwargs)


async def aembedding(*args: Any, **kwargs: Any) -> Any:
    """``litellm.aembedding`` under the cap, as `completion` is."""
    return await _acall("embedding", args, kwargs)


def _payer(kwargs: dict[str, Any]) -> Caller:
    """The cap's account pays; the user whom the call names becomes a tag."""
    caller = pop_caller(kwargs).over(current())
    user = {} if caller.user is None else {"user": caller.user}
    return Caller(ACCOUNT, {**user, **(caller.tags or {})}, caller.key)


_meter = LitellmMeter(cap_ledger, _payer, may_be_unpriced=lambda: cap_limit() is None)


def _call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _meter.call(name, getattr(_litellm(), name), args, kwargs)


async def _acall(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if "litellm" not in sys.modules:
        await asyncio.to_thread(_litellm)  # takes seconds
    await asyncio.to_thread(cap_ledger)  # which may have to be opened
    return await _meter.acall(name, getattr(_litellm(), f"a{name}"), args, kwargs)


def _litellm() -> ModuleType:
    try:
        import litellm
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ModuleNotFoundError(
            "budgetledger.completion and the others call litellm, which is not installed; "
            "pip install litellm",
            name="litellm",
        ) from None
    module: ModuleType = litellm
    return module
