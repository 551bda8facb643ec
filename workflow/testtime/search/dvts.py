"""Diverse verifier tree search.

Beeching, Tunstall and Rush (2024), "Scaling test-time compute with open models" (Hugging Face);
N as in Liu et al. (2025), arXiv 2502.06703.
"""

from testtime.search.tree import Program, Tree, ended, grow, prune


def dvts(tree: Tree) -> Program:
    """One of N/M independent subtrees: expand M ways, keep the best path, until it ends.

    Nothing here depends on N, so the first k subtrees of a large run are the run of budget k·M.
    """
    path, pruned = tree.root, []
    for _ in range(tree.max_steps):
        candidates = yield from grow([path], [tree.beam_width])
        (path,), others = prune(candidates, 1)
        pruned += others
        if ended(path):
            break
    return [path, *pruned]
