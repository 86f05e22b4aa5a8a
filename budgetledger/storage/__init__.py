"""Where the rows are kept, and who writes when. Imports words."""
