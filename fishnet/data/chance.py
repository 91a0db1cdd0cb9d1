"""Chance without state: numbers that follow from a photo's key alone, for a whole batch at once.

A generator a photo would cost more than cutting its view. This is SplitMix64 (Steele, Lea and Flood 2014), whose
whole state is the key.
"""

import hashlib

import numpy as np

_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def uniforms(keys: np.ndarray, count: int) -> np.ndarray:
    """`count` numbers in [0, 1) for each key, as keys × count."""
    x = keys.astype(np.uint64)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _STEP
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def fixed_key(sha256: str, view: int, seed: int) -> int:
    """The key of a photo's n-th fixed view, wherever the photo lies and whatever lies beside it."""
    return int.from_bytes(hashlib.blake2b(f"{sha256} {view} {seed}".encode(), digest_size=7).digest())
