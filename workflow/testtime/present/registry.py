"""The figures and tables of a study, each as its module declares it.

Snakemake reads this at every start. To avoid importing the modules, and matplotlib and pandas with
them, declarations are read from their source and consist of literal values.
"""

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from testtime.errors import UserError

if TYPE_CHECKING:
    from testtime.study.study import Study

FIGURES = Path(__file__).parent / "figures"
TABLES = Path(__file__).parent / "tables"
# The report's order of figures, and of modules of tables; others follow by name.
FIGURE_ORDER = (
    "small_vs_large",
    "methods_diagram",
    "pass_at_1_distribution",
    "accuracy_by_budget",
    "prm_quality",
    "accuracy_by_policy_size",
    "accuracy_by_difficulty",
    "voting_ablation",
    "prm_biases",
    "compute_optimal_curve",
    "accuracy_by_cost",
    "stopping",
    "more_samples",
    "thinking_grid",
    "short_or_long",
    "thinking_tokens",
    "lookup_heatmap",
)
TABLE_ORDER = ("accuracy", "pass_at_k", "forecast", "lookup", "voting", "grade_disagreements")
TABLE_ORDER += ("comparisons", "thinking")


@dataclass(frozen=True)
class Figure:
    """A figure, declared as FIGURE in `figures/NAME.py`.

    Its module also has `data(*, ...)`, which takes the inputs and settings by name and returns the
    rows to draw, and `draw(data)`, which draws from these rows alone.

    Attributes:
        title: its heading.
        see: what to look for in it (reStructuredText).
        computed: how it was computed (reStructuredText).
        inputs: kinds of files it is made from, see `Study.paths_of`.
        optional: inputs that it takes if the study has them, else None.
        settings: facts about the study that it needs, see `Study.setting`.
        needs: conditions that a study must meet, see `Study.has`.
    """

    title: str
    see: str
    computed: str
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """The caption in the study's report and in Snakemake's (reStructuredText)."""
        return f"**What to see.** {self.see}\n\n**How computed.** {self.computed}\n"


@dataclass(frozen=True)
class Tables:
    """Tables that are made together, declared as TABLES in `tables/NAME.py`.

    Its module also has `make(inputs, settings)`, which takes the paths of each input and the
    settings by name, and returns the content of each output by name: rows, or plain values for
    JSON.

    Attributes:
        stage: folder of its log, see `study.layout.STAGES`.
        tables: CSV tables by name, each with a one-sentence description.
        files: further outputs, kinds of file in `study.layout`, such as "lookup".
        inputs: kinds of files they are made from, see `Study.paths_of`.
        optional: inputs that are taken if the study has them, else an empty list of paths.
        settings: facts about the study that they need, see `Study.setting`.
        needs: conditions that a study must meet, see `Study.has`.
        heavy: whether they run as a cluster job and not locally.
    """

    stage: str
    tables: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    heavy: bool = False


Facts = TypeVar("Facts", Figure, Tables)


@cache
def figures() -> dict[str, Figure]:
    """Every figure by name, in the order of the report."""
    return _in_order(read_facts(FIGURES, Figure), FIGURE_ORDER)


@cache
def tables() -> dict[str, Tables]:
    """Every module of tables by its name, in the order of the report."""
    return _in_order(read_facts(TABLES, Tables), TABLE_ORDER)


def descriptions() -> dict[str, str]:
    """Description of each CSV table, in the order of the report."""
    return {name: text for facts in tables().values() for name, text in facts.tables.items()}


def of_study(facts: dict[str, Facts], study: "Study") -> dict[str, Facts]:
    """The declarations that a study can fill, in the same order."""
    return {name: fact for name, fact in facts.items() if all(map(study.has, fact.needs))}


def inputs_of(facts: Facts, study: "Study") -> dict[str, list[str]]:
    """The files that a figure or a module of tables is made from, by the names of its inputs."""
    made = {name for known in of_study(tables(), study).values() for name in known.tables}
    optional = {name: study.paths_of(name) if name in made else [] for name in facts.optional}
    return {name: study.paths_of(name) for name in facts.inputs} | optional


def files_of(facts: Tables, study: "Study") -> dict[str, str]:
    """The files that a module of tables writes, by name."""
    return {name: study.paths_of(name)[0] for name in (*facts.tables, *facts.files)}


def read_facts(folder: Path, kind: type[Facts]) -> dict[str, Facts]:
    """The declarations of a folder's modules by module name, without importing them.

    Args:
        folder: of the modules; those without a declaration of the kind are skipped.
        kind: `Figure`, declared as FIGURE = Figure(...), or `Tables` likewise.

    Raises:
        UserError: a declaration has values that are not literals, or wrong fields.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        call = _declaration(path, kind.__name__)
        if call is None:
            continue
        try:
            values = {part.arg: ast.literal_eval(part.value) for part in call.keywords}
            found[path.stem] = kind(*map(ast.literal_eval, call.args), **values)
        except (TypeError, ValueError) as error:
            name = f"{kind.__name__.upper()} = {kind.__name__}(...)"
            raise UserError(f"{path}: {name} takes literal values: {error}") from error
    return found


def _in_order(facts: dict[str, Facts], order: tuple[str, ...]) -> dict[str, Facts]:
    first = [name for name in order if name in facts]
    return {name: facts[name] for name in dict.fromkeys([*first, *facts])}


def _declaration(path: Path, kind: str) -> ast.Call | None:
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}") from error
    for node in module.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.targets[0]) == kind.upper()
            and ast.unparse(node.value.func) == kind
        ):
            return node.value
    return None
