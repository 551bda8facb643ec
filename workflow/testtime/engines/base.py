"""What search and the stages ask of an engine: two small protocols."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from testtime.types import Continuation, Request, ScoreRequest, StepScores


class Policy(Protocol):
    """A language model that continues paths.

    Requests run together. A request that has all its children leaves the batch at once and a
    waiting one takes its rows, so requests may be submitted while others are running.
    """

    def encode(self, problem: str) -> tuple[int, ...]:
        """The token ids of the whole prompt for this problem."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated tokens, end-of-text and other special tokens left out."""

    def submit(self, request: Request) -> int:
        """Queue a request; returns its ticket."""

    def poll(self) -> list[tuple[int, list[Continuation]]]:
        """Run until at least one request is complete; returns (ticket, children in seed order).

        An empty list means that nothing is queued.
        """


class Prm(Protocol):
    """A process reward model that gives a probability per step."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[StepScores]:
        """Score the steps after each request's known ones, in the order of the requests.

        Equal requests are read once; the tokens read are reported on the first of them. A request
        gets fewer scores than it has new steps where steps end beyond the PRM's context
        (`prms.fit`): only those that fit are read.
        """


def sample(policy: Policy, requests: Iterable[Request]) -> Iterator[tuple[int, list[Continuation]]]:
    """Submit all requests, yield (index of the request, its children) as they complete."""
    tickets = {policy.submit(request): index for index, request in enumerate(requests)}
    while tickets:
        for ticket, children in policy.poll():
            yield tickets.pop(ticket), children
