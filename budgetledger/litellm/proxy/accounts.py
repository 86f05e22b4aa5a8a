"""Whose budgets a call through the LiteLLM Proxy counts against. Pure.

A key is proved, the ``user`` of a request is only claimed. So what a caller claims is filed
under what was proved, by names of which no caller can make another's: one key's user can neither
spend another key's money nor leave the key's and the team's budgets.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

_QUOTED = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "%/:*~"})
_LONGEST = 100


class ProxyCaller(NamedTuple):
    """Who makes a call, as far as the Proxy knows: its own names for each."""

    key: str | None = None
    """The key's alias, or else its hash; None for the master key, and without keys."""
    team: str | None = None
    user: str | None = None
    """The key's owner, LiteLLM's internal user."""
    end_user: str | None = None
    """The ``user`` that the request names."""


MASTER = "proxy:master"
"""The account of calls with the master key that name no user."""


def account_line(caller: ProxyCaller) -> tuple[str, ...]:
    """The account of the call, and those above it: each the parent of the one before.

    ``key:app/alice`` < ``key:app`` < ``team:research``, or < ``bob`` for a key that is bob's
    and no team's; ``alice`` with the master key, which may speak for anyone.
    """
    if caller.key is None:
        return (_quoted(caller.end_user),) if caller.end_user else (MASTER,)
    key = f"key:{_quoted(caller.key)}"
    line = [f"{key}/{_quoted(caller.end_user)}"] if caller.end_user else []
    line.append(key)
    if caller.team:
        line.append(f"team:{_quoted(caller.team)}")
    elif caller.user:
        line.append(_quoted(caller.user))
    return tuple(line)


def _quoted(name: str) -> str:
    """*name* without the signs that mean something in ours; the rest of a long one as a hash."""
    if len(name) <= _LONGEST:
        return name.translate(_QUOTED)
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{name[:_LONGEST].translate(_QUOTED)}~{digest}"
