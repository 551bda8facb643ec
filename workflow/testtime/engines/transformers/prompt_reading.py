"""Reading prompts side by side: their keys and values go to the pool of prefixes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from testtime.engines.transformers.prefix_kv import PrefixKv
from testtime.engines.transformers.rows import Job
from testtime.engines.transformers.trunk_attention import Options

TOKENS = 8192  # of one forward, padding included


def read_prompts(model: PreTrainedModel, pool: PrefixKv, jobs: Sequence[Job]) -> None:
    """Write the keys and values of the jobs' prompts where the pool does not know them yet."""
    device = pool.tensor.device
    for batch in _batches(jobs):
        new = [len(job.slots) - job.known for job in batch]
        places = np.concatenate([np.arange(n) for n in new])
        known = np.array([job.known for job in batch])
        prompts = np.repeat(np.arange(len(batch)), new)
        ids = np.concatenate([job.request.token_ids[job.known : -1] for job in batch])
        slots = np.concatenate([job.slots[job.known :] for job in batch])
        index = [torch.from_numpy(x).to(device) for x in (slots, prompts, places, known)]
        plan = Prefill(pool.tensor, pool.table([job.slots for job in batch]), *index, max(new))
        model.base_model(
            input_ids=torch.from_numpy(ids).to(device)[None],
            position_ids=torch.from_numpy(places + known[prompts]).to(device)[None],
            use_cache=False,
            plan=plan,
        )


def _batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Jobs in their order, so that a prefix is there before what goes on from it."""
    batch, width = [], 0
    for job in jobs:
        new = len(job.slots) - job.known
        width = max(width, new)
        if batch and width * (len(batch) + 1) > TOKENS:
            yield batch
            batch, width = [], new
        batch.append(job)
    if batch:
        yield batch


@dataclass
class Prefill:
    """A plan for the attention of new tokens, each prompt behind what the pool holds of it.

    Attributes:
        pool: (slots, 2 x layers, heads, head size), keys and values by token.
        table: slots of each prompt, padded, (prompts, longest).
        slots: slot of each new token, (new tokens,).
        prompt: which prompt each new token belongs to, (new tokens,).
        place: its place among the new tokens of that prompt, (new tokens,).
        known: number of tokens that each prompt had in the pool, (prompts,).
        width: most new tokens of one prompt.
    """

    pool: torch.Tensor
    table: torch.Tensor
    slots: torch.Tensor
    prompt: torch.Tensor
    place: torch.Tensor
    known: torch.Tensor
    width: int
    _masks: dict = field(default_factory=dict)

    def attend(self, layer: int, query, key, value, options: Options) -> torch.Tensor:
        """Arguments and result are (new tokens, heads, head size)."""
        self.pool[self.slots, 2 * layer] = key
        self.pool[self.slots, 2 * layer + 1] = value
        keys, values = (self.pool[self.table, 2 * layer + i].transpose(1, 2) for i in (0, 1))
        queries = query.new_zeros(len(self.table), self.width, *query.shape[1:])
        queries[self.prompt, self.place] = query
        queries, mask = queries.transpose(1, 2), self._mask(options)
        if options.softcap is None:
            out = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, scale=options.scaling, enable_gqa=True
            )
        else:
            group = query.shape[1] // key.shape[1]
            keys, values = (x.repeat_interleave(group, dim=1) for x in (keys, values))
            scores = options.cap(torch.matmul(queries, keys.transpose(2, 3)) * options.scaling)
            scores = scores.masked_fill(~mask, float("-inf"))
            weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
            out = torch.matmul(weights, values)
        return out.transpose(1, 2)[self.prompt, self.place]

    def _mask(self, options: Options) -> torch.Tensor:
        """(prompts, 1, new, all), True where a new token sees a key."""
        if options.window not in self._masks:
            device = self.known.device
            at = (self.known[:, None] + torch.arange(self.width, device=device))[:, :, None]
            keys = torch.arange(self.table.shape[1], device=device)
            self._masks[options.window] = options.visible(keys, at)[:, None]
        return self._masks[options.window]
