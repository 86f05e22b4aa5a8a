"""Money as whole picodollars (10⁻¹² USD), in which common prices per token are exact.

One entry holds a signed 64-bit number of picodollars: up to about 9.2 million USD. Totals and
limits have no practical ceiling: whole dollars and picodollars are stored separately.
"""

from __future__ import annotations

import re
from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    InvalidOperation,
)
from numbers import Integral
from typing import NamedTuple, TypeAlias

from budgetledger.errors import InvalidAmount

__all__ = ["MAX_ENTRY_PICO", "PICO", "Amount", "Sum", "to_pico", "to_usd"]

PICO = 10**12
"""Picodollars in one US dollar."""

MAX_ENTRY_PICO = 2**63 - 1
"""The largest amount of one entry, in picodollars: about 9.2 million USD."""

_PLACES = 12
_PLAIN = 6  # digits of dollars that any entry holds

Amount: TypeAlias = "Decimal | int | float | str"
"""An amount in US dollars. A float has the value that its repr shows: 0.1 is exactly 0.1."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PICO = Decimal(PICO)
_AS_THEY_ARE = (str, Decimal, int)  # Decimal accepts these as they are
# Not the caller's context; wide enough that only the last step rounds.
_CONTEXT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


class Sum(NamedTuple):
    """A total: whole dollars (any sign) plus 0 to 999,999,999,999 picodollars."""

    usd: int = 0
    pico: int = 0

    @property
    def total_pico(self) -> int:
        """The total in picodollars, as one integer."""
        return self.usd * PICO + self.pico


def to_pico(
    value: Amount, what: str = "cost", *, signed: bool = False, one_entry: bool = False
) -> int:
    """Convert `value` (USD) to picodollars, rounded half-even once.

    Raises `InvalidAmount`, whose message names `what` and the value: if it is not a finite
    amount, is negative (unless `signed`), or is more than one entry can hold (if `one_entry`).
    """
    if type(value) is float or type(value) is str:
        text = str(value)
        usd, _, rest = text.partition(".")  # fast path: plain digits need no Decimal
        plain = text.isascii() and usd.isdecimal() and rest.isdecimal()
        if plain and len(usd) <= _PLAIN and len(rest) <= _PLACES:
            return int(usd + rest.ljust(_PLACES, "0"))
    exact = exact_usd(value, what, signed=signed)
    pico = int(_CONTEXT.multiply(exact, _PICO).to_integral_value(ROUND_HALF_EVEN, _CONTEXT))
    if one_entry and not -MAX_ENTRY_PICO <= pico <= MAX_ENTRY_PICO:
        raise InvalidAmount(
            f"{what} {_shown(value)} is more than one entry holds "
            f"({to_usd(MAX_ENTRY_PICO):,.0f} USD); record it as several entries"
        )
    return pico


def exact_usd(value: Amount, what: str = "cost", *, signed: bool = False) -> Decimal:
    """Convert `value` (USD) to a Decimal, exactly. Raises `InvalidAmount` as `to_pico` does."""
    try:
        exact = Decimal(value) if type(value) in _AS_THEY_ARE else _exact(value)
        if isinstance(value, str) and exact.is_finite() and not is_decimal(value):
            raise ValueError
    except (TypeError, InvalidOperation, ValueError):
        raise InvalidAmount(
            f"{what} must be an amount in US dollars, got {_shown(value)}{_why_not(value)}; "
            "pass a number such as 10, 0.25 or '0.25'"
        ) from None
    if not exact.is_finite():
        raise InvalidAmount(
            f"{what} must be finite, got {_shown(value)}; pass a number of US dollars"
        )
    if exact.is_signed() and exact and not signed:
        raise InvalidAmount(f"{what} must not be negative, got {_shown(value)}; pass 0 or more")
    if exact.adjusted() > 40 and exact:
        raise InvalidAmount(f"{what} is out of range: {_shown(value)}; pass US dollars")
    return exact


def is_decimal(text: str) -> bool:
    """Whether *text* is a plain decimal, such as 10, -0.25 or 5e-7, and nothing else.

    `Decimal`, `float` and `int` also read underscores, blanks, line ends and the digits of other
    scripts: ``1_000`` may be meant as 1.000.
    """
    return _DECIMAL.fullmatch(text) is not None


def _why_not(text: object) -> str:
    """Why a text that Python reads as a number is no plain decimal; else nothing."""
    if not isinstance(text, str):
        return ""
    if text != text.strip() and text.strip():
        return ", with a blank or line end around it"
    if any(char.isdecimal() and not char.isascii() for char in text):
        return ", with digits other than 0 to 9"
    return ", with an underscore" if "_" in text else ""


def _exact(value: object) -> Decimal:
    if isinstance(value, float):
        return Decimal(float.__repr__(value))
    if isinstance(value, (Decimal, str)):
        return Decimal(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Decimal(int(value))
    raise TypeError


def count(value: object, what: str) -> int:
    """Return `value` if it is a whole number, 0 or more. Raises `InvalidAmount` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise InvalidAmount(
            f"{what} must be a whole number from 0 to {2**63 - 1}, got {_shown(value)}; pass an int"
        )
    return int(value)


def limit_sum(value: Amount) -> Sum:
    """Convert the limit `value` (USD, at most 9.2 * 10¹⁸). Raises `InvalidAmount`."""
    limit = Sum(*divmod(to_pico(value, "limit"), PICO))
    if limit.usd >= 2**63:
        raise InvalidAmount(f"limit is out of range: {_shown(value)}; pass US dollars")
    return limit


def to_usd(pico: int) -> Decimal:
    """Convert picodollars to US dollars, exactly, with at least two decimals."""
    sign, (usd, rest) = "-" if pico < 0 else "", divmod(abs(pico), PICO)
    return Decimal(f"{sign}{usd}.{f'{rest:012d}'.rstrip('0'):0<2}")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int too long to print
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else "that"
    return text if len(text) <= 60 else text[:57] + "..."
