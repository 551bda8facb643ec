"""REBASE: reward-balanced tree search.

Wu et al. (2024), "Inference Scaling Laws: An Empirical Analysis of Compute-Optimal Inference for
Problem-Solving with Language Models", arXiv 2408.00724.
"""

from collections.abc import Sequence
from math import ceil, exp

from testtime.search.tree import Program, Tree, ended, grow, value
from testtime.study.vocabulary import SCORE_DIGITS

BALANCE = 0.1  # T_b, the temperature at which scores become shares of the budget
SLACK = 1e-9  # a share that is an integer up to rounding is not rounded up


def rebase(tree: Tree) -> Program:
    """Share the budget among all open paths by the softmax of their scores.

    The root gets N children. At every later step the budget still open (N less the paths that
    have ended) is shared out; a path without a share is dropped. Up to N paths vote.
    """
    done, beams, counts = [], [tree.root], [tree.budget]
    for _ in range(tree.max_steps):
        children = yield from grow(beams, counts)
        done += [path for path in children if ended(path)]
        beams = [path for path in children if not ended(path)]
        if not beams:
            break
        counts = share_out(tree.budget - len(done), [value(path) for path in beams])
    return done + beams


def share_out(budget: int, values: Sequence[float], temperature: float = BALANCE) -> list[int]:
    """Split a budget in proportion to exp(value / temperature), in whole parts that sum to it.

    From the best to the worst (ties: the first one first), each gets its share of what is left,
    rounded up, as in the authors' code; the paper's plain rounding need not sum to the budget.
    """
    values = [round(v, SCORE_DIGITS) for v in values]
    top = max(values)
    weights = [exp((v - top) / temperature) for v in values]
    order = sorted(range(len(values)), key=lambda i: -values[i])
    counts, left = [0] * len(values), budget
    for rank, i in enumerate(order):
        rest = sum(weights[j] for j in order[rank:])
        counts[i] = ceil(left * weights[i] / rest - SLACK)
        left -= counts[i]
    return counts
