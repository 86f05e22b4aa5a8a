"""The usage of an answer, in each form that is known. Pure.

May import words and ``responses/fields``. In reading order:

* ``readers``: which of the readers below a usage is for, and in which order they are tried.
* ``openai``, ``openai_tools``, ``anthropic``, ``gemini``, ``gemini_interactions``, ``vertex``,
  ``bedrock``, ``bedrock_invoke``, ``cohere``, ``dashscope``, ``ollama``, ``llama_cpp``: a
  provider's form.
* ``xai``, ``perplexity``, ``mistral``, ``paid_tools``: what a provider adds to OpenAI's form.
* `programs`: a program's own form.
* ``embedding``, ``transcription``, ``image``: one kind of answer's.
* ``token_details``: the counts within counts that OpenAI's and Anthropic's forms share.

Each reader names the document that it follows, as of the month it says.
"""
