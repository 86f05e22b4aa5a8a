"""Names: any text a database stores and a person can see."""

import pytest

from budgetledger.errors import InvalidName
from budgetledger.names import checked_name


class Text(str):
    """A str of the caller's own making, as enums of str are."""


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "team:research",
        "*",
        " a b ",
        "张伟",
        "a\u0301",
        "\U0001f680",
        "line\nbreak",
        "'; DROP TABLE entries; --",
        "x" * 500,
        Text("bob"),
    ],
)
def test_accepted_as_it_is(name):
    assert checked_name(name, "account") is name


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "must not be empty"),
        (" \t\n", "must not be empty"),
        ("a\0b", "must not contain NUL, got 'a\\x00b'"),
        ("a\ud800", "must be valid text, got a lone surrogate in 'a\\ud800'"),
        ("x" * 501, "must have at most 500 characters"),
        (None, "must be a str, got NoneType"),
        (1, "must be a str, got int"),
        (b"alice", "must be a str, got bytes"),
        (["alice"], "must be a str, got list"),
    ],
)
def test_refused(value, problem):
    with pytest.raises(InvalidName) as caught:
        checked_name(value, "account")
    assert str(caught.value) == (
        f"account {problem}; pass a name such as 'alice' or 'team:research'"
    )


def test_the_remedy_can_be_said_otherwise():
    with pytest.raises(InvalidName, match=r"^reason must not be empty; pass why$"):
        checked_name("", "reason", "why")
