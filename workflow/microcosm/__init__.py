"""A tiny world with its own problems, policies and PRMs: a whole study on two CPU cores."""
