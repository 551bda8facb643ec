"""How long the analysis takes at full size, and how it grows with each factor.

    python tests/benchmarks/analysis.py            # the full size alone
    python tests/benchmarks/analysis.py --growth   # and every factor halved in turn

Simulated samples in the form that the stages write them; measured is everything between reading
the files and the table of accuracies: outcomes of every strategy, difficulty bins, intervals.
"""

import argparse
import resource
import time
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from testtime.evaluate.outcomes import EvaluationSettings, evaluate_policy
from testtime.evaluate.tables import accuracy_table
from testtime.study.vocabulary import PATH_VOTES, SCORINGS

BUDGETS = (4, 16, 64, 256)


@dataclass(frozen=True)
class Size:
    """Factors of the work."""

    problems: int = 500
    samples: int = 256
    prms: int = 7
    scorings: int = 3
    votes: int = 3
    budgets: int = 4
    subsets: int = 1000


@dataclass(frozen=True)
class Clock:
    """Seconds on the wall, and of processor time: the one to compare on a busy machine."""

    wall: float = field(default_factory=time.perf_counter)
    processor: float = field(default_factory=time.process_time)


def simulate(size: Size, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Generations, scores and grades of one policy: 4 to 12 steps, a few to many answers."""
    rng = np.random.default_rng(seed)
    n = size.problems * size.samples
    problem_ids = np.repeat([f"p/{i:04d}" for i in range(size.problems)], size.samples)
    samples = np.tile(np.arange(size.samples), size.problems)
    classes = np.concatenate([_answers(rng, size.samples) for _ in range(size.problems)])
    generations = pd.DataFrame(
        {
            "problem_id": problem_ids,
            "sample": samples,
            "block": "0-256",
            "text": [f"solution {i} of this problem; " * 30 for i in rng.integers(0, n, n)],
            "tokens": rng.integers(50, 800, n),
        }
    )
    grades = pd.DataFrame(
        {
            "method": "pool",
            "prm": "none",
            "budget": 0,
            "problem_id": problem_ids,
            "path": samples,
            "answer_class": classes,
            "correct": pd.array(classes == 0, dtype="boolean"),
        }
    )
    lengths = rng.integers(4, 13, n)
    scores = pd.concat(
        [
            pd.DataFrame(
                {
                    "prm": f"prm-{prm}",
                    "problem_id": problem_ids,
                    "sample": samples,
                    "scores": np.split(rng.random(lengths.sum()), np.cumsum(lengths)[:-1]),
                    "prm_tokens": generations["tokens"],
                }
            )
            for prm in range(size.prms)
        ],
        ignore_index=True,
    )
    return generations, scores, grades


def _answers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Answer classes: one problem agrees on everything, the next on hardly anything."""
    chances = rng.dirichlet(np.full(rng.integers(1, 60), rng.choice([0.1, 0.3, 1.0])))
    classes = rng.choice(len(chances), n, p=chances)
    return np.where(rng.random(n) < 0.03, -1, classes)


def measure(size: Size) -> tuple[list[Clock], int]:
    """Clock before the outcomes, before the intervals and at the end; number of rows."""
    generations, scores, grades = simulate(size)
    clocks = [Clock()]
    outcomes = evaluate_policy(
        generations,
        scores,
        pd.DataFrame(columns=["method", "prm", "budget", "problem_id"]),
        grades,
        EvaluationSettings(
            dataset="d",
            policy="p",
            parameters=1e9,
            prm_parameters={f"prm-{i}": 7e9 for i in range(size.prms)},
            pool_budgets=[b for b in BUDGETS if b <= size.samples][-size.budgets :],
            search_budgets=[],
            methods=["majority", "best_of_n"],
            scorings=SCORINGS[: size.scorings],
            votes=PATH_VOTES[-size.votes :],
            beam_width=4,
            seed=0,
            subsets=size.subsets,
        ),
    )
    clocks.append(Clock())
    right = grades["correct"].astype(float).groupby(grades["problem_id"]).mean()
    difficulty = pd.DataFrame(
        {
            "dataset": "d",
            "policy": "p",
            "problem_id": right.index,
            "level": np.select([right >= 0.5, right < 0.1], ["easy", "hard"], "medium"),
            "quantile": [
                f"q{1 + rank}" for rank in pd.qcut(right.rank(method="first"), 5).cat.codes
            ],
        }
    )
    accuracy_table(outcomes, difficulty)
    clocks.append(Clock())
    for note in outcomes.attrs["notes"]:
        print(f"  {note}")
    return clocks, len(outcomes)


def main() -> None:
    """Print the times, and with --growth those of every factor halved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="also halve every factor in turn")
    full = Size()
    _report("full size", full)
    if parser.parse_args().growth:
        for name, value in vars(full).items():
            _report(f"{name} {value} -> {value // 2}", replace(full, **{name: value // 2}))


def _report(label: str, size: Size) -> None:
    (start, evaluated, end), rows = measure(size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{label:23s} {end.wall - start.wall:5.1f} s; processor: "
        f"outcomes {evaluated.processor - start.processor:5.1f} s, "
        f"intervals {end.processor - evaluated.processor:4.1f} s; "
        f"{rows} rows; peak so far {peak:.2f} GiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
