"""Search results as rows of a table, one per path."""

from collections.abc import Iterable

import pandas as pd

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
    "read_tokens",
    "finish",
    "finished",
    "kept",
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


def to_table(trees: Iterable[tuple[str, list[dict]]]) -> pd.DataFrame:
    """One row per path, and per finished candidate that was pruned, sorted by problem and tree.

    The cost of a whole tree (tree_policy_tokens, tree_prm_tokens: pruned paths included;
    prompt_tokens: the prompt once; widths: candidates at each step) is on each of its rows.

    Args:
        trees: the problem of each and its paths, as of `describe`; those that were stored before
            there were read_tokens have none.
    """
    rows = [{"problem_id": problem_id, **path} for problem_id, paths in trees for path in paths]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(
        dict.fromkeys(INTEGERS, "int64")
        | {"read_tokens": "Int64", "logprob": "float64", "finished": "bool", "kept": "bool"}
    )
    return frame.sort_values(["problem_id", "subtree", "path"], kind="stable", ignore_index=True)


def describe(result: SearchResult) -> list[dict]:
    """A tree's paths as plain values, without their problem; after them those that it pruned.

    Of those their text is kept, which holds their steps, and neither steps nor log-probabilities.
    """
    return [
        {
            "path": index,
            "subtree": result.subtree,
            "text": path.text,
            "steps": list(path.steps) if path.kept else [],
            "scores": list(path.scores),
            "step_logprobs": list(path.step_logprobs) if path.kept else [],
            "logprob": path.logprob,
            "tokens": path.tokens,
            "read_tokens": path.read_tokens,
            "finish": path.finish,
            "finished": path.finished,
            "kept": path.kept,
            "seed": path.seed,
            "tree_policy_tokens": result.policy_tokens,
            "tree_prm_tokens": result.prm_tokens,
            "prompt_tokens": result.prompt_tokens,
            "widths": list(result.widths),
        }
        for index, path in enumerate((*result.paths, *result.pruned))
    ]
