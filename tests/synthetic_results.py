"""A made-up results folder: the synthetic tables, and texts by template."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from synthetic import (
    DATASET,
    HELP,
    POLICIES,
    PRMS,
    SKILL,
    STRATEGY,
    TABLES,
    M,
    difficulty,
    lookup,
    strategies,
)
from testtime.data.store import write_csv, write_json, write_parquet
from testtime.study.layout import Layout

N_PROBLEMS = 12


def results(root: Path) -> Path:
    """Write the whole folder, texts included."""
    at = Layout(str(root)).path
    ids = [f"p{i:03d}" for i in range(N_PROBLEMS)]
    problems = pd.DataFrame({"problem_id": ids, "level": 3, "subject": "sums"})
    problems["problem"] = [f"What is {i} + {i} & <b>why</b>?" for i in range(N_PROBLEMS)]
    write_parquet(problems, at("problems", dataset=DATASET))
    answers = pd.DataFrame({"problem_id": ids, "answer": [str(2 * i) for i in range(N_PROBLEMS)]})
    write_parquet(answers, at("answers", dataset=DATASET))
    for name, make in TABLES.items():
        write_csv(make(), at("table", table=name))
    write_json(lookup(), at("lookup"))
    outcomes = []
    for number, policy in enumerate(POLICIES):
        cell = {"dataset": DATASET, "policy": policy}
        write_parquet(difficulty(policy), at("difficulty", **cell))
        grades = _texts(at, policy, ids, np.random.default_rng(number))
        write_parquet(pd.DataFrame(grades), at("grades", **cell))
        outcomes.append(_outcomes(policy, ids, np.random.default_rng(number)))
        for stage, seconds in (("generate", 12.5), ("grade", 3.0)):
            table = Path(at("benchmark", stage=stage, job=f"{DATASET}/{policy}"))
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(
                "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
                f"{seconds}\t0:00:12\t512.5\t900\t500\t505\t1\t2\t98.0\t{seconds * 0.98}\n"
            )
    write_parquet(pd.concat(outcomes, ignore_index=True), at("outcomes"))
    return root


def _outcomes(policy: str, ids: list[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for s in strategies(policy):
        for problem_id in ids:
            rows.append(
                {"dataset": DATASET, "policy": policy}
                | {k: s[k] for k in STRATEGY}
                | {"problem_id": problem_id, "correct": float(rng.random() < s["p"])}
                | {"run_variance": 0.01, "samples": s["budget"], "samples_sd": 0.0}
                | {"policy_tokens": 40.0 * s["budget"], "prm_tokens": 30.0, "flops": 1e6}
                | {"latency_s": 0.4, "kv_gb": 1e-3 * s["budget"]}
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


def _texts(
    at: Callable[..., str], policy: str, ids: list[str], rng: np.random.Generator
) -> list[dict]:
    grades = []
    here = {"dataset": DATASET, "policy": policy, "shard": "1-of-1"}
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
        write_parquet(frame, at("generations", **here, block=block))
        if block != "cot":
            for prm in PRMS:
                path = at("scores", **here, prm=prm, block=block)
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
                            {
                                "problem_id": problem_id,
                                "path": index,
                                **row,
                                "finished": True,
                                "kept": True,
                            }
                            | {"subtree": index if method == "dvts" else 0}
                            | {"scores": list(rng.random(3).round(3)), "widths": [n, n, n]}
                            | {"tree_policy_tokens": 60 * n, "tree_prm_tokens": 50 * n}
                        )
                frame = pd.DataFrame(rows).drop(columns="_answer")
                write_parquet(frame, at("searches", **here, prm=prm, method=method, block=block))
    return grades
