"""How fast answers are graded, by which layer, and where verdicts differ from math-verify's.

    python tests/benchmarks/grading.py COMPLETIONS.jsonl.gz PROBLEMS.jsonl [--workers 2]

Completions: lines {"problem_id", "sample", "completion"}; problems: {"problem_id", "answer"}.
The plain loop is `verify(parse(gold), parse(completion))` of math-verify, one after the other, in
the same run. On a busy machine compare the processor times. Differences are printed with the
reasons that tests/grade_pool_differences.csv gives for those known.
"""

import argparse
import csv
import gzip
import json
import logging
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
from testtime.evaluate.statistics import accuracy_interval
from testtime.grade.decide import gold_answer, grade_pairs
from testtime.grade.grading import grade_policy
from testtime.grade.spell import normalise
from testtime.grade.workers import Task, Workers
from testtime.study.conventions import convention_named

KNOWN = Path(__file__).parents[1] / "grade_pool_differences.csv"


def read(path: Path) -> list[dict]:
    """The objects of a JSON-lines file, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line) for line in lines]


def processor_s() -> float:
    """Processor time of this process and of the children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, children))


def timed(work, label: str, n: int):
    """Run, print the rates, and return (result, wall seconds, processor seconds)."""
    wall, processor = time.perf_counter(), processor_s()
    result = work()
    wall, processor = time.perf_counter() - wall, processor_s() - processor
    print(f"{label}: {n / wall:.0f} completions/s, {wall:.1f} s, {processor:.1f} s of processor")
    return result, wall, processor


def plain_loop(rows: list[dict], golds: dict[str, str]) -> list[bool]:
    """Verdicts of math-verify as its README uses it."""
    from math_verify import parse, verify

    return [
        bool(verify(parse(f"${golds[row['problem_id']]}$"), parse(row["completion"])))
        for row in rows
    ]


def times_per_pair(graded: pd.DataFrame, golds: dict[str, str]) -> np.ndarray:
    """Seconds of each distinct pair, graded alone with one worker that has started."""
    convention = convention_named("math")
    seconds = []
    normalise.cache_clear()
    with Workers(1) as workers:
        workers.run([Task("equal", ("x", "y"))])
        for problem, answer in graded[["problem_id", "answer"]].drop_duplicates().to_numpy():
            pair = (answer, gold_answer(golds[problem], convention))
            started = time.perf_counter()
            grade_pairs([pair], convention, workers)
            seconds.append(time.perf_counter() - started)
    return np.array(seconds)


def print_layers(graded: pd.DataFrame) -> None:
    """Share of distinct pairs, and of completions, that each layer decided."""
    layers = graded["reason"].str.extract(
        r"^(no answer|same text|same value|different|math-verify)"
    )
    names = layers[0].fillna("undecided").replace({"same value": "value", "different": "value"})
    distinct = ~graded.duplicated(["problem_id", "answer"])
    shares = pd.DataFrame(
        {
            "distinct pairs": names[distinct].value_counts(normalize=True),
            "completions": names.value_counts(normalize=True),
        }
    )
    print(shares.map("{:.2%}".format).to_string())


def print_accuracy(graded: pd.DataFrame) -> None:
    """Accuracy with its interval over problems."""
    per_problem = graded["correct"].fillna(False).astype(float).groupby(graded["problem_id"]).mean()
    low, high = accuracy_interval(per_problem.to_numpy())
    print(
        f"accuracy {per_problem.mean():.2%} (95 % interval {float(low):.2%} to "
        f"{float(high):.2%}, {len(per_problem)} problems, {len(graded)} completions, "
        f"{graded['correct'].isna().sum()} could not be decided)"
    )


def print_differences(graded: pd.DataFrame, golds: dict[str, str]) -> None:
    """Verdicts that are not the loop's, with the reason where one is known."""
    with KNOWN.open(newline="") as table:
        known = {
            (row["problem_id"], int(row["sample"])): row["why"] for row in csv.DictReader(table)
        }
    differ = graded[graded["correct"].notna() & (graded["correct"] != graded["loop"])]
    undecided = graded[graded["correct"].isna()]
    print(f"\n{len(differ)} verdicts differ from the loop's:")
    for row in differ.itertuples():
        why = known.get((row.problem_id, row.path), "NOT EXPLAINED")
        print(
            f"  {row.problem_id} {row.path}: {row.answer[:60]!r} for {golds[row.problem_id]!r} is "
            f"{row.correct}, loop {row.loop}: {why}"
        )
    print(f"{len(undecided)} could not be decided; of these the loop takes:")
    print(undecided["loop"].value_counts().to_string())


def grade_with(workers: int, samples: pd.DataFrame, golds: dict[str, str]) -> pd.DataFrame:
    with Workers(workers) as children:
        return grade_policy(samples, golds, children)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("completions", type=Path)
    options.add_argument("problems", type=Path)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    logging.disable(logging.CRITICAL)
    rows = read(given.completions)
    golds = {row["problem_id"]: row["answer"] for row in read(given.problems)}
    samples = pd.DataFrame(
        {
            "method": "pool",
            "prm": "none",
            "budget": 0,
            "problem_id": [row["problem_id"] for row in rows],
            "path": [row["sample"] for row in rows],
            "text": [row["completion"] for row in rows],
        }
    )
    graded, wall, processor = timed(
        lambda: grade_with(given.workers, samples, golds), "this grader", len(rows)
    )
    pairs = len(graded[["problem_id", "answer"]].drop_duplicates())
    print(f"{pairs} distinct pairs, {pairs / wall:.0f} pairs/s")
    plain_loop(rows[:1], golds)  # its import is not counted
    loop, loop_wall, loop_processor = timed(lambda: plain_loop(rows, golds), "loop", len(rows))
    print(
        f"{loop_wall / wall:.1f} times as fast by the clock with {given.workers} workers, "
        f"{loop_processor / processor:.1f} times by processor time"
    )
    seconds = times_per_pair(graded, golds)
    print(
        "time of a distinct pair: median {:.3f} ms, p99 {:.1f} ms, longest {:.0f} ms\n".format(
            *(1e3 * np.quantile(seconds, q) for q in (0.5, 0.99, 1.0))
        )
    )
    print_layers(graded)
    print_accuracy(graded)
    print(f"the loop's accuracy: {np.mean(loop):.2%}")
    place = {
        (row["problem_id"], row["sample"]): verdict for row, verdict in zip(rows, loop, strict=True)
    }
    keys = zip(graded["problem_id"], graded["path"], strict=True)
    print_differences(graded.assign(loop=[place[key] for key in keys]), golds)


if __name__ == "__main__":
    main()
