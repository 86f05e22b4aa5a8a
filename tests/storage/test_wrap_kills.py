"""A process killed amid a wrapped call: its hold counts until the deadline, and no longer."""

import time

import pytest

from budgetledger import BudgetExceededError, Ledger
from budgetledger.testing import FakeClock

CALL = """
import sys, openai
from budgetledger import Ledger, wrap
path, url, knobs, stream = sys.argv[1:]
client = wrap(openai.OpenAI(api_key="none", base_url=url), Ledger(path), "alice")
asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": knobs}], "max_tokens": 50}
print("ready", flush=True)
for _ in client.chat.completions.create(**asked, stream=stream == "True"):
    print("reading", flush=True)
"""


@pytest.mark.parametrize("stream", [False, True])
def test_a_killed_call_leaves_no_hold_beyond_its_deadline(launch, provider, path, stream):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", "0.0006")
    knobs = "[[pause=0.2 output=40]]" if stream else "[[slow=20]]"
    calling = launch(CALL, path, provider.openai_url, knobs, stream)
    assert calling.stdout.readline() == "ready\n"
    if stream:
        assert calling.stdout.readline() == "reading\n"
    deadline = time.monotonic() + 10
    while not provider.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    calling.kill()
    calling.wait()
    with Ledger(path) as ledger:
        (hold,) = ledger.holds("alice")
        with pytest.raises(BudgetExceededError):
            ledger.hold("alice", "0.0005")
    with Ledger(path, clock=FakeClock(hold.expires_at)) as ledger:
        assert ledger.balance("alice").held == 0
        ledger.hold("alice", "0.0005").release()
        assert ledger.verify().ok
