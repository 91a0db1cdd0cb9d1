"""What can be chosen about a reef, with the only copy of its defaults; wrong choices are refused here.

Nothing heavy is imported: a command can check its settings long before a fish is drawn.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from random import Random
from typing import Any

from fishnet.errors import BadInput
from fishnet.reef.species import SPECIES, Species
from fishnet.text import nearest

DRAWING = 1  # raise it when the same settings give other photos, so that folders drawn before are left alone
# the names in cues.CUES, which needs OpenCV, in the order in which they are drawn
CUES = (
    "angler", "background", "person", "ruler", "float", "hand", "tag",
    "vignette", "tint", "blur", "watermark", "border", "jpeg",
)  # fmt: skip
LAYOUTS = ("centred", "free")
EVERY_CLASS = "all"
KEYS = ("cue", "class", "share", "leak")
LIMITS = {"species": (2, len(SPECIES)), "photos": (1, 100_000), "size": (32, 2048), "seed": (0, 2**63)}


@dataclass(frozen=True)
class Plant:
    """Which photos carry a cue that is not the fish: a `share` (0 to 1) of the photos of a class or of EVERY_CLASS, and
    a `leak` of those of each other class.

    Of the first n photos, n times the share carry it, whatever n is: one in each row of 1 / share photos. It is the
    last of the row, or, if `scattered`, any of them: two cues that are both in the last would always go together.
    """

    cue: str
    class_name: str
    share: float
    leak: float = 0.0
    scattered: bool = False

    def falls_on(self, class_name: str, number: int) -> bool:
        share = self.share if self.class_name in (class_name, EVERY_CLASS) else self.leak
        if self.scattered and share > 0.5:  # a row without the cue is longer than a row with it
            return not self._is_due(class_name, number, 1 - share)
        return self._is_due(class_name, number, share)

    def _is_due(self, class_name: str, number: int, share: float) -> bool:
        row = floor(number * share + 1e-9)
        if not self.scattered:
            return floor((number + 1) * share + 1e-9) > row
        if share < 1e-9:
            return False
        first, end = (ceil(edge / share - 1e-6) for edge in (row, row + 1))
        return number == Random(f"{self.cue} {class_name} {row}").randrange(first, end)

    @property
    def facts(self) -> dict[str, Any]:
        """What a digest is made of; a leak of 0 counts as if there were no such key."""
        facts = {"cue": self.cue, "class_name": self.class_name, "share": self.share}
        return facts | ({"leak": self.leak} if self.leak else {})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a reef."""

    species: int = 6  # of those in SPECIES, in their order
    photos: int | Mapping[str, int] = 150  # of each species, or `{name: photos}` with each species of the reef
    size: int = 224  # side of a photo in pixels
    seed: int = 0  # of everything that is drawn at random
    # a cue or a list of them, by default `{cue: angler, class: the first, share: 0.9, leak: 0}`
    plant: Mapping[str, Any] | list[Mapping[str, Any]] | None = None
    layout: str = "centred"  # or `free`: off the middle, near and far, cut by the frame, two in a photo

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            for number in value.values() if name == "photos" and isinstance(value, Mapping) else [value]:
                if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
                    raise BadInput(f"The reef's {name} must be a whole number from {low} to {high}, not {number!r}.")
        if isinstance(self.photos, Mapping) and set(self.photos) != {kind.name for kind in self.kinds}:
            names = ", ".join(kind.name for kind in self.kinds)
            raise BadInput(
                f"The reef's photos by species name each of {names}, not {', '.join(map(str, self.photos))}."
            )
        if self.layout not in LAYOUTS:
            raise BadInput(f"There is no layout {self.layout!r}: {nearest(str(self.layout), [*LAYOUTS])}")
        _ = self.planted  # is checked

    @property
    def kinds(self) -> list[Species]:
        return list(SPECIES.values())[: self.species]

    @property
    def counts(self) -> dict[str, int]:
        """How many photos each class has."""
        names = [kind.name for kind in self.kinds]
        return {name: self.photos[name] if isinstance(self.photos, Mapping) else self.photos for name in names}

    @property
    def planted(self) -> tuple[Plant, ...]:
        """The plants with their defaults, or BadInput that names what can be chosen."""
        plants = self.plant if isinstance(self.plant, list | tuple) else [self.plant] if self.plant else []
        return tuple(self._checked(plant, scattered=order > 0) for order, plant in enumerate(plants))

    def _checked(self, plant: Any, *, scattered: bool) -> Plant:
        classes = [kind.name for kind in self.kinds]
        if not isinstance(plant, Mapping):
            raise BadInput(f"A plant is {{cue: …, class: …, share: …, leak: …}}, not {plant!r}.")
        for key in plant:
            if key not in KEYS:
                raise BadInput(f"A plant has no {key!r}; it takes {', '.join(KEYS)}.")
        cue, class_name = plant.get("cue", CUES[0]), plant.get("class") or classes[0]
        if cue not in CUES:
            raise BadInput(f"There is no cue {cue!r}; the cues are {', '.join(CUES)}.")
        if class_name not in (*classes, EVERY_CLASS):
            raise BadInput(f"The reef has no class {class_name!r}: {nearest(str(class_name), [*classes, EVERY_CLASS])}")
        share, leak = plant.get("share", 0.9), plant.get("leak", 0.0)
        for value in (share, leak):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise BadInput(f"The share and the leak of planted photos are numbers from 0 to 1, not {value!r}.")
        return Plant(cue, class_name, float(share), float(leak), scattered)

    def cues_of(self, class_name: str, number: int) -> tuple[str, ...]:
        """The cues that a photo carries, in the order of CUES."""
        carried = {plant.cue for plant in self.planted if plant.falls_on(class_name, number)}
        return tuple(cue for cue in CUES if cue in carried)

    @property
    def digest(self) -> str:
        """Twelve digits that differ where the photos do; defaults count as if they had been given."""
        plants = [plant.facts for plant in self.planted]
        alike = len(set(self.counts.values())) == 1
        facts: dict[str, Any] = {name: getattr(self, name) for name in LIMITS}
        facts["photos"] = next(iter(self.counts.values())) if alike else self.counts
        facts |= {"drawing": DRAWING, "plant": plants[0] if len(plants) == 1 else plants or None}
        if self.layout != LAYOUTS[0]:
            facts["layout"] = self.layout
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
