"""Stand-in keys, and where the real ones go."""

from __future__ import annotations

import pytest

from budgetledger.wallet.keys import HOSTS, Keys, stand_ins, unmetered
from budgetledger.wallet.programs import arguments, environment
from budgetledger.wallet.upstreams import PROVIDERS, upstreams

REAL = {
    "OPENAI_API_KEY": "sk-proj-Abc123Abc123Abc123Abc123",
    "ANTHROPIC_API_KEY": "sk-ant-api03-Xyz789Xyz789Xyz789Xyz789",
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-Tok456Tok456Tok456Tok456",
    "GEMINI_API_KEY": "AIzaSyGoogleGoogleGoogleGoogleGoogle00",
    "GROQ_API_KEY": "gsk_GroqGroqGroqGroqGroqGroq",
}


def headers(value):
    return [(b"authorization", f"Bearer {value}".encode()), (b"x-other", value.encode())]


def test_a_stand_in_has_the_form_of_its_key_and_nothing_of_its_secret():
    for key in stand_ins(REAL):
        assert len(key.fake) == len(key.real)
        assert key.fake != key.real
    fakes = {key.variable: key.fake for key in stand_ins(REAL)}
    assert fakes["OPENAI_API_KEY"].startswith("sk-proj-")
    assert fakes["CLAUDE_CODE_OAUTH_TOKEN"].startswith("sk-ant-oat01-")
    assert fakes["GEMINI_API_KEY"].startswith("AIza")
    assert not fakes["GROQ_API_KEY"].startswith("gsk_Groq")


def test_the_same_key_has_one_stand_in():
    [one, other] = stand_ins({"OPENAI_API_KEY": "sk-same", "CODEX_API_KEY": "sk-same"})
    assert one.fake == other.fake


def test_a_key_goes_to_its_own_host_only():
    places, keys = upstreams({}), {key.variable: key for key in stand_ins(REAL)}
    ring = Keys(keys.values())
    for variable, own in (
        ("OPENAI_API_KEY", "openai"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("GEMINI_API_KEY", "gemini"),
        ("GROQ_API_KEY", None),
    ):
        fake, real = keys[variable].fake, keys[variable].real
        for segment, upstream in places.items():
            sent, query = ring.put_back(upstream, headers(fake), b"a=1&key=" + fake.encode())
            value = real if segment == own else fake
            assert sent == [
                (b"authorization", f"Bearer {value}".encode()),
                (b"x-other", fake.encode()),
            ]
            assert query == b"a=1&key=" + value.encode()


def test_a_key_follows_the_base_that_was_set_beside_it():
    around = REAL | {"OPENAI_BASE_URL": "https://api.groq.com/openai/v1"}
    places = upstreams(around)
    keys = {key.variable: key for key in stand_ins(around)}
    ring = Keys(keys.values())
    for variable in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        sent, _ = ring.put_back(places["openai"], headers(keys[variable].fake), b"")
        assert sent[0][1].decode() == f"Bearer {REAL[variable]}"
    assert unmetered(keys.values(), places) == []
    assert unmetered(stand_ins(REAL), upstreams(REAL)) == ["GROQ_API_KEY"]


def test_every_variable_of_a_provider_has_its_host():
    for provider in PROVIDERS:
        for variable in provider.keys:
            assert upstreams({})[provider.name].host in HOSTS[variable]


def test_the_program_finds_the_wallet_in_each_variable():
    around = {"PATH": "/bin", "NO_PROXY": "corp.example", "ENABLE_TOOL_SEARCH": "auto"}
    inside = environment(around, "http://127.0.0.1:1/s", ())
    assert inside == {
        "PATH": "/bin",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/s/openai/v1",
        "OPENAI_API_BASE": "http://127.0.0.1:1/s/openai/v1",
        "API_BASE_URL": "http://127.0.0.1:1/s/openai/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1/s/anthropic",
        "ANTHROPIC_API_BASE": "http://127.0.0.1:1/s/anthropic",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1/s/gemini",
        "GEMINI_API_BASE": "http://127.0.0.1:1/s/gemini/v1beta",
        "NO_PROXY": "corp.example,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "ENABLE_TOOL_SEARCH": "auto",
    }


def test_variables_that_named_two_places_go_on_to_do_so():
    around = {
        "OPENAI_BASE_URL": "https://one.example/v1/",
        "OPENAI_API_BASE": "https://two.example/v1",
        "API_BASE_URL": "https://mine.example",
        "GEMINI_API_BASE": "https://g.example/v1beta",
    }
    inside, places = environment(around, "http://w", ()), upstreams(around)
    assert inside["OPENAI_BASE_URL"] == "http://w/openai/v1"
    assert inside["OPENAI_API_BASE"] == "http://w/openai.2/v1"
    assert inside["API_BASE_URL"] == "https://mine.example"  # perhaps the program's own
    assert places["openai"].url("/v1/chat/completions") == "https://one.example/v1/chat/completions"
    assert places["openai.2"].url("/v1/models") == "https://two.example/v1/models"
    assert places["gemini"].url("/v1/models/x:generateContent") == (
        "https://g.example/v1/models/x:generateContent"
    )


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/messages", "https://api.anthropic.com/v1/messages"),
        ("/v1/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/api/hello", "https://api.anthropic.com/api/hello"),
        ("/", "https://api.anthropic.com/"),
        ("", "https://api.anthropic.com/"),
    ],
)
def test_paths_of_anthropic(path, url):
    assert upstreams({})["anthropic"].url(path) == url


def test_codex_gets_an_argument():
    assert arguments(["/usr/bin/codex", "exec", "hi"], "http://w/s") == [
        *("/usr/bin/codex", "-c", 'openai_base_url="http://w/s/openai/v1"'),
        *("exec", "hi"),
    ]
    assert arguments(["claude", "-p"], "http://w/s") == ["claude", "-p"]
