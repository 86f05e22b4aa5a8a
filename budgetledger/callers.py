"""What metered calls know of the code around them, in context variables.

The user that they count for, by `Ledger.as_user`; and the metered calls they are inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.names import checked_name, to_json

if TYPE_CHECKING:
    from budgetledger.entries import Entry

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


NO_CALLER = Caller()
"""The caller outside all `as_user` blocks."""
_current: ContextVar[Caller] = ContextVar("budgetledger_caller", default=NO_CALLER)


def current() -> Caller:
    """The caller of the innermost `as_user` block, completed from the blocks around it."""
    return _current.get()


def pop_caller(kwargs: dict[str, Any]) -> Caller:
    """Remove ``budget_user``, ``budget_tags`` and ``budget_key`` from `kwargs`; return them.

    The metered function itself does not accept these arguments.
    """
    user, tags, key = (kwargs.pop(f"budget_{name}", None) for name in ("user", "tags", "key"))
    return Caller(user, tags, key)


class Scope:
    """A metered call, as those inside it know it. Tasks and threads share it.

    *books*: the ledger and the project, to compare. *hold_id*: its hold.
    """

    def __init__(self, books: object, hold_id: int) -> None:
        self._books, self._hold_id = books, hold_id
        self._outer = _scope.get()
        self._inside: list[tuple[object, Entry]] = []

    def inside(self, account: str) -> list[Entry]:
        """What calls inside it recorded for *account* of the same ledger, oldest first."""
        return [
            entry
            for books, entry in tuple(self._inside)
            if books == self._books and entry.account == account
        ]

    def report(self, entry: Entry) -> None:
        """Tell the calls around it what it recorded."""
        outer = self._outer
        while outer is not None:
            outer._inside.append((self._books, entry))
            outer = outer._outer


def holds_around(books: object) -> tuple[int, ...]:
    """The holds of the metered calls around, in the ledger and project *books*."""
    hold_ids, scope = [], _scope.get()
    while scope is not None:
        if scope._books == books:
            hold_ids.append(scope._hold_id)
        scope = scope._outer
    return tuple(hold_ids)


@contextmanager
def enclosed(books: object, hold_ids: Sequence[int]) -> Iterator[None]:
    """A block inside metered calls of another process; *hold_ids*: as `holds_around` has them."""
    entered = []
    for hold_id in reversed(hold_ids):
        entered.append(_scope.set(Scope(books, hold_id)))
    try:
        yield
    finally:
        for token in reversed(entered):
            _scope.reset(token)


_scope: ContextVar[Scope | None] = ContextVar("budgetledger_scope", default=None)


class Inside:
    """Enters a scope: metered calls made until `leave`, in this context, are inside it.

    *drops_key*: the key of `AsUser` is for the call of the scope, and not for those inside.
    """

    def __init__(self, scope: Scope, *, drops_key: bool) -> None:
        self._entered = _scope.set(scope)
        caller = _current.get()
        drops_key = drops_key and caller.key is not None
        self._keyless = _current.set(caller._replace(key=None)) if drops_key else None

    def leave(self) -> None:
        """Back to the scope around, unless this is another context: a generator's may be."""
        with suppress(ValueError):
            _scope.reset(self._entered)
        if self._keyless is not None:
            with suppress(ValueError):
                _current.reset(self._keyless)


class Outside:
    """A context manager: code in its block is not inside *scope*, but where the scope itself is.

    For the reader of a stream: a generator's caller shares its context.
    """

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._left = None if self._scope is None else _scope.set(self._scope._outer)

    def __exit__(self, *error: object) -> None:
        if self._left is not None:
            with suppress(ValueError):  # read on, or closed, in another context
                _scope.reset(self._left)


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
