"""The answer to a refused client of an API: a status that it does not retry. Pure."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    BudgetledgerError,
    HoldRefused,
    StoreError,
    UnknownAccount,
    UnpricedModel,
)


class Refusal(NamedTuple):
    """An HTTP answer: its status, the ``type`` and ``code`` of an error, headers, and details."""

    status: int
    type: str
    headers: dict[str, str]
    details: dict[str, Any]


def refusal(error: BudgetledgerError, *, payment_required: bool = False) -> Refusal:
    """The answer for *error*. Only an unavailable store (503) is worth an immediate retry.

    400 is the status that no client retries, whatever its headers say. *payment_required*: 402
    for an exhausted budget, and 403 where no budget or a frozen account is the reason.
    """
    answer = _refusal(error)
    if answer.status in (402, 403) and not payment_required:
        answer = answer._replace(status=400)
    if isinstance(error, HoldRefused):
        details = {**answer.details, "blocked_by_holds": error.blocked_by_holds}
        answer = answer._replace(details=details)
    return answer


def _refusal(error: BudgetledgerError) -> Refusal:
    headers = {"x-should-retry": "false"}  # OpenAI's and Anthropic's clients obey it
    if isinstance(error, BudgetExceededError):
        if error.retry_after is not None:
            headers["retry-after"] = str(math.ceil(error.retry_after))
        return Refusal(402, "budget_exceeded", headers, _details(error))
    if isinstance(error, AccountFrozen):
        return Refusal(403, "account_frozen", headers, {"account": error.account})
    if isinstance(error, UnknownAccount):
        return Refusal(403, "no_budget", headers, {"account": error.account})
    if isinstance(error, StoreError):
        return Refusal(503, "ledger_unavailable", {}, {})
    if isinstance(error, UnpricedModel):
        return Refusal(400, "unpriced_model", headers, {"model": error.model})
    return Refusal(400, "invalid_request_error", headers, {})


def _details(error: BudgetExceededError) -> dict[str, Any]:
    end = error.window.end
    return {
        "account": error.account,
        "budget": error.budget.name,
        "measure": error.budget.measure,
        "model": error.budget.model,
        "limit": str(error.limit),
        "posted": str(error.posted),
        "held": str(error.held),
        "available": str(error.available),
        "requested": str(error.requested),
        "window_ends": None if end is None else end.isoformat(),
        "retry_after": error.retry_after,
    }
