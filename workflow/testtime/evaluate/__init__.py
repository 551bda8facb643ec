"""From samples, scores, searches and grades to expected correctness and cost."""

from testtime.evaluate.accuracy import accuracy_table, pass_at_k_table
from testtime.evaluate.outcomes import evaluate_policy

__all__ = ["accuracy_table", "evaluate_policy", "pass_at_k_table"]
