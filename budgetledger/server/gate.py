"""Whether a request may use a project, checked before the rest of the request is read."""

from __future__ import annotations

from starlette.requests import Request

from budgetledger.server.access_tokens import Tokens
from budgetledger.server.http import Refused

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """*tokens* None: every project is open to requests whose ``Host`` header is localhost.

    This keeps out web pages: a page that resolves its own domain to this machine has another
    ``Host``, and in requests that a page sends to localhost the browser names it as ``Origin``.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def projects(self, request: Request) -> frozenset[str] | None:
        """The projects that the request's token opens; None for all.

        Raises `Refused`: 401 without a valid token, 403 if the server has no tokens and the
        request is not from localhost.
        """
        if self._tokens is None:
            host = request.headers.get("host", "").lower()
            is_localhost = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
            origin = request.headers.get("origin")
            if is_localhost and (origin is None or origin.lower().partition("://")[2] == host):
                return None
            raise Refused(403, "Forbidden", "without tokens this server answers localhost only")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            projects = self._tokens.projects_of(token.strip())
            if projects:
                return projects
        raise Refused(
            401,
            "Unauthorized",
            "send the project's token: Authorization: Bearer <token>",
            WWW_Authenticate="Bearer",
        )

    def admit(self, request: Request, project: str) -> None:
        """Raise `Refused` unless the request may use *project*, whether or not it exists."""
        check_member(self.projects(request), project)


def check_member(projects: frozenset[str] | None, project: str) -> None:
    """Raise `Refused` with 403 if *project* is not in *projects*; None contains all."""
    if projects is not None and project not in projects:
        raise Refused(403, "Forbidden", "this token is not for that project")
