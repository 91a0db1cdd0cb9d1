"""A B A B: two ways of doing the same work in turn, and the median of their paired ratios with its interval."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ENOUGH = 15  # rounds, for an interval to speak for a bar


@dataclass(frozen=True)
class Options:
    rounds: int
    root: Path | None
    weights: Path | None


@dataclass(frozen=True)
class Case:
    """`ours` and `peers` do `ours_work` and `peers_work` units (photos, steps); `agree` judges what they returned."""

    name: str
    ours: Callable[[], object]
    peers: Callable[[], object]
    agree: Callable[[object, object], tuple[bool, str]]
    goal: float
    ours_work: float = 1.0
    peers_work: float = 1.0
    most_rounds: int = 1000
    inverse: bool = False  # the figure is our time over theirs, and the goal an upper bound
    before: Callable[[], None] = lambda: None  # brings both back to the start of a round


@dataclass(frozen=True)
class Row:
    name: str
    ratio: float
    low: float
    high: float
    goal: float
    inverse: bool
    rounds: int
    ours_ms: float
    peers_ms: float
    agreed: bool
    agreement: str

    @property
    def met(self) -> bool:
        """A bar within a tenth of 1 holds when the interval of enough rounds contains it."""
        near_one = abs(self.goal - 1) <= 0.1 and self.rounds >= ENOUGH
        if self.inverse:
            return self.agreed and (self.ratio <= self.goal or (near_one and self.low <= self.goal))
        return self.agreed and (self.ratio >= self.goal or (near_one and self.high >= self.goal))


def measure(case: Case, rounds: int) -> Row:
    case.before()
    agreed, agreement = case.agree(case.ours(), case.peers())  # which also warms up
    seconds: list[tuple[float, float]] = []
    for _ in range(min(rounds, case.most_rounds)) if agreed else ():
        pair = []
        for work, units in ((case.ours, case.ours_work), (case.peers, case.peers_work)):
            case.before()
            begin = time.perf_counter()
            work()
            pair.append((time.perf_counter() - begin) / units)
        seconds.append((pair[0], pair[1]))
    ours, peers = np.array(seconds).T if seconds else (np.full(1, np.nan), np.full(1, np.nan))
    ratios = ours / peers if case.inverse else peers / ours
    low, high = interval(ratios)
    return Row(
        name=case.name,
        ratio=float(np.median(ratios)),
        low=low,
        high=high,
        goal=case.goal,
        inverse=case.inverse,
        rounds=len(seconds),
        ours_ms=float(np.median(ours) * 1e3),
        peers_ms=float(np.median(peers) * 1e3),
        agreed=agreed,
        agreement=agreement,
    )


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """95 % of the medians of rounds drawn again."""
    chance = np.random.default_rng(0)
    medians = np.median(chance.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)
