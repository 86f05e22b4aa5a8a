"""What the HTTP APIs of providers have in common with each other, and what not. Pure.

Imports the words. One description for everything that meters calls: wrapped clients, litellm, its
Proxy, the wallet.

`paths` (which API a path is, and what costs nothing) · `call_arguments` (a call's own arguments as
those of its hold) · `event_streams` (the events in the bytes of a stream, and the last of them) ·
`requested_usage` (usage that was asked for, and hiding it again) · `refusals` (the answer to a
refused client) · `error_forms` (that answer as each vendor writes it).
"""
