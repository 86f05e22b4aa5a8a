"""The bound on other vendors' tokens, against counts of their own tokenizers.

``measured.json`` has the counts of ``benchmarks/bounds.py`` for each chunk of ``corpora()``: of
DeepSeek V4, Gemma 3 and Gemini, Llama 3.1, Mistral's Tekken and its SentencePiece vocabularies by
the vendors' tokenizers, and of Claude up to 4.6 and since 4.7 by ctok 1.3, which reproduces the
answers of Anthropic's count_tokens.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from corpora import corpora

from budgetledger import count_tokens

MEASURED = json.loads((Path(__file__).parent / "measured.json").read_text("utf-8"))
CORPORA = corpora()

# The bound over the true count as a whole, at most, in percent; measured to the percent.
#   family: model, English, code, the worst of the other kinds
TABLE = {
    "CLAUDE_OLD": ("claude-opus-4-5", 138, 128, 277),  # Amharic
    "CLAUDE": ("claude-opus-5", 141, 128, 294),  # digits
    "GEMINI": ("gemini-3-pro", 142, 121, 243),  # blanks
    "DEEPSEEK": ("deepseek-chat", 131, 121, 206),  # Chinese
    "LLAMA": ("llama-3.3-70b", 136, 122, 253),  # Vietnamese
    "TEKKEN": ("mistral-large-latest", 126, 137, 410),  # Tamil
    "SENTENCEPIECE": ("mixtral-8x7b", 144, 116, 188),  # symbols
}


def test_the_corpus_is_the_one_that_was_measured() -> None:
    assert sha256(json.dumps(CORPORA).encode()).hexdigest() == MEASURED["sha256"]
    assert TABLE.keys() == MEASURED["counts"].keys()
    for counts in MEASURED["counts"].values():
        assert {kind: len(of_kind) for kind, of_kind in counts.items()} == {
            kind: len(chunks) for kind, chunks in CORPORA.items()
        }


@cache
def bounds(model: str, kind: str) -> list[int]:
    return [count_tokens(model, text=chunk).at_most for chunk in CORPORA[kind]]


@pytest.mark.parametrize("family", TABLE)
def test_the_bound_covers_999_of_1000_chunks(family: str) -> None:
    model, *_ = TABLE[family]
    beyond, chunks = [], 0
    for kind, counts in MEASURED["counts"][family].items():
        chunks += len(counts)
        pairs = zip(bounds(model, kind), counts, strict=True)
        beyond += [kind for bound, true in pairs if bound < true]
    assert len(beyond) <= chunks // 1000, beyond


@pytest.mark.parametrize("family", TABLE)
def test_the_bound_is_not_much_too_high(family: str) -> None:
    model, english, code, worst = TABLE[family]
    counts = MEASURED["counts"][family]
    percents = {
        kind: round(100 * sum(bounds(model, kind)) / sum(true)) for kind, true in counts.items()
    }
    assert max(percents["English"], percents["code"]) <= 150
    assert (percents["English"], percents["code"]) == (english, code)
    assert max(percents.values()) == worst


@pytest.mark.parametrize("family", TABLE)
def test_the_bound_of_a_whole_text_covers_it(family: str) -> None:
    model, *_ = TABLE[family]
    for kind, true in MEASURED["counts"][family].items():
        whole = count_tokens(model, text="".join(CORPORA[kind]))
        # A cut inside of a word adds up to two tokens to the chunks that it separates.
        assert whole.at_most > sum(true) - 2 * len(true), kind


@pytest.mark.parametrize("family", TABLE)
def test_what_to_expect_is_near_the_mean_of_english_and_code(family: str) -> None:
    model, *_ = TABLE[family]
    for kind in ("English", "code", "JSON", "CSV", "log"):
        expected = sum(count_tokens(model, text=chunk).tokens for chunk in CORPORA[kind])
        assert 0.8 < expected / sum(MEASURED["counts"][family][kind]) < 1.35, kind


@pytest.mark.parametrize("kind", CORPORA)
def test_an_unknown_model_is_held_for_like_the_most_expensive(kind: str) -> None:
    families = MEASURED["counts"].values()
    most = [max(counts) for counts in zip(*(family[kind] for family in families), strict=True)]
    beyond = sum(bound < true for bound, true in zip(bounds("some-model", kind), most, strict=True))
    assert beyond <= len(most) // 50
