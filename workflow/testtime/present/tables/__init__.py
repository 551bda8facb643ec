"""The tables of a study: each module declares what it makes, of what, and makes it."""
