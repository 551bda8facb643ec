"""Keys and values of prompts and of finished steps, so that a search never reads a path twice."""

from collections.abc import Sequence

import numpy as np
import torch

from testtime.engines.transformers.kv_pool import NO_SLOTS, KvPool, key_of

TOKEN_BYTES = len(key_of([0]))


class PrefixKv(KvPool):
    """A pool of prefixes that can be written token by token.

    Args:
        max_bytes: most memory to hold.
        token: what one token takes, (1, 2 x layers, heads, head size), on the device wanted.
    """

    def __init__(self, max_bytes: int, token: torch.Tensor):
        self._parts = [part[:, :, None] for part in token.unbind(1)]
        super().__init__(max_bytes)

    def forget(self) -> None:
        """Drop everything."""
        super().forget()
        self._lengths: set[int] = set()

    @property
    def tensor(self) -> torch.Tensor:
        """(slots, 2 x layers, heads, head size); a new one each time that the pool grows."""
        if self._tensor is None:
            self.release(self._take(1, self._parts))
        return self._tensor

    def table(self, prefixes: Sequence[np.ndarray]) -> torch.Tensor:
        """Slots of each prefix as an index, padded with any slot, (prefixes, longest)."""
        table = np.zeros((len(prefixes), max(map(len, prefixes))), dtype=np.int64)
        for line, slots in zip(table, prefixes, strict=True):
            line[: len(slots)] = slots
        return torch.from_numpy(table).to(self.tensor.device)

    def longest(self, token_ids: Sequence[int]) -> np.ndarray:
        """Slots of the longest prefix that is known, possibly all of the tokens or none."""
        key = key_of(token_ids)
        if key in self._entries:
            return self.find(token_ids)
        for length in sorted(self._lengths, reverse=True):
            if length < len(token_ids) and key[: length * TOKEN_BYTES] in self._entries:
                return self.find(token_ids[:length])
        return NO_SLOTS

    def reserve(self, token_ids: Sequence[int]) -> tuple[np.ndarray, int] | None:
        """Find or make the slots of a prefix and hold them until they are released.

        Returns:
            The slots and how many of the first ones are known; the others are to be written
            before anything is read. None if there is no room now.
        """
        known = self.longest(token_ids)
        self.hold(known)
        if len(known) == len(token_ids):
            return known, len(known)
        room = self._take(len(token_ids) - len(known), self._parts)
        if room is None:
            self.release(known)
            return None
        slots = np.concatenate([known, room])
        self._add(key_of(token_ids), slots)
        return slots, len(known)  # one use by the caller, one by the entry

    def keep(
        self,
        keys: list[bytes],
        prefixes: list[np.ndarray],
        lengths: np.ndarray,
        values: torch.Tensor,
    ) -> None:
        """Keep prefixes that go on from known ones, if there is room.

        Args:
            keys: of the whole prefixes.
            prefixes: slots of what they go on from, held by the caller.
            lengths: number of new tokens of each.
            values: of all new tokens, one prefix after the other.
        """
        room = self._take(int(lengths.sum()), self._parts)
        if room is None:
            return
        self._tensor.index_copy_(0, torch.from_numpy(room).to(values.device), values)
        ends = np.cumsum(lengths).tolist()
        for key, prefix, start, end in zip(keys, prefixes, [0, *ends], ends, strict=False):
            self._add(key, np.concatenate([prefix, room[start:end]]))
        self.release(room)

    def drop_all(self) -> None:
        """Drop every prefix but those that are held."""
        while self._entries:
            self.release(self._entries.popitem()[1])

    def _add(self, key: bytes, slots: np.ndarray) -> None:
        self._lengths.add(len(slots))
        self._enter(key, slots)
