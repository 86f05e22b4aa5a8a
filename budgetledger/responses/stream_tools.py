"""What a stream's chunks tell of tools that are billed beside the tokens, wherever they tell it."""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, get
from budgetledger.responses.usage.paid_tools import executed_tools
from budgetledger.responses.usage_field import usage_field
from budgetledger.usage import Usage, counts_of, usage_from

_COUNTS = (
    *("web_searches", "preview_searches", "map_searches", "file_searches", "code_containers"),
    "paid_tool_calls",
)
_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


class ToolTally:
    """The most that any chunk counted of each tool."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._groundings: list[object] = []
        self._executed: set[object] = set()

    def note_usage(self, usage: Usage) -> None:
        """Note the tools in a usage of the whole call, or of what came so far."""
        for name in _COUNTS:
            number = getattr(usage, name)
            if number > self._most.get(name, 0):
                self._most[name] = number

    def note_choice(self, choice: Fields) -> None:
        """Note what Groq ran and what Gemini searched, which other chunks do not repeat."""
        grounding = choice.get("grounding_metadata") or choice.get("groundingMetadata")
        if grounding is not None:
            self._groundings.append(grounding)
        if get(choice.get("delta"), "executed_tools"):
            self._executed.update(tool.get("index") for tool in executed_tools([choice]))

    def note_event(self, kind: str) -> None:
        """Note a transcription of the caller's sound, which another model makes and is billed."""
        if kind == _TRANSCRIBED:
            self._most["paid_tool_calls"] = self._most.get("paid_tool_calls", 0) + 1

    def with_grounding(self, chunk: object, told: Fields, model: str | None) -> object:
        """Gemini's *chunk*, if it has the usage, with all that was searched before."""
        if not self._groundings or usage_field(told) is None:
            return chunk
        candidates = [{"grounding_metadata": each} for each in self._groundings]
        return {
            "usage_metadata": usage_field(told),
            "model_version": model,
            "candidates": candidates,
        }

    def added_to(self, usage: Usage) -> Usage:
        """*usage*, with all tools that were noted."""
        most = dict(self._most)
        if self._executed:
            most["paid_tool_calls"] = max(most.get("paid_tool_calls", 0), len(self._executed))
        for name, number in most.items():
            usage = usage._replace(**{name: number})  # type: ignore[arg-type]
        return usage


def added(one: Usage, other: Usage) -> Usage:
    """The sum of two usages of one stream."""
    sums = map(int.__add__, counts_of(one), counts_of(other))
    return usage_from(sums, other.service_tier or one.service_tier)
