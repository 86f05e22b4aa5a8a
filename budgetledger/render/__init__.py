"""How values are shown: JSON documents, tables and text."""
