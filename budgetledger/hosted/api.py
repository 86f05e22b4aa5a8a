"""The part of `budgetledger serve`'s JSON API that hosted mode uses.

Every request that writes carries an idempotency key, so a retry is safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import quote

from budgetledger import errors
from budgetledger.entries import ESTIMATED_USAGE, Budget, DefaultBudget, Entry
from budgetledger.hosted.http import Answer, Server
from budgetledger.hosted.records import Creation, Record
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.reports import DEFAULT_BUDGET
from budgetledger.journal.rows.basis import NO_ESTIMATE, passed_tokens
from budgetledger.journal.rows.rules import Draft
from budgetledger.litellm.records import UNITS
from budgetledger.money import Sum, limit_sum, to_pico, to_usd
from budgetledger.render.documents import read_default_budget, read_entry
from budgetledger.windows import Window, from_us, make_period, to_us

_SAME_HERE = (
    errors.InvalidInput,
    errors.InvalidAmount,
    errors.InvalidName,
    errors.InvalidPeriod,
    errors.NoBudget,
    errors.UnknownAccount,
    errors.UnknownEntry,
    errors.UnpricedModel,
    errors.AccountFrozen,
    errors.HoldAlreadyClosed,
    errors.IdempotencyConflict,
    errors.BudgetExceededError,
)
_LONGEST_WAIT = 60.0  # seconds, of a request to the server
_KINDS: dict[str, type[errors.BudgetledgerError]] = {kind.__name__: kind for kind in _SAME_HERE}


_MOST_AROUND = 100  # holds that the server accepts with a new one


class Api:
    """The accounts of *project* on a server."""

    def __init__(self, server: Server, project: str) -> None:
        self._server = server
        self._project = project

    def is_there(self) -> bool:
        """Whether the server has this API. Raises `ServerUnavailable` if it does not answer."""
        try:
            document = self._server.request("GET", "/v1").document
        except errors.ServerRefused:
            return False
        except errors.ServerUnavailable as error:
            if error.status not in (500, 501):  # some servers answer so for unknown paths
                raise
            return False
        return isinstance(document, dict) and document.get("service") == "budgetledger"

    def hold(
        self,
        account: str,
        draft: Draft,
        expires_in_us: int,
        key: str,
        around: Sequence[int] = (),
        wait_seconds: float = 0,
    ) -> Entry:
        """Take a hold and return its row. *around*: the holds of the calls around this one.

        The server waits for room, 60 s at most a request; then it is asked again. Raises what
        `Ledger.hold` raises.
        """
        taking = partial(self._hold, account, draft, expires_in_us, key, around)
        wait_until = monotonic() + wait_seconds
        while (left := wait_until - monotonic()) > _LONGEST_WAIT:
            try:
                return taking(_LONGEST_WAIT)
            except errors.HoldRefused as refused:
                if not refused.blocked_by_holds:
                    raise
        return taking(max(0.0, left))

    def _hold(
        self,
        account: str,
        draft: Draft,
        expires_in_us: int,
        key: str,
        around: Sequence[int],
        wait_seconds: float,
    ) -> Entry:
        fields = {
            "amount": None if draft.price_source == NO_ESTIMATE else _usd(draft.held_pico),
            "tokens": passed_tokens(draft),
            "model": _model(draft),
            "tags": _json(draft.tags_json),
            "expires_in": expires_in_us / 1e6,
            "around": list(around[:_MOST_AROUND]) or None,
            "wait": wait_seconds or None,
        }
        with self._server.allowing(wait_seconds):
            document = self._write(account, "holds", fields, key)
        return _hold_entry(document, draft)

    def settle(self, account: str, hold_id: int, draft: Draft, key: str) -> Entry:
        """Close a hold with what the call cost; if the server has lost the hold, charge it."""
        try:
            return read_entry(self._write(account, f"holds/{hold_id}/settle", _paid(draft), key))
        except errors.UnknownEntry:
            return self.charge(account, draft, key)

    def release(
        self,
        account: str,
        hold_id: int,
        reason: str | None,
        key: str,
        counted_by: int | None = None,
    ) -> Entry:
        """Close a hold without a cost; *counted_by*: the entry that counts its call."""
        fields = {"reason": reason, "counted_by": counted_by}
        return read_entry(self._write(account, f"holds/{hold_id}/release", fields, key))

    def extend(self, account: str, hold_id: int, expires_in_us: int, key: str) -> datetime:
        """Move the deadline of a hold to so many microseconds from now; returns it."""
        fields = {"expires_in": expires_in_us / 1e6}
        document = self._write(account, f"holds/{hold_id}/extend", fields, key)
        return datetime.fromisoformat(document["expires_at"])

    def increase(self, account: str, hold_id: int, draft: Draft, key: str) -> tuple[int, int]:
        """Hold more. Returns the picodollars and tokens held now. Raises the refusal."""
        fields = {"amount": _usd(draft.held_pico), "tokens": draft.held_tokens}
        document = self._write(account, f"holds/{hold_id}/increase", fields, key)
        return to_pico(document["amount"]), document["tokens"]

    def charge(self, account: str, draft: Draft, key: str) -> Entry:
        """Record what a call cost."""
        return read_entry(self._write(account, "charges", _paid(draft), key))

    def adjust(self, entry: Entry, pico: int, reason: str, key: str, *, is_total: bool) -> None:
        """Correct an entry's cost by *pico*, or to *pico* if *is_total*."""
        fields = {"total" if is_total else "amount": _usd(pico), "reason": reason}
        self._send(self._path("entries", str(entry.id), "adjust"), fields, key)

    def entry_with_key(self, key: str) -> Entry | None:
        """The entry recorded under *key*, or None."""
        path = self._path("keys", _header(key))
        answer = self._server.retrying(lambda: self._server.request("GET", path))
        try:
            return read_entry(self._checked(path, answer))
        except errors.UnknownEntry:
            return None

    def record(self, account: str) -> Record:
        """The costs of an account without a budget, as LiteLLM's record with a budget of 0."""
        path = f"{self._path('accounts', account)}/model-costs"
        answer = self._server.retrying(lambda: self._server.request("GET", path))
        costs = {
            model: to_pico(usd, signed=True)
            for model, usd in self._checked(path, answer)["model_costs"].items()
        }
        return {
            "total_budget": 0.0,
            "current_cost": float(to_usd(sum(costs.values()))),
            "model_cost": {model: float(to_usd(pico)) for model, pico in costs.items()},
        }

    def set_budget(self, change: Creation) -> None:
        """Set the budget that `BudgetManager` uses: its limit and windows replace all others."""
        days, created_at = change.duration, change.created_at
        fields = {
            "name": DEFAULT_BUDGET,
            "limit": _usd(to_pico(change.total_budget)),
            "per": None if days is None else UNITS[days],
            "anchor": None if days is None else "creation",
            "model": None,
            "timezone": "UTC",
            "created_at": None if created_at is None else _moment(round(created_at * 1e6)),
        }
        self._write(change.user, "budgets", fields, "", sends_nulls=True)

    def set_default_budget(self, kind: str, limit: Sum, days: int | None) -> None:
        """Set the budget that accounts of *kind* get at their first hold or charge."""
        fields = {
            "kind": kind,
            "limit": _usd(limit.total_pico),
            "per": None if days is None else UNITS[days],
            "anchor": None if days is None else "creation",
        }
        self._send(self._path("default-budgets"), fields, "")

    def remove_default_budget(self, kind: str) -> None:
        """End the default budget of *kind*. Raises `UnknownAccount`."""
        path = self._path("default-budgets", kind)
        answer = self._server.retrying(lambda: self._server.request("DELETE", path))
        self._checked(path, answer)

    def default_budgets(self) -> list[DefaultBudget]:
        """The default budgets in force, by kind."""
        path = self._path("default-budgets")
        answer = self._server.retrying(lambda: self._server.request("GET", path))
        documents = self._checked(path, answer)["default_budgets"]
        return [read_default_budget(document) for document in documents]

    def shift(self, account: str, key: str) -> None:
        """Start a new window of that budget."""
        fields = {"budget": DEFAULT_BUDGET, "reason": "reset_cost"}
        self._write(account, "shift", fields, key)

    def _write(
        self,
        account: str,
        what: str,
        fields: Mapping[str, Any],
        key: str,
        *,
        sends_nulls: bool = False,
    ) -> Mapping[str, Any]:
        path = f"{self._path('accounts', account)}/{what}"
        return self._send(path, fields, key, sends_nulls=sends_nulls)

    def _path(self, *names: str) -> str:
        return "/v1/projects/" + "/".join(quote(name, safe="") for name in (self._project, *names))

    def _send(
        self, path: str, fields: Mapping[str, Any], key: str, *, sends_nulls: bool = False
    ) -> Mapping[str, Any]:
        document = {
            name: value for name, value in fields.items() if sends_nulls or value is not None
        }
        headers = {"idempotency-key": _header(key)} if key else None
        answer = self._server.retrying(lambda: self._server.post(path, document, headers))
        return self._checked(path, answer)

    def _checked(self, path: str, answer: Answer) -> Mapping[str, Any]:
        if answer.status >= 400:
            self._raise(path, answer)
        if not isinstance(answer.document, dict):
            raise self._server.misunderstood(path, answer.document)
        return answer.document

    def _raise(self, path: str, answer: Answer) -> NoReturn:
        error = answer.document.get("error") if isinstance(answer.document, dict) else None
        kind = _KINDS.get(error.get("type", "")) if isinstance(error, dict) else None
        if kind is None:
            raise self._server.refused(path, answer)
        assert isinstance(error, dict)
        facts = {name: value for name, value in error.items() if name not in ("type", "message")}
        if kind is errors.BudgetExceededError:
            facts |= _refusal(facts, error["message"])
        elif facts.get("entry") is not None:
            facts["entry"] = read_entry(facts["entry"])
        refused = kind.__new__(kind, error["message"])  # their constructors differ
        errors.BudgetledgerError.__init__(refused, error["message"], **facts)
        raise refused


def _hold_entry(hold: Mapping[str, Any], draft: Draft) -> Entry:
    """The row of a hold, from the server's answer and, for the fields it lacks, *draft*."""
    evidence = draft._replace(
        held_pico=to_pico(hold["amount"]),
        held_tokens=hold["tokens"],
        expires_at_us=_us(hold["expires_at"]),
        idempotency_key=hold["idempotency_key"],
    )
    where = (
        hold["id"],
        hold["project"],
        hold["account"],
        _us(hold["recorded_at"]) or 0,
    )
    return Entry._make((*where, *evidence, b""))


def _paid(draft: Draft) -> dict[str, Any]:
    if draft.cost_pico is None and draft.usage_json is None:  # only a model is known
        return {"response": {"model": draft.model}, "tags": _json(draft.tags_json)}
    return {
        "cost": _usd(draft.cost_pico),
        "model": _model(draft),
        "usage": _usage(draft.usage_json),
        "tags": _json(draft.tags_json),
        "occurred_at": None if draft.occurred_at_us is None else _moment(draft.occurred_at_us),
    }


def _refusal(document: Mapping[str, Any], message: str) -> dict[str, Any]:
    """The attributes of a `BudgetExceededError`; its budget has only what the server sends."""
    measure = document["measure"]
    amounts: dict[str, Any] = {
        name: Decimal(document[name]) if measure == "usd" else int(document[name])
        for name in ("limit", "posted", "held", "available", "requested")
    }
    start, end = (_us(document["window"][name]) for name in ("start", "end"))
    limit = limit_sum(amounts["limit"])
    period = make_period(timezone=document["window"]["timezone"])
    budget = Budget(document["account"], document["budget"], measure, limit, None, period, 0.0)
    return {
        **amounts,
        "budget": budget,
        "window": Window(start, end, document["window"]["timezone"]),
        "current_cost": float(amounts["posted"]),
        "max_budget": float(amounts["limit"]),
        "message": message,
    }


def _header(key: str) -> str:
    """*key* as a header's value: its digest if a header cannot carry that text."""
    is_plain = key.isascii() and key.isprintable() and key == key.strip()
    return key if is_plain else f"sha256:{sha256(key.encode()).hexdigest()}"


def _model(draft: Draft) -> str | None:
    return None if draft.model == UNKNOWN_MODEL else draft.model


def _moment(us: int) -> str:
    return from_us(us).isoformat()


def _usd(pico: int | None) -> str | None:
    return None if pico is None else f"{to_usd(pico):f}"


def _us(moment: str | None) -> int | None:
    return None if moment is None else to_us(datetime.fromisoformat(moment))


def _usage(usage_json: str | None) -> Any:
    """The counts of a usage, without the mark that they are estimated."""
    counts = _json(usage_json)
    return counts and {name: counts[name] for name in counts.keys() - {ESTIMATED_USAGE}}


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
