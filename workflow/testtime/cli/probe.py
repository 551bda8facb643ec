"""`testtime check --probe`: every model of a study at work for a minute or two, on this machine.

What only the machine can tell before hours are spent: whether each model loads and answers,
whether a PRM gives the scores that its card prints, whether engines agree, how fast they are and
what memory they take. Rates stand in the logs, for `testtime plan --rates-from`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path

from testtime.cli.probe_job import PROBLEMS, Task
from testtime.data.problems import as_problems, load_problems
from testtime.grade.decide import gold_answer, grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Workers
from testtime.runtime.job import export_package
from testtime.study import memory
from testtime.study.catalog import ENGINES, ModelSpec, PolicySpec, PrmSpec
from testtime.study.conventions import convention_named
from testtime.study.study import Study

NEAR = 0.05  # of a score: others got 0.154 in bfloat16 where a card prints 0.1904
AGREED = 5  # first tokens of a greedy text, the same in both engines for half of the problems
REFERENCE = "transformers"  # the engine that others are compared with


@dataclass
class Verdict:
    """What a probe says of a model.

    Attributes:
        problems: what is wrong; empty if nothing is.
        notes: what was measured.
    """

    role: str
    name: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def probe(study: Study) -> Iterator[Verdict]:
    """Put every model of a study to work, one after the other.

    Policies draw alone; each PRM works beside the smallest of them, as in a search. Models whose
    samples or scores come from files are left out, and those that the study is still to train.

    Raises:
        UserError: the first dataset's problems are not available.
    """
    export_package()
    dataset = study.catalog.dataset(study.config["datasets"][0])
    rows = load_problems(dataset, seed=study.config["seed"], limit=PROBLEMS)
    problems = [[p.problem_id, p.problem] for p in as_problems(rows)]
    base = {"config": study.config, "problems": problems}
    policies = list(filter(_is_there, map(study.catalog.policy, study.config["policies"])))
    prms = list(filter(_is_there, map(study.catalog.prm, study.config["prms"])))
    for spec in policies:
        verdict = Verdict("policy", spec.name)
        done = _run(study, Task(**base, policy=spec.name), verdict)
        if done is not None:
            _judge_samples(done, rows["answer"], dataset.convention, study, verdict)
            _note_speed(done, spec, study, verdict)
            _judge_memory(done, [spec], study, verdict)
            other = _other(study, spec)
            again = other and _run(study, Task(**base, policy=spec.name, engine=other), verdict)
            if again:
                _compare_texts(done["greedy"], again["greedy"], other, verdict)
        yield verdict
    beside = min(policies, key=lambda spec: spec.parameters, default=None)
    for spec in prms:
        verdict = Verdict("PRM", spec.name)
        task = Task(**base, policy=beside and beside.name, prm=spec.name)
        done = _run(study, task, verdict)
        if done is not None:
            _judge_card(spec, done.get("card"), verdict)
            if beside:
                found, searched = done["found"], done["searched"]
                verdict.notes.append(f"search with {beside.name}: {found} of {searched} end")
            if done["paths"]:
                _note_speed(done, spec, study, verdict)
            _judge_memory(done, [*filter(None, [beside]), spec], study, verdict)
            other = _other(study, spec)
            alone = Task(**base, prm=spec.name, engine=other, paths=done["paths"])
            again = other and _run(study, alone, verdict)
            if again:
                _compare_scores(done["scores"], again["scores"], other, verdict)
        yield verdict


def _is_there(spec: PolicySpec | PrmSpec) -> bool:
    """Whether a model exists that this study can run."""
    return not spec.is_given and (spec.train is None or spec.folder is not None)


def _other(study: Study, spec: ModelSpec) -> str | None:
    """The engine to compare a model's own with; None if there is none that can run it."""
    fits = spec.gpus <= (ENGINES[REFERENCE].most_gpus or spec.gpus)
    return REFERENCE if study.engine(spec) != REFERENCE and fits else None


def _run(study: Study, task: Task, verdict: Verdict) -> dict | None:
    """What a process found; None if it failed, with its last words among the problems."""
    kind, name = ("prms", task.prm) if task.prm else ("policies", task.policy)
    job = "/".join(filter(None, (kind, name, task.engine)))
    log = Path(study.layout.path("log", stage="probe", job=job))
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as out:
        given, found = Path(folder, "task.json"), Path(folder, "result.json")
        given.write_text(json.dumps(asdict(task)), encoding="utf-8")
        command = [sys.executable, "-m", "testtime.cli.probe_job", str(given), str(found)]
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            return json.loads(found.read_text(encoding="utf-8"))
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    last = said[-1].removeprefix("error: ") if said else f"ended with status {done.returncode}"
    engine = f"engine {task.engine}: " if task.engine else ""
    verdict.problems.append(f"{engine}{last} ({log})")
    return None


def _judge_samples(
    done: dict, answers: Sequence[str], convention: str, study: Study, verdict: Verdict
) -> None:
    known = convention_named(convention)
    found = [extract_answer(text, known.name) for text in done["texts"]]
    golds = [gold_answer(str(answer), known) for answer in answers]
    with Workers(**study.config["grade"]) as workers:
        grades = grade_pairs(zip(found, golds, strict=True), known, workers)
    answered, right = sum(map(bool, found)), sum(bool(grade.correct) for grade in grades)
    verdict.notes.append(
        f"{done['ended']} of {done['samples']} samples end; of the first ones {answered} of "
        f"{len(found)} have an answer, {right} the right one"
    )
    if done["ended"] and not any(found):
        verdict.problems.append("no sample has an answer: is its prompt the right one?")


def _judge_card(spec: PrmSpec, found: Sequence[float] | None, verdict: Verdict) -> None:
    """Compare scores with those that the model's card prints."""
    if spec.card is None:
        verdict.notes.append("its card prints no scores")
        return
    printed = spec.card["scores"]
    text = f"{_scores(found)}, its card prints {_scores(printed)}"
    gaps = [abs(a - b) for a, b in zip(found, printed, strict=False)]
    same = all((a < 0.5) == (b < 0.5) for a, b in zip(found, printed, strict=False))
    if len(found) == len(printed) and same and max(gaps) <= NEAR:
        verdict.notes.append(f"{text}: at most {max(gaps):.4f} apart")
    else:
        verdict.problems.append(f"scores {text} ({spec.card['source']})")


def _note_speed(done: dict, spec: PolicySpec | PrmSpec, study: Study, verdict: Verdict) -> None:
    does = "draws" if isinstance(spec, PolicySpec) else "reads"
    verdict.notes.append(
        f"{does} {done['rate']:,.0f} tokens a second, planned with {study.rate(spec):,.0f}; loaded "
        f"in {done['start_seconds']:.0f} s"
    )


def _judge_memory(done: dict, specs: Sequence[ModelSpec], study: Study, verdict: Verdict) -> None:
    on_gpus = sum(memory.weight_bytes(spec) for spec in specs if spec.gpus) / memory.GB
    if on_gpus:
        verdict.notes.append(f"{done['gpu_gb']:.1f} GB on GPUs, weights {on_gpus:.1f}")
    asked = sum(memory.ram_gb(spec, study.engine(spec)) for spec in specs)
    verdict.notes.append(f"RAM {done['ram_gb']:.1f} GB, jobs ask for {asked:.1f}")


def _compare_texts(
    own: Sequence[Sequence[int]], others: Sequence[Sequence[int]], other: str, verdict: Verdict
) -> None:
    """Compare greedy texts; they may part where two tokens are nearly as likely."""
    same = [
        sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
        for a, b in zip(own, others, strict=True)
    ]
    text = f"greedy texts agree with engine {other} for {sum(same)} of {sum(map(len, own))} tokens"
    enough = [n >= min(AGREED, len(a)) for n, a in zip(same, own, strict=True)]
    (verdict.notes if 2 * sum(enough) >= len(enough) else verdict.problems).append(text)


def _compare_scores(
    own: Sequence[Sequence[float]], others: Sequence[Sequence[float]], other: str, verdict: Verdict
) -> None:
    pairs = [p for a, b in zip(own, others, strict=True) for p in zip(a, b, strict=True)]
    gap = max((abs(a - b) for a, b in pairs), default=0.0)
    text = f"{len(pairs)} step scores at most {gap:.4f} from those of engine {other}"
    (verdict.notes if gap <= NEAR else verdict.problems).append(text)


def _scores(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
