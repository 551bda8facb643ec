"""Keys and values of token prefixes that were read before, in one bounded pool of token slots.

Prefixes share the slots of what they have in common, so a tree of paths is held once.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from transformers import DynamicCache

FIRST_TOKENS = 4096
NO_SLOTS = np.zeros(0, dtype=np.int64)


def key_of(token_ids: Sequence[int]) -> bytes:
    """A prefix as a dictionary key."""
    return array("i", token_ids).tobytes()


class KvPool:
    """Prefixes by their token ids; the least recently used go when the pool is full.

    Args:
        max_bytes: most memory to hold.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.forget()

    def forget(self) -> None:
        """Drop everything."""
        self._entries: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._tensor: torch.Tensor | None = None  # (slots, 2 x layers, heads, head size)
        self._uses = np.zeros(0, dtype=np.int32)  # prefixes that use each slot
        self._free: list[np.ndarray] = []
        self._n_free = 0

    def find(self, token_ids: Sequence[int]) -> np.ndarray | None:
        """Slots of this very prefix, one per token, or None."""
        slots = self._entries.get(key := key_of(token_ids))
        if slots is not None:
            self._entries.move_to_end(key)
        return slots

    def drop(self, token_ids: Sequence[int], slots: np.ndarray | None) -> None:
        """Forget this prefix if it still has these slots, as `find` gave them."""
        if slots is not None and self._entries.get(key := key_of(token_ids)) is slots:
            del self._entries[key]
            self.release(slots)

    def gather(self, prefixes: list[np.ndarray]) -> DynamicCache:
        """The prefixes as a cache of one row each, padded on the left to the longest."""
        longest = max(len(slots) for slots in prefixes)
        padded = np.zeros((len(prefixes), longest), dtype=np.int64)
        for row, slots in zip(padded, prefixes, strict=True):
            row[longest - len(slots) :] = slots
        index = torch.from_numpy(padded).to(self._tensor.device)
        layers = self._tensor[index].permute(2, 0, 3, 1, 4).unbind(0)
        return DynamicCache(list(zip(layers[::2], layers[1::2], strict=True)))

    def store(
        self,
        cache: DynamicCache,
        prefixes: list[np.ndarray],
        token_ids: list[Sequence[int]],
        cuts: list[Sequence[int]],
    ) -> None:
        """Keep what a batch has read, if the pool can have so much.

        Args:
            cache: keys and values of the batch, new tokens from the longest prefix on.
            prefixes: slots that each row began with, held by the caller.
            token_ids: all token ids of each row, the prefix's included.
            cuts: lengths at which each row may be found again.
        """
        start = max(len(slots) for slots in prefixes)
        new = [len(ids) - len(slots) for ids, slots in zip(token_ids, prefixes, strict=True)]
        parts = [x for layer in cache.layers for x in (layer.keys, layer.values)]
        room = self._take(sum(new), parts)
        if room is None:
            return
        rows = np.repeat(np.arange(len(new)), new)
        places = np.concatenate([start + np.arange(n) for n in new])
        index = torch.from_numpy(rows).to(parts[0].device)
        place = torch.from_numpy(places).to(parts[0].device)
        values = torch.stack([part[index, :, place] for part in parts], dim=1)
        self._tensor.index_copy_(0, torch.from_numpy(room).to(values.device), values)
        ends = np.cumsum(new)
        for row, (slots, end) in enumerate(zip(prefixes, ends, strict=True)):
            whole = np.concatenate([slots, room[end - new[row] : end]])
            for cut in cuts[row]:
                self._enter(key_of(token_ids[row][:cut]), whole[:cut])
        self.release(room)

    def hold(self, slots: np.ndarray) -> None:
        """Keep these slots from being reused until they are released."""
        self._uses[slots] += 1

    def release(self, slots: np.ndarray) -> None:
        """Count one use of each slot less; unused ones are free."""
        self._uses[slots] -= 1
        free = slots[self._uses[slots] == 0]
        if len(free):
            self._free.append(free)
            self._n_free += len(free)

    def _enter(self, key: bytes, slots: np.ndarray) -> None:
        old = self._entries.pop(key, None)
        self._uses[slots] += 1
        self._entries[key] = slots
        if old is not None:
            self.release(old)

    def _take(self, n: int, parts: list[torch.Tensor]) -> np.ndarray | None:
        """Slots for n tokens, each counted as used once; None if there is no room."""
        if self._tensor is None:
            self._tensor = _reserve(self.max_bytes, parts)
        wanted = len(self._uses) - self._n_free + n
        if len(self._uses) < min(wanted, len(self._tensor)):
            self._open(min(len(self._tensor), max(FIRST_TOKENS, 2 * wanted)))
        while self._n_free < n and self._entries:
            _, oldest = self._entries.popitem(last=False)
            self.release(oldest)
        if self._n_free < n:
            return None
        found, count = [NO_SLOTS], 0
        while count < n:
            found.append(self._free.pop())
            count += len(found[-1])
        free = np.concatenate(found)
        taken, rest = free[:n], free[n:]
        if len(rest):
            self._free.append(rest)
        self._n_free -= n
        self._uses[taken] = 1
        return taken

    def _open(self, size: int) -> None:
        """Let so many slots in all be used."""
        old = len(self._uses)
        self._uses = np.concatenate([self._uses, np.zeros(size - old, dtype=np.int32)])
        self._free.append(np.arange(old, size))
        self._n_free += size - old


def _reserve(max_bytes: int, parts: list[torch.Tensor]) -> torch.Tensor:
    """All the slots that such a memory holds, as zeros: (slots, 2 x layers, heads, head size).

    On a CPU the system gives zero pages on first use, so only the slots that were ever used take
    memory, and nothing is copied to make the pool larger.
    """
    _, heads, _, size = parts[0].shape
    slots = max_bytes // (len(parts) * heads * size * parts[0].element_size())
    shape = slots, len(parts), heads, size
    if parts[0].device.type == "cpu":
        pages = torch.from_numpy(np.zeros(math.prod(shape) * parts[0].element_size(), np.uint8))
        return pages.view(parts[0].dtype).view(shape)
    try:
        return parts[0].new_zeros(shape)
    except RuntimeError:  # less is free than there was: what nobody can have is not asked for again
        return _reserve(max_bytes // 2, parts) if slots else parts[0].new_zeros(shape)
