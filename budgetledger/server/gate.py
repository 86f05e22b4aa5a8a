"""Whether a request may use a project, decided before anything else of it is read."""

from __future__ import annotations

from starlette.requests import Request

from budgetledger.server.access_tokens import Tokens
from budgetledger.server.http import Refused

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """*tokens* None: everything is open, to requests that name this machine as their host.

    That keeps out web pages, which can lead a browser here under a name of their own, or under
    ours: then the browser says which page's request it is.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def projects(self, request: Request) -> frozenset[str] | None:
        """The projects the request's token opens; None for all. Raises `Refused` with 401."""
        if self._tokens is None:
            host = request.headers.get("host", "").lower()
            is_here = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
            origin = request.headers.get("origin")
            if is_here and (origin is None or origin.lower().partition("://")[2] == host):
                return None
            raise Refused(403, "Forbidden", "without tokens this server answers to localhost only")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            found = self._tokens.projects_of(token.strip())
            if found:
                return found
        raise Refused(
            401,
            "Unauthorized",
            "send the project's token: Authorization: Bearer <token>",
            WWW_Authenticate="Bearer",
        )

    def admit(self, request: Request, project: str) -> None:
        """Raise `Refused` unless the request may use *project*, whether or not there is one."""
        check_member(self.projects(request), project)


def check_member(projects: frozenset[str] | None, project: str) -> None:
    """Raise `Refused` with 403 if *project* is not among those that are open."""
    if projects is not None and project not in projects:
        raise Refused(403, "Forbidden", "this token is not for that project")
