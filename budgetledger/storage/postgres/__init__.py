"""A ledger on a PostgreSQL server: `url`, `connection`, `schema`, then `store`."""
