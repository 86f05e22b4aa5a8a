"""What a call costs, by whose price. Imports words and tokens; no database, no clock."""
