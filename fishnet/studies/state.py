"""What is known of a stage while it runs and after: for tables, pages, MLflow and whoever waits."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .protocol import Stage
from .scoring import Scored
from .selection import Choice
from .trials import Trial


@dataclass
class StageState:
    stage: Stage
    trials: list[Trial] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    choice: Choice | None = None
    running: dict[str, float] = field(default_factory=dict)  # digest of a training → since when
    epochs: dict[str, int] = field(default_factory=dict)  # digest of a training that runs → epochs so far
    planned: int = 0  # trials, as far as it is known
    began: float | None = None
    ended: float | None = None


Watch = Callable[[list[StageState]], None]
