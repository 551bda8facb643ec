"""Rows by the length of their branches, so that short ones need not be read at the longest's."""

import numpy as np

from testtime.engines.transformers import rows as r
from testtime.engines.transformers.kv_slab import Slab
from testtime.engines.transformers.prefix_kv import PrefixKv
from testtime.engines.transformers.rows import Rows

FIRST_BOUND, GROWTH = 32, 2


class Tier:
    """Rows with branches of at most `bound` tokens, and their keys and values."""

    def __init__(self, pool: PrefixKv, size: int, bound: int):
        self.rows, self.slab, self.bound = Rows(size), Slab.like(pool.tensor), bound

    def close(self) -> None:
        """Close the holes and fit the slab to the rows."""
        if len(self.rows.holes):
            source, target = self.rows.close()
            if len(source):
                length = int(self.rows.state[r.FED, target].max())
                self.slab.move(source, self.slab, target, length)
        if self.rows.n:
            longest = int(self.rows.state[r.FED, : self.rows.n].max())
            self.slab.fit(self.rows.n, longest + 1)


class Tiers:
    """All rows of the batch; a new row starts in the first tier and moves on as it grows."""

    def __init__(self, pool: PrefixKv, size: int, longest: int):
        self.all, bound = [], FIRST_BOUND
        while not self.all or self.all[-1].bound < longest:
            self.all.append(Tier(pool, size, bound))
            bound *= GROWTH

    @property
    def used(self) -> list[Tier]:
        """Tiers with rows."""
        return [tier for tier in self.all if tier.rows.n]

    @property
    def new(self) -> Rows:
        """Rows of the first tier."""
        return self.all[0].rows

    def settle(self) -> None:
        """Move rows that have outgrown their tier to the next, and close the holes."""
        for tier, following in zip(self.all, self.all[1:], strict=False):
            fed = tier.rows.state[r.FED, : tier.rows.n].copy()
            fed[tier.rows.holes] = 0
            source = np.flatnonzero(fed >= tier.bound)
            if len(source):
                target = following.rows.take(len(source))
                following.slab.fit(following.rows.n, max(tier.bound + 1, following.slab.length))
                tier.rows.copy(source, following.rows, target)
                tier.slab.move(source, following.slab, target, tier.bound)
                tier.rows.leave(source)
        for tier in self.all:
            tier.close()

    def state(self) -> np.ndarray:
        """State of all rows, tier after tier; a copy."""
        return np.concatenate([tier.rows.state[:, : tier.rows.n] for tier in self.used], axis=1)

    def renumber_trunks(self, now: np.ndarray) -> None:
        """Trunk i is trunk now[i] from here on."""
        for tier in self.all:
            line = tier.rows.state[r.TRUNK]
            line[:] = now[line]
