"""The stage `search`: one method over all problems of a shard together."""

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from testtime.engines.base import Policy, Prm
from testtime.errors import UserError
from testtime.runtime.progress import Progress
from testtime.search.rows import unit_name
from testtime.search.scheduler import MAX_ROWS, Scheduler, Seconds
from testtime.search.tree import Expand, Program, Score, Tree
from testtime.study.catalog import PolicySpec
from testtime.study.methods import METHODS, Method, check_budget
from testtime.study.seeds import derive
from testtime.study.types import Problem, Sampling, SearchResult


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


def search_problems(
    policy: Policy,
    prm: Prm | None,
    problems: Sequence[Problem],
    settings: SearchSettings,
    *,
    subtrees: range | None = None,
    done: Container[str] = (),
    progress: Progress | None = None,
    seconds: Seconds | None = None,
    max_rows: int = MAX_ROWS,
) -> Iterator[SearchResult]:
    """Search all problems together; a problem's paths depend on nothing but the problem.

    Args:
        policy: generates.
        prm: scores; None only for methods that need none.
        problems: of one shard.
        settings: the method and its limits.
        subtrees: of a nested method, the independent subtrees to run; None runs all N/M.
        done: names of trees (see `unit_name`) to skip.
        progress: receives every finished problem.
        seconds: gets the time spent in policy, PRM and search.
        max_rows: most paths in flight; changes speed and memory, not results.

    Returns:
        One result per tree (per subtree where nested), in the order of completion.

    Raises:
        UserError: unknown method, a budget that the method cannot spend, or no PRM.
    """
    method = check_budget(settings.method, settings.budget, settings.beam_width)
    if method.needs_prm and prm is None:
        without = [name for name in METHODS if not METHODS[name].needs_prm]
        raise UserError(
            f"method {method.name} needs a PRM; allowed without one: {', '.join(without)}"
        )
    if not method.nested:
        subtrees = range(1)
    elif subtrees is None:
        subtrees = range(settings.budget // settings.beam_width)
    trees = [
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
        if unit_name(problem.problem_id, subtree) not in done
    ]
    scheduler = Scheduler(
        policy,
        prm,
        sampling=settings.sampling,
        step_tokens=settings.step_tokens,
        separator=settings.separator,
        max_rows=max_rows,
        seconds=seconds,
    )
    program = program_of(method)
    running = scheduler.run((tree, program(tree)) for tree in trees)
    return running if progress is None else _follow(running, trees, len(problems), progress)


def _follow(
    results: Iterator[SearchResult], trees: Sequence[Tree], n_problems: int, progress: Progress
) -> Iterator[SearchResult]:
    left = Counter(tree.problem.problem_id for tree in trees)
    progress.update(n_problems - len(left))
    for result in results:
        left[result.problem_id] -= 1
        if not left[result.problem_id]:
            progress.update(1)
        yield result
