"""How values are shown. Reads no ledger itself.

In reading order:
    document_types      the fields of every JSON document; OpenAPI is generated from them
    documents           makes these documents; reads an entry back
    text                money, spans of time and windows as text
    tables              tables and bars for a terminal
    cells               CSV and Markdown
    exports             entries as CSV and JSON
    report_documents    reports as JSON and CSV
    report_text         reports in words
    report_tables       reports on a terminal, and as Markdown
    charts, page_style  drawings and style of the page
    report_page         a report as one HTML page
"""
