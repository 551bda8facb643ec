"""What search and the other stages need from an engine: two small protocols of one shape.

Requests are submitted, each for a ticket, and polled until they are complete; requests submitted
while others run join them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from testtime import prms
from testtime.study.types import Continuation, Request, ScoreRequest, StepScores

if TYPE_CHECKING:
    from testtime.prms.base import Encoded, Reader

Result = TypeVar("Result")
Pair = tuple[ScoreRequest, "Encoded"]


class Policy(Protocol):
    """A language model that continues paths.

    A request that has all its children leaves the batch at once and a waiting one takes its rows.

    Attributes:
        in_background: whether it works on what was submitted while its caller does other things.
    """

    in_background: bool

    def encode(self, problem: str) -> tuple[int, ...]:
        """The token ids of the whole prompt for this problem."""

    def encode_text(self, text: str) -> tuple[int, ...]:
        """The token ids of a text as it stands, without a prompt around it."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated tokens, end-of-text and other special tokens left out."""

    def submit(self, request: Request) -> int:
        """Queue a request; returns its ticket."""

    def poll(self, *, wait: bool = True) -> list[tuple[int, list[Continuation]]]:
        """Run until at least one request is complete; returns (ticket, children in seed order).

        An empty list means that nothing is queued.

        Args:
            wait: False, of an engine in the background, returns soon, maybe with nothing.
        """


class Prm(Protocol):
    """A process reward model that gives a probability per step.

    Attributes:
        in_background: as of a policy.
    """

    in_background: bool

    def submit(self, request: ScoreRequest) -> int:
        """Queue a request for the scores of the steps after its known ones; returns its ticket."""

    def poll(self, *, wait: bool = True) -> list[tuple[int, StepScores]]:
        """Run until at least one request is complete; returns (ticket, scores) in any order.

        An empty list means that nothing is queued. Equal requests that wait together are read
        once; the tokens read are reported on the first of them. A request gets fewer scores than
        it has new steps where steps end beyond the PRM's context (`prms.fit`): only those that fit
        are read.

        Args:
            wait: as of a policy's `poll`.
        """


class Tickets(Generic[Result]):
    """Tickets of an engine's requests, and the results that have not been polled yet."""

    def __init__(self) -> None:
        self._last = 0
        self._done: list[tuple[int, Result]] = []

    def issue(self) -> int:
        """A new ticket."""
        self._last += 1
        return self._last

    def finish(self, ticket: int, result: Result) -> None:
        """Keep a complete request's result until it is polled."""
        self._done.append((ticket, result))

    def __bool__(self) -> bool:
        """Whether results wait to be polled."""
        return bool(self._done)

    def collect(self) -> list[tuple[int, Result]]:
        """Return the waiting results."""
        done, self._done = self._done, []
        return done


def sample(policy: Policy, requests: Iterable[Request]) -> Iterator[tuple[int, list[Continuation]]]:
    """Submit all requests, yield (index of the request, its children) as they complete."""
    return _run(policy, requests)


def score(prm: Prm, requests: Iterable[ScoreRequest]) -> list[StepScores]:
    """Submit all requests and return their scores, in the order of the requests."""
    return [scores for _, scores in sorted(_run(prm, requests), key=lambda found: found[0])]


def _run(engine: Policy | Prm, requests: Iterable) -> Iterator[tuple[int, object]]:
    tickets = {engine.submit(request): index for index, request in enumerate(requests)}
    while tickets:
        completed = engine.poll()
        if not completed:
            raise RuntimeError(f"the engine lost {len(tickets)} requests")
        for ticket, result in completed:
            yield tickets.pop(ticket), result


def to_read(reader: "Reader", requests: Sequence[ScoreRequest], context: int) -> list[Pair]:
    """Distinct requests that have new steps within the context, each with its tokens.

    Raises:
        UserError: a step is blank.
    """
    asked = [r for r in dict.fromkeys(requests) if r.known < len(r.steps)]
    texts = reader.read([(request.problem, request.steps) for request in asked])
    fitting = [prms.fit(text, context) for text in texts]
    return [
        (request, text)
        for request, text in zip(asked, fitting, strict=True)
        if request.known < len(text.positions)
    ]


def report(
    requests: Sequence[ScoreRequest], pairs: Sequence[Pair], found: Sequence[StepScores]
) -> list[StepScores]:
    """Scores in the order of the requests; tokens of equal ones are reported on the first of them.

    Args:
        requests: all that were submitted.
        pairs: what was read of them.
        found: scores and tokens of each pair.
    """
    results = {request: StepScores((), 0) for request in requests}
    results |= {request: scores for (request, _), scores in zip(pairs, found, strict=True)}
    reported = []
    for request in requests:
        reported.append(results[request])
        results[request] = replace(results[request], tokens=0)
    return reported
