"""The one source of chance: a generator for each (seed, species, purpose, number).

So a photo is the same whether two or two thousand are drawn, in whatever order, by however many processes.
"""

import zlib

import numpy as np

from fishnet.reef.species import Species

OBSERVATION, FISH_AND_SCENE, PHOTO, ANGLER = range(4)


def generator(seed: int, kind: Species, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(kind.name.encode()), purpose, number])
