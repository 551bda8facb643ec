"""Attention over what rows share (trunks) and what each has of its own (branches).

Registered with transformers, so the ordinary forward of any model that takes an attention function
runs on it: all tokens of a step are one sequence, and a plan says which belong together. Siblings'
queries meet their trunk in one matrix product, which is several times faster than a product per
row, and nothing shared is held or read twice.
"""

from dataclasses import dataclass, field

import torch
from torch.nn import functional
from transformers import AttentionInterface

from testtime.engines.kv_slab import Slab
from testtime.errors import UserError

NAME = "testtime-trunks"


@dataclass
class Prefill:
    """Prompts read side by side, each behind what the pool holds of it.

    Attributes:
        pool: (slots, 2 x layers, heads, head size), keys and values by token.
        new: slot of each new token, (new tokens,).
        table: slots of each prompt, padded, (prompts, longest).
        prompt: which prompt each new token belongs to, (new tokens,).
        place: its place among the new tokens of that prompt, (new tokens,).
        known: number of tokens that each prompt had in the pool, (prompts,).
        width: most new tokens of one prompt.
    """

    pool: torch.Tensor
    new: torch.Tensor
    table: torch.Tensor
    prompt: torch.Tensor
    place: torch.Tensor
    known: torch.Tensor
    width: int
    masks: dict = field(default_factory=dict)

    def attend(self, layer, query, key, value, scaling, window, softcap) -> torch.Tensor:
        """Arguments and result are (tokens, heads, head size)."""
        self.pool[self.new, 2 * layer] = key
        self.pool[self.new, 2 * layer + 1] = value
        keys = self.pool[self.table, 2 * layer].transpose(1, 2)
        values = self.pool[self.table, 2 * layer + 1].transpose(1, 2)
        queries = query.new_zeros(len(self.table), self.width, *query.shape[1:])
        queries[self.prompt, self.place] = query
        mask = self._mask(window)
        if softcap is None:
            out = functional.scaled_dot_product_attention(
                queries.transpose(1, 2),
                keys,
                values,
                attn_mask=mask,
                scale=scaling,
                enable_gqa=queries.shape[2] != keys.shape[1],
            ).transpose(1, 2)
        else:
            out = _capped(queries, keys, values, mask, scaling, softcap)
        return out[self.prompt, self.place]

    def _mask(self, window: int | None) -> torch.Tensor:
        """(prompts, 1, new, all), True where a new token sees a key."""
        if window not in self.masks:
            new = torch.arange(self.width, device=self.known.device)
            at = (self.known[:, None] + new)[:, :, None]
            keys = torch.arange(self.table.shape[1], device=self.known.device)
            self.masks[window] = _visible(keys, at, window)[:, None]
        return self.masks[window]


@dataclass
class Decode:
    """One new token in each row.

    Attributes:
        trunks, branches: slabs.
        n_trunks: trunks in use are the first ones of the slab.
        siblings: most rows that share a trunk.
        trunk: trunk of each row, (rows,).
        rank: number of the row among the rows of its trunk, (rows,).
        trunk_length: tokens in the trunk of each row, (rows,).
        fed: tokens in the branch of each row, the new one left out, (rows,).
        trunk_width, branch_width: greatest lengths, the new token included.
    """

    trunks: Slab
    branches: Slab
    n_trunks: int
    siblings: int
    trunk: torch.Tensor
    rank: torch.Tensor
    trunk_length: torch.Tensor
    fed: torch.Tensor
    trunk_width: int
    branch_width: int
    biases: dict = field(default_factory=dict)

    def __post_init__(self):
        heads, room = self.branches.tensor.shape[3:5]
        head = torch.arange(heads, device=self.fed.device)
        rows = torch.arange(len(self.fed), device=self.fed.device)
        self.cells = (
            (self.trunk[:, None] * heads + head) * self.siblings + self.rank[:, None]
        ).flatten()
        self.places = ((rows[:, None] * heads + head) * room + self.fed[:, None]).flatten()

    def attend(self, layer, query, key, value, scaling, window, softcap) -> torch.Tensor:
        """Arguments and result are (rows, heads, head size)."""
        rows, heads, size = key.shape
        group = query.shape[1] // heads  # queries per key, for grouped-query attention
        flat, cells = rows * heads, self.n_trunks * heads * self.siblings
        own = self.branches.tensor[layer]
        for part, new in zip(own, (key, value), strict=True):
            part.view(-1, size).index_copy_(0, self.places, new.reshape(flat, size))
        own_keys, own_values = own[:, :rows, :, : self.branch_width].flatten(1, 2)
        shared = self.trunks.tensor[layer][:, : self.n_trunks, :, : self.trunk_width]
        shared_keys, shared_values = shared.flatten(1, 2)

        queries = (query * scaling).reshape(flat, group, size)
        grid = queries.new_zeros(cells, group * size)
        grid.index_copy_(0, self.cells, queries.view(flat, group * size))
        grid = grid.view(-1, self.siblings * group, size)
        on_trunk = torch.bmm(grid, shared_keys.transpose(1, 2))
        on_trunk = on_trunk.view(cells, -1).index_select(0, self.cells)
        on_branch = torch.bmm(queries, own_keys.transpose(1, 2))
        scores = torch.cat([on_trunk.view(flat, group, -1), on_branch], dim=-1)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        scores.view(rows, heads * group, -1).add_(self._bias(window, scores.dtype))
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)

        grid = weights.new_zeros(cells, group * self.trunk_width)
        trunk_weights = weights[..., : self.trunk_width].reshape(flat, -1)
        grid.index_copy_(0, self.cells, trunk_weights)
        grid = grid.view(-1, self.siblings * group, self.trunk_width)
        from_trunk = torch.bmm(grid, shared_values).view(cells, -1).index_select(0, self.cells)
        out = torch.baddbmm(
            from_trunk.view(flat, group, size), weights[..., self.trunk_width :], own_values
        )
        return out.view(rows, heads * group, size)

    def _bias(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """(rows, 1, keys), 0 where the row sees a key and -inf elsewhere."""
        if window not in self.biases:
            device = self.fed.device
            at = (self.trunk_length + self.fed)[:, None]
            trunk = torch.arange(self.trunk_width, device=device).expand(len(at), -1)
            branch = self.trunk_length[:, None] + torch.arange(self.branch_width, device=device)
            seen = torch.cat(
                [
                    _visible(trunk, at, window) & (trunk < self.trunk_length[:, None]),
                    _visible(branch, at, window),
                ],
                dim=-1,
            )
            bias = torch.zeros(seen.shape, dtype=dtype, device=device)
            self.biases[window] = bias.masked_fill_(~seen, float("-inf"))[:, None]
        return self.biases[window]


def _visible(keys: torch.Tensor, at: torch.Tensor, window: int | None) -> torch.Tensor:
    """Whether a query at position `at` sees the keys: itself, what precedes it, in its window."""
    seen = keys <= at
    return seen if window is None else seen & (keys > at - window)


def _capped(queries, keys, values, mask, scaling, softcap) -> torch.Tensor:
    """Attention with soft-capped scores (Gemma 2); queries (prompts, tokens, heads, size)."""
    group = queries.shape[2] // keys.shape[1]
    keys, values = (x.repeat_interleave(group, dim=1) for x in (keys, values))
    scores = torch.matmul(queries.transpose(1, 2), keys.transpose(2, 3)) * scaling
    scores = (torch.tanh(scores / softcap) * softcap).masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(queries.dtype)
    return torch.matmul(weights, values).transpose(1, 2)


def _attention(
    module, query, key, value, attention_mask, *, scaling=None, plan=None, **options
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; tensors are (1, heads, tokens, head size)."""
    if plan is None or options.get("s_aux") is not None:
        raise UserError(f"{type(module).__name__}: engine transformers cannot run this attention")
    out = plan.attend(
        module.layer_idx,
        *(x[0].transpose(0, 1) for x in (query, key, value)),
        query.shape[-1] ** -0.5 if scaling is None else scaling,
        options.get("sliding_window"),
        options.get("softcap"),
    )
    return out[None], None


AttentionInterface.register(NAME, _attention)
