"""What LiteLLM lists a model to cost: the same wherever a call of it comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import litellm
import pytest

from budgetledger import Ledger
from budgetledger.callers import Caller
from budgetledger.errors import InvalidAmount, UnpricedModel
from budgetledger.litellm.calls import Deployment, LitellmMeter
from budgetledger.litellm.listed_prices import (
    Rates,
    listed_rates,
    most_cost,
    prices_of_deployment,
    stated_rates,
)
from budgetledger.litellm.price_list import price_list
from budgetledger.litellm.proxy.quotes import quote
from budgetledger.litellm.registered_prices import registered_price

IN, OUT = "input_cost_per_token", "output_cost_per_token"
ANSWERS = ["chat", "responses", "text", "messages", "image"]
KNOWN = {IN: 1e-6, OUT: 2e-6}
HELLO = {"messages": [{"role": "user", "content": "Hello."}]}


@pytest.mark.parametrize("kind", [*ANSWERS, "embedding"])
def test_a_price_that_is_not_stated_is_unrecognised(kind):
    assert stated_rates(kind, None, {}, {IN: None, OUT: None}, {"mode": "chat"}) is None
    assert listed_rates(kind, "openai/m", {"m": {}}) is None


@pytest.fixture
def own_list(monkeypatch):
    """LiteLLM's list, and what its router registers there, for this test alone."""
    copied = {name: dict(prices) for name, prices in litellm.model_cost.items()}
    monkeypatch.setattr(litellm, "model_cost", copied)


def router_of(**deployments):
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_key": "none", "api_base": url}}
        for name, (model, url) in deployments.items()
    ]
    return litellm.Router(model_list=listed)


@pytest.mark.parametrize(("model", "is_free"), [
    ("openai/my-unpriced", False),
    ("azure/my-deployment", False),
    ("openai/gpt-4o-mini", False),
    ("codestral/codestral-latest", True),
])  # fmt: skip
def test_a_price_is_not_0_because_litellm_registers_the_model_twice(own_list, model, is_free):
    """LiteLLM before 1.90 gives it this price for a second deployment, or a router made again."""
    for _ in range(2):
        router = router_of(one=(model, "http://127.0.0.1:9"), two=(model, "http://127.0.0.1:8"))
    listed = price_list(litellm.model_cost)
    rates = listed_rates("chat", model, listed)
    assert (rates is not None and rates.are_free) == is_free
    assert (registered_price(model) is not None) == is_free
    for deployment in router.get_model_list():
        try:
            quoted = quote("acompletion", HELLO, [deployment], listed, 10, datetime.now(UTC))
        except UnpricedModel:
            assert rates is None
        else:
            assert quoted.is_free == is_free == (not quoted.pico)


@pytest.mark.parametrize("kind", ANSWERS)
def test_half_a_price_is_unrecognised_and_asked_for_nowhere_else(kind):
    for half, missing in ({IN: 1e-6}, OUT), ({OUT: 1e-6}, IN):
        rates = stated_rates(kind, half, KNOWN)
        assert rates is not None
        assert not rates.are_complete
        assert not rates.are_free
        with pytest.raises(UnpricedModel, match=missing):
            most_cost(kind, "m", rates, HELLO, 0)  # even if no output is held for


def test_an_embedding_has_no_output_to_bill():
    rates = stated_rates("embedding", {OUT: 5}, {IN: 1e-6, OUT: 5})
    assert rates == Rates(Decimal("0.000001"), Decimal(0))
    cost = most_cost("embedding", "m", rates, {"text": "Hello."}, 4096)
    assert (cost.pico, cost.output_tokens) == (cost.input_tokens * 10**6, 0)


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0.0", Decimal(0), -0.0], ids=repr)
def test_a_price_stated_as_0_is_free(zero):
    rates = stated_rates("chat", {IN: zero, OUT: zero})
    assert rates is not None
    assert rates.are_free
    assert most_cost("chat", "m", rates, HELLO, 4096).pico == 0
    assert not stated_rates("chat", {IN: zero}).are_free
    assert not stated_rates("chat", {IN: zero, OUT: 1e-6}).are_free


@pytest.mark.parametrize("rate", [1e-6, "1e-6", " 0.000001 ", Decimal("0.000001")])
def test_a_number_may_come_as_text(rate):
    assert stated_rates("chat", {IN: rate, OUT: rate}) == (Decimal("0.000001"),) * 2 + (0,)


BAD = [
    "free",
    "",
    "nan",
    "1_0",
    "\uff11",
    "-1",
    -1e-9,
    float("nan"),
    float("inf"),
    True,
    False,
    [],
    {},
    b"1",
    1e99,
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_is_no_amount_is_unrecognised(bad):
    assert stated_rates("chat", {IN: bad, OUT: 1e-6}, KNOWN).input is None
    assert stated_rates("chat", {IN: 1e-6, OUT: bad}, KNOWN).output is None
    assert stated_rates("chat", {**KNOWN, "cache_creation_input_token_cost": bad}).input is None


@pytest.mark.parametrize("place", ["prices", 5, [("a", 1)]])
def test_what_is_no_mapping_states_nothing(place):
    assert stated_rates("chat", place, KNOWN) == stated_rates("chat", KNOWN)


def test_the_highest_rate_that_a_token_may_have_is_held_for():
    written = {**KNOWN, "cache_creation_input_token_cost": 3e-6}
    thinking = {**KNOWN, "output_cost_per_reasoning_token": 4e-6}
    assert stated_rates("chat", written).input == Decimal("0.000003")
    assert stated_rates("chat", thinking).output == Decimal("0.000004")
    drawn = {**KNOWN, "output_cost_per_image_token": 9e-6}
    assert stated_rates("chat", drawn).output == Decimal("0.000002")
    assert stated_rates("image", drawn).output == Decimal("0.000009")


def test_an_image_may_be_priced_by_itself():
    rates = stated_rates("image", {IN: 0, "output_cost_per_image": 0.04})
    assert rates == (0, 0, Decimal("0.04"))
    assert not rates.are_free
    assert most_cost("image", "m", rates, HELLO | {"n": 3}, 4096).pico == 12 * 10**10
    # Music of which the tokens cost nothing, and each piece does.
    rates = stated_rates("chat", {IN: 0, OUT: 0, "output_cost_per_image": 0.04})
    assert not rates.are_free
    assert most_cost("chat", "m", rates, HELLO, 4096).pico == 4 * 10**10


def test_what_a_deployment_states_in_two_places_is_one_price():
    prices = prices_of_deployment({IN: 1e-6, OUT: None}, {IN: 5, OUT: 2e-6})
    assert prices == KNOWN


@pytest.mark.parametrize("bad", ["many", -1, 1.5, True])
@pytest.mark.parametrize("name", ["n", "max_output_tokens"])
def test_a_bound_that_is_no_count_is_refused(name, bad):
    with pytest.raises(InvalidAmount, match=name):
        most_cost("chat", "m", stated_rates("chat", KNOWN), HELLO | {name: bad}, 0)


def test_the_cost_is_exact_whatever_the_callers_decimal_context():
    rates = stated_rates("chat", {IN: 0, OUT: "0.000000333333"})
    with localcontext(prec=2):
        assert most_cost("chat", "m", rates, HELLO, 10**6).pico == 333333 * 10**6


def test_behind_a_routers_name_the_most_money_and_the_most_tokens_are_held():
    deployments = [
        Deployment("openai/gpt-4o", {IN: 0.1, OUT: 0.1}),
        Deployment("anthropic/claude-sonnet-4-5", {IN: 0.01, OUT: 0.01}),
    ]
    with Ledger(":memory:") as ledger:
        meter = LitellmMeter(lambda: ledger, lambda _: Caller("alice"), lambda _: deployments)
        call = meter._prepared("completion", litellm.completion, (), HELLO | {"model": "best"})
        held = meter._priced(ledger, call)
    costs = [
        most_cost("chat", each.model, stated_rates("chat", each.prices), HELLO, 4096)
        for each in deployments
    ]
    assert costs[0].tokens < costs[1].tokens
    assert held["amount"] * 10**12 == costs[0].pico
    assert held["tokens"] == costs[1].tokens


CALLS = {
    "completion": {**HELLO, "max_tokens": 9},
    "embedding": {"input": ["Hello."]},
    "image_generation": {"prompt": "A cat."},
}


@pytest.mark.parametrize("function", CALLS)
def test_wrapped_calls_and_the_proxy_price_the_same_models(function):
    """Every model of litellm's list, at its price there where no other list has one."""
    with Ledger(":memory:") as ledger:
        meter = LitellmMeter(lambda: ledger, lambda _: Caller("alice"))
        now, apart, priced = datetime.now(UTC), [], 0
        listed = price_list(litellm.model_cost)
        for model in list(litellm.model_cost):
            call = meter._prepared(
                function, getattr(litellm, function), (), CALLS[function] | {"model": model}
            )
            try:
                quoted = quote(f"a{function}", call.kwargs, [], listed, 4096, now)
            except UnpricedModel:
                quoted = None
            try:
                held = meter._priced(ledger, call)
            except UnpricedModel:
                held = None
            priced += held is not None
            if (quoted is None) != (held is None):
                apart.append(model)
            elif quoted is not None:  # which also asks litellm's list where there is another
                assert quoted.pico >= held["amount"] * 10**12
    assert not apart
    assert priced > 1000
