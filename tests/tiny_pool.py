"""Two problems with four samples each, small enough to reckon by hand."""

import numpy as np
import pandas as pd
from testtime.evaluate.outcomes import EvaluationSettings, evaluate_policy
from testtime.study.speed import Speed

P, R = 1e6, 5e6  # parameters of the policy and of the PRM
PROMPT = 100  # tokens of a problem
SPEEDS = {  # of the policy and of the PRM
    "p": Speed(weights_s=0.01, kv_s=1e-6, token_s=1e-5, step_s=1e-3, row_s=1e-5, kv_bytes=1000.0),
    "good": Speed(weights_s=0.05, kv_s=1e-6, token_s=1e-4, step_s=2e-3, row_s=1e-5),
}
POOL = {  # problem -> per sample: answer class, correct, step scores, text, tokens
    "a": [
        (0, True, [0.9, 0.2], "x", 10),
        (1, False, [0.6, 0.6], "y", 20),
        (1, False, [0.5, 0.7], "y", 20),
        (0, True, [0.8, 0.8], "z", 30),
    ],
    "b": [
        (-1, False, [0.9, 0.9], "no answer", 5),
        (0, None, [0.7, 0.5], "undecided", 6),
        (2, True, [0.4, 0.4], "u", 7),
        (2, True, [0.4, 0.4], "u", 7),
    ],
}
NO_SEARCH = pd.DataFrame(columns=["method", "prm", "budget", "problem_id"])
NO_SCORES = pd.DataFrame(columns=["prm", "problem_id", "sample", "scores", "prm_tokens"])


def frames():
    """The pool in two blocks, a greedy sample and held-out samples, in no order."""
    rows, grades, scores = [], [], []
    for problem, samples in POOL.items():
        for i, (answer, correct, steps, text, tokens) in enumerate(samples):
            common = {"problem_id": problem}
            block = "0-2" if i < 2 else "2-4"
            logprobs = np.log(steps).tolist()
            rows.append(
                common
                | {"block": block, "sample": i, "text": text, "tokens": tokens}
                | {"prompt_tokens": PROMPT}
                | {"logprob": float(np.mean(logprobs)), "step_logprobs": logprobs}
            )
            grades.append(grade("pool", "none", 0, problem, i, answer, correct))
            scores.append(
                common | {"sample": i, "prm": "good", "scores": steps, "prm_tokens": tokens + 1}
            )
        rows.append(rows[-1] | {"block": "cot", "sample": 0, "tokens": 12})
        rows.append(rows[-1] | {"block": "difficulty", "sample": 0})
        grades.append(grade("cot", "none", 0, problem, 0, 0, problem == "a"))
        grades.append(grade("difficulty", "none", 0, problem, 0, 0, False))
    return (
        pd.DataFrame(rows).sample(frac=1, random_state=0),
        pd.DataFrame(scores).sample(frac=1, random_state=1),
        pd.DataFrame(grades).astype({"correct": "boolean"}).sample(frac=1, random_state=2),
    )


def grade(method, prm, budget, problem, path, answer, correct):
    return {
        "method": method,
        "prm": prm,
        "budget": budget,
        "problem_id": problem,
        "path": path,
        "answer_class": answer,
        "correct": correct,
    }


def evaluate(generations, scores, searches, grades, **changes):
    settings = {
        "dataset": "d",
        "policy": "p",
        "parameters": P,
        "prm_parameters": {"good": R},
        "pool_budgets": [2, 4],
        "search_budgets": [],
        "methods": ["cot", "majority", "confidence", "best_of_n"],
        "scorings": ["min", "last", "avg"],
        "votes": ["majority", "max", "weighted"],
        "beam_width": 2,
        "seed": 0,
        "subsets": 100,
        "speeds": SPEEDS,
    }
    settings = EvaluationSettings(**(settings | changes))
    return evaluate_policy(generations, scores, searches, grades, settings)
