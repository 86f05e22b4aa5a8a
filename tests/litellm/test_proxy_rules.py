"""What the Proxy's callback decides without a Proxy: accounts, settings, prices, refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from budgetledger import errors
from budgetledger.apis.refusals import refusal
from budgetledger.litellm.proxy.accounts import MASTER, ProxyCaller, accounts_of
from budgetledger.litellm.proxy.costs import Events, of_event, of_response, of_stream
from budgetledger.litellm.proxy.quotes import LEAST, quote
from budgetledger.litellm.proxy.settings import Limit, settings
from budgetledger.responses.stream import StreamReading

# -- accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "line"),
    [
        (ProxyCaller(end_user="alice"), ("alice",)),
        (ProxyCaller(), (MASTER,)),
        (ProxyCaller("app"), ("key:app",)),
        (ProxyCaller("app", team="research", user="bob"), ("key:app", "team:research")),
        (ProxyCaller("app", user="bob"), ("key:app", "bob")),
        (ProxyCaller("app", "research", "bob", "al"), ("key:app/al", "key:app", "team:research")),
        (ProxyCaller(end_user="al@example.com"), ("al@example.com",)),
    ],
)
def test_a_call_counts_on_the_innermost_and_on_those_above(caller, line):
    assert accounts_of(caller) == line


HOSTILE = ["*", "team:research", "key:app", "a/b", "a%2Fb", "proxy:master", "~", "%", ":"]


def test_no_name_a_caller_makes_up_is_anybody_elses():
    names = [*HOSTILE, "x" * 99, "x" * 100, "x" * 101, "x" * 102]
    names += [name for long in names for name in accounts_of(ProxyCaller(end_user=long))]
    callers = {ProxyCaller(end_user=name) for name in names}
    callers |= {ProxyCaller("k", end_user=name) for name in names}
    callers |= {ProxyCaller(name, end_user=other) for name in HOSTILE for other in HOSTILE}
    accounts = {accounts_of(caller)[0] for caller in callers}
    assert len(accounts) == len(callers)
    assert not accounts & {"*", "team:research", "key:app", MASTER}
    assert all(len(account) < 500 for account in accounts)


def test_a_claimed_user_leaves_neither_the_key_nor_the_team():
    for name in HOSTILE:
        assert accounts_of(ProxyCaller("app", "research", None, name))[1:] == (
            "key:app",
            "team:research",
        )


# -- settings -------------------------------------------------------------------------------------


def test_settings_default_to_recording_without_budget_and_refusing_without_store():
    assert settings({"BUDGETLEDGER_DB": "spend.db"}) == (
        *("spend.db", False, True, None, 1800),
        *(False, 0),
    )


def test_settings_are_read():
    chosen = settings(
        {
            "BUDGETLEDGER_DB": "spend.db",
            "BUDGETLEDGER_PROXY_WITHOUT_BUDGET": "refuse",
            "BUDGETLEDGER_PROXY_WITHOUT_STORE": "allow",
            "BUDGETLEDGER_PROXY_NEW_USER": "2.50 per month",
            "BUDGETLEDGER_PROXY_HOLD_SECONDS": "60",
            "BUDGETLEDGER_PROXY_REFUSED_STATUS": "402",
            "BUDGETLEDGER_PROXY_WAIT_SECONDS": "2.5",
        }
    )
    assert chosen == ("spend.db", True, False, Limit("2.50", "month"), 60, True, 2.5)


def test_a_setting_says_why_its_amount_is_refused():
    chosen = settings({"BUDGETLEDGER_DB": "x", "BUDGETLEDGER_PROXY_NEW_USER": "5e-7 per day"})
    assert chosen.new_user == ("5e-7", "day")
    for value, reason in (
        ("1_000", "an underscore"),
        ("\uff15 per day", "digits other"),
    ):
        with pytest.raises(errors.InvalidInput, match=reason):
            settings({"BUDGETLEDGER_DB": "x", "BUDGETLEDGER_PROXY_NEW_USER": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUDGETLEDGER_DB", " "),
        ("BUDGETLEDGER_PROXY_WITHOUT_BUDGET", "ignore"),
        ("BUDGETLEDGER_PROXY_WITHOUT_STORE", "record"),
        ("BUDGETLEDGER_PROXY_NEW_USER", "5 per fortnight"),
        ("BUDGETLEDGER_PROXY_REFUSED_STATUS", "429"),
        ("BUDGETLEDGER_PROXY_NEW_USER", "-5"),
        *(
            ("BUDGETLEDGER_PROXY_NEW_USER", value)
            for value in (
                "1_000",
                "\uff15 per month",
                "\u0665",
                "5\n",
                " 5",
                "5 per month\n",
                "1e99",
            )
        ),
        *(
            ("BUDGETLEDGER_PROXY_HOLD_SECONDS", value)
            for value in ("1_800", "\uff16\uff10", "60\n", " 60")
        ),
        ("BUDGETLEDGER_PROXY_HOLD_SECONDS", "0"),
        ("BUDGETLEDGER_PROXY_WAIT_SECONDS", "-1"),
        ("BUDGETLEDGER_PROXY_WAIT_SECONDS", "long"),
        ("BUDGETLEDGER_PROXY_HOLD_SECONDS", "nan"),
        ("BUDGETLEDGER_PROXY_HOLD_SECONDS", "soon"),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(errors.InvalidInput, match=name):
        settings({"BUDGETLEDGER_DB": "spend.db", name: value})


# -- what to hold ---------------------------------------------------------------------------------

CALL = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 100}
LISTED = {
    "openai/gpt-4o": {"input_cost_per_token": 1.0, "output_cost_per_token": 1.0},
    "local": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    "unknown": {},
    "d1": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
}


def deployment(model, id="", **params):
    return {"litellm_params": {"model": model, **params}, "model_info": {"id": id}}


def quoted(*deployments, call_type="acompletion", call=CALL):
    return quote(call_type, call, deployments, LISTED, 4096, datetime.now(UTC))


def test_the_most_expensive_deployment_is_held_for():
    cheap, costly = deployment("openai/gpt-4o-mini"), deployment("gpt-4")
    assert quoted(cheap, costly).pico == quoted(costly).pico > 10 * quoted(cheap).pico


def test_prices_in_the_configuration_come_first_and_alone():
    at_given = quoted(deployment("gpt-4", input_cost_per_token=0, output_cost_per_token="0.000002"))
    assert at_given.pico == 200 * 10**6
    of_deployment = quoted(deployment("gpt-4", "d1"))
    assert of_deployment.pico == of_deployment.input_tokens * 10**6 + 200 * 10**6
    assert of_deployment.tokens == of_deployment.input_tokens + 100


def test_what_a_deployment_is_given_with_every_call_counts():
    call = {"messages": CALL["messages"]}
    assert quoted(deployment("gpt-4", max_tokens=100), call=call) == quoted(deployment("gpt-4"))


def test_of_two_lists_the_more_expensive_is_held_for():
    assert quoted(deployment("openai/gpt-4o")).pico > 100 * 10**12


def test_an_unpriced_deployment_is_not_free_and_a_free_one_is():
    with pytest.raises(errors.UnpricedModel, match="unknown"):
        quoted(deployment("local"), deployment("unknown"))
    assert quoted(deployment("local"))[0::3] == (0, True)


@pytest.mark.parametrize(
    "call_type", ["acompletion", "atext_completion", "aresponses", "anthropic_messages"]
)
@pytest.mark.parametrize("model", ["openai/none-such", "openai/gpt-4o-mini"])
def test_output_without_a_price_is_not_free(call_type, model):
    call = CALL | {"prompt": "Count.", "input": "Count."}
    half = deployment(model, input_cost_per_token=1e-6)
    with pytest.raises(errors.UnpricedModel, match="output_cost_per_token"):
        quoted(half, call_type=call_type, call=call)
    half = deployment(model, output_cost_per_token=1e-6)
    with pytest.raises(errors.UnpricedModel, match="input_cost_per_token"):
        quoted(half, call_type=call_type, call=call)


def test_the_input_rate_suffices_where_no_output_is_billed():
    call = {"input": ["Count."]}
    by_input = quoted(
        deployment("openai/none-such", input_cost_per_token=1e-6), call_type="aembedding", call=call
    )
    assert by_input.pico == by_input.tokens * 10**6 > 0
    assert not by_input.is_free


def test_a_price_stated_in_two_places_of_a_deployment_is_one():
    there = deployment("openai/none-such", input_cost_per_token=0)
    there["model_info"]["output_cost_per_token"] = "0.000002"
    assert quoted(there).pico == 200 * 10**6


@pytest.mark.parametrize("rate", ["free", "", -1e-6, "nan", float("inf"), True, [1]], ids=repr)
def test_what_is_no_amount_is_no_price(rate):
    with pytest.raises(errors.UnpricedModel):
        quoted(deployment("gpt-4", input_cost_per_token=rate, output_cost_per_token=1e-6))
    with pytest.raises(errors.UnpricedModel):
        quoted(deployment("gpt-4", input_cost_per_token=1e-6, output_cost_per_token=rate))


def test_a_model_that_is_not_deployed_is_held_for_by_its_name():
    assert quoted(call=CALL | {"model": "gpt-4"}) == quoted(deployment("gpt-4"))
    with pytest.raises(errors.UnpricedModel, match="unknown"):
        quoted(call=CALL | {"model": "unknown"})


def test_a_call_nobody_can_estimate_still_needs_a_budget_that_is_not_used_up():
    assert quoted(deployment("whisper-1"), call_type="transcription") == LEAST
    assert LEAST.pico == LEAST.tokens == 1


TEXT = "Count the rows of both tables, and say which has more."
CONTENTS = [
    {"role": "user", "parts": [{"text": TEXT}]},
    {"role": "model", "parts": [{"text": TEXT}]},
]
GENERATE = [
    {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 100}},
    {"contents": CONTENTS[0] | {"parts": [{"text": TEXT}] * 2},
     "config": {"max_output_tokens": 100}},
    {"contents": TEXT, "systemInstruction": {"parts": [{"text": TEXT}]},
     "generationConfig": {"maxOutputTokens": 100}},
    {"contents": [TEXT], "generationConfig": {"maxOutputTokens": 100, "systemInstruction": TEXT}},
    {"contents": TEXT, "generationConfig": {"maxOutputTokens": 100, "responseSchema": {"a": TEXT}}},
    {"contents": TEXT, "tools": [{"functionDeclarations": [{"name": "f", "description": TEXT}]}],
     "generationConfig": {"maxOutputTokens": 50, "candidateCount": 2}},
]  # fmt: skip
INTERACTIONS = [
    {"input": [TEXT, TEXT], "generation_config": {"max_output_tokens": 100}},
    {"input": TEXT, "system_instruction": TEXT, "generation_config": {"max_output_tokens": 100}},
    {"input": [{"type": "text", "text": TEXT}] * 2,
     "generation_config": {"max_output_tokens": 100}},
    {"input": [{"role": "user", "content": [{"type": "text", "text": TEXT}] * 2}],
     "generation_config": {"max_output_tokens": 100}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("call_type", "call"),
    [("agenerate_content", call) for call in GENERATE]
    + [("agenerate_content_stream", GENERATE[0])]
    + [("acreate_interaction", call) for call in INTERACTIONS],
)
def test_googles_calls_are_held_for_like_a_chat_that_says_the_same(call_type, call):
    chat = {"messages": [{"role": "user", "content": TEXT}] * 2, "max_tokens": 100}
    like, quote = quoted(deployment("gpt-4"), call=chat), quoted(
        deployment("gpt-4"), call_type=call_type, call=call
    )  # fmt: skip
    assert abs(quote.input_tokens - like.input_tokens) < 24
    assert quote.tokens - quote.input_tokens == 100
    assert quoted(
        deployment("gpt-4-32k"), deployment("gpt-4"), call_type=call_type, call=call
    ).pico > (quote.pico)


@pytest.mark.parametrize(
    ("call_type", "model", "call", "usd"),
    [
        ("aspeech", "openai/tts-1", {"input": "x" * 1000}, "0.015"),
        ("aspeech", "openai/tts-1-hd", {"input": "x" * 1000}, "0.03"),
        ("arerank", "cohere/rerank-v3.5", {"query": "q", "documents": ["d"] * 3}, "0.002"),
        ("arerank", "cohere/rerank-v3.5", {"query": "q", "documents": ["d"] * 101}, "0.004"),
        ("avideo_generation", "openai/sora-2", {"prompt": "p", "seconds": "8"}, "0.80"),
        ("avideo_generation", "openai/sora-2", {"prompt": "p"}, "1.20"),
        ("amoderation", "openai/omni-moderation-latest", {"input": TEXT}, "0"),
        ("amoderation", None, {"input": TEXT}, "0"),
    ],
)
def test_what_is_billed_by_another_unit_is_held_for_by_it(call_type, model, call, usd):
    import litellm

    chosen = [] if model is None else [deployment(model)]
    held = quote(call_type, call, chosen, litellm.model_cost, 4096, datetime.now(UTC))
    assert held.pico == Decimal(usd) * 10**12
    assert held.is_free == (usd == "0")


def test_reranking_by_tokens_reads_the_query_with_each_document():
    call = {"query": TEXT, "documents": [TEXT] * 10}
    by_token = deployment("voyage/of-ours", input_cost_per_token=1e-6)
    assert quoted(by_token, call_type="arerank", call=call).input_tokens > 20 * 10
    with pytest.raises(errors.UnpricedModel):
        quoted(deployment("voyage/of-ours"), call_type="arerank", call=call)


def test_a_stated_price_of_a_unit_comes_first_and_an_unknown_one_is_not_free():
    own = deployment("openai/tts-1", input_cost_per_character=1e-6)
    assert quoted(own, call_type="aspeech", call={"input": "x" * 100}).pico == 10**8
    free = deployment("openai/tts-1", input_cost_per_character=0)
    assert quoted(free, call_type="aspeech", call={"input": "x"})[0::3] == (0, True)
    unknown = deployment("openai/of-ours")
    assert quoted(unknown, call_type="aspeech", call={"input": "x"}) == LEAST
    for bad in {"input": ["x"]}, {}:
        with pytest.raises(errors.InvalidInput):
            quoted(own, call_type="aspeech", call=bad)


@pytest.mark.parametrize("bad", [{"max_tokens": "many"}, {"max_tokens": -1}, {"n": 1.5}])
def test_a_call_no_model_takes_is_the_callers_fault(bad):
    with pytest.raises(errors.InvalidInput):
        quoted(deployment("local"), call=CALL | bad)


# -- answers --------------------------------------------------------------------------------------


def test_events_are_read_however_the_bytes_are_cut():
    sent = b'event: a\ndata: {"n": 1}\n\ndata: {"n": 2}\r\n\ndata: [DONE]\n\ndata: "\xc3\xa4"\n'
    for step in range(1, len(sent)):
        events = Events()
        parts = [sent[at : at + step] for at in range(0, len(sent), step)]
        assert [event for part in parts for event in events.of(part)] == [{"n": 1}, {"n": 2}, "ä"]
    chunk = object()
    assert list(Events().of(chunk)) == [chunk]


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_cached_stream_costs_nothing_though_litellm_has_not_logged_it_yet(is_cached):
    reading = StreamReading()
    reading.add({"choices": [{"index": 0, "delta": {"content": "Row."}}]})
    log = SimpleNamespace(model_call_details={}, caching_details={"cache_hit": is_cached})
    paid = of_stream(reading, "gpt-4o", 10, {"litellm_logging_obj": log}, is_free=False)
    assert paid.cost == (0 if is_cached else None)
    assert paid.usage.output_tokens > 0


def test_counts_that_are_all_zero_are_not_what_was_used():
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    answer = {"model": "gpt-4o", "usage": nothing}
    asked = {"model": "gpt-4o", "response_cost": 0.0}
    unknown = ("gpt-4o", None, None)
    assert of_event(asked, answer, is_free=False)[:3] == unknown
    assert of_response(answer, {}, is_free=False)[:3] == unknown
    reading = StreamReading()
    reading.add({"model": "gpt-4o", "choices": [], "usage": nothing})
    assert of_stream(reading, "cheap", 0, {}, is_free=False)[:3] == unknown
    assert of_event(asked, answer, is_free=True).cost == 0
    assert of_event(asked | {"cache_hit": True}, answer, is_free=False).cost == 0


@pytest.mark.parametrize(
    ("error", "status", "is_retried"),
    [
        (errors.AccountFrozen("frozen", account="a", project="p"), 400, False),
        (errors.NoBudget("no budget", account="a", project="p"), 400, False),
        (errors.UnpricedModel("m"), 400, False),
        (errors.InvalidName("name"), 400, False),
        (errors.StoreBusy("busy", target="t"), 503, True),
    ],
)
def test_only_what_can_pass_by_itself_is_to_be_retried(error, status, is_retried):
    answer = refusal(error)
    assert answer.status == status
    assert (answer.headers.get("x-should-retry") != "false") == is_retried


def test_a_setting_gives_refusals_the_statuses_of_their_reasons():
    frozen = errors.AccountFrozen("frozen", account="a", project="p")
    unknown = errors.NoBudget("no budget", account="a", project="p")
    for error, status in ((frozen, 403), (unknown, 403), (errors.UnpricedModel("m"), 400)):
        answer = refusal(error, payment_required=True)
        assert (answer.status, answer.details["blocked_by_holds"]) == (status, False)
        assert answer.type == refusal(error).type


@pytest.mark.parametrize(
    ("error", "status", "kind", "facts"),
    [
        (errors.AccountFrozen("frozen", account="a", project="p"), 403, "account_frozen",
         {"account": "a"}),
        (errors.NoBudget("no budget", account="a", project="p"), 403, "no_budget",
         {"account": "a"}),
        (errors.UnpricedModel("m"), 400, "unpriced_model", {"model": "m"}),
        (errors.UnpricedModel("m", blocked_by_holds=True), 400, "unpriced_model", {"model": "m"}),
    ],
)  # fmt: skip
def test_a_refusal_has_its_reason_and_by_setting_its_own_status(error, status, kind, facts):
    answer, asked = refusal(error), refusal(error, payment_required=True)
    assert (answer.status, asked.status) == (400, status)
    facts = {**facts, "blocked_by_holds": error.blocked_by_holds}
    assert [(one.type, one.details) for one in (answer, asked)] == [(kind, facts)] * 2


def test_an_exhausted_budget_says_whether_waiting_helps(opened):
    ledger = opened()
    ledger.set_budget("alice", 1)
    for charged, is_blocked in ((0, True), (1, False)):
        ledger.charge("alice", cost=charged)
        hold = ledger.hold("alice", 1 - charged)
        with pytest.raises(errors.BudgetExceededError) as caught:
            ledger.hold("alice", "0.5")
        hold.release()
        answer = refusal(caught.value)
        assert (answer.status, answer.type) == (400, "budget_exceeded")
        assert answer.details["blocked_by_holds"] is is_blocked
        assert refusal(caught.value, payment_required=True).status == 402
