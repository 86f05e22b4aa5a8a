"""Who is let in, and what a stranger can do."""

from __future__ import annotations

from hashlib import sha256

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from budgetledger.cli import main
from budgetledger.errors import InvalidInput
from budgetledger.server.access_tokens import Tokens

TOKEN, OTHER = "a-token-of-the-first-project", "a-token-of-another-project"
LIMIT = 4096
OPEN = ("/healthz", "/v1")


@pytest.fixture(scope="module")
def guarded(serve, tmp_path_factory):
    digest = sha256(OTHER.encode()).hexdigest()
    file = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    file.write_text(f"# who may use what\n\none:{TOKEN}\ntwo:sha256:{digest}\n")
    return serve("--tokens", str(file), "--max-body", str(LIMIT))


def ask(server, method, path, token=None, **more):
    headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    with httpx.Client(verify=False) as client:  # which spares it the reading of certificates
        return client.request(method, server.url + path, headers=headers, **more)


def test_a_token_opens_its_project_and_nothing_of_another(guarded):
    charge = {"cost": "1", "model": "m"}
    for project, token in (("one", TOKEN), ("two", OTHER)):
        path = f"/v1/projects/{project}/accounts/a/charges"
        entry = ask(guarded, "POST", path, token, json=charge)
        assert entry.status_code == 201
    number = entry.json()["id"]
    paths = httpx.get(f"{guarded.url}/openapi.json").json()["paths"]
    tried = 0
    for path, methods in paths.items():
        for method, described in methods.items():
            if path in OPEN:
                assert "security" not in described
                continue
            assert described["security"] == [{"token": []}]
            concrete = path.replace("{project}", "two").replace("{account}", "a")
            concrete = concrete.replace("{number}", str(number)).replace("{name}", "usd")
            body = {"project_name": "two", "user_dict": {}} if "_budget" in path else {}
            for project in ("two", "none-such"):
                body = {**body, **({"project_name": project} if body else {})}
                answer = ask(
                    guarded, method.upper(), concrete.replace("two", project), TOKEN, json=body
                )
                assert answer.status_code == 403, (method, path, answer.text)
                assert "two" not in answer.text
            for token in (None, "wrong", TOKEN + "x", TOKEN[:-1], "ü"):
                headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
                answer = ask(guarded, method.upper(), concrete, headers=headers, json=body)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            tried += 1
    assert tried > 20
    # An entry's number is no way in either.
    reached = ask(guarded, "POST", f"/v1/projects/one/entries/{number}/adjust", TOKEN,
                  json={"amount": "-1", "reason": "x"})  # fmt: skip
    assert reached.status_code == 404
    reached = ask(guarded, "POST", f"/v1/projects/one/accounts/a/holds/{number}/settle", TOKEN,
                  json={"cost": "1"})  # fmt: skip
    assert reached.status_code == 404


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "BEARER", ""])
def test_the_scheme(guarded, scheme):
    headers = {"Authorization": f"{scheme} {TOKEN}".strip()}
    answer = ask(guarded, "GET", "/v1/projects/one/accounts", headers=headers)
    assert answer.status_code == (200 if scheme.lower() == "bearer" else 401)


def test_litellm_with_a_token(guarded):
    ask_for = {"project_name": "one"}
    assert ask(guarded, "POST", "/get_budget", TOKEN, json=ask_for).status_code == 200


def test_oversized_bodies_are_not_read(guarded):
    path, body = "/v1/projects/one/accounts/big/charges", b'{"cost": 1, "tags": {"x": "%s"}}'
    kind = {"Content-Type": "application/json"}
    fits = body % (b"x" * (LIMIT - len(body) + 2))
    assert len(fits) == LIMIT
    assert ask(guarded, "POST", path, TOKEN, headers=kind, content=fits).status_code == 201
    over = fits + b" "
    assert ask(guarded, "POST", path, TOKEN, headers=kind, content=over).status_code == 413

    def endless():
        for _ in range(100):
            yield b" " * 1000

    answer = ask(guarded, "POST", path, TOKEN, headers=kind, content=endless())
    assert answer.status_code == 413
    answer = ask(guarded, "POST", "/set_budget", TOKEN, headers=kind, content=over)
    assert answer.status_code == 413
    assert ask(guarded, "POST", "/set_budget", headers=kind, content=over).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_without_tokens_it_starts_on_no_other_address(tmp_path, monkeypatch, host):
    def never(config):  # whatever becomes of the rule, this test listens nowhere
        raise AssertionError(f"it would have listened on {config.host}")

    monkeypatch.setattr(uvicorn.Config, "bind_socket", never)
    monkeypatch.delenv("BUDGETLEDGER_TOKENS", raising=False)
    options = ["serve", "--host", host, "--db", str(tmp_path / "x.db")]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2, done.exception
    assert "--tokens" in done.output
    assert not list(tmp_path.iterdir())


def test_tokens_of_the_environment(serve):
    server = serve(tokens=f"one:{TOKEN} two:{OTHER}")
    assert ask(server, "GET", "/v1/projects/one/accounts", TOKEN).status_code == 200
    assert ask(server, "GET", "/v1/projects/one/accounts", OTHER).status_code == 403


def test_lines_of_tokens():
    digest = sha256(b"secret").hexdigest()
    tokens = Tokens(["team:a:one", f"b:sha256:{digest}", "b:two", "c:one", "  ", "# b:three"])
    assert tokens.projects_of("one") == {"team:a", "c"}
    assert tokens.projects_of("secret") == tokens.projects_of("two") == {"b"}
    assert tokens.projects_of("three") == tokens.projects_of("") == frozenset()
    assert tokens.projects_of(digest) == frozenset()
    assert "secret" not in repr(tokens)


@pytest.mark.parametrize(
    "line", ["secret-alone", "p:", ":secret", "p:two words", " : ", "p:sha256:ab"]
)
def test_lines_that_cannot_be_read_are_refused_unseen(line):
    with pytest.raises(InvalidInput) as raised:
        Tokens(["p:good", line])
    assert "secret" not in str(raised.value)
    assert "line 2" in str(raised.value)


def test_a_file_of_another_editor(tmp_path):
    (tmp_path / "tokens.txt").write_bytes("\ufeffp:one\r\nq:two\r\n".encode())
    tokens = Tokens.from_file(tmp_path / "tokens.txt")
    assert (tokens.projects_of("one"), tokens.projects_of("two")) == ({"p"}, {"q"})


def test_no_tokens_are_a_mistake(tmp_path):
    with pytest.raises(InvalidInput, match="no tokens"):
        Tokens(["# nothing"])
    with pytest.raises(InvalidInput, match="cannot be read"):
        Tokens.from_file(tmp_path / "none.txt")
