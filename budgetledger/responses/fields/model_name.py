"""The model that a response names."""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, fields_at, get, items, text


def model_named(response: Fields) -> str | None:
    """The model that answered, by any of the field names in use; None if none is named."""
    model = text(response.get("model"))
    if model is not None:
        return model
    for name in ("model_version", "modelVersion", "model_name"):
        model = text(response.get(name))
        if model is not None:
            return model
    # LiteLLM's images, sound and reranking have it only here, LangChain's messages only there.
    model = text(get(response.get("_hidden_params"), "litellm_model_name"))
    if model is None:
        metadata = fields_at(response, "response_metadata")
        model = text(metadata.get("model_name")) or text(metadata.get("model"))
    if model is None:  # Mistral's conversations
        model = next(filter(None, (text(out.get("model")) for out in _outputs(response))), None)
    if model is None:  # Pydantic AI's runs, Semantic Kernel's messages
        model = text(get(response.get("response"), "model_name"))
        model = model or text(response.get("ai_model_id"))
    return model


def _outputs(response: Fields) -> list[Fields]:
    return list(items(response.get("outputs")))
