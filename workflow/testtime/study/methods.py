"""The registry of methods: everything a study may name under `methods:`, one line each.

A method's program is found by its name. For a search it is the function NAME in the module
`testtime.search.NAME`, which grows paths; otherwise the one in `testtime.evaluate.methods.NAME`,
which weights samples, or as a rule looks at all that were drawn. So a new method is one module and
one line here: config, completion, reference, figures, planning and solving read this file. It
imports nothing heavy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from testtime.errors import UserError
from testtime.study.types import Strategy
from testtime.study.vocabulary import ALL_VOTES, MAJORITY, NONE, WEIGHTED

# Where a method's paths come from: the one greedy sample; the policy's pool of samples, which it
# weights; or a search. The last two are also the names of their lists of budgets.
Kind = Literal["greedy", "pool", "search"]


@dataclass(frozen=True)
class Look:
    """How a method is named and drawn, in every figure."""

    label: str
    color: str
    marker: str
    line: str = "-"


@dataclass(frozen=True)
class Method:
    """A way of spending a budget on one problem.

    Attributes:
        look: None gives it an unused colour and marker, by its name.
        needs_prm: whether a PRM must read its paths.
        scorings: how it can weight a path, the first by default if a study names none of them;
            "none" where every path counts the same, None for all of a study's.
        nested: the search consists of N/M independent subtrees that do not depend on N.
        beams: N must be a multiple of the beam width M; finished candidates may be pruned.
        grows: a larger budget continues from what a smaller one drew, as in the pool; otherwise
            every budget of a search draws separately.
        effort: tokens of a step, rollouts included, as a multiple of its candidates' tokens.
        rule: its function takes the samples drawn together, in their order, and says how they vote
            (`evaluate.rules`); otherwise it weights each by itself.
        reads: for a rule, the method whose weights are its samples' scores; None if it has none.
        stops: a rule that may stop before N samples, its most; it reads no scores.
        gives_up: a rule that ends samples in their middle, which is followed on whole ones;
            `testtime solve` draws whole ones and leaves it out.
        thoughts: whether it is only for policies whose thoughts are limited.
    """

    name: str
    kind: Kind
    look: Look | None = None
    needs_prm: bool = False
    scorings: tuple[str, ...] | None = None
    nested: bool = False
    beams: bool = False
    grows: bool = False
    effort: int = 1
    rule: bool = False
    reads: str | None = None
    stops: bool = False
    gives_up: bool = False
    thoughts: bool = False

    @property
    def module(self) -> str:
        """The module of its program, imported only where the program runs."""
        home = "search" if self.kind == "search" else "evaluate.methods"
        return f"testtime.{home}.{self.name}"

    @property
    def weighs(self) -> bool:
        """Whether it ranks paths."""
        return self.scorings != (NONE,)

    def scorings_of(self, study: Sequence[str]) -> list[str]:
        """Those of a study's scorings that the method has."""
        if self.scorings is None:
            return list(study)
        return [name for name in self.scorings if name in study] or list(self.scorings[:1])

    def strategies(self, scorings: Sequence[str], votes: Sequence[str]) -> list[Strategy]:
        """Every way a study can choose an answer among the paths of this method.

        Args:
            scorings: of the study.
            votes: of the study. Samples of the pool vote unweighted as a separate method,
                majority voting, whatever the votes. Those among all candidates are of searches
                with beams alone, as the others prune nothing that is finished.
        """
        if self.kind == "greedy":
            return [Strategy(self.name)]
        if not self.weighs:
            return [Strategy(self.name, vote=MAJORITY)]
        own = self.scorings_of(scorings)
        if self.rule:
            votes = [WEIGHTED]
        held = [vote for vote in votes if self.beams or vote not in ALL_VOTES]
        plain = [vote for vote in held if ALL_VOTES.get(vote, vote) == MAJORITY]
        found = [Strategy(self.name, vote=vote) for vote in plain if self.kind == "search"]
        weighted = [vote for vote in held if vote not in plain]
        return found + [Strategy(self.name, s, vote) for vote in weighted for s in own]


_search = partial(Method, kind="search", needs_prm=True)
_rule = partial(Method, kind="pool", rule=True)
_stop = partial(_rule, scorings=(NONE,), stops=True)

# In the order in which they are shown. Colours of Okabe and Ito (2008), which the common kinds of
# colour blindness keep apart; markers differ too, for print without colour.
_ALL = (
    Method("cot", "greedy", Look("CoT", "#7f7f7f", "D", ":"), scorings=(NONE,)),
    Method("majority", "pool", Look("Majority", "#222222", "s"), scorings=(NONE,)),
    Method("confidence", "pool", Look("Confidence", "#E69F00", "P"), scorings=("avg", "min")),
    Method("best_of_n", "pool", Look("Best-of-N", "#0072B2", "o"), needs_prm=True),
    _rule(
        "majority_of_bests",
        look=Look("Majority of the bests", "#0072B2", "*", "--"),
        needs_prm=True,
        reads="best_of_n",
    ),
    _rule(
        "deepconf_low",
        look=Look("DeepConf, top 10 %", "#E69F00", "<", "--"),
        reads="confidence",
        scorings=("min", "avg", "last"),
    ),
    _rule(
        "deepconf_high",
        look=Look("DeepConf, top 90 %", "#E69F00", ">", "-."),
        reads="confidence",
        scorings=("min", "avg", "last"),
    ),
    _rule(
        "shortest_majority",
        look=Look("Shortest majority", "#222222", "1", "--"),
        scorings=(NONE,),
    ),
    _rule(
        "longest_majority",
        look=Look("Longest majority", "#222222", "2", "-."),
        scorings=(NONE,),
    ),
    _rule(
        "unforced_majority",
        look=Look("Majority of ended thoughts", "#222222", "3", ":"),
        scorings=(NONE,),
        thoughts=True,
        gives_up=True,
    ),
    _stop(
        "deepconf_online",
        look=Look("DeepConf, online", "#E69F00", "v", "--"),
        gives_up=True,
    ),
    _stop("early_stopping", look=Look("Early stopping", "#CC79A7", "s", "--")),
    _stop("adaptive_consistency", look=Look("Adaptive consistency", "#009E73", "o", "--")),
    _stop("adaptive_dirichlet", look=Look("Adaptive, Dirichlet", "#D55E00", "^", "--")),
    _stop("doubling", look=Look("Doubling", "#56B4E9", "D", "--")),
    _search("beam_search", look=Look("Beam search", "#D55E00", "^"), beams=True),
    _search("dvts", look=Look("DVTS", "#009E73", "v"), beams=True, nested=True),
    _search("lookahead", look=Look("Lookahead", "#56B4E9", "X"), beams=True, effort=2),
    _search("rebase", look=Look("REBASE", "#8C6D1F", "p")),
    _search("particle_filtering", look=Look("Particle filtering", "#7A5195", "h")),
    _search("adaptive_best_of_n", look=Look("Adaptive best-of-N", "#4B8B8B", "d"), grows=True),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def names(*kinds: Kind) -> tuple[str, ...]:
    """Names of the methods of some kinds, in the order in which they are shown."""
    return tuple(name for name, method in METHODS.items() if method.kind in kinds)


def rules(*, stopping: bool = False) -> tuple[str, ...]:
    """Names of the rules, or of those that may stop before N samples alone."""
    return tuple(n for n, method in METHODS.items() if (method.stops if stopping else method.rule))


def check_budget(name: str, budget: int, beam_width: int) -> Method:
    """The method of this name, if it can spend this budget.

    Raises:
        UserError: unknown method, or a budget or beam width that it cannot use.
    """
    if name not in METHODS:
        raise UserError(f"method {name!r} is not known; allowed: {', '.join(METHODS)}")
    if beam_width < 1:
        raise UserError(f"beam width {beam_width} is too small; allowed: 1, 2, 3, ...")
    step = beam_width if METHODS[name].beams else 1
    if budget < 1 or budget % step:
        raise UserError(
            f"budget {budget} does not suit {name} with beam width {beam_width}; "
            f"allowed: {step}, {2 * step}, {3 * step}, ..."
        )
    return METHODS[name]
