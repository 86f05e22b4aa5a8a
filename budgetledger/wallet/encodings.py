"""Compressed bodies: gzip, deflate, and zstd where the package ``zstandard`` is installed."""

from __future__ import annotations

import zlib
from typing import Any, Protocol


class Decoder(Protocol):
    """Decodes a body piece by piece."""

    def decompress(self, data: bytes, /) -> bytes:
        """The next part of the body."""


class UnknownEncoding(Exception):
    """The body cannot be read; it has this content coding."""


class _Plain:
    def decompress(self, data: bytes, /) -> bytes:
        return data


class _Deflate:
    """zlib's format, or the bare one that some servers send under this name."""

    def __init__(self) -> None:
        self._zlib: Any = None

    def decompress(self, data: bytes, /) -> bytes:
        if self._zlib is None:
            is_bare = data[:1] and data[0] & 0x0F != 8
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS)
        decoded: bytes = self._zlib.decompress(data)
        return decoded


def decoder(encoding: str) -> Decoder:
    """The decoder of a ``Content-Encoding``. Raises `UnknownEncoding`."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Deflate()
    if name == "zstd" and (made := _zstd()) is not None:
        return made
    raise UnknownEncoding(encoding)


def decoded(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """A whole body. Raises `UnknownEncoding`, or `ValueError` if it is damaged or too large."""
    reading, parts, size = decoder(encoding), [], 0
    try:
        for at in range(0, len(body), 65536):
            parts.append(reading.decompress(body[at : at + 65536]))
            size += len(parts[-1])
            if size > most_bytes:
                raise ValueError(f"the body has more than {most_bytes} bytes")
    except ValueError:
        raise
    except Exception as error:  # zlib.error, and those of other packages
        raise ValueError(f"the body is not {encoding}: {error}") from None
    return b"".join(parts)


def acceptable(accepted: bytes) -> bytes:
    """An ``Accept-Encoding`` without codings that cannot be read here; ``identity`` if none is."""
    codings = (part.strip() for part in accepted.split(b","))
    kept = [part for part in codings if _is_known(part.partition(b";")[0].strip())]
    return b", ".join(kept) or b"identity"


def _is_known(name: bytes) -> bool:
    try:
        decoder(name.decode("latin-1"))
    except UnknownEncoding:
        return False
    return name != b""


def _zstd() -> Decoder | None:
    try:
        import zstandard
    except ModuleNotFoundError:
        return None
    return zstandard.ZstdDecompressor().decompressobj()
