"""What a request may say: nothing is read loosely, and refusals are in plain words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from budgetledger.errors import InvalidInput, InvalidName
from budgetledger.server import request_models
from budgetledger.server.request_fields import Fields, read
from budgetledger.usage import Usage
from budgetledger.windows import UNITS

KINDS = [
    kind
    for kind in vars(request_models).values()
    if isinstance(kind, type) and issubclass(kind, Fields) and kind.model_fields
]
VALID = {"model": "m", "reason": "r", "expires_in": 60, "parent": None, "usage": {}}
JUNK = [
    *(True, False, [], {}, [None], {"x": None}, "", "x", " ", "\0", "\ud800", "NaN", "inf", "1e3"),
    *("2026-01-01", "2026-13-01T00:00:00Z", "-1", -1, -0.5, 1.5, 2**63, 10**20 + 1, 10**400),
    *(float("inf"), float("-inf"), 1e300, [{}] * 30, [1] * 30, {"input_mtok": True}),
]
FIELDS = [
    pytest.param(kind, name, id=f"{kind.__name__}.{name}")
    for kind in KINDS
    for name in kind.model_fields
]


def said(kind, name, value):
    """What is read, or the refusal."""
    needed = {
        field: VALID[field] for field, info in kind.model_fields.items() if info.is_required()
    }
    try:
        return read(kind, needed | {name: value})
    except InvalidInput as error:
        return error


def test_there_are_models_of_all():
    assert len(KINDS) > 15


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_refusal_names_the_field_and_shows_no_machinery(kind, name):
    refused = 0
    for junk in JUNK:
        if kind is request_models.Page and not isinstance(junk, str):
            continue  # a query is text
        if name in ("usage", "image_generation") and isinstance(junk, dict):
            continue  # see test_usage
        error = said(kind, name, junk)
        if isinstance(error, InvalidInput):
            refused += 1
            assert str(error).startswith(name), error
            assert not re.search(
                r"pydantic|https?:|Input should|validat|type=|Value error", str(error)
            )
    assert refused > 5


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_null_is_nothing(kind, name):
    if name in kind.null_is_a_value:
        assert said(kind, name, None)[name] is None
    elif not kind.model_fields[name].is_required():
        assert name not in said(kind, name, None)
    elif kind is not request_models.NewParent:
        assert isinstance(said(kind, name, None), InvalidInput)


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_what_no_field_takes(kind, name):
    if kind is request_models.Page:  # a query is text
        return
    taken = [value for value in (True, False) if isinstance(said(kind, name, value), dict)]
    assert taken == ([True, False] if name == "dry_run" else [])
    for value in (float("inf"), float("-inf"), 10**400, 10**20 + 1):
        assert isinstance(said(kind, name, value), InvalidInput)
    for value in ("\0", "\ud800"):  # a prompt may be broken, and is counted all the same
        assert isinstance(said(kind, name, value), dict if name == "text" else InvalidInput)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_and_missing_fields(kind):
    for name in ("colour", "\ud800", ""):
        with pytest.raises(InvalidInput, match=r"there is no field '.*'; the fields are: \w"):
            read(kind, {name: 1})
    missing = [name for name, info in kind.model_fields.items() if info.is_required()]
    if missing:
        with pytest.raises(InvalidInput, match=f"^{missing[0]} is missing"):
            read(kind, {})


def test_money_is_kept_as_it_came():
    for value in ("0.25", "5e-7", "1.5E-07", "1" * 20, "007", 10, 0, 10**20, 1e20, 0.1, -0.0):
        result = said(request_models.NewHold, "amount", value)
        assert result == {"amount": value}
        assert type(result["amount"]) is type(value)
    for value in (
        "1" * 21,
        ".5",
        "1.",
        "+1",
        " 1",
        "1\n",
        "1_0",
        "٣",
        "\uff11",
        "1e3",
        1e21,
        "-1",
        -1,
    ):
        refusal = str(said(request_models.NewHold, "amount", value))
        assert refusal.startswith("amount must be US dollars, as plain decimal text"), refusal


def test_money_of_a_correction_may_be_negative():
    for value in ("-0.5", "-5e-7", -1, -0.5):
        assert said(request_models.Correction, "amount", value)["amount"] == value
        assert isinstance(said(request_models.Correction, "total", value), InvalidInput)


def test_counts_of_json_and_of_queries():
    assert said(request_models.NewHold, "n", 2.0) == {"n": 2}
    assert type(said(request_models.NewHold, "n", 2.0)["n"]) is int
    assert isinstance(said(request_models.NewHold, "n", "2"), InvalidInput)
    assert said(request_models.Page, "after", "0012") == {"after": 12}
    for text in ("1.0", "+1", "-1", " 1", "٣", "1e3", "1_0", "1\n", "\uff11", "9" * 19, str(2**63)):
        assert isinstance(said(request_models.Page, "after", text), InvalidInput)


def test_moments_and_spans():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for text in ("2026-01-01T12:00:00Z", "20260101T120000Z", "2026-01-01 14:00+02:00"):
        assert said(request_models.Paid, "occurred_at", text)["occurred_at"] == noon
    for value in (1767268800, "1767268800", "2026-01-01T12:00:00", "noon"):
        assert isinstance(said(request_models.Paid, "occurred_at", value), InvalidInput)
    assert said(request_models.NewBudget, "span", 60) == {"span": timedelta(minutes=1)}
    assert said(request_models.NewBudget, "anchor", "creation") == {"anchor": "creation"}


def test_usage():
    usage = said(request_models.Paid, "usage", {"input_tokens": 5.0, "service_tier": "batch"})
    assert usage == {"usage": Usage(input_tokens=5, service_tier="batch")}
    for bad, says in (
        ({"colour": 1}, "there is no field 'colour'; the fields are: input_tokens"),
        ({"input_tokens": "5"}, "input_tokens must be a whole number"),
        ({"input_tokens": 10**13}, "input_tokens must be a whole number"),
        ([], "usage must be an object"),
    ):
        assert says in str(said(request_models.Paid, "usage", bad))
    assert isinstance(said(request_models.Paid, "usage", {"service_tier": ""}), InvalidName)
    images = {"model": "gpt-image-2", "usage": {"output_tokens": "9"}}
    for bad, says in (
        (images, "output_tokens must be a whole number"),
        (images | {"usage": {"image_generation": images}}, "there is no field 'image_generation'"),
        ({"model": "gpt-image-2"}, "usage is missing"),
    ):
        assert says in str(said(request_models.Paid, "usage", {"image_generation": bad}))
    assert list(request_models.CallCounts.model_fields) == list(Usage._fields)


def test_a_rate_is_named():
    result = said(request_models.NewPrice, "rates", {"output_mtok": 1, "input_mtok": "much"})
    assert str(result).startswith("rates['input_mtok'] must be US dollars")
    many = {f"rate-{number}": "x" for number in range(1000)}
    assert "pass 100 at most" in str(said(request_models.NewPrice, "rates", many))


def test_units_are_those_of_windows():
    for unit in UNITS:
        assert said(request_models.NewBudget, "per", unit) == {"per": unit}


def test_a_prompt_is_taken_as_it_is():
    content = [{"role": "user", "content": "cut \ud83d", "\ud800": [1, None, True, 1e300]}]
    taken = said(request_models.NewHold, "messages", content)["messages"]
    assert json.dumps(taken) == json.dumps(content)
