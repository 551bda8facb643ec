"""Lookahead search: beam search that looks k steps further before it judges a candidate.

Snell et al. (2024), "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling
Model Parameters", arXiv 2408.03314, section 5.2.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace

from testtime.search.tree import Ask, Expand, Program, Score, Tree, ended, prune, value
from testtime.study.methods import METHODS
from testtime.study.types import Path

# k steps; rollouts at temperature 0, as in the paper.
STEPS = METHODS["lookahead"].effort - 1


def lookahead(tree: Tree) -> Program:
    """Beam search that ranks a candidate by the score at the end of a greedy rollout from it.

    N counts the candidates of a step as in beam search; the rollouts come on top, up to k times as
    many further steps, and are counted in the tree's tokens. A rollout is discarded afterwards: a
    kept candidate is continued by new samples.
    """
    done, beams, counts, pruned = [], [tree.root], [tree.budget], []
    for _ in range(tree.max_steps):
        candidates = yield Expand(beams, counts)
        candidates, values = yield from _judge(candidates)
        kept, others = prune(candidates, tree.budget // tree.beam_width - len(done), values)
        pruned += others
        done += [path for path in kept if ended(path)]
        beams = [path for path in kept if not ended(path)]
        counts = [tree.beam_width] * len(beams)
        if not beams:
            break
    return done + beams + pruned


def _judge(
    candidates: Sequence[Path],
) -> Generator[Ask, list[Path], tuple[list[Path], list[float]]]:
    """Score candidates by their rollouts; returns them with their own scores, and their values."""
    ahead = list(candidates)
    for _ in range(STEPS):
        alive = [i for i, path in enumerate(ahead) if not ended(path)]
        if not alive:
            break
        rollouts = yield Expand(
            [ahead[i] for i in alive], [1] * len(alive), greedy=True, candidates=False
        )
        for i, path in zip(alive, rollouts, strict=True):
            ahead[i] = path
    ahead = yield Score(ahead)
    scored = [
        replace(path, scores=further.scores[: len(path.steps)], read_tokens=further.read_tokens)
        for path, further in zip(candidates, ahead, strict=True)
    ]
    return scored, [value(path) for path in ahead]
