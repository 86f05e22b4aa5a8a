"""What an answer says of itself: the model, what it used, LiteLLM's cost. Pure.

May import words and tokens. In reading order:

* ``response``: a response, a batch line or a stream's last event -> model, usage, cost.
* ``stream``: the chunks of a stream -> the same, also for a stream that was cut.
* ``failures``: whether an answer says that its call failed.
* ``hidden_reasoning``: which models are billed for reasoning that is not in the answer.
* ``readings``: what to settle a stream with; answers that failed, or whose text was counted.
* ``usage_readers``: which of the readers below a usage is for.
* ``openai_usage``, ``anthropic_usage``, ``gemini_usage``, ``bedrock_usage``, ``cohere_usage``,
  ``transcription_usage``, ``image_usage``: one provider's form each, or one kind of answer's.
* ``ledger_usage``: the ledger's own form, as a dict.
* ``token_details``: the counts within counts that OpenAI's and Anthropic's forms share.
* ``service_tiers``, ``model_name``, ``fields``: single fields of a response, and any field.
"""
