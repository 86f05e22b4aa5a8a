"""BudgetManager against a server."""
