"""The environment and the arguments of a program that runs with a wallet. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import basename

from budgetledger.wallet.keys import StandIn
from budgetledger.wallet.upstreams import variables

_LOCAL = "127.0.0.1,localhost"


def environment(
    around: Mapping[str, str], root: str, stand_ins: Sequence[StandIn]
) -> dict[str, str]:
    """The variables of the program. *around*: those of the command itself."""
    inside = {**around, **variables(around, root)}
    inside |= {key.variable: key.fake for key in stand_ins}
    for name in "NO_PROXY", "no_proxy":
        before = around.get(name)
        if before != "*":
            inside[name] = f"{before},{_LOCAL}" if before else _LOCAL
    # Behind another base URL Claude Code sends all its tools with each call: 125 kB instead of 86.
    inside.setdefault("ENABLE_TOOL_SEARCH", "true")
    return inside


def arguments(command: Sequence[str], root: str) -> list[str]:
    """*command*, with what a program needs that takes no variable for its base URL."""
    if _name(command[0]) == "codex":  # ignores OPENAI_BASE_URL (0.171, 2026-11)
        base = f'openai_base_url="{root}/openai/v1"'
        return [command[0], "-c", base, *command[1:]]
    return list(command)


def program_name(command: Sequence[str]) -> str:
    """The name of the program, without its folder."""
    return _name(command[0])


def _name(program: str) -> str:
    name = basename(program.replace("\\", "/"))
    stem, dot, ending = name.rpartition(".")
    return stem if dot and ending.lower() in ("exe", "cmd", "bat") else name
