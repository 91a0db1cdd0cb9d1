"""The verdict on a class, in words, and its basis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .folder import FolderAudit
from .nulls import is_silent
from .significance import FEWEST, ClassTest

TOO_WEAK = 0.8  # accuracy below which a model's answers are too much chance to be explained
WHOLE = 0.9  # a cue in more of a class's photos than this is in all of them, as far as can be seen

CARRIED_BY = {  # what is exchanged → what the class rests on
    "outer": "what surrounds the animal",
    "ring": "the edge of the photo",
    "corners": "the corners of the photo",
    "colour": "the colours around the animal",
    "light": "the light and its cast",
    "grid": "traces of the file's coding",
    "sharp": "how sharp the photo is",
}


@dataclass(frozen=True)
class Verdict:
    """Of a class.

    Args:
        name: of the class.
        word: `shortcut`, `nothing` or `withheld`.
        reason: why a verdict is withheld, else empty.
        basis: letters of what the verdict presupposes: A the cue is missing in a part of the class, C position and low
            level, D regions of the animal that somebody has drawn.
        reliance: how much the class's probability rises by what it rests on, at least; 0 where nothing was shown.
        test: the figures.
        inherited: of a shortcut, whether a model reacts too that was trained without the photos that carry it: `yes`,
            `no`, or nothing where that is not known.
    """

    name: str
    word: str
    reason: str
    basis: str
    reliance: float
    test: ClassTest
    inherited: str = ""

    @property
    def share(self) -> float:
        """Of the answer, that comes with what the class rests on; 0 where nothing was shown."""
        return self.test.share[0] if self.word == "shortcut" else 0.0

    @property
    def carried_by(self) -> str:
        return CARRIED_BY[self.test.kind]


def verdicts(audit: FolderAudit) -> list[Verdict]:
    """One for each class, in the order of the labels."""
    silent, share = is_silent(audit.nulls)
    general = ""
    if audit.accuracy < TOO_WEAK:
        general = f"the model is right on {audit.accuracy:.0%} of these photos: too weak to judge what it rests on"
    elif not silent:
        general = f"re-labelled donors are told apart in {share:.0%} of the draws where 5 % are expected"
    return [_verdict(audit, label, test, general) for label, test in enumerate(audit.tests)]


def _verdict(audit: FolderAudit, label: int, test: ClassTest, withheld: str) -> Verdict:
    name = audit.classes[label]
    if not withheld and test.donors < FEWEST:
        withheld = f"{test.donors} photos that the model has not learned from, and {FEWEST} are needed"
    if withheld:
        return Verdict(name, "withheld", withheld, "", 0.0, test)
    if test.counts:
        return Verdict(name, "shortcut", "", _basis(audit, label, test), max(0.0, test.effect[1]), test)
    return Verdict(name, "nothing", "", "", 0.0, test)


def _basis(audit: FolderAudit, label: int, test: ClassTest) -> str:
    own = int((audit.effects.labels == label).sum())
    partial = 0 < len(test.carriers) < WHOLE * own
    return ", ".join([*(["A"] if partial else []), "D" if audit.regions.given else "C"])


def share_max(tests: Sequence[ClassTest]) -> tuple[float, int | None]:
    """The largest share of a class's answer that was shown to rest on something besides the animal, and the class; 0
    and None where none was. It compares models, for it means the same for a sure one and a doubtful one."""
    shown = [(test.share[0], label) for label, test in enumerate(tests) if test.counts]
    return max(shown, default=(0.0, None))


def reliance_max(found: list[Verdict]) -> float:
    """The largest reliance of a class; NaN where every verdict is withheld."""
    judged = [verdict.reliance for verdict in found if verdict.word != "withheld"]
    return max(judged) if judged else float(np.nan)
