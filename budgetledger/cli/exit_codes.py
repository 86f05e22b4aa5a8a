"""The exit codes of all commands: one table, which ``--help`` shows."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. click itself exits with 0, 1 and 2."""

    DONE = 0
    FAILED = 1
    MISUSED = 2
    EXCEEDED = 3
    DIFFERS = 4
    NEAR = 6


TEXTS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.MISUSED: "misused: a wrong command, option or value",
    ExitCode.EXCEEDED: "a budget is exceeded (status), or a call was refused (run)",
    ExitCode.DIFFERS: "verify found differences",
    ExitCode.NEAR: "a budget is near its limit (status)",
}


def listed() -> str:
    """The table, for the epilog of a help page."""
    rows = (f"  {int(code)}  {text}" for code, text in TEXTS.items())
    return "\n".join(("\b", "Exit codes:", *rows))
