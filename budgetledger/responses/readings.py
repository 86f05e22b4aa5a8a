"""Readings of answers that do not report their usage, and what to make of a stream's end. Pure."""

from __future__ import annotations

from budgetledger.responses.hidden_reasoning import hides_reasoning
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading


class FailedAnswer(Reading):
    """The reading of an answer that says that its call failed, and has no text and no usage."""

    __slots__ = ()


class CountedAnswer(Reading):
    """A reading whose usage was counted from the text, and not reported."""

    __slots__ = ()


def answer_of_stream(
    stream: StreamReading, model: str | None, input_tokens: int | None
) -> tuple[Reading, str | None]:
    """What to settle a stream with, and the note on that row.

    *model*: the one that was requested. *input_tokens*: of the prompt, None if it was not counted.
    Without reported usage the text is counted, unless that cannot tell the cost: then the reading
    has no usage, and the cost is what was held.
    """
    used = stream.usage(model, input_tokens)
    answer = Reading(used.model or model, used.usage, used.cost).with_id(stream.response_id)
    if stream.is_failed:
        return FailedAnswer(answer.model, None, None), None
    if used.reported or used.cost is not None:
        return answer, None
    usage = used.usage
    if stream.is_unrecognised:
        why = "the chunks of the stream have an unknown form"
    elif usage is None:
        why = "the stream was read elsewhere"
    elif not usage.input_tokens and input_tokens is None:
        why = "no usage came with the stream, and its prompt was not counted"
    elif stream.started and stream.is_empty:
        why = "the chunks of the stream had neither text nor usage"
    elif hides_reasoning(answer.model):
        why = "no usage came with the stream, and the model's reasoning is hidden"
    else:
        return CountedAnswer(*answer).with_id(
            answer.response_id
        ), "estimated: no usable usage came with the stream"
    return answer._replace(usage=None), f"assumed: {why}"
