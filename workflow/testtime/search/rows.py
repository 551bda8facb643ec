"""Search results as rows of a table, one per path."""

from collections.abc import Iterable

import pandas as pd

from testtime.data.partial import Partial
from testtime.study.types import SearchResult

COLUMNS = (
    "problem_id",
    "path",
    "subtree",
    "text",
    "steps",
    "scores",
    "step_logprobs",
    "logprob",
    "tokens",
    "finish",
    "finished",
    "seed",
    "tree_policy_tokens",
    "tree_prm_tokens",
    "prompt_tokens",
    "widths",
)
INTEGERS = (
    "path",
    "subtree",
    "tokens",
    "seed",
    "tree_policy_tokens",
    "tree_prm_tokens",
    "prompt_tokens",
)


def to_rows(results: Iterable[SearchResult], partial: Partial | None = None) -> pd.DataFrame:
    """One row per path, sorted by problem, subtree and path.

    The cost of a whole tree (tree_policy_tokens, tree_prm_tokens: pruned paths included;
    prompt_tokens: the prompt once; widths: candidates at each step) is on each of its rows.

    Args:
        results: of `search_problems`.
        partial: keeps finished trees; those that it already had are included in the rows.
    """
    rows = [] if partial is None else [row for paths in partial.units.values() for row in paths]
    for result in results:
        paths = _describe(result)
        if partial is not None:
            partial.add(unit_name(result.problem_id, result.subtree), paths)
        rows += paths
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(
        dict.fromkeys(INTEGERS, "int64") | {"logprob": "float64", "finished": "bool"}
    )
    return frame.sort_values(["problem_id", "subtree", "path"], kind="stable", ignore_index=True)


def unit_name(problem_id: str, subtree: int) -> str:
    """Key of a tree among the finished ones."""
    return f"{problem_id} {subtree}"


def _describe(result: SearchResult) -> list[dict]:
    return [
        {
            "problem_id": result.problem_id,
            "path": index,
            "subtree": result.subtree,
            "text": path.text,
            "steps": list(path.steps),
            "scores": list(path.scores),
            "step_logprobs": list(path.step_logprobs),
            "logprob": path.logprob,
            "tokens": path.tokens,
            "finish": path.finish,
            "finished": path.finished,
            "seed": path.seed,
            "tree_policy_tokens": result.policy_tokens,
            "tree_prm_tokens": result.prm_tokens,
            "prompt_tokens": result.prompt_tokens,
            "widths": list(result.widths),
        }
        for index, path in enumerate(result.paths)
    ]
