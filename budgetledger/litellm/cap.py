"""The functions of LiteLLM's quick start, under the global cap.

Each passes its arguments to litellm's function of the same name and returns its result. The
first call imports litellm.
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
    """Call ``litellm.completion``, unless it would cost more than is left of `max_budget`.

    Before the call, it holds for the prompt, and with ``max_tokens`` for the answer too. After
    the call, or when the stream ends, is closed or fails, it records the cost. ``budget_tags=``
    and ``budget_key=`` are *tags* and *key* of `Ledger.hold`; litellm does not receive them.

    Raises `BudgetExceededError`, which ``except litellm.BudgetExceededError`` catches too;
    `UnpricedModel` if there is a cap and no price is known for the model.
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
    """The cap's account pays; a user in the call's arguments becomes a tag."""
    caller = pop_caller(kwargs).over(current())
    user = {} if caller.user is None else {"user": caller.user}
    return Caller(ACCOUNT, {**user, **(caller.tags or {})}, caller.key)


_meter = LitellmMeter(cap_ledger, _payer, may_be_unpriced=lambda: cap_limit() is None)


def _call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _meter.call(name, getattr(_litellm(), name), args, kwargs)


async def _acall(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if "litellm" not in sys.modules:
        await asyncio.to_thread(_litellm)  # takes seconds
    await asyncio.to_thread(cap_ledger)  # may open a file
    return await _meter.acall(name, getattr(_litellm(), f"a{name}"), args, kwargs)


def _litellm() -> ModuleType:
    try:
        import litellm
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ModuleNotFoundError(
            "budgetledger.completion and its siblings need litellm, which is not installed; "
            "pip install litellm",
            name="litellm",
        ) from None
    module: ModuleType = litellm
    return module
