"""Where the rows are kept, and who writes when. Imports words.

In reading order:
    targets             what a target names: a file, a URL; the default path
    opening             opens the store of a target
    store               Store: writes, reads, closing, forks
    writer              one queue: one transaction commits for all callers that wait
    process_lock        the lock file by which processes take turns
    on_demand_thread    a thread that exists while it is needed
    protocols           what is asked of a driver
    dialect             one text of SQL for both drivers
    schema              finds, compares and upgrades the schema
    sqlite/             a file: connection, store
    postgres/           a server: url, connection, schema, store
"""
