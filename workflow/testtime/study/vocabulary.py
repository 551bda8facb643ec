"""The words that all tables of the study use: names of columns, and of levels in them.

A word that two parts of the package need is defined only here.
"""

NONE, ANY = "none", "any"  # a PRM, scoring or vote that is not used; whichever PRM is best
ALL = "all"  # problems of every difficulty

# How the scores of a path's steps become one: PRM-Min, PRM-Last, PRM-Avg.
SCORINGS = ("min", "last", "avg")
# How an answer is chosen among the paths: Majority Vote, PRM-Max, PRM-Vote.
MAJORITY, MAX, WEIGHTED = PATH_VOTES = ("majority", "max", "weighted")
# Among all finished candidates of a search with beams, those that it pruned too -> how they vote.
ALL_VOTES = {"majority_all": MAJORITY, "weighted_all": WEIGHTED}
VOTES = (*PATH_VOTES, *ALL_VOTES)
PASS = "pass"  # no vote: whether any of k samples is right

# Where a path of a search ends: where its policy ends the text, or at its first \boxed answer too.
TEXT, BOXED = ENDS = ("text", "boxed")

# Scores that agree to this many digits are equal: a PRM's rounding differs with the batch, and
# saturated scores would otherwise be ranked by that noise alone.
SCORE_DIGITS = 6

# Absolute levels of difficulty, easiest first, and the samples that Pass@1 was estimated from.
EASY, MEDIUM, HARD = LEVELS = ("easy", "medium", "hard")
HELD_OUT, FROM_POOL = "held-out", "pool"
# How problems are grouped before a strategy is chosen, besides ALL: by level; by level where that
# pays and else one strategy for all.
LEVEL, CHOSEN = "level", "chosen"

# The settings that tables compare: one greedy chain of thought, and the compute-optimal choice.
CHAIN, TTS = "CoT", "compute-optimal TTS"
# What a comparison allows to say of a smaller policy and a larger one.
PASSES, NOT_WORSE, OPEN, BELOW = "passes", "not worse", "cannot be told from", "falls short of"

# What a sample was drawn for: its method in the grades, and its block where that has no range.
COT, POOL, DIFFICULTY = "cot", "pool", "difficulty"

CELL = ["dataset", "policy"]
# The strategy's last two are T and N: most tokens of a thought (0 where a policy does not think, or
# as long as it wants), and samples.
STRATEGY = ["prm", "method", "scoring", "vote", "thinking", "budget"]
COSTS = ["policy_tokens", "prm_tokens", "flops"]  # means per problem in tables over problems
# Of a run that has the study's GPU for itself: seconds, and gigabytes of keys and values at most.
LATENCY, KV_GB = ALONE = ["latency_s", "kv_gb"]
SPENT = [*COSTS, *ALONE]
INTERVAL = ["ci_low", "ci_high"]
# How many samples a strategy draws: fewer than N, and not always as many, where it may stop. Mean
# and standard deviation; of a search, N.
DRAWN = ["samples", "samples_sd"]
OUTCOMES = [*CELL, *STRATEGY, "problem_id", "correct", "run_variance", *DRAWN, *SPENT]
