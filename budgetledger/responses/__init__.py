"""What an answer says of itself: the model, what it used, and its cost if it states one. Pure.

May import words and tokens. In reading order:

* ``response``: a response, a batch line or a stream's last event -> model, usage, cost.
* ``enclosed``, ``usage_field``: where in what was passed the response and its usage are.
* ``usage_readers``: which of the readers below a usage is for, and in which order they are tried.
* ``belief``, ``token_counts``: what is no usage: one that cannot be true, a count beforehand.
* ``stream``, ``stream_events``: the chunks of a stream -> the same, also for a stream that was cut.
* ``failures``: whether an answer says that its call failed.
* ``hidden_reasoning``: which models are billed for reasoning that is not in the answer.
* ``readings``: what to settle a stream with; answers that failed, or whose text was counted.
* ``stated_cost``: LiteLLM's figure, and the exact bill of a provider.
* ``openai_usage``, ``openai_tools``, ``anthropic_usage``, ``gemini_usage``,
  ``gemini_interactions``, ``vertex_usage``, ``bedrock_usage``, ``bedrock_invoke_usage``,
  ``cohere_usage``, ``dashscope_usage``, ``ollama_usage``, ``llama_cpp_usage``: a provider's form.
* ``xai_usage``, ``perplexity_usage``, ``mistral_usage``: what a provider adds to OpenAI's form.
* ``langchain_usage``, ``vercel_usage``, ``codex_usage``, ``ledger_usage``: a program's own form.
* ``embedding_usage``, ``transcription_usage``, ``image_usage``: one kind of answer's.
* ``token_details``: the counts within counts that OpenAI's and Anthropic's forms share.
* ``called_at``: where LiteLLM says that the call was made.
* ``service_tiers``, ``model_name``, ``fields``: single fields of a response, and any field.

Each reader names the document that it follows, as of the month it says.
"""
