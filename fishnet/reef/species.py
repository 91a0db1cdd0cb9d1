"""The species of the reef: their bodies, fins and markings, and nothing about colour.

What tells two species apart is written here and nowhere else. Colours are drawn per fish from one palette
for all, so that a model which looks at colour learns nothing. Made-up Latin names: nobody should meet these
fish elsewhere. The two perches differ in little more than their bars, the grunter and the trout share their
outline: confusions between them mean something.

Lengths are in body lengths (snout to the root of the tail); `s` runs along the body, `t` from -1 (belly) to
1 (back).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fin:
    """A fin on the back or belly: its root from `start` to `end`, and the shape of its outer edge."""

    start: float
    end: float
    height: float
    shape: str = "sail"  # sail, round, spiny, veil
    lean: float = 0.5


@dataclass(frozen=True)
class Tail:
    """`notch` > 0 is a forked tail, 0 a straight one, < 0 a rounded one."""

    length: float
    spread: float
    notch: float


@dataclass(frozen=True)
class Species:
    name: str
    latin: str
    back: tuple[float, ...]  # height of the back over the axis at BODY_KNOTS
    belly: tuple[float, ...]
    tail: Tail
    dorsal: tuple[Fin, ...]
    anal: tuple[Fin, ...]
    marks: str
    mark_count: int
    pelvic: float = 0.11
    pectoral: float = 0.16
    eye: float = 0.028
    eye_at: tuple[float, float] = (0.115, 0.28)
    gill: float = 0.25
    barbels: bool = False
    length: float = 1.0  # of this kind beside the others


BODY_KNOTS = (0.0, 0.04, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 1.0)

PERCH_BACK = (0.0, 0.045, 0.105, 0.165, 0.18, 0.16, 0.12, 0.07, 0.052, 0.05)
PERCH_BELLY = (0.0, 0.035, 0.075, 0.115, 0.13, 0.125, 0.095, 0.057, 0.048, 0.048)
SLIM_BACK = (0.0, 0.04, 0.08, 0.115, 0.128, 0.122, 0.1, 0.068, 0.054, 0.052)
SLIM_BELLY = (0.0, 0.035, 0.07, 0.102, 0.118, 0.114, 0.094, 0.062, 0.05, 0.05)
PERCH_FINS = (Fin(0.27, 0.56, 0.13, "spiny", 0.35), Fin(0.58, 0.8, 0.1, "round", 0.6))

# fmt: off
_ALL = (
    Species(
        "bandfin_perch", "Vittaperca quinquecincta", marks="bars", mark_count=5, tail=Tail(0.2, 0.155, 0.3),
        back=PERCH_BACK, belly=PERCH_BELLY,
        dorsal=PERCH_FINS, anal=(Fin(0.63, 0.78, 0.1, "round", 0.6),),
    ),
    Species(
        "ladder_perch", "Vittaperca scalaris", marks="bars", mark_count=10, tail=Tail(0.19, 0.14, -0.18),
        back=PERCH_BACK, belly=PERCH_BELLY,
        dorsal=(Fin(0.27, 0.8, 0.115, "spiny", 0.35),), anal=(Fin(0.63, 0.78, 0.1, "round", 0.6),),
    ),
    Species(
        "arrow_pike", "Sagittesox guttulatus", marks="dashes", mark_count=24, tail=Tail(0.15, 0.105, 0.45),
        back=(0.0, 0.016, 0.035, 0.062, 0.072, 0.073, 0.068, 0.045, 0.034, 0.034),
        belly=(0.0, 0.018, 0.034, 0.055, 0.07, 0.072, 0.066, 0.043, 0.034, 0.034),
        dorsal=(Fin(0.74, 0.88, 0.085, "round", 0.6),), anal=(Fin(0.76, 0.89, 0.08, "round", 0.6),),
        pelvic=0.075, pectoral=0.085, eye=0.017, eye_at=(0.15, 0.5), gill=0.27, length=1.06,
    ),
    Species(
        "moon_bream", "Selenabramis bimaculata", marks="moons", mark_count=2, tail=Tail(0.25, 0.21, 0.62),
        back=(0.0, 0.06, 0.145, 0.245, 0.285, 0.265, 0.19, 0.09, 0.055, 0.053),
        belly=(0.0, 0.045, 0.105, 0.18, 0.22, 0.21, 0.15, 0.075, 0.052, 0.052),
        dorsal=(Fin(0.42, 0.62, 0.17, "sail", 0.6),), anal=(Fin(0.55, 0.86, 0.1, "sail", 0.5),),
        eye=0.036, gill=0.24, length=0.9,
    ),
    Species(
        "lined_grunter", "Haemulops quadrilineatus", marks="lines", mark_count=4, tail=Tail(0.18, 0.14, 0.08),
        back=SLIM_BACK, belly=SLIM_BELLY,
        dorsal=(Fin(0.26, 0.82, 0.095, "spiny", 0.3),), anal=(Fin(0.64, 0.8, 0.085, "round", 0.5),),
    ),
    Species(
        "veil_angel", "Velapterus pulcher", marks="bars", mark_count=3, tail=Tail(0.24, 0.15, -0.12),
        back=(0.0, 0.07, 0.16, 0.285, 0.345, 0.34, 0.27, 0.13, 0.075, 0.07),
        belly=(0.0, 0.06, 0.14, 0.26, 0.335, 0.33, 0.26, 0.125, 0.072, 0.07),
        dorsal=(Fin(0.36, 0.86, 0.36, "veil", 0.7),), anal=(Fin(0.42, 0.86, 0.36, "veil", 0.7),),
        pelvic=0.26, eye=0.04, eye_at=(0.13, 0.2), length=0.74,
    ),
    Species(
        "inkspot_trout", "Maculosalmo atramentarius", marks="spots", mark_count=40, tail=Tail(0.18, 0.14, 0.12),
        back=SLIM_BACK, belly=SLIM_BELLY,
        dorsal=(Fin(0.42, 0.56, 0.11, "sail", 0.5), Fin(0.8, 0.83, 0.045, "round", 1.0)),
        anal=(Fin(0.7, 0.81, 0.09, "sail", 0.5),),
        pelvic=0.085, pectoral=0.12, eye=0.024, eye_at=(0.1, 0.3),
    ),
    Species(
        "ribbon_eel", "Taeniamuraena reticulata", marks="chevrons", mark_count=13, tail=Tail(0.07, 0.03, -0.6),
        back=(0.0, 0.028, 0.046, 0.052, 0.052, 0.05, 0.046, 0.035, 0.02, 0.012),
        belly=(0.0, 0.026, 0.042, 0.048, 0.05, 0.048, 0.044, 0.034, 0.02, 0.012),
        dorsal=(Fin(0.2, 0.99, 0.035, "round", 0.1),), anal=(Fin(0.45, 0.99, 0.03, "round", 0.1),),
        pelvic=0.0, pectoral=0.05, eye=0.013, eye_at=(0.07, 0.35), gill=0.15, length=1.08,
    ),
    Species(
        "saddle_catfish", "Sellasilurus barbatus", marks="saddles", mark_count=4, tail=Tail(0.22, 0.17, 0.5),
        back=(0.0, 0.05, 0.085, 0.12, 0.125, 0.1, 0.075, 0.055, 0.05, 0.05),
        belly=(0.0, 0.04, 0.062, 0.085, 0.095, 0.08, 0.065, 0.05, 0.046, 0.046),
        dorsal=(Fin(0.32, 0.43, 0.16, "sail", 0.5), Fin(0.66, 0.82, 0.05, "round", 0.6)),
        anal=(Fin(0.62, 0.8, 0.085, "sail", 0.5),),
        eye=0.018, eye_at=(0.13, 0.45), barbels=True,
    ),
)
# fmt: on

SPECIES: dict[str, Species] = {kind.name: kind for kind in _ALL}
