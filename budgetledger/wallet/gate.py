"""Which requests are admitted, and for whom. Pure.

A wallet on this machine is reached by other users and by web pages too. What admits a request is a
secret in its path, which every client keeps; no client must be taught a header for it. A ``Host``
of another name is that of a page that resolves its own domain to this machine, and an ``Origin``
is that of a page at all: both are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import compare_digest
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

from budgetledger.wallet.calls import Payer
from budgetledger.wallet.exchange import Headers, header

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Denied(Exception):
    """The request is not admitted; *status* is 401, 403 or 404."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Admitted(NamedTuple):
    """For whom a request is made, and what follows: the segment of an upstream, and the path."""

    payer: Payer
    segment: str
    path: str


Gate: TypeAlias = Callable[[str, Headers], Admitted]
"""Admits a request by its path, percent-encoded, and its headers. Raises `Denied`."""


def secret_gate(secret: str, payer: Payer) -> Gate:
    """Admits paths that begin with *secret*, for one *payer*."""

    def admit(path: str, headers: Headers) -> Admitted:
        check_local(headers)
        given, rest = _split(path)
        if not compare_digest(given.encode(), secret.encode()):
            raise Denied(403, "this wallet belongs to another program")
        return Admitted(payer, *_split(rest))

    return admit


def labelled_gate(payer_of: Callable[[str, str, str], Payer], *, is_open: bool) -> Gate:
    """Admits paths ``/t/TOKEN/p/PROJECT/u/USER/...``, without what does not apply.

    *payer_of* returns the payer for token, project and user, each empty if it is left out. Raises
    `Denied`. *is_open*: there are no tokens, so only requests from this machine are admitted.
    """

    def admit(path: str, headers: Headers) -> Admitted:
        if is_open:
            check_local(headers)
        elif header(headers, b"origin"):
            raise Denied(403, "the wallet does not answer web pages")
        named = {"t": "", "p": "", "u": ""}
        segment, rest = _split(path)
        while segment in named and not named[segment]:
            value, rest = _split(rest)
            named[segment] = unquote(value, errors="surrogateescape")
            segment, rest = _split(rest)
        return Admitted(payer_of(named["t"], named["p"], named["u"]), segment, rest)

    return admit


def check_local(headers: Headers) -> None:
    """Raise `Denied` unless the request names this machine and comes from no web page."""
    host = header(headers, b"host").lower()
    is_local = host in _LOOPBACK or host.rpartition(":")[0] in _LOOPBACK
    if not is_local or header(headers, b"origin"):
        raise Denied(403, "the wallet answers programs on this machine, and no web pages")


def _split(path: str) -> tuple[str, str]:
    """The first segment, and the rest with its slash."""
    first, slash, rest = path.lstrip("/").partition("/")
    return first, slash + rest
