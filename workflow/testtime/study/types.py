"""The data types that all stages of the study share."""

from dataclasses import dataclass, field
from typing import Literal

from testtime.study.vocabulary import NONE

Finish = Literal["step", "stop", "length", "answer"]


@dataclass(frozen=True)
class Problem:
    """A problem as a policy sees it: never with its answer."""

    problem_id: str
    problem: str


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. Temperature 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Request:
    """Continue one parent: as many children as there are seeds.

    Attributes:
        token_ids: the prompt and the path so far; never re-tokenised text.
        seeds: one per child.
        first_position: index of the first new token in its sample, for per-token randomness.
        stop: "step" ends a child after the next step separator, "end" only at end of text.
        max_tokens: most tokens to generate per child.
        logprobs: whether log-probabilities are wanted; an engine may give them all the same.
    """

    token_ids: tuple[int, ...]
    seeds: tuple[int, ...]
    sampling: Sampling
    stop: Literal["step", "end"]
    max_tokens: int
    first_position: int = 0
    logprobs: bool = True


@dataclass(frozen=True)
class Continuation:
    """What one child generated.

    Attributes:
        token_ids: every token generated, separator and end of text included.
        logprobs: log-probability of each under the policy at temperature 1; empty where they were
            not wanted.
        finish: "step" (separator met), "stop" (end of text), "length" (max_tokens or context).
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish


@dataclass(frozen=True)
class ScoreRequest:
    """Score the steps of one path; the first `known` of them have been scored before."""

    problem: str
    steps: tuple[str, ...]
    known: int = 0


@dataclass(frozen=True)
class StepScores:
    """Scores of the steps after the known ones, and how many tokens the PRM read for them.

    Steps that end beyond the PRM's context have no score.

    Attributes:
        length: tokens from the text's start to the last step with a score, read now or before; 0
            if there is nothing new.
    """

    scores: tuple[float, ...]
    tokens: int
    length: int = 0


@dataclass(frozen=True)
class Path:
    """A solution, finished or not, with what is known about it.

    Attributes:
        steps: text of each step, without separators; never an empty step.
        scores: one probability per step that the PRM could read, empty where no PRM was used.
        step_logprobs: mean log-probability per token of each step; empty if they are not kept.
        logprob: mean log-probability per token of the whole path; NaN if it is not kept.
        tokens: tokens generated along this path (not its pruned siblings).
        read_tokens: length of the text that the PRM read to judge it, a lookahead's rollout
            included, in the PRM's tokens.
        finish: as of its last continuation; "answer" where the search ended it at its answer.
        kept: False for a finished candidate that a search with beams did not select.
    """

    steps: tuple[str, ...] = ()
    text: str = ""
    token_ids: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    step_logprobs: tuple[float, ...] = ()
    logprob: float = 0.0
    tokens: int = 0
    read_tokens: int = 0
    finish: Finish = "length"
    seed: int = 0
    kept: bool = True

    @property
    def finished(self) -> bool:
        """Whether the path is complete: ended by the policy, or at its answer."""
        return self.finish in ("stop", "answer")


@dataclass(frozen=True)
class Strategy:
    """A way of spending a budget: a method, how it scores a path and how it chooses an answer."""

    method: str
    scoring: str = NONE
    vote: str = NONE


@dataclass(frozen=True)
class SearchResult:
    """The paths of one tree (or DVTS subtree) of one problem and what they cost.

    Attributes:
        policy_tokens: all tokens generated in the tree, pruned paths included.
        prm_tokens: all tokens that the PRM read.
        widths: number of candidates at each step.
        pruned: the finished candidates that were not selected, in the order of their steps.
    """

    problem_id: str
    subtree: int
    paths: tuple[Path, ...]
    policy_tokens: int
    prm_tokens: int
    prompt_tokens: int
    widths: tuple[int, ...] = field(default=())
    pruned: tuple[Path, ...] = field(default=())
