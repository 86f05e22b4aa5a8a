"""Exchanges with a budget server: bounded in time and size, never redirected.

Uses `httpcore2`, the transport under httpx2, for its network backend: the time-outs of httpx
bound each read, so a server that sends a byte now and then would keep its caller for ever.
Here one deadline bounds the whole exchange.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from budgetledger.errors import InvalidInput, ServerRefused, ServerUnavailable

if TYPE_CHECKING:
    import httpcore2

T = TypeVar("T")

_PAUSES = (0.2, 0.8)  # seconds before the second and the third try
_LONGEST_PAUSE = 5.0  # no retry if the server asks for a longer one
_MOST_BYTES = 64 * 2**20
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Answer(NamedTuple):
    """A server's answer: status, headers by lower-case name, and JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Server:
    """The server at *api_base*; safe to share between threads, and after a fork.

    *headers* go with every request and are never shown. *timeout*: seconds for one exchange,
    from connecting to the last byte.
    """

    _pool: tuple[int, httpcore2.ConnectionPool] | None = None  # with the id of its process

    def __init__(
        self, api_base: str | None, headers: Mapping[str, str] | None, timeout: float
    ) -> None:
        self.address = checked_address(api_base)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidInput(f"timeout must be seconds above 0, got {timeout!r}; pass 10")
        self._timeout = timeout
        self._headers = _checked_headers(headers)
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"Server({self.address!r})"

    def post(self, path: str, document: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send *document* as JSON; returns answers with status 2xx and 4xx.

        Raises `ServerUnavailable` if a retry may help (the request may have taken effect), else
        `ServerRefused`.
        """
        return self.request("POST", path, document, headers)

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`post`, with any method."""
        import httpcore2

        body = None if document is None else json.dumps(document, allow_nan=False).encode()
        timeout = self._timeout + _deadline.more
        _deadline.at = time.monotonic() + timeout
        try:
            with self._connections().stream(
                method,
                self.address + path,
                headers=[*self._headers.items(), *(headers or {}).items()],
                content=body,
                extensions={"timeout": dict.fromkeys(("connect", "pool"), self._timeout)},
            ) as response:
                received = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                content = self._read(path, response.iter_stream())
                return self._answer(path, response.status, received, content)
        except httpcore2.TimeoutException as error:
            raise self._unavailable(
                f"{self._named(path)} did not answer within {timeout:g} s"
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            what = str(error) or type(error).__name__
            raise self._unavailable(f"{self._named(path)} cannot be reached ({what})") from error

    @contextmanager
    def allowing(self, seconds: float) -> Iterator[None]:
        """Let requests of this thread in the block take so many seconds longer."""
        _deadline.more = seconds
        try:
            yield
        finally:
            _deadline.more = 0.0

    def retrying(self, operation: Callable[[], T]) -> T:
        """Run *operation*, up to three times while the server is unavailable."""
        for pause in _PAUSES:
            try:
                return operation()
            except ServerUnavailable as error:
                retry_after = error.retry_after or 0.0
                if retry_after > _LONGEST_PAUSE:
                    raise
                time.sleep(max(retry_after, pause * random.uniform(0.5, 1.5)))
        return operation()

    def refused(self, path: str, answer: Answer) -> ServerRefused:
        """The error for an answer 4xx."""
        if answer.status in (401, 403):
            advice = "pass its credentials as headers="
        elif answer.status in (404, 405):
            advice = "check api_base="
        else:
            advice = "correct what its answer names"
        return ServerRefused(
            f"{self._named(path)} answered {answer.status} ({_shown(answer.document)}); {advice}",
            target=self.address,
            status=answer.status,
        )

    def misunderstood(self, path: str, document: object) -> ServerRefused:
        """The error for an answer that is not of the protocol."""
        return ServerRefused(
            f"{self._named(path)} sent an unexpected answer ({_shown(document)}); "
            "check that api_base= is a budget server",
            target=self.address,
            status=200,
        )

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and pool[0] == os.getpid():
            pool[1].close()

    def __del__(self) -> None:
        self.close()

    def _connections(self) -> httpcore2.ConnectionPool:
        with self._opening:
            if self._pool is None or self._pool[0] != os.getpid():  # a fork shares no socket
                self._pool = os.getpid(), _open_pool(self.address)
            return self._pool[1]

    def _read(self, path: str, chunks: Iterable[bytes]) -> bytes:
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if len(content) > _MOST_BYTES:
                raise ServerRefused(
                    f"{self._named(path)} answered more than {_MOST_BYTES >> 20} MiB; "
                    "check api_base=",
                    target=self.address,
                    status=None,
                )
        return bytes(content)

    def _answer(self, path: str, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        if 300 <= status < 400:
            target = headers.get("location", "nowhere").partition("?")[0]
            raise ServerRefused(
                f"{self._named(path)} redirects to {target[:200]!r}; redirects are not followed, "
                "as the data to save could be lost; set api_base= to the right address",
                target=self.address,
                status=status,
            )
        try:
            document = json.loads(content, parse_constant=_no_number)
        except (ValueError, RecursionError):
            document = None
        if status in _PASSING or status >= 500:
            what = content[:120] if document is None else document
            raise self._unavailable(
                f"{self._named(path)} answered {status} ({_shown(what)})",
                status,
                _seconds(headers.get("retry-after")),
            )
        if document is None and status < 300:
            kind = headers.get("content-type", "no content type")
            raise ServerRefused(
                f"{self._named(path)} answered without JSON ({kind:.60}: {_shown(content[:120])}); "
                "check that api_base= is a budget server",
                target=self.address,
                status=status,
            )
        return Answer(status, headers, _shown(content[:120]) if document is None else document)

    def _unavailable(
        self, what: str, status: int | None = None, retry_after: float | None = None
    ) -> ServerUnavailable:
        return ServerUnavailable(
            f"{what}; try again later",
            target=self.address,
            status=status,
            retry_after=retry_after,
        )

    def _named(self, path: str) -> str:
        return f"the budget server {self.address}{path}"


def checked_address(api_base: object) -> str:
    """*api_base* without slashes at its end. Raises `InvalidInput`."""
    if api_base is None or api_base == "":
        raise InvalidInput(
            "client_type='hosted' needs the address of a budget server; pass for example "
            "api_base='http://127.0.0.1:8787', where `budgetledger serve` listens"
        )
    what = "api_base must be an address such as 'https://budgets.example.com'"
    if not isinstance(api_base, str):
        raise InvalidInput(f"{what}, got {type(api_base).__name__}")
    try:
        parts = urlsplit(api_base)
        usable = parts.port != 0  # raises for an invalid port
    except ValueError:
        parts, usable = urlsplit(""), False
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(f"{what}, without credentials; pass those as headers=")
    if not usable or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{what}, got {api_base[:100]!r}")
    if parts.query or parts.fragment:
        raise InvalidInput(f"{what}, without '?' or '#', got {api_base.partition('?')[0][:100]!r}")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    checked = {"content-type": "application/json", "accept": "application/json"}
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidInput(f"headers has the invalid name {name!r:.60}; pass HTTP header names")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput(f"headers[{name!r}] must be one line of Latin-1 text; pass a str")
        checked[name.lower()] = value
    return checked


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a ``Retry-After``; its date form is ignored."""
    return float(retry_after) if retry_after and re.fullmatch("[0-9]{1,9}", retry_after) else None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class _Deadline(threading.local):
    """When the exchange of this thread must end, in `time.monotonic` seconds.

    ``more``: how many seconds longer than usual it may take.
    """

    at = more = 0.0

    def left(self, error: type[Exception]) -> float:
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise error
        return seconds


_deadline = _Deadline()


def _open_pool(address: str) -> httpcore2.ConnectionPool:
    from urllib.request import getproxies, proxy_bypass

    import httpcore2

    class Stream(httpcore2.NetworkStream):
        def __init__(self, inner: httpcore2.NetworkStream) -> None:
            self._inner = inner

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return self._inner.read(max_bytes, _deadline.left(httpcore2.ReadTimeout))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._inner.write(buffer, _deadline.left(httpcore2.WriteTimeout))

        def close(self) -> None:
            self._inner.close()

        def start_tls(self, *arguments: Any, **named: Any) -> httpcore2.NetworkStream:
            return Stream(self._inner.start_tls(*arguments, **named))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

    class Backend(httpcore2.SyncBackend):
        def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore2.NetworkStream:
            return Stream(super().connect_tcp(*arguments, **named))

    parts = urlsplit(address)
    url = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
    return httpcore2.ConnectionPool(
        proxy=None if url is None else _proxy(url),
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=30,
        network_backend=Backend(),
    )


def _proxy(url: str) -> httpcore2.Proxy:
    """The proxy from the environment, with its URL read as curl reads it."""
    import httpcore2

    parts = urlsplit(url if "://" in url else f"http://{url}")
    auth = (parts.username, parts.password or "") if parts.username else None
    return httpcore2.Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", auth=auth)
