"""Planting: which photos of which class carry a cue that is not the fish."""

import difflib
from dataclasses import dataclass
from math import floor

from fishnet.errors import BadInput

CUES = ("angler",)
KEYS = ("cue", "class", "share")


@dataclass(frozen=True)
class Plant:
    cue: str
    class_name: str
    share: float

    def falls_on(self, class_name: str, number: int) -> bool:
        """Evenly spread: of the first n photos, n times the share, whatever n."""
        if class_name != self.class_name:
            return False
        return floor((number + 1) * self.share + 1e-9) > floor(number * self.share + 1e-9)


def read_plant(plant: dict | None, classes: list[str]) -> Plant | None:
    """The plan from the settings `{cue, class, share}`, or BadInput that names the choices."""
    if not plant:
        return None
    for key in plant:
        if key not in KEYS:
            raise BadInput(f"A plant has no {key!r}; it takes {', '.join(KEYS)}.")
    cue, class_name, share = (
        plant.get("cue", CUES[0]),
        plant.get("class") or classes[0],
        plant.get("share", 0.9),
    )
    if cue not in CUES:
        raise BadInput(f"There is no cue {cue!r}{_near(cue, CUES)}; the reef can plant: {', '.join(CUES)}.")
    if class_name not in classes:
        raise BadInput(
            f"The reef has no class {class_name!r}{_near(class_name, classes)}; it has: {', '.join(classes)}."
        )
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise BadInput(f"The share of planted photos must be a number from 0 to 1, not {share!r}.")
    return Plant(cue, class_name, float(share))


def _near(name: object, choices: list[str] | tuple[str, ...]) -> str:
    found = difflib.get_close_matches(str(name), choices, 1)
    return f" (did you mean {found[0]!r}?)" if found else ""
