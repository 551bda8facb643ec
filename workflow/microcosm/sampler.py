"""Plain batched sampling from a policy, for training data and for the numbers on the cards."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from microcosm.tokenizer import prompt

# Longest solution: 8 steps of 10 tokens and 8 for the box.
MAX_TOKENS = 96
# Longest completion of a policy that thinks first; its training has hardly any longer one.
THINKER_MAX_TOKENS = 440
ROWS = 2048


def sample(
    model: PreTrainedModel,
    tokenizer,
    problems: Sequence[str],
    *,
    n: int,
    temperature: float,
    seed: int,
    limit: int = MAX_TOKENS,
) -> list[list[list[int]]]:
    """Draw n completions of every problem; temperature 0 is greedy and ignores the seed.

    Returns:
        Per problem, n lists of at most `limit` token ids, including an end-of-text token.
    """
    encoded = [tokenizer(prompt(p))["input_ids"] for p in problems]
    texts = [ids for ids in encoded for _ in range(n)]
    drawn = complete(model, texts, temperature=temperature, seed=seed, limit=limit)
    return [drawn[at : at + n] for at in range(0, len(drawn), n)]


@torch.inference_mode()
def complete(
    model: PreTrainedModel,
    texts: Sequence[list[int]],
    *,
    temperature: float,
    seed: int,
    limit: int,
) -> list[list[int]]:
    """Continue each text (token ids, not empty) by at most `limit` tokens."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(texts):
        by_length.setdefault(len(ids), []).append(row)
    result: list[list[int]] = [[] for _ in texts]
    for _, rows in sorted(by_length.items()):
        for at in range(0, len(rows), ROWS):
            chunk = rows[at : at + ROWS]
            ids = torch.tensor([texts[row] for row in chunk])
            drawn = _decode(model, ids, temperature, generator, limit)
            for row, completion in zip(chunk, drawn, strict=True):
                result[row] = completion
    return result


def _decode(
    model: PreTrainedModel,
    ids: torch.Tensor,
    temperature: float,
    generator: torch.Generator,
    limit: int,
) -> list[list[int]]:
    """Completions of equally long prompts; finished rows leave the batch when half are done."""
    end = model.config.eos_token_id
    completions: list[list[int]] = [[] for _ in range(len(ids))]
    alive = torch.arange(len(ids))
    cache, active = None, torch.ones(len(ids), dtype=torch.bool)
    for _ in range(limit):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, logits = out.past_key_values, out.logits[:, -1]
        if temperature == 0:
            token = logits.argmax(-1)
        else:
            weights = torch.softmax(logits / temperature, -1)
            token = torch.multinomial(weights, 1, generator=generator)[:, 0]
        for row, value, on in zip(alive.tolist(), token.tolist(), active.tolist(), strict=True):
            if on:
                completions[row].append(value)
        active &= token != end
        if not active.any():
            break
        if active.sum() * 4 < len(active) * 3:
            keep = active.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            alive, token, active = alive[keep], token[keep], active[keep]
        ids = token[:, None]
    return completions
