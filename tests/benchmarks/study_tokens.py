"""Tokens of a whole study against running every budget, method and PRM separately.

    python tests/benchmarks/study_tokens.py --problems 20

Really run, on one policy of the microcosm with all its PRMs: one nested pool that every budget,
PRM, scoring and vote reads; DVTS as one nested pool of subtrees; equal texts read once; only the
newest step of a search read. Against it, from the very same samples: every method drawing its own
samples for every budget and PRM, and every path read whole whenever it is scored. Duplicates within
a search's step are read once on both sides, so the ratios err on the low side.
"""

import argparse
import os
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch
from search import SEED, microcosm_problems
from testtime.cli.score import prm_spec
from testtime.cli.search import policy_spec
from testtime.engines.load import load_policy, load_prm
from testtime.sample import SampleSettings, sample_pool
from testtime.search.run import SearchSettings, search_problems

POOL, SEARCH, WIDTH = (4, 16, 64), (4, 16, 64), 4


@dataclass
class Whole:
    """A PRM that also counts what reading every path whole would take."""

    prm: object
    tokens: int = 0
    whole: int = 0

    def submit(self, request):
        self.whole += len(self.prm.reader.encode(request.problem, request.steps).token_ids)
        return self.prm.submit(request)

    def poll(self):
        done = self.prm.poll()
        self.tokens += sum(scores.tokens for _, scores in done)
        return done


def count_pool(prm, problems: pd.DataFrame, pool: pd.DataFrame) -> tuple[int, int]:
    """Tokens read for the pool, equal texts once, and for best-of-N at every budget on its own."""
    texts = dict(zip(problems["problem_id"], problems["problem"], strict=True))
    steps = pool["steps"].map(tuple)
    lengths = pd.Series(
        [
            len(prm.reader.encode(texts[problem_id], own).token_ids) if own else 0
            for problem_id, own in zip(pool["problem_id"], steps, strict=True)
        ]
    )
    again = pd.DataFrame({"problem": pool["problem_id"], "steps": steps}).duplicated()
    return int(lengths[~again].sum()), sum(int(lengths[pool["sample"] < n].sum()) for n in POOL)


def search_tokens(policy, prm, spec, problems, method: str, budget: int) -> tuple[int, int, int]:
    """(generated, read, read whole) of one search."""
    counter = Whole(prm)
    settings = SearchSettings.of(spec, method, budget, beam_width=WIDTH, seed_parts=(SEED,))
    results = search_problems(policy, counter, problems, settings)
    generated = sum(result.policy_tokens for result in results)
    return generated, counter.tokens, counter.whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="micro-s")
    parser.add_argument("--prms", nargs="+", default=["micro-prm-weak", "micro-prm-good"])
    parser.add_argument("--problems", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    spec = policy_spec(arguments.policy)
    policy = load_policy(spec, engine="transformers", threads=1)
    problems = microcosm_problems(arguments.problems)
    table = pd.DataFrame([vars(problem) for problem in problems])

    def draw(stop: int, label: str) -> pd.DataFrame:
        settings = SampleSettings.of(spec, (SEED,), label)
        return sample_pool(policy, problems, settings, start=0, stop=stop)

    pool = draw(POOL[-1], "pool")
    cot = int(draw(1, "cot")["tokens"].sum())
    each = sum(int(pool.loc[pool["sample"] < n, "tokens"].sum()) for n in POOL)
    n_prms = len(arguments.prms)
    rows = [
        ("CoT", cot, cot, 0, 0),
        ("majority and best-of-N: policy", int(pool["tokens"].sum()), each * (1 + n_prms), 0, 0),
    ]
    for name in arguments.prms:
        prm = load_prm(prm_spec(name), engine="transformers", threads=1)
        rows.append((f"best-of-N: {name}", 0, 0, *count_pool(prm, table, pool)))
        runs = {
            method: [search_tokens(policy, prm, spec, problems, method, n) for n in SEARCH]
            for method in ("beam_search", "dvts")
        }
        for method, found in runs.items():
            # The largest run of DVTS contains the smaller ones.
            ours = found[-1:] if method == "dvts" else found
            rows.append(
                (
                    f"{method}: {name}",
                    sum(run[0] for run in ours),
                    sum(run[0] for run in found),
                    sum(run[1] for run in ours),
                    sum(run[2] for run in found),
                )
            )
    print(
        f"{arguments.policy}, {len(problems)} problems, pool {POOL}, search {SEARCH}, M = {WIDTH}"
    )
    columns = ["part", "generated", "separately", "read", "read separately"]
    frame = pd.DataFrame(rows, columns=columns)
    total = frame.sum(numeric_only=True)
    print(frame.to_string(index=False))
    print(f"\ngenerated: {total['separately'] / total['generated']:.2f} times more separately")
    print(f"read by PRMs: {total['read separately'] / total['read']:.2f} times more separately")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
