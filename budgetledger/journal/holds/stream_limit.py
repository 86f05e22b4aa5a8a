"""Whether a stream has used up its hold, and how much more to ask for. Pure.

New text is counted piece by piece, which is at least its count as a whole; where that reaches the
hold, all that has come is counted again. It is priced as the settle will price it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import HoldRefused, StreamStopped
from budgetledger.journal.rows.basis import passed_tokens
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading
from budgetledger.usage import Usage

_SAMPLE_TOKENS = 1_000_000
_LEAST_STEP = 1e-5  # of what has come


class Missing(NamedTuple):
    """What a hold lacks for what has come."""

    pico: int
    tokens: int


class StreamLimit:
    """Follows one stream. *cost_of*: picodollars of a reading, None if no price is known."""

    def __init__(
        self,
        reading: StreamReading,
        model: str | None,
        hold: Entry,
        cost_of: Callable[[Reading], int | None],
    ) -> None:
        self._reading, self._model, self._cost_of = reading, model, cost_of
        self._prompt = hold.usage.get("input_tokens")
        self._limits_tokens = passed_tokens(hold) is not None
        self._position = 0  # of the text that was counted
        self._output = 0
        self._step = 0.25
        name = model or "unknown"
        input_tokens = self._prompt or 0
        without = cost_of(Reading(name, Usage(input_tokens, 0), None))
        sample = cost_of(Reading(name, Usage(input_tokens, _SAMPLE_TOKENS), None))
        self._rates = None if without is None or sample is None else (without, sample - without)

    @property
    def is_known(self) -> bool:
        """Whether there is anything to measure by: a price, or tokens that were held."""
        return self._rates is not None or self._limits_tokens

    def seems_short(self, hold: Entry) -> bool:
        """Whether *hold* may lack something for what has come. Takes microseconds a chunk."""
        reading = self._reading
        if reading.is_whole:
            return False
        if reading.length > self._position:
            self._output += reading.tokens_from(self._position, self._model)
            self._position = reading.length
        return self._lacking(hold, self._priced(self._output), self._output) is not None

    def missing(self, hold: Entry) -> Missing | None:
        """What *hold* lacks for all that has come, counted again; None if nothing."""
        used = self._reading.usage(self._model, self._prompt)
        if used.usage is None:
            return self._lacking(hold, self._priced(self._output), self._output)
        self._output = used.usage.output_tokens
        pico = self._cost_of(Reading(used.model or self._model, used.usage, used.cost))
        tokens = used.usage.input_tokens + used.usage.output_tokens
        return self._lacking(hold, pico, tokens - (self._prompt or 0))

    def asks(self, missing: Missing, hold: Entry) -> Iterator[Missing]:
        """How much more to ask for, until it is granted: the most first, *missing* at last."""
        while self._step >= _LEAST_STEP:
            yield Missing(
                self._more(missing.pico, hold.held_pico),
                self._more(missing.tokens, hold.held_tokens),
            )
            self._step /= 2
        yield missing

    def _more(self, lacking: int, held: int | None) -> int:
        return lacking and lacking + int(self._step * ((held or 0) + lacking))

    def _lacking(self, hold: Entry, pico: int | None, output: int) -> Missing | None:
        lacking_pico = 0 if pico is None else max(0, pico - (hold.held_pico or 0))
        tokens = (self._prompt or 0) + output - (hold.held_tokens or 0)
        lacking_tokens = max(0, tokens) if self._limits_tokens else 0
        if not lacking_pico and not lacking_tokens:
            return None
        return Missing(lacking_pico, lacking_tokens)

    def _priced(self, output: int) -> int | None:
        if self._rates is None:
            return None
        prompt, sample = self._rates
        return prompt + -(-sample * output // _SAMPLE_TOKENS)


def stopped(refused: HoldRefused, hold_id: int, entry: Entry | None) -> StreamStopped:
    """The error that ends a stream, for the refusal to increase its hold."""
    facts = {**vars(refused), "hold_id": hold_id, "entry": entry}
    facts.pop("room", None)
    message = f"the stream was stopped, and what had come is recorded: {refused}"
    return StreamStopped(message, **facts)
