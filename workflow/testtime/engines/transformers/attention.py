"""Attention of the engine: one function for every layer, with the metadata of the forward pass.

Registered with transformers, so the ordinary forward of any model that takes an attention function
runs on it. The metadata say what precedes the new tokens of each row: `Read` is for texts whose
prefixes are in the store; `Decode` is for one new token in each row of a running batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from testtime.engines.transformers.kv import NO_SLOTS, DenseKv, KvStore
from testtime.errors import UserError

NAME = "testtime"


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

    def cap(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores within the bound."""
        return scores if self.softcap is None else torch.tanh(scores / self.softcap) * self.softcap

    def visible(self, known: torch.Tensor, at: torch.Tensor, prefix: int, new: int) -> torch.Tensor:
        """Which keys a query sees, (rows, queries, prefix + new).

        Args:
            known: tokens in the prefix of each row, (rows,).
            at: positions of the queries, (rows, queries).
            prefix: keys of the longest prefix; those of the others are padded.
            new: number of keys after the prefix.
        """
        before = torch.arange(prefix, device=at.device).expand(len(at), -1)
        behind = known[:, None] + torch.arange(new, device=at.device)
        places, at = torch.cat([before, behind], dim=1)[:, None], at[:, :, None]
        seen = places <= at
        seen[:, :, :prefix] &= before[:, None] < known[:, None, None]
        return seen if self.window is None else seen & (places > at - self.window)


@dataclass(eq=False)
class Text:
    """Tokens to be read.

    Attributes:
        token_ids: from the text's start.
        prefix: slots of its first tokens, which were read before.
        slots: where the new ones are kept; None to keep none.
    """

    token_ids: Sequence[int]
    prefix: np.ndarray = field(default_factory=lambda: NO_SLOTS)
    slots: np.ndarray | None = None

    @property
    def new(self) -> int:
        """Number of tokens to be read."""
        return len(self.token_ids) - len(self.prefix)


def read(model: PreTrainedModel, store: KvStore, texts: Sequence[Text]) -> torch.Tensor:
    """Read texts side by side in one forward; returns hidden states (texts, longest, hidden).

    Padding on the right needs no mask: nothing that a causal model reads depends on what follows.
    """
    width = max(text.new for text in texts)
    ids = np.zeros((len(texts), width), dtype=np.int64)
    for line, text in zip(ids, texts, strict=True):
        line[: text.new] = text.token_ids[len(text.prefix) :]
    known = torch.tensor([len(text.prefix) for text in texts], device=store.device)
    at = known[:, None] + torch.arange(width, device=store.device)
    metadata = Read(store, known, at)
    if any(len(text.prefix) for text in texts):
        metadata.prefixes = store.table([text.prefix for text in texts])
    kept = [(row, text) for row, text in enumerate(texts) if text.slots is not None]
    if kept:
        index = (
            np.concatenate([text.slots for _, text in kept]),
            np.repeat([row for row, _ in kept], [text.new for _, text in kept]),
            np.concatenate([np.arange(text.new) for _, text in kept]),
        )
        metadata.kept = tuple(torch.from_numpy(numbers).to(store.device) for numbers in index)
    return model.base_model(
        input_ids=torch.from_numpy(ids).to(store.device),
        position_ids=at,
        use_cache=False,
        metadata=metadata,
    ).last_hidden_state


@dataclass
class Read:
    """New tokens of several texts, each after its prefix in the store.

    Attributes:
        known: tokens in the prefix of each text, (texts,).
        at: positions of the new tokens, (texts, new).
        prefixes: slots of each prefix, (texts, longest); None where all are empty.
        kept: slots of the new tokens to keep, with their rows and columns; None for none.
    """

    store: KvStore
    known: torch.Tensor
    at: torch.Tensor
    prefixes: torch.Tensor | None = None
    kept: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    _masks: dict = field(default_factory=dict)

    def attend(self, layer: int, query, key, value, options: Options) -> torch.Tensor:
        """Arguments and result are (texts, heads, new tokens, head size)."""
        if self.kept is not None:
            slots, rows, columns = self.kept
            for part, new in enumerate((key, value)):
                self.store.tensor[slots, 2 * layer + part] = new[rows, :, columns]
        if self.prefixes is not None:
            before = (
                self.store.tensor[self.prefixes, 2 * layer + i].transpose(1, 2) for i in (0, 1)
            )
            key, value = (torch.cat(parts, 2) for parts in zip(before, (key, value), strict=True))
        mask, group = self._mask(options, key.shape[2]), query.shape[1] // key.shape[1]
        if mask is not None and group > 1:  # no fused kernel of a GPU takes a mask and fewer keys
            key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
        if options.softcap is None:
            return functional.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=mask,
                is_causal=mask is None,
                scale=options.scaling,
                enable_gqa=mask is None,
            )
        scores = options.cap(torch.matmul(query, key.transpose(2, 3)) * options.scaling)
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1, dtype=torch.float32)
        return torch.matmul(weights.to(query.dtype), value)

    def _mask(self, options: Options, keys: int) -> torch.Tensor | None:
        """(texts, 1, new, keys), True where a token sees a key; None for all before it."""
        new = self.at.shape[1]
        windowed = options.window is not None and options.window < new
        if self.prefixes is None and not windowed and options.softcap is None:
            return None
        if options.window not in self._masks:
            seen = options.visible(self.known, self.at, keys - new, new)
            self._masks[options.window] = seen[:, None]
        return self._masks[options.window]


@dataclass
class Span:
    """Rows start to stop - 1 of a step have their keys and values in the first rows of a bucket."""

    kv: DenseKv
    start: int
    stop: int


@dataclass
class Decode:
    """One new token in each row: over the prefix that siblings share, and over the row's suffix.

    Siblings' queries meet their prefix in one matrix product, and a prefix is held once for all of
    them (Juravsky et al. 2024, "Hydragen"). With a prefix for each row, the shipped policies, whose
    prompts have 23 tokens, take 1.3 to 1.4 times as much CPU time for sampling, 1.6 to 2 times for
    a search.

    Attributes:
        prefixes: of which the first n_prefixes rows are in use.
        siblings: most rows that share a prefix.
        suffixes: all rows, in order.
        prefix: number of the prefix of each row, (rows,).
        rank: number of the row among those of its prefix, (rows,).
        known: tokens in the prefix of each row, (rows,).
        fed: tokens in the suffix of each row, the new one left out, (rows,).
    """

    prefixes: DenseKv
    n_prefixes: int
    siblings: int
    suffixes: Sequence[Span]
    prefix: torch.Tensor
    rank: torch.Tensor
    known: torch.Tensor
    fed: torch.Tensor
    _biases: dict = field(default_factory=dict)

    def __post_init__(self):
        head = torch.arange(self.prefixes.tensor.shape[3], device=self.fed.device)
        # For each row and head: its cell in a grid (prefixes, heads, siblings), its place in a
        # span.
        cells = (self.prefix[:, None] * len(head) + head) * self.siblings + self.rank[:, None]
        self.cells, self.places = cells.flatten(), []
        for span in self.suffixes:
            row = torch.arange(span.stop - span.start, device=self.fed.device)[:, None]
            fed = self.fed[span.start : span.stop, None]
            self.places.append(((row * len(head) + head) * span.kv.length + fed).flatten())

    def attend(self, layer: int, query, key, value, options: Options) -> torch.Tensor:
        """Arguments and result are (rows, heads, 1, head size)."""
        rows, heads, _, size = key.shape
        group = query.shape[1] // heads  # queries per key, for grouped-query attention
        cells, shared = self.n_prefixes * heads * self.siblings, self.prefixes.length
        keys, values = self.prefixes.tensor[layer, :, : self.n_prefixes].flatten(1, 2)
        queries = (query * options.scaling).reshape(rows * heads, group, size)

        # Cells without a row are never read, so their content does not matter.
        grid = queries.new_empty(cells, group * size)
        grid.index_copy_(0, self.cells, queries.view(rows * heads, -1))
        scores = torch.bmm(grid.view(-1, self.siblings * group, size), keys.transpose(1, 2))
        scores = scores.view(cells, -1).index_select(0, self.cells).view(rows * heads, group, -1)
        grid, parts = scores.new_empty(cells, group * shared), []
        for span, places in zip(self.suffixes, self.places, strict=True):
            own = slice(span.start * heads, span.stop * heads)
            own_keys, own_values = span.kv.tensor[layer, :, : span.stop - span.start].flatten(1, 2)
            for held, all_new in ((own_keys, key), (own_values, value)):
                new = all_new[span.start : span.stop].reshape(-1, size)
                held.view(-1, size).index_copy_(0, places, new)
            on_suffix = torch.bmm(queries[own], own_keys.transpose(1, 2))
            both = options.cap(torch.cat([scores[own], on_suffix], dim=-1))
            both.view(-1, heads * group, both.shape[-1]).add_(self._bias(span, options, both.dtype))
            weights = torch.softmax(both, dim=-1, dtype=torch.float32).to(query.dtype)
            on_prefix, on_suffix = weights.tensor_split((shared,), dim=-1)
            grid.index_copy_(0, self.cells[own], on_prefix.reshape(len(weights), -1))
            parts.append(torch.bmm(on_suffix, own_values))
        out = torch.bmm(grid.view(-1, self.siblings * group, shared), values)
        out = out.view(cells, -1).index_select(0, self.cells).view(rows * heads, group, size)
        out += parts[0] if len(parts) == 1 else torch.cat(parts)
        return out.view(rows, heads * group, 1, size)

    def _bias(self, span: Span, options: Options, dtype: torch.dtype) -> torch.Tensor:
        """(rows, 1, keys), 0 where the row sees a key and -inf elsewhere."""
        if (span.start, options.window) not in self._biases:
            known, fed = (x[span.start : span.stop] for x in (self.known, self.fed))
            at = (known + fed)[:, None]
            seen = options.visible(known, at, self.prefixes.length, span.kv.length)
            bias = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
            self._biases[span.start, options.window] = bias.masked_fill_(~seen, float("-inf"))
        return self._biases[span.start, options.window]


def _attention(
    module, query, key, value, attention_mask, *, scaling=None, metadata=None, **other
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; tensors are (rows, heads, tokens, head size)."""
    if metadata is None or other.get("s_aux") is not None:
        raise UserError(f"{type(module).__name__}: engine transformers cannot run this attention")
    options = Options(
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=other.get("sliding_window"),
        softcap=other.get("softcap"),
    )
    out = metadata.attend(module.layer_idx, query, key, value, options)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
