"""A ledger in an SQLite file: `connection`, then `store`."""
