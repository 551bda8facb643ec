"""Search over many problems: the scheduler against one problem at a time, measured side by side.

    python tests/benchmarks/search.py --policy micro-s --prm micro-prm-good

The references are the published algorithm written plainly, one problem after another, with
`model.generate` for a step and every path read whole by the PRM whenever it is scored:
"one beam at a time" asks for the children of each kept beam by itself, as the paper's code does;
"one problem at a time" puts all candidates of a problem into one batch, as search-and-learn does.
Same models, same problems, same settings, one thread each. CPU seconds are shown beside wall time,
because other processes on the machine disturb them less.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from testtime.cli.score import prm_spec
from testtime.cli.search import policy_spec
from testtime.data.microcosm import generate_problems
from testtime.engines.base import score
from testtime.engines.load import load_policy, load_prm
from testtime.search.queues import Seconds
from testtime.search.run import SearchSettings, search_problems
from testtime.study.methods import names
from testtime.study.types import Problem, ScoreRequest
from transformers import AutoModelForCausalLM, AutoTokenizer

SEED = 7


def microcosm_problems(count: int) -> list[Problem]:
    rows = generate_problems("fresh", count, SEED)
    return [Problem(row["problem_id"], row["problem"]) for row in rows]


def run(policy, prm, spec, problems, method="beam_search", budget=16, width=4) -> dict:
    """One search over all problems; wall time and what it cost."""
    seconds, started, cpu = Seconds(), time.perf_counter(), time.process_time()
    settings = SearchSettings.of(spec, method, budget, beam_width=width, seed_parts=(SEED,))
    results = list(search_problems(policy, prm, problems, settings, seconds=seconds))
    return {
        "wall": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "seconds": seconds,
        "policy_tokens": sum(result.policy_tokens for result in results),
        "prm_tokens": sum(result.prm_tokens for result in results),
        "finished": sum(path.finished for result in results for path in result.paths),
        "paths": sum(len(result.paths) for result in results),
    }


class Reference:
    """Beam search on one problem after another, with the ordinary `generate` of transformers."""

    def __init__(self, spec, policy, prm, *, batched: bool):
        self.batched = batched
        self.spec, self.encode, self.prm = spec, policy.encode, prm
        self.model = AutoModelForCausalLM.from_pretrained(spec.location, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(spec.location, padding_side="left")
        separators = self.tokenizer(spec.separator, add_special_tokens=False)["input_ids"]
        self.separator = separators[-1]
        self.ends = {self.separator, self.tokenizer.eos_token_id}
        self.policy_tokens = self.prm_tokens = 0

    @torch.inference_mode()
    def expand(self, prompt, beams, count):
        """`count` next steps of every beam, one batch."""
        rows = [list(prompt) + beam for beam in beams for _ in range(count)]
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        out = self.model.generate(
            **batch,
            do_sample=True,
            temperature=self.spec.temperature,
            top_p=self.spec.top_p,
            top_k=self.spec.top_k,
            max_new_tokens=self.spec.step_tokens,
            eos_token_id=[self.separator, self.tokenizer.eos_token_id],
            pad_token_id=self.tokenizer.pad_token_id,
        )
        paths = []
        width = batch["input_ids"].shape[1]
        for row, padded in zip(rows, out[:, width:].tolist(), strict=True):
            last = next((i for i, t in enumerate(padded) if t in self.ends), len(padded) - 1)
            new = padded[: last + 1]
            self.policy_tokens += len(new)
            paths.append(row[len(prompt) :] + new)
        return paths

    def score(self, problem, paths):
        """The newest step's score of every path, each read whole."""
        texts = [self.tokenizer.decode(path, skip_special_tokens=True) for path in paths]
        steps = [[s for s in text.split(self.spec.separator) if s.strip()] for text in texts]
        requests = [ScoreRequest(problem, tuple(s)) for s in steps if s]
        answers = iter(score(self.prm, requests))
        scores = []
        for s in steps:
            answer = next(answers) if s else None
            self.prm_tokens += answer.tokens if answer else 0
            scores.append(answer.scores[-1] if answer else 0.0)
        return scores

    def beam_search(self, problem: Problem, budget: int, width: int) -> list:
        prompt = self.encode(problem.problem)
        beams, done, count = [[]], [], budget
        for _ in range(self.spec.max_steps):
            paths, scores = [], []
            for group in [beams] if self.batched else [[beam] for beam in beams]:
                children = self.expand(prompt, group, count)
                paths += children
                scores += self.score(problem.problem, children)
            ranked = sorted(range(len(paths)), key=lambda i: -scores[i])
            kept = [paths[i] for i in ranked[: budget // width - len(done)]]
            done += [path for path in kept if path[-1] != self.separator]
            beams = [path for path in kept if path[-1] == self.separator]
            count = width
            if not beams:
                break
        return done + beams

    def run(self, problems, budget=16, width=4) -> dict:
        torch.manual_seed(SEED)
        started, cpu = time.perf_counter(), time.process_time()
        paths = [path for p in problems for path in self.beam_search(p, budget, width)]
        return {
            "wall": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "policy_tokens": self.policy_tokens,
            "prm_tokens": self.prm_tokens,
            "finished": sum(path[-1] == self.tokenizer.eos_token_id for path in paths),
            "paths": len(paths),
        }


def line(name: str, figures: dict, count: int) -> str:
    shares = f"; {figures['seconds']}" if "seconds" in figures else ""
    per_problem = 1000 * figures["wall"] / count
    return (
        f"{name:24s} {figures['wall']:7.2f} s {figures['cpu']:7.2f} CPU s"
        f" {per_problem:7.1f} ms/problem {figures['policy_tokens']:9d} generated"
        f" {figures['prm_tokens']:8d} read{shares}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="micro-s")
    parser.add_argument("--prm", default="micro-prm-good")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--budget", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    spec = policy_spec(arguments.policy)
    policy = load_policy(spec, engine="transformers", threads=arguments.threads)
    prm = load_prm(prm_spec(arguments.prm), engine="transformers", threads=arguments.threads)
    problems = microcosm_problems(arguments.problems)
    count, budget = len(problems), arguments.budget
    print(f"{arguments.policy} with {arguments.prm}, {count} problems, N = {budget}, M = 4")

    run(policy, prm, spec, problems[:5], budget=budget)  # warm up
    ours = run(policy, prm, spec, problems, budget=budget)
    print(line("scheduler", ours, count))
    for batched, name in ((True, "one problem at a time"), (False, "one beam at a time")):
        plain = Reference(spec, policy, prm, batched=batched).run(problems, budget)
        print(line(name, plain, count))
        wall, cpu = plain["wall"] / ours["wall"], plain["cpu"] / ours["cpu"]
        read = ours["prm_tokens"] / plain["prm_tokens"]
        print(
            f"  scheduler {wall:.1f} times faster ({cpu:.1f} in CPU time), PRM tokens {read:.2f} of"
        )
        print(f"  its own; finished {ours['finished']}/{ours['paths']} paths", end=" ")
        print(f"against {plain['finished']}/{plain['paths']}")

    print("\nAgainst the number of problems")
    for share in (8, 4, 2, 1):
        part = problems[: count // share]
        print(line(f"{len(part)} problems", run(policy, prm, spec, part, budget=budget), len(part)))
    print("\nAgainst the budget")
    for n in (4, 16, 64):
        print(line(f"N = {n}", run(policy, prm, spec, problems, budget=n), count))
    print("\nMethods")
    for method in names("search"):
        figures = run(policy, prm, spec, problems, method=method, budget=budget)
        print(line(method, figures, count))


if __name__ == "__main__":
    main()
