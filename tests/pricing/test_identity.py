"""Which names are one model, for the budgets of a model."""

from __future__ import annotations

import re

import pytest

from budgetledger.pricing import catalog
from budgetledger.pricing.hosts import KNOWN
from budgetledger.pricing.identity import covers

SAME = {
    "gpt-4o": [
        "gpt-4o", "GPT-4O", " gpt-4o ", "openai/gpt-4o", "azure/gpt-4o", "azure/eu/gpt-4o",
        "openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o:nitro", "gpt-4o-2024-08-06",
        "openai/GPT-4o-2024-08-06", "gpt-4o-20240806", "gpt-4o-latest", "github/gpt-4o",
    ],
    "GPT-4o": ["gpt-4o", "openai/gpt-4o"],
    "openai/gpt-4o": ["gpt-4o", "GPT-4o-2024-08-06", "openai/gpt-4o-2024-08-06"],
    "openai/o3": ["o3", "o3-2025-04-16"],
    "anthropic/claude-opus-4": ["claude-opus-4-20250514"],
    "google/gemini-2.5-pro": ["gemini-2.5-pro", "gemini/gemini-2.5-pro"],
    "mistral/codestral-latest": ["codestral-latest"],
    "gpt-4": ["gpt-4-0613", "gpt-4-1106-preview"],
    "gpt-3.5-turbo": ["azure/gpt-35-turbo", "gpt-3.5-turbo-0125"],
    "claude-sonnet-4-5": [
        "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5[1m]",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "vertex_ai/claude-sonnet-4-5@20250929",
        "bedrock/eu-west-1/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "openrouter/anthropic/claude-sonnet-4.5",
        "projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
    "claude-opus-4": ["claude-opus-4-20250514", "claude-opus-4@20250514"],
    "gemini-2.0-flash": ["gemini-2.0-flash-001", "gemini/gemini-2.0-flash",
                         "models/gemini-2.0-flash"],
    "gemini-2.5-pro": ["gemini-2.5-pro-preview-06-05"],
    "mistral-large": ["mistral-large-2411", "mistral/mistral-large-latest"],
    "llama-3.3-70b-instruct": ["openrouter/meta-llama/llama-3.3-70b-instruct:free"],
    "azure/gpt-4o": ["azure/gpt-4o", "azure/gpt-4o-2024-08-06", "azure/eu/gpt-4o",
                     "azure_ai/gpt-4o"],
    "my model": ["my model", "MY MODEL"],
}  # fmt: skip
OTHER = {
    "gpt-4o": ["gpt-4o-mini", "gpt-4", "o1", "gpt-4o-audio-preview", "chatgpt-4o", "unknown",
               "gpt-4o-mini-2024-07-18", "ft:gpt-4o-2024-08-06:org::id", "", "gpt-4o-transcribe"],
    "gpt-4o-2024-08-06": ["gpt-4o", "gpt-4o-2024-05-13"],
    "gpt-4": ["gpt-4.1", "gpt-4-turbo", "gpt-4-32k", "gpt-4o"],
    "gpt-5": ["gpt-5.1", "gpt-5-mini", "gpt-5-chat-latest"],
    "o1": ["o1-mini", "o1-preview", "o1-pro"],
    "claude-opus-4": ["claude-opus-4-1", "claude-opus-4-1-20250805", "claude-opus-4.5"],
    "glm-4": ["glm-4.5", "glm-4-plus"],
    "azure/gpt-4o": ["gpt-4o", "openai/gpt-4o", "openrouter/openai/gpt-4o"],
    "openai/gpt-4o": ["azure/gpt-4o", "openrouter/openai/gpt-4o", "gpt-4o-mini"],
    "azure/o3": ["o3", "o3-2025-04-16"],
    "groq/llama-3.3-70b-versatile": ["llama-3.3-70b-versatile"],
    "openrouter/x:free": ["openrouter/x"],
    "gpt-oss:20b": ["gpt-oss:120b"],
}  # fmt: skip


@pytest.mark.parametrize("budgeted", SAME)
def test_names_of_one_model(budgeted):
    assert [name for name in SAME[budgeted] if not covers(budgeted, name)] == []


@pytest.mark.parametrize("budgeted", OTHER)
def test_names_of_other_models(budgeted):
    assert [name for name in OTHER[budgeted] if covers(budgeted, name)] == []


def test_the_providers_of_the_list_are_known_without_it():
    assert {provider.id for provider in catalog.price_list().providers} <= KNOWN


def test_no_listed_model_is_taken_for_another_of_its_vendor():
    """Of all pairs of models of one vendor, a bare name covers only snapshots and variants."""
    rests = {
        other.id.lower().removeprefix(one.id.lower())
        for provider in catalog.price_list().providers
        if provider.id in ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai")
        for one in provider.models
        for other in provider.models
        if one is not other and covers(one.id, other.id)
    }
    assert [
        rest for rest in rests if not re.fullmatch(r"(-[\d-]{4,}|-latest|:[a-z]+)+", rest)
    ] == []
    assert len(rests) > 5
