"""The study's own files: points of searches, results, choices. They are the authority; MLflow mirrors them.

study.json                 the protocol as it was run the last time, stage by stage
asked/<stage>.jsonl        points that a search drew, in their order
trials/<digest>/           one training: job.json, log.txt, result.json, run/ (the run's own folder)
selected.json              what each stage has chosen, and why
results.csv                every trial a row
report.html                the page
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fishnet.errors import BadInput, disk_trouble
from fishnet.files import locked, write_whole

from .protocol import Protocol, Stage
from .settings import Settings
from .supervisor import JOB, OUTPUT, RESULT, RUN, read_result
from .trials import Cell

GOOD = "finished"
STUDY = "study.json"  # what was typed, and the stages


class Journal:
    """Reads and writes the files of one study; several studies may use one folder at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results: dict[str, dict[str, Any]] = {}

    def open(self) -> None:
        """Make the study's folder; BadInput where that is not possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            ours = BadInput(f"out={self.folder}: no folder can be made there ({error.strerror}).")
            raise disk_trouble(error) or ours from error

    def folder_of(self, cell: Cell) -> Path:
        return self.folder / "trials" / cell.digest

    def run_of(self, cell: Cell) -> Path:
        return self.folder_of(cell) / RUN

    def prepare(self, cell: Cell, job: dict[str, Any]) -> Path:
        """The training's folder with what its supervisor has to know."""
        folder = self.folder_of(cell)
        folder.mkdir(parents=True, exist_ok=True)
        job = {**job, "arguments": cell.overrides, "out": str(self.run_of(cell))}
        write_whole(folder / JOB, json.dumps(job, indent=1))
        return folder

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """The training's result; None while there is none."""
        if cell.digest not in self._results:
            if (result := read_result(self.folder_of(cell))) is None:
                return None
            self._results[cell.digest] = result
        return self._results[cell.digest]

    def forget(self, cell: Cell) -> None:
        """Its result is put aside, so that it runs again; anew, if it had ended well and only its score was missing."""
        if (self.result(cell) or {}).get("status") == GOOD:
            before = self.folder_of(cell) / f"{RUN}.before"
            shutil.rmtree(before, ignore_errors=True)
            with suppress(FileNotFoundError):
                self.run_of(cell).rename(before)
        with suppress(FileNotFoundError):  # another study of this folder has done so
            (self.folder_of(cell) / RESULT).rename(self.folder_of(cell) / "result.before.json")
        self._results.pop(cell.digest, None)

    def give_up(self, cell: Cell, cause: str) -> None:
        """Write a result for a training whose supervisors die; the last line that one printed is part of the cause."""
        output = self.folder_of(cell) / OUTPUT
        lines = output.read_text(errors="replace").split("\n") if output.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        result: dict[str, Any] = {
            "status": "killed",
            "cause": f"{cause}: {last[:200]}" if last else cause,
            **{"exit": -9, "seconds": 0.0},
            **dict.fromkeys(("started", "ended"), time.time()),
            **{"attempts": 0, "host": "", "figures": {}, "epochs": 0},
            **dict.fromkeys(("best_epoch", "parameters", "trained", "lr")),
        }
        write_whole(self.folder_of(cell) / RESULT, json.dumps(result, indent=1))

    def ask(self, stage: Stage, origin: str, number: int, draw: Callable[[], Settings | None]) -> Settings | None:
        """Point `number` of a search: the one on file, or a new one, which every other study will find there.

        An edited search, or one around another winner (`origin`), begins anew. A line that was torn leaves a gap,
        which the same point fills again.
        """
        identity = f"{stage.search.kind} {stage.search.space} {stage.search.seed} {origin}"
        search = hashlib.sha256(identity.encode()).hexdigest()[:12]
        path = self.folder / "asked" / f"{stage.name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(Path(f"{path}.lock"), timeout=120):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
            for line in reversed(lines):
                with suppress(ValueError, KeyError, TypeError):
                    record = json.loads(line)
                    if (record["search"], record["number"]) == (search, number):
                        return record["point"]
            point = draw()
            if point is not None:
                lines.append(json.dumps({"search": search, "number": number, "point": point}))
                write_whole(path, "\n".join([*lines, ""]))
            return point

    def settings(self) -> tuple[list[str], list[str]]:
        """What was typed the last time: overrides of the trainings, and of the protocol; none where that is unknown."""
        try:
            before = json.loads((self.folder / STUDY).read_text(encoding="utf-8"))
            return [str(text) for text in before["given"]], [str(text) for text in before.get("own", [])]
        except (OSError, ValueError, KeyError, TypeError):
            return [], []

    def changed(self, protocol: Protocol, given: list[str], own: list[str]) -> list[str]:
        """Save the protocol; returns, as sentences, how it differs from the one that was run the last time.

        Args:
            protocol: of the study.
            given: overrides of the trainings, as typed.
            own: overrides of the protocol itself, as typed.
        """
        path = self.folder / STUDY
        stages = {stage.name: stage.written for stage in protocol.stages}
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            given_before, stages_before = before["given"], before["stages"]
        except (OSError, ValueError, KeyError, TypeError):  # it holds nothing that could be compared
            given_before, stages_before = given, stages
        about = {"study": protocol.name, "given": given, "own": own, "stages": stages}
        write_whole(path, json.dumps(about, indent=1))
        if given_before != given:
            return [
                f"The settings were {' '.join(given_before) or 'none'} and are now {' '.join(given) or 'none'}: "
                "every stage is decided anew; trainings whose configuration is the same are not repeated."
            ]
        return _edits(stages_before, stages)

    def write_selected(self, chosen: dict[str, Any]) -> None:
        write_whole(self.folder / "selected.json", json.dumps(chosen, indent=1, ensure_ascii=False) + "\n")


def _edits(before: dict[str, str], now: dict[str, str]) -> list[str]:
    pairs = enumerate(zip(now.items(), [*before.items(), *[None] * len(now)], strict=False))
    edited = next((number for number, (stage, earlier) in pairs if stage != earlier), None)
    if edited is None:
        gone = [name for name in before if name not in now]
        return [f"The protocol was edited: {', '.join(gone)} is gone."] if gone else []
    name, *later = list(now)[edited:]
    what = "is new"
    if name in before:
        lines = set(before[name].splitlines()) ^ set(now[name].splitlines())
        what = "was edited (" + "; ".join(sorted({line.split(":")[0] for line in lines})[:4]) + ")"
    again = f"it and {', '.join(later)} after it run" if later else "it runs"
    return [
        f"The stage {name} {what} since this study began: {again} again, as far as their trainings differ; "
        "earlier stages stay as they are."
    ]
