"""How much work a model's job has, and how long it takes at given rates, in tokens per second.

What rules ask of a scheduler and what `testtime plan` prints both come from here. Estimates divide
work into jobs and bound their time; they change no result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from testtime.study.catalog import ENGINES, ModelSpec, PolicySpec, PrmSpec
from testtime.study.memory import weight_bytes
from testtime.study.methods import METHODS

# Besides a sample's own tokens, a PRM reads the problem and its format's tags.
READ_PER_TOKEN = 1.5
# Rates are for large batches; a search's batches shrink as its paths end.
SEARCH_SHARE = 0.7
IMPORT_SECONDS = 4.0
ANSWER_TOKENS = 60  # usual answer to a thought that is cut
LOADED_BYTES_PER_SECOND = 5e8  # weights from a shared file system
TRAINING_STEP_SECONDS = 0.2
SAFETY = 2.0  # a job may take this many times its estimate before it is killed
LEAST_MINUTES = 10
# Analysis, as measured on the embedded study; grading of real answers is slower than of sums.
FIGURE_SECONDS, NOTEBOOK_SECONDS = 3.0, 5.0
SCRIPT_SECONDS, TOKENS_GRADED, TEXTS_EVALUATED, ROWS_FITTED = 1.0, 5e5, 4_000, 5_000
# Of an answer that math-verify compares once more, in one process; of one that is only counted.
CHECK_SECONDS, ANSWERS_COUNTED = 0.05, 1e5
# Compressed files: what a token of a solution takes, and what it takes in its scores.
WRITTEN_BYTES, SCORED_BYTES = 2.7, 1.0
FINISHED = 0.5  # share of a search's candidates that end and are kept, as on the embedded study


@dataclass(frozen=True)
class Work:
    """What a job does.

    Attributes:
        policy_tokens: tokens that the policy generates.
        prm_tokens: tokens that the PRM reads.
        seconds: of generating and reading.
        start_seconds: until the models are loaded.
        gpus: GPUs that the job holds meanwhile.
        paths: about as many solutions as it writes; of a search, finished candidates too.
        size: bytes of its output and of its rows in the store.
    """

    policy_tokens: float = 0.0
    prm_tokens: float = 0.0
    seconds: float = 0.0
    start_seconds: float = 0.0
    gpus: int = 0
    paths: int = 0
    size: float = 0.0

    def minutes(self, attempt: int, most_hours: float) -> int:
        """Wall time to ask for: more at each attempt, at most `most_hours`."""
        wanted = max(LEAST_MINUTES, ceil(SAFETY * (self.start_seconds + self.seconds) / 60))
        return min(wanted * attempt, ceil(60 * most_hours))


def total(jobs: Iterable[Work]) -> Work:
    """The work of several jobs done as one, whose models are loaded once."""
    jobs = list(jobs)
    return Work(
        policy_tokens=sum(job.policy_tokens for job in jobs),
        prm_tokens=sum(job.prm_tokens for job in jobs),
        seconds=sum(job.seconds for job in jobs),
        start_seconds=max((job.start_seconds for job in jobs), default=0.0),
        gpus=max((job.gpus for job in jobs), default=0),
        paths=sum(job.paths for job in jobs),
        size=sum(job.size for job in jobs),
    )


def drawing(
    policy: PolicySpec, samples: int, engine: str, rate: float, thinking: Sequence[int] = ()
) -> Work:
    """Draw whole samples of a policy, with an answer at each of its thinking budgets."""
    longest = min(policy.typical_tokens, thinking[-1]) if thinking else policy.typical_tokens
    answers = len(thinking) * min(policy.thinking.answer_tokens, ANSWER_TOKENS) if thinking else 0
    tokens = samples * (longest + answers)
    return Work(
        policy_tokens=tokens,
        seconds=tokens / rate,
        start_seconds=IMPORT_SECONDS + load_seconds(policy, engine),
        gpus=policy.gpus,
        paths=samples * max(len(thinking), 1),
        size=tokens * WRITTEN_BYTES,
    )


def scoring(
    prm: PrmSpec,
    policy: PolicySpec,
    samples: int,
    engine: str,
    rate: float,
    thinking: Sequence[int] = (),
) -> Work:
    """Score a policy's samples by a PRM.

    Where the policy thinks, of a sample its own answer, which thinking budgets share, and a short
    one for each of them.
    """
    written = policy.typical_tokens
    if thinking:
        written = min(written, policy.thinking.answer_tokens) + len(thinking) * ANSWER_TOKENS
    tokens = samples * tokens_read(prm, written)
    return Work(
        prm_tokens=tokens,
        seconds=tokens / rate,
        start_seconds=IMPORT_SECONDS + load_seconds(prm, engine),
        gpus=prm.gpus,
        size=samples * written * SCORED_BYTES,
    )


def searching(
    policy: PolicySpec,
    prm: PrmSpec,
    method: str,
    candidates: int,
    engines: tuple[str, str],
    rates: tuple[float, float],
    gpus: int,
) -> Work:
    """Search with this many candidates per step in total; the pairs are of the policy and the PRM.

    They take turns, unless each has its own GPUs and an engine in the background.
    """
    grown = candidates * METHODS[method].effort
    written, read = grown * policy.typical_tokens, grown * tokens_read(prm, policy.typical_tokens)
    seconds = written / rates[0], read / rates[1]
    apart = policy.gpus and prm.gpus and gpus == policy.gpus + prm.gpus
    together = apart and all(ENGINES[engine].in_background for engine in engines)
    loading = [load_seconds(*model) for model in zip((policy, prm), engines, strict=True)]
    return Work(
        policy_tokens=written,
        prm_tokens=read,
        seconds=(max(seconds) if together else sum(seconds)) / SEARCH_SHARE,
        start_seconds=IMPORT_SECONDS + sum(loading),
        gpus=gpus,
        paths=candidates,
        size=FINISHED * candidates * policy.typical_tokens * (WRITTEN_BYTES + SCORED_BYTES),
    )


def grading(tokens: float) -> Work:
    """Extract and compare the answers in texts of this many tokens."""
    return Work(seconds=tokens / TOKENS_GRADED, start_seconds=SCRIPT_SECONDS)


def checking(texts: int, checked: int, workers: int) -> Work:
    """Count the answers of all texts, and compare so many distinct ones by math-verify."""
    seconds = texts / ANSWERS_COUNTED + checked * CHECK_SECONDS / workers
    return Work(seconds=seconds, start_seconds=SCRIPT_SECONDS)


def evaluating(texts: int) -> Work:
    """Every strategy's outcome on the texts of one policy."""
    return Work(seconds=texts / TEXTS_EVALUATED, start_seconds=SCRIPT_SECONDS)


def fitting(rows: int) -> Work:
    """Anything that takes all rows of the table of outcomes."""
    return Work(seconds=rows / ROWS_FITTED, start_seconds=SCRIPT_SECONDS)


def training(recipe: dict) -> Work:
    """Train a model of the microcosm by its recipe."""
    return Work(
        seconds=recipe["steps"] * TRAINING_STEP_SECONDS,
        start_seconds=IMPORT_SECONDS,
    )


def tokens_read(prm: PrmSpec, tokens: float) -> float:
    """Tokens that a PRM reads for a sample of so many, problem included; at most its context."""
    return min(READ_PER_TOKEN * tokens, prm.context)


def load_seconds(spec: ModelSpec, engine: str) -> float:
    """Seconds until a model is ready: starting its engine, and reading its weights from disk."""
    if spec.start_seconds is not None:
        return spec.start_seconds
    return ENGINES[engine].start_seconds + weight_bytes(spec) / LOADED_BYTES_PER_SECOND
