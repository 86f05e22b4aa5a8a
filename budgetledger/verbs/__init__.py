"""What the verbs of a ledger do."""
