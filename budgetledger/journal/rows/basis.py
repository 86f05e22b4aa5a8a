"""Decides what a settle costs that no price, usage or caller states. Pure.

If the hold was an estimate, the cost is what was held: assumed. A minimal hold is no estimate: it
was taken for a call of which nothing could be estimated, and its settle stays unpriced.
"""

from __future__ import annotations

import json

from budgetledger.entries import ASSUMED_COST, Entry
from budgetledger.journal.rows.rules import Draft

NO_ESTIMATE = "no estimate"
"""The ``price_source`` of a minimal hold."""

LEAST = 1
"""What is held of a measure that a call uses by an unknown amount: 10⁻¹² USD, or one token.

Not 0, which every budget grants: an exhausted budget refuses this.
"""

# Keys in the price of a hold that is not estimated.
_FUNCTION, _TOKENS = "function", "tokens"


def facts_of(function: str | None, tokens: int | None) -> str | None:
    """The price of a hold that is not estimated: the *function* of a minimal one.

    Also the *tokens* that were passed, if they are as few as `LEAST`.
    """
    facts: dict[str, object] = {} if function is None else {_FUNCTION: function}
    if tokens == LEAST:
        facts[_TOKENS] = tokens
    return json.dumps(facts) if facts else None


def unestimated(hold: Entry) -> str | None:
    """The note on the settle of a minimal hold: its model or function; None for other holds."""
    return None if hold.price_source != NO_ESTIMATE else note_of(hold.model, hold.price_json)


def note_of(model: str | None, price_json: str | None) -> str:
    """`unestimated` for a minimal hold of *model* with *price_json*."""
    price = json.loads(price_json) if price_json else {}
    return f"{NO_ESTIMATE} for {price.get(_FUNCTION, model)}"


def with_basis(charge: Draft, hold: Entry) -> Draft:
    """*charge*, which closes *hold*: if its cost is unknown, with what was held for it.

    Its tokens are those that were reported, else those that were held.
    """
    if charge.cost_pico is not None:
        return charge
    if charge.usage_json is None:
        held = json.loads(hold.usage_json) if hold.usage_json else {}
        input_tokens = held.get("input_tokens", 0)
        output_tokens = (hold.held_tokens or 0) - input_tokens
        charge = charge._replace(input_tokens=input_tokens, output_tokens=output_tokens)
    if not _is_estimate(hold):
        return charge
    return charge._replace(cost_pico=hold.held_pico, price_source=ASSUMED_COST)


def passed_tokens(hold: Entry | Draft) -> int | None:
    """The tokens that a hold's caller passed, or that were estimated; None if they are unknown."""
    if hold.held_tokens == LEAST and _TOKENS not in json.loads(hold.price_json or "{}"):
        return None
    return hold.held_tokens


def passed_amounts(hold: Entry | Draft) -> tuple[int | None, ...]:
    """The USD and tokens that the caller passed for a hold; nothing if it was estimated.

    An unknown amount is 0, as in rows from before `LEAST` was held of it.
    """
    tokens = passed_tokens(hold)
    if hold.price_source == NO_ESTIMATE:
        return () if tokens is None else (0, tokens)
    return (hold.held_pico, tokens or 0) if hold.price_source == "given" else ()


def _is_estimate(hold: Entry) -> bool:
    """Whether the USD held were estimated, or passed. 0 is an estimate only by a price of 0."""
    if hold.price_source == "given":
        return bool(hold.held_pico)
    return hold.price_source != NO_ESTIMATE
