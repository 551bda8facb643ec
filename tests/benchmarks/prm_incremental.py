"""A PRM that reads only the newest step, against one that reads every path whole at every step.

    python tests/benchmarks/prm_incremental.py --prm micro-prm-good --problems 100

Both score the very same candidates: beam searches over microcosm problems, N candidates a step of
which N/M are kept, with steps written at random (no policy runs, so nothing else is timed). Whole
rescoring asks for every step of every candidate, batched by length as well. Last come pools of
whole samples. One thread; CPU seconds are shown beside wall time, because other processes on the
machine disturb them less.
"""

import argparse
import os
import random
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from testtime.cli.score import prm_spec
from testtime.data.microcosm import compute, generate_problems, write
from testtime.engines.base import score
from testtime.engines.load import load_prm
from testtime.study.types import ScoreRequest

SEED = 7


def solutions(problem: str, count: int, right: float) -> list[list[str]]:
    """Solutions whose author recalls each fact with probability `right`."""
    rng = random.Random(f"{SEED} {problem}")

    def recall(op: str, x: int, y: int) -> int:
        return compute(op, x, y) if rng.random() < right else rng.randrange(10)

    return [write(problem, rng, recall) for _ in range(count)]


def candidates(problems: list[str], budget: int, width: int) -> list[list[ScoreRequest]]:
    """What beam searches over all problems ask for, step by step: the newest step's score."""
    rng = random.Random(SEED)
    texts = {problem: solutions(problem, 64, right=0.8) for problem in problems}
    beams = {problem: [()] * (budget // width) for problem in problems}
    rounds = []
    while any(beams.values()):
        asked = []
        for problem, paths in beams.items():
            depth = len(paths[0]) if paths else 0
            steps = [text[depth] for text in texts[problem] if depth < len(text)]
            grown = [(*path, rng.choice(steps)) for path in paths for _ in range(width) if steps]
            asked += [ScoreRequest(problem, path, known=depth) for path in grown]
            beams[problem] = rng.sample(grown, len(paths)) if grown else []
        rounds.append(list(dict.fromkeys(asked)))
    return rounds[:-1]


def measure(prm, name: str, calls: list[list[ScoreRequest]]) -> tuple[dict, list]:
    """Score all calls."""
    wall, cpu = time.perf_counter(), time.process_time()
    results = [score(prm, call) for call in calls]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tokens = sum(result.tokens for call in results for result in call)
    return {"": name, "tokens": tokens, "wall s": wall, "CPU s": cpu}, results


def show(title: str, rows: list[dict]) -> None:
    """A table whose last columns compare with the first row."""
    print(f"\n{title}")
    print(f"{'':24}{'tokens':>12}{'wall s':>9}{'CPU s':>9}{'tokens':>9}{'CPU':>7}")
    for row in rows:
        tokens, cpu = row["tokens"] / rows[0]["tokens"], rows[0]["CPU s"] / row["CPU s"]
        print(
            f"{row['']:24}{row['tokens']:12,}{row['wall s']:9.2f}{row['CPU s']:9.2f}"
            f"{tokens:8.0%} {cpu:5.1f}x"
        )


def largest_difference(a: list, b: list) -> float:
    """Between the last scores of equal requests."""
    pairs = zip((r for call in a for r in call), (r for call in b for r in call), strict=True)
    return max(abs(x.scores[-1] - y.scores[-1]) for x, y in pairs)


def main() -> None:
    """Run all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--prm", default="micro-prm-good")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--budgets", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--samples", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prm = load_prm(prm_spec(options.prm), engine="transformers", threads=1)
    problems = [row["problem"] for row in generate_problems("fresh", options.problems, SEED)]
    score(prm, [ScoreRequest(problem, ("x",)) for problem in problems])  # warm up
    for budget in options.budgets:
        steps = candidates(problems, budget, options.width)
        whole = [[ScoreRequest(r.problem, r.steps) for r in call] for call in steps]
        plain, expected = measure(prm, "whole", whole)
        newest, found = measure(prm, "newest step only", steps)
        show(f"{options.problems} beam searches, N = {budget}", [plain, newest])
        print(f"largest difference of scores: {largest_difference(expected, found):.1e}")
    for right in (0.7, 0.9):
        pool = [
            ScoreRequest(problem, tuple(steps))
            for problem in problems
            for steps in solutions(problem, options.samples, right)
        ]
        plain, _ = measure(prm, "whole", [pool])
        equal = 1 - len(set(pool)) / len(pool)
        show(f"pool of {len(pool)} samples, {equal:.0%} of them repeats", [plain])
        print(f"{len(pool) / plain['CPU s']:.0f} samples per CPU second")


if __name__ == "__main__":
    main()
