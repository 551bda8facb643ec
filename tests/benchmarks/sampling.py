"""Useful tokens per second of the transformers policy engine against `model.generate`.

    python tests/benchmarks/sampling.py [--policies random-64 micro-m ...] [--rows 512]

Same model, prompts, rows and threads, in turn in one run. "random-D" are random models of hidden
size D, whose samples end at a length that is set for each problem, 15 to 80 tokens; the shipped
policies end their samples themselves. A token is useful up to the end of its text. Seconds are CPU
seconds of one thread, because other processes on the machine disturb them less than wall time.

"search" is a tree search in outline, four beams a problem, each of which goes on from one of four
children.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from microcosm.tokenizer import policy_tokenizer
from testtime.data.microcosm import generate_problems
from testtime.engines.base import sample
from testtime.engines.transformers.policy import TransformersPolicy, load_policy
from testtime.study import catalog
from testtime.study.types import Request, Sampling
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)

POLICIES = ["random-32", "random-64", "random-128", "micro-xs", "micro-s", "micro-m", "micro-l"]
RANDOM_LENGTHS, LONGEST = (15, 81), 160
BEAMS, CHILDREN, DEPTH, STEP_TOKENS = 4, 4, 6, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| policy | generate, tokens/s | engine, tokens/s | ratio | search, tokens/s |")
    print("|---|---|---|---|---|", flush=True)
    for name in args.policies:
        with model_folder(name) as folder:
            print(compare(name, folder, args), flush=True)


def compare(name: str, folder: str, args: argparse.Namespace) -> str:
    """One line of the table."""
    entry = catalog.PolicySpec(
        name, parameters=0, model=folder, prompt="plain", context=256, dtype="float32"
    )
    policy = load_policy(entry, threads=1, max_rows=args.rows)
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    requests = pool(policy, args, lengths=RANDOM_LENGTHS if name.startswith("random") else None)
    run_engine(policy, requests[:2])
    run_generate(plain, requests[:1], args.rows)
    engine, generate = [], []
    for _ in range(args.rounds):
        engine.append(timed(lambda: run_engine(policy, requests)))
        generate.append(timed(lambda: run_generate(plain, requests, args.rows)))
    rates = [sum(t for t, _ in runs) / sum(s for _, s in runs) for runs in (generate, engine)]
    tokens, seconds = timed(lambda: run_search(policy, requests))
    return (
        f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[1] / rates[0]:.1f} "
        f"| {tokens / seconds:,.0f} |"
    )


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """Useful tokens and CPU seconds."""
    start = time.process_time()
    return work(), time.process_time() - start


@contextmanager
def model_folder(name: str) -> Iterator[str]:
    """The folder of a shipped policy, or of a random one that hardly ever ends a text."""
    if not name.startswith("random-"):
        yield catalog.load().policy(name).location
        return
    tokenizer, hidden = policy_tokenizer(), int(name.removeprefix("random-"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=2,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    tokenizer.eos_token = None
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForCausalLM.from_config(config).save_pretrained(Path(folder))
        tokenizer.save_pretrained(folder)
        yield folder


def pool(
    policy: TransformersPolicy, args: argparse.Namespace, lengths: tuple[int, int] | None
) -> list[Request]:
    """A pool of samples, one request per problem."""
    generator = np.random.default_rng(0)
    return [
        Request(
            token_ids=policy.encode(row["problem"]),
            seeds=tuple(range(number * args.samples, (number + 1) * args.samples)),
            sampling=Sampling(),
            stop="end",
            max_tokens=int(generator.integers(*lengths)) if lengths else LONGEST,
        )
        for number, row in enumerate(generate_problems("fresh", args.problems, 0))
    ]


def run_engine(policy: TransformersPolicy, requests: list[Request]) -> int:
    """Tokens of all children."""
    return sum(len(c.token_ids) for _, children in sample(policy, requests) for c in children)


class OwnLengths(StoppingCriteria):
    """Ends each row at its own length, as an end of text would."""

    def __init__(self, lengths: torch.Tensor):
        self.lengths = lengths

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids.shape[1] >= self.lengths


@torch.inference_mode()
def run_generate(model, requests: list[Request], rows: int) -> int:
    """The same samples by `model.generate`, in batches of so many rows, padded on the left."""
    wanted = [(q.token_ids, q.max_tokens) for q in requests for _ in q.seeds]
    tokens, end = 0, model.config.eos_token_id
    for start in range(0, len(wanted), rows):
        prompts, lengths = zip(*wanted[start : start + rows], strict=True)
        width, lengths = max(map(len, prompts)), torch.tensor(lengths)
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        config = GenerationConfig(
            do_sample=True,
            top_k=0,
            max_new_tokens=int(lengths.max()),
            eos_token_id=end,
            pad_token_id=0,
        )
        criteria = StoppingCriteriaList([OwnLengths(width + lengths)])
        out = model.generate(
            ids, attention_mask=mask, generation_config=config, stopping_criteria=criteria
        )[:, width:]
        if end is not None:
            ended = (out == end).cumsum(dim=1)
            lengths = torch.minimum(lengths, (ended == 0).sum(dim=1) + 1)
        tokens += int(lengths.sum())
    return tokens


def run_search(policy: TransformersPolicy, requests: list[Request]) -> int:
    """Tokens of a search."""
    generator = np.random.default_rng(0)
    live, tokens = {}, 0

    def submit(ids: tuple[int, ...], beam: int, depth: int, first: int) -> None:
        seeds = tuple(range(1000 * beam + 10 * depth, 1000 * beam + 10 * depth + CHILDREN))
        request = Request(ids, seeds, Sampling(), "step", STEP_TOKENS, first)
        live[policy.submit(request)] = (ids, beam, depth, first)

    for problem, request in enumerate(requests):
        for beam in range(BEAMS):
            submit(request.token_ids, BEAMS * problem + beam, 0, 0)
    while live:
        for ticket, children in policy.poll():
            ids, beam, depth, first = live.pop(ticket)
            tokens += sum(len(child.token_ids) for child in children)
            child = children[int(generator.integers(CHILDREN))]
            if depth + 1 < DEPTH and child.finish != "stop":
                submit(ids + child.token_ids, beam, depth + 1, first + len(child.token_ids))
    return tokens


if __name__ == "__main__":
    main()
