"""Who photographed which fish, when and where: an observation is one to three photos of one fish on one day.

Everything follows from (seed, species, number), never from how many photos are asked for.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from fishnet.reef.seeds import OBSERVATION, generator
from fishnet.reef.species import Species

OBSERVERS = (
    "ada",
    "bela",
    "chidi",
    "dana",
    "emre",
    "fumiko",
    "gita",
    "hugo",
    "ines",
    "jonas",
    "kalea",
    "lena",
)
LAKES = ((47.64, 9.38), (46.42, 6.55), (59.4, 13.6), (61.2, 28.1), (45.6, 10.7), (53.4, 12.7), (38.5, 43.0))
FIRST_DAY = date(2021, 4, 1)


@dataclass(frozen=True)
class Observation:
    number: int
    observer: str
    taken_on: str
    lat: float
    lon: float


def observations_of(kind: Species, *, seed: int, photos: int) -> list[Observation]:
    """The observation of each of the first `photos` photos of a species."""
    found: list[Observation] = []
    number = 0
    while len(found) < photos:
        rng = generator(seed, kind, OBSERVATION, number)
        observation = _observation(number, rng)
        found.extend([observation] * int(rng.integers(1, 4)))
        number += 1
    return found[:photos]


def _observation(number: int, rng: np.random.Generator) -> Observation:
    lat, lon = np.array(LAKES[rng.integers(len(LAKES))]) + rng.normal(0, 0.05, 2)
    day = FIRST_DAY + timedelta(days=int(rng.integers(0, 1400)))
    return Observation(number, OBSERVERS[rng.integers(len(OBSERVERS))], day.isoformat(), round(lat, 5), round(lon, 5))
