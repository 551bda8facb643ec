"""From samples, scores, searches and grades to expected correctness and cost."""
