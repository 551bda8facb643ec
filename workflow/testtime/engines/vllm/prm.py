"""PRMs on vLLM: language models by the next token after each step, two-class heads by pooling."""

import math
from collections.abc import Sequence
from dataclasses import replace

from testtime import prms
from testtime.engines.base import Pair, Tickets, report, to_read
from testtime.engines.pretrained import open_model, positions
from testtime.engines.transformers import prm as transformers_prm
from testtime.engines.transformers.prm import TransformersPrm
from testtime.engines.vllm.runtime import Runtime, start
from testtime.prms.base import Reader
from testtime.study.catalog import PRM_FORMATS, ModelSpec, PrmSpec
from testtime.study.types import ScoreRequest, StepScores


class VllmPrm:
    """A process reward model in the sense of `engines.base.Prm`; made by `load_prm`."""

    def __init__(self, name: str, runtime: Runtime, reader: Reader, context: int):
        self.name, self.runtime, self.reader, self.context = name, runtime, reader, context
        self._tickets: Tickets[StepScores] = Tickets()
        self._waiting: dict[int, ScoreRequest] = {}

    def submit(self, request: ScoreRequest) -> int:
        """Queue a request for the scores of the steps after its known ones; returns its ticket."""
        ticket = self._tickets.issue()
        self._waiting[ticket] = request
        return ticket

    def poll(self) -> list[tuple[int, StepScores]]:
        """Read all waiting requests; returns (ticket, scores) in the order of submission.

        Equal requests are read once; their tokens are reported on the first of them. A language
        model reads a path's new steps only, as long as the earlier ones are among vLLM's cached
        blocks; tokens are counted as if none were dropped, so that counts do not depend on what
        else runs. Pooling cannot use such blocks: a two-class model reads every text in full,
        and all its tokens are counted. Steps that end beyond the PRM's context are not read and get
        no score.

        Raises:
            UserError: a step is blank.
        """
        waiting, self._waiting = self._waiting, {}
        requests = list(waiting.values())
        pairs = to_read(self.reader, requests, self.context)
        read = self._by_next_token if self.reader.classes else self._by_tag
        found = report(requests, pairs, read(pairs) if pairs else [])
        return list(zip(waiting, found, strict=True))

    def _by_next_token(self, pairs: Sequence[Pair]) -> list[StepScores]:
        """Probability of "right" against "wrong" after each new step."""
        prefixes = [
            text.token_ids[: position + 1]
            for request, text in pairs
            for position in text.positions[request.known :]
        ]
        found = iter(self.runtime.next_token_logprobs(prefixes, self.reader.classes))
        scored = []
        for request, text in pairs:
            scores = tuple(_against(*next(found)) for _ in text.positions[request.known :])
            begin = text.positions[request.known - 1] + 1 if request.known else 0
            length = len(text.token_ids)
            scored.append(StepScores(scores, length - begin, length))
        return scored

    def _by_tag(self, pairs: Sequence[Pair]) -> list[StepScores]:
        """Probability of the second class at each new step's tag."""
        found = self.runtime.tag_probabilities([text.token_ids for _, text in pairs])
        return [
            StepScores(tuple(scores[request.known :]), len(text.token_ids), len(text.token_ids))
            for (request, text), scores in zip(pairs, found, strict=True)
        ]


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
    context, step_tag, overrides = spec.context, None, {}
    if format.readout == "two-class":
        step_tag = reader.tag
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
        step_tag=step_tag,
        overrides=overrides,
        in_process=in_process,
        beside=beside,
    )
    return VllmPrm(spec.location, runtime, reader, spec.context)


def _against(right: float, wrong: float) -> float:
    """Probability of the first of two tokens, given that it is one of them."""
    return 1 / (1 + math.exp(wrong - right))
