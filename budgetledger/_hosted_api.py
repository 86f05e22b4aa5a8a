"""The JSON API of `budgetledger serve`, as far as hosted mode uses it.

Every request that writes carries an idempotency key, so that trying it again is safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import quote

from budgetledger import errors
from budgetledger._hosted_http import Answer, Server
from budgetledger.entries import Budget, Entry
from budgetledger.money import limit_sum, to_pico, to_usd
from budgetledger.rules import Draft
from budgetledger.windows import Window, from_us, make_period, to_us

HEADER = "budgetledger-api"
"""In answers of a server that has this API: its version, ``1``."""

_SAME_HERE = (
    errors.InvalidInput,
    errors.InvalidAmount,
    errors.InvalidName,
    errors.InvalidPeriod,
    errors.UnknownAccount,
    errors.UnknownEntry,
    errors.AccountFrozen,
    errors.HoldAlreadyClosed,
    errors.IdempotencyConflict,
    errors.BudgetExceededError,
)
_KINDS: dict[str, type[errors.BudgetledgerError]] = {kind.__name__: kind for kind in _SAME_HERE}


class Api:
    """The accounts of *project* on a server."""

    def __init__(self, server: Server, project: str) -> None:
        self._server = server
        self._project = project

    def hold(self, account: str, draft: Draft, expires_in_us: int, key: str) -> Entry:
        """Set money aside; the row that holds. Raises what `Ledger.hold` raises."""
        asked = {
            "amount": _usd(draft.held_pico),
            "tokens": draft.held_tokens,
            "model": draft.model,
            "tags": _json(draft.tags_json),
            "expires_in": expires_in_us / 1e6,
        }
        told = self._write(account, "holds", asked, key)
        return _hold_entry(told, draft)

    def settle(self, account: str, hold_id: int, draft: Draft, key: str) -> Entry:
        """Close a hold with what the call cost."""
        return entry_of(self._write(account, f"holds/{hold_id}/settle", _paid(draft), key))

    def release(self, account: str, hold_id: int, reason: str | None, key: str) -> Entry:
        """Close a hold unspent."""
        asked = {"reason": reason}
        return entry_of(self._write(account, f"holds/{hold_id}/release", asked, key))

    def extend(self, account: str, hold_id: int, expires_in_us: int, key: str) -> datetime:
        """Move the deadline of a hold; returns it."""
        asked = {"expires_in": expires_in_us / 1e6}
        told = self._write(account, f"holds/{hold_id}/extend", asked, key)
        return datetime.fromisoformat(told["expires_at"])

    def charge(self, account: str, draft: Draft, key: str) -> Entry:
        """Record what a call cost."""
        return entry_of(self._write(account, "charges", _paid(draft), key))

    def _write(
        self, account: str, what: str, asked: Mapping[str, Any], key: str
    ) -> Mapping[str, Any]:
        names = (quote(name, safe="") for name in (self._project, account))
        path = "/v1/projects/{}/accounts/{}/{}".format(*names, what)
        document = {name: value for name, value in asked.items() if value is not None}
        headers = {"idempotency-key": quote(key, safe="!#$&'()*+,/:;=?@[]~ ")}
        answer = self._server.retrying(lambda: self._server.post(path, document, headers))
        if answer.status >= 400:
            self._raise(path, answer)
        if not isinstance(answer.document, dict):
            raise self._server.misunderstood(path, answer.document)
        return answer.document

    def _raise(self, path: str, answer: Answer) -> NoReturn:
        told = answer.document.get("error") if isinstance(answer.document, dict) else None
        kind = _KINDS.get(told.get("type", "")) if isinstance(told, dict) else None
        if kind is None:
            raise self._server.refused(path, answer)
        assert isinstance(told, dict)
        facts = {name: value for name, value in told.items() if name not in ("type", "message")}
        if kind is errors.BudgetExceededError:
            facts |= _refusal(facts, told["message"])
        elif facts.get("entry") is not None:
            facts["entry"] = entry_of(facts["entry"])
        raise kind(told["message"], **facts)


def entry_of(told: Mapping[str, Any]) -> Entry:
    """The entry that a document tells of."""
    return Entry(
        told["id"],
        told["project"],
        told["account"],
        _us(told["recorded_at"]) or 0,
        told["kind"],
        told["model"],
        None if told["cost"] is None else to_pico(told["cost"], signed=True),
        told["price_source"],
        _us(told["occurred_at"]),
        told["input_tokens"],
        told["output_tokens"],
        told["requests"],
        _text(told["usage"]),
        _text(told["price"]),
        _text(told["tags"]),
        told["note"],
        told["corrects_id"],
        told["idempotency_key"],
        told["origin_id"],
        told["hold_id"],
        None if told["held"] is None else to_pico(told["held"]),
        told["held_tokens"],
        _us(told["expires_at"]),
        bytes.fromhex(told["hash"]),
    )


def _hold_entry(told: Mapping[str, Any], draft: Draft) -> Entry:
    """The row of a hold, of which the server shows less than of an entry."""
    evidence = draft._replace(
        held_pico=to_pico(told["amount"]),
        held_tokens=told["tokens"],
        expires_at_us=_us(told["expires_at"]),
        idempotency_key=told["idempotency_key"],
    )
    where = (told["id"], told["project"], told["account"], _us(told["recorded_at"]) or 0)
    return Entry._make((*where, *evidence, b""))


def _paid(draft: Draft) -> dict[str, Any]:
    return {
        "cost": _usd(draft.cost_pico),
        "model": draft.model,
        "usage": _json(draft.usage_json),
        "tags": _json(draft.tags_json),
        "occurred_at": None
        if draft.occurred_at_us is None
        else from_us(draft.occurred_at_us).isoformat(),
    }


def _refusal(told: Mapping[str, Any], message: str) -> dict[str, Any]:
    """The attributes of a `BudgetExceededError`; its budget as far as the server tells of it."""
    measure = told["measure"]
    amounts: dict[str, Any] = {
        name: Decimal(told[name]) if measure == "usd" else int(told[name])
        for name in ("limit", "posted", "held", "available", "requested")
    }
    start, end = (_us(told["window"][name]) for name in ("start", "end"))
    limit = limit_sum(amounts["limit"])
    period = make_period(timezone=told["window"]["timezone"])
    budget = Budget(told["account"], told["budget"], measure, limit, None, period, 0.0)
    return {
        **amounts,
        "budget": budget,
        "window": Window(start, end, told["window"]["timezone"]),
        "current_cost": float(amounts["posted"]),
        "max_budget": float(amounts["limit"]),
        "message": message,
    }


def _usd(pico: int | None) -> str | None:
    return None if pico is None else f"{to_usd(pico):f}"


def _us(moment: str | None) -> int | None:
    return None if moment is None else to_us(datetime.fromisoformat(moment))


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _text(value: Any) -> str | None:
    return json.dumps(value) if value else None
