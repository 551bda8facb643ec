"""Beam search guided by a PRM.

Snell et al. (2024), "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling
Model Parameters", arXiv 2408.03314, section 5.2; N as in Liu et al. (2025), arXiv 2502.06703.
"""

from testtime.search.tree import Program, Tree, ended, grow, prune


def beam_search(tree: Tree) -> Program:
    """Keep the best N/M of N candidates per step, by the score of the newest step.

    The root is expanded N ways, every kept beam M ways. A finished beam is removed and its slot is
    not refilled, so the width shrinks and N/M paths vote; nothing is copied, but samples that
    happen to be equal each count.
    """
    done, beams, counts, pruned = [], [tree.root], [tree.budget], []
    for _ in range(tree.max_steps):
        candidates = yield from grow(beams, counts)
        kept, others = prune(candidates, tree.budget // tree.beam_width - len(done))
        pruned += others
        done += [path for path in kept if ended(path)]
        beams = [path for path in kept if not ended(path)]
        counts = [tree.beam_width] * len(beams)
        if not beams:
            break
    return done + beams + pruned
