"""Turns a caller's arguments into the draft of a row: a charge or a hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from budgetledger.entries import ESTIMATED_USAGE
from budgetledger.errors import InvalidAmount, InvalidInput, UnreadableResponse
from budgetledger.journal.rows.answers import with_answer, with_candidates
from budgetledger.journal.rows.basis import LEAST, NO_ESTIMATE, facts_of
from budgetledger.journal.rows.response_ids import with_response_id
from budgetledger.journal.rows.rules import ASSUMED_OUTPUT, Draft
from budgetledger.money import Amount, count, to_pico
from budgetledger.names import checked_name, is_name, to_json
from budgetledger.pricing import catalog
from budgetledger.pricing.estimates import Estimate, estimate
from budgetledger.pricing.sources import Prices, extreme, priced
from budgetledger.responses.called_at import called_at
from budgetledger.responses.readings import CountedAnswer
from budgetledger.responses.response import Reading, id_of, model_of, read_response
from budgetledger.responses.stated_cost import ProviderBill
from budgetledger.usage import MAX_TOKENS, Usage, checked, positional, to_fields
from budgetledger.windows import from_us, to_us

_draft = positional(Draft)

DEFAULT_EXPIRY_SECONDS = 1800
"""How long a hold lasts by default."""

UNKNOWN_MODEL = "unknown"
"""The model of a cost recorded without one, so that the models add up to the account."""


def draft_charge(
    response: object,
    cost: Amount | None,
    model: str | None,
    usage: Usage | None,
    key: str | None,
    tags: Mapping[str, Any] | None,
    occurred_at: datetime | None,
    clock: Callable[[], int],
    prices: Prices,
    *,
    is_settle: bool = False,
) -> Draft:
    """Draft a charge. Money that was spent is never refused because its price is unknown.

    Price order: *cost*; own prices, of the model that answered or else of the requested one; the
    cost in a litellm response, or else a provider's own exact bill in US dollars; the shipped
    price list, for the model that answered. If none of
    them applies, the draft has no cost, and its price names the model that answered, if it is
    not the requested one. The row is recorded under *model*, the requested one, if passed.

    *is_settle*: the price of *model* applies too, if the model that answered has none.
    The usage of a `CountedAnswer` was not reported, so without a price it is no usage.
    """
    cost_pico = None if cost is None else to_pico(cost, one_entry=True)
    if model is not None:
        checked_name(model, "model")
    occurred_at_us = None if occurred_at is None else to_us(occurred_at)
    tags_json = None if tags is None else to_json(tags, "tags")
    if key is not None:
        checked_name(key, "key")
    source, used_input, used_output, usage_json, price_json = "given", 0, 0, None, None
    if response is not None or usage is not None:
        answered, usage, stated_cost = read = _read(response, model, usage, cost_pico is not None)
        if cost_pico is None:
            at_us = clock() if occurred_at_us is None else occurred_at_us
            at_host = prices.at(*called_at(response))
            price = priced(answered, model, usage, stated_cost, at_us, at_host)
            if price.source == "litellm" and isinstance(stated_cost, ProviderBill):
                price = price._replace(source=stated_cost.source)
            if price.cost_pico is None and is_settle and None not in (answered, model):
                asked = priced(model, model, usage, None, at_us, at_host)
                price = price if asked.cost_pico is None else asked
            cost_pico, source, price_json = price
        is_counted = isinstance(response, CountedAnswer)
        if is_counted and cost_pico is None:
            usage = None
        price_json = with_response_id(with_answer(price_json, model, answered), read.response_id)
        model = model or answered
        if usage is not None:
            used_input, used_output = usage.input_tokens, usage.output_tokens
            mark = {ESTIMATED_USAGE: 1} if is_counted else {}
            usage_json = to_json(to_fields(usage) | mark, "usage")
    elif cost_pico is None:
        raise InvalidInput("nothing to charge; pass a response, a usage with its model, or a cost")
    return _draft((
        "charge", model or UNKNOWN_MODEL, cost_pico, source, occurred_at_us,
        used_input, used_output, 1, usage_json, price_json, tags_json, None, None, key,
        None, None, None, None, None,
    ))  # fmt: skip


def needs_loading() -> bool:
    """Whether the first price has yet to load the price list, which takes a third of a second."""
    return not catalog.is_loaded()


class HoldRequest(NamedTuple):
    """How much to hold; `Ledger.hold` explains the arguments."""

    amount: Amount | None = None
    model: str | None = None
    messages: Sequence[Mapping[str, Any]] | None = None
    text: str | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    max_output_tokens: int | None = None
    n: int = 1
    tokens: int | None = None
    key: str | None = None
    tags: Mapping[str, Any] | None = None
    is_minimal: bool = False
    """Whether nothing could be estimated; then neither *amount* nor *tokens* is passed."""
    function: str | None = None
    """In a minimal request without a model, the name of the function that makes the call."""
    may_answer: tuple[str, ...] = ()
    """Where *model* is an alias of a router: the models behind it."""

    @property
    def has_prompt(self) -> bool:
        """Whether there is a prompt to count; long prompts take long."""
        return self.messages is not None or self.text is not None


def minimal_request(
    model: str | None, function: str, key: str | None, tags: Mapping[str, Any] | None
) -> HoldRequest:
    """A request for a call of which nothing can be estimated: 10⁻¹² USD and one token."""
    return HoldRequest(
        None, model, key=key, tags=tags, is_minimal=True,
        function=function if model is None else None,
    )  # fmt: skip


def estimated(
    request: HoldRequest,
    model: str,
    default_output_tokens: int,
    clock: Callable[[], int],
    prices: Prices,
) -> Estimate:
    """Estimate what the call may cost now. Raises `UnpricedModel`."""
    return estimate(
        model,
        messages=request.messages,
        text=request.text,
        tools=request.tools,
        max_output_tokens=request.max_output_tokens,
        n=request.n,
        default_output_tokens=default_output_tokens,
        at=from_us(clock()),
        most_expensive=partial(extreme, prices=prices, most=True),
        cheapest=partial(extreme, prices=prices, most=False),
    )


def draft_hold(
    request: HoldRequest, default_output_tokens: int, clock: Callable[[], int], prices: Prices
) -> tuple[Draft, Estimate | None]:
    """Draft a hold, except its deadline. Also returns the estimate it is made from, if any."""
    amount, model, tokens, tags, key = (
        request.amount, request.model, request.tokens, request.tags, request.key
    )  # fmt: skip
    if model is not None:
        checked_name(model, "model")
    source, price_json, usage_json, made_from = "given", None, None, None
    if request.has_prompt:
        if amount is not None or tokens is not None:
            raise InvalidInput("pass an amount, or a prompt to estimate from, not both")
        if model is None:
            raise InvalidInput("an estimate needs a model; pass the model with the prompt")
        made_from = estimated(request, model, default_output_tokens, clock, prices)
        pico, source = made_from.pico, made_from.source
        held_tokens = made_from.input_tokens + made_from.output_tokens
        price_json = to_json(made_from.unit_prices, "price")
        counts = {"input_tokens": made_from.input_tokens, "output_tokens": made_from.output_tokens}
        if not made_from.bounded:
            counts[ASSUMED_OUTPUT] = made_from.output_tokens
        usage_json = to_json(counts, "usage")
    elif amount is None and tokens is None and not request.is_minimal:
        raise InvalidInput(
            "nothing to hold; pass an amount in USD, tokens, or a model with messages or text"
        )
    elif request.tools is not None or request.max_output_tokens is not None or request.n != 1:
        raise InvalidInput(
            "tools, max_output_tokens and n are for an estimate; pass messages or text too"
        )
    else:
        pico = LEAST if amount is None else to_pico(amount, "amount", one_entry=True)
        held_tokens = LEAST if tokens is None else count(tokens, "tokens")
        if held_tokens > MAX_TOKENS:
            raise InvalidAmount(f"tokens is out of range: {tokens}; pass what one call may use")
        price_json = facts_of(request.function, tokens)
        if amount is None:
            source = NO_ESTIMATE
    if model is not None and request.may_answer:
        price_json = with_candidates(price_json, model, request.may_answer)
    draft = Draft(
        "hold",
        model or UNKNOWN_MODEL,
        price_source=source,
        usage_json=usage_json,
        price_json=price_json,
        tags_json=None if tags is None else to_json(tags, "tags"),
        idempotency_key=None if key is None else checked_name(key, "key"),
        held_pico=pico,
        held_tokens=held_tokens,
    )
    return draft, made_from


def draft_increase(
    hold_id: int, amount: Amount | None, tokens: int | None, key: str | None
) -> Draft:
    """Draft what the hold *hold_id* sets aside more."""
    if amount is None and tokens is None:
        raise InvalidInput("nothing to hold; pass an amount in USD, or tokens")
    more_tokens = 0 if tokens is None else count(tokens, "tokens")
    if more_tokens > MAX_TOKENS:
        raise InvalidAmount(f"tokens is out of range: {tokens}; pass what one call may use")
    return Draft(
        "increase",
        idempotency_key=None if key is None else checked_name(key, "key"),
        hold_id=hold_id,
        held_pico=0 if amount is None else to_pico(amount, "amount", one_entry=True),
        held_tokens=more_tokens,
    )


def _read(response: object, model: str | None, usage: Usage | None, cost_is_known: bool) -> Reading:
    """The model that answered, its usage, and the stated cost, as far as they can be read."""
    if usage is not None:
        if response is not None:
            raise InvalidInput("pass a response or a usage, not both; a response has its own usage")
        if not isinstance(usage, Usage):
            raise InvalidInput(
                f"usage must be a budgetledger.Usage, got {type(usage).__name__}; "
                "pass Usage(input_tokens=…, output_tokens=…), or the response itself"
            )
        return Reading(model, checked(usage), None)
    try:
        read = response if isinstance(response, Reading) else read_response(response)
    except UnreadableResponse as error:
        # If a model answered, the call was paid, even if its usage cannot be read.
        read = Reading(model_of(response), None, None).with_id(id_of(response))
        is_paid = read.model is not None or (model is not None and error.is_answer)
        if not is_paid and not cost_is_known:
            raise
    if read.model is not None and not is_name(read.model):
        read = read._replace(model=UNKNOWN_MODEL)  # it loses its price, not its row
    return read
