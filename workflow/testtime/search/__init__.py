"""PRM-guided search: one module per method, and what runs many trees together.

A method is a function named like its module, a program over one search tree (see `tree`).
"""
