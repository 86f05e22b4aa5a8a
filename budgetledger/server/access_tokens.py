"""Bearer tokens and the projects they open, stored and compared as sha256 digests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from os import PathLike
from pathlib import Path

from budgetledger.errors import InvalidInput
from budgetledger.names import checked_name

_LINE = re.compile(
    r"(?P<project>.+?):(?:sha256:(?P<digest>[0-9a-fA-F]{64})|(?P<token>(?<!:sha256:)[^\s:]+))"
)
_FORM = "write project:token, or project:sha256:<64 hex digits>, one per line"


class Tokens:
    """The tokens of all projects; a project may have several tokens, and a token several projects.

    *lines*: ``project:token``, or ``project:sha256:`` and the hex digest of the token; empty
    lines and lines that begin with ``#`` are skipped. Raises `InvalidInput`; the message never
    shows a line.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._digests: list[tuple[str, bytes]] = []
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                raise InvalidInput(f"line {number} of the tokens cannot be read; {_FORM}")
            digest = match["digest"]
            known = bytes.fromhex(digest) if digest else sha256(match["token"].encode()).digest()
            self._digests.append((checked_name(match["project"], "project"), known))
        if not self._digests:
            raise InvalidInput(f"there are no tokens; {_FORM}")

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Tokens:
        """Read the tokens in a file. Raises `InvalidInput`."""
        try:
            return cls(Path(path).read_text("utf-8-sig").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the tokens in {path} cannot be read: {error}") from error

    def projects_of(self, token: str) -> frozenset[str]:
        """The projects that *token* opens. Compares every token, in constant time."""
        digest = sha256(token.encode("utf-8", "surrogateescape")).digest()
        matches = [(project, compare_digest(digest, known)) for project, known in self._digests]
        return frozenset(project for project, matched in matches if matched)

    def __repr__(self) -> str:
        return f"<Tokens of {len({project for project, _ in self._digests})} projects>"
