"""How long a study may still take: the trainings that are left, at the pace of those that have ended."""

from collections.abc import Sequence
from typing import NamedTuple

from .protocol import Stage, most_trials
from .state import StageState


class Remaining(NamedTuple):
    """Seconds, or None before anything has ended; later stages count with as many trials as they can have."""

    stage: float | None
    later: float | None

    @property
    def whole(self) -> float | None:
        return None if self.stage is None else self.stage + (self.later or 0.0)


def remaining(states: Sequence[StageState]) -> Remaining:
    taken = [result["seconds"] for state in states for one in state.scored for result in one.results.values()]
    if not taken:
        return Remaining(None, None)
    at_a_time = max(1, sum(len(state.running) for state in states))
    at_hand = later = 0.0
    for number, state in enumerate(states):
        if state.choice is not None or state.ended is not None:
            continue
        own = [result["seconds"] for one in state.scored for result in one.results.values()]
        pace = sum(own or taken) / len(own or taken) / at_a_time
        if state.began is None:
            later += trainings(state.stage, [one.stage for one in states[:number]]) * pace
        else:
            cells = sum(len(one.trial.cells) for one in state.scored) / max(1, len(state.scored))
            at_hand += max(0.0, max(state.planned, len(state.scored)) * cells - len(own)) * pace
    return Remaining(at_hand, later)


def trainings(stage: Stage, before: list[Stage]) -> float:
    """The most that a stage can have: a winner of one fold is measured in that fold alone."""
    source = next((one for one in before if one.name == stage.source), None)
    folds = 1 if source is not None and source.keep == "folds" else stage.folds or 1
    return most_trials(stage, before) * folds * len(stage.seeds)
