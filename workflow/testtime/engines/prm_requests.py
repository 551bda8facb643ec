"""What a PRM is asked and what it answers, whatever engine reads it: each text once, what fits."""

from collections.abc import Sequence
from dataclasses import replace

from testtime import prms
from testtime.prms.base import Encoded, Reader
from testtime.study.types import ScoreRequest, StepScores

Pair = tuple[ScoreRequest, Encoded]


def to_read(reader: Reader, requests: Sequence[ScoreRequest], context: int) -> list[Pair]:
    """Different requests that have new steps within the context, each with its tokens.

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
    """Scores in the order of the requests; tokens of equal ones are told on the first of them.

    Args:
        requests: all that were asked.
        pairs: what was read of them.
        found: scores and tokens of each pair.
    """
    results = {request: StepScores((), 0) for request in requests}
    results |= {request: scores for (request, _), scores in zip(pairs, found, strict=True)}
    told = []
    for request in requests:
        told.append(results[request])
        results[request] = replace(results[request], tokens=0)
    return told
