"""How much the advice at a limit promises, and how often a target is truly reached.

    PYTHONPATH=workflow:tests python tests/benchmarks/advice.py

Simulated studies of 29 strategies, whose true accuracies are known, are fitted over generated
tokens. At the largest limit: accuracy promised minus true accuracy, of the most accurate choice
within and of the last one. For targets: share of studies in which the choice truly reaches it (to
a point), for the first choice that does and for the first from which on all do.
"""

import numpy as np
import pandas as pd
import worlds
from scipy.stats import norm
from testtime.fit.cells import Settings
from testtime.fit.cost_axis import fit_by_cost
from testtime.study.vocabulary import ALL, STRATEGY

KINDS = [("majority", "none", "none", "majority")]
KINDS += [("best_of_n", "good", s, v) for s in ("min", "last") for v in ("max", "weighted")]
KINDS += [("beam_search", "good", "last", vote) for vote in ("max", "weighted")]
NOISE = 0.15 * norm.ppf((np.arange(40) + 0.5) / 40)
TARGETS = (0.55, 0.6, 0.65, 0.7)
WORLDS = 40


def study(rng: np.random.Generator, n: int, gain: float, binary: bool) -> tuple:
    """Outcomes, and the true accuracy of each budget, which all strategies share."""
    ability, parts, truth = rng.beta(1, 1, n), [], {}
    for budget in (1, 4, 16, 64, 256):
        shift = gain * np.log2(budget) / 8
        truth[budget] = np.clip(np.linspace(0, 1, 401)[:, None] + shift + NOISE, 0, 1).mean()
        kinds = KINDS if budget > 1 else [("cot", "none", "none", "none")]
        for k, (method, prm, scoring, vote) in enumerate(kinds):
            chance = np.clip(ability + shift + rng.normal(0, 0.15, n), 0, 1)
            correct = rng.random(n) < chance if binary else chance
            names = {"method": method, "prm": prm, "scoring": scoring, "vote": vote}
            rows = worlds.outcome(correct, budget=budget, **names)
            parts.append(rows.assign(policy_tokens=50.0 * budget * (1 + 0.05 * k)))
    return pd.concat(parts), truth


def main() -> None:
    for n, gain, binary in [
        (200, 0.1, 1),
        (200, 0.3, 1),
        (200, 0.3, 0),
        (30, 0.1, 1),
        (30, 0.3, 1),
    ]:
        promised, reached = [], []
        for world in range(WORLDS):
            rows, truth = study(np.random.default_rng(world), n, gain, bool(binary))
            settings = Settings(seed=1, repeats=2)
            axis = {"axis": "policy_tokens", "prms": ("any",), "binning": ALL}
            fits = fit_by_cost(rows, None, settings, **axis)
            seen = np.array([fit.accuracy for fit in fits])
            true = np.array([truth[fit.choices[STRATEGY[-1]].iloc[0]] for fit in fits])
            promised.append(((seen - true)[seen.argmax()], (seen - true)[-1]))
            lasting = np.minimum.accumulate(seen[::-1])[::-1]
            for target in TARGETS:
                pair = [true[np.argmax(v >= target)] if v.max() >= target else np.nan
                        for v in (seen, lasting)]  # fmt: skip
                if true.max() >= target:
                    reached.append([np.nan if np.isnan(t) else t >= target - 0.01 for t in pair])
        best, last = np.mean(promised, axis=0)
        first, all_dearer = np.nanmean(np.array(reached, dtype=float), axis=0)
        print(f"{n} problems, {'0/1' if binary else 'soft'}, gain {gain}: promises too much by")
        print(f"  {best:.3f} (most accurate), {last:.3f} (last);", end=" ")
        print(f"truly reached {first:.2f} (first), {all_dearer:.2f} (with all dearer)", flush=True)


if __name__ == "__main__":
    main()
