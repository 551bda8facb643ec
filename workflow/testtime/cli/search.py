"""`testtime search`: a search method on a file of problems."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.complete import engines, formats, methods, policies, prm_names
from testtime.data.store import read_numbered_jsonl, write_jsonl
from testtime.engines.load import load_policy, load_prm
from testtime.errors import UserError
from testtime.grade.workers import Workers
from testtime.runtime.progress import progress
from testtime.search.queues import Seconds
from testtime.search.run import SearchSettings, search_problems
from testtime.study import catalog
from testtime.study.catalog import ENGINES, PolicySpec
from testtime.study.methods import METHODS, check_budget
from testtime.study.types import Problem
from testtime.study.vocabulary import ALL_VOTES, ENDS, PATH_VOTES, SCORINGS, TEXT, VOTES


def search(
    file: Annotated[Path, typer.Argument(help='Lines {"problem_id": ..., "problem": ...}.')],
    *,
    policy: Annotated[
        str,
        typer.Option(help="A catalog name or a local model folder.", autocompletion=policies),
    ],
    output: Annotated[Path, typer.Option(help="The same lines with answer, paths and tokens.")],
    method: Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.", autocompletion=methods)],
    budget: Annotated[int, typer.Option(help="N: samples, or candidates of a step.")] = 16,
    prm: Annotated[
        str | None,
        typer.Option(help="A catalog name or a local model folder.", autocompletion=prm_names),
    ] = None,
    beam_width: Annotated[int, typer.Option(help="M: children of each expanded path.")] = 4,
    scoring: Annotated[str, typer.Option(help="A path's score: min, last or avg.")] = "last",
    vote: Annotated[
        str,
        typer.Option(help=f"{', '.join(VOTES)}; ignored by cot, majority and rules."),
    ] = "weighted",
    ends_at: Annotated[
        str, typer.Option(help="Where a search's path ends: text, or boxed (its first box).")
    ] = TEXT,
    seed: Annotated[int, typer.Option(help="Same seed, same paths.")] = 0,
    convention: Annotated[
        str, typer.Option(help="How answers are compared: math, integer or exact.")
    ] = "math",
    format: Annotated[
        str | None,
        typer.Option(
            help="How a PRM from a folder reads, see `testtime score`.", autocompletion=formats
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help=f"{' or '.join(ENGINES)}.", autocompletion=engines)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Solve every problem of a file with one method: sample, search, vote.

    Example: testtime search problems.jsonl --policy micro-s --prm micro-prm-good
    --method beam_search --budget 16 --output solved.jsonl
    """
    from testtime.cli.score import prm_spec
    from testtime.solve.answer import answer_problems

    _allow("--scoring", scoring, SCORINGS)
    _allow("--vote", vote, VOTES)
    _allow("--ends-at", ends_at, ENDS)
    if engine is not None:
        _allow("--engine", engine, ENGINES)
    known = check_budget(method, budget, beam_width)
    if known.stops or known.gives_up:
        others = (n for n, other in METHODS.items() if not (other.stops or other.gives_up))
        raise UserError(
            f"--method {method} decides while it draws, which testtime solve does by a lookup; "
            f"allowed: {', '.join(others)}"
        )
    needs_prm = known.needs_prm
    if known.weighs and not known.beams and vote in ALL_VOTES:
        allowed = ", ".join(PATH_VOTES)
        raise UserError(f"--vote {vote!r} needs a search with beams; allowed: {allowed}")
    if needs_prm and prm is None:
        raise UserError(f"--prm must be given for --method {method}")
    lines = read_problems(file)
    problems = [Problem(str(line["problem_id"]), line["problem"]) for line in lines]
    spec = policy_spec(policy, engine)
    read = prm_spec(prm, format, engine) if needs_prm else None
    options = {"engine": "transformers", "threads": threads}
    reader = load_prm(read, beside=spec, **options) if read else None
    writer = load_policy(spec, beside=read, **options)
    settings = SearchSettings.of(
        spec,
        method,
        budget,
        beam_width=beam_width,
        seed_parts=(seed, Path(spec.name).name),
        ends_at=ends_at,
    )
    seconds = Seconds()
    with progress(len(problems), f"{method} of {policy}", "problems") as bar:
        results = search_problems(
            writer,
            reader,
            problems,
            settings,
            progress=bar,
            seconds=seconds,
        )
        results = list(results)
    with Workers() as workers:
        answers = answer_problems(
            results,
            problems,
            method=method,
            scoring=scoring,
            vote=vote,
            convention=convention,
            workers=workers,
        )
        # The line's problem_id stays as it was given, even a number.
        pairs = zip(lines, answers, strict=True)
        write_jsonl(
            (line | found | {"problem_id": line["problem_id"]} for line, found in pairs), output
        )
    print(f"{len(problems)} problems: {seconds}", file=sys.stderr)


def read_problems(file: Path) -> list[dict]:
    """The lines of a file of problems, checked before any model is loaded.

    Raises:
        UserError: a line lacks a key, has a wrong value or repeats a problem_id; names the line.
    """
    lines: list[dict] = []
    seen: dict[str, int] = {}
    for number, line in read_numbered_jsonl(file):
        where = f"{file}, line {number}"
        for key, kinds, allowed in (
            ("problem_id", (str, int), "a text or a whole number"),
            ("problem", (str,), "a text, not blank"),
        ):
            if key not in line:
                raise UserError(f"{where}: no {key!r}")
            value = line[key]
            if not isinstance(value, kinds) or isinstance(value, bool) or not str(value).strip():
                raise UserError(f"{where}: {key!r} is {value!r:.60}; allowed: {allowed}")
        name = str(line["problem_id"])
        if name in seen:
            raise UserError(f"{where}: problem_id {name!r} is already in line {seen[name]}")
        seen[name] = number
        lines.append(line)
    return lines


def policy_spec(policy: str, engine: str | None = None) -> PolicySpec:
    """The policy of a catalog name or a local folder.

    A folder that a catalog entry points to is prompted as that entry says; any other like most
    models: reason step by step, the answer in a box.

    Raises:
        UserError: there is neither such an entry nor such a folder.
    """
    known = catalog.load()
    if policy in known.policies:
        spec = known.policy(policy)
    elif Path(policy).is_dir():
        folder = Path(policy).resolve()
        same = [s for s in known.policies.values() if s.folder and s.folder.resolve() == folder]
        spec = same[0] if same else _folder_spec(folder)
    else:
        raise UserError(
            f"--policy {policy!r} is neither in the catalog nor a folder; "
            f"known: {', '.join(sorted(known.policies))}"
        )
    return replace(spec, engine=engine or spec.engine)


def _folder_spec(folder: Path) -> PolicySpec:
    """A spec from a model folder's own files; the model runs on a GPU if there is one."""
    import torch

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--policy {folder}: no model in this folder ({error})") from error
    if "max_position_embeddings" not in config:
        raise UserError(f"--policy {folder}: config.json has no max_position_embeddings")
    return PolicySpec(
        name=str(folder),
        model=str(folder),
        parameters=0.0,  # only FLOPs would need it
        context=config["max_position_embeddings"],
        dtype="auto",
        gpus=int(torch.cuda.is_available()),
    )


def _allow(option: str, value: str, allowed) -> None:
    if value not in allowed:
        raise UserError(f"{option} {value!r} is not known; allowed: {', '.join(allowed)}")
