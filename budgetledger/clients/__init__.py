"""Calls of models under a hold: functions, streams, and the clients of OpenAI and Anthropic.

Imports the words, apis, responses and the ledger.

`settling` (settles after a paid call, and never loses the answer) · `metered_streams` (streams of
functions and of litellm) · `driven_generators` (generators read as streams) · `sdk_clients` (the
clients, metered) · `sdk_calls` (a request that one is about to send) · `sdk_streams` (their
streams).
"""
