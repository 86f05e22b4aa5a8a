"""Which row follows: the rules, the SQL and the reports.

Imports words, responses, pricing and storage.
"""
