"""Simulated outcomes with known truth, for tests of what is fitted on them."""

import numpy as np
import pandas as pd
from testtime.evaluate.difficulty import levels, quantile_bins

SAMPLE_TOKENS = 50


def problem_ids(n: int) -> list[str]:
    return [f"p{i:03d}" for i in range(n)]


def difficulty(chance: np.ndarray, *, dataset="toy", policy="small") -> pd.DataFrame:
    """A difficulty table whose Pass@1 is known exactly."""
    ids = problem_ids(len(chance))
    return pd.DataFrame(
        {
            "dataset": dataset,
            "policy": policy,
            "problem_id": ids,
            "pass_at_1": chance,
            "n_samples": 64,
            "level": levels(chance),
            "quantile": quantile_bins(chance, ids, 5),
            "source": "held-out",
        }
    )


def outcome(correct, *, method, prm="none", scoring="none", vote="none", budget=1, **names):
    """Rows of one strategy: `correct` per problem, tokens by budget, FLOPs by tokens."""
    guided = prm != "none"
    tokens = float(SAMPLE_TOKENS * budget)
    return pd.DataFrame(
        {
            "dataset": names.get("dataset", "toy"),
            "policy": names.get("policy", "small"),
            "prm": prm,
            "method": method,
            "scoring": scoring,
            "vote": vote,
            "thinking": 0,
            "budget": budget,
            "problem_id": problem_ids(len(correct)),
            "correct": np.asarray(correct, dtype=float),
            "run_variance": 0.0,
            "samples": float(budget),
            "samples_sd": 0.0,
            "policy_tokens": tokens,
            "prm_tokens": tokens * guided,
            "flops": 2e6 * tokens * (1 + guided),
            "latency_s": 0.01 * SAMPLE_TOKENS * (1 + guided) + 1e-5 * tokens,
            "kv_gb": 1e-6 * tokens,
        }
    )


def study(n=60, *, policy="small", seed=0, budgets=(4, 16), gain=0.1, **names) -> pd.DataFrame:
    """CoT, majority voting, best-of-N and beam search whose accuracy grows with the budget."""
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.02, 0.98, n)
    names = {"policy": policy} | names

    def draw(bonus):
        return np.clip(chance + bonus + rng.normal(0, 0.05, n), 0, 1)

    parts = [outcome((draw(0) > 0.5), method="cot", **names)]
    for budget in budgets:
        more = gain * np.log2(budget) / 2
        parts.append(
            outcome(draw(more / 2), method="majority", vote="majority", budget=budget, **names)
        )
        for prm, share in (("good", 1.0), ("weak", 0.4)):
            for method in ("best_of_n", "beam_search"):
                for vote in ("max", "weighted"):
                    correct = draw(more * share)
                    strategy = {"method": method, "scoring": "last", "vote": vote}
                    parts.append(outcome(correct, prm=prm, budget=budget, **strategy, **names))
    return pd.concat(parts, ignore_index=True)


def study_difficulty(n=60, *, policies=("small",)) -> pd.DataFrame:
    chance = np.linspace(0.02, 0.98, n)
    return pd.concat([difficulty(chance, policy=name) for name in policies], ignore_index=True)
