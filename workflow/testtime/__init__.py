"""Compute-optimal test-time scaling: search, scoring, grading and analysis."""

__version__ = "0.1.0"
