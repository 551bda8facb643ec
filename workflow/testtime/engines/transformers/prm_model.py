"""A PRM's model reading rows in batches, with what it keeps of the rows that may be continued."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from testtime.engines.pretrained import is_out_of_memory
from testtime.engines.transformers.kv_pool import KvPool
from testtime.engines.transformers.prm_rows import Row, batches
from testtime.errors import UserError


class PrmModel:
    """A causal backbone and a head that is applied only where scores are.

    Args:
        name: for messages.
        model: the PRM.
        probability: hidden states (n, hidden) -> probabilities (n,).
        max_tokens: tokens of one batch, padding included.
        cache_bytes: most memory for keys and values of rows that may be continued.

    Attributes:
        pool: keys and values by their token ids.
        tokens_fed: tokens that the model has read in all.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        probability: Callable[[torch.Tensor], torch.Tensor],
        *,
        max_tokens: int,
        cache_bytes: int,
    ):
        self.name = name
        self.pool = KvPool(cache_bytes)
        self.tokens_fed = 0
        self._backbone = model.base_model
        self._probability = probability
        self._device = next(model.parameters()).device
        self._max_tokens = max_tokens

    def read(self, rows: Sequence[Row]) -> None:
        """Give each row its scores; keep the rows that ask for it, as far as there is room.

        Raises:
            UserError: not even one row fits into memory.
        """
        for batch in batches(rows, self._max_tokens):
            self._read(batch)

    def _read(self, batch: list[Row]) -> None:
        try:
            self._forward(batch)
            return
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        tokens = max(row.new for row in batch)
        if len(batch) == 1:
            raise UserError(f"PRM {self.name}: no memory to read a text of {tokens} tokens")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        # What did not fit now will not fit later: batches stay smaller from here on.
        self._max_tokens = min(self._max_tokens, tokens * len(batch)) // 2
        half = len(batch) // 2
        self._read(batch[:half])
        self._read(batch[half:])

    @torch.inference_mode()
    def _forward(self, batch: list[Row]) -> None:
        width = max(row.new for row in batch)
        ids = np.zeros((len(batch), width), dtype=np.int64)
        for line, row in zip(ids, batch, strict=True):
            line[: row.new] = row.token_ids[len(row.prefix) :]
        keep = bool(batch[0].keep)
        cache, mask, places = self._past([row.prefix for row in batch], width)
        out = self._backbone(
            input_ids=torch.from_numpy(ids).to(self._device),
            attention_mask=mask,
            position_ids=places,
            past_key_values=DynamicCache() if keep and cache is None else cache,
            use_cache=keep or cache is not None,
        )
        self._score(batch, out.last_hidden_state)
        self.tokens_fed += sum(row.new for row in batch)
        if keep:
            self.pool.store(
                out.past_key_values,
                [row.prefix for row in batch],
                [row.token_ids for row in batch],
                [row.keep for row in batch],
            )

    def _score(self, batch: list[Row], hidden: torch.Tensor) -> None:
        width = hidden.shape[1]
        wanted = [
            index * width + position - len(row.prefix)
            for index, row in enumerate(batch)
            for position in row.wanted
        ]
        places = torch.tensor(wanted, dtype=torch.long, device=self._device)
        scores = iter(self._probability(hidden.flatten(0, 1)[places]).tolist())
        for row in batch:
            row.scores = {position: next(scores) for position in row.wanted}

    def _past(
        self, prefixes: list[np.ndarray], width: int
    ) -> tuple[DynamicCache | None, torch.Tensor | None, torch.Tensor | None]:
        """The prefixes' keys and values; a mask and positions where they differ in length."""
        lengths = torch.tensor([len(slots) for slots in prefixes], device=self._device)
        longest = int(lengths.max())
        if longest == 0:
            return None, None, None
        cache = self.pool.gather(prefixes)
        if int(lengths.min()) == longest:
            return cache, None, None
        mask = torch.ones(len(prefixes), longest + width, dtype=torch.long, device=self._device)
        before = torch.arange(longest, device=self._device)
        mask[:, :longest] = before[None, :] >= (longest - lengths)[:, None]
        places = lengths[:, None] + torch.arange(width, device=self._device)[None, :]
        return cache, mask, places
