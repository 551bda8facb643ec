"""The stage `search`: PRM-guided search over all problems of a shard together."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence

from testtime.engines.base import Policy, Prm
from testtime.errors import UserError
from testtime.runtime.progress import Progress
from testtime.search.methods import METHODS, WHOLE, Method
from testtime.search.rows import to_rows, unit_name
from testtime.search.scheduler import MAX_ROWS, Scheduler, Seconds
from testtime.search.tree import Tree
from testtime.study.seeds import derive
from testtime.study.types import Problem, Sampling, SearchResult

__all__ = ["METHODS", "Seconds", "check_budget", "search_problems", "to_rows"]


def search_problems(
    policy: Policy,
    prm: Prm | None,
    problems: Sequence[Problem],
    *,
    method: str,
    budget: int,
    beam_width: int = 4,
    subtrees: range | None = None,
    sampling: Sampling,
    step_tokens: int,
    max_steps: int,
    max_tokens: int | None = None,
    separator: str = "\n\n",
    seed_parts: tuple[str | int, ...],
    progress: Progress | None = None,
    seconds: Seconds | None = None,
    max_rows: int = MAX_ROWS,
    done: Container[str] = (),
) -> Iterator[SearchResult]:
    """Search all problems together; a problem's paths depend on nothing but the problem.

    Args:
        policy: generates.
        prm: scores; None only for methods that need none.
        problems: of one shard.
        method: name in `METHODS` or `WHOLE`.
        budget: N.
        beam_width: M.
        subtrees: of a nested method, the independent subtrees to run; None runs all N/M.
        sampling: of the candidates.
        step_tokens: most new tokens per step; a path that reaches it ends unfinished.
        max_steps: most steps of a path.
        max_tokens: most new tokens of a solution drawn whole; None takes
            step_tokens x max_steps.
        separator: text that ends a step.
        seed_parts: study seed, dataset, policy and whatever else sets this search apart.
        progress: told of every problem that is done.
        seconds: gets the time spent in policy, PRM and search.
        max_rows: most paths in flight; changes speed and memory, not results.
        done: names of trees (see `unit_name`) that are left out.

    Returns:
        One result per tree (per subtree where nested), in the order of completion.

    Raises:
        UserError: unknown method, a budget that the method cannot spend, or no PRM.
    """
    chosen = check_budget(method, budget, beam_width)
    if chosen.prm and prm is None:
        raise UserError(f"method {method} needs a PRM; allowed without one: cot, majority")
    if not chosen.nested:
        subtrees = range(1)
    elif subtrees is None:
        subtrees = range(budget // beam_width)
    trees = [
        Tree(
            problem=problem,
            budget=budget,
            beam_width=beam_width,
            max_steps=max_steps,
            max_tokens=max_tokens or step_tokens * max_steps,
            seed=derive(
                *seed_parts, problem.problem_id, method, *_own_parts(chosen, budget, subtree)
            ),
            subtree=subtree,
        )
        for problem in problems
        for subtree in subtrees
        if unit_name(problem.problem_id, subtree) not in done
    ]
    scheduler = Scheduler(
        policy,
        prm,
        sampling=sampling,
        step_tokens=step_tokens,
        separator=separator,
        max_rows=max_rows,
        seconds=seconds,
    )
    running = scheduler.run((tree, chosen.run(tree)) for tree in trees)
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


def _own_parts(method: Method, budget: int, subtree: int) -> tuple[int, ...]:
    """What of a tree goes into its seed: a nested subtree must not depend on the budget."""
    if method.nested:
        return (subtree,)
    return (budget,) if method.seeded_by_budget else ()


def check_budget(method: str, budget: int, beam_width: int) -> Method:
    """The method of this name, if it can spend this budget.

    Raises:
        UserError: unknown method, or a budget or beam width that it cannot use.
    """
    known = WHOLE | METHODS
    if method not in known:
        raise UserError(f"method {method!r} is not known; allowed: {', '.join(known)}")
    if beam_width < 1:
        raise UserError(f"beam width {beam_width} is too small; allowed: 1, 2, 3, ...")
    step = beam_width if known[method].beams else 1
    if budget < 1 or budget % step:
        raise UserError(
            f"budget {budget} does not suit {method} with beam width {beam_width}; "
            f"allowed: {step}, {2 * step}, {3 * step}, ..."
        )
    return known[method]
