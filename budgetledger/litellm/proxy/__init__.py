"""The callback of a LiteLLM Proxy."""
