"""Decisions about holds that need no database. Pure.

Imports words, responses and journal/rows:
    waiting_line        which holds wait for room, and which is decided next
    stream_limit        whether a stream has used up its hold, and how much more to ask for
"""
