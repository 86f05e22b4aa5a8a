"""The JSON API of a real server, over real connections."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from budgetledger import Ledger
from budgetledger.server import api as verbs
from budgetledger.server import create_app
from budgetledger.server.gate import Gate
from budgetledger.server.operation import Call
from budgetledger.server.state import Service

PROMPT = [{"role": "user", "content": "Write me a poem about ledgers."}]
RESPONSE = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 14, "completion_tokens": 12}}


@pytest.fixture
def api(server):
    """A client of the project's part of the API."""
    with httpx.Client(base_url=f"{server.url}/v1/projects/{server.project}/", timeout=30) as client:
        yield client


def done(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer, status, kind):
    error = done(answer, status)["error"]
    assert error["type"] == kind
    assert error["message"]
    return error


def key(text):
    return {"Idempotency-Key": text}


def test_a_budget_keeps_what_a_request_leaves_out(api):
    path = "accounts/alice/budgets"
    plan = {"name": "plan", "per": "month", "timezone": "Asia/Tokyo", "model": "gpt-4o"}
    first = done(api.post(path, json={"limit": 10, "anchor": "creation", **plan}))
    assert first["remark"] is None
    raised = done(api.post(path, json={"limit": "20", "name": "plan"}))
    assert raised == first | {"limit": "20.00"}
    assert done(api.post(path, json={"name": "plan"})) == raised
    calendar = done(api.post(path, json={"name": "plan", "anchor": None}))
    assert calendar == raised | {"anchor": None}
    every = done(api.post(path, json={"name": "plan", "model": None, "timezone": None}))
    assert every == calendar | {"model": None}
    assert done(api.post(path, json={"name": "plan", "per": None})) == every | {"per": None}
    assert done(api.get(path))["budgets"][0]["per"] is None
    refused(api.post(path, json={"per": "month"}), 422, "InvalidInput")
    refused(api.post(path, json={"name": "other"}), 422, "InvalidInput")


@pytest.mark.parametrize("path", ["accounts/alice/budgets", "default-budgets"])
def test_a_budget_has_a_unit_or_a_span(api, path):
    sent = {"limit": 5, "span": 3600}
    error = refused(api.post(path, json={**sent, "per": "day"}), 422, "InvalidInput")
    assert error["message"] == "send per or span, not both"
    assert done(api.post(path, json={**sent, "per": None}))["span_seconds"] == 3600
    assert done(api.post(path, json=sent))["per"] == "rolling"
    assert done(api.post(path, json={"limit": 5, "span": None, "per": "day"}))["per"] == "day"


def test_a_budget_beside_others_is_remarked(api):
    path = "accounts/alice/budgets"
    done(api.post(path, json={"limit": 10, "per": "month"}))
    remark = done(api.post(path, json={"limit": 20}))["remark"]
    assert "'usd' of 'alice', for ever, beside 'usd/month'" in remark
    assert "send its per or name" in remark
    assert done(api.post(path, json={"limit": 20}))["remark"] is None
    assert done(api.post("accounts/bob/budgets", json={"limit": 1, "per": "day"}))["per"] == "day"
    sent = {"limit": 10, "per": None}
    assert done(api.post("accounts/bob/budgets", json=sent))["remark"] is None


def test_a_refusal_says_whether_waiting_would_help(api):
    done(api.post("accounts/alice/budgets", json={"limit": 2}))
    held = done(api.post("accounts/alice/holds", json={"amount": "1.5"}), 201)
    path = "accounts/alice/holds"
    error = refused(api.post(path, json={"amount": 1}), 402, "BudgetExceededError")
    assert error["blocked_by_holds"] is True
    done(api.post(f"{path}/{held['id']}/settle", json={"cost": "1.5"}), 201)
    error = refused(api.post(path, json={"amount": 1}), 402, "BudgetExceededError")
    assert error["blocked_by_holds"] is False
    sent = {"model": "none-such", "text": "Hello"}
    error = refused(api.post(path, json=sent), 400, "UnpricedModel")
    assert (error["model"], error["blocked_by_holds"]) == ("none-such", False)
    error = refused(api.post("accounts/bob/holds", json={"amount": 1}), 403, "NoBudget")
    assert (error["account"], error["blocked_by_holds"]) == ("bob", False)
    refused(api.post("accounts/bob/can-afford", json={"amount": 1}), 403, "NoBudget")


def test_a_refusal_names_the_hold_around_it(api):
    done(api.post("accounts/alice/budgets", json={"limit": 2}))
    path = "accounts/alice/holds"
    outer = done(api.post(path, json={"amount": 2}), 201)["id"]
    for around, is_own in (([outer], True), ([10**6, outer], True), ([10**6], False), ([], False)):
        sent = {"amount": 1, "around": around}
        error = refused(api.post(path, json=sent), 402, "BudgetExceededError")
        assert (f"without hold {outer} of a call" in error["message"]) is is_own
        assert error["blocked_by_holds"] is not is_own
    error = refused(api.post(path, json={"amount": 1}), 402, "BudgetExceededError")
    assert "around" not in error["message"]  # nothing is left of the requests before
    for around in (outer, "1", [-1], [1.5], [True], [2**63], [None], list(range(101))):
        sent = {"amount": 1, "around": around}
        assert "around" in refused(api.post(path, json=sent), 422, "InvalidInput")["message"]


def test_a_release_names_the_entry_that_counts_its_call(api):
    done(api.post("accounts/alice/budgets", json={"limit": 2}))
    path = "accounts/alice/holds"
    outer = done(api.post(path, json={"amount": 1}), 201)
    paid = done(api.post("accounts/alice/charges", json={"cost": 1}), 201)
    where = f"{path}/{outer['id']}"
    for counted_by in (outer["id"], 10**6):
        sent = {"counted_by": counted_by}
        refused(api.post(f"{where}/release", json=sent), 404, "UnknownEntry")
    sent = {"counted_by": paid["id"]}
    released = done(api.post(f"{where}/release", json=sent, headers=key("r")), 201)
    assert released["tags"] == {"counted_by": paid["id"]}
    assert done(api.post(f"{where}/release", json=sent, headers=key("r")), 201) == released
    error = refused(api.post(f"{where}/settle", json={"cost": 1}), 409, "HoldAlreadyClosed")
    assert error["entry"]["id"] == paid["id"]


def test_a_hold_and_its_settle(api):
    budget = done(api.post("accounts/alice/budgets", json={"limit": "0.02", "per": "month"}))
    assert (budget["name"], budget["limit"]) == ("usd/month", "0.02")
    body = {"model": "gpt-4o", "messages": PROMPT, "max_output_tokens": 1500}
    held = done(api.post("accounts/alice/holds", json=body), 201)
    assert Decimal(held["amount"]) > 0
    assert held["bounded"] is True
    assert [one["id"] for one in done(api.get("accounts/alice/holds"))["holds"]] == [held["id"]]
    assert done(api.get("accounts/alice/balance"))["held"] == held["amount"]
    error = refused(api.post("accounts/alice/holds", json=body), 402, "BudgetExceededError")
    assert error["limit"] == "0.02"
    assert error["held"] == held["amount"]
    assert Decimal(error["available"]) < Decimal(error["requested"])
    assert error["budget"] == "usd/month"
    assert error["retry_after"] > 0
    assert error["window"]["start"].endswith("Z")
    assert error["largest_output"] > 0
    entry = done(
        api.post(f"accounts/alice/holds/{held['id']}/settle", json={"response": RESPONSE}), 201
    )
    assert entry["hold_id"] == held["id"]
    assert entry["model"] == "gpt-4o"
    balance = done(api.get("accounts/alice/balance"))
    assert (balance["held"], balance["posted"]) == ("0.00", entry["cost"])
    error = refused(
        api.post(f"accounts/alice/holds/{held['id']}/settle", json={"cost": "0.01"}),
        409, "HoldAlreadyClosed",
    )  # fmt: skip
    assert error["entry"]["id"] == entry["id"]
    assert done(api.get("accounts/alice/model-costs"))["model_costs"] == {"gpt-4o": entry["cost"]}


def test_a_settle_of_unknown_cost_and_one_of_a_call_that_failed(api):
    done(api.post("accounts/u/budgets", json={"limit": "1"}))
    held = done(api.post("accounts/u/holds", json={"amount": "0.25", "model": "nobodys"}), 201)
    unknown = {"response": {"model": "nobodys", "usage": RESPONSE["usage"]}}
    path = f"accounts/u/holds/{held['id']}/settle"
    entry = done(api.post(path, json=unknown, headers=key("unknown")), 201)
    assert (entry["cost"], entry["cost_basis"], entry["input_tokens"]) == ("0.25", "assumed", 14)
    assert done(api.post(path, json=unknown, headers=key("unknown")), 201) == entry
    assert done(api.get("accounts/u/balance"))["assumed"] == "0.25"
    assert done(api.get("accounts/u/model-costs"))["assumed"] == "0.25"
    held = done(api.post("accounts/u/holds", json={"amount": "0.25"}), 201)
    failed = {"response": {"error": {"message": "overloaded"}}}
    path = f"accounts/u/holds/{held['id']}/settle"
    entry = done(api.post(path, json=failed, headers=key("failed")), 201)
    assert (entry["kind"], entry["cost_basis"]) == ("release", None)
    assert done(api.post(path, json=failed, headers=key("failed")), 201) == entry
    assert done(api.get("accounts/u/balance"))["held"] == "0.00"


def test_every_other_verb(api):
    done(api.post("accounts/bob/budgets", json={"limit": 5, "alert_at": ["0.5", 1]}))
    done(api.post("accounts/bob/budgets", json={"tokens": 100, "span": 86400, "name": "daily"}))
    named = [budget["name"] for budget in done(api.get("accounts/bob/budgets"))["budgets"]]
    assert named == ["daily", "usd"]
    done(api.delete("accounts/bob/budgets/daily"))
    refused(api.delete("accounts/bob/budgets/daily"), 404, "UnknownAccount")
    parent = done(api.put("accounts/bob/parent", json={"parent": "team:research"}))
    assert parent["parent"] == "team:research"
    held = done(api.post("accounts/bob/holds", json={"amount": "1", "expires_in": 60}), 201)
    longer = done(api.post(f"accounts/bob/holds/{held['id']}/extend", json={"expires_in": 600}))
    assert longer["expires_at"] > held["expires_at"]
    assert done(api.post("accounts/bob/can-afford", json={"amount": 4})) == {"affordable": True}
    assert done(api.post("accounts/bob/can-afford", json={"amount": 5})) == {"affordable": False}
    row = done(
        api.post(f"accounts/bob/holds/{held['id']}/release", json={"reason": "no call"}), 201
    )
    assert (row["kind"], row["note"]) == ("release", "no call")
    usage = {"input_tokens": 100, "output_tokens": 5}
    charged = done(
        api.post(
            "accounts/bob/charges", json={"usage": usage, "model": "gpt-4o", "tags": {"f": 1}}
        ),
        201,
    )
    assert charged["tags"] == {"f": 1}
    images = {"model": "gpt-image-2", "usage": {"output_tokens": 9, "output_image_tokens": 9}}
    call = {"model": "gpt-5", "usage": usage | {"image_generation": images}}
    assert done(api.post("accounts/bob/charges", json=call), 201)["usage"] == call["usage"]
    images["usage"]["nobodys"] = 1
    refused(api.post("accounts/bob/charges", json=call), 422, "InvalidInput")
    paid = done(api.post("accounts/bob/charges", json={"cost": 3, "model": "m"}), 201)
    fixed = done(
        api.post(f"entries/{paid['id']}/adjust", json={"amount": "-0.5", "reason": "credit"}), 201
    )
    assert (fixed["cost"], fixed["corrects_id"]) == ("-0.50", paid["id"])
    assert [alert["threshold"] for alert in done(api.get("accounts/bob/alerts"))["alerts"]] == [
        "0.5"
    ]
    assert done(api.get("alerts"))["alerts"]
    done(api.post("accounts/bob/freeze", json={"reason": "stolen"}))
    refused(api.post("accounts/bob/holds", json={"amount": 1}), 403, "AccountFrozen")
    assert done(api.post("accounts/bob/unfreeze"))["frozen"] is False
    window = done(api.post("accounts/bob/shift", json={"budget": "usd"}))["window"]
    assert window["start"]
    assert done(api.get("accounts/bob/balance"))["posted"] == "0.00"
    past = {"at": paid["recorded_at"]}
    assert done(api.get("accounts/bob/balance", params=past))["posted"] != "0.00"
    names = {account["account"] for account in done(api.get("accounts"))["accounts"]}
    assert names == {"bob", "team:research"}


def test_prices_of_a_project(api, server):
    call = {"usage": {"input_tokens": 1000, "output_tokens": 10}, "model": "house/model"}
    assert done(api.post("accounts/p/charges", json=call), 201)["cost"] is None
    asked = {"model": "house/model", "text": "What do ledgers do?", "max_output_tokens": 100}
    refused(api.post("estimate", json=asked), 400, "UnpricedModel")
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    price = {"model": "house/*", "input": "3", "output": 15, "effective_at": since}
    row = done(api.post("prices", json=price))
    assert (row["project"], row["rates"]) == (
        server.project, {"input_mtok": "3", "output_mtok": "15"},
    )  # fmt: skip
    assert done(api.get("prices"))["prices"] == [row]
    other = f"{server.url}/v1/projects/another/prices"
    assert done(httpx.get(other))["prices"] == []
    found = done(api.post("estimate", json=asked))
    assert Decimal(found["low"]) < Decimal(found["high"])
    assert found["price_source"] == f"own price {row['id']}"
    told = done(api.post("reprice"))
    assert (told["applied"], told["total"]) == (False, "0.00315")
    assert done(api.get("accounts/p/balance"))["posted"] == "0.00"
    told = done(api.post("reprice", json={"account": "p", "dry_run": False}))
    assert told["priced"][0]["adjustment_id"]
    assert done(api.get("accounts/p/balance"))["posted"] == "0.00315"
    assert done(api.post("reprice", json={"dry_run": False}))["priced"] == []
    assert done(api.delete(f"prices/{quote('house/*', safe='')}"))["removed"] is True
    assert done(api.get("prices"))["prices"] == []
    refused(api.delete("prices/house"), 400, "UnpricedModel")
    refused(api.post("prices", json={"model": "m", "rates": {"input_mtok": "x"}}), 422,
            "InvalidInput")  # fmt: skip
    refused(api.post("prices", json={"model": "m"}), 422, "InvalidInput")


def test_pages_of_entries(api):
    for number in range(7):
        api.post("accounts/p/charges", json={"cost": number, "model": "m"})
    for path in ("accounts/p/entries", "entries"):
        found, params = [], {"limit": 3}
        while True:
            page = done(api.get(path, params=params))
            found += [entry["cost"] for entry in page["entries"]]
            if page["next"] is None:
                break
            params["after"] = page["next"]
        assert found == [f"{number}.00" for number in range(7)]
        newest = done(api.get(path, params={"last": 2}))
        assert ([entry["cost"] for entry in newest["entries"]], newest["next"]) == (
            ["5.00", "6.00"],
            None,
        )
        refused(api.get(path, params={"last": 2, "limit": 3}), 422, "InvalidInput")
    since = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert done(api.get("accounts/p/entries", params={"since": since}))["entries"] == []
    refused(api.get("accounts/p/entries", params={"after": 10**9}), 404, "UnknownEntry")
    refused(api.get("accounts/p/entries", params={"limit": 0}), 422, "InvalidInput")


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "ü ß", "*", "..", "a?b#c", "team:x", "%", "."])
def test_any_name_can_be_in_a_path(api, name):
    path = quote(name, safe="").replace(".", "%2E")
    api.post(f"accounts/{path}/charges", json={"cost": 1, "model": "m"})
    assert done(api.get(f"accounts/{path}/balance"))["account"] == name


def test_replayed_requests_are_answered_as_before(api):
    api.post("accounts/r/budgets", json={"limit": 10})

    def twice(path, body, status, **changed):
        first = done(api.post(path, json=body, headers=key(path)), status)
        assert done(api.post(path, json=body, headers=key(path)), status) == first
        if changed:
            other = api.post(path, json={**body, **changed}, headers=key(path))
            assert other.status_code == 409
        return first

    held = twice("accounts/r/holds", {"amount": "1"}, 201, amount="2")
    twice(f"accounts/r/holds/{held['id']}/settle", {"cost": "0.5"}, 201, cost="0.6")
    refused(api.post("accounts/r/holds", json={"amount": "1"}, headers=key("accounts/r/holds")),
            409, "HoldAlreadyClosed")  # fmt: skip
    other = done(api.post("accounts/r/holds", json={"amount": "1"}), 201)
    settle = api.post(
        f"accounts/r/holds/{other['id']}/settle", json={"cost": "0.5"},
        headers=key(f"accounts/r/holds/{held['id']}/settle"),
    )  # fmt: skip
    refused(settle, 409, "IdempotencyConflict")
    twice(f"accounts/r/holds/{other['id']}/release", {}, 201)
    charged = twice("accounts/r/charges", {"cost": "0.25", "model": "m"}, 201, cost="0.26")
    twice(f"entries/{charged['id']}/adjust", {"amount": "0.05", "reason": "x"}, 201, amount="1")
    assert done(api.get("accounts/r/balance"))["posted"] == "0.80"
    shifted = twice("accounts/r/shift", {}, 200)
    api.post("accounts/r/charges", json={"cost": "0.1", "model": "m"})
    assert twice("accounts/r/shift", {}, 200) == shifted
    assert done(api.get("accounts/r/balance"))["posted"] == "0.10"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("accounts/x/holds", {}),
        ("accounts/x/holds", {"amount": -1}),
        ("accounts/x/holds", {"amount": "1e3"}),
        ("accounts/x/holds", {"amount": True}),
        ("accounts/x/holds", {"amount": "1", "text": "both", "model": "gpt-4o"}),
        ("accounts/x/holds", {"amount": 1, "expires_in": 0}),
        ("accounts/x/holds", {"amount": 1, "tokens": 2**63}),
        ("accounts/x/holds", {"amount": 1, "colour": "red"}),
        ("accounts/x/charges", {"cost": "1" * 30}),
        ("accounts/x/charges", {"response": {}}),
        ("accounts/x/charges", {"usage": {"input_tokens": 1.5}, "model": "m"}),
        ("accounts/x/charges", {"cost": 1, "occurred_at": "2026-01-01"}),
        ("accounts/x/budgets", {}),
        ("accounts/x/budgets", {"limit": 1, "per": "eon"}),
        ("accounts/x/budgets", {"limit": 1, "per": "day", "timezone": "Mars/North"}),
        ("accounts/x/budgets", {"limit": 1, "alert_at": [0]}),
        ("accounts/%00/charges", {"cost": 1}),
        ("accounts/%ff/charges", {"cost": 1}),
        ("accounts/x/charges", {"cost": 1, "model": "\ud800"}),
    ],
)
def test_bad_input_leaves_nothing(api, server, path, body):
    content = json.dumps(body)
    answer = api.post(path, content=content, headers={"Content-Type": "application/json"})
    error = done(answer, 422)["error"]
    assert error["message"]
    with Ledger(server.path, project=server.project) as ledger:
        assert ledger.accounts() == []


def test_what_is_not_there(api):
    refused(api.get("accounts/nobody/balance"), 404, "UnknownAccount")
    refused(api.post("accounts/stranger/holds", json={"amount": 1}), 403, "NoBudget")
    refused(api.post("accounts/nobody/holds/1/settle", json={"cost": 1}), 404, "UnknownEntry")
    refused(api.post("accounts/nobody/holds/x/settle", json={"cost": 1}), 404, "UnknownEntry")
    refused(
        api.post(f"entries/{2**63}/adjust", json={"amount": 1, "reason": "x"}), 404, "UnknownEntry"
    )
    refused(api.get("nothing"), 404, "NotFound")
    assert refused(api.put("accounts"), 405, "MethodNotAllowed")


def test_a_hold_of_one_account_is_not_anothers(api):
    api.post("accounts/a/budgets", json={"limit": 10})
    held = done(api.post("accounts/a/holds", json={"amount": 1}), 201)
    for step, body in (("settle", {"cost": 1}), ("release", {}), ("extend", {"expires_in": 9})):
        refused(api.post(f"accounts/b/holds/{held['id']}/{step}", json=body), 404, "UnknownEntry")


def test_malformed_bodies(api):
    kind = {"Content-Type": "application/json"}
    for content in (b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 50_000, b'{"cost": NaN}'):
        answer = api.post("accounts/a/charges", content=content, headers=kind)
        refused(answer, 400, "MalformedBody")
    form = api.post("accounts/a/charges", data={"cost": "1"})
    refused(form, 415, "UnsupportedMediaType")


def test_other_hosts_names_are_turned_away_without_tokens(api, server):
    answer = httpx.get(f"{server.url}/v1/projects/p/accounts", headers={"Host": "evil.example"})
    refused(answer, 403, "Forbidden")
    answer = httpx.post(
        f"{server.url}/get_budget", json={"project_name": "p"}, headers={"Host": "evil.example:80"}
    )
    refused(answer, 403, "Forbidden")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_are_turned_away_without_tokens(api, origin):
    """A page may send this unasked: it has no body, and names the right host."""
    done(api.post("accounts/a/budgets", json={"limit": 1}))
    for verb in ("freeze", "shift"):
        answer = api.post(f"accounts/a/{verb}", headers={"Origin": origin})
        refused(answer, 403, "Forbidden")
    own = {"Origin": f"{api.base_url.scheme}://{api.base_url.netloc.decode()}"}
    done(api.post("accounts/a/freeze", headers=own))


def test_a_hold_found_by_its_number_expires_when_it_was_extended_to():
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 1)
        hold = ledger.hold("alice", "0.5", expires_in=60)
        hold.extend(600)
        service = Service(ledger, Gate(None), 1024)
        call = Call(
            service, service.ledger_of("default"), "default", "alice", hold.id, "", {}, None
        )
        assert asyncio.run(verbs._held(call)).expires_at == hold.expires_at


def test_one_key_at_a_time(api):
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = api.post("accounts/a/charges", json={"cost": 1, "model": "m"}, headers=keys)
    refused(answer, 422, "InvalidInput")
    assert done(api.get("accounts"))["accounts"] == []


def test_an_entry_is_corrected_to_what_it_cost_in_all(api):
    charge = {"model": "nobody-knows", "usage": {"input_tokens": 1000}}
    entry = done(api.post("accounts/a/charges", json=charge, headers=key("one")), 201)
    assert done(api.get("keys/one")) == entry
    refused(api.get("keys/two"), 404, "UnknownEntry")
    path = f"entries/{entry['id']}/adjust"
    done(api.post(path, json={"amount": "0.25", "reason": "guessed"}), 201)
    stated = {"total": "0.5", "reason": "invoice"}
    first = done(api.post(path, json=stated, headers=key("x")), 201)
    assert first["cost"] == "0.25"
    done(api.post(path, json={"total": "0.10", "reason": "credit"}), 201)
    assert done(api.post(path, json=stated, headers=key("x")), 201) == first
    again = api.post(path, json=stated | {"total": "0.6"}, headers=key("x"))
    refused(again, 409, "IdempotencyConflict")
    refused(api.post(path, json=stated | {"amount": "1"}), 422, "InvalidInput")
    refused(api.post(path, json={"reason": "nothing"}), 422, "InvalidInput")
    refused(api.post(path, json={"total": "-1", "reason": "x"}), 422, "InvalidInput")
    balance = done(api.get("accounts/a/balance"))
    assert (balance["posted"], balance["unpriced"]) == ("0.10", 0)


def test_a_total_that_is_too_far_from_what_stands_is_refused(api):
    paid = done(api.post("accounts/big/charges", json={"cost": "9000000", "model": "m"}), 201)
    path = f"entries/{paid['id']}/adjust"
    done(api.post(path, json={"amount": "9000000", "reason": "invoice"}), 201)
    refused(api.post(path, json={"total": "0", "reason": "credit"}), 422, "InvalidAmount")
    assert done(api.get("accounts/big/balance"))["posted"] == "18000000.00"
    done(api.post(path, json={"total": "9000000", "reason": "credit"}), 201)
    assert done(api.get("accounts/big/balance"))["posted"] == "9000000.00"


def test_concurrent_clients_never_overspend(api, server):
    done(api.post("accounts/c/budgets", json={"limit": "5.00", "per": "day"}))

    def client(number):
        granted = 0
        with httpx.Client(base_url=api.base_url, timeout=60) as own:
            for _ in range(5):
                answer = own.post("accounts/c/holds", json={"amount": "0.05"})
                if answer.status_code == 402:
                    continue
                hold = done(answer, 201)
                cost = {"cost": "0.05", "model": "m"}
                done(own.post(f"accounts/c/holds/{hold['id']}/settle", json=cost), 201)
                granted += 1
        return granted

    with ThreadPoolExecutor(64) as pool:
        granted = sum(pool.map(client, range(64)))
    assert granted == 100
    balance = done(api.get("accounts/c/balance"))
    assert (balance["posted"], balance["held"], balance["available"]) == ("5.00", "0.00", "0.00")
    with Ledger(server.path) as ledger:
        assert ledger.verify().ok


def test_connections_that_are_not_http_do_no_harm(server):
    address = server.url.removeprefix("http://").split(":")
    for sent in (b"\x16\x03\x01\x00", b"GET / HTTP/9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Le"):
        with socket.create_connection((address[0], int(address[1])), 5) as connection:
            connection.sendall(sent)
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_metrics_tell_operations_and_no_accounts(api, server):
    api.post("accounts/secret-name/charges", json={"cost": 1, "model": "m"})
    text = httpx.get(f"{server.url}/metrics").text
    assert 'budgetledger_requests_total{operation="charge",status="201"}' in text
    assert "budgetledger_request_seconds_bucket" in text
    assert "secret-name" not in text


def test_about_and_description(server):
    about = httpx.get(f"{server.url}/v1").json()
    assert about["service"] == "budgetledger"
    described = httpx.get(f"{server.url}/openapi.json").json()
    assert "security" not in described["paths"]["/get_budget"]["post"]


def test_it_can_be_mounted():
    with Ledger(":memory:") as ledger:
        app = Starlette(routes=[Mount("/ledger", create_app(ledger))])
        with TestClient(app, base_url="http://localhost") as client:
            path = "/ledger/v1/projects/p/accounts/a%2Fb/budgets"
            assert done(client.post(path, json={"limit": 1}))["account"] == "a/b"


@pytest.mark.postgres
def test_a_hold_that_a_restored_backup_does_not_have_is_not_taken_for_another(common_schema):
    path = "/v1/projects/p/accounts/{}/holds"
    with Ledger(common_schema.target, project="p") as ledger:
        client = TestClient(create_app(ledger), base_url="http://localhost")
        ledger.set_budget("alice", 9)
        first = done(client.post(path.format("alice"), json={"amount": 1}), 201)
        for opened in ledger._journal.store._files.writing, ledger._journal.store._files.reading:
            process = opened.driver.info.backend_pid
            common_schema.sql(f"SELECT pg_terminate_backend({process}, 5000)")
        common_schema.empty()
        with Ledger(common_schema.target, project="p") as restored:
            restored.set_budget("zoe", 9)
            assert restored.hold("zoe", 1).id == first["id"]
            done(client.get("/healthz"))
            settle = f"{path.format('alice')}/{first['id']}/settle"
            refused(client.post(settle, json={"cost": 1}), 404, "UnknownEntry")
            assert len(restored.holds("zoe")) == 1
