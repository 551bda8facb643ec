"""Keys and values: kept by prefix in one bounded store, and dense for the running rows.

Policy and PRM engines each have such a store. If every path were read again at each step, a search
would take 1.45 to 1.9 times as much CPU time in the shipped policies, and 1.9 to 3 times in their
PRMs.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

NO_SLOTS = np.zeros(0, dtype=np.int64)
TOKEN_BYTES = array("i").itemsize
LENGTHS, ROWS = 16, 32  # dense rows: multiples for their length, and least number of rows


class KvStore:
    """Prefixes by their token ids, in token slots; common beginnings share their slots.

    A slot is free when neither a kept prefix nor a caller uses it. Nothing is allocated before the
    first slot is requested.

    Args:
        model: whose keys and values they are.
        max_bytes: most memory to hold.
    """

    def __init__(self, model: PreTrainedModel, max_bytes: int):
        self.device = model.device
        self._token = torch.zeros(_token_shape(model), dtype=model.dtype, device=model.device)
        self._max_bytes = max_bytes
        self._tensor: torch.Tensor | None = None
        self._kept: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._lengths: set[int] = set()  # of all prefixes kept so far
        self._uses = np.zeros(0, dtype=np.int32)  # of each slot
        self._free = NO_SLOTS  # the first _n_free of it, the next to be taken last
        self._n_free = 0

    @property
    def tensor(self) -> torch.Tensor:
        """(slots, 2 x layers, heads, head size), a layer's keys before its values."""
        if self._tensor is None:
            self._tensor = _reserve(self._token, self._max_bytes)
            self._uses = np.zeros(len(self._tensor), dtype=np.int32)
            self._free = np.arange(len(self._tensor))[::-1].copy()
            self._n_free = len(self._tensor)
        return self._tensor

    def longest(self, token_ids: Sequence[int], lengths: Iterable[int] | None = None) -> np.ndarray:
        """Slots of the longest kept prefix of these tokens; held until they are released.

        Args:
            token_ids: any tokens.
            lengths: of the prefixes to look for, longest first; None for all.
        """
        key = _key(token_ids)
        if lengths is None:
            lengths = [len(token_ids), *sorted(self._lengths, reverse=True)]
        for length in lengths:
            part = key[: length * TOKEN_BYTES]
            if length <= len(token_ids) and part in self._kept:
                self._mark_used(part)
                slots = self._kept[part]
                self._uses[slots] += 1
                return slots
        return NO_SLOTS

    def take(self, n: int) -> np.ndarray | None:
        """Slots for n new tokens, held until they are released; None if there is no room."""
        if n > len(self.tensor):
            return None
        while self._n_free < n and self._kept:
            self.release(self._evict())
        if self._n_free < n:
            return None
        self._n_free -= n
        slots = self._free[self._n_free : self._n_free + n].copy()
        self._uses[slots] = 1
        return slots

    def release(self, slots: np.ndarray) -> None:
        """Decrement the use count of each slot."""
        self._uses[slots] -= 1
        free = slots[self._uses[slots] == 0]
        self._free[self._n_free : self._n_free + len(free)] = free
        self._n_free += len(free)

    def keep(self, token_ids: Sequence[int], slots: np.ndarray) -> None:
        """Keep the prefix of these tokens, whose keys and values are or will be in these slots."""
        key = _key(token_ids)
        old = self._kept.get(key)
        self._uses[slots] += 1
        self._kept[key] = slots
        self._mark_used(key)
        self._lengths.add(len(slots))
        if old is not None:
            self.release(old)

    def table(self, prefixes: Sequence[np.ndarray]) -> torch.Tensor:
        """Slots of each prefix as an index, padded with any slot, (prefixes, longest)."""
        table = np.zeros((len(prefixes), max(map(len, prefixes))), dtype=np.int64)
        for line, slots in zip(table, prefixes, strict=True):
            line[: len(slots)] = slots
        return torch.from_numpy(table).to(self.device)

    # The eviction rule is these two methods: the least recently used prefix goes first.

    def _mark_used(self, key: bytes) -> None:
        """Note that this prefix has just been kept, anew or again, or found."""
        self._kept.move_to_end(key)

    def _evict(self) -> np.ndarray:
        """Keep one prefix less, the first in order; returns its slots."""
        return self._kept.popitem(last=False)[1]


class DenseKv:
    """Keys and values of many rows in one tensor.

    Its length grows and shrinks with use: attention reads all of it as one stream.

    Attributes:
        tensor: (layers, 2, rows, heads, length, head size); unused entries are finite.
    """

    def __init__(self, model: PreTrainedModel):
        parts, heads, size = _token_shape(model)
        shape = parts // 2, 2, 0, heads, 0, size
        self.tensor = torch.zeros(shape, dtype=model.dtype, device=model.device)

    @property
    def length(self) -> int:
        """Positions that each row has."""
        return self.tensor.shape[4]

    def fit(self, rows: int, length: int) -> None:
        """Make room for this many rows of at most this length."""
        shape = list(self.tensor.shape)
        if rows > shape[2]:
            shape[2] = max(rows, 2 * shape[2], ROWS)
        if length > shape[4] or 2 * length <= shape[4]:
            shape[4] = _round_up(length)
        if shape == list(self.tensor.shape):
            return
        old = self.tensor[..., : shape[4], :]
        self.tensor = old.new_zeros(shape)
        self.tensor[:, :, : old.shape[2], :, : old.shape[4]] = old

    def load(self, rows: Sequence[int], prefixes: Sequence[np.ndarray], store: KvStore) -> None:
        """Copy a prefix of the store into each of these rows."""
        table = store.table(prefixes)
        values = store.tensor.index_select(0, table.flatten()).unflatten(0, table.shape)
        values = values.unflatten(2, (-1, 2)).permute(2, 3, 0, 4, 1, 5)
        for index, (row, slots) in enumerate(zip(rows, prefixes, strict=True)):
            n = len(slots)
            self.tensor[:, :, row, :, :n] = values[:, :, index, :, :n]

    def move(self, source: np.ndarray, to: "DenseKv", target: np.ndarray, length: int) -> None:
        """Copy the first `length` positions of rows `source` over rows `target` of `to`."""
        values = self.tensor.index_select(2, self._index(source))[..., :length, :]
        to.tensor[..., :length, :].index_copy_(2, self._index(target), values)

    def save(
        self, rows: np.ndarray, lengths: np.ndarray, store: KvStore, slots: np.ndarray
    ) -> None:
        """Copy the beginnings of rows into slots of the store, row by row."""
        layers, _, _, heads, length, size = self.tensor.shape
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = np.repeat(rows, lengths)
        index = (rows[:, None] * heads + np.arange(heads)) * length + places[:, None]
        flat = self.tensor.view(2 * layers, -1, size).index_select(1, self._index(index.ravel()))
        values = flat.view(2 * layers, len(rows), heads, size).transpose(0, 1)
        store.tensor.index_copy_(0, self._index(slots), values)

    def _index(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self.tensor.device)


def token_bytes(model: PreTrainedModel) -> int:
    """Bytes that the keys and values of one token take."""
    return math.prod(_token_shape(model)) * model.dtype.itemsize


def _token_shape(model: PreTrainedModel) -> tuple[int, int, int]:
    """Of the keys and values of one token, (2 x layers, heads, head size)."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers, heads, size


def _key(token_ids: Sequence[int]) -> bytes:
    return array("i", token_ids).tobytes()


def _round_up(length: int) -> int:
    """The next multiple of LENGTHS, or of about an eighth where that is more."""
    step = max(LENGTHS, 1 << max(0, length.bit_length() - 4))
    return -(-length // step) * step


def _reserve(token: torch.Tensor, max_bytes: int) -> torch.Tensor:
    """A zero tensor for as many tokens as this memory holds.

    On a CPU the system gives zero pages on first use, so only the slots that were ever used take
    memory.
    """
    slots = max_bytes // (token.numel() * token.element_size())
    shape = slots, *token.shape
    if slots and token.device.type == "cpu":
        pages = torch.from_numpy(np.zeros(math.prod(shape) * token.element_size(), np.uint8))
        return pages.view(token.dtype).view(shape)
    try:
        return token.new_zeros(shape)
    except RuntimeError:  # less memory is free than before: do not request as much again
        return _reserve(token, max_bytes // 2) if slots else token.new_zeros(shape)
