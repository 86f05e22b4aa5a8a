"""Prompts with the objects that clients return in them, counted as their plain form is."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message, TextBlock, ToolUseBlock, Usage
from openai.types.chat import ChatCompletionMessage

from budgetledger import count_tokens

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own

CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
ASKED = {"role": "user", "content": "What is the weather like?"}


def test_a_message_openai_returned():
    for answer in (
        {"role": "assistant", "content": "Sunny."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ):
        chats = [[ASKED, answer], [ASKED, ChatCompletionMessage.model_validate(answer)]]
        plain, real = (count_tokens("gpt-4o", messages=chat) for chat in chats)
        assert plain == real


def test_a_message_litellm_returned(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    response = litellm.completion("gpt-4o", messages=[ASKED], mock_response="Sunny.")
    real = count_tokens("gpt-4o", messages=[ASKED, response.choices[0].message])
    plain = count_tokens("gpt-4o", messages=[ASKED, {"role": "assistant", "content": "Sunny."}])
    assert real.tokens == plain.tokens


def test_blocks_anthropic_returned():
    blocks: list[Any] = [
        TextBlock(type="text", text="I will look."),
        ToolUseBlock(type="tool_use", id="toolu_1", name="get_weather", input={"city": "Paris"}),
    ]
    message = Message(
        id="msg_1", type="message", role="assistant", model="claude-opus-4-5", content=blocks,
        usage=Usage(input_tokens=1, output_tokens=1),
    )  # fmt: skip
    real = [ASKED, {"role": "assistant", "content": message.content}]
    plain = [ASKED, {"role": "assistant", "content": [block.to_dict() for block in blocks]}]
    counts = [count_tokens("claude-opus-4-5", messages=chat) for chat in (real, plain)]
    assert counts[0] == counts[1]
    assert counts[0].tokens > count_tokens("claude-opus-4-5", messages=[ASKED]).tokens + 20


@pytest.mark.parametrize("model", ["gpt-4", "gpt-3.5-turbo", "gpt-4o", "gpt-4.1", "o3", "gpt-5"])
def test_litellm_counts_plain_chats_the_same(model):
    import litellm

    chat = [
        {"role": "system", "content": "Answer briefly."},
        ASKED | {"name": "Ann"},
        {"role": "assistant", "content": "Sunny, 20 °C — 晴れ 😀"},
        {"role": "user", "content": "```python\nprint(1)\n```\n\n\n"},
    ]
    theirs = litellm.token_counter(model=model, messages=chat)
    assert count_tokens(model, messages=chat) == (theirs, "exact")
