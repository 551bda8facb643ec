"""Simulated studies whose strategies are chosen, by level where that pays: what intervals and tests
make of them.
"""

import numpy as np
from scipy import stats
from testtime.evaluate.statistics import chosen_interval, holm, paired_difference
from testtime.fit.crossfit import crossfit, draw_folds

KINDS = ("equal", "one better", "one dominant")
STRATEGIES, BETTER = 12, 7
CHANCE, SHARE = np.array([0.85, 0.4, 0.08]), np.array([0.4, 0.35, 0.25])  # by level
ADVANTAGE = {"equal": 0.0, "one better": 0.06, "one dominant": 0.3}  # of what is left to gain
TOGETHER = 0.3  # how much strategies succeed on the same problems: correlation of a latent normal
SPREAD = 4  # of soft outcomes: the sum of a beta distribution's parameters


def truth(kind: str) -> np.ndarray:
    """Accuracy of each strategy at each level, (3, STRATEGIES)."""
    gain = np.zeros(STRATEGIES)
    gain[BETTER] = ADVANTAGE[kind]
    return CHANCE[:, None] + gain * (1 - CHANCE[:, None])


def draw(rng: np.random.Generator, n: int, kind: str, *, soft: bool):
    """Levels (n,), outcomes (n, STRATEGIES), and those of another policy's CoT (n,)."""
    levels = rng.choice(3, size=n, p=SHARE)
    latent = np.sqrt(TOGETHER) * rng.normal(size=(n, 1))
    latent = latent + np.sqrt(1 - TOGETHER) * rng.normal(size=(n, STRATEGIES + 1))
    uniform, chance = stats.norm.cdf(latent), truth(kind)[levels]
    if soft:
        correct = stats.beta.ppf(uniform[:, :-1], SPREAD * chance, SPREAD * (1 - chance))
    else:
        correct = (uniform[:, :-1] < chance).astype(float)
    return levels, correct, (uniform[:, -1] < CHANCE[levels]).astype(float)


def simulate(n: int, kind: str, *, soft: bool, worlds: int, seed: int = 1) -> dict[str, float]:
    """Shares of worlds.

    The truth of a world is the mean accuracy, on new problems, of the strategies that its folds
    picked; that of the comparison is the truth less the CoT's accuracy.

    Returns:
        coverage of the chosen strategies' interval; rejected, the share of comparisons whose
        interval does not hold their truth; passed, those that call the small policy better.
    """
    rng = np.random.default_rng(seed)
    covered = missed = passed = 0
    for _ in range(worlds):
        levels, correct, chain = draw(rng, n, kind, soft=soft)
        folds = draw_folds(levels, 5, 10, int(rng.integers(2**31)))
        result = crossfit(correct, levels, folds, n_bins=3, prefer_one=True)
        true = float((truth(kind)[np.arange(3), result.picks] @ SHARE).mean())
        low, high = chosen_interval(result.values)
        covered += low <= true <= high
        difference = paired_difference(result.values - chain)
        missed += not difference.low <= true - SHARE @ CHANCE <= difference.high
        passed += difference.low > 0
    return {
        "coverage": covered / worlds,
        "rejected": missed / worlds,
        "passed": passed / worlds,
    }


def simulate_family(
    n: int, *, soft: bool, worlds: int, policies: int = 3, seed: int = 1
) -> dict[str, float]:
    """Shares of worlds in which any of several small policies is told from a large one's CoT.

    All are equally good, so what is told apart is told wrongly; p-values are adjusted by Holm.

    Returns:
        told_apart, and passed: at least one of them called better.
    """
    rng = np.random.default_rng(seed)
    told = passed = 0
    for _ in range(worlds):
        levels = rng.choice(3, size=n, p=SHARE)
        shared = np.sqrt(TOGETHER) * rng.normal(size=(n, 1))
        own = np.sqrt(1 - TOGETHER) * rng.normal(size=(n, policies * STRATEGIES + 1))
        uniform, chance = stats.norm.cdf(shared + own), CHANCE[levels]
        chain = (uniform[:, -1] < chance).astype(float)
        found = []
        for few in np.split(uniform[:, :-1], policies, axis=1):
            odds = chance[:, None]
            correct = (few < odds).astype(float)
            if soft:
                correct = stats.beta.ppf(few, SPREAD * odds, SPREAD * (1 - odds))
            folds = draw_folds(levels, 5, 10, int(rng.integers(2**31)))
            result = crossfit(correct, levels, folds, n_bins=3, prefer_one=True)
            found.append(paired_difference(result.values - chain))
        sure = holm(np.array([difference.p_value for difference in found])) < 0.05
        told += sure.any()
        passed += any(sure & np.array([difference.mean > 0 for difference in found]))
    return {"told_apart": told / worlds, "passed": passed / worlds}
