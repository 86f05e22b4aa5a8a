"""The demo: a day of invented calls."""
