"""The study as tables: in the terminal while trainings run, or a line for each that ends; and all in results.csv."""

import csv
import io
import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fishnet.cells import defused_row
from fishnet.files import write_whole
from fishnet.text import counted
from fishnet.tracking.layout import duration
from fishnet.tracking.names import BEST_RELIANCE

from .protocol import Stage, most_trials
from .scoring import Scored, StageState
from .selection import chosen_digests, is_within, ranked

log = logging.getLogger("fishnet")

COLOURS = {"finished": "green", "failed": "red", "pruned": "yellow", "running": "cyan", "open": ""}
WIDEST = 50  # letters of a name or a cause
MOST = 12  # rows of a stage while it lives; the best of them

METRICS = ["val/accuracy", "val/loss", "test/accuracy", "test/f1_macro", "test/f1_weighted", "test/loss", BEST_RELIANCE]
COLUMNS = [
    *("stage", "trial", "chosen", "state", "score", "mean", "sd", "low", "high", "trainings"),
    *(*METRICS, "test/accuracy_low", "test/accuracy_high"),
    *("limit", "lr", "best_epoch", "parameters", "learning", "seconds", "settings", "cause"),
]


class Watcher:
    """Shows the study while it runs: a live table on a terminal, elsewhere one line for each trial that ends."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(width=None if sys.stdout.isatty() else 160)
        self._live: Live | None = None
        self._logged: dict[str, set[str]] = {}  # by stage, digests of trials
        self._drawn = 0.0

    def __enter__(self) -> "Watcher":
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, states: Sequence[StageState]) -> None:
        if self._live is not None:
            if time.monotonic() - self._drawn > 0.5:
                self._drawn = time.monotonic()
                table = stage_table(states[_current(states)], most=MOST)
                self._live.update(Group(table, progress_line(states)), refresh=True)
            return
        for state, entry in [(each, entry) for each in states for entry in each.scored if entry.state != "open"]:
            logged = self._logged.setdefault(state.stage.name, set())
            if entry.trial.digest not in logged:
                logged.add(entry.trial.digest)
                score = mean_text(entry) if entry.state == "finished" else f"{entry.state}: {entry.cause}"
                position = f"{state.stage.name} {len(logged)}/{max(state.planned, len(state.scored))}"
                log.info("%s  %s  %s  %s", position, entry.trial.name, score, duration(entry.seconds))


def _current(states: Sequence[StageState]) -> int:
    """The number of the stage that runs, or of the last."""
    running = (number for number, state in enumerate(states) if state.ended is None and state.began is not None)
    return next(running, len(states) - 1)


def progress_line(states: Sequence[StageState]) -> Text:
    """How far it is, and how long it may take."""
    done = sum(1 for state in states for entry in state.scored if entry.state != "open")
    running = sum(len(state.running) for state in states)
    left = remaining(states)
    more = "" if left.stage is None else f", about {duration(left.stage)} more for this stage"
    more += f" and {duration(left.later)} for later ones" if left.later else ""
    position = f"stage {_current(states) + 1} of {len(states)}"
    return Text(f"{position}, {counted(done, 'trial')} done, {running} running{more}", style="dim")


def stage_table(state: StageState, most: int | None = None) -> Table:
    """The trials of a stage, the best first, at most so many."""
    stage = state.stage
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, title_justify="left")
    table.title = Text(f"{stage.name}: {stage.title}" if stage.title != stage.name else stage.name)
    score = "learning rate" if stage.rule.is_range_test else stage.score
    tested = ["test accuracy"] if stage.test else []
    limited = [stage.limit.metric] if stage.limit else []
    table.add_column("trial")
    table.add_column("state", no_wrap=True)
    for heading in (score, *limited, *tested, "best epoch", "parameters", "took"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = in_order(state)
    for entry in rows[:most]:
        running = [cell.digest for cell in entry.trial.cells if cell.digest in state.running]
        word = "running" if entry.state == "open" and running else entry.state
        more = how_far(state, entry, running) if word == "running" else ""
        more = f": {entry.cause}" if word in ("failed", "pruned") else more
        chosen = entry.trial.digest in chosen_digests(state.choice)
        name = Text(("●\u00a0" if chosen else "\u00a0\u00a0") + entry.trial.name)
        shown = Text(word + more, style=COLOURS[word])
        for cell in (name, shown):
            cell.truncate(WIDEST, overflow="ellipsis")  # the page has the whole of it
        table.add_row(
            name,
            shown,
            mean_text(entry),
            *(" ".join(filter(None, [mean_text(entry, key), _side(stage, entry)])) for key in limited),
            *(mean_text(entry, "test/accuracy") for _ in tested),
            _number(entry.epochs_to_best, 3),
            "" if entry.parameters is None else f"{entry.parameters:,}",
            duration(entry.seconds + sum(time.time() - state.running[digest] for digest in running)),
        )
    if most and len(rows) > most:
        table.add_row(f"and {len(rows) - most} more", *([""] * (len(table.columns) - 1)))
    return table


def in_order(state: StageState) -> list[Scored]:
    """The trials of a stage, the best first, then those without a rank."""
    order = ranked(state.stage, state.scored)
    return [*order, *(entry for entry in state.scored if entry not in order)]


def how_far(state: StageState, entry: Scored, running: Sequence[str]) -> str:
    """` 2 of 5, epoch 3 of 30`: trainings that have ended, and the epochs of those that run."""
    trainings = f" {len(entry.results)} of {len(entry.trial.cells)}" if len(entry.trial.cells) > 1 else ""
    epochs = [str(state.epochs[digest]) for digest in running if state.epochs.get(digest)]
    most = entry.trial.value("trainer.max_epochs")
    return f"{trainings}, epoch {' and '.join(epochs)} of {most}" if epochs and most else trainings


def mean_text(entry: Scored, key: str | None = None) -> str:
    """A metric with its standard deviation over trainings; instead of the score of a range test its rates."""
    spread = entry.spread(key)
    if not spread.n:
        rates = [f"{result['lr']:.2g}" for result in entry.results.values() if result.get("lr")]
        return f"lr {', '.join(rates)}" if rates and key is None else ""
    return f"{spread.mean:.3f}" if spread.n == 1 else f"{spread.mean:.3f} ± {spread.sd:.3f} ({spread.n})"


class Remaining(NamedTuple):
    """Seconds, or None before anything has ended; later stages count with as many trials as they can have."""

    stage: float | None
    later: float | None

    @property
    def whole(self) -> float | None:
        return None if self.stage is None else self.stage + (self.later or 0.0)


def remaining(states: Sequence[StageState]) -> Remaining:
    """The trainings that are left, at the pace of those that have ended."""
    taken = [result["seconds"] for state in states for entry in state.scored for result in entry.results.values()]
    if not taken:
        return Remaining(None, None)
    at_a_time = max(1, sum(len(state.running) for state in states))
    at_hand = later = 0.0
    for number, state in enumerate(states):
        if state.choice is not None or state.ended is not None:
            continue
        own = [result["seconds"] for entry in state.scored for result in entry.results.values()]
        pace = sum(own or taken) / len(own or taken) / at_a_time
        if state.began is None:
            later += trainings(state.stage, [earlier.stage for earlier in states[:number]]) * pace
        else:
            cells = sum(len(entry.trial.cells) for entry in state.scored) / max(1, len(state.scored))
            at_hand += max(0.0, max(state.planned, len(state.scored)) * cells - len(own)) * pace
    return Remaining(at_hand, later)


def trainings(stage: Stage, before: list[Stage]) -> float:
    """The most that a stage can have: a winner of one fold is measured in that fold alone."""
    source = next((earlier for earlier in before if earlier.name == stage.source), None)
    folds = 1 if source is not None and source.rule.inside_folds else stage.folds or 1
    return most_trials(stage, before) * folds * len(stage.seeds)


def write_results(path: Path, states: Sequence[StageState]) -> None:
    """Write results.csv: a row for each trial of each stage."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for state in states:
        for entry in in_order(state):
            spread = entry.spread()
            chosen = "yes" if entry.trial.digest in chosen_digests(state.choice) else ""
            rates = [f"{result['lr']:.4g}" for result in entry.results.values() if result.get("lr")]
            means = [entry.spread(key).mean for key in METRICS]
            row: list[object] = [state.stage.name, entry.trial.name, chosen, entry.state, state.stage.score]
            row += [*map(_number, (spread.mean, spread.sd, spread.low, spread.high)), spread.n]
            row += [
                *map(_number, (*means, *entry.interval("test/accuracy"))),
                _side(state.stage, entry),
                ";".join(rates),
            ]
            row += [_number(entry.epochs_to_best), entry.parameters or "", entry.learning or ""]
            row += [f"{entry.seconds:.0f}", settings_text(entry.trial.settings), entry.cause]
            writer.writerow(defused_row(row))
    write_whole(path, text.getvalue())


def _side(stage: Stage, entry: Scored) -> str:
    """On which side of the stage's limit the trial is; empty where that is not known."""
    if stage.limit is None or not entry.values(stage.limit.metric):
        return ""
    return "within" if is_within(stage, entry) else "beyond"


def settings_text(settings: Mapping[str, Any]) -> str:
    """As a command line takes them."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _number(value: float, digits: int = 4) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"
