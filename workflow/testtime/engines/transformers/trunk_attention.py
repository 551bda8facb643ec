"""Attention for one new token per row: over what rows share (trunks) and what each has (branches).

Registered with transformers, so the ordinary forward of any model that takes an attention function
runs on it: all tokens of a step are one sequence, and a plan says which belong together. Siblings'
queries meet their trunk in one matrix product, which is several times faster than a product per
row, and nothing shared is held or read twice.
"""

from dataclasses import dataclass, field

import torch
from transformers import AttentionInterface

from testtime.engines.transformers.kv_slab import Slab
from testtime.errors import UserError

NAME = "testtime-trunks"


@dataclass(frozen=True)
class Options:
    """How a layer attends.

    Attributes:
        window: number of last positions that a token sees, itself included; None for all.
        softcap: bound of the scores (Gemma 2), or None.
    """

    scaling: float
    window: int | None
    softcap: float | None

    def visible(self, keys: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Whether a query at position `at` sees the keys: itself and what precedes it."""
        seen = keys <= at
        return seen if self.window is None else seen & (keys > at - self.window)

    def cap(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores within the bound."""
        return scores if self.softcap is None else torch.tanh(scores / self.softcap) * self.softcap


@dataclass
class Span:
    """Rows start to stop - 1 of a step have their branches in the first rows of a slab."""

    slab: Slab
    start: int
    stop: int


@dataclass
class Decode:
    """One new token in each row.

    Attributes:
        trunks: slab of which the first n_trunks rows are in use.
        siblings: most rows that share a trunk.
        spans: all rows, in order.
        trunk: trunk of each row, (rows,).
        rank: number of the row among the rows of its trunk, (rows,).
        trunk_length: tokens in the trunk of each row, (rows,).
        fed: tokens in the branch of each row, the new one left out, (rows,).
    """

    trunks: Slab
    n_trunks: int
    siblings: int
    spans: list[Span]
    trunk: torch.Tensor
    rank: torch.Tensor
    trunk_length: torch.Tensor
    fed: torch.Tensor
    _biases: dict = field(default_factory=dict)

    def __post_init__(self):
        heads = self.trunks.tensor.shape[3]
        head = torch.arange(heads, device=self.fed.device)
        cell = (self.trunk[:, None] * heads + head) * self.siblings + self.rank[:, None]
        self.cells = cell.flatten()  # of each row and head in a grid (trunks, heads, siblings)
        self.places = []  # of each row and head in its slab
        for span in self.spans:
            row = torch.arange(span.stop - span.start, device=self.fed.device)
            fed = self.fed[span.start : span.stop, None]
            self.places.append(((row[:, None] * heads + head) * span.slab.length + fed).flatten())

    def attend(self, layer: int, query, key, value, options: Options) -> torch.Tensor:
        """Arguments and result are (rows, heads, head size)."""
        rows, heads, size = key.shape
        group = query.shape[1] // heads  # queries per key, for grouped-query attention
        cells = self.n_trunks * heads * self.siblings
        shared_keys, shared_values = self.trunks.tensor[layer][:, : self.n_trunks].flatten(1, 2)
        queries = (query * options.scaling).reshape(rows * heads, group, size)

        # Cells that no row has are never read, so what is in them does not matter.
        grid = queries.new_empty(cells, group * size)
        grid.index_copy_(0, self.cells, queries.view(rows * heads, -1))
        scores = torch.bmm(grid.view(-1, self.siblings * group, size), shared_keys.transpose(1, 2))
        scores = scores.view(cells, -1).index_select(0, self.cells).view(rows * heads, group, -1)
        grid = scores.new_empty(cells, group * scores.shape[-1])
        parts = []
        for index, span in enumerate(self.spans):
            own = slice(span.start * heads, span.stop * heads)
            new = (x[span.start : span.stop] for x in (key, value))
            keys, values = self._write(span, index, layer, new)
            on_branch = torch.bmm(queries[own], keys.transpose(1, 2))
            both = options.cap(torch.cat([scores[own], on_branch], dim=-1))
            both.view(-1, heads * group, both.shape[-1]).add_(self._bias(span, options, both.dtype))
            weights = torch.softmax(both, dim=-1, dtype=torch.float32).to(query.dtype)
            on_trunk, on_branch = weights.tensor_split((scores.shape[-1],), dim=-1)
            grid.index_copy_(0, self.cells[own], on_trunk.reshape(len(weights), -1))
            parts.append(torch.bmm(on_branch, values))
        out = torch.bmm(grid.view(-1, self.siblings * group, scores.shape[-1]), shared_values)
        out = out.view(cells, -1).index_select(0, self.cells).view(rows * heads, group, size)
        out += parts[0] if len(parts) == 1 else torch.cat(parts)
        return out.view(rows, heads * group, size)

    def _write(self, span: Span, index: int, layer: int, new) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the new tokens to a span's branches; returns all keys and all values there."""
        slab = span.slab.tensor[layer]
        size = slab.shape[-1]
        for part, tokens in zip(slab, new, strict=True):
            part.view(-1, size).index_copy_(0, self.places[index], tokens.reshape(-1, size))
        keys, values = slab[:, : span.stop - span.start].flatten(1, 2)
        return keys, values

    def _bias(self, span: Span, options: Options, dtype: torch.dtype) -> torch.Tensor:
        """(rows, 1, keys), 0 where the row sees a key and -inf elsewhere."""
        if (span.start, options.window) not in self._biases:
            own, device = slice(span.start, span.stop), self.fed.device
            length = self.trunk_length[own, None]
            at = length + self.fed[own, None]
            trunk = torch.arange(self.trunks.length, device=device).expand(len(at), -1)
            branch = length + torch.arange(span.slab.length, device=device)
            seen = torch.cat(
                [options.visible(trunk, at) & (trunk < length), options.visible(branch, at)], dim=-1
            )
            bias = torch.zeros(seen.shape, dtype=dtype, device=device)
            bias.masked_fill_(~seen, float("-inf"))
            self._biases[span.start, options.window] = bias[:, None]
        return self._biases[span.start, options.window]


def _attention(
    module, query, key, value, attention_mask, *, scaling=None, plan=None, **other
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; tensors are (1, heads, tokens, head size)."""
    if plan is None or other.get("s_aux") is not None:
        raise UserError(f"{type(module).__name__}: engine transformers cannot run this attention")
    options = Options(
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=other.get("sliding_window"),
        softcap=other.get("softcap"),
    )
    tokens = (x[0].transpose(0, 1) for x in (query, key, value))
    return plan.attend(module.layer_idx, *tokens, options)[None], None


AttentionInterface.register(NAME, _attention)
