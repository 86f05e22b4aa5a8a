"""Counting the tokens of plain text: the only home of tiktoken.

tiktoken would fetch its vocabularies over the network, with no time-out, at first use; the two
that matter are in ``vocabularies/`` instead, checked by sha256 and loaded when first needed
(o200k 0.3 s, cl100k 0.1 s). Text that looks like a special token is counted as the text it is.
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
"""Characters that are encoded at once: a much longer run of one kind makes tiktoken panic."""

_LOOK_BACK = 10_000


def encoder(encoding: str) -> Callable[[str], Sequence[int]]:
    """What turns text of up to ``CHUNK`` characters into tokens, without a step in between.

    It raises what tiktoken raises, as for a lone surrogate; ``count_text`` counts that too.
    """
    loaded = _loaded.get(encoding) or _load_once(encoding)
    encode: Callable[[str], Sequence[int]] = loaded._core_bpe.encode_ordinary
    return encode


def count_text(encoding: str, text: str) -> tuple[int, bool]:
    """Tokens of *text*, and whether that is exact; any text, in memory that does not grow with it.

    Not exact: where a run without any blank had to be cut, the pieces may have a few more.
    """
    loaded = _loaded.get(encoding) or _load_once(encoding)
    tokens, exact = 0, True
    for piece, clean in _chunks(text):
        try:
            tokens += len(loaded.encode_ordinary(piece))
            exact &= clean
        except BaseException as error:
            if not panicked(error):
                raise
            tokens, exact = tokens + _bytes(piece), False
    return tokens, exact


def panicked(error: BaseException) -> bool:
    """Whether it is a panic of tiktoken's own code, which is no ``Exception``."""
    return type(error).__name__ == "PanicException"


def _bytes(text: str) -> int:
    """As many tokens as a text can have at most: one for each byte."""
    return len(text.encode("utf-8", "surrogatepass"))


def _chunks(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a long text into pieces, and say of each whether its count stays exact.

    It does where the cut falls between a word and the blank after it: no token spans that.
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
    """The vocabulary, loaded by whichever thread comes first."""
    with _loading:
        if name not in _loaded:
            _loaded[name] = _load(name)
    return _loaded[name]


def _load(name: str) -> Encoding:
    from tiktoken import Encoding

    told = VOCABULARIES[name]
    return Encoding(
        name, pat_str=told.pattern, mergeable_ranks=ranks(name), special_tokens=told.special
    )


def _new_lock() -> None:
    global _loading
    _loading = Lock()


if hasattr(os, "register_at_fork"):  # a child must not wait for a thread it does not have
    os.register_at_fork(after_in_child=_new_lock)
