"""PRMs on vLLM: language models by the next token after each step, two-class heads by pooling."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from testtime import prms
from testtime.engines.base import Tickets, to_read
from testtime.engines.pretrained import open_model, positions
from testtime.engines.transformers import prm as transformers_prm
from testtime.engines.transformers.prm import TransformersPrm
from testtime.engines.vllm.runtime import Read, Runtime, start
from testtime.prms.base import Encoded, Reader
from testtime.study.catalog import PRM_FORMATS, ModelSpec, PrmSpec
from testtime.study.types import ScoreRequest, StepScores

# Scores of two-class models, a few hundred bytes each: those of paths that may be in vLLM's cache.
REMEMBERED = 1 << 17


@dataclass(eq=False)
class Reading:
    """A request under way.

    Attributes:
        tickets: of all that asked for it.
        scores: of its new steps, None while unknown.
    """

    request: ScoreRequest
    text: Encoded
    tickets: list[int]
    scores: list[float | None]

    @property
    def new(self) -> list[int]:
        """Positions of the new steps' scores."""
        return self.text.positions[self.request.known :]


class VllmPrm:
    """A process reward model in the sense of `engines.base.Prm`; made by `load_prm`.

    What vLLM has in its cache of a path is not read again. A language model is asked for the next
    token after each new step. A two-class model says something of all tokens that it computes, and
    nothing of cached ones: steps that end there were scored with another path, and their scores are
    remembered; those that are forgotten are read again, without the cache.
    """

    def __init__(self, name: str, runtime: Runtime, reader: Reader, context: int):
        self.name, self.runtime, self.reader, self.context = name, runtime, reader, context
        self.in_background = runtime.in_background
        self._tickets: Tickets[StepScores] = Tickets()
        self._waiting: dict[int, ScoreRequest] = {}
        self._readings: dict[ScoreRequest, Reading] = {}
        self._asked: dict[str, tuple[Reading, int]] = {}  # key -> reading, number of its new step
        self._keys = count(1)
        # (problem, steps) -> score of the last of these steps, the most recent last.
        self._remembered: OrderedDict[tuple[str, tuple[str, ...]], float] = OrderedDict()

    def submit(self, request: ScoreRequest) -> int:
        """Queue a request for the scores of the steps after its known ones; returns its ticket."""
        ticket = self._tickets.issue()
        self._waiting[ticket] = request
        return ticket

    def poll(self, *, wait: bool = True) -> list[tuple[int, StepScores]]:
        """Read until at least one request is complete; returns (ticket, scores) in any order.

        Equal requests under way are read once; their tokens are reported on the first of them, as
        if no cached block were ever dropped, so that counts do not depend on what else runs. Steps
        that end beyond the PRM's context are not read and get no score.

        Args:
            wait: False returns what is ready.

        Raises:
            UserError: a step is blank.
        """
        self._start()
        while self._readings and not self._tickets:
            for read in self.runtime.read(wait=wait):
                self._record(read)
            if not wait:
                break
        return self._tickets.collect()

    def _start(self) -> None:
        """Hand waiting requests to vLLM."""
        waiting, self._waiting = self._waiting, {}
        new = [request for request in waiting.values() if request not in self._readings]
        for request, text in to_read(self.reader, new, self.context):
            wanted = len(text.positions) - request.known
            reading = Reading(request, text, [], [None] * wanted)
            self._readings[request] = reading
            for number in range(wanted) if self.reader.classes else [-1]:
                self._ask(reading, number)
        for ticket, request in waiting.items():
            if request in self._readings:
                self._readings[request].tickets.append(ticket)
            else:
                self._tickets.finish(ticket, StepScores((), 0))

    def _ask(self, reading: Reading, number: int, *, cached: bool = True) -> None:
        """Let vLLM read a text up to a new step, or all of it for a two-class model."""
        key = str(next(self._keys))
        self._asked[key] = reading, number
        token_ids = reading.text.token_ids[: reading.new[number] + 1]
        self.runtime.add_text(key, token_ids, classes=self.reader.classes or (), cached=cached)

    def _record(self, read: Read) -> None:
        reading, number = self._asked.pop(read.key)
        if read.logprobs:
            reading.scores[number] = _against(*read.logprobs)
        else:
            self._record_tags(reading, read.tags)
            if None in reading.scores:
                self._ask(reading, -1, cached=False)
        if None not in reading.scores:
            self._finish(reading)

    def _record_tags(self, reading: Reading, tags: Sequence[float]) -> None:
        request, text = reading.request, reading.text
        first = len(text.token_ids) - len(tags)
        for step, position in enumerate(text.positions):
            path = request.problem, request.steps[: step + 1]
            if position >= first:
                self._remembered[path] = tags[position - first]
            if step >= request.known and path in self._remembered:
                self._remembered.move_to_end(path)
                reading.scores[step - request.known] = self._remembered[path]
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _finish(self, reading: Reading) -> None:
        request, text = self._readings.pop(reading.request).request, reading.text
        begin = text.positions[request.known - 1] + 1 if request.known else 0
        length = len(text.token_ids)
        found = StepScores(tuple(reading.scores), length - begin, length)
        for ticket in reading.tickets:
            self._tickets.finish(ticket, found)
            found = replace(found, tokens=0)


def load_prm(
    spec: PrmSpec,
    *,
    threads: int | None = None,
    in_process: bool | None = None,
    beside: ModelSpec | None = None,
) -> VllmPrm | TransformersPrm:
    """Load a PRM; one with a value head, which vLLM does not support, runs on transformers.

    Args:
        spec: its catalog entry.
        threads: CPU threads of this process.
        in_process: run the engine in this process; None does so on the CPU alone.
        beside: another model of this process.

    Raises:
        UserError: the model, its format or the machine does not fit; names what and why.
    """
    what = f"PRM {spec.location}"
    name = prms.detect(spec.location, spec.format or None)
    format = prms.get(name)
    if format.readout == "value":
        return transformers_prm.load_prm(spec, threads=threads)
    where, config, tokenizer = open_model(what, spec)
    reader = format.reader(tokenizer)
    context, overrides = spec.context, {}
    if format.readout == "two-class":
        overrides["architectures"] = [PRM_FORMATS[name].architecture]
    else:
        # In the weights' own precision, scores would be rounded to a few hundred values.
        overrides["head_dtype"] = "float32"
        # The token drawn after a text is never read, but vLLM needs a position for it.
        context += 1
    longest = positions(config)
    if longest is not None and context > longest:
        overrides["max_position_embeddings"] = context
    runtime = start(
        what,
        replace(spec, context=context),
        where,
        threads=threads,
        two_class=format.readout == "two-class",
        overrides=overrides,
        in_process=in_process,
        beside=beside,
    )
    return VllmPrm(spec.location, runtime, reader, spec.context)


def _against(right: float, wrong: float) -> float:
    """Probability of the first of two tokens, given that it is one of them."""
    return 1 / (1 + math.exp(wrong - right))
