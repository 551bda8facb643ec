"""How each method weighs the paths that it drew, one module per method of the policy's own samples.

A module's function has its name: `NAME(samples, scorings)` gives each sample a weight by each
scoring, an array (n_samples, n_scorings), none negative; or None where the samples lack what it
reads. `samples` has text, tokens, logprob and step_logprobs and, where a PRM read them, scores, one
per step.
"""
