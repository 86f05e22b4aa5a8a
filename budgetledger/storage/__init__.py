"""Stores rows and lets writers take turns. Imports words.

In reading order:
    targets             what a target names: a file, a URL; the default path
    opening             opens the store of a target
    store               Store: writes, reads, closing, forks
    writer              one queue: one transaction commits for all callers that wait
    process_lock        the lock file by which processes take turns
    on_demand_thread    a thread that exists while it is needed
    waking              wakes what waits, in this process, for a write
    protocols           the driver interface that the store uses
    dialect             rewrites SQL for each driver
    schema              finds, compares and upgrades the schema
    dictionary          what tables, views and columns mean
    sqlite/             a file: connection, store
    postgres/           a server: url, connection, listening, schema, store
"""
