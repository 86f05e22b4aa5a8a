"""Which vocabulary a model's prompts are counted in, and how exactly: by rules, not by a list.

A name is read as people write it: in any case, behind a provider (``openrouter/openai/gpt-4o``,
``azure/eu/gpt-4o``, ``us.openai.gpt-oss-120b-1:0``), fine-tuned (``ft:gpt-4o:org::id``), dated.
A new OpenAI model is taken to have o200k, as all have had since 2024.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from budgetledger.tokens import image_tokens, vocabulary_weights
from budgetledger.tokens.attachments import PAGE_TOKENS
from budgetledger.tokens.image_tokens import ImageRule
from budgetledger.tokens.vocabulary_weights import Weights

_LONGEST_NAME = 256  # the rest of a longer name is not read


class Family(NamedTuple):
    """How the prompts of a model are counted.

    ``encoding``: the vocabulary. ``weights``: what the model's own makes of a text counted in it;
    None if it is the model's own. ``low_percent``: the fewest tokens for 100 of the vocabulary's.
    ``method``: as in ``TokenCount``, for text. ``frame_tokens`` and ``tool_tokens``: what the
    vendor adds to a chat, and to a call with tools. ``page_tokens``: of a document's page, at
    most. ``is_openai``: whether OpenAI's formulas for chat and tools apply.
    """

    encoding: str
    images: ImageRule
    weights: Weights | None = None
    low_percent: int = 100
    method: str = "exact"
    frame_tokens: int = 0
    tool_tokens: tuple[int, int] = (0, 0)
    is_openai: bool = False
    page_tokens: int = PAGE_TOKENS


_CL100K = re.compile(
    r"gpt-?3\.?5|gpt-?4(?![\w.]|-[15o](?!\w))|text-embedding-(3-|ada-002)|(davinci|babbage)-002"
)
_O200K = re.compile(
    r"gpt-(?!2(?![\d.])|3|j-|neo)|gpt\d|chatgpt-|codex-|computer-use|o\d(?![a-z\d])"
)
_INSIDE = re.compile(rf"(?<![a-z\d])(?:{_CL100K.pattern}|{_O200K.pattern})")
_VENDOR = re.compile(r"(?:[a-z]+\.)?openai\.")  # Bedrock's spelling
_CLAUDE_VERSION = re.compile(r"claude\D*?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_GEMINI_VERSION = re.compile(r"gemini-(\d{1,2})(?!\d)")

# Models that have the vocabulary of 32,000 pieces which Llama 2 and Mistral 7B began with, by
# Mistral's own list (mistral-common 1.13, MODEL_NAME_TO_TOKENIZER_CLS). ``mistral`` is Ollama's.
_SENTENCEPIECE = re.compile(
    r"(?<!o)llama-?2|codellama|mixtral|mathstral|mistral-(7b|tiny|embed)|codestral-(22b|2405|mamba)"
    r"|(mistral|pixtral)-(small|medium|large)\W?2[34](?!09)\d\d(?!\d)"
    r"|mistral(:|$)"
)
# The weights, and the fewest tokens for 100 of o200k in English prose and code.
_OTHERS = (
    (re.compile(r"distill"), vocabulary_weights.OTHER, 96),  # the vocabulary of another model
    (re.compile(r"deepseek"), vocabulary_weights.DEEPSEEK, 102),
    (_SENTENCEPIECE, vocabulary_weights.SENTENCEPIECE, 102),
    (
        re.compile(r"[mn]istral|codestral|magistral|devstral|pixtral|voxtral"),
        vocabulary_weights.TEKKEN,
        102,
    ),
    (re.compile(r"(?<!o)llama"), vocabulary_weights.LLAMA, 96),
)

# gpt-oss is served with a system message of its own (openai-harmony, about 70 tokens).
_HARMONY_TOKENS = 80
# Anthropic's instructions for tools (platform.claude.com, tool use, pricing, 2026-11), by model
# and tool_choice: 159 to 589 tokens up to Claude 4.6, 290 to 804 since.
_CLAUDE_TOOLS_OLD, _CLAUDE_TOOLS = (159, 589), (290, 804)
# A page of a document is an image (ai.google.dev, document-processing and media-resolution,
# 2026-11): 258 tokens up to Gemini 2.5, at most 1,120 since.
_GEMINI_PAGE_OLD, _GEMINI_PAGE = 258, 1120


@lru_cache(maxsize=1024)
def family_of(model: str) -> Family:
    """The family of a model by any name, also an unknown one."""
    name = model[:_LONGEST_NAME].strip().lower()
    base = name.rpartition("/")[2]
    base = _VENDOR.sub("", base, count=1) if _VENDOR.match(base) else base
    base = base.removeprefix("ft:").partition(":")[0]
    if _CL100K.match(base) or _O200K.match(base):
        return _openai(base, "exact")
    if "claude" in name:
        version = _CLAUDE_VERSION.search(name)
        if version and (int(version[1]), int(version[2] or 0)) <= (4, 6):
            images, weights = image_tokens.CLAUDE_OLD, vocabulary_weights.CLAUDE_OLD
            return _proxy(images, weights, 110, _CLAUDE_TOOLS_OLD)
        return _proxy(image_tokens.CLAUDE, vocabulary_weights.CLAUDE, 145, _CLAUDE_TOOLS)
    if "gemini" in name or "gemma" in name:
        generation = _GEMINI_VERSION.search(name)
        is_new = generation is not None and int(generation[1]) >= 3
        rule: ImageRule = image_tokens.GEMINI if is_new else image_tokens.GEMINI_OLD
        pages = _GEMINI_PAGE if is_new else _GEMINI_PAGE_OLD
        return _proxy(rule, vocabulary_weights.GEMINI, 106)._replace(page_tokens=pages)
    for pattern, weights, low in _OTHERS:
        if pattern.search(name):
            return _proxy(image_tokens.OTHER, weights, low)
    inside = _INSIDE.search(base)  # a deployment named after what it serves
    if inside:
        return _openai(base[inside.start() :], "estimate")
    return _proxy(image_tokens.OTHER, vocabulary_weights.OTHER, 96)._replace(method="estimate")


def _proxy(
    images: ImageRule, weights: Weights, low_percent: int, tool_tokens: tuple[int, int] = (0, 0)
) -> Family:
    """Another vendor's model, counted in o200k."""
    return Family(
        "o200k_base", images, weights, low_percent, method="proxy", tool_tokens=tool_tokens
    )


def _openai(base: str, method: str) -> Family:
    encoding = "cl100k_base" if _CL100K.match(base) else "o200k_base"
    frame_tokens = _HARMONY_TOKENS if base.startswith("gpt-oss") else 0
    images = image_tokens.openai_rule(base)
    return Family(encoding, images, method=method, frame_tokens=frame_tokens, is_openai=True)
