"""Training of the embedded policies and PRMs: a complete study on two CPU cores."""
