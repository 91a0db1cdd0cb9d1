"""The study in the terminal: a table that lives while trainings run, or a line for each that ends."""

import logging
import math
import sys
import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fishnet.text import counted
from fishnet.tracking.layout import duration

from .remaining import remaining
from .scoring import Scored
from .selection import chosen_digests, ranked
from .state import StageState

log = logging.getLogger("fishnet")

COLOURS = {"finished": "green", "failed": "red", "pruned": "yellow", "running": "cyan", "open": ""}
WIDEST = 50  # letters of a name or a cause
MOST = 12  # rows of a stage while it lives; the best of them


class Watcher:
    """On a terminal a live table; elsewhere one line a trial, as a log file wants it."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(width=None if sys.stdout.isatty() else 160)
        self._live: Live | None = None
        self._told: set[tuple[str, str]] = set()
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
                current = next((s for s in states if s.ended is None and s.began is not None), states[-1])
                self._live.update(Group(stage_table(current, most=MOST), progress_line(states)), refresh=True)
            return
        for state in states:
            for one in state.scored:
                key = (state.stage.name, one.trial.digest)
                if one.state != "open" and key not in self._told:
                    self._told.add(key)
                    done = sum(1 for stage, _ in self._told if stage == state.stage.name)
                    log.info("%s", trial_line(state, one, done))


def trial_line(state: StageState, one: Scored, done: int) -> str:
    total = max(state.planned, len(state.scored))
    worth = figure(one) if one.state == "finished" else f"{one.state}: {cause(one)}"
    return f"{state.stage.name} {done}/{total}  {one.trial.name}  {worth}  {duration(one.seconds)}"


def progress_line(states: Sequence[StageState]) -> Text:
    """How far it is, and how long it may take."""
    done = sum(1 for state in states for one in state.scored if one.state != "open")
    running = sum(len(state.running) for state in states)
    stage = next((number for number, s in enumerate(states, 1) if s.ended is None and s.began is not None), len(states))
    left = remaining(states)
    rest = "" if left.stage is None else f", about {duration(left.stage)} more for this stage"
    rest += f" and {duration(left.later)} for later ones" if left.later else ""
    return Text(f"stage {stage} of {len(states)}, {counted(done, 'trial')} done, {running} running{rest}", style="dim")


def stage_table(state: StageState, most: int | None = None) -> Table:
    stage = state.stage
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, title_justify="left")
    table.title = Text(f"{stage.name}: {stage.title}" if stage.title != stage.name else stage.name)
    worth = "learning rate" if stage.keep == "lr" else stage.score
    headings = ("trial", "state", worth, "test accuracy", "best epoch", "parameters", "took")
    shown = {name: name not in ("test accuracy",) or stage.test for name in headings}
    for name in headings:
        if shown[name]:
            left = name in ("trial", "state")
            table.add_column(name, justify="left" if left else "right", no_wrap=name != "trial")
    order = ranked(stage, state.scored)
    rest = [one for one in state.scored if one not in order]
    rows = [*order, *rest]
    chosen = chosen_digests(state.choice)
    for one in rows[: most or len(rows)]:
        table.add_row(*_cells(state, one, one.trial.digest in chosen, stage.test))
    if most and len(rows) > most:
        table.add_row(f"and {len(rows) - most} more", *([""] * (sum(shown.values()) - 1)))
    return table


def _cells(state: StageState, one: Scored, kept: bool, test: bool) -> list[Text | str]:
    running = [cell.digest for cell in one.trial.cells if cell.digest in state.running]
    word = "running" if one.state == "open" and running else one.state
    more = {"running": how_far(state, one, running), "failed": f": {cause(one)}", "pruned": f": {cause(one)}"}
    name = Text(("●\u00a0" if kept else "\u00a0\u00a0") + one.trial.name)
    said = Text(word + more.get(word, ""), style=COLOURS[word])
    for text in (name, said):
        text.truncate(WIDEST, overflow="ellipsis")  # the page has the whole of it
    epochs = "" if math.isnan(one.epochs_to_best) else f"{one.epochs_to_best:.3g}"
    count = "" if one.parameters is None else f"{one.parameters:,}"
    cells: list[Text | str] = [name, said, figure(one)]
    if test:
        cells.append(figure(one, "test/accuracy"))
    return [*cells, epochs, count, duration(one.seconds + sum(time.time() - state.running[d] for d in running))]


def how_far(state: StageState, one: Scored, running: Sequence[str]) -> str:
    """` 2 of 5, epoch 3 of 30`: trainings that have ended, and the epochs of those that run."""
    trainings = f" {len(one.results)} of {len(one.trial.cells)}" if len(one.trial.cells) > 1 else ""
    epochs = [str(state.epochs[digest]) for digest in running if state.epochs.get(digest)]
    most = one.trial.value("trainer.max_epochs")
    return f"{trainings}, epoch {' and '.join(epochs)} of {most}" if epochs and most else trainings


def figure(one: Scored, key: str | None = None) -> str:
    worth = one.spread(key)
    if not worth.n:
        rates = [result["lr"] for result in one.results.values() if result.get("lr")]
        return f"lr {', '.join(f'{rate:.2g}' for rate in rates)}" if rates and key is None else ""
    return f"{worth.mean:.3f}" if worth.n == 1 else f"{worth.mean:.3f} ± {worth.sd:.3f} ({worth.n})"


def cause(one: Scored) -> str:
    found = [result["cause"] for result in one.results.values() if result["cause"]]
    return found[0] if found else ""
