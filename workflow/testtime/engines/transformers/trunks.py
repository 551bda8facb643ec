"""Trunks: the keys and values of parents, each held once for the rows that go on from it."""

import heapq

import numpy as np

from testtime.engines.transformers.kv_slab import Slab
from testtime.engines.transformers.prefix_kv import PrefixKv

SIBLINGS = 32  # most rows on one trunk; more hardly speeds up the product, and wastes where few are


class Trunks:
    """Trunks by number; rows name the one that they sit on.

    Attributes:
        slab: keys and values, one row per trunk.
        siblings: rows that sit on each trunk, 0 for trunks not in use.

    Args:
        pool: where parents are read from.
        size: most trunks.
    """

    def __init__(self, pool: PrefixKv, size: int):
        self._pool = pool
        self.slab = Slab.like(pool.tensor)
        self.siblings = np.zeros(size, dtype=np.int64)
        self._free = list(range(size))
        self._unfilled: list[tuple[int, np.ndarray]] = []

    def add(self, slots: np.ndarray, siblings: int) -> int:
        """A trunk of the parent in these slots of the pool, for so many rows; its number."""
        trunk = heapq.heappop(self._free)
        self.siblings[trunk] = siblings
        self._unfilled.append((trunk, slots))
        return trunk

    def leave(self, trunk: int) -> None:
        """One row less sits on the trunk."""
        self.siblings[trunk] -= 1
        if self.siblings[trunk] == 0:
            heapq.heappush(self._free, trunk)

    def fill(self, longest: int) -> None:
        """Copy new trunks' parents from the pool.

        Args:
            longest: tokens of the longest parent in use.
        """
        used = np.flatnonzero(self.siblings)
        self.slab.fit(int(used[-1]) + 1, max(1, longest))
        if not self._unfilled:
            return
        numbers, parents = zip(*self._unfilled, strict=True)
        self._unfilled = []
        table = self._pool.table(parents)
        values = self._pool.tensor.index_select(0, table.flatten()).unflatten(0, table.shape)
        values = values.unflatten(2, (-1, 2)).permute(2, 3, 0, 4, 1, 5)
        for index, (trunk, slots) in enumerate(zip(numbers, parents, strict=True)):
            n = len(slots)
            self.slab.tensor[:, :, trunk, :, :n] = values[:, :, index, :, :n]

    def close(self) -> np.ndarray | None:
        """Move trunks together where many between them are not in use.

        Returns:
            The new number of each trunk, or None if nothing moved.
        """
        used = np.flatnonzero(self.siblings)
        n = len(used)
        if n == 0 or used[-1] < 1.25 * n + 4:
            return None
        source, target = used[used >= n], np.flatnonzero(self.siblings[:n] == 0)
        self.slab.move(source, self.slab, target, self.slab.length)
        self.siblings[target] = self.siblings[source]
        self.siblings[source] = 0
        self._free = list(range(n, len(self.siblings)))
        now = np.arange(len(self.siblings))
        now[source] = target
        return now
