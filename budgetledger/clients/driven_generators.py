"""Reads a caller's generator as a stream, and passes on what the reader sends or throws.

A metered generator yields inside ``with proxy:`` and sets ``proxy.sent`` to the value that its
reader sent. At the next step the proxy passes that value, or an exception that the reader threw,
to the caller's generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any


class _GeneratorProxy:
    """Keeps what the reader sends and throws until the next step."""

    sent: Any = None
    thrown: BaseException | None = None

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

    def __init__(self, generator: Generator[Any, Any, Any]) -> None:
        self._generator, self.close = generator, generator.close

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return self._step(self._generator.send, self._generator.throw)
        except StopIteration as end:
            self.returned = end.value
            raise


class AsyncGeneratorProxy(_GeneratorProxy):
    """An asynchronous iterator over an asynchronous generator."""

    def __init__(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generator, self.aclose = generator, generator.aclose

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self._step(self._generator.asend, self._generator.athrow)
