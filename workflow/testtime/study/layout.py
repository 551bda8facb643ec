"""Where a study's files are: every path pattern below `results:`, for rules and for readers.

Parquet files record what they hold: the names in their path (dataset, policy, ...) are written into
their metadata, see `data.store`, and read back from there.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from testtime.errors import UserError

# Environment variable of jobs that have copies of results which are in a storage of Snakemake.
STORED = "TESTTIME_STORED"
WORKFLOW = Path(__file__).resolve().parents[2]
ROOT = WORKFLOW.parent  # the checkout

# Kind of file -> its place. Names in braces are what tells one file of the kind from another.
PATTERNS = {
    "problems": "problems/{dataset}.parquet",
    "answers": "answers/{dataset}.parquet",
    "model": "models/{name}",
    "generations": "generations/{dataset}/{policy}/{block}/{shard}.parquet",
    "scores": "scores/{dataset}/{policy}/{prm}/{block}/{shard}.parquet",
    "searches": "searches/{dataset}/{policy}/{prm}/{method}/{block}/{shard}.parquet",
    "grades": "grades/{dataset}/{policy}.parquet",
    "difficulty": "difficulty/{dataset}/{policy}.parquet",
    "predictions": "predicted/{dataset}/{policy}.parquet",
    "predictors": "predicted/{dataset}/{policy}.json",
    "cell_outcomes": "outcomes/{dataset}/{policy}.parquet",
    "outcomes": "tables/outcomes.parquet",
    "table": "tables/{table}.csv",
    "lookup": "lookup.json",
    "figure": "figures/{figure}.png",
    "figure_pdf": "figures/{figure}.pdf",
    "figure_data": "figures/data/{figure}.csv",
    "notebook": "notebooks/{notebook}.ipynb",
    "notebook_table": "notebooks/{notebook}.csv",
    "report": "report.html",
    "log": "logs/{stage}/{job}.log",
    "benchmark": "benchmarks/{stage}/{job}.tsv",
    "store": "store/{stage}/{job}",  # the folder of a cell's rows, see data.rows
    "weights": "store/weights.json",
    "checkpoint": "store/train/{name}.pt",  # state of a training, see microcosm.checkpoint
    "decided": "decided/{stage}/{job}.json",
    "replaced": "decided/replaced.json",
    "lock": ".lock",
    "sum": ".sums/{file}",
}
# Kinds that people open, and may spoil: the digest of each file stands beside them, see data.store.
SUMMED = ("table", "lookup", "predictors", "figure_data", "notebook_table")
# Names that may hold slashes.
DEEP = ("job", "file")
# Names in the paths of files that one job makes together.
TOGETHER = {"generations": ("block",), "scores": ("block",), "searches": ("method", "block")}
# Kinds with one Parquet file per (dataset, policy).
CELL_KINDS = ("grades", "difficulty", "predictions", "cell_outcomes")
# The folders of logs and benchmarks, in the order in which data flow.
STAGES = ("train", "problems", "generate", "score", "search", "grade", "difficulty", "evaluate")
STAGES += ("fit", "compare", "figures", "notebooks", "report")
# Which stage makes which kind of file; modules of tables name their own.
STAGE_OF = {
    "problems": "problems",
    "answers": "problems",
    "model": "train",
    "generations": "generate",
    "scores": "score",
    "searches": "search",
    "grades": "grade",
    "difficulty": "difficulty",
    "predictions": "difficulty",
    "predictors": "difficulty",
    "cell_outcomes": "evaluate",
    "figure": "figures",
    "figure_pdf": "figures",
    "figure_data": "figures",
    "notebook": "notebooks",
    "notebook_table": "notebooks",
    "report": "report",
}


@dataclass(frozen=True)
class Layout:
    """The paths below one results folder."""

    results: str

    def pattern(self, kind: str, **names: str) -> str:
        """The pattern of a kind of file: names in braces are a rule's wildcards, some filled in."""
        return self.path(kind, **{name: f"{{{name}}}" for name in names_in(kind)} | names)

    def path(self, kind: str, **names: str) -> str:
        """One file.

        Args:
            kind: of PATTERNS.
            names: values of the names in the pattern.
        """
        return f"{self.results}/{place(kind, **names)}"

    def folder(self, kind: str) -> str:
        """The folder that all files of a kind lie in."""
        return f"{self.results}/{folder(kind)}"

    def log(self, kind: str, suffix: str = "", together: tuple[str, ...] = ()) -> str:
        """The log of the rule that makes a kind of file, with its wildcards.

        Args:
            kind: of file.
            suffix: tells two rules with equal wildcards apart.
            together: names in the pattern whose files one job makes.
        """
        return self.path("log", stage=STAGE_OF[kind], job=_job(kind, together) + suffix)

    def benchmark(self, kind: str, together: tuple[str, ...] = ()) -> str:
        """The benchmark file of the rule that makes a kind of file; arguments as of `log`."""
        return self.path("benchmark", stage=STAGE_OF[kind], job=_job(kind, together))


def _job(kind: str, together: tuple[str, ...] = ()) -> str:
    """A kind's wildcards as the name of the job, or the kind where it has none."""
    return "/".join(f"{{{name}}}" for name in names_in(kind) if name not in together) or kind


def place(kind: str, **names: str) -> str:
    """One file, named from the results folder; arguments as of `Layout.path`."""
    return PATTERNS[kind].format(**names)


def folder(kind: str) -> str:
    """The folder that all files of a kind lie in, named from the results folder."""
    return PATTERNS[kind].partition("{")[0].rpartition("/")[0]


def names_in(kind: str) -> tuple[str, ...]:
    """The names in a kind's pattern, in their order."""
    return tuple(re.findall(r"{(\w+)}", PATTERNS[kind]))


def results_of(path: str | Path) -> str:
    """The results folder that a file lies in; for a job that of copies from a storage, if any."""
    kind, names = identify(path)
    own = place(kind, **names)
    return Path(path).as_posix().removesuffix(own).rstrip("/") or "."


def stored_at(prefix: str, results: str) -> str:
    """The place of a results folder in a storage.

    Args:
        prefix: Snakemake's --default-storage-prefix.
        results: of the config.

    Raises:
        UserError: the folder is not below the working directory.
    """
    path = PurePosixPath(results)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"config results: {results} has no place in the storage {prefix}; allowed: a folder "
            "below the working directory"
        )
    return f"{prefix.rstrip('/')}/{path}"


def identify(path: str | Path) -> tuple[str, dict[str, str]] | None:
    """The kind of a file and the names in its path; None for a path of no kind."""
    text = Path(path).as_posix()
    for kind, expression in _expressions():
        found = expression.match(text)
        if found:
            return kind, found.groupdict()
    return None


def sum_of(path: str | Path) -> Path | None:
    """The file of a file's digest; None for those that have none.

    Where results are in a storage, they have none: other machines write them too.
    """
    kind, names = identify(path) or ("", {})
    if kind not in SUMMED or "://" in str(path) or STORED in os.environ:
        return None
    own = place(kind, **names)
    return Path(Path(path).as_posix().removesuffix(own), place("sum", file=own))


@cache
def _expressions() -> tuple[tuple[str, re.Pattern], ...]:
    return tuple(_compiled())


def _compiled() -> Iterator[tuple[str, re.Pattern]]:
    # Those with the fewest names first: a results folder may itself be called "grades". The store's
    # cells, which have no suffix, come last: they could be the beginning of any path below "store".
    for kind in sorted(PATTERNS, key=lambda kind: (kind == "store", len(names_in(kind)))):
        parts = re.split(r"{(\w+)}", PATTERNS[kind])
        names = (f"(?P<{name}>{'.+' if name in DEEP else '[^/]+'})" for name in parts[1::2])
        fixed = map(re.escape, parts[::2])
        text = "".join(piece for pair in zip(fixed, [*names, ""], strict=True) for piece in pair)
        yield kind, re.compile(f"(?:.*/)?{text}$")


def from_here(path: Path) -> str:
    """A file of the checkout, relative to the working directory if it is below that.

    Moving a whole checkout then reruns nothing.
    """
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
