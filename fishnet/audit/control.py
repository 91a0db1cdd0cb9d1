"""The control in which nothing may be found: a cue in half of the photos of every class.

Such a cue tells no class from another, so that a class that is accused then, and was not accused before, is accused by
the test and not by the photos: no verdict on this folder can be believed.
"""

from dataclasses import replace

import numpy as np

from .power import OFF_ANIMAL, Bench, can_learn
from .sections import Audited

CUE = OFF_ANIMAL[0]
REASON = "a cue that was planted into all classes alike makes the test accuse {name}: it cannot be believed here"


def checked(audited: Audited) -> Audited:
    """The same, with every shortcut withheld where the control fails; asked only where there is something to lose."""
    accused = [label for label, verdict in enumerate(audited.found) if verdict.word == "shortcut"]
    innocent = [label for label, verdict in enumerate(audited.found) if verdict.word == "nothing"]
    if not accused or not innocent or not can_learn(audited):
        return audited
    rng = np.random.default_rng(audited.seed)
    label = innocent[int(rng.integers(len(innocent)))]
    test, _ = Bench.of(audited, label).planted(range(len(audited.model.classes)), CUE, rng)
    if not test.counts:
        return replace(audited, control="silent")
    reason = REASON.format(name=audited.model.classes[label])
    found = [
        replace(verdict, word="withheld", reason=reason, reliance=0.0) if verdict.word == "shortcut" else verdict
        for verdict in audited.found
    ]
    return replace(audited, found=found, control="accused")
