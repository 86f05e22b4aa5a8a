"""Where LiteLLM says that a call was made."""

from __future__ import annotations

from budgetledger.responses.fields.by_name import fields, text

_PLACES = ("api_base", "litellm_model_name", "custom_llm_provider")


def called_at(response: object) -> tuple[str, ...]:
    """The base URL, LiteLLM's name of the model and of the provider, as far as it tells them.

    They are among the hidden parameters of its responses and streams.
    """
    try:
        hidden = fields(response).get("_hidden_params")
        if hidden is None:
            return ()
        places = map(text, map(fields(hidden).get, _PLACES))
        return tuple(place for place in places if place is not None)
    except Exception:  # a property that raises, a mapping that misbehaves, …
        return ()
