"""A real LiteLLM Proxy, started by the tests: its workers, its clients, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

STARTING_SECONDS = 180  # importing litellm three times, on a busy machine
VERSION = tuple(int(part) for part in version("litellm").split(".")[:2])
# Before 1.94 the Proxy loads a callback only from a file beside its configuration.
CALLBACK = "budgetledger.proxy.handler" if VERSION >= (1, 94) else "callback.handler"


class RunningProxy(NamedTuple):
    """``url``, the id of its first process, and the folder it runs in, with ``proxy.log``."""

    url: str
    pid: int
    folder: Path

    def wait_for_workers(self, count: int) -> set[int]:
        """The processes that answer requests, once they are so many."""
        until = time.monotonic() + STARTING_SECONDS
        while True:
            log = (self.folder / "proxy.log").read_text()
            started = {pid for pid in self._children() if f"Started server process [{pid}]" in log}
            all_are_up = log.count("Started server") == log.count("startup complete")
            if len(started) == count and all_are_up:
                return started
            assert time.monotonic() < until, f"{started} are up:\n{log[-4000:]}"
            time.sleep(0.2)

    def _children(self) -> set[int]:
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "command="],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        return {
            int(pid) for pid, parent, command in rows
            if int(parent) == self.pid and "spawn_main" in command
        }  # fmt: skip


@contextlib.contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[RunningProxy]:
    """``litellm`` with *arguments* in *folder*, on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("litellm")), *_known(arguments)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    (folder / "callback.py").write_text("from budgetledger.proxy import handler\n")
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process, log)
        yield RunningProxy(url, process.pid, folder)
    finally:
        _end(process)


def _known(arguments: tuple[str, ...]) -> list[str]:
    """*arguments* without the one that the oldest Proxies do not know, and then one worker.

    Without it, uvicorn kills workers that take over 5 s to import LiteLLM.
    """
    program = find_spec("litellm.proxy.proxy_cli")
    assert program is not None
    assert program.origin is not None
    kept, option = list(arguments), "--timeout_worker_healthcheck"
    if option in kept and option not in Path(program.origin).read_text():
        del kept[kept.index(option) : kept.index(option) + 2]
        kept[kept.index("--num_workers") + 1] = "1"
    return kept


def _wait_until_up(url: str, process: Any, log: Path) -> None:
    until = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/liveliness", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(
                    f"the Proxy did not start:\n{log.read_text()[-4000:]}"
                ) from None
            time.sleep(0.2)


def _end(process: Any) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own group, of this session's start
        process.wait(20)
