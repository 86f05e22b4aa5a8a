"""What an answer says: model, usage and cost of a response or a stream.

Imports words and tokens.
"""
