"""No part of an answer waits until the client acknowledges another part (40 ms, on Linux)."""

from __future__ import annotations

import re
import subprocess

import alone
import httpx
import pytest

# uvloop sets the option by itself; asyncio only does for sockets that were made with a protocol.
SERVE_AND_PRINT = f"""
import socket
from budgetledger.server.idle_connections import Connection

made = Connection.connection_made


def print_option(self, transport):
    made(self, transport)
    connection = transport.get_extra_info("socket")
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), flush=True)


Connection.connection_made = print_option
{alone.COMMAND}
"""


@pytest.mark.parametrize("extra", ["server", "test"], ids=["asyncio", "uvloop"])
def test_connections_send_small_parts_at_once(extra, tmp_path):
    code = [*alone.python(extra), SERVE_AND_PRINT]
    with subprocess.Popen(
        [*code, "serve", "--port", "0", "--db", str(tmp_path / "spend.db")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            [url] = re.findall(r"http://\S+", server.stderr.readline())
            assert httpx.get(f"{url}/healthz").status_code == 200
            assert server.stdout.readline() == "1\n"
        finally:
            server.terminate()
