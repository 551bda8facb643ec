"""Deterministic policies and PRMs for tests: no model, every draw a hash of its own seed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from testtime.engines.base import Tickets
from testtime.study.seeds import derive
from testtime.study.types import Continuation, Request, ScoreRequest, StepScores

END, SEPARATOR = 0, 1
WORDS = range(2, 6)
PIECES = {END: "", SEPARATOR: "\n\n"} | {word: "abcd"[word - 2] for word in WORDS}
PROMPT = 1000  # ids from here on are the prompt's characters

# (all token ids so far, a number in [0, 1) that is 0 where greedy) -> next token
NextToken = Callable[[tuple[int, ...], float], int]


def random_tree(
    seed: int, *, words: int = 3, p_step: float = 0.45, p_end: float = 0.2, p_bare: float = 0.05
) -> NextToken:
    """A random language: few words, so that siblings are often identical, and every kind of step.

    Args:
        words: different words; fewer make more duplicates.
        p_step: probability that a step ends after a word.
        p_end: probability that the text ends after a word.
        p_bare: probability that a separator follows a separator.
    """

    def next_token(ids: tuple[int, ...], u: float) -> int:
        at_start = ids[-1] >= PROMPT or ids[-1] == SEPARATOR
        if at_start:
            if u > 1 - p_bare:
                return SEPARATOR
            if u > 1 - 2 * p_bare:
                return END
            return WORDS[int(u / (1 - 2 * p_bare) * words) % words]
        if u < p_step:
            return SEPARATOR
        if u < p_step + p_end:
            return END
        return WORDS[derive(seed, *ids[-3:], int(u * 50)) % words]

    return next_token


class FakePolicy:
    """A policy in the sense of `engines.base.Policy`; requests complete in a shuffled order."""

    in_background = False

    def __init__(
        self,
        next_token: NextToken,
        *,
        context: int = 10_000,
        order: int = 0,
        pieces: dict[int, str] | None = None,
    ):
        self.next_token, self.context, self.order = next_token, context, order
        self.pieces = PIECES | (pieces or {})
        self.requests: list[Request] = []
        self.tokens = 0
        self._queue: dict[int, Request] = {}

    def encode(self, problem: str) -> tuple[int, ...]:
        return tuple(PROMPT + ord(character) for character in problem)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Longest pieces first, as a tokenizer does."""
        ids, names = [], {piece: token for token, piece in self.pieces.items() if piece}
        while text:
            piece = max((p for p in names if text.startswith(p)), key=len)
            ids.append(names[piece])
            text = text[len(piece) :]
        return tuple(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self.pieces[token] for token in token_ids)

    def submit(self, request: Request) -> int:
        ticket = len(self.requests)
        self.requests.append(request)
        self._queue[ticket] = request
        return ticket

    def poll(self) -> list[tuple[int, list[Continuation]]]:
        done = sorted(self._queue, key=lambda ticket: derive(self.order, ticket))[:2]
        return [(ticket, self._children(self._queue.pop(ticket))) for ticket in done]

    def _children(self, request: Request) -> list[Continuation]:
        children = [
            self.generate(
                request.token_ids,
                seed,
                stop=request.stop,
                max_tokens=request.max_tokens,
                first_position=request.first_position,
                greedy=request.sampling.temperature == 0,
            )
            for seed in request.seeds
        ]
        self.tokens += sum(len(child.token_ids) for child in children)
        return children

    def generate(
        self,
        token_ids: Sequence[int],
        seed: int,
        *,
        stop: str,
        max_tokens: int,
        first_position: int,
        greedy: bool = False,
    ) -> Continuation:
        """One child, token by token."""
        ids, finish = list(token_ids), "length"
        while len(ids) - len(token_ids) < max_tokens and len(ids) < self.context:
            position = first_position + len(ids) - len(token_ids)
            u = 0.0 if greedy else derive(seed, position) / 2**63
            ids.append(self.next_token(tuple(ids), u))
            if ids[-1] == END:
                finish = "stop"
                break
            if ids[-1] == SEPARATOR and stop == "step":
                finish = "step"
                break
        new = tuple(ids[len(token_ids) :])
        return Continuation(new, tuple(-0.1 * (1 + token) for token in new), finish)


class FakePrm:
    """A PRM in the sense of `engines.base.Prm` with few different scores, so that ties are common.

    Attributes:
        reads: every request that was read, in order.
        batches: how many times it was let run with something to read.
        tokens: all tokens read.
    """

    in_background = False

    def __init__(self, seed: int = 0, levels: int = 5):
        self.seed, self.levels = seed, levels
        self.reads: list[ScoreRequest] = []
        self.batches = 0
        self.tokens = 0
        self._tickets = Tickets()
        self._waiting: dict[int, ScoreRequest] = {}

    def submit(self, request: ScoreRequest) -> int:
        assert all(step.strip() for step in request.steps), "an empty step was to be scored"
        assert len(request.steps) > request.known, "nothing new was to be scored"
        ticket = self._tickets.issue()
        self._waiting[ticket] = request
        return ticket

    def poll(self) -> list[tuple[int, StepScores]]:
        waiting, self._waiting = self._waiting, {}
        self.batches += bool(waiting)
        seen: set[ScoreRequest] = set()
        for ticket, request in waiting.items():
            tokens = 0 if request in seen else self.cost(request)
            if request not in seen:
                self.reads.append(request)
                self.tokens += tokens
            seen.add(request)
            length = self.cost(replace(request, known=0))
            self._tickets.finish(ticket, StepScores(self.new_scores(request), tokens, length))
        return self._tickets.collect()

    def new_scores(self, request: ScoreRequest) -> tuple[float, ...]:
        """Scores of the steps after the known ones."""
        return self.rescore(request.problem, request.steps)[request.known :]

    def rescore(self, problem: str, steps: Sequence[str]) -> tuple[float, ...]:
        """The score of every step of a path, read whole."""
        return tuple(
            (1 + derive(self.seed, problem, *steps[:k]) % self.levels) / (self.levels + 1)
            for k in range(1, len(steps) + 1)
        )

    def cost(self, request: ScoreRequest) -> int:
        """Tokens read: the new steps, and the problem where none is known."""
        new = sum(len(step) for step in request.steps[request.known :])
        return new + (0 if request.known else len(request.problem))
