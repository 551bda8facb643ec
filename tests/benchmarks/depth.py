"""How deep searches are, beside what `evaluate.depth` makes of the paths that are stored.

    python tests/benchmarks/depth.py --policy micro-m --prm micro-prm-good --problems 40

True steps are those of the search itself: of all children that it asks for at once, the longest.
"""

import argparse
import os
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from search import SEED, microcosm_problems
from testtime.cli.score import prm_spec
from testtime.cli.search import policy_spec
from testtime.engines.load import load_policy, load_prm
from testtime.evaluate.depth import with_tree_depth
from testtime.search import run
from testtime.search.rows import describe, to_table
from testtime.search.tree import Expand, Program, Tree

SEARCHES = [("beam_search", 4), ("beam_search", 16), ("beam_search", 64), ("dvts", 4)]
SEARCHES += [("rebase", 16), ("particle_filtering", 16), ("lookahead", 16)]
SEARCHES += [("adaptive_best_of_n", 16)]


def watched(make, depths: dict[Tree, int], tree: Tree) -> Program:
    """A search's program, whose decoding steps are counted."""
    program, answer = make(tree), None
    depths[tree] = 0
    while True:
        try:
            asked = program.send(answer)
        except StopIteration as done:
            return done.value
        answer = yield asked
        if isinstance(asked, Expand):
            before = np.repeat([parent.tokens for parent in asked.parents], asked.counts)
            after = np.array([child.tokens for child in answer])
            depths[tree] += int((after - before).max(initial=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="micro-m")
    parser.add_argument("--prm", default="micro-prm-good")
    parser.add_argument("--problems", type=int, default=40)
    asked = parser.parse_args()
    spec, problems = policy_spec(asked.policy), microcosm_problems(asked.problems)
    policy = load_policy(spec, engine="transformers", threads=1)
    prm = load_prm(prm_spec(asked.prm), engine="transformers", threads=1)
    depths, program_of = {}, run.program_of
    run.program_of = lambda method: partial(watched, program_of(method), depths)
    print(f"{'search':22} {'N':>3} {'true':>7} {'told':>7} {'ratio':>6} {'not above':>10}")
    for method, budget in SEARCHES:
        settings = run.SearchSettings.of(spec, method, budget, seed_parts=(SEED,))
        trees = dict.fromkeys(run.plant(problems, settings), settings)
        grown = {
            (t.problem.problem_id, t.subtree): (t, describe(result))
            for t, result in run.grow_trees(policy, prm, trees)
        }
        rows = to_table((key[0], paths) for key, (_, paths) in grown.items())
        rows = rows.assign(method=method, prm=asked.prm, budget=budget)
        first = with_tree_depth(rows).drop_duplicates(["problem_id", "subtree"])
        keys = zip(first["problem_id"], first["subtree"], strict=True)
        true = np.array([depths[grown[key][0]] for key in keys])
        told = first["tree_steps"].to_numpy()
        not_above = (told <= true + 1e-9).mean()
        ratio = told.mean() / true.mean()
        print(
            f"{method:22} {budget:3} {true.mean():7.1f} {told.mean():7.1f} {ratio:6.2f} "
            f"{not_above:10.0%}"
        )


if __name__ == "__main__":
    main()
