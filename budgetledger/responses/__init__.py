"""What an answer says of itself: the model, what it used, and its cost if it states one. Pure.

May import words, tokens, and the rooms inside it. In reading order:

* ``response``: a response, a batch line or a stream's last event -> model, usage, cost.
* ``enclosed``, ``usage_field``: where in what was passed the response and its usage are.
* `usage`: the forms of usage, one file a provider, program or kind of answer -> `Usage`.
* ``belief``, ``token_counts``: what is no usage: one that cannot be true, a count beforehand.
* ``stream``: the chunks of a stream -> the same, also for a stream that was cut. ``stream_events``
  has each provider's events, ``wire_text`` the lines of HTTP, ``chunk_texts`` the places of text,
  ``stream_tools`` what is billed beside the tokens.
* ``failures``: whether an answer says that its call failed.
* ``hidden_reasoning``: which models are billed for reasoning that is not in the answer.
* ``readings``: what to settle a stream with; answers that failed, or whose text was counted.
* ``stated_cost``: LiteLLM's figure, and the exact bill of a provider.
* ``called_at``: where LiteLLM says that the call was made.
* `fields`: any field of an answer, and single ones that several readers need.
"""
