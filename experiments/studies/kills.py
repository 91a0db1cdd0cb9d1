"""kill -9 of a study's parent, or of any of its processes, again and again; the final table must equal that of an
undisturbed study, and no training that has finished may be repeated.

    python -m experiments.studies.kills --home WORK --csv kills.csv
    python -m experiments.studies.kills --home WORK --victims all --kills 30

With `--victims all` a supervisor or a training is as likely to be killed as the parent, and each start of the study has
retry=true: a training that was killed alone is a failure like any other until somebody asks for it again.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

HERE = Path(__file__).parent
TRAINING = ["trainer.max_epochs=3", "trainer.precision=32-true", "callbacks.report.resamples=50", "jobs=2"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--victims", choices=("parent", "all"), default="parent")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    quiet, disturbed = (options.home / name for name in ("quiet", "disturbed"))
    begin = time.monotonic()
    assert started(quiet).wait() == 0
    took = time.monotonic() - begin
    kills: list[str] = []
    finished: dict[str, bytes] = {}
    process = started(disturbed, retry=options.victims == "all")
    while len(kills) < options.kills:
        moment = rng.uniform(1.5, took / 4.5)  # now and then a training ends, and the study lives through many
        try:
            status = process.wait(moment)
        except subprocess.TimeoutExpired:
            kills.append(struck(process, disturbed, rng, options.victims))
            print(f"kill {len(kills)} ({kills[-1]}) after {moment:.1f} s, {len(finished)} have finished", flush=True)
        if process.poll() is not None:
            if process.returncode == 0:
                break  # there is nothing left to kill
            if process.returncode != -signal.SIGKILL and options.victims == "parent":
                raise SystemExit(f"the study ended with {status}: {(disturbed / 'said.txt').read_text()[-2000:]}")
            process = started(disturbed, retry=options.victims == "all")
        finished = still_finished(disturbed, finished)
    while process.wait() != 0:
        process = started(disturbed, retry=options.victims == "all")
    still_finished(disturbed, finished)
    equal = chosen(quiet) == chosen(disturbed)
    attempts = [int(result["attempts"]) for result in results(disturbed)]
    same = figures(quiet) == figures(disturbed)
    row = f"{len(kills)},{len(attempts)},{sum(attempts)},{max(attempts)},{equal},{same}"
    print("kills,trainings,attempts,most attempts of one,selected.json equal,figures of every training equal")
    print(row, {name: kills.count(name) for name in sorted(set(kills))})
    if options.csv:
        options.csv.write_text(
            "kills,trainings,attempts,most_attempts_of_one,selected_equal,figures_equal\n" + row + "\n"
        )


def struck(parent: subprocess.Popen, home: Path, rng: random.Random, victims: str) -> str:
    """Kill the parent, a supervisor or a training, and return which."""
    living = {"parent": parent.pid}
    for note in sorted(home.glob("outputs/study_kills/trials/*/training.json")) if victims == "all" else ():
        pids = {name: saved["pid"] for name, saved in json.loads(note.read_text()).items()}
        if not (note.parent / "result.json").exists() and psutil.pid_exists(pids["training"]):
            living |= {"supervisor": pids["keeper"], "training": pids["training"]}
    name = rng.choice(sorted(living))
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(living[name], signal.SIGKILL)
    if name == "parent":
        parent.wait()
    return name


def still_finished(home: Path, before: dict[str, bytes]) -> dict[str, bytes]:
    """The results of trainings that have finished; those that had before must be the same, to the byte."""
    now = {path.parent.name: path.read_bytes() for path in home.glob("outputs/study_kills/trials/*/result.json")}
    now = {name: result for name, result in now.items() if json.loads(result)["status"] == "finished"}
    if any(now.get(name) != result for name, result in before.items()):
        raise SystemExit("a training that had finished was repeated, or its result was lost")
    return now


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The options that each of these scripts takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--home", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--csv", type=Path)
    return parser


def started(home: Path, *, retry: bool = False) -> subprocess.Popen:
    home.mkdir(parents=True, exist_ok=True)
    words = ["study=kills", "--config-dir", str(home / "conf"), *TRAINING, *["retry=true"] * retry]
    (home / "conf" / "study").mkdir(parents=True, exist_ok=True)
    (home / "conf" / "study" / "kills.yaml").write_text((HERE / "kills.yaml").read_text())
    with (home / "said.txt").open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "fishnet", "study", *words], cwd=home, stdout=output, stderr=output
        )


def results(home: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(home.glob("outputs/study_kills/trials/*/result.json"))]


def figures(home: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text())["figures"] for p in home.glob("outputs/*/trials/*/result.json")}


def chosen(home: Path) -> bytes:
    return (home / "outputs" / "study_kills" / "selected.json").read_bytes()


if __name__ == "__main__":
    main()
