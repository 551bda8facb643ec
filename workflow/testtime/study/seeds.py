"""Nested randomness: every sample has its own seed, derived from its identity.

Sample i of a problem is therefore the same sample in every budget, block, shard and batch.
"""

import hashlib

import numpy as np

_SPLITMIX = np.uint64(0x9E3779B97F4A7C15)


def derive(*parts: str | int) -> int:
    """Hash the parts (study seed, dataset, problem, policy, method, path index, ...) to a seed.

    Returns:
        An integer in [0, 2**63), the same on every machine and in every process.
    """
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def uniforms(seeds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """One uniform number in [0, 1) per (seed, position), by the SplitMix64 finaliser.

    A token drawn with the number of its (seed, position) does not depend on the other rows of its
    batch.

    Args:
        seeds: integer array, any shape.
        positions: integer array of the same shape, the index of the token in its sample.

    Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        z = seeds.astype(np.uint64) + (positions.astype(np.uint64) + np.uint64(1)) * _SPLITMIX
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
