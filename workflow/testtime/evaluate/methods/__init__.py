"""How methods choose among the policy's samples, one module per method.

A module's function has its name. `NAME(samples, scorings)` gives each sample a weight by each
scoring, an array (n_samples, n_scorings), none negative; or None if the samples lack what it reads.
`samples` has text, tokens, logprob and step_logprobs and, if a PRM read them, scores, one per step.
A rule looks at all samples drawn instead: `NAME(drawn)`, see `testtime.evaluate.rules`.
"""
