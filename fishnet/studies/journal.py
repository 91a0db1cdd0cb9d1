"""The study's own files: what was asked, what came out, what was chosen. They are the authority; MLflow mirrors them.

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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from fishnet.errors import BadInput, disk_trouble
from fishnet.files import write_whole

from .protocol import Protocol, Stage
from .settings import Settings
from .supervisor import JOB, RESULT, RUN, SAID, busy, end_orphan, read_result
from .trials import Cell

GOOD = "finished"


class Journal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results: dict[str, dict[str, Any]] = {}

    def open(self) -> None:
        """From here on files are written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            ours = BadInput(f"out={self.folder}: no folder can be made there ({error.strerror}).")
            raise disk_trouble(error) or ours from error

    # ---- trainings

    def place(self, cell: Cell) -> Path:
        return self.folder / "trials" / cell.digest

    def run_of(self, cell: Cell) -> Path:
        return self.place(cell) / RUN

    def prepare(self, cell: Cell, job: dict[str, Any]) -> Path:
        """The training's folder with what a keeper has to know."""
        place = self.place(cell)
        place.mkdir(parents=True, exist_ok=True)
        write_whole(
            place / JOB, json.dumps({**job, "arguments": cell.overrides, "out": str(self.run_of(cell))}, indent=1)
        )
        return place

    def result(self, cell: Cell) -> dict[str, Any] | None:
        if cell.digest not in self._results:
            found = read_result(self.place(cell))
            if found is None:
                return None
            self._results[cell.digest] = found
        return self._results[cell.digest]

    def forget(self, cell: Cell) -> None:
        """Its result is put aside, so that it runs again; anew, if it had ended well and only its score was missing."""
        if (self.result(cell) or {}).get("status") == GOOD:
            before = self.place(cell) / f"{RUN}.before"
            shutil.rmtree(before, ignore_errors=True)
            with suppress(FileNotFoundError):
                self.run_of(cell).rename(before)
        with suppress(FileNotFoundError):  # another study of this folder has done so
            (self.place(cell) / RESULT).rename(self.place(cell) / "result.before.json")
        self._results.pop(cell.digest, None)

    def busy(self, cell: Cell) -> bool:
        return busy(self.place(cell))

    def end_orphan(self, cell: Cell, number: int) -> None:
        """A signal to a training that has outlived its keeper."""
        end_orphan(self.place(cell), number)

    def give_up(self, cell: Cell, cause: str, now: float) -> None:
        """A training whose keepers die has a result too."""
        lost = {"status": "killed", "cause": cause, "exit": -9, "seconds": 0.0, "started": now, "ended": now}
        more = {"attempts": 0, "host": "", "figures": {}, "best_epoch": None, "epochs": 0, "parameters": None}
        write_whole(self.place(cell) / RESULT, json.dumps({**lost, **more, "trained": None, "lr": None}, indent=1))

    def last_words(self, cell: Cell) -> str:
        """Of a keeper that should have said nothing."""
        said = self.place(cell) / SAID
        lines = said.read_text(errors="replace").split("\n") if said.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {last[:200]}" if last else ""

    # ---- what searches have asked

    def asked(self, stage: Stage, place: str) -> dict[int, Settings]:
        """By number; a line that was torn leaves a gap, which the same question fills again."""
        search = self._search(stage, place)
        return {line["number"]: line["point"] for line in self._asked_lines(stage) if line["search"] == search}

    def ask(self, stage: Stage, place: str, number: int, draw: Callable[[], Settings | None]) -> Settings | None:
        """Point `number` of this search: the one on file, or a new one, which every other parent will find there."""
        path = self.folder / "asked" / f"{stage.name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=120):
            known = self.asked(stage, place)
            if number in known:
                return known[number]
            point = draw()
            if point is not None:
                line = json.dumps({"search": self._search(stage, place), "number": number, "point": point})
                before = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
                write_whole(path, "\n".join([*before, line, ""]))
            return point

    def _asked_lines(self, stage: Stage) -> Iterator[dict[str, Any]]:
        path = self.folder / "asked" / f"{stage.name}.jsonl"
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
            with suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and {"search", "number", "point"} <= set(line):
                    yield line

    @staticmethod
    def _search(stage: Stage, place: str) -> str:
        """An edited search, or one around another winner, begins anew."""
        told = f"{stage.search.kind} {stage.search.space} {stage.search.seed} {place}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    # ---- the protocol and its choices

    def changed(self, protocol: Protocol, given: list[str]) -> list[str]:
        """What differs from the protocol of the last time, as sentences; then this one is kept."""
        path = self.folder / "study.json"
        now = {"given": given, "stages": {stage.name: stage.written for stage in protocol.stages}}
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            before["given"], before["stages"]
        except (OSError, ValueError, KeyError, TypeError):
            before = None  # it tells nothing that could be compared
        write_whole(path, json.dumps({"study": protocol.name, **now}, indent=1))
        if before is None:
            return []
        if before["given"] != given:
            return [
                f"The settings were {' '.join(before['given']) or 'none'} and are now {' '.join(given) or 'none'}: "
                "every stage is decided anew; trainings whose configuration is the same are not repeated."
            ]
        return _edits(before["stages"], now["stages"])  # type: ignore[arg-type]

    def write_selected(self, chosen: dict[str, Any]) -> None:
        write_whole(self.folder / "selected.json", json.dumps(chosen, indent=1, ensure_ascii=False) + "\n")


def _edits(before: dict[str, str], now: dict[str, str]) -> list[str]:
    names = list(now)
    edited = next((n for place, n in enumerate(names) if before.get(n) != now[n] or list(before)[place] != n), None)
    if edited is None:
        gone = [name for name in before if name not in now]
        return [f"The protocol was edited: {', '.join(gone)} is gone."] if gone else []
    later = names[names.index(edited) + 1 :]
    if edited not in before:
        what = "is new"
    else:
        old, new = set(before[edited].splitlines()), set(now[edited].splitlines())
        what = "was edited (" + "; ".join(sorted({line.split(":")[0] for line in old ^ new})[:4]) + ")"
    rest = f" and {', '.join(later)} after it run" if later else " runs"
    return [
        f"The stage {edited} {what} since this study began: it{rest} again, as far as their trainings differ; "
        "earlier stages stay as they are."
    ]
