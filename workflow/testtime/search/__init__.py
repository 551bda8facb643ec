"""PRM-guided search: one module per method, and what runs many trees together.

A method is a function of its module's name, a program over one tree (see `tree`).
"""
