"""Policies on vLLM: every child is a separate sequence over its parent's cached prefix."""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from transformers import GenerationConfig

from testtime.engines.base import Tickets
from testtime.engines.pretrained import check_chat, open_model
from testtime.engines.text import PolicyText, check_options, stop_ids
from testtime.engines.vllm.runtime import Drawn, Runtime, start
from testtime.study.catalog import ModelSpec, PolicySpec
from testtime.study.seeds import derive
from testtime.study.types import Continuation, Finish, Request

AHEAD = 2  # sequences queued in vLLM per running one; the rest wait here
# Tokens at which vLLM ends a step. It compares every token that it draws with all of them, one by
# one; those with the lowest ids are the most frequent in vocabularies that are made by merging.
MOST_STOPS = 128


@dataclass(eq=False)
class Pending:
    """A request under way; `left` of its children have not finished."""

    ticket: int
    request: Request
    limit: int
    children: list[Continuation | None]
    left: int


@dataclass(eq=False)
class Child:
    """What a child of a request has generated, and the state of its step."""

    pending: Pending
    number: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    step_state: int = 0


class VllmPolicy:
    """A policy in the sense of `engines.base.Policy`; made by `load_policy`.

    vLLM ends a step itself, at tokens that contain the separator; a separator over two tokens, or
    in a rare one, is found in what it has drawn until then, and the rest dropped. With a tokenizer
    that has no such tokens, every token is looked at as it comes.

    Draws are vLLM's own: a child depends on its seed, on the position of its first token and on its
    parent, so the steps of a path are drawn independently. Its text differs from the one that the
    engine transformers draws with the same seed, but has the same distribution.
    """

    def __init__(self, text: PolicyText, runtime: Runtime, stops: set[int]):
        self.text, self.runtime = text, runtime
        self.in_background = runtime.in_background
        self.encode, self.decode = text.encode, text.decode
        self.encode_text = text.encode_text
        self._stops = frozenset(stops)
        self._waiting: deque[Child] = deque()
        self._running: dict[str, Child] = {}
        self._tickets: Tickets[list[Continuation]] = Tickets()
        self._keys = count(1)

    def submit(self, request: Request) -> int:
        """Queue a request; returns its ticket.

        A path (first_position > 0) that fills the context gets empty children, finish "length".

        Raises:
            UserError: the prompt is empty or does not fit into the context.
        """
        limit, n = self.text.room(request), len(request.seeds)
        ticket = self._tickets.issue()
        if n and limit:
            pending = Pending(ticket, request, limit, [None] * n, n)
            self._waiting.extend(Child(pending, number) for number in range(n))
        else:
            self._tickets.finish(ticket, [Continuation((), (), "length")] * n)
        return ticket

    def poll(self, *, wait: bool = True) -> list[tuple[int, list[Continuation]]]:
        """Run until at least one request is complete; returns (ticket, children in seed order).

        An empty list means that nothing is queued.

        Args:
            wait: False returns after one step of the batch.
        """
        while not self._tickets and (self._waiting or self._running):
            self._feed()
            for drawn in self.runtime.step():
                self._record(drawn)
            if not wait:
                break
        return self._tickets.collect()

    def _feed(self) -> None:
        """Submit waiting children, siblings together, as many as vLLM can use."""
        while self._waiting and len(self._running) < AHEAD * self.runtime.sequences:
            self._draw(self._waiting.popleft())

    def _draw(self, child: Child) -> None:
        """Let vLLM draw the tokens that follow those of a child."""
        request, drawn = child.pending.request, len(child.token_ids)
        by_step = request.stop == "step"
        key = str(next(self._keys))
        self._running[key] = child
        self.runtime.add(
            key,
            (*request.token_ids, *child.token_ids),
            seed=derive(request.seeds[child.number], request.first_position + drawn),
            sampling=request.sampling,
            max_tokens=child.pending.limit - drawn,
            stops=self._step_stops if by_step else sorted(self._stops),
            stream=by_step and not self.text.step_ends.whole,
            logprobs=request.logprobs,
        )

    @cached_property
    def _step_stops(self) -> list[int]:
        return sorted(self._stops.union(self.text.step_ends.whole[:MOST_STOPS]))

    def _record(self, drawn: Drawn) -> None:
        child = self._running.get(drawn.key)
        if child is None:  # tokens drawn before vLLM was told that the step was over
            return
        by_step = child.pending.request.stop == "step"
        for place, token in enumerate(drawn.token_ids):
            child.token_ids.append(token)
            child.logprobs += drawn.logprobs[place : place + 1]
            if by_step and self._ends_step(child, token):
                if drawn.finish is None:
                    self.runtime.abort(drawn.key)
                self._finish(drawn.key, "step")
                return
        if drawn.finish == "stop" and by_step and child.token_ids[-1] not in self._stops:
            self._go_on(drawn.key)  # a separator before visible text ends no step
        elif drawn.finish is not None:
            self._finish(drawn.key, drawn.finish)

    def _go_on(self, key: str) -> None:
        """Continue a step that vLLM has ended too early."""
        if len(self._running[key].token_ids) == self._running[key].pending.limit:
            self._finish(key, "length")
        else:
            self._draw(self._running.pop(key))

    def _ends_step(self, child: Child, token: int) -> bool:
        ends, before = self.text.step_ends, child.step_state
        child.step_state = ends.following[before, token]
        return bool(ends.ends[before, token])

    def _finish(self, key: str, finish: Finish) -> None:
        child = self._running.pop(key)
        pending = child.pending
        pending.children[child.number] = Continuation(
            tuple(child.token_ids), tuple(child.logprobs), finish
        )
        pending.left -= 1
        if not pending.left:
            self._tickets.finish(pending.ticket, pending.children)


def load_policy(
    spec: PolicySpec,
    *,
    threads: int | None = None,
    in_process: bool | None = None,
    beside: ModelSpec | None = None,
) -> VllmPolicy:
    """Load a policy.

    Args:
        spec: its catalog entry.
        threads: CPU threads of this process.
        in_process: run the engine in this process; None does so on the CPU alone.
        beside: another model of this process.

    Raises:
        UserError: the model, its tokenizer or the machine does not fit; names what and why.
    """
    what = f"policy {spec.location}"
    check_options(what, spec)
    where, config, tokenizer = open_model(what, spec)
    check_chat(what, tokenizer)
    config = config.get_text_config()
    runtime = start(what, spec, where, threads=threads, in_process=in_process, beside=beside)
    text = PolicyText(spec, tokenizer, vocabulary=config.vocab_size)
    return VllmPolicy(text, runtime, stop_ids(_generation_config(where), config, tokenizer))


def _generation_config(where: dict) -> GenerationConfig | None:
    model, *_ = where.values()
    options = {key: where[key] for key in ("revision", "local_files_only")}
    try:
        return GenerationConfig.from_pretrained(model, **options)
    except OSError:  # many models have none
        return None
