"""Keys and values of the rows of a running batch."""

import numpy as np
import torch

LENGTHS = 16  # lengths are multiples of this
ROWS = 32


class Slab:
    """Keys and values of many rows in one tensor.

    Its length follows what is in use, up and down: attention reads all of it as one stream, which
    on a CPU is three times as fast as skipping the unused ends of rows.

    Attributes:
        tensor: (layers, 2, rows, heads, length, head size); what no row uses is finite.
    """

    def __init__(self, tensor: torch.Tensor):
        self.tensor = tensor

    @classmethod
    def like(cls, pool: torch.Tensor) -> "Slab":
        """An empty one for the model of a pool (slots, 2 x layers, heads, head size)."""
        _, parts, heads, size = pool.shape
        return cls(pool.new_zeros(parts // 2, 2, 0, heads, 0, size))

    @property
    def length(self) -> int:
        """Positions that each row has."""
        return self.tensor.shape[4]

    def fit(self, rows: int, length: int) -> None:
        """Make room for so many rows of at most such a length."""
        shape = list(self.tensor.shape)
        if rows > shape[2]:
            shape[2] = max(rows, 2 * shape[2], ROWS)
        if length > shape[4] or 2 * length <= shape[4]:
            shape[4] = round_up(length)
        if shape == list(self.tensor.shape):
            return
        old = self.tensor[..., : shape[4], :]
        self.tensor = old.new_zeros(shape)
        self.tensor[:, :, : old.shape[2], :, : old.shape[4]] = old

    def move(self, source: np.ndarray, to: "Slab", target: np.ndarray, length: int) -> None:
        """Copy the first `length` positions of rows `source` over rows `target` of `to`."""
        values = self.tensor.index_select(2, self._index(source))[..., :length, :]
        to.tensor[..., :length, :].index_copy_(2, self._index(target), values)

    def read(self, rows: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Tokens by row and position, as (tokens, 2 x layers, heads, head size)."""
        layers, _, _, heads, length, size = self.tensor.shape
        index = (rows[:, None] * heads + np.arange(heads)) * length + places[:, None]
        flat = self.tensor.view(2 * layers, -1, size).index_select(1, self._index(index.ravel()))
        return flat.view(2 * layers, len(rows), heads, size).transpose(0, 1)

    def _index(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self.tensor.device)


def round_up(length: int) -> int:
    """The next multiple of LENGTHS, or of about an eighth where that is more."""
    step = max(LENGTHS, 1 << max(0, length.bit_length() - 4))
    return -(-length // step) * step
