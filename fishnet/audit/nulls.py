"""Whether the exchange test is silent where it must be, on the user's own folder.

Between two classes, donors that are re-labelled at random group by group carry nothing of either class; if the test
still tells them apart more often than its level says, something else does (photos of a group that are not in one group,
a few donors that decide everything), and no verdict on this folder can be believed.
"""

from itertools import combinations

import numpy as np
from scipy import stats

from .exchange import Effects
from .significance import group_means, welch

LEVEL = 0.05
PAIRS = 60  # of classes, at most
DRAWS = 20  # re-labellings of each pair


def relabelled_p_values(effects: Effects, seed: int = 0) -> np.ndarray:
    """P-values of re-labelled donors: a kind, a pair of classes and a re-labelling each."""
    rng = np.random.default_rng(seed)
    pairs = list(combinations(np.unique(effects.labels), 2))
    chosen = [pairs[number] for number in rng.permutation(len(pairs))[:PAIRS]]
    values: list[float] = []
    for first, second in chosen:
        among = np.isin(effects.labels, (first, second))
        share = float((effects.labels[among] == first).mean())
        for kind in range(len(effects.kinds)):
            means = group_means(effects.logits[kind, among, first], effects.groups[among])
            for _ in range(DRAWS):
                own = rng.random(len(means)) < share
                values.append(welch(means[own], means[~own]))
    return np.array(values)


def is_silent(p_values: np.ndarray) -> tuple[bool, float]:
    """Whether so many p-values below the level are no surprise, and their share; values of a pair go together, so that
    only a share well above the level counts."""
    share = float((p_values < LEVEL).mean()) if len(p_values) else 0.0
    independent = max(1, len(p_values) // DRAWS)
    return bool(stats.binom.sf(round(share * independent) - 1, independent, LEVEL) > 0.01 or share <= LEVEL), share
