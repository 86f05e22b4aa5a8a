"""Calls under a hold: functions, streams and the clients of OpenAI and Anthropic."""
