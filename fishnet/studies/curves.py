"""What trainings that run have written so far: how far they are, and which of them are not worth going on."""

import time

from .journal import GOOD, Journal
from .outcome import read_outcome
from .pool import Live
from .sampler import worst_epoch
from .state import StageState
from .supervisor import PRUNE
from .trials import Cell

EVERY = 3.0  # seconds between two looks


class Curves:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ended: dict[str, dict[int, float]] = {}
        self._looked = 0.0

    def look(self, state: StageState, live: list[Live]) -> None:
        if time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        for one in live:
            outcome = read_outcome(self._journal.run_of(one.cell))
            state.epochs[one.cell.digest] = outcome.epochs
            if state.stage.search.prune:
                self._prune(state, one, outcome.curves.get(state.stage.score, {}))

    def _prune(self, state: StageState, one: Live, own: dict[int, float]) -> None:
        stage = state.stage
        others = [
            curve
            for other in state.trials
            for twin in other.cells
            if other.digest != one.trial.digest
            and (twin.fold, twin.seed) == (one.cell.fold, one.cell.seed)
            and self._ended_well(twin)
            and (curve := self._curve(twin, stage.score))
        ]
        epoch = worst_epoch(own, others, largest=stage.largest) if own and len(others) >= 3 else None
        if epoch is not None:
            text = f"behind the median of {len(others)} others at epoch {epoch + 1} ({stage.score} {own[epoch]:.3f})"
            (self._journal.place(one.cell) / PRUNE).write_text(text)

    def _ended_well(self, cell: Cell) -> bool:
        """Of a training that died the curve says nothing about its trial."""
        result = self._journal.result(cell)
        return result is not None and result["status"] in (GOOD, "pruned")

    def _curve(self, ended: Cell, key: str) -> dict[int, float]:
        if ended.digest not in self._ended:
            self._ended[ended.digest] = read_outcome(self._journal.run_of(ended)).curves.get(key, {})
        return self._ended[ended.digest]
