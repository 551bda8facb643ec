"""Keys and values of the rows of a running batch."""

import numpy as np
import torch

LENGTHS = 16  # lengths are rounded up to multiples of this
ROWS = 32


class Slab:
    """Keys and values of many rows in one tensor that grows.

    Attributes:
        tensor: (layers, 2, rows, heads, length, head size); what no row uses yet is finite.
    """

    def __init__(self, layers: int, heads: int, size: int, dtype: torch.dtype, device):
        shape = (layers, 2, 0, heads, 0, size)
        self.tensor = torch.zeros(shape, dtype=dtype, device=device)

    def fit(self, rows: int, length: int) -> None:
        """Make room for so many rows of such a length; at least doubles what is too small."""
        shape = list(self.tensor.shape)
        if rows <= shape[2] and length <= shape[4]:
            return
        old = self.tensor
        if rows > shape[2]:
            shape[2] = max(rows, 2 * shape[2], ROWS)
        if length > shape[4]:
            shape[4] = round_up(max(length, 2 * shape[4]))
        self.tensor = old.new_zeros(shape)
        self.tensor[:, :, : old.shape[2], :, : old.shape[4]] = old

    def move(self, source: np.ndarray, target: np.ndarray, length: int) -> None:
        """Copy the first `length` positions of rows `source` over rows `target`."""
        part = self.tensor[..., :length, :]
        part[:, :, self.index(target)] = part[:, :, self.index(source)]

    def index(self, numbers: np.ndarray) -> torch.Tensor:
        """Row numbers or positions as an index on the slab's device."""
        return torch.from_numpy(numbers).to(self.tensor.device, torch.int64)


def round_up(length: int) -> int:
    """The next multiple of LENGTHS; few distinct lengths mean few reallocations."""
    return -(-length // LENGTHS) * LENGTHS
