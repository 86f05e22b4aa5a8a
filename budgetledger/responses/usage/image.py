"""The usage of generated images that come without one: how many there are.

Follows OpenAI's API reference, "The image generation response" (data).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, items
from budgetledger.usage import Usage


def read_image_usage(response: Fields) -> Usage | None:
    """Count the images of a response; dall-e sends no usage, and LiteLLM sends zeros for it."""
    images = sum(
        image.get("url") is not None or image.get("b64_json") is not None
        for image in items(response.get("data"))
    )
    return Usage(output_images=images) if images else None
