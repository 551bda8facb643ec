"""Grading: find the final answer, compare it with the gold, number the classes for votes.

An answer is normalised text first (`spell`), then a shape of exact numbers, words and formulas
(`exact`), and what formulas are worth is asked of math-verify, in child processes with limits on
time and memory (`workers`).
"""
