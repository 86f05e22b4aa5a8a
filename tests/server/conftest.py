"""A real server in a process of its own, on a port that is free."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from typing import NamedTuple
from uuid import uuid4

import alone
import httpx
import pytest


class Server(NamedTuple):
    url: str
    process: subprocess.Popen
    path: str
    said: list[str]
    project: str = "test_project"

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Start ``budgetledger serve`` with more options, as its extras alone run it; end it later."""
    started = []

    def start(*options, path=None, tokens=None):
        path = str(path or tmp_path_factory.mktemp("served") / "served.db")
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        environment.pop("BUDGETLEDGER_TOKENS", None)
        if tokens:
            environment["BUDGETLEDGER_TOKENS"] = tokens
        process = subprocess.Popen(
            [*alone.command("server", "postgres"), "serve", "--db", path, "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        said = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"on (http://\S+)", line)
            if found:
                break
        else:
            raise AssertionError(f"the server did not start: {''.join(said)}")
        reading = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
        reading.start()
        server = Server(found[1], process, path, said)
        started.append((server, reading))
        with httpx.Client() as client:
            assert client.get(f"{server.url}/healthz").json() == {"status": "ok"}
        return server

    yield start
    for server, reading in started:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(20)
        reading.join(5)
        server.process.stderr.close()


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def shared(request, serve):
    """A server of a file, or of a schema of its own on a PostgreSQL server."""
    if request.param == "sqlite":
        yield serve()
        return
    schema = f"{request.getfixturevalue('postgres_url')}schema=served_{uuid4().hex}"
    server = serve(path=schema)
    yield server
    server.stop()


@pytest.fixture
def server(shared):
    """The module's server, and a project of the test's own on it."""
    return shared._replace(project=uuid4().hex)
