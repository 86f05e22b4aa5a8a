"""The two vocabularies this package carries; README.md beside this file says where from."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from base64 import b64decode
from importlib.resources import files
from typing import NamedTuple

from budgetledger.errors import BudgetledgerError


class Vocabulary(NamedTuple):
    """What tiktoken has of an encoding in its code; the ranks are in the file."""

    sha256: str  # of the unpacked file
    pattern: str
    special: dict[str, int]


# As in tiktoken 0.14.0; a test compares them with the installed one.
VOCABULARIES = {
    "o200k_base": Vocabulary(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
    "cl100k_base": Vocabulary(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
}


def ranks(name: str) -> dict[bytes, int]:
    """Unpack the ranks of ``name``: each token's bytes and its number.

    *Raises* ``BudgetledgerError`` when the file is missing or not byte for byte the published
    one; only reinstalling helps.
    """
    packed = files(__name__).joinpath(f"{name}.tiktoken.gz")
    try:
        raw = gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise BudgetledgerError(f"cannot read {packed}; reinstall budgetledger") from error
    if hashlib.sha256(raw).hexdigest() != VOCABULARIES[name].sha256:
        raise BudgetledgerError(f"{packed} is not what was published; reinstall budgetledger")
    return {b64decode(token): int(rank) for token, rank in map(bytes.split, raw.splitlines())}
