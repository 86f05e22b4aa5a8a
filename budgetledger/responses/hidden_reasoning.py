"""Which models are billed for reasoning that their answers do not show.

The text of such an answer, if it broke before its usage came, is no measure of its cost. By rules
over names, as in `tokens.model_families`: a newer model of a family is taken to reason as well.
"""

from __future__ import annotations

import re

# OpenAI: o-series, GPT-5 and later but for the chat models, Codex; "reasoning tokens are not
# visible via the API" (platform.openai.com/docs/guides/reasoning, 2026-11). Gemini from 2.5 on
# thinks by default and shows summaries at most (ai.google.dev/gemini-api/docs/thinking, 2026-11).
# Grok 3 mini shows its reasoning, Grok 4 does not (docs.x.ai/docs/guides/reasoning, 2026-11).
_HIDDEN = re.compile(
    r"(?<![a-z\d])(?:"
    r"o\d(?![a-z\d])"
    r"|gpt-?(?:[5-9]|\d\d)(?!\d)(?!.*chat)"
    r"|codex-|computer-use"
    r"|gemini-(?:2\.5|[3-9]|\d\d)(?!.*(?:image|tts|embedding))|gemini-(?:pro|flash).*latest"
    r"|grok-(?:[4-9]|\d\d)(?!.*non-reasoning)|grok-code"
    r")"
)


def hides_reasoning(model: str | None) -> bool:
    """Whether a call of *model* may cost output tokens that its answer does not show."""
    return model is not None and _HIDDEN.search(model.lower()) is not None
