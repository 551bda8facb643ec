"""`testtime score`: step scores of a PRM for a file of solutions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from testtime import prms
from testtime.cli.complete import engines, formats, prm_names
from testtime.engines.load import load_prm
from testtime.errors import UserError
from testtime.runtime.progress import progress
from testtime.score import check_file, score_file
from testtime.study import catalog
from testtime.study.catalog import ENGINES, PRM_FORMATS, PrmSpec, check_engine


def score(
    file: Annotated[Path, typer.Argument(help='Lines {"problem": ..., "steps": [...]}.')],
    *,
    prm: Annotated[
        str,
        typer.Option(help="A catalog name or a local model folder.", autocompletion=prm_names),
    ],
    output: Annotated[Path, typer.Option(help='The same lines with "scores".')],
    format: Annotated[
        str | None,
        typer.Option(help=f"How the PRM reads: {', '.join(PRM_FORMATS)}.", autocompletion=formats),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help=f"{' or '.join(ENGINES)}.", autocompletion=engines)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Score every step of every solution in a file: one probability per step.

    Example: testtime score solutions.jsonl --prm micro-prm-good --output scored.jsonl
    """
    lines = check_file(file)
    spec = prm_spec(prm, format, engine)
    model = load_prm(spec, engine="transformers", threads=threads)
    with progress(lines, f"scores by {prm}", "solutions") as bar:
        score_file(model, file, output, bar)


def prm_spec(prm: str, format: str | None = None, engine: str | None = None) -> PrmSpec:
    """The PRM of a catalog name or a local folder, with the command line's options on top.

    Raises:
        UserError: there is neither such an entry nor such a folder, or nothing says the format.
    """
    if engine is not None:
        check_engine("--engine", engine)
    if format is not None:
        prms.get(format)
    known = catalog.load()
    if prm in known.prms:
        spec = known.prm(prm)
    elif Path(prm).is_dir():
        spec = _folder_spec(Path(prm), format)
    else:
        raise UserError(
            f"--prm {prm!r} is neither in the catalog nor a folder; "
            f"known: {', '.join(sorted(known.prms))}"
        )
    changes = {"format": format, "engine": engine}
    return replace(spec, **{key: value for key, value in changes.items() if value is not None})


def _folder_spec(folder: Path, format: str | None) -> PrmSpec:
    """A spec from a model folder's own files; the model runs on a GPU if there is one."""
    import torch

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--prm {folder}: no model in this folder ({error})") from error
    if "max_position_embeddings" not in config:
        raise UserError(f"--prm {folder}: config.json has no max_position_embeddings")
    return PrmSpec(
        name=str(folder),
        model=str(folder),
        parameters=0.0,  # only FLOPs would need it
        context=config["max_position_embeddings"],
        dtype="auto",
        gpus=int(torch.cuda.is_available()),
        format=prms.detect(folder, format),
    )
