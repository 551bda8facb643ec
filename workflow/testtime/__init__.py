"""Compute-optimal test-time scaling: search, scoring, grading and analysis."""
