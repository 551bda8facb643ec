"""Useful tokens per second of the transformers policy engine against `model.generate`.

Same models, prompts, lengths, rows and threads, one after the other in one run:

    python tests/benchmarks/sampling.py [--sizes 32 64 128] [--rows 512] [--problems 48]

Random models of the microcosm's sizes; each problem's samples have a length of their own, 15 to 80
tokens. Seconds are CPU seconds of one thread, so other work on the machine counts little.
"""

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from testtime.engines.base import sample
from testtime.engines.transformers_policy import load_policy
from testtime.microcosm.tokenizer import policy_tokenizer
from testtime.types import Request, Sampling
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)

LENGTHS = (15, 81)
PROMPT_LENGTHS = (38, 54)
CHILDREN, STEP_TOKENS, DEPTH = 4, (5, 11), 6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| hidden size | generate, tok/s | engine, tok/s | ratio | tree search, tok/s | cached |")
    print("|---|---|---|---|---|---|")
    for hidden in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            save_model(folder, hidden)
            print(compare(folder, hidden, args), flush=True)


def compare(folder: str, hidden: int, args: argparse.Namespace) -> str:
    """One line of the table."""
    requests = pool_requests(args.problems, args.samples)
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    policy = load_policy(
        folder,
        prompt="plain",
        separator="\n\n",
        context=256,
        dtype="float32",
        threads=1,
        max_rows=args.rows,
    )
    run_engine(policy, requests[:2])
    run_generate(plain, requests[:1], args.rows)
    seconds = {"generate": 0.0, "engine": 0.0}
    tokens = {"generate": 0, "engine": 0}
    for _ in range(args.rounds):
        for name, work in (
            ("engine", lambda: run_engine(policy, requests)),
            ("generate", lambda: run_generate(plain, requests, args.rows)),
        ):
            spent, done = timed(work)
            seconds[name] += spent
            tokens[name] += done
    rates = {name: tokens[name] / seconds[name] for name in seconds}
    kept = timed(lambda: run_tree(policy, args.problems))
    forgetful = timed(lambda: run_tree(policy, args.problems, forget=True))
    trees = [done / spent for spent, done in (kept, forgetful)]
    return (
        f"| {hidden} | {rates['generate']:,.0f} | {rates['engine']:,.0f} | "
        f"{rates['engine'] / rates['generate']:.1f} | {trees[0]:,.0f} | "
        f"x{trees[0] / trees[1]:.1f} |"
    )


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds and useful tokens."""
    start = time.process_time()
    tokens = work()
    return time.process_time() - start, tokens


def save_model(folder: str, hidden: int) -> None:
    """A random model whose end of text is hardly ever drawn: lengths are set by the requests."""
    tokenizer = policy_tokenizer()
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
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pool_requests(problems: int, samples: int) -> list[Request]:
    """A pool of samples: one request per problem."""
    random = np.random.default_rng(0)
    return [
        Request(
            token_ids=random_prompt(random),
            seeds=tuple(range(problem * samples, (problem + 1) * samples)),
            sampling=Sampling(1.0),
            stop="end",
            max_tokens=int(random.integers(*LENGTHS)),
        )
        for problem in range(problems)
    ]


def random_prompt(random: np.random.Generator) -> tuple[int, ...]:
    """Ids of ordinary tokens."""
    return tuple(random.integers(3, 40, random.integers(*PROMPT_LENGTHS)).tolist())


def run_engine(policy, requests: list[Request]) -> int:
    """Tokens of all children."""
    return sum(len(c.token_ids) for _, children in sample(policy, requests) for c in children)


class OwnLengths(StoppingCriteria):
    """Ends each row at its own length, as an end of text would."""

    def __init__(self, lengths: torch.Tensor):
        self.lengths = lengths

    def __call__(self, input_ids, scores, **kwargs):
        """Which rows are done."""
        return input_ids.shape[1] >= self.lengths


@torch.inference_mode()
def run_generate(model, requests: list[Request], rows: int) -> int:
    """The same samples by `model.generate`, in batches of so many rows, padded on the left."""
    wanted = [(q.token_ids, q.max_tokens) for q in requests for _ in q.seeds]
    for start in range(0, len(wanted), rows):
        prompts, lengths = zip(*wanted[start : start + rows], strict=True)
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        model.generate(
            ids,
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=True, top_k=0, max_new_tokens=max(lengths), pad_token_id=0
            ),
            stopping_criteria=StoppingCriteriaList([OwnLengths(width + torch.tensor(lengths))]),
        )
    return sum(length for _, length in wanted)


def run_tree(policy, problems: int, forget: bool = False) -> int:
    """Tokens of a search: four beams a problem, each goes on from one of four children."""
    random = np.random.default_rng(0)
    live, tokens = {}, 0

    def submit(ids: tuple[int, ...], beam: int, depth: int, first: int) -> None:
        seeds = tuple(range(1000 * beam + 10 * depth, 1000 * beam + 10 * depth + CHILDREN))
        limit = int(random.integers(*STEP_TOKENS))
        ticket = policy.submit(Request(ids, seeds, Sampling(1.0), "step", limit, first))
        live[ticket] = (ids, beam, depth, first)

    for problem in range(problems):
        prompt = random_prompt(random)
        for beam in range(4):
            submit(prompt, 4 * problem + beam, 0, 0)
    while live:
        if forget:
            policy.forget()
        for ticket, children in policy.poll():
            ids, beam, depth, first = live.pop(ticket)
            tokens += sum(len(child.token_ids) for child in children)
            chosen = children[int(random.integers(CHILDREN))].token_ids
            if depth + 1 < DEPTH:
                submit(ids + chosen, beam, depth + 1, first + len(chosen))
    return tokens


if __name__ == "__main__":
    main()
