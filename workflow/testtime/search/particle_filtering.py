"""Particle filtering: sampling from the policy given that the PRM accepts every step.

Puri et al. (2025), "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using
Particle-Based Monte Carlo Methods", arXiv 2502.01618, section 4.2 and algorithm 1.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from testtime.search.tree import Program, Tree, ended, grow, value
from testtime.study.seeds import derive, uniforms
from testtime.study.vocabulary import SCORE_DIGITS


def particle_filtering(tree: Tree) -> Program:
    """N particles: grow each by a step, then resample N of them, until all have ended.

    A particle is drawn with probability softmax(w), w = logit of its newest step's score; ended
    ones stay in the draw. Each copy of a particle is one sample of the posterior and keeps its
    multiplicity in the vote; open copies diverge, as each has its own seed.
    """
    particles = yield from grow([tree.root], [tree.budget])
    for step in range(1, tree.max_steps):
        if all(ended(path) for path in particles):
            break
        seed = derive(tree.seed, "resample", step)
        drawn = Counter(resample([value(path) for path in particles], seed))
        survivors = [(particles[i], drawn[i]) for i in sorted(drawn)]
        done = [path for path, count in survivors for _ in range(count) if ended(path)]
        beams = [(path, count) for path, count in survivors if not ended(path)]
        grown = yield from grow([path for path, _ in beams], [count for _, count in beams])
        particles = done + grown
    return particles


def resample(values: Sequence[float], seed: int) -> list[int]:
    """As many indices as there are values, drawn with replacement (multinomial resampling).

    Args:
        values: scores, probabilities; 0 and 1 count as 10^-6 away from themselves.
        seed: of this draw.
    """
    edge = 10.0**-SCORE_DIGITS
    odds = np.clip(np.round(values, SCORE_DIGITS), edge, 1 - edge)
    weights = odds / (1 - odds)  # softmax of the logits, up to the constant
    points = np.cumsum(weights) / weights.sum()
    draws = uniforms(np.full(len(weights), seed), np.arange(len(weights)))
    return np.minimum(np.searchsorted(points, draws, side="right"), len(weights) - 1).tolist()
