"""The stage `search`: all searches of a policy with a PRM together, each in its own trees."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from testtime.engines.base import Policy, Prm
from testtime.errors import UserError
from testtime.runtime.progress import Progress
from testtime.search.queues import Seconds
from testtime.search.scheduler import MAX_ROWS, Scheduler
from testtime.search.tree import Expand, Program, Score, Tree
from testtime.study.catalog import PolicySpec
from testtime.study.methods import METHODS, Method, check_budget
from testtime.study.seeds import derive
from testtime.study.types import Problem, Sampling, SearchResult
from testtime.study.vocabulary import TEXT


@dataclass(frozen=True)
class SearchSettings:
    """What determines the paths of a search, besides the models and the problem.

    Attributes:
        method: name in the registry.
        budget: N.
        sampling: of the candidates.
        step_tokens: most new tokens per step; a path that reaches it ends unfinished.
        max_steps: most steps of a path.
        max_tokens: most new tokens of a solution drawn whole.
        seed_parts: study seed, dataset, policy and whatever else sets this search apart.
        beam_width: M.
        separator: text that ends a step.
        ends_at: "text": a path goes on until the policy ends its text. "boxed": at the latest until
            the step that completes its first box, whatever follows in that step.
        logprobs: whether the log-probabilities of steps are kept.
    """

    method: str
    budget: int
    sampling: Sampling
    step_tokens: int
    max_steps: int
    max_tokens: int
    seed_parts: tuple[str | int, ...]
    beam_width: int = 4
    separator: str = "\n\n"
    ends_at: str = TEXT
    logprobs: bool = True

    @classmethod
    def of(cls, spec: PolicySpec, method: str, budget: int, **others: object) -> "SearchSettings":
        """Settings from a policy's entry, the rest as given."""
        return cls(
            method=method,
            budget=budget,
            sampling=spec.sampling,
            step_tokens=spec.step_tokens,
            max_steps=spec.max_steps,
            max_tokens=spec.max_tokens,
            separator=spec.separator,
            **others,
        )

    def seed(self, problem_id: str, subtree: int) -> int:
        """A tree's own seed: that of a nested subtree must not depend on the budget."""
        method = METHODS[self.method]
        if method.nested:
            own = (subtree,)
        else:
            own = () if method.grows or method.kind != "search" else (self.budget,)
            own += ("run", subtree) if subtree else ()
        return derive(*self.seed_parts, problem_id, self.method, *own)


def program_of(method: Method) -> Callable[[Tree], Program]:
    """The program of a search; the other methods draw whole solutions.

    A study reads those from its pools (`testtime.sample`), `testtime search` and `testtime solve`
    draw them directly.
    """
    if method.kind == "search":
        return getattr(import_module(method.module), method.name)
    return partial(draw_whole, greedy=method.kind == "greedy", scored=method.needs_prm)


def draw_whole(tree: Tree, *, greedy: bool = False, scored: bool = False) -> Program:
    """N independent solutions or the greedy one, with the PRM's scores if the method needs them."""
    count = 1 if greedy else tree.budget
    samples = yield Expand([tree.root], [count], stop="end", greedy=greedy)
    return (yield Score(samples)) if scored else samples


def plant(
    problems: Sequence[Problem], settings: SearchSettings, subtrees: range | None = None
) -> list[Tree]:
    """The trees of a search of some problems.

    Args:
        problems: any.
        settings: the method and its limits.
        subtrees: of a nested method, the independent subtrees to grow; None for all N/M. Of
            another, independent searches of each problem; None for one.

    Raises:
        UserError: unknown method, or a budget that the method cannot spend.
    """
    method = check_budget(settings.method, settings.budget, settings.beam_width)
    if subtrees is None:
        subtrees = range(settings.budget // settings.beam_width if method.nested else 1)
    return [
        Tree(
            problem=problem,
            budget=settings.budget,
            beam_width=settings.beam_width,
            max_steps=settings.max_steps,
            max_tokens=settings.max_tokens,
            seed=settings.seed(problem.problem_id, subtree),
            subtree=subtree,
        )
        for problem in problems
        for subtree in subtrees
    ]


def grow_trees(
    policy: Policy,
    prm: Prm | None,
    trees: Mapping[Tree, SearchSettings],
    *,
    seconds: Seconds | None = None,
    max_rows: int = MAX_ROWS,
) -> Iterator[tuple[Tree, SearchResult]]:
    """Grow trees of any searches of one policy together; a tree depends on nothing but itself.

    Args:
        policy: generates.
        prm: scores; None only for methods that need none.
        trees: each with the settings of its search; all draw and cut steps alike.
        seconds: gets the time spent in policy, PRM and search.
        max_rows: most paths in flight; changes speed and memory, not results.

    Returns:
        Each tree and its result, in the order of completion.

    Raises:
        UserError: a method needs a PRM and there is none.
    """
    programs = {s.method: program_of(METHODS[s.method]) for s in trees.values()}
    for name in programs:
        if METHODS[name].needs_prm and prm is None:
            without = [name for name in METHODS if not METHODS[name].needs_prm]
            raise UserError(f"method {name} needs a PRM; allowed without one: {', '.join(without)}")
    if not trees:
        return iter(())
    names = ("sampling", "step_tokens", "separator", "ends_at", "logprobs")
    shared = {tuple(getattr(s, name) for name in names) for s in trees.values()}
    if len(shared) > 1:
        raise ValueError(f"trees that differ in one of {', '.join(names)}")
    scheduler = Scheduler(
        policy,
        prm,
        **dict(zip(names, shared.pop(), strict=True)),
        max_rows=max_rows,
        seconds=seconds,
    )
    return scheduler.run((tree, programs[own.method](tree)) for tree, own in trees.items())


def search_problems(
    policy: Policy,
    prm: Prm | None,
    problems: Sequence[Problem],
    settings: SearchSettings,
    *,
    subtrees: range | None = None,
    progress: Progress | None = None,
    seconds: Seconds | None = None,
    max_rows: int = MAX_ROWS,
) -> Iterator[SearchResult]:
    """One search of some problems.

    Args:
        policy: generates.
        prm: scores; None only for methods that need none.
        problems: any.
        settings: the method and its limits.
        subtrees: as of `plant`.
        progress: receives every finished problem.
        seconds: as of `grow_trees`.
        max_rows: as of `grow_trees`.

    Returns:
        One result per tree (per subtree where nested), in the order of completion.

    Raises:
        UserError: unknown method, a budget that the method cannot spend, or no PRM.
    """
    trees = plant(problems, settings, subtrees)
    own = dict.fromkeys(trees, settings)
    grown = grow_trees(policy, prm, own, seconds=seconds, max_rows=max_rows)
    return _follow((result for _, result in grown), trees, progress)


def _follow(
    results: Iterator[SearchResult], trees: Sequence[Tree], progress: Progress | None
) -> Iterator[SearchResult]:
    left = Counter(tree.problem.problem_id for tree in trees)
    for result in results:
        left[result.problem_id] -= 1
        if progress is not None and not left[result.problem_id]:
            progress.update(1)
        yield result
