"""The folders of the bench: which cue is planted where, how often, and the controls in which nothing may be found.

Thresholds of the audit were set on the cues of TUNED and on other seeds; what is published is about HELD_OUT and the
seeds from FIRST_SEED on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

TUNED = ("angler", "watermark", "background", "tint", "blur")
HELD_OUT = ("ruler", "float", "border", "vignette", "jpeg", "person")
ON_ANIMAL = ("hand", "tag")
# nothing is planted; a cue in all classes; a cue in the audited photos alone; half of the classes with a ninth of the
# training photos; labels shuffled before the training
CONTROLS = ("clean", "everywhere", "inherited", "imbalance", "permuted")
RARE = 9  # times fewer training photos
FIRST_SEED = 1000
PLANTED_CLASS = 2  # in the order of the species


@dataclass(frozen=True)
class Case:
    """One drawn folder, and the model that is trained on it.

    Args:
        seed: of all that is drawn, and of the training.
        cue: what is planted, empty for nothing.
        share: of the class's photos.
        leak: of the other classes' photos.
        control: one of CONTROLS, empty for a planted folder.
        layout: of the fish in the photos.
        train: training photos a class.
        audit: photos a class that the model has not seen.
        species: classes.
        side: of the photos, in pixels.
        epochs: of the training.
        regions: where the fish is said to be; the audit is measured with each of them, and with the estimate that
            `region=auto` takes.
    """

    seed: int
    cue: str = ""
    share: float = 0.8
    leak: float = 0.0
    control: str = ""
    layout: str = "centred"
    train: int = 200
    audit: int = 80
    species: int = 6
    side: int = 96
    epochs: int = 15
    regions: tuple[str, ...] = ("ellipse", "learned")

    @property
    def name(self) -> str:
        facts = [self.control or self.cue, self.layout, f"{self.share:g}", f"{self.leak:g}", f"{self.seed}"]
        return "-".join(facts + ([f"{self.side}"] if self.side != 96 else []))


def tiny() -> Iterator[Case]:
    """Minutes: whether everything runs and the plainest cases come out."""
    small = {"train": 100, "audit": 45, "species": 4, "side": 64, "epochs": 12}
    for cue in ("angler", "border", "tint"):
        yield Case(FIRST_SEED, cue, **small)
    yield Case(FIRST_SEED, control="clean", **small)


def small() -> Iterator[Case]:
    """Under an hour on two cores: what a change of the audit is tried on."""
    ways = ("ellipse", "learned", "mask")
    centred, free = ("border", "float", "vignette", "ruler"), ("border", "ruler", "vignette", "person")
    for number in range(4):
        yield Case(FIRST_SEED + 20 + number, control="clean", layout="free", regions=ways)
        yield Case(FIRST_SEED + number, control="clean")
        yield Case(FIRST_SEED + number, centred[number])
        yield Case(FIRST_SEED + 40 + number, free[number], layout="free", regions=ways)
    for number, cue in enumerate(("border", "ruler", "vignette")):
        yield Case(FIRST_SEED + 10 + number, cue, 0.5)
    yield from (Case(FIRST_SEED + 60, cue, regions=("ellipse",)) for cue in ON_ANIMAL)


def full() -> Iterator[Case]:
    """Hours, in pieces: what is published. The first pieces are a share of everything."""
    for number in range(20):
        seed, auto, all_ways = FIRST_SEED + 100 * number, ("ellipse",), ("ellipse", "learned", "mask")
        for offset in range(3):
            yield Case(seed + offset, control="clean", regions=auto)
        for offset in range(3, 5):
            yield Case(seed + offset, control="clean", layout="free", regions=all_ways)
        for offset, cue in enumerate(HELD_OUT, 10):
            share, leak = (0.8, 0.5, 0.3)[(number + offset) % 3], (0.0, 0.02, 0.04)[number % 3]
            yield Case(seed + offset, cue, share, leak, regions=auto)
        free = HELD_OUT[number % len(HELD_OUT)]
        yield Case(seed + 20, free, layout="free", regions=all_ways)
        yield Case(seed + 21, ON_ANIMAL[number % 2], regions=auto)
        if number % 4 == 0:
            yield Case(seed + 30, "border", control="everywhere", regions=auto)
            yield Case(seed + 31, "person", control="inherited", regions=auto)
            yield Case(seed + 32, control="imbalance", regions=auto, train=270)
            yield Case(seed + 33, control="permuted", regions=auto)


def tuning() -> Iterator[Case]:
    """What thresholds may be set on."""
    ways = ("ellipse", "learned", "mask")
    for number, cue in enumerate(TUNED):
        yield from (Case(number, cue, share) for share in (0.8, 0.5))
        yield Case(20 + number, cue, layout="free", regions=ways)
    for number in range(8):
        yield Case(100 + number, control="clean")
        yield Case(120 + number, control="clean", layout="free", regions=ways)


GRIDS = {"tiny": tiny, "small": small, "tuning": tuning, "full": full}
