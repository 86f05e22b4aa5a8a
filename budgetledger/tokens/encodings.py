"""Plain text into tokens; the only module that imports tiktoken.

At first use tiktoken would fetch its vocabularies over the network, with no time-out. The two
that matter are in ``vocabularies/`` instead, checked by sha256 and loaded when first needed
(o200k 0.3 s, cl100k 0.1 s). Text that looks like a special token is counted as text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from budgetledger.tokens.vocabularies import VOCABULARIES, ranks

if TYPE_CHECKING:
    from tiktoken import Encoding

CHUNK = 100_000
"""The most characters encoded at once: a much longer run of one kind makes tiktoken panic."""

_LOOK_BACK = 10_000
_RAREST = 199_998  # the number of a token that occurs least


def encoder(encoding: str) -> Callable[[str], Sequence[int]]:
    """The function of tiktoken's core that encodes text of up to ``CHUNK`` characters.

    It raises what tiktoken raises, for example for a lone surrogate; ``count_text`` counts any.
    """
    loaded = _loaded.get(encoding) or _load_once(encoding)
    encode: Callable[[str], Sequence[int]] = loaded._core_bpe.encode_ordinary
    return encode


def count_text(
    encoding: str, text: str, note: Callable[[str, Sequence[int]], None] | None = None
) -> tuple[int, bool]:
    """Tokens of any *text*, and whether that is exact. Memory does not grow with the text.

    Not exact where a run without blanks had to be cut: the pieces may have a few tokens more.
    *note* is called for each piece of the text and the numbers of its tokens.
    """
    loaded = _loaded.get(encoding) or _load_once(encoding)
    tokens, exact = 0, True
    for piece, clean in _chunks(text):
        try:
            ids = loaded.encode_ordinary(piece)
            exact &= clean
        except BaseException as error:
            if not panicked(error):
                raise
            ids, exact = [_RAREST] * _bytes(piece), False
        tokens += len(ids)
        if note is not None:
            note(piece, ids)
    return tokens, exact


def token_bytes(encoding: str, token: int) -> bytes:
    """The UTF-8 that the token of this number stands for; its characters may be incomplete."""
    loaded = _loaded.get(encoding) or _load_once(encoding)
    return loaded.decode_single_token_bytes(token)


def panicked(error: BaseException) -> bool:
    """Whether this is a panic of tiktoken's Rust code, which is not an ``Exception``."""
    return type(error).__name__ == "PanicException"


def _bytes(text: str) -> int:
    """The most tokens a text can have: one for each byte."""
    return len(text.encode("utf-8", "surrogatepass"))


def _chunks(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a long text into pieces, each with whether its count stays exact.

    It does if the cut is between a word and the blank after it, which no token spans.
    """
    start = 0
    while len(text) - start > CHUNK:
        end = start + CHUNK
        cut = text.rfind(" ", end - _LOOK_BACK, end)
        while cut > 0 and text[cut - 1].isspace():
            cut = text.rfind(" ", end - _LOOK_BACK, cut)
        clean = cut > start
        end = cut if clean else end
        yield text[start:end], clean
        start = end
    yield text[start:], True


_loaded: dict[str, Encoding] = {}
_loading = Lock()


def _load_once(name: str) -> Encoding:
    """The vocabulary, loaded by the first thread that needs it."""
    with _loading:
        if name not in _loaded:
            _loaded[name] = _load(name)
    return _loaded[name]


def _load(name: str) -> Encoding:
    from tiktoken import Encoding

    vocabulary = VOCABULARIES[name]
    return Encoding(
        name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=ranks(name),
        special_tokens=vocabulary.special,
    )


def _new_lock() -> None:
    global _loading
    _loading = Lock()


if hasattr(os, "register_at_fork"):  # a child must not wait for a thread it does not have
    os.register_at_fork(after_in_child=_new_lock)
