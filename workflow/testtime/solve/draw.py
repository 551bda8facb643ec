"""Sampling new problems, scoring the samples, and counting the cost of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from testtime.data.rows import Rows
from testtime.engines.base import Policy, Prm
from testtime.grade.classes import equivalence_classes
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Workers
from testtime.runtime.progress import progress
from testtime.sample import Draw, SampleSettings, sample_pool
from testtime.score import score_pool
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.types import Problem
from testtime.study.vocabulary import TEXT
from testtime.think import Thinker


@dataclass(frozen=True)
class Models:
    """The models that solve: a policy, possibly a PRM, and their specs.

    Attributes:
        seed_parts: seed, dataset and policy; every sample's seed derives from them.
        convention: how answers are read and compared, see `testtime.grade`.
        workers: of the grading, for formulas, which only they can read.
        ends_at: where a search's path ends, see `search.run.SearchSettings`.
    """

    policy: Policy
    spec: PolicySpec
    prm: Prm | None
    prm_spec: PrmSpec | None
    seed_parts: tuple[str | int, ...]
    convention: str = "math"
    beam_width: int = 4
    ends_at: str = TEXT
    workers: Workers | None = None


@dataclass(frozen=True)
class Drawn:
    """Whole samples of some problems, with scores if a PRM has read them."""

    rows: pd.DataFrame
    policy_tokens: pd.Series
    prm_tokens: pd.Series


def draw(
    models: Models,
    problems: Sequence[Problem],
    start: int,
    stop: int,
    *,
    scored: bool,
    greedy: bool = False,
    thinking: int = 0,
) -> Drawn:
    """Samples `start` to `stop` of every problem, read by the PRM if `scored`.

    Args:
        models: loaded engines.
        problems: any.
        start: first index of the samples.
        stop: index after the last one.
        scored: whether the PRM reads them.
        greedy: draw the samples of CoT.
        thinking: most tokens of their thoughts; 0 for a policy that does not think, or whose
            thoughts have no limit.
    """
    settings = SampleSettings.of(models.spec, models.seed_parts, "cot" if greedy else "pool")
    label = f"samples of {models.spec.name}"
    with progress(len(problems) * (stop - start), label, "samples") as bar:
        if thinking:
            spec = models.spec
            thinker = Thinker(models.policy, spec.thinking, Rows(), bar, spec.context)
            wanted = [Draw(p, settings, range(start, stop), p.problem_id) for p in problems]
            rows = thinker.to_table(wanted, thinker.draw(wanted, [thinking]), [thinking])
        else:
            rows = sample_pool(
                models.policy, problems, settings, start=start, stop=stop, progress=bar
            )
    tokens = rows.groupby("problem_id")["tokens"].sum()
    if not scored:
        return Drawn(rows, tokens, tokens * 0)
    rows, read = read_by_prm(models, problems, rows)
    return Drawn(rows, tokens, read)


def with_classes(
    rows: pd.DataFrame, convention: str, workers: Workers | None = None
) -> pd.DataFrame:
    """Add answer_class: the same for equal answers of a problem, -1 without an answer."""
    classes = pd.Series(-1, index=rows.index)
    for _, group in rows.groupby("problem_id", sort=False):
        answers = [extract_answer(text, convention) for text in group["text"]]
        voters = [i for i, answer in enumerate(answers) if answer]
        found = equivalence_classes([answers[i] for i in voters], convention, workers)
        if voters:
            classes.loc[group.index[voters]] = found
    return rows.assign(answer_class=classes)


def read_by_prm(
    models: Models, problems: Sequence[Problem], rows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """The rows with the PRM's step scores, and the tokens that it read for each problem."""
    texts = pd.DataFrame(
        {"problem_id": [p.problem_id for p in problems], "problem": [p.problem for p in problems]}
    )
    with progress(len(rows), f"scores by {models.prm_spec.name}", "samples") as bar:
        found = score_pool(models.prm, texts, rows, bar)
    distinct = ~pd.DataFrame(
        {"problem": rows["problem_id"].to_numpy(), "steps": rows["steps"].map(tuple).to_numpy()}
    ).duplicated()
    read = (found["prm_tokens"] * distinct.to_numpy()).groupby(found["problem_id"]).sum()
    return rows.assign(scores=found["scores"].to_numpy()), read
