"""Rows keep the id of the response, by which imports know a call."""

import pytest
from samples import RESPONSE

from budgetledger.holds import settle_stream
from budgetledger.responses.stream import StreamReading

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}


def of_stream(*chunks):
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
    return reading


CHAT = of_stream(
    {"id": "chatcmpl-1", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
    {"id": "chatcmpl-1", "choices": [], **RESPONSE},
)
CUT = of_stream(
    {"id": "chatcmpl-2", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
)
MESSAGES = of_stream(
    {"type": "message_start", "message": MESSAGE},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}},
)


@pytest.mark.parametrize(
    ("response", "name"),
    [
        ({**RESPONSE, "id": "chatcmpl-1"}, "chatcmpl-1"),
        (MESSAGE, "msg_1"),
        ({"type": "response.completed", "response": {**MESSAGE, "id": "resp_1"}}, "resp_1"),
        ({"responseId": "g1", "modelVersion": "gemini-2.5-pro",
          "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}, "g1"),
        (RESPONSE, None),
        ({**RESPONSE, "id": ""}, None),
        ({**RESPONSE, "id": 7}, None),
        ({**RESPONSE, "id": "\ud800"}, None),
        ({**RESPONSE, "model": "nobody-knows", "id": "chatcmpl-3"}, "chatcmpl-3"),
        ({**RESPONSE, "id": 'a"b,"response_id":"c'}, 'a"b,"response_id":"c'),
        (CHAT, "chatcmpl-1"),
        (CUT, "chatcmpl-2"),
        (MESSAGES, "msg_1"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_the_row_has_the_id(ledger, response, name):
    hold = ledger.hold("alice", "0.05")
    if isinstance(response, StreamReading):
        settle_stream(hold, response)
    else:
        hold.settle(response)
        assert ledger.charge("alice", response).response_id == name
    *_, entry = ledger.entries("alice")
    assert entry.response_id == name
    assert "response_id" not in entry.price


def test_a_long_id_is_kept_as_its_digest(ledger):
    entries = [ledger.charge("alice", {**RESPONSE, "id": "resp_" + "x" * n}) for n in (9, 900, 901)]
    assert entries[0].response_id == "resp_xxxxxxxxx"
    assert entries[1].response_id.startswith("sha256:")
    assert entries[1].response_id != entries[2].response_id


def test_a_retry_with_another_response_of_the_same_usage_is_the_same_row(ledger):
    first = ledger.charge("alice", {**RESPONSE, "id": "a"}, key="k")
    assert ledger.charge("alice", {**RESPONSE, "id": "b"}, key="k") == first
