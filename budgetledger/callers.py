"""The user that metered calls count for, kept in a context variable by `Ledger.as_user`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.names import checked_name, to_json

__all__ = ["AsUser"]


class Caller(NamedTuple):
    """The user that a metered call counts for, with the tags and the key of its rows."""

    user: str | None = None
    tags: Mapping[str, Any] | None = None
    key: str | None = None

    def over(self, outer: Caller) -> Caller:
        """This caller, completed from `outer`. Tags are merged; those of this caller win."""
        tags = {**outer.tags, **self.tags} if outer.tags and self.tags else self.tags or outer.tags
        return Caller(
            outer.user if self.user is None else self.user,
            tags,
            outer.key if self.key is None else self.key,
        )

    def to_header(self) -> str:
        """Encode as ASCII text. Raises `InvalidInput` if the tags are not plain JSON values."""
        tags = None if self.tags is None else to_json(self.tags, "tags")
        return json.dumps([self.user, tags, self.key])

    @classmethod
    def from_header(cls, text: str) -> Caller:
        """Decode the text of `to_header`."""
        user, tags, key = json.loads(text)
        return cls(user, None if tags is None else json.loads(tags), key)

    def account(self) -> str:
        """The user. Raises `InvalidInput` if there is none."""
        if self.user is None:
            raise InvalidInput(
                "this call has no user to count for; pass user= to wrap, budget_user= to the call, "
                "or make it inside `with ledger.as_user(...)`"
            )
        return self.user


NOBODY = Caller()
"""The caller outside all `as_user` blocks."""
_current: ContextVar[Caller] = ContextVar("budgetledger_caller", default=NOBODY)


def current() -> Caller:
    """The caller of the innermost `as_user` block, completed from the blocks around it."""
    return _current.get()


def pop_caller(kwargs: dict[str, Any]) -> Caller:
    """Remove ``budget_user``, ``budget_tags`` and ``budget_key`` from `kwargs`; return them.

    The metered function itself does not accept these arguments.
    """
    user, tags, key = (kwargs.pop(f"budget_{name}", None) for name in ("user", "tags", "key"))
    return Caller(user, tags, key)


class AsUser:
    """The context manager that `Ledger.as_user` returns. Enter it once, with plain ``with``."""

    _entered: Token[Caller] | None = None

    def __init__(self, user: str, tags: Mapping[str, Any] | None, key: str | None) -> None:
        if key is not None:
            checked_name(key, "key")
        self._caller = Caller(checked_name(user, "account"), tags, key)

    def __enter__(self) -> None:
        if self._entered is not None:
            raise InvalidInput("as_user(...) was entered before; call it again for each `with`")
        # A key is for one call of one user, so the key of an outer block does not apply.
        outer = _current.get()._replace(key=None)
        self._entered = _current.set(self._caller.over(outer))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._entered is not None
        with suppress(ValueError):  # a generator may be closed in another context
            _current.reset(self._entered)
