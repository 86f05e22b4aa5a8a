"""Settings of the LiteLLM Proxy's callback, from the environment; checked at start. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from budgetledger.errors import InvalidAmount, InvalidInput
from budgetledger.journal.drafts import DEFAULT_EXPIRY_SECONDS
from budgetledger.money import is_decimal, limit_sum
from budgetledger.windows import UNITS

_LIMIT = re.compile(rf"(\S+)(?: +per +({'|'.join(UNITS)}))?")


class Limit(NamedTuple):
    """USD, and the span of the window; None for ever."""

    usd: str
    per: str | None


class Settings(NamedTuple):
    """The values of ``BUDGETLEDGER_DB`` and the ``BUDGETLEDGER_PROXY_…`` variables."""

    db: str
    refuses_without_budget: bool
    """Else calls without a budget are recorded."""
    refuses_without_store: bool
    """Else calls pass while no hold can be taken."""
    new_user: Limit | None
    """The default budget of users."""
    hold_seconds: float
    answers_402: bool
    """Whether a refusal is answered with 402 or 403; else with 400."""
    wait_seconds: float
    """How long a call waits while only open holds are in the way."""


def settings(environ: Mapping[str, str]) -> Settings:
    """Read them. Raises `InvalidInput`, which names the variable and its values."""
    db = environ.get("BUDGETLEDGER_DB", "").strip()
    if not db:
        raise InvalidInput(
            "BUDGETLEDGER_DB is not set; name the ledger's file or URL, such as spend.db"
        )
    return Settings(
        db,
        _choice(environ, "BUDGETLEDGER_PROXY_WITHOUT_BUDGET", "record", "refuse") == "refuse",
        _choice(environ, "BUDGETLEDGER_PROXY_WITHOUT_STORE", "refuse", "allow") == "refuse",
        _limit(environ, "BUDGETLEDGER_PROXY_NEW_USER"),
        _seconds(environ, "BUDGETLEDGER_PROXY_HOLD_SECONDS", DEFAULT_EXPIRY_SECONDS),
        _choice(environ, "BUDGETLEDGER_PROXY_REFUSED_STATUS", "400", "402") == "402",
        _seconds(environ, "BUDGETLEDGER_PROXY_WAIT_SECONDS", 0, least=0),
    )


def _choice(environ: Mapping[str, str], name: str, *choices: str) -> str:
    value = environ.get(name, choices[0]).strip().lower()
    if value not in choices:
        raise InvalidInput(f"{name} is {value!r}; set it to {' or '.join(choices)}")
    return value


def _limit(environ: Mapping[str, str], name: str) -> Limit | None:
    value = environ.get(name, "")
    if not value.strip():
        return None
    found = _LIMIT.fullmatch(value)
    try:
        if found is None:
            raise InvalidAmount(f"{value!r} is not an amount and a span")
        limit_sum(found[1])
    except InvalidAmount as error:
        raise InvalidInput(
            f"{name} is {value!r}; set it to US dollars and a span, such as '5 per month' "
            f"({', '.join(UNITS)}), or to dollars alone: {error}"
        ) from error
    return Limit(found[1], found[2])


def _seconds(
    environ: Mapping[str, str], name: str, default: float, *, least: float = 1e-6
) -> float:
    value = environ.get(name, str(default))
    seconds = float(value) if is_decimal(value) else -1
    if not least <= seconds < 10**7:
        raise InvalidInput(f"{name} is {value!r}; set it to seconds, such as 1800")
    return seconds
