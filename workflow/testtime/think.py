"""The stage `generate` of a policy that thinks: traces, cut at every thinking budget, and answers.

A sample is one trace, drawn once up to the largest thinking budget. For a smaller one, T, the trace
is cut at T tokens, its thought closed, and the answer drawn; a trace whose thought ended earlier
keeps its own answer. So every T, every N and every vote share one trace.

Traces are drawn in segments (`study.thoughts`) that do not depend on the budgets: a larger one
draws the segments that are missing, a smaller one only answers, and neither changes what was drawn.
A budget that is a power of two, from 128 on, draws least beyond itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import isnan, nan

import pandas as pd

from testtime.data.rows import Rows
from testtime.engines.base import Policy, sample
from testtime.engines.steps import StepReader, mean
from testtime.errors import UserError
from testtime.runtime.progress import Progress
from testtime.sample import AT_ONCE, COLUMNS, Draw
from testtime.study.catalog import Thinking
from testtime.study.thoughts import ANSWER, OWN, THOUGHT, part_stamp, segments
from testtime.study.types import Continuation, Request

GROUP = 64  # tokens of a thought that share a mean log-probability
DIGITS = 5  # of log-probabilities in the store
THOUGHT_COLUMNS = ("thinking", "thought_tokens", "forced", "thought")


@dataclass(frozen=True)
class Marks:
    """The tokens around a policy's thoughts, see `catalog.Thinking`; `close` is one token."""

    open: tuple[int, ...]
    close: int
    cue: tuple[int, ...]
    go_on: tuple[int, ...]

    @classmethod
    def of(cls, policy: Policy, thinking: Thinking) -> "Marks":
        """The marks of a catalog entry in the policy's own tokens.

        Raises:
            UserError: the text that closes a thought is not one token of the policy.
        """
        close = policy.encode_text(thinking.close)
        if len(close) != 1:
            raise UserError(
                f"thinking.close {thinking.close!r} is {len(close)} tokens of the policy; "
                "allowed: the one token that ends its thoughts"
            )
        texts = (thinking.open, thinking.cue, thinking.go_on)
        opened, cue, go_on = (policy.encode_text(text) if text else () for text in texts)
        return cls(opened, close[0], cue, go_on)


@dataclass(frozen=True)
class Trace:
    """What one sample has written so far.

    Attributes:
        token_ids: after the prompt and the open mark, end of text included.
        logprobs: of each; NaN for tokens that were given.
        texts: of the thought, one per segment.
        closed: place of the token that ends the thought, None if it has not ended.
        finish: "stop" (end of text), "length" (the answer or the context is full), None while it
            may go on.
    """

    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()
    closed: int | None = None
    finish: str | None = None

    def ends_within(self, budget: int) -> bool:
        """Whether its thought is over after so many tokens, with no need to be cut."""
        if self.closed is not None:
            return self.closed < budget
        return self.finish == "stop" and len(self.token_ids) <= budget

    def goes_on(self, at: int, limit: int) -> bool:
        """Whether tokens from this place on are wanted, for budgets up to the limit."""
        answering = self.closed is not None and self.closed < limit
        return self.finish is None and (at < limit or answering)

    def followed_by(self, row: dict) -> "Trace":
        """With the segment that a row of the store holds."""
        return Trace(
            self.token_ids + tuple(row["token_ids"]),
            self.logprobs + tuple(nan if v is None else v for v in row["logprobs"]),
            (*self.texts, row["text"]),
            row["closed"],
            row["finish"],
        )


Sample = tuple[Draw, int]
Traces = dict[Sample, Trace]


class Thinker:
    """Draws the traces and answers of a cell; rows that are there are not drawn again.

    Args:
        policy: generates; not asked for anything if nothing is missing.
        thinking: how it thinks.
        rows: keep segments and answers, each under a stamp of its own, by sample.
        progress: receives every pair of a sample and a budget that is done.
        context: of the policy: a thought is cut where its answer would not fit any more; None where
            everything fits.
    """

    def __init__(
        self,
        policy: Policy,
        thinking: Thinking,
        rows: Rows,
        progress: Progress | None = None,
        context: int | None = None,
    ):
        self.context = context
        self.policy, self.thinking, self.rows, self.progress = policy, thinking, rows, progress
        self._readers: dict[str, StepReader] = {}
        self._prompts: dict[str, tuple[int, ...]] = {}

    @cached_property
    def marks(self) -> Marks:
        """In the policy's tokens; asks the policy."""
        return Marks.of(self.policy, self.thinking)

    def draw(self, draws: Sequence[Draw], budgets: Sequence[int]) -> Traces:
        """Draw what is missing of the samples wanted, up to the largest budget, and their answers.

        Args:
            draws: what is wanted.
            budgets: T, ascending.

        Returns:
            The trace of every sample.
        """
        traces = {(draw, number): Trace() for draw in draws for number in draw.numbers}
        for start, stop in segments():
            active = [key for key, trace in traces.items() if trace.goes_on(start, budgets[-1])]
            if not active:
                break
            self._draw_segment({key: traces[key] for key in active}, start, stop)
            for draw, number in active:
                row = self.rows.of(part_stamp(draw.stamp, THOUGHT, start))[number]
                traces[draw, number] = traces[draw, number].followed_by(row)
        self._draw_answers(traces, budgets)
        return traces

    def to_table(
        self, draws: Iterable[Draw], traces: Traces, budgets: Sequence[int]
    ) -> pd.DataFrame:
        """The samples that are wanted, at every budget.

        Args:
            draws: what was drawn.
            traces: of `draw`.
            budgets: T, ascending.

        Returns:
            One row per sample and budget, sorted by problem, sample and budget: the columns of
            `sample.to_table`, where text and steps are the answer's, tokens count the thought too
            (but not what was given: marks and cue), and step_logprobs and step_ends are of the
            thought's groups of 64 tokens, then of the answer's steps; and thinking (T),
            thought_tokens, forced (the thought was cut), thought (its text, at the largest budget
            alone, else empty).
        """
        found = [
            {"problem_id": draw.problem.problem_id, "sample": number}
            | self._describe(draw, number, traces[draw, number], budget)
            | {"thought": "".join(traces[draw, number].texts) if budget == budgets[-1] else ""}
            for draw in draws
            for number in draw.numbers
            for budget in budgets
        ]
        integers = ("sample", "tokens", "prompt_tokens", "seed", "thinking", "thought_tokens")
        types = dict.fromkeys(integers, "int64") | {"logprob": "float64", "forced": "bool"}
        frame = pd.DataFrame(found, columns=[*COLUMNS, *THOUGHT_COLUMNS]).astype(types)
        keys = ["problem_id", "sample", "thinking"]
        return frame.sort_values(keys, kind="stable", ignore_index=True)

    def _describe(self, draw: Draw, number: int, trace: Trace, budget: int) -> dict:
        """One sample at one budget."""
        forced = not trace.ends_within(budget)
        stamp = self._answers(draw, budget) if forced else part_stamp(draw.stamp, ANSWER, OWN)
        answer = self.rows.of(stamp)[number]
        ended = 0 if trace.closed is None else trace.closed + 1
        logprobs = trace.logprobs[: answer["cut"] if forced else ended]
        groups = [logprobs[i : i + GROUP] for i in range(0, len(logprobs), GROUP)]
        ends = list(accumulate(sum(not isnan(value) for value in group) for group in groups))
        drawn = [value for value in logprobs if not isnan(value)]
        return {
            "text": answer["text"],
            "steps": answer["steps"],
            "step_logprobs": [mean(group) for group in groups] + answer["step_logprobs"],
            "step_ends": ends + [len(drawn) + end for end in answer["step_ends"]],
            "logprob": mean(drawn + answer["logprobs"]),
            "tokens": len(drawn) + len(answer["logprobs"]),
            "prompt_tokens": answer["prompt_tokens"],
            "finish": answer["finish"],
            "seed": draw.seed(number),
            "thinking": budget,
            "thought_tokens": len(logprobs),
            "forced": forced,
        }

    def _draw_segment(self, traces: Traces, start: int, stop: int) -> None:
        """Draw one segment of these traces where it is missing, and keep it."""
        missing = {
            (draw, number): trace
            for (draw, number), trace in traces.items()
            if number not in self.rows.of(part_stamp(draw.stamp, THOUGHT, start))
        }
        while missing:
            requests = list(self._requests(missing, stop))
            for index, children in sample(self.policy, [request for _, request in requests]):
                for key, child in zip(requests[index][0], children, strict=True):
                    trace = self._continued(missing[key], child, stop)
                    if trace.finish is None and len(trace.token_ids) < stop:
                        missing[key] = trace  # it was told to go on
                    else:
                        del missing[key]
                        self._keep(key, trace, start)

    def _requests(self, missing: Traces, stop: int) -> Iterator[tuple[list[Sample], Request]]:
        """Requests and whose children they draw; samples that have written nothing share one."""
        fresh: dict[Draw, list[int]] = {}
        for (draw, number), trace in missing.items():
            if trace.token_ids:
                yield [(draw, number)], self._request(draw, [number], trace, stop)
            else:
                fresh.setdefault(draw, []).append(number)
        for draw, numbers in fresh.items():
            for first in range(0, len(numbers), AT_ONCE):
                some = numbers[first : first + AT_ONCE]
                yield [(draw, n) for n in some], self._request(draw, some, Trace(), stop)

    def _request(self, draw: Draw, numbers: Sequence[int], trace: Trace, stop: int) -> Request:
        if trace.closed is not None:
            stop = min(stop, trace.closed + 1 + self.thinking.answer_tokens)
        return Request(
            token_ids=self._prompt(draw) + trace.token_ids,
            seeds=tuple(draw.seed(number) for number in numbers),
            sampling=draw.settings.sampling,
            stop="end",
            max_tokens=stop - len(trace.token_ids),
            first_position=len(trace.token_ids),
        )

    def _prompt(self, draw: Draw) -> tuple[int, ...]:
        text = draw.problem.problem
        if text not in self._prompts:
            self._prompts[text] = self.policy.encode(text) + self.marks.open
        return self._prompts[text]

    def _continued(self, trace: Trace, child: Continuation, stop: int) -> Trace:
        """A trace with what was drawn; where it may not end, with what makes it go on instead."""
        ids, logprobs = trace.token_ids + child.token_ids, trace.logprobs + child.logprobs
        closed, ended = trace.closed, child.finish == "stop"
        if closed is None and self.marks.close in child.token_ids:
            closed = len(trace.token_ids) + child.token_ids.index(self.marks.close)
        if self.marks.go_on and (closed is not None or ended):
            end = len(ids) - 1 if closed is None else closed
            given = (nan,) * len(self.marks.go_on)
            ids, logprobs = ids[:end] + self.marks.go_on, logprobs[:end] + given
            return Trace(ids[:stop], logprobs[:stop])
        most = stop if closed is None else closed + 1 + self.thinking.answer_tokens
        full = closed is not None and (len(ids) > most or (len(ids) == most and not ended))
        no_room = child.finish == "length" and len(ids) < min(stop, most)
        finish = "length" if full or no_room else "stop" if ended else None
        return Trace(ids[:most], logprobs[:most], closed=closed, finish=finish)

    def _keep(self, key: Sample, trace: Trace, start: int) -> None:
        """Keep the segment of a trace that begins at this place, and its own answer if it ends."""
        draw, number = key
        ids = trace.token_ids[start:]
        thought = ids if trace.closed is None else trace.token_ids[start : trace.closed + 1]
        row = {
            "token_ids": list(ids),
            "logprobs": [_stored(value) for value in trace.logprobs[start:]],
            "text": self.policy.decode(thought),
            "closed": trace.closed,
            "finish": trace.finish,
        }
        if trace.finish is not None:  # first: a segment that is there has its answer too
            end = 0 if trace.closed is None else trace.closed + 1
            answer = self._answer(draw, trace.token_ids[end:], trace.logprobs[end:])
            own = answer | {"finish": trace.finish}
            self.rows.add(part_stamp(draw.stamp, ANSWER, OWN), {number: own})
        self.rows.add(part_stamp(draw.stamp, THOUGHT, start), {number: row})

    def _answer(
        self, draw: Draw, ids: tuple[int, ...], logprobs: tuple[float, ...], cue: str = ""
    ) -> dict:
        """What is kept of an answer: its text and steps, which a cue begins."""
        separator = draw.settings.separator
        if separator not in self._readers:
            self._readers[separator] = StepReader(self.policy, separator)
        reader = self._readers[separator]
        given = self.marks.cue if cue else ()
        steps = reader.steps(given + ids, (nan,) * len(given) + logprobs)
        return {
            "text": cue + reader.text(ids),
            "steps": [step.text for step in steps],
            "step_logprobs": [round(step.logprob, DIGITS) for step in steps],
            "step_ends": [step.end - len(given) for step in steps],
            "logprobs": [round(value, DIGITS) for value in logprobs],
            "prompt_tokens": len(self._prompt(draw)),
        }

    def _draw_answers(self, traces: Traces, budgets: Sequence[int]) -> None:
        """The answers of thoughts that are cut, at every budget, where they are missing."""
        asked = []
        for (draw, number), trace in traces.items():
            for budget in budgets:
                known = self.rows.of(self._answers(draw, budget))
                if trace.ends_within(budget) or number in known:
                    self._update()
                else:
                    request = self._forced(draw, number, trace, budget)
                    asked.append((draw, number, budget, request))
        for index, (child,) in sample(self.policy, [request for *_, request in asked]):
            draw, number, budget, request = asked[index]
            answer = self._answer(draw, child.token_ids, child.logprobs, self.thinking.cue)
            row = answer | {"finish": child.finish, "cut": request.first_position}
            self.rows.add(self._answers(draw, budget), {number: row})
            self._update()

    def _answers(self, draw: Draw, budget: int) -> str:
        """The stamp of the answers to thoughts that were cut at a budget."""
        return part_stamp(draw.stamp, ANSWER, budget, self.thinking.cue)

    def _forced(self, draw: Draw, number: int, trace: Trace, budget: int) -> Request:
        """The answer to a thought that is cut after so many tokens."""
        around = len(self._prompt(draw)) + 1 + len(self.marks.cue) + self.thinking.answer_tokens
        room = budget if self.context is None else self.context - around
        cut = trace.token_ids[: max(0, min(budget, room))]
        return Request(
            token_ids=self._prompt(draw) + cut + (self.marks.close, *self.marks.cue),
            seeds=(draw.seed(number, ANSWER, budget),),
            sampling=draw.settings.sampling,
            stop="end",
            max_tokens=self.thinking.answer_tokens,
            first_position=len(cut),
        )

    def _update(self) -> None:
        if self.progress is not None:
            self.progress.update(1)


def _stored(value: float) -> float | None:
    """A log-probability in the store, null for a given token."""
    return None if isnan(value) else round(value, DIGITS)
