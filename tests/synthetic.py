"""Made-up tables of a study, by formula. Nothing in them was measured."""

from importlib import import_module

import numpy as np
import pandas as pd
from testtime.present import registry

DATASET = "toy"
POLICIES = {"tiny": 3e4, "small": 1.1e5, "large": 4.3e5}
PRMS = ["weak-prm", "good-prm"]
POOL, SEARCH, M = [4, 16], [4, 16], 4
SKILL = {"tiny": 0.25, "small": 0.4, "large": 0.6}
HELP = {"none": 0.0, "weak-prm": 0.05, "good-prm": 0.16}
GAIN = {"majority": 0.03, "best_of_n": 0.05, "beam_search": 0.06, "dvts": 0.055, "confidence": 0.02}
GAIN["adaptive_consistency"] = 0.028
LEVEL_SHIFT = {"easy": 0.25, "medium": 0.0, "hard": -0.2, "all": 0.0}
SPENT = ("policy_tokens", "prm_tokens", "flops", "latency_s", "kv_gb")
AXES = ("policy_tokens", "flops", "latency_s")
STRATEGY = ("prm", "method", "scoring", "vote", "thinking", "budget")
GUIDED = ("best_of_n", "beam_search", "dvts")
STRATEGIES = {
    "majority": [("none", "majority")],
    "confidence": [("avg", "weighted")],
    "adaptive_consistency": [("none", "majority")],
    "best_of_n": [(s, v) for s in ("min", "last", "avg") for v in ("max", "weighted")],
    "beam_search": [("none", "majority")] + [("last", v) for v in ("max", "weighted")],
    "dvts": [("none", "majority")] + [("last", v) for v in ("max", "weighted")],
}


def config() -> dict:
    return {
        "study": "A synthetic study",
        "seed": 7,
        "datasets": [DATASET],
        "policies": list(POLICIES),
        "prms": PRMS,
        "methods": ["cot", *STRATEGIES],
        "budgets": {"pool": POOL, "search": SEARCH, "thinking": []},
        "beam_width": M,
        "engine": "transformers",
        "difficulty": {"samples": 8, "easy": 0.5, "hard": 0.1, "quantiles": 5},
        "evaluate": {"confidence": 0.95},
        "figures": {"scoring": "last", "vote": "weighted"},
        "catalog": {},
    }


def interval(p: np.ndarray | float, n: int) -> tuple:
    half = 1.96 * np.sqrt(np.maximum(p * (1 - p), 1e-4) / n)
    return np.clip(p - half, 0, 1), np.clip(p + half, 0, 1)


def strategies(policy: str, budgets: tuple[int, ...] = (4, 16)) -> list[dict]:
    rows = [
        {"prm": "none", "method": "cot", "scoring": "none", "vote": "none", "budget": 1}
        | {"thinking": 0}
    ]
    rows[0]["p"] = SKILL[policy] + 0.08
    for method, choices in STRATEGIES.items():
        for prm in PRMS if method in GUIDED else ["none"]:
            for scoring, vote in choices:
                for budget in budgets:
                    tilt = {"min": -0.01, "last": 0.01, "avg": 0.0, "none": 0.0}[scoring]
                    gain = (GAIN[method] + HELP[prm] + tilt) * np.log2(budget) / 2.5
                    rows.append(
                        {"prm": prm, "method": method, "scoring": scoring, "vote": vote}
                        | {"thinking": 0}
                        | {"budget": budget, "p": min(SKILL[policy] + gain, 0.97)}
                    )
    return rows


def accuracy(n: int = 200) -> pd.DataFrame:
    rows = []
    for policy, size in POLICIES.items():
        for s in strategies(policy):
            for level, shift in LEVEL_SHIFT.items():
                p = float(np.clip(s["p"] + shift, 0.01, 0.99))
                count = n if level == "all" else n // 3
                low, high = interval(p, count)
                stops = s["method"] == "adaptive_consistency"
                samples = 0.6 * s["budget"] if stops else s["budget"]
                tokens = 40 * samples
                read = 0 if s["prm"] == "none" else tokens
                rows.append(
                    {"dataset": DATASET, "policy": policy}
                    | {k: s[k] for k in STRATEGY}
                    | {"difficulty": level, "n_problems": count, "accuracy": p}
                    | {"ci_low": low, "ci_high": high, "samples": samples}
                    | {"samples_sd": 1.5 * stops, "policy_tokens": tokens, "prm_tokens": read}
                    | {"flops": 2 * size * tokens + 2 * 2e5 * read}
                    | {"latency_s": 0.4 + 1e-4 * tokens, "kv_gb": 1e-6 * tokens}
                )
    return pd.DataFrame(rows)


def pass_at_k() -> pd.DataFrame:
    rows = []
    for policy in POLICIES:
        for k in (1, 2, 4, 8, 16):
            p = 1 - (1 - SKILL[policy]) ** (k**0.6)
            low, high = interval(p, 200)
            row = {"dataset": DATASET, "policy": policy, "k": k, "pass_at_k": p}
            rows.append(row | {"ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def forecast() -> pd.DataFrame:
    """Both curves at multiples of the largest budget, of which the first was drawn."""
    rows = []
    for policy in POLICIES:
        for method, power in (("pass", 0.6), ("majority", 0.2)):
            for k in (16, 32, 64, 256, 1024):
                p = 1 - (1 - SKILL[policy]) ** (k**power)
                row = {"dataset": DATASET, "policy": policy, "method": method, "k": k, "value": p}
                row |= {"extrapolated": k > 16, "gain": 0.01, "gain_low": 0.0, "gain_high": 0.03}
                rows.append(row | dict(zip(("ci_low", "ci_high"), interval(p, k), strict=True)))
    return pd.DataFrame(rows).assign(n_problems=200)


def compute_optimal(gain: float = 0.0) -> pd.DataFrame:
    rows = []
    for policy, size in POLICIES.items():
        for prm in [*PRMS, "none", "any"]:
            for budget in POOL:
                help_ = HELP["good-prm" if prm == "any" else prm]
                p = min(SKILL[policy] + gain + (0.07 + help_) * np.log2(budget) / 2.5, 0.98)
                low, high = interval(p, 200)
                rows.append(
                    {"dataset": DATASET, "policy": policy, "prm": prm, "budget": budget}
                    | {"in_sample_accuracy": p + 0.015, "accuracy": p, "ci_low": low}
                    | {"ci_high": high, "optimism": 0.015, "policy_tokens": 40 * budget}
                    | {"prm_tokens": 30 * budget, "flops": 2 * size * 40 * budget}
                    | {"latency_s": 0.4 + 4e-3 * budget, "kv_gb": 4e-5 * budget}
                    | {"n_problems": 200, "binning": "level", "difficulty_source": "held-out"}
                    | {"fold_error": 0.002}
                )
    return pd.DataFrame(rows)


def by_cost() -> pd.DataFrame:
    """The compute-optimal rows with the budget in tokens, FLOPs and latency."""
    rows = compute_optimal().query("prm == 'any'")
    tables = [rows.assign(axis=axis, budget=rows[axis]) for axis in AXES]
    return pd.concat(tables, ignore_index=True)


def frontier() -> pd.DataFrame:
    """CoT and the compute-optimal choice of every policy, as `frontier.csv` has them."""
    cot = accuracy().query("method == 'cot' and difficulty == 'all'").assign(setting="CoT")
    best = compute_optimal().assign(setting="compute-optimal TTS")
    columns = ["dataset", "policy", "setting", "prm", "budget", "n_problems", "accuracy"]
    columns += ["ci_low", "ci_high", "policy_tokens", "prm_tokens", "flops"]
    columns += ["latency_s", "kv_gb"]
    rows = pd.concat([cot[columns], best[columns]], ignore_index=True)
    rows.insert(2, "parameters", rows["policy"].map(POLICIES))
    return rows.assign(published=np.nan)


def overtaking(gain: float = 0.0, half: float = 0.05) -> pd.DataFrame:
    """Paired comparisons of smaller policies' TTS with larger ones' CoT."""
    cot = {policy: SKILL[policy] + 0.08 for policy in POLICIES}
    best = compute_optimal(gain).query("prm == 'any' and budget == 16")
    tts = best.set_index("policy")["accuracy"]
    rows = []
    for small, size in POLICIES.items():
        for large, more in POLICIES.items():
            if more > size:
                difference = tts[small] - cot[large]
                p = 0.001 if abs(difference) > half else 0.5
                rows.append(
                    {"dataset": DATASET, "small": small, "large": large}
                    | {"size_ratio": more / size, "budget": 16, "n_problems": 200}
                    | {"small_accuracy": tts[small], "large_accuracy": cot[large]}
                    | {"difference": difference, "ci_low": difference - half}
                    | {"ci_high": difference + half, "p_value": p, "p_adjusted": min(2 * p, 1)}
                    | {"detectable": half * 1.43, "primary": large == "large", "run_sd": 0.012}
                    | {"small_flops": 2 * size * 640, "large_flops": 2 * more * 40}
                    | {"verdict": verdict(difference, half)}
                )
    return pd.DataFrame(rows)


def equal_flops(gain: float = 0.0, half: float = 0.05) -> pd.DataFrame:
    """The same at the FLOPs of the large CoT."""
    rows = overtaking(gain, half)
    return rows.assign(budget=rows["large_flops"], small_flops=rows["large_flops"] * 0.9)


def thresholds(gain: float = 0.0, half: float = 0.05) -> pd.DataFrame:
    """The primary comparisons with lower, equal and higher thresholds."""
    rows = overtaking(gain, half).query("primary")
    moved = zip((0.44, 0.5, 0.56), (0.06, 0.1, 0.14), (11, 0, 7), strict=True)
    return pd.concat([rows.assign(easy=e, hard=h, n_moved=n) for e, h, n in moved])


def verdict(difference: float, half: float) -> str:
    """What a difference with this half of an interval allows to say, with a margin of 0.02."""
    if abs(difference) > half:
        return "passes" if difference > 0 else "falls short of"
    return "not worse" if difference - half > -0.02 else "cannot be told from"


def voting() -> pd.DataFrame:
    """Every scoring and vote, with its paired gain over majority voting."""
    rows = accuracy().query("difficulty == 'all' and method != 'cot'")
    rows = rows.drop(columns=["difficulty", *SPENT])
    plain = rows[rows["method"] == "majority"].set_index(["policy", "budget"])["accuracy"]
    keys = pd.MultiIndex.from_frame(rows[["policy", "budget"]])
    rows["gain"] = rows["accuracy"] - plain.reindex(keys).to_numpy()
    return rows.assign(gain_low=rows["gain"] - 0.04, gain_high=rows["gain"] + 0.04)


def prm_quality() -> pd.DataFrame:
    rows = []
    for policy in POLICIES:
        for prm, f1 in zip(PRMS, (0.52, 0.81), strict=True):
            key = {"dataset": DATASET, "policy": policy, "prm": prm, "n_problems": 200}
            rows.append(key | {"auc": f1 + 0.1, "auc_first_wrong": f1 + 0.12, "f1": f1})
    return pd.DataFrame(rows)


def prm_length() -> pd.DataFrame:
    rows = []
    for policy in POLICIES:
        for prm, drift in zip(PRMS, (0.9, 1.05), strict=True):
            for budget in (1, 2, 4):
                chosen = 40 * drift ** np.log2(budget)
                key = {"dataset": DATASET, "policy": policy, "prm": prm, "scoring": "last"}
                row = {"budget": budget, "chosen_tokens": chosen, "pool_tokens": 40.0}
                ratio = {"ratio": chosen / 40.0, "ratio_low": chosen / 40 - 0.03}
                row |= ratio | {"ratio_high": chosen / 40 + 0.03, "n_problems": 200}
                rows.append(
                    key
                    | row
                    | {"correlation": drift - 1, "correlation_low": drift - 1.1}
                    | {"correlation_high": drift - 0.9}
                )
    return pd.DataFrame(rows)


def prm_bias() -> pd.DataFrame:
    rows = []
    for policy in POLICIES:
        for prm, slope in zip(PRMS, (-0.1, 0.02), strict=True):
            for correct in (0, 1):
                for i, length in enumerate(("short", "middle", "long")):
                    key = {"dataset": DATASET, "policy": policy, "prm": prm, "scoring": "last"}
                    row = {"correct": correct, "length": length, "n_samples": 120}
                    score = 0.35 + 0.4 * correct + slope * i
                    ends = {"score_low": score - 0.04, "score_high": score + 0.04}
                    row |= {"n_problems": 80, "mean_tokens": 30 + 9 * i, "mean_score": score}
                    rows.append(key | row | ends)
    return pd.DataFrame(rows)


def difficulty(policy: str, n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(len(policy))
    p = np.sort(rng.beta(0.5 + 2 * SKILL[policy], 1.2, n).round(3))[::-1]
    return pd.DataFrame(
        {
            "problem_id": [f"p{i:03d}" for i in range(n)],
            "pass_at_1": p,
            "n_samples": 64,
            "level": np.select([p >= 0.5, p < 0.1], ["easy", "hard"], "medium"),
            "quantile": [f"q{1 + i * 5 // n}" for i in range(n)],
            "source": "held-out",
        }
    )


def difficulties() -> pd.DataFrame:
    frames = [difficulty(policy).assign(policy=policy) for policy in POLICIES]
    return pd.concat(frames).assign(dataset=DATASET)


def lookup() -> dict:
    choices = {
        "easy": ("majority", "none", "majority", "none"),
        "medium": ("best_of_n", "last", "weighted", "good-prm"),
        "hard": ("beam_search", "last", "weighted", "good-prm"),
    }
    contexts = []
    for policy in POLICIES:
        for prm in [*PRMS, "none", "any"]:
            for budget in POOL:
                for level, (method, scoring, vote, chosen) in choices.items():
                    p = min(SKILL[policy] + LEVEL_SHIFT[level] + 0.2, 0.99)
                    support = {"n_problems": 60, "folds_agreeing": 41, "folds": 50}
                    contexts.append(
                        {"dataset": DATASET, "policy": policy, "prm": prm, "budget": budget}
                        | {"difficulty": level, "accuracy": p, "ci_low": p - 0.1}
                        | {"ci_high": min(p + 0.1, 1), "in_sample_accuracy": p + 0.01}
                        | {"support": {**support, "pooled": False, "per_bin": True}}
                        | {"cost": dict(zip(SPENT, (100, 90, 1e7, 0.5, 1e-4), strict=True))}
                        | {
                            "strategy": {
                                "method": method,
                                "scoring": scoring,
                                "vote": vote,
                                "thinking": 0,
                            }
                            | {"prm": chosen, "budget": budget}
                        }
                    )
    contexts += over_all()
    costs = [
        {"axis": axis, "amount": context["cost"][axis]} | context
        for axis in AXES
        for context in over_all()
    ]
    return {"format": "testtime-lookup", "version": 3, "contexts": contexts, "by_cost": costs} | {
        "policies": {name: {"parameters": size, "rate": 1000} for name, size in POLICIES.items()},
        "prms": {name: {"parameters": 2e5, "rate": 4000} for name in PRMS},
    }


def over_all() -> list[dict]:
    """The choice for all problems together, of every policy and budget."""
    contexts = []
    for row in compute_optimal().query("prm == 'any'").to_dict("records"):
        keys = ("dataset", "policy", "prm", "accuracy", "ci_low", "ci_high", "in_sample_accuracy")
        strategy = {"method": "best_of_n", "scoring": "last", "vote": "weighted", "thinking": 0}
        support = {"n_problems": 200, "folds_agreeing": 41, "folds": 50}
        contexts.append(
            {key: row[key] for key in keys}
            | {"difficulty": "all", "budget": row["budget"]}
            | {"support": {**support, "pooled": False, "per_bin": True}}
            | {"strategy": strategy | {"prm": "good-prm", "budget": row["budget"]}}
            | {"cost": {key: row[key] for key in SPENT}}
        )
    return contexts


THINKING = (64, 128, 256)


def thinking(n: int = 200) -> pd.DataFrame:
    """CoT and majority voting of every policy; shorter thoughts answer less."""
    rows = accuracy(n)
    rows = rows[rows["method"].isin(["cot", "majority"])]
    levels = rows[rows["difficulty"] != "all"]
    quantiles = levels["difficulty"].map({"easy": "q1", "medium": "q2", "hard": "q3"})
    rows = pd.concat([rows, levels.assign(difficulty=quantiles)], ignore_index=True)
    parts = []
    for i, budget in enumerate(THINKING):
        part = rows.assign(thinking=budget, policy_tokens=rows["policy_tokens"] * (i + 1))
        share = (i + 2) / (len(THINKING) + 1)
        parts.append(part.assign(**{k: rows[k] * share for k in ("accuracy", "ci_low", "ci_high")}))
    return pd.concat(parts, ignore_index=True)


def cost_choices() -> pd.DataFrame:
    """For each amount of tokens a choice: first longer thoughts, then more of them."""
    chosen = [(64, 1), (128, 1), (256, 1), (256, 4), (256, 16)]
    rows = [
        {"axis": "policy_tokens", "dataset": DATASET, "policy": policy, "prm": "any"}
        | {"budget": 40.0 * 2**i, "binning": "all", "difficulty": "all", "method": "majority"}
        | {"thinking": t, "strategy_budget": n}
        for policy in POLICIES
        for i, (t, n) in enumerate(chosen)
    ]
    return pd.DataFrame(rows)


TABLES = {
    "accuracy": accuracy,
    "thinking": thinking,
    "cost_choices": cost_choices,
    "pass_at_k": pass_at_k,
    "forecast": forecast,
    "compute_optimal": compute_optimal,
    "by_cost": by_cost,
    "frontier": frontier,
    "overtaking": overtaking,
    "voting": voting,
    "prm_quality": prm_quality,
    "prm_length": prm_length,
    "prm_bias": prm_bias,
}
THINGS = TABLES | {"lookup": lookup, "difficulty": difficulties}
SETTINGS = {
    "policies": POLICIES,
    "prms": PRMS,
    "figures": config()["figures"],
    "headline": 16,
    "thresholds": {"easy": 0.5, "hard": 0.1},
}


def figure(name: str):
    """A figure's module."""
    return import_module(f"testtime.present.figures.{name}")


def figure_data(name: str, **changes) -> pd.DataFrame:
    """A figure's rows, made of what it asks for.

    Args:
        name: of the figure.
        changes: inputs and settings in place of the synthetic ones.
    """
    asked = registry.figures()[name]
    known = {thing: THINGS[thing]() for thing in (*asked.inputs, *asked.optional)}
    known |= {setting: SETTINGS[setting] for setting in asked.settings}
    return figure(name).data(**known | changes)
