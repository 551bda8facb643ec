"""The registry of search methods: one file each, one line here, one entry in `methods:`."""

from collections.abc import Callable
from dataclasses import dataclass

from testtime.search.adaptive_best_of_n import adaptive_best_of_n
from testtime.search.beam_search import beam_search
from testtime.search.dvts import dvts
from testtime.search.lookahead import STEPS, lookahead
from testtime.search.particle_filtering import particle_filtering
from testtime.search.rebase import rebase
from testtime.search.tree import Program, Tree
from testtime.search.whole import best_of_n, cot, majority


@dataclass(frozen=True)
class Method:
    """A way of spending a budget on one problem.

    Attributes:
        run: the program over one tree.
        tree: the PRM judges every step; otherwise solutions are drawn whole.
        prm: whether it needs a PRM at all.
        nested: the search consists of N/M independent subtrees that do not depend on N.
        beams: N must be a multiple of the beam width M.
        seeded_by_budget: whether different budgets draw different samples.
        effort: tokens of a step, rollouts included, in multiples of its candidates', for planning.
    """

    run: Callable[[Tree], Program]
    tree: bool = True
    prm: bool = True
    nested: bool = False
    beams: bool = False
    seeded_by_budget: bool = True
    effort: int = 1


METHODS: dict[str, Method] = {
    "beam_search": Method(beam_search, beams=True),
    "dvts": Method(dvts, nested=True, beams=True, seeded_by_budget=False),
    "lookahead": Method(lookahead, beams=True, effort=1 + STEPS),
    "rebase": Method(rebase),
    "particle_filtering": Method(particle_filtering),
    "adaptive_best_of_n": Method(adaptive_best_of_n, tree=False, seeded_by_budget=False),
}

# Drawn on the spot by the command line; a study takes them from its pools.
WHOLE: dict[str, Method] = {
    "cot": Method(cot, tree=False, prm=False, seeded_by_budget=False),
    "majority": Method(majority, tree=False, prm=False, seeded_by_budget=False),
    "best_of_n": Method(best_of_n, tree=False, seeded_by_budget=False),
}
