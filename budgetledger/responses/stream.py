"""What a stream of chunks used, whether it came to its end or was cut.

Pure: no client package is imported, nothing is fetched. Objects and dicts are read alike. Only a
stream's end tells its usage, so the text is kept until then, to be counted if the end is missing.
"""

from __future__ import annotations

import codecs
from contextlib import suppress
from decimal import Decimal
from io import SEEK_END, StringIO
from typing import NamedTuple

from budgetledger.responses.chunk_texts import answered, spoken, texts
from budgetledger.responses.enclosed import decoded_chunk
from budgetledger.responses.failures import is_failure
from budgetledger.responses.fields.by_name import Fields, fields, items
from budgetledger.responses.fields.by_name import get as _get
from budgetledger.responses.fields.service_tiers import tier_word
from budgetledger.responses.response import id_of, model_of, read_fields
from budgetledger.responses.stream_events import event_of
from budgetledger.responses.stream_tools import ToolTally, added
from budgetledger.responses.usage_field import usage_field
from budgetledger.responses.wire_text import WireText
from budgetledger.tokens import count_tokens
from budgetledger.usage import Usage, has_counts

_KEPT = 1_000_000  # characters; more than any model answers in one call (2026-11)

_ANTHROPIC_EVENTS = ("message_", "content_block_")
_OF_SESSION = "response.done"  # the realtime API's, in whose sessions each has its own usage
_ENDS = frozenset({
    *("response.completed", "response.incomplete", "response.failed"), _OF_SESSION
})  # fmt: skip
_ANTHROPIC_COUNTS = (
    *("input_tokens", "output_tokens", "output_tokens_details", "iterations"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"),
    *("server_tool_use", "service_tier", "speed", "inference_geo", "fallback_credit"),
)


class StreamUsage(NamedTuple):
    """What a stream used: ``model`` that answered (None if none was named), and ``usage``.

    ``usage`` is None if it cannot be known: the stream's chunks had no known shape.
    ``cost`` is the one in USD that the end of the stream carried, as in `Reading`.
    ``reported`` tells whether the usage is the one the end of the stream reported. Otherwise it
    is an estimate, of what had arrived: the provider may charge for more, such as reasoning it
    does not show.
    """

    model: str | None
    usage: Usage | None
    cost: Decimal | None
    reported: bool


class StreamReading:
    """Reads one stream, chunk by chunk: the code that passes chunks on calls ``add`` with each.

    Understood are the chunks of OpenAI chat and text completions and of Gemini, the events of
    OpenAI Responses and of Anthropic messages, those of the two clients' stream helpers, LiteLLM's
    chunks, the events that `stream_events` lists, the dicts of all of these, and plain text as
    ``str`` or ``bytes``. Anything else tells nothing, see `is_unrecognised`.
    """

    def __init__(self) -> None:
        self._started = False
        self._recognised = False  # some chunk had a known shape
        self._failed = False  # some chunk says so
        self._model: str | None = None
        self.response_id: str | None = None
        """The id of the response, once a chunk had it."""
        self._usage: Usage | None = None
        self._cost: Decimal | None = None
        self._tier: str | None = None
        self._tools = ToolTally()
        self._final = False  # nothing was written after the usage, and it was the last
        self._counts: dict[str, object] = {}  # Anthropic's, start and deltas merged
        self._writing: set[object] = set()  # the choices that have begun and not finished
        self._finished = False  # some choice has
        self._hidden: object = None  # LiteLLM's notes on the last chunk
        self._text = StringIO()
        self._length = 0  # of the whole text; no more than _KEPT of it is in _text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._wire = WireText()

    @property
    def started(self) -> bool:
        """Whether any chunk came, so that the provider may charge for the call."""
        return self._started

    @property
    def is_unrecognised(self) -> bool:
        """Whether chunks came and none had a known shape, so that no usage can be estimated."""
        return self._started and not self._recognised

    @property
    def is_whole(self) -> bool:
        """Whether its end arrived: its last usage, or the finish of every choice."""
        return self._final or (self._finished and not self._writing)

    @property
    def is_failed(self) -> bool:
        """Whether the stream says that the call failed, and has no text and no usage."""
        return self._failed and self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether it has no text and no usage, as far as it was added."""
        return not self._length and not self._wire.pending and self._usage is None

    @property
    def length(self) -> int:
        """How many characters of text came."""
        return self._length

    def tokens_from(self, position: int, model: str | None) -> int:
        """The tokens of the text from a position on, at least; what is not kept counts fully."""
        self._text.seek(position)
        text = self._text.read()
        self._text.seek(0, SEEK_END)
        unkept = self._length - position - len(text)
        return unkept + (count_tokens(model or "unknown", text=text).tokens if text else 0)

    def add(self, chunk: object) -> None:
        """Take note of the next *chunk*; whatever it is, and does when touched, nothing is raised.

        The chunk is left as it is and not kept.
        """
        self._started = True
        with suppress(Exception):  # a chunk that cannot be read must not break the stream
            self._read(chunk)

    def usage(self, model: str | None, input_tokens: int | None) -> StreamUsage:
        """Tell what the stream used, as far as it was added.

        *model*: the one asked for, by which the text is counted if the stream names none.
        *input_tokens*: the caller's estimate of the prompt, for a stream that was cut before it
        told its own; None counts as 0. Neither matters once the usage was reported; without that
        the text is counted here, which may take half a second.
        """
        if self.is_unrecognised:
            return StreamUsage(self._model, None, None, False)
        with suppress(Exception):
            self._read_hidden()
        told = self._usage or Usage()
        # What some chunk told, but not the one with the counts.
        told = self._tools.added_to(told._replace(service_tier=told.service_tier or self._tier))
        if self._final:
            return StreamUsage(self._model, told, self._cost, True)
        estimated = told._replace(
            input_tokens=told.input_tokens or input_tokens or 0,
            output_tokens=max(told.output_tokens, self._counted(self._model or model)),
        )
        return StreamUsage(self._model, estimated, self._cost, False)

    def _read(self, chunk: object) -> None:
        if isinstance(chunk, (str, bytes)):
            text = chunk if isinstance(chunk, str) else self._decoder.decode(chunk)
            for part in self._wire.feed(text):
                self._recognised |= isinstance(part, str)
                (self._write if isinstance(part, str) else self._read_event)(part)
            self._recognised |= bool(self._wire.pending)
            return
        self._read_event(chunk)

    def _read_event(self, chunk: object) -> None:
        self._failed = self._failed or (self.is_empty and is_failure(chunk))
        told = fields(chunk)
        kind = told.get("type") or told.get("event_type")
        kind = kind if isinstance(kind, str) else ""
        if kind.startswith("response."):
            self._read_response_event(chunk, kind)
        elif kind.startswith(_ANTHROPIC_EVENTS):
            self._read_anthropic_event(chunk, kind)
        elif kind == "chunk":  # OpenAI's helper wraps the chunk, and then repeats it in parts
            inner = told.get("chunk")
            self._read_choices(inner, fields(inner))
        elif told.get("response_metadata") is not None or kind == "AIMessageChunk":
            self._read_message_chunk(chunk, told)
        elif told.get("choices") is not None or told.get("candidates") is not None:
            self._read_choices(chunk, told)
        else:
            self._read_other_event(chunk, told, kind)

    def _read_choices(self, chunk: object, told: Fields) -> None:
        """Chat, text or Gemini: its last usage comes with the finish, or in a chunk alone."""
        self._recognised = True
        choices = [*items(told.get("choices")), *items(told.get("candidates"))]
        for choice in choices:
            index = choice.get("index")
            said = [choice.get("text"), *spoken(choice.get("delta"))]
            if self._write([*said, *answered(choice.get("content"))]):
                self._writing.add(index)
            self._tools.note_choice(choice)
            if choice.get("finish_reason") or choice.get("finishReason"):
                self._writing.discard(index)
                self._finished = True
        self._name(chunk)
        self._hidden = told.get("_hidden_params")
        final = not choices or (self._finished and not self._writing)
        self._take(self._tools.with_grounding(chunk, told, self._model), final=final)

    def _read_anthropic_event(self, event: object, kind: str) -> None:
        self._recognised = True
        if kind == "message_start":
            self._name(_get(event, "message"))
            self._merge(_get(event, "message"), final=False)
        elif kind == "content_block_start":
            block = _get(event, "content_block")
            for name in ("text", "thinking", "name"):  # not the content of a tool's result
                self._write(_get(block, name))
        elif kind == "content_block_delta":
            self._write(_get(event, "delta"))
        elif kind == "message_delta":
            self._merge(event, final=True)

    def _read_other_event(self, chunk: object, told: Fields, kind: str) -> None:
        inner = told.get("data")  # an event of the mistralai client
        if told.get("raw") is not None and isinstance(told.get("delta"), str):
            inner = told.get("raw")  # of LlamaIndex
        if inner is None or isinstance(inner, (str, list)):
            inner = decoded_chunk(told)
        if inner is not None:
            self._read(inner)
            return
        self._tools.note_event(kind)
        event = event_of(kind, told)
        if event is None:  # perhaps a usage alone, or LiteLLM's notes
            # The clients' helpers repeat what a raw event before it had.
            self._recognised |= told.get("snapshot") is not None
            self._name(chunk)
            self._hidden = told.get("_hidden_params")
            self._take(chunk, final=True)
            return
        self._recognised = True
        self._write(event.texts)
        answer = chunk if event.answer is told else event.answer
        if answer is not None:
            self._name(answer)
            if event.is_last and not self._final:
                self._note(answer, final=True)

    def _read_message_chunk(self, chunk: object, told: Fields) -> None:
        """LangChain's chunks, whose usages add up to that of the message."""
        self._recognised = True
        written = self._write(told.get("content")) or any(
            self._write([call.get("name"), call.get("args")])
            for call in items(told.get("tool_call_chunks"))
        )
        self._name(chunk)
        if told.get("usage_metadata") is None:
            return
        before = self._usage
        metadata = fields(told.get("response_metadata"))
        is_last = told.get("chunk_position") == "last" or any(
            metadata.get(name) for name in ("finish_reason", "stop_reason", "done_reason")
        )
        self._note(chunk, final=is_last or not written)
        self._add_to(before)

    def _read_response_event(self, event: object, kind: str) -> None:
        self._recognised = True
        if kind.endswith(".delta") and kind != "response.audio.delta":  # that is base64
            self._write(_get(event, "delta"))
        response = _get(event, "response")
        if response is not None:
            self._name(response)
            before = self._usage
            self._take(response, final=kind in _ENDS)
            if kind == _OF_SESSION:
                self._add_to(before)

    def _read_hidden(self) -> None:
        """LiteLLM not asked for the usage notes it on the last chunk, after handing that out."""
        usage = _get(self._hidden, "usage")
        if self.is_whole and not self._final and usage is not None:
            is_whole = bool(_get(usage, "prompt_tokens"))  # which LiteLLM 1.80 may leave out
            self._take({"usage": usage, "_hidden_params": self._hidden}, final=is_whole)

    def _name(self, source: object) -> None:
        """Note the model; a later name is truer, since a router first gives its own.

        Unless it is the same one, with a provider before it: so LiteLLM's last chunks name it.
        """
        told = _get(source, "service_tier")
        if isinstance(told, str):  # a later one is truer: first the one asked for is told
            self._tier = tier_word(told)
        self.response_id = self.response_id or id_of(source)
        name = model_of(source)
        if name is not None and not (self._model and name.endswith(f"/{self._model}")):
            self._model = name

    def _merge(self, source: object, *, final: bool) -> None:
        """Put together Anthropic's counts, each of which is the total so far, or left out."""
        told = _get(source, "usage")
        counts = {name: _get(told, name) for name in _ANTHROPIC_COUNTS}
        # Left out is also 0: gateways write it for what they told at the start.
        self._counts |= {name: count for name, count in counts.items() if count}
        self._take({"usage": self._counts}, final=final and bool(counts["output_tokens"]))

    def _take(self, source: object, *, final: bool) -> None:
        """Note the usage so far, and the cost of the whole, if the source has a field for them."""
        told = fields(source)
        hidden = told.get("_hidden_params")
        if usage_field(told) is not None or _get(hidden, "response_cost") is not None:
            self._note(source, final=final)

    def _add_to(self, before: Usage | None) -> None:
        """Make the usage that a chunk brought the sum with the one *before* it."""
        if before is not None and self._usage is not None and self._usage is not before:
            self._usage = added(before, self._usage)

    def _note(self, source: object, *, final: bool) -> None:
        _, usage, cost = read_fields(source, fields(source), stream=True)
        if usage is not None:
            self._tools.note_usage(usage)
        if usage is not None and has_counts(usage):  # zeros stand for "not known"
            self._recognised = True
            # No output for a text that arrived is not believed.
            told_all = usage.output_tokens or usage.input_audio_seconds or not self._length
            final = final and bool(told_all)
            self._usage, self._final = usage, final
        if final:
            self._cost = self._cost if cost is None else cost
            self._recognised |= cost is not None

    def _write(self, value: object) -> bool:
        """Note the text in a value of any shape; tell whether there was some."""
        written = False
        for text in texts(value):
            written = True
            self._final, self._cost = False, None
            self._length += len(text)
            self._text.write(text[: max(0, _KEPT - self._text.tell())])
        return written

    def _counted(self, model: str | None) -> int:
        pending = self._wire.pending
        text = self._text.getvalue() + pending
        if not text:
            return 0
        name = model if model and model.strip() else "unknown"
        tokens = count_tokens(name, text=text).tokens
        length = self._length + len(pending)
        return -(-tokens * length // len(text))  # beyond _KEPT at the same rate
