"""How values are shown. Imports words, pricing, journal and ledger; reads no ledger itself.

In reading order:
    document_types      the fields of every JSON document; OpenAPI is generated from them
    documents           makes these documents; reads an entry back
    text                money, spans of time and windows as text
    tables              tables and bars for a terminal
    cells               CSV and Markdown
    report_documents    reports as JSON and CSV
    report_tables       reports on a terminal, and as Markdown
"""
