"""How many tokens a prompt has, counted on this machine: the only home of tiktoken.

tiktoken would fetch its vocabularies over the network, with no time-out, at first use; the two
that matter are in ``vocabularies/`` instead, checked by sha256 and loaded when first needed
(o200k 0.3 s, cl100k 0.1 s). Text that looks like a special token is counted as the text it is.

The chat and tool formulas are those of OpenAI's cookbook (How_to_count_tokens_with_tiktoken),
which compares them with what the API answered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.vocabularies import VOCABULARIES, ranks

if TYPE_CHECKING:
    from tiktoken import Encoding


class TokenCount(NamedTuple):
    """``tokens``, and ``method``, how they were counted.

    ``exact``: the model's own vocabulary and a formula checked against the API. ``proxy``:
    another vendor's model, by OpenAI's o200k times the factor measured for its family, at its
    upper end. ``estimate``: images, tools, structured values, a model of unmeasured family, or
    a run without any blank that had to be cut.
    """

    tokens: int
    method: str


_CL100K = re.compile(r"gpt-3\.?5|gpt-4(?![\w.])|text-embedding-|(davinci|babbage)-002")
_O200K = re.compile(r"gpt-|chatgpt-|codex-|computer-use-|o\d")

# True tokens per 100 o200k tokens of the same English prose and code, the upper end of what was
# measured (2026-11), so that a hold is rather too large: Claude up to 4.6 110-129, later 145-182;
# Gemini 106-134; Llama 3 96-100; Mistral 102-119; DeepSeek 102-109.
_FAMILIES = (
    (re.compile(r"deepseek"), 109),
    (re.compile(r"[mn]istral|mixtral|codestral|magistral|devstral|pixtral"), 119),
    (re.compile(r"llama"), 100),
    (re.compile(r"gemini"), 134),
)
_CLAUDE_OLD, _CLAUDE_NEW, _UNMEASURED = 129, 182, 134
_CLAUDE_VERSION = re.compile(r"claude\D*?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")

# An image of unknown size: tokens at low detail, and otherwise. OpenAI's tiles at 1024 x 1024
# (85 + 4 * 170; 33 times that on gpt-4o-mini), the 1,536-patch ceiling times 2.46 on the other
# small models; Claude's ceiling of about 1,600.
_IMAGES = (
    (re.compile(r"gpt-4o-mini"), (2833, 25501)),
    (re.compile(r"gpt.*-(mini|nano)|o4-mini"), (630, 3779)),
    (re.compile(r"claude"), (1600, 1600)),
    (re.compile(r""), (85, 765)),
)

# A run of one kind of character much longer than this makes tiktoken panic.
_CHUNK = 100_000
_LOOK_BACK = 10_000


def count_tokens(
    model: str,
    *,
    messages: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> TokenCount:
    """Count the prompt tokens of chat ``messages``, or of one ``text``, and of ``tools``.

    ``model`` may carry a provider (``openai/gpt-4o``) and be of any case. Messages are dicts, or
    the message objects clients return. Nothing is fetched, nothing is sent, no text is kept.

    *Raises* ``InvalidInput`` unless exactly one of messages and text is given, the model is a
    name and the messages are messages. Retrying does not help.
    """
    if not isinstance(model, str) or not model.strip():
        raise InvalidInput("model must be a non-empty name, e.g. 'gpt-4o'")
    if (messages is None) == (text is None):
        raise InvalidInput("give either messages= or text=, and not both")
    name = model.strip().lower()
    encoding, percent, method = _tokenizer(name)
    tally = _Tally(name, encoding)
    try:
        if messages is not None:
            tally.messages(messages)
        elif isinstance(text, str):
            tally.text(text)
        else:
            raise InvalidInput(f"text must be a str, not {type(text).__name__}")
        if tools:
            tally.tools(tools)
    except (RecursionError, TypeError, AttributeError) as error:
        raise InvalidInput(f"not messages or tools as the chat API takes them: {error}") from error
    tokens = -(-tally.tokens * percent // 100) + tally.image_tokens
    return TokenCount(tokens, method if tally.exact else "estimate")


def _tokenizer(name: str) -> tuple[str, int, str]:
    """Vocabulary, percent to take of its count, and method, for a lower-case model name."""
    base = name.rpartition("/")[2]
    base = base.removeprefix("ft:").partition(":")[0]
    if _CL100K.match(base):
        return "cl100k_base", 100, "exact"
    if _O200K.match(base):
        return "o200k_base", 100, "exact"
    if "claude" in name:
        version = _CLAUDE_VERSION.search(name)
        old = version and (int(version[1]), int(version[2] or 0)) <= (4, 6)
        return "o200k_base", _CLAUDE_OLD if old else _CLAUDE_NEW, "proxy"
    for family, percent in _FAMILIES:
        if family.search(name):
            return "o200k_base", percent, "proxy"
    return "o200k_base", _UNMEASURED, "estimate"


class _Tally:
    """Adds up one prompt; ``exact`` turns False at the first thing that had to be guessed."""

    def __init__(self, model: str, encoding: str) -> None:
        self.tokens = 0
        self.image_tokens = 0
        self.exact = True
        self._encoding = _encoding(encoding)
        self._function_tokens = 10 if encoding == "cl100k_base" else 7
        self._image = next(sizes for pattern, sizes in _IMAGES if pattern.search(model))

    def text(self, text: str) -> None:
        for piece, clean in _chunks(text):
            self.tokens += len(self._encoding.encode_ordinary(piece))
            self.exact &= clean

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self.tokens += 3  # the answer begins with a header
        for message in messages:
            self.tokens += 3
            for key, value in _plain(message).items():
                self._value(value)
                self.tokens += key == "name" and value is not None

    def tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self.exact = False  # checked against the API for one flat function only
        self.tokens += 12
        for tool in tools:
            function = tool.get("function", tool)
            self.tokens += self._function_tokens
            self.text(f"{function.get('name', '')}:{_sentence(function)}")
            schema = function.get("parameters") or function.get("input_schema") or {}
            properties = schema.get("properties") or {}
            self.tokens += 3 if properties else 0
            for key, told in properties.items():
                self._property(key, told)

    def _property(self, key: str, told: Mapping[str, Any]) -> None:
        self.tokens += 3
        self.text(f"{key}:{told.get('type', '')}:{_sentence(told)}")
        if "enum" in told:
            self.tokens -= 3
            for choice in told["enum"]:
                self.tokens += 3
                self.text(str(choice))
        nested = {k: v for k, v in told.items() if k not in ("type", "description", "enum")}
        if nested:
            self._json(nested)

    def _value(self, value: object) -> None:
        if isinstance(value, str):
            self.text(value)
        elif isinstance(value, list | tuple) and all(isinstance(part, Mapping) for part in value):
            for part in value:
                self._part(part)
        elif value is not None:
            self._json(value)

    def _part(self, part: Mapping[str, Any]) -> None:
        kind = str(part.get("type", ""))
        if "image" in kind:
            self.exact = False
            source = part.get("image_url")
            detail = (source if isinstance(source, Mapping) else part).get("detail")
            self.image_tokens += self._image[0 if detail == "low" else 1]
        elif kind.endswith("text") and isinstance(part.get("text"), str):
            self.text(part["text"])
        elif isinstance(part.get("content"), list):  # a tool's result may hold images
            self._value(part["content"])
            self._json({key: value for key, value in part.items() if key != "content"})
        else:
            self._json(part)

    def _json(self, value: object) -> None:
        """Count what is neither text nor image as its JSON text."""
        self.exact = False
        try:
            written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        except ValueError as error:
            raise InvalidInput("the messages contain themselves; pass plain messages") from error
        self.text(written)


def _plain(value: Any) -> Mapping[str, Any]:
    """Turn a client's pydantic object into a dict; leave a mapping as it is."""
    if isinstance(value, Mapping):
        return value
    if not hasattr(value, "model_dump"):
        raise TypeError(f"a {type(value).__name__} where a message or value belongs")
    dumped: Mapping[str, Any] = value.model_dump(exclude_none=True)
    return dumped


def _sentence(told: Mapping[str, Any]) -> str:
    return str(told.get("description") or "").removesuffix(".")


def _chunks(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a long text into pieces, and say of each whether its count stays exact.

    It does where the cut falls between a word and the blank after it: no token spans that.
    """
    start = 0
    while len(text) - start > _CHUNK:
        end = start + _CHUNK
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


def _encoding(name: str) -> Encoding:
    """The vocabulary, loaded by whichever thread comes first."""
    if name not in _loaded:
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
