"""Reads a caller's generator as a stream, and passes on what the reader sends or throws.

Each step runs in the scope of the metered call, and the reader's code does not.

A metered generator yields inside ``with proxy:`` and sets ``proxy.sent`` to the value that its
reader sent. At the next step the proxy passes that value, or an exception that the reader threw,
to the caller's generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any


class _GeneratorProxy:
    """Keeps what the reader sends and throws until the next step."""

    sent: Any = None
    thrown: BaseException | None = None
    _scope: AbstractContextManager[None]

    def __enter__(self) -> None:
        """Enter around the ``yield``, where the reader may throw an exception."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, GeneratorExit):
            return False
        self.thrown = error
        return True

    def _step(self, send: Callable[[Any], Any], throw: Callable[[BaseException], Any]) -> Any:
        sent, thrown = self.sent, self.thrown
        self.sent = self.thrown = None
        return send(sent) if thrown is None else throw(thrown)


class GeneratorProxy(_GeneratorProxy):
    """An iterator over a generator; ``returned`` is the generator's return value."""

    returned: Any = None

    def __init__(
        self, generator: Generator[Any, Any, Any], scope: AbstractContextManager[None]
    ) -> None:
        self._generator, self.close, self._scope = generator, generator.close, scope

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            with self._scope:
                return self._step(self._generator.send, self._generator.throw)
        except StopIteration as end:
            self.returned = end.value
            raise


class AsyncGeneratorProxy(_GeneratorProxy):
    """An asynchronous iterator over an asynchronous generator."""

    def __init__(
        self, generator: AsyncGenerator[Any, Any], scope: AbstractContextManager[None]
    ) -> None:
        self._generator, self.aclose, self._scope = generator, generator.aclose, scope

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        with self._scope:
            return await self._step(self._generator.asend, self._generator.athrow)
