"""The accounts that a call through the LiteLLM Proxy counts against. Pure.

LiteLLM authenticates a key; the ``user`` of a request is a claim. The account of a claimed user is
therefore under that of the key, and no caller can form the name of another key's account: a key's
user cannot spend another key's money, nor avoid the budgets of the key and its team.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

_QUOTED = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "%/:*~"})
_LONGEST = 100


class ProxyCaller(NamedTuple):
    """The caller, by the names that the Proxy has for its key, team and users."""

    key: str | None = None
    """The key's alias, or else its hash; None for the master key, and without keys."""
    team: str | None = None
    user: str | None = None
    """The key's owner, LiteLLM's internal user."""
    end_user: str | None = None
    """The ``user`` that the request names."""


MASTER = "proxy:master"
"""The account of calls with the master key that name no user."""


def accounts_of(caller: ProxyCaller) -> tuple[str, ...]:
    """The account of the call and its ancestors, from the bottom up.

    ``key:app/alice`` < ``key:app`` < ``team:research``, or < ``bob`` for a key of bob's without a
    team; ``alice`` with the master key, which may name any user.
    """
    if caller.key is None:
        return (_quoted(caller.end_user),) if caller.end_user else (MASTER,)
    key = f"key:{_quoted(caller.key)}"
    accounts = [f"{key}/{_quoted(caller.end_user)}"] if caller.end_user else []
    accounts.append(key)
    if caller.team:
        accounts.append(f"team:{_quoted(caller.team)}")
    elif caller.user:
        accounts.append(_quoted(caller.user))
    return tuple(accounts)


def _quoted(name: str) -> str:
    """*name* with the characters escaped that structure account names, and a long one hashed."""
    if len(name) <= _LONGEST:
        return name.translate(_QUOTED)
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{name[:_LONGEST].translate(_QUOTED)}~{digest}"
