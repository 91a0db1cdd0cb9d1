"""Who photographed which fish, when and where: an observation is one to three photos of one fish on one day.

Everything drawn at random comes from `generator`: so a photo is the same whether two or two thousand are drawn, in
whatever order, by however many processes.
"""

import zlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from fishnet.reef.species import Species

OBSERVATION, FISH_AND_SCENE, PHOTO, ANGLER = range(4)  # purposes of a generator
OBSERVERS = ("ada", "bela", "chidi", "dana", "emre", "fumiko", "gita", "hugo", "ines", "jonas", "kalea", "lena")
LAKES = ((47.64, 9.38), (46.42, 6.55), (59.4, 13.6), (61.2, 28.1), (45.6, 10.7), (53.4, 12.7), (38.5, 43.0))
FIRST_DAY = date(2021, 4, 1)


@dataclass(frozen=True)
class Observation:
    """What the manifest says of a photo's origin; `number` counts the observations of a species."""

    number: int
    observer: str
    taken_on: str
    lat: float
    lon: float


def generator(seed: int, kind: Species, purpose: int, number: int) -> np.random.Generator:
    """The random numbers of one purpose: of an observation, of its fish and scene, of a photo, of an angler."""
    return np.random.default_rng([seed, zlib.crc32(kind.name.encode()), purpose, number])


def observations_of(kind: Species, *, seed: int, photos: int) -> list[Observation]:
    """The observation of each of the first `photos` photos of a species."""
    by_photo: list[Observation] = []
    number = 0
    while len(by_photo) < photos:
        rng = generator(seed, kind, OBSERVATION, number)
        lat, lon = np.array(LAKES[rng.integers(len(LAKES))]) + rng.normal(0, 0.05, 2)
        day = FIRST_DAY + timedelta(days=int(rng.integers(0, 1400)))
        observer = OBSERVERS[rng.integers(len(OBSERVERS))]
        observation = Observation(number, observer, day.isoformat(), round(lat, 5), round(lon, 5))
        by_photo.extend([observation] * int(rng.integers(1, 4)))
        number += 1
    return by_photo[:photos]
