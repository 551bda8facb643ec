"""Engine vllm against engine transformers on the microcosm's models, side by side in one run.

    python tests/benchmarks/engines.py [--policies micro-s micro-l] [--problems 48] [--samples 64]

Needs vllm, its CPU build where there is no GPU. Seconds are CPU seconds of one thread, so other
work on the machine counts little. What a start costs includes importing the engine's libraries.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from testtime.data.microcosm import generate_problems
from testtime.engines.base import score
from testtime.engines.load import load_policy, load_prm
from testtime.sample import SampleSettings, sample_pool
from testtime.study.catalog import ENGINES, load
from testtime.study.types import Problem, ScoreRequest

PRMS = ("micro-prm-good", "micro-prm-weak")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", nargs="+", default=["micro-s", "micro-l"])
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--samples", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = generate_problems("fresh", args.problems, 1)
    problems = [Problem(row["problem_id"], row["problem"]) for row in rows]
    print("| model | engine | start, s | tokens/s |")
    print("|---|---|---|---|")
    drawn = None
    for name in args.policies:
        for engine in ENGINES:
            spec = replace(load().policy(name), engine=None)
            model, start = timed(lambda e=engine, s=spec: load_policy(s, engine=e, threads=1))
            draw(model, spec, problems[:2], args.samples)
            drawn, spent = timed(lambda m=model, s=spec: draw(m, s, problems, args.samples))
            print(f"| {name} | {engine} | {start:.1f} | {drawn['tokens'].sum() / spent:,.0f} |")
    texts = {problem.problem_id: problem.problem for problem in problems}
    requests = [ScoreRequest(texts[row.problem_id], tuple(row.steps)) for row in drawn.itertuples()]
    for name in PRMS:
        for engine in ENGINES:
            spec = replace(load().prm(name), engine=None)
            model, start = timed(lambda e=engine, s=spec: load_prm(s, engine=e, threads=1))
            score(model, requests[: args.samples])
            scored, spent = timed(lambda m=model: score(m, requests))
            read = sum(result.tokens for result in scored)
            print(f"| {name} | {engine} | {start:.1f} | {read / spent:,.0f} |")


def draw(model, spec, problems: list[Problem], samples: int):
    """A pool of every problem."""
    settings = SampleSettings.of(spec, (0, "benchmark", spec.name))
    return sample_pool(model, problems, settings, start=0, stop=samples)


def timed(work: Callable):
    """What the work returns, and its CPU seconds."""
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


if __name__ == "__main__":
    main()
