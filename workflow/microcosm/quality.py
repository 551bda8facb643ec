"""How good the models are, on problems of the "fresh" split: the numbers on the cards."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from testtime.data.microcosm import generate_problems
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from microcosm.checks import tagged, token_labels
from microcosm.models import tokenizer_of
from microcosm.sampler import THINKER_MAX_TOKENS, complete, sample
from microcosm.thoughts import CUE
from microcosm.tokenizer import THINK_END, policy_tokenizer, prompt

SEED = 7
BUDGETS = (16, 32, 64, 96, 128, 192, 256, 384)  # thinking tokens
ANSWER_TOKENS = 7  # three digits, two commas, a brace and the end


def _answer(tokenizer, ids: Sequence[int]) -> str | None:
    text = tokenizer.decode(ids, skip_special_tokens=True)
    _, found, rest = text.rpartition("\\boxed{")
    return rest.partition("}")[0] if found else None


def _majority(answers: Sequence[str | None], gold: str) -> float:
    """Expected correctness of the most frequent answer, ties averaged."""
    counts = Counter(a for a in answers if a)
    top = [a for a, c in counts.items() if c == max(counts.values())]
    return (gold in top) / max(len(top), 1)


def _majorities(answers: Sequence[Sequence[str | None]], golds: Sequence[str], k: int) -> float:
    """Mean Maj@k over disjoint groups of k samples of every problem."""
    return float(
        np.mean(
            [
                _majority(one[at : at + k], gold)
                for one, gold in zip(answers, golds, strict=True)
                for at in range(0, len(one) - k + 1, k)
            ]
        )
    )


def policy_quality(
    model: PreTrainedModel, n: int = 300, samples: int = 64, temperature: float = 1.0
) -> dict[str, float]:
    """Greedy accuracy, Pass@1, Maj@k and Pass@k of a policy on n fresh problems."""
    tokenizer = policy_tokenizer()
    rows = generate_problems("fresh", n, SEED)
    texts, golds = [r["problem"] for r in rows], [r["answer"] for r in rows]
    greedy = [
        _answer(tokenizer, one) == gold
        for (one,), gold in zip(
            sample(model, tokenizer, texts, n=1, temperature=0, seed=0), golds, strict=True
        )
    ]
    drawn = sample(model, tokenizer, texts, n=samples, temperature=temperature, seed=SEED)
    answers = [[_answer(tokenizer, ids) for ids in one] for one in drawn]
    right = [sum(a == gold for a in one) for one, gold in zip(answers, golds, strict=True)]
    result = {"problems": n, "samples": samples, "temperature": temperature}
    result |= {"greedy": float(np.mean(greedy)), "pass@1": float(np.mean(right)) / samples}
    for k in (4, 16, 64, 256):
        if k <= samples:
            result[f"maj@{k}"] = _majorities(answers, golds, k)
            result[f"pass@{k}"] = float(
                np.mean([1 - comb(samples - c, k) / comb(samples, k) for c in right])
            )
    return result


def _forced(
    model: PreTrainedModel,
    heads: Sequence[list[int]],
    thoughts: Sequence[list[int]],
    temperature: float,
) -> list[str | None]:
    """The answers that a thinker draws where its thoughts (token ids) end now."""
    tokenizer = tokenizer_of(model)
    cue = tokenizer(f"{THINK_END}{CUE}")["input_ids"]
    texts = [[*head, *thought, *cue] for head, thought in zip(heads, thoughts, strict=True)]
    drawn = complete(model, texts, temperature=temperature, seed=SEED, limit=ANSWER_TOKENS)
    return [_answer(tokenizer, [*cue, *ids]) for ids in drawn]


def thinker_quality(
    model: PreTrainedModel,
    n: int = 200,
    samples: int = 16,
    temperature: float = 1.0,
    budgets: Sequence[int] = BUDGETS,
) -> dict:
    """Accuracy of a thinker on n fresh problems, by the most thinking tokens that it may use.

    The same thoughts are cut at every budget: after so many tokens the thought is closed, and the
    answer drawn. Thoughts that ended before keep the answer that they came to.

    Returns:
        problems, samples, temperature; ended (share of the thoughts that ended by themselves),
        tokens (mean, and quantiles of 10, 50, 90 and 100 %, of thinking tokens);
        budgets (rows of `thinking tokens`, `cut` (share of thoughts), pass@1, maj@4, maj@16);
        levels (rows of `thinking tokens` and Pass@1 by number of instructions).
    """
    tokenizer = tokenizer_of(model)
    rows = generate_problems("fresh", n, SEED)
    heads = [tokenizer(prompt(r["problem"]))["input_ids"] for r in rows for _ in range(samples)]
    own = complete(model, heads, temperature=temperature, seed=SEED, limit=THINKER_MAX_TOKENS)
    end = tokenizer.convert_tokens_to_ids(THINK_END)
    lengths = [ids.index(end) - 1 if end in ids else len(ids) for ids in own]
    golds = [r["answer"] for r in rows]
    levels = np.array([r["level"] for r in rows])
    by_budget, by_level = [], []
    for budget in [*budgets, None]:
        cut = [budget is not None and length > budget for length in lengths]
        thoughts = [ids[: budget + 1] for ids, long in zip(own, cut, strict=True) if long]
        starts = [head for head, long in zip(heads, cut, strict=True) if long]
        forced = iter(_forced(model, starts, thoughts, temperature))
        said = [
            next(forced) if long else _answer(tokenizer, ids)
            for ids, long in zip(own, cut, strict=True)
        ]
        answers = [said[at : at + samples] for at in range(0, len(said), samples)]
        right = np.array(
            [[a == gold for a in one] for one, gold in zip(answers, golds, strict=True)]
        )
        label = {"thinking tokens": "own end" if budget is None else budget}
        row = label | {"cut": float(np.mean(cut)), "pass@1": float(right.mean())}
        row |= {f"maj@{k}": _majorities(answers, golds, k) for k in (4, 16) if k <= samples}
        by_budget.append(row)
        by_level.append(
            label | {f"k = {k}": float(right[levels == k].mean()) for k in np.unique(levels)}
        )
    return {
        "problems": n,
        "samples": samples,
        "temperature": temperature,
        "ended": float(np.mean([end in ids for ids in own])),
        "tokens": [float(np.mean(lengths)), *np.quantile(lengths, (0.1, 0.5, 0.9, 1)).tolist()],
        "budgets": by_budget,
        "levels": by_level,
    }


@torch.inference_mode()
def example_scores(prm: nn.Module, tag: int, problem: str, steps: Sequence[str]) -> list[float]:
    """A PRM's step scores of one text, unbatched."""
    tokenizer = policy_tokenizer()
    ids = list(tokenizer(prompt(problem))["input_ids"])
    for step in steps:
        ids += [*tokenizer(step)["input_ids"], tag]
    right = torch.softmax(prm(torch.tensor([ids]), use_cache=False), -1)[0, :, 1]
    return [right[place].item() for place, token in enumerate(ids) if token == tag]


@torch.inference_mode()
def prm_quality(
    prm: nn.Module, tag: int, policy: str | Path, n: int = 300, samples: int = 4
) -> dict[str, float]:
    """AUC of a PRM's step scores on a policy's samples of n fresh problems.

    Returns:
        auc: over all steps; auc_first_wrong: over the right steps and the first wrong ones only;
        steps: number of steps scored; wrong: share of wrong ones.
    """
    tokenizer = policy_tokenizer()
    texts = [r["problem"] for r in generate_problems("fresh", n, SEED)]
    drawn = sample(
        AutoModelForCausalLM.from_pretrained(policy),
        tokenizer,
        texts,
        n=samples,
        temperature=1.0,
        seed=SEED,
    )
    labels, first, scores = [], [], []
    for problem, completions in zip(texts, drawn, strict=True):
        head = tokenizer(prompt(problem))["input_ids"]
        tails = [tagged(ids, tag) for ids in completions]
        width = max(map(len, tails))
        ids = torch.tensor([head + t + [0] * (width - len(t)) for t in tails])
        right = torch.softmax(prm(ids, use_cache=False), -1)[:, len(head) :, 1]
        for tail, row in zip(tails, right.tolist(), strict=True):
            marks = token_labels(problem, tail, tag)
            good = True
            for i, score, mark in zip(tail, row, marks, strict=False):
                if i == tag:
                    labels.append(mark)
                    scores.append(score)
                    first.append(good)
                    good = bool(mark)
    labels, first, scores = np.array(labels), np.array(first), np.array(scores)
    return {
        "problems": n,
        "samples": samples,
        "steps": len(labels),
        "wrong": float(1 - labels.mean()),
        "auc": float(roc_auc_score(labels, scores)),
        "auc_first_wrong": float(roc_auc_score(labels[first], scores[first])),
    }
