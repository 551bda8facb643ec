"""A made-up results folder: tables by formula, texts by template. Nothing in it was measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from testtime.tables import write_csv, write_json, write_parquet

DATASET = "toy"
POLICIES = {"tiny": 3e4, "small": 1.1e5, "large": 4.3e5}
PRMS = ["weak-prm", "good-prm"]
POOL, SEARCH, M = [4, 16], [4, 16], 4
SKILL = {"tiny": 0.25, "small": 0.4, "large": 0.6}
HELP = {"none": 0.0, "weak-prm": 0.05, "good-prm": 0.16}
GAIN = {"majority": 0.03, "best_of_n": 0.05, "beam_search": 0.06, "dvts": 0.055, "confidence": 0.02}
LEVEL_SHIFT = {"easy": 0.25, "medium": 0.0, "hard": -0.2, "all": 0.0}
N_PROBLEMS = 12
STRATEGIES = {
    "majority": [("none", "majority")],
    "confidence": [("avg", "weighted")],
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
        "budgets": {"pool": POOL, "search": SEARCH},
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
    rows = [{"prm": "none", "method": "cot", "scoring": "none", "vote": "none", "budget": 1}]
    rows[0]["p"] = SKILL[policy] + 0.08
    for method, choices in STRATEGIES.items():
        for prm in ["none"] if method in ("majority", "confidence") else PRMS:
            for scoring, vote in choices:
                for budget in budgets:
                    tilt = {"min": -0.01, "last": 0.01, "avg": 0.0, "none": 0.0}[scoring]
                    gain = (GAIN[method] + HELP[prm] + tilt) * np.log2(budget) / 2.5
                    rows.append(
                        {"prm": prm, "method": method, "scoring": scoring, "vote": vote}
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
                tokens = 40 * s["budget"]
                read = 0 if s["prm"] == "none" else tokens
                rows.append(
                    {"dataset": DATASET, "policy": policy}
                    | {k: s[k] for k in ("prm", "method", "scoring", "vote", "budget")}
                    | {"difficulty": level, "n_problems": count, "accuracy": p}
                    | {"ci_low": low, "ci_high": high, "policy_tokens": tokens, "prm_tokens": read}
                    | {"flops": 2 * size * tokens + 2 * 2e5 * read}
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
                    | {"n_problems": 200, "binning": "level", "difficulty_source": "held-out"}
                )
    return pd.DataFrame(rows)


def prm_quality() -> pd.DataFrame:
    return pd.DataFrame({"prm": PRMS, "auc_first_wrong": [0.74, 0.91]})


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
                        | {"support": {**support, "pooled": False}}
                        | {"cost": {"policy_tokens": 100, "prm_tokens": 90, "flops": 1e7}}
                        | {
                            "strategy": {"method": method, "scoring": scoring, "vote": vote}
                            | {"prm": chosen, "budget": budget}
                        }
                    )
    return {"format": "testtime-lookup", "version": 1, "contexts": contexts}


def prm_samples(seed: int = 0, bias: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(20, 80, 400)
    correct = rng.random(400) < 0.4
    score = np.clip(0.3 + 0.3 * correct + bias * (tokens - 50) / 60 + rng.normal(0, 0.1, 400), 0, 1)
    problems = np.repeat([f"p{i}" for i in range(25)], 16)
    return pd.DataFrame(
        {"problem_id": problems, "tokens": tokens, "score": score, "correct": correct}
    )


def results(root: Path) -> Path:
    """Write the whole folder, texts included."""
    root = Path(root)
    ids = [f"p{i:03d}" for i in range(N_PROBLEMS)]
    problems = pd.DataFrame({"problem_id": ids, "level": 3, "subject": "sums"})
    problems["problem"] = [f"What is {i} + {i} & <b>why</b>?" for i in range(N_PROBLEMS)]
    write_parquet(problems, root / f"problems/{DATASET}.parquet")
    answers = pd.DataFrame({"problem_id": ids, "answer": [str(2 * i) for i in range(N_PROBLEMS)]})
    write_parquet(answers, root / f"answers/{DATASET}.parquet")
    write_csv(accuracy(), root / "tables/accuracy.csv")
    write_csv(pass_at_k(), root / "tables/pass_at_k.csv")
    write_csv(compute_optimal(), root / "tables/compute_optimal.csv")
    write_csv(prm_quality(), root / "tables/prm_quality.csv")
    write_json(lookup(), root / "lookup.json")
    outcomes = []
    for number, policy in enumerate(POLICIES):
        write_parquet(difficulty(policy), root / f"difficulty/{DATASET}/{policy}.parquet")
        grades = _texts(root, policy, ids, np.random.default_rng(number))
        write_parquet(pd.DataFrame(grades), root / f"grades/{DATASET}/{policy}.parquet")
        outcomes.append(_outcomes(policy, ids, np.random.default_rng(number)))
        for stage, seconds in (("generate", 12.5), ("grade", 3.0)):
            table = root / f"benchmarks/{stage}/{DATASET}/{policy}.tsv"
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(
                "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
                f"{seconds}\t0:00:12\t512.5\t900\t500\t505\t1\t2\t98.0\t{seconds * 0.98}\n"
            )
    write_parquet(pd.concat(outcomes, ignore_index=True), root / "tables/outcomes.parquet")
    return root


def _outcomes(policy: str, ids: list[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for s in strategies(policy):
        for problem_id in ids:
            rows.append(
                {"dataset": DATASET, "policy": policy}
                | {k: s[k] for k in ("prm", "method", "scoring", "vote", "budget")}
                | {"problem_id": problem_id, "correct": float(rng.random() < s["p"])}
                | {"policy_tokens": 40.0 * s["budget"], "prm_tokens": 30.0, "flops": 1e6}
            )
    return pd.DataFrame(rows)


def _path(i: int, right: bool, rng: np.random.Generator) -> dict:
    answer = 2 * i if right else 2 * i + int(rng.integers(1, 4))
    steps = [
        f"Take {i} <script>alert('x')</script>",
        f"{i} + {i} = {answer}",
        f"\\boxed{{{answer}}}",
    ]
    return {
        "text": "\n\n".join(steps),
        "steps": steps,
        "step_logprobs": [-0.1, -0.4, -0.2],
        "logprob": -0.25,
        "tokens": 20 + int(rng.integers(0, 9)),
        "prompt_tokens": 11,
        "finish": "stop",
        "seed": int(rng.integers(0, 2**62)),
        "_answer": str(answer),
    }


def _grade(method: str, prm: str, budget: int, problem_id: str, index: int, i: int, row: dict):
    undecided = method == "pool" and i == 3 and index == 0
    return {
        "method": method,
        "prm": prm,
        "budget": budget,
        "problem_id": problem_id,
        "path": index,
        "answer": row["_answer"],
        "answer_class": int(row["_answer"]) - 2 * i,
        "correct": None if undecided else row["_answer"] == str(2 * i),
        "reason": "the comparison took longer than 5 s" if undecided else "equal numbers",
    }


def _texts(root: Path, policy: str, ids: list[str], rng: np.random.Generator) -> list[dict]:
    grades = []
    here = f"{DATASET}/{policy}"
    for block, indices in {"cot": [0], "0-4": range(4), "4-16": range(4, 16)}.items():
        rows, scores = [], {prm: [] for prm in PRMS}
        for i, problem_id in enumerate(ids):
            for index in indices:
                row = _path(i, rng.random() < SKILL[policy], rng)
                rows.append({"problem_id": problem_id, "sample": index, **row})
                method = "cot" if block == "cot" else "pool"
                grades.append(_grade(method, "none", 0, problem_id, index, i, row))
                for prm in PRMS:
                    scores[prm].append(
                        {"problem_id": problem_id, "sample": index, "prm_tokens": 40}
                        | {"scores": list(rng.random(3).round(3))}
                    )
        frame = pd.DataFrame(rows).drop(columns="_answer")
        write_parquet(frame, root / f"generations/{here}/{block}/1-of-1.parquet")
        if block != "cot":
            for prm in PRMS:
                path = root / f"scores/{here}/{prm}/{block}/1-of-1.parquet"
                write_parquet(pd.DataFrame(scores[prm]), path)
    for prm in PRMS:
        for method, blocks in (
            ("beam_search", {"4": 4, "16": 16}),
            ("dvts", {"0-4": 4, "4-16": 12}),
        ):
            for block, n in blocks.items():
                start = 1 if block == "4-16" else 0
                rows = []
                for i, problem_id in enumerate(ids):
                    for index in range(start, start + n // M):
                        row = _path(i, rng.random() < SKILL[policy] + HELP[prm], rng)
                        budget = n if method == "beam_search" else 0
                        grades.append(_grade(method, prm, budget, problem_id, index, i, row))
                        rows.append(
                            {"problem_id": problem_id, "path": index, **row, "finished": True}
                            | {"subtree": index if method == "dvts" else 0}
                            | {"scores": list(rng.random(3).round(3)), "widths": [n, n, n]}
                            | {"tree_policy_tokens": 60 * n, "tree_prm_tokens": 50 * n}
                        )
                frame = pd.DataFrame(rows).drop(columns="_answer")
                write_parquet(
                    frame, root / f"searches/{here}/{prm}/{method}/{block}/1-of-1.parquet"
                )
    return grades


if __name__ == "__main__":
    import sys

    print(json.dumps({"written": str(results(Path(sys.argv[1])))}))
