"""From exchange effects to verdicts: which classes rise with their own donors, by which kind, through which photos, and
by how much at least."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from .exchange import Effects

ALPHA = 0.05  # expected false alarms a folder
FEWEST = 40  # donors of a class, below which nothing is said about it
CARRIER = 0.95  # quantile of the other classes' donors above which a donor carries the cue
BARE = 0.70  # and below which it does not
WORTH = {"given": 0.01, "estimated": 0.02}  # the least share that counts, by how the animal's region is known
STANDS_OUT = 1.4  # times the share of any other class: nothing but a shortcut moves a single class so much further
BEYOND = "outer"  # the kind with which an animal travels that lies partly outside its region


@dataclass(frozen=True)
class ClassTest:
    """The exchange test of one class.

    Args:
        p: of the most extreme kind, times the number of kinds.
        kind: of the significant ones that which raises the class's probability most.
        flagged: whether the class rests on it; decided for all classes together.
        donors: how many photos of the class were laid into others.
        by_kind: the p-value of each kind by itself.
        carriers: positions (among all donors) of this class's photos that carry what the class rests on.
        effect: how much the class's probability rises with its carriers beyond what other donors do, and its 95 %
            interval over groups: a lower bound of what the cue itself does.
        share: how much of what makes a photo answer with its class comes with what was exchanged, over all donors of
            the class: the rise of the logit beyond other donors', as a share of the whole way from the hosts to the
            donors themselves, and its 95 % interval. It means the same for a sure model and a doubtful one.
        left_out: the other classes that rest on something: their donors are not compared with, for what they do to
            their own class lowers this one.
        least: from which share on it counts: with many photos the least leak of the animal is beyond doubt.
    """

    p: float
    kind: str
    flagged: bool
    donors: int
    by_kind: dict[str, float]
    carriers: np.ndarray
    effect: tuple[float, float, float]
    share: tuple[float, float, float]
    left_out: tuple[int, ...] = ()
    least: float = WORTH["estimated"]

    @property
    def counts(self) -> bool:
        """Whether the class rests on it, and by enough."""
        return self.flagged and self.share[1] >= self.least


def exchange_test(
    effects: Effects, alpha: float = ALPHA, *, given: bool = False, travels: bool = False
) -> list[ClassTest]:
    """A test for each class, with at most `alpha` expected false alarms in all.

    Step-down: the donors of a flagged class leave the pool that others are compared with, since a cue of one class
    lowers the other logits in its donors' hosts and so raises everyone else's by comparison.

    Args:
        effects: of the donors.
        alpha: expected false alarms.
        given: whether somebody has drawn the animals' regions.
        travels: whether parts of the animals lie outside their regions. Then every class moves, share and price are
            those beyond what any class that does not stand out has, and only classes that stand out count.
    """
    remaining, flagged = list(range(effects.classes)), list[int]()
    tests: dict[int, dict[str, float]] = {}
    while remaining:
        now = {c: _p_values(effects, c, flagged) for c in remaining}
        tests |= now
        worst = min(remaining, key=lambda c: min(now[c].values()))
        if _corrected(now[worst]) >= alpha / effects.classes or len(flagged) >= effects.classes - 2:
            break
        flagged.append(worst)
        remaining.remove(worst)
    flagged += [c for c in remaining if _corrected(tests[c]) < alpha / effects.classes]  # where no pool is left
    if travels:
        return _beyond_others(effects, tests, flagged, alpha)
    found = [_class_test(effects, c, tests[c], flagged, alpha) for c in range(effects.classes)]
    return [replace(test, least=WORTH["given" if given else "estimated"]) for test in found]


def _beyond_others(
    effects: Effects, tests: dict[int, dict[str, float]], flagged: list[int], alpha: float
) -> list[ClassTest]:
    """Where every class moves: only those that stand out count, by what they have beyond the others."""
    ahead, common = standing_out(effects)
    flagged = [c for c in flagged if c in ahead]
    found = [_class_test(effects, c, tests[c], flagged, alpha) for c in range(effects.classes)]
    price = max(0.0, *(test.effect[0] for c, test in enumerate(found) if c not in ahead))
    least = max(WORTH["estimated"], (STANDS_OUT - 1) * common)
    return [
        replace(test, least=least, share=_beyond(test.share, common), effect=_beyond(test.effect, price))
        for test in found
    ]


def _beyond(ends: tuple[float, float, float], common: float) -> tuple[float, float, float]:
    return tuple(end - common for end in ends)  # type: ignore[return-value]


def standing_out(effects: Effects) -> tuple[list[int], float]:
    """Classes whose surroundings move them far more than those of any other class do, and the largest share of the
    answer among these others.

    Where animals reach beyond their region, each class is moved by its own animals. As many classes stand out as the
    lower ends of their shares lie STANDS_OUT times above the largest share of the rest, which is half of all or more.
    """
    first = [share_of(effects, c, BEYOND)[0] for c in range(effects.classes)]
    order = sorted(range(effects.classes), key=lambda c: first[c], reverse=True)
    for count in range((effects.classes - 1) // 2, 0, -1):
        ahead, rest = order[:count], order[count:]
        common = max(0.0, *(share_of(effects, c, BEYOND, ahead)[0] for c in rest))
        lows = [share_of(effects, c, BEYOND, [other for other in ahead if other != c])[1] for c in ahead]
        if min(lows) >= max(STANDS_OUT * common, WORTH["estimated"]):
            return ahead, common
    return [], max(0.0, *first)


def _corrected(by_kind: dict[str, float]) -> float:
    return min(1.0, min(by_kind.values()) * len(by_kind))


def _p_values(effects: Effects, c: int, flagged: list[int]) -> dict[str, float]:
    """One-sided p-values, a kind each, of: the class rises more with its own donors than with others'."""
    own = effects.labels == c
    others = ~own & ~np.isin(effects.labels, flagged)
    return {
        kind: welch(
            group_means(values[own, c], effects.groups[own]), group_means(values[others, c], effects.groups[others])
        )
        for kind, values in zip(effects.kinds, effects.logits, strict=True)
    }


def welch(own: np.ndarray, others: np.ndarray) -> float:
    """Welch's test with the smaller sample's degrees of freedom, which is the careful choice."""
    if min(len(own), len(others)) < 2:
        return 1.0
    spread = np.sqrt(own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others) + 1e-12)
    return float(stats.t.sf((own.mean() - others.mean()) / spread, min(len(own), len(others)) - 1))


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each group."""
    _, members = np.unique(groups, return_inverse=True)
    return np.bincount(members, values) / np.bincount(members)


def _class_test(effects: Effects, c: int, by_kind: dict[str, float], flagged: list[int], alpha: float) -> ClassTest:
    """With the kind that is worth most among those that are significant: the surest may be worth nothing."""
    kind, level = min(by_kind, key=lambda name: by_kind[name]), alpha / effects.classes / len(by_kind)
    carriers = {name: carriers_of(effects, c, name) for name, p in by_kind.items() if p < level or name == kind}
    left_out = tuple(label for label in flagged if label != c)
    prices = {name: price_of(effects, c, name, of_kind, left_out) for name, of_kind in carriers.items()}
    kind = max(prices, key=lambda name: prices[name][1])
    share = share_of(effects, c, kind, left_out)
    donors, p = int((effects.labels == c).sum()), _corrected(by_kind)
    return ClassTest(p, kind, c in flagged, donors, by_kind, carriers[kind], prices[kind], share, left_out)


def carriers_of(effects: Effects, c: int, kind: str) -> np.ndarray:
    """Positions of the class's donors that raise it more than nearly every donor of another class does."""
    values = effects.logits[effects.kinds.index(kind), :, c]
    own = effects.labels == c
    return np.flatnonzero(own & (values > np.quantile(values[~own], CARRIER)))


def price_of(
    effects: Effects, c: int, kind: str, carriers: np.ndarray, left_out: Sequence[int] = ()
) -> tuple[float, float, float]:
    """Mean rise of the probability with the carriers less that with other classes' donors, and its 95 % interval; the
    donors of some classes are `left_out` of the comparison."""
    return _excess(effects, c, effects.probabilities[effects.kinds.index(kind), :, c], carriers, left_out)


def share_of(effects: Effects, c: int, kind: str, left_out: Sequence[int] = ()) -> tuple[float, float, float]:
    """Mean rise of the logit with all donors of the class less that with others, as a share of the way from the hosts
    to the donors themselves; not of the carriers alone, for those were chosen by what is measured here."""
    own = np.flatnonzero(effects.labels == c)
    way = float(effects.whole[own, c].mean()) if len(own) else 0.0
    rise = _excess(effects, c, effects.logits[effects.kinds.index(kind), :, c], own, left_out)
    return tuple(value / way for value in rise) if way > 0 else (0.0, -np.inf, np.inf)  # type: ignore[return-value]


def _excess(
    effects: Effects, c: int, values: np.ndarray, donors: np.ndarray, left_out: Sequence[int]
) -> tuple[float, float, float]:
    """Mean of some donors less that of other classes' donors, group by group, and its 95 % interval; all other classes
    are compared with where none would be left."""
    compared = (effects.labels != c) & ~np.isin(effects.labels, left_out)
    compared = compared if compared.any() else effects.labels != c
    others = group_means(values[compared], effects.groups[compared])
    own = group_means(values[donors], effects.groups[donors])
    if len(own) < 2 or len(others) < 2:
        return (float(own.mean() - others.mean()) if len(own) else 0.0, -np.inf, np.inf)
    difference = float(own.mean() - others.mean())
    error = np.sqrt(own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others))
    reach = float(stats.t.ppf(0.975, min(len(own), len(others)) - 1) * error)
    return difference, difference - reach, difference + reach


def smallest_found(effects: Effects, c: int, *, share: float = 0.5, power: float = 0.8, alpha: float = ALPHA) -> float:
    """How much carriers must raise the class's logit to be found with this probability, if a share of its photos are.

    From the spread of the other classes' donors, which carry nothing of the class, with the kind that spreads most; so
    it holds for this folder, this model and these donors. Infinite where there are too few.
    """
    own = len(np.unique(effects.groups[effects.labels == c]))
    others = effects.labels != c
    level = alpha / effects.classes / len(effects.kinds)
    found = [
        _needed(group_means(v[others, c], effects.groups[others]), own, share, power, level) for v in effects.logits
    ]
    return max(found)


def _needed(others: np.ndarray, own: int, share: float, power: float, level: float) -> float:
    """The rise at which Welch's statistic reaches its critical value with the given probability."""
    if min(len(others), own) < 3:
        return float("inf")
    noise, df = others.var(ddof=1), min(len(others), own) - 1
    wanted = stats.t.isf(level, df) + stats.norm.ppf(power)

    def short_of(rise: float) -> float:
        error = np.sqrt((noise + share * (1 - share) * rise**2) / own + noise / len(others))
        return float(share * rise / error - wanted)

    if share / np.sqrt(share * (1 - share) / own) <= wanted:  # even a cue that decides alone is hidden by its rarity
        return float("inf")
    return float(optimize.brentq(short_of, 0, 1e6 * (np.sqrt(noise) + 1e-9)))
