"""Apply a fitted lookup to new problems."""
