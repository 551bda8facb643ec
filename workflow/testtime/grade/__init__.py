"""Grading: find the final answer, compare it with the gold, number the classes for votes.

An answer is first normalised as text (`spell`), then read as a shape of exact numbers, words and
formulas (`exact`, `shapes`); the values of formulas come from math-verify, in child processes with
limits on time and memory (`workers`).
"""
