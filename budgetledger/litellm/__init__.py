"""All that is LiteLLM's: wrapped calls, max_budget, records, files, and the Proxy."""
