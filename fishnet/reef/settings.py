"""What can be chosen about a reef, with the only copy of its defaults; wrong choices are refused here.

Nothing heavy is imported: a command can check its settings long before a fish is drawn.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

from fishnet.errors import BadInput
from fishnet.reef.species import SPECIES, Species
from fishnet.text import nearest

DRAWING = 1  # raise it when the same settings give other photos, so that folders drawn before are left alone
CUES = ("angler",)  # the names in cues.CUES, which needs OpenCV
KEYS = ("cue", "class", "share")
LIMITS = {"species": (2, len(SPECIES)), "photos": (1, 100_000), "size": (32, 2048), "seed": (0, 2**63)}


@dataclass(frozen=True)
class Plant:
    """Which photos carry a cue that is not the fish: a `share` (0 to 1) of the photos of a class."""

    cue: str
    class_name: str
    share: float

    def falls_on(self, class_name: str, number: int) -> bool:
        """Evenly spread: of the first n photos, n times the share, whatever n."""
        due = floor((number + 1) * self.share + 1e-9) > floor(number * self.share + 1e-9)
        return class_name == self.class_name and due


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a reef."""

    species: int = 6  # of those in SPECIES, in their order
    photos: int = 150  # of each species
    size: int = 224  # side of a photo in pixels
    seed: int = 0  # of everything that is drawn at random
    plant: Mapping[str, Any] | None = None  # a cue, by default `{cue: angler, class: the first, share: 0.9}`

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise BadInput(f"The reef's {name} must be a whole number from {low} to {high}, not {value!r}.")
        _ = self.planted  # is checked

    @property
    def kinds(self) -> list[Species]:
        return list(SPECIES.values())[: self.species]

    @property
    def planted(self) -> Plant | None:
        """`plant` with its defaults, or BadInput that names what can be chosen."""
        plant, classes = self.plant, [kind.name for kind in self.kinds]
        if not plant:
            return None
        if not isinstance(plant, Mapping):
            raise BadInput(f"A plant is {{cue: …, class: …, share: …}}, not {plant!r}.")
        for key in plant:
            if key not in KEYS:
                raise BadInput(f"A plant has no {key!r}; it takes {', '.join(KEYS)}.")
        cue, class_name, share = plant.get("cue", CUES[0]), plant.get("class") or classes[0], plant.get("share", 0.9)
        if cue not in CUES:
            raise BadInput(f"There is no cue {cue!r}: {nearest(str(cue), [*CUES])}")
        if class_name not in classes:
            raise BadInput(f"The reef has no class {class_name!r}: {nearest(str(class_name), classes)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise BadInput(f"The share of planted photos must be a number from 0 to 1, not {share!r}.")
        return Plant(cue, class_name, float(share))

    @property
    def digest(self) -> str:
        """Twelve digits that differ where the photos do; defaults count as if they had been given."""
        facts = {name: getattr(self, name) for name in LIMITS}
        facts |= {"drawing": DRAWING, "plant": vars(self.planted) if self.planted else None}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
