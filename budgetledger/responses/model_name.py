"""The model that a response names."""

from __future__ import annotations

from budgetledger.responses.fields import Fields, get, text


def model_named(response: Fields) -> str | None:
    """The model that answered, by any of the field names in use; None if none is named."""
    for name in ("model", "model_version", "modelVersion"):
        model = text(response.get(name))
        if model is not None:
            return model
    # LiteLLM's images, sound and reranking have it only here.
    return text(get(response.get("_hidden_params"), "litellm_model_name"))
